//! Characters that Markdown or a shell would take for its own.

use super::provenance::{reproduce, shell_word, without_folders};
use super::text::escaped;
use crate::fixture;

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

#[test]
fn absolute_paths_are_cut_and_the_reader_is_told() {
    let cut = [
        "run",
        "suites/a.yaml",
        "/home/someone/a b.yaml",
        "data.folder=/data/one",
        "train.lr=1/2",
        "/",
    ]
    .map(without_folders);
    assert_eq!(
        cut,
        [
            "run",
            "suites/a.yaml",
            "a b.yaml",
            "data.folder=one",
            "train.lr=1/2",
            "/"
        ]
    );
    let said = |path: &str| {
        let mut run = fixture::run(&[], &[0]);
        run.command[2] = path.to_owned();
        let mut out = String::new();
        reproduce(&mut out, &run, "");
        out
    };
    let absolute = said("/home/someone/a b.yaml");
    assert!(
        absolute.contains("hitbench run 'a b.yaml'") && absolute.contains("Absolute paths"),
        "{absolute}"
    );
    assert!(!absolute.contains("someone") && !said("suites/a.yaml").contains("Absolute"));
}
