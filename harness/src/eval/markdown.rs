//! The table of an evaluation in Markdown, as GitHub renders it.

use hitbench_reports::escaped_markdown as escaped;

use super::table::{Sheet, sheet};
use super::view::View;

/// A paragraph with the protocol and its rules, the table, and a paragraph with what its rows mean.
pub fn markdown<'a>(found: impl Into<View<'a>>) -> String {
    drawn(&sheet(&found.into()))
}

fn drawn(sheet: &Sheet) -> String {
    let row = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: Vec<&str> = (0..sheet.header.len())
        .map(|column| if column == 0 { "---" } else { "---:" })
        .collect();
    let rows: String = sheet.rows.iter().map(|cells| row(cells)).collect();
    let notes: Vec<String> = sheet.notes.iter().map(|note| escaped(note)).collect();
    format!(
        "**{}**\n\n{}| {} |\n{rows}\n{}\n",
        escaped(&sheet.caption),
        row(&sheet.header),
        rule.join(" | "),
        notes.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_table_is_text() {
        let texts = |of: &[&str]| -> Vec<String> { of.iter().map(|&text| text.to_owned()).collect() };
        let sheet = Sheet {
            caption: "protocol a|b".to_owned(),
            header: texts(&["", "t2v", "95 %"]),
            rows: vec![
                texts(&["R@1", "33.3", "[0.0, 100.0]"]),
                texts(&["MdR", "1.5", ""]),
            ],
            notes: texts(&["left out: <b>", "and `x`"]),
        };
        assert_eq!(
            drawn(&sheet),
            "**protocol a\\|b**\n\n\
             |  | t2v | 95 % |\n\
             | --- | ---: | ---: |\n\
             | R@1 | 33.3 | [0.0, 100.0] |\n\
             | MdR | 1.5 |  |\n\n\
             left out: &lt;b>\nand \\`x\\`\n"
        );
    }
}
