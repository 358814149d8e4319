//! The table of an evaluation in LaTeX: a `tabular` with the rules of the package booktabs.

use super::table::{Sheet, sheet};
use super::view::View;

/// The tabular, and below it in small print the protocol, its rules and what the rows mean: numbers without them
/// compare with nothing.
pub fn latex<'a>(found: impl Into<View<'a>>) -> String {
    drawn(&sheet(&found.into()))
}

fn drawn(sheet: &Sheet) -> String {
    let row = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("  {} \\\\\n", cells.join(" & "))
    };
    let rows: String = sheet.rows.iter().map(|cells| row(cells)).collect();
    let small: Vec<String> = std::iter::once(&format!("{}.", sheet.caption))
        .chain(&sheet.notes)
        .map(|line| escaped(line))
        .collect();
    format!(
        "% needs \\usepackage{{booktabs}}\n\
         \\begin{{tabular}}{{l{}}}\n\
         \\toprule\n{}\\midrule\n{rows}\\bottomrule\n\
         \\end{{tabular}}\n\n\
         {{\\footnotesize\n{}\n\\par}}\n",
        "r".repeat(sheet.header.len() - 1),
        row(&sheet.header),
        small.join("\n")
    )
}

/// Text with the characters that LaTeX takes for its own made harmless.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '\\' => out += "\\textbackslash{}",
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            '<' => out += "\\textless{}",
            '>' => out += "\\textgreater{}",
            '|' => out += "\\textbar{}",
            '`' => out += "\\textasciigrave{}",
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tabular_with_rules_and_its_terms_below() {
        let texts = |of: &[&str]| -> Vec<String> { of.iter().map(|&text| text.to_owned()).collect() };
        let sheet = Sheet {
            caption: "protocol a_b".to_owned(),
            header: texts(&["", "t2v", "95 %"]),
            rows: vec![
                texts(&["R@1", "33.3", "[0.0, 100.0]"]),
                texts(&["MdR", "1.5", ""]),
            ],
            notes: texts(&["R@K in per cent & more."]),
        };
        assert_eq!(
            drawn(&sheet),
            "% needs \\usepackage{booktabs}\n\
             \\begin{tabular}{lrr}\n\
             \\toprule\n   & t2v & 95 \\% \\\\\n\
             \\midrule\n  R@1 & 33.3 & [0.0, 100.0] \\\\\n  MdR & 1.5 &  \\\\\n\
             \\bottomrule\n\
             \\end{tabular}\n\n\
             {\\footnotesize\nprotocol a\\_b.\nR@K in per cent \\& more.\n\\par}\n"
        );
    }

    #[test]
    fn characters_of_latex_are_text() {
        assert_eq!(
            escaped("50 % of $x_1 & {y}# ~^\\ <a|b> `q`"),
            "50 \\% of \\$x\\_1 \\& \\{y\\}\\# \\textasciitilde{}\\textasciicircum{}\\textbackslash{} \
             \\textless{}a\\textbar{}b\\textgreater{} \\textasciigrave{}q\\textasciigrave{}"
        );
    }
}
