//! Pieces of Markdown.

use std::fmt::Write;

use crate::grid::Grid;

pub(crate) fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes every byte");
}

pub(crate) fn section(out: &mut String, title: &str) {
    line(out, &format!("## {title}\n"));
}

pub(crate) fn plural(n: usize, word: &str) -> String {
    if n == 1 {
        format!("1 {word}")
    } else {
        format!("{n} {word}s")
    }
}

pub(crate) fn grid_md(out: &mut String, grid: &Grid) {
    if !grid.caption.is_empty() {
        line(out, &format!("**{}**\n", escaped(&grid.caption)));
    }
    let row = |cells: &[String]| {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| escaped(cell).replace('\n', "<br>"))
            .collect();
        format!("| {} |", cells.join(" | "))
    };
    line(out, &row(&grid.header));
    let rule = (0..grid.header.len()).map(|at| if at < grid.n_words { "---" } else { "---:" });
    line(out, &format!("| {} |", rule.collect::<Vec<_>>().join(" | ")));
    for cells in &grid.rows {
        line(out, &row(cells));
    }
    line(out, "");
}

/// Text with the characters that Markdown or HTML would take for their own made harmless. An underscore
/// inside a word is harmless by itself.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let in_word = before.is_alphanumeric() && rest.peek().is_some_and(|next| next.is_alphanumeric());
        match c {
            '<' => out += "&lt;",
            '_' if in_word => out.push(c),
            '|' | '*' | '_' | '`' | '\\' => out.extend(['\\', c]),
            _ => out.push(c),
        }
        before = c;
    }
    out
}
