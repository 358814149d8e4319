//! Tables as rows of text, and how a console shows them. No colour, so that `NO_COLOR` holds everywhere; boxes are
//! left out, so that lines copy well.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// A table: columns of words first, then numbers, right-aligned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grid {
    /// What is in it, and what all its rows share.
    pub(crate) caption: String,
    pub(crate) header: Vec<String>,
    /// How many columns from the left hold words.
    pub(crate) n_words: usize,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Grid {
    /// As a console shows it, with `gap` blanks between columns.
    pub(crate) fn drawn(&self, gap: u16) -> String {
        let mut table = Table::new();
        table
            .load_style(STYLE)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(&self.header).add_rows(&self.rows);
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, gap));
            if index >= self.n_words {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt()
    }

    /// One paragraph a row, for terminals that no table fits.
    pub(crate) fn stacked(&self, width: Option<u16>) -> String {
        let paragraph = |row: &Vec<String>| {
            let (words, numbers): (Vec<_>, Vec<_>) = self
                .header
                .iter()
                .zip(row)
                .enumerate()
                .filter(|(_, (_, text))| !text.is_empty())
                .partition(|(index, _)| *index < self.n_words);
            let named = |(_, (name, text)): &(usize, (&String, &String))| {
                format!("{name} {text}").replace(['\n', ' '], "\u{a0}")
            };
            let words: Vec<&str> = words.iter().map(|(_, (_, text))| text.as_str()).collect();
            let numbers: Vec<String> = numbers.iter().map(named).collect();
            let numbers = wrapped(
                &numbers.join("  "),
                width.map(|width| width.saturating_sub(2)),
                "  ",
            )
            .replace('\u{a0}', " ");
            format!("{}\n  {numbers}", wrapped(&words.join(", "), width, "  "))
        };
        let names = format!("Rows: {}", self.header[..self.n_words].join(", "));
        let paragraphs: Vec<String> = self.rows.iter().map(paragraph).collect();
        format!("{}\n{}", wrapped(&names, width, "  "), paragraphs.join("\n"))
    }
}

/// Caption and the first of these tables that fits; the first as paragraphs where none does. `width` is the terminal's,
/// in columns; `None` means as wide as it takes.
pub(crate) fn fitted(grids: &[Grid], width: Option<u16>) -> String {
    let fits = |table: &String| {
        let widest = table.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        width.is_none_or(|width| widest <= usize::from(width))
    };
    let table = grids
        .iter()
        .map(|grid| grid.drawn(2))
        .find(fits)
        .unwrap_or_else(|| grids[0].stacked(width));
    format!("{}\n{table}", wrapped(&grids[0].caption, width, ""))
}

/// Breaks lines at blanks, later lines indented; a word longer than the width keeps its line.
pub(crate) fn wrapped(text: &str, width: Option<u16>, indent: &str) -> String {
    let width = usize::from(width.unwrap_or(110)).min(110);
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > indent.len() && column + 1 + length > width {
            out.truncate(out.trim_end().len());
            out.push('\n');
            out += indent;
            column = indent.len();
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_blanks_and_keep_long_words() {
        assert_eq!(wrapped("one two three", Some(7), ""), "one two\nthree");
        assert_eq!(
            wrapped("extraordinary a b", Some(5), "  "),
            "extraordinary\n  a b"
        );
    }
}
