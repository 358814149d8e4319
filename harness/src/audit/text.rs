//! The findings for a person.

use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::cost::Cost;
use super::examine::Audit;

/// Characters of a line.
const WIDTH: usize = 100;
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// Findings part by part, the metric as given and with duplicates as true items, and how many checks found
/// something.
pub fn text(audit: &Audit) -> String {
    let mut out = String::new();
    // A string takes everything that is written to it.
    let _ = write_all(&mut out, audit);
    out
}

fn write_all(out: &mut String, audit: &Audit) -> std::fmt::Result {
    let Audit {
        n_texts,
        n_videos,
        protocol,
        ..
    } = audit;
    write!(out, "{n_texts} texts, {n_videos} videos; protocol {protocol}")?;
    let about = [
        ("joined by", audit.joined_by),
        ("score:", audit.score),
        ("kernel:", audit.kernel.as_deref()),
    ];
    for (name, value) in about {
        if let Some(value) = value {
            write!(out, ", {name} {value}")?;
        }
    }
    writeln!(out)?;
    for (kind, n) in &audit.left_out {
        writeln!(out, "left out: {n} {}", kind.replace('_', " "))?;
    }
    let mut part = "";
    for verdict in &audit.verdicts {
        if verdict.part != part {
            part = verdict.part;
            writeln!(out, "\n{}", heading(part))?;
            if let Some(cost) = audit.cost.as_ref().filter(|_| part == "cost") {
                writeln!(out, "{}", drawn(cost))?;
                for line in said(cost) {
                    wrap(out, "", &line)?;
                }
            }
        }
        let mark = if verdict.found { "  ! " } else { "  - " };
        wrap(out, mark, &verdict.text)?;
        if !verdict.examples.is_empty() {
            wrap(out, "      ", &verdict.examples)?;
        }
    }
    let found = audit.verdicts.iter().filter(|verdict| verdict.found).count();
    writeln!(
        out,
        "\n{found} of {} checks found something.",
        audit.verdicts.len()
    )
}

/// Writes words in lines of at most [`WIDTH`] characters where they fit; lines after the first are indented as it is.
fn wrap(out: &mut String, first: &str, words: &str) -> std::fmt::Result {
    let indent = " ".repeat(first.len());
    let mut line = first.to_owned();
    for word in words.split(' ') {
        if line.len() > indent.len() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                writeln!(out, "{line}")?;
                line.clone_from(&indent);
            } else {
                line.push(' ');
            }
        }
        line += word;
    }
    writeln!(out, "{line}")
}

fn heading(part: &str) -> &str {
    match part {
        "text_rows" => "embeddings of the texts",
        "video_rows" => "embeddings of the videos",
        "cost" => "what duplicates cost",
        other => other,
    }
}

/// What the table of both ways to count is.
fn said(cost: &Cost) -> [String; 2] {
    let texts = match cost.texts_by {
        "captions" => "the same caption",
        _ => "an equal row",
    };
    let videos = match cost.videos_by {
        "near" => "near-duplicates of these",
        _ => "those of equal columns",
    };
    [
        format!(
            "duplicates true: the videos of all texts with {texts}, and {videos}, count as true items of a query too."
        ),
        "This is an upper view of what duplicates cost, not a protocol: the numbers as given stay the result."
            .to_owned(),
    ]
}

fn drawn(cost: &Cost) -> String {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "",
            "t2v as given",
            "duplicates true",
            "v2t as given",
            "duplicates true",
        ]);
    let ways = [&cost.t2v, &cost.v2t].map(|cost| [&cost.as_given, &cost.duplicates_true]);
    let ways = ways.concat();
    for k in cost.t2v.as_given.r_at.keys() {
        let mut row = vec![format!("R@{k}")];
        row.extend(ways.iter().map(|way| format!("{:.1}", way.r_at[k] * 100.0)));
        table.add_row(row);
    }
    let mut row = vec!["MdR".to_owned()];
    row.extend(ways.iter().map(|way| {
        way.median_rank
            .map_or("-".to_owned(), |rank| format!("{rank:.1}"))
    }));
    table.add_row(row);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}
