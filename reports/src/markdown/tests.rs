//! Characters that Markdown or a shell would take for its own.

use super::provenance::shell_word;
use super::text::escaped;

#[test]
fn markdown_and_shell_characters_are_made_harmless() {
    assert_eq!(
        escaped("a_b |x| <y> *z* _w_ `v`"),
        r"a_b \|x\| &lt;y> \*z\* \_w\_ \`v\`"
    );
    assert_eq!(shell_word("suites/a.yaml"), "suites/a.yaml");
    assert_eq!(shell_word("--set=train.lr=[1, 2]"), "'--set=train.lr=[1, 2]'");
    assert_eq!(shell_word("it's"), r"'it'\''s'");
}
