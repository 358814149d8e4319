//! The comparison for a person.

use std::fmt::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::evaluate::{ALPHA, Diff, DirectionDiff, MetricDiff, Moved};
use crate::metric::PairedMetric;

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));
/// Characters of a caption or an id in a table.
const WIDTH: usize = 60;

/// What both are, then for each direction a sentence, a table of metrics and the queries that moved most.
pub fn text(diff: &Diff) -> String {
    let mut out = String::new();
    // A string takes everything that is written to it.
    let _ = write_text(&mut out, diff);
    out
}

fn write_text(out: &mut String, diff: &Diff) -> fmt::Result {
    let protocol = &diff.protocol;
    let post = protocol
        .post
        .as_ref()
        .map_or(String::new(), |post| format!(" + {post}"));
    writeln!(
        out,
        "protocol {}{post}, ties: {}, captions: {}, median: {}",
        protocol.protocol, protocol.ties, protocol.captions, protocol.median
    )?;
    for (letter, at) in [("A", 0), ("B", 1)] {
        let (score, kernel) = &diff.scores[at];
        let kernel = kernel
            .as_ref()
            .map_or(String::new(), |kernel| format!(", kernel: {kernel}"));
        let path = diff.locations[at].path.display();
        writeln!(
            out,
            "{letter}: {path}, {}, score: {score}{kernel}",
            plain(&diff.names[at])
        )?;
    }
    if diff.scores[0] != diff.scores[1] {
        writeln!(
            out,
            "The two do not score pairs alike: ranks compare, scores do not."
        )?;
    }
    if let [Some(a), Some(b)] = &diff.data
        && a.content_hash != b.content_hash
    {
        let (a, b) = (&a.name, &b.name);
        writeln!(
            out,
            "The data differ in captions, features or splits ({a} and {b}): only the ids say that the queries are the same."
        )?;
    }
    for direction in &diff.directions {
        writeln!(out, "\n{}", sentence(direction, diff.n_tests))?;
        writeln!(
            out,
            "{} queries of {} videos, gallery of {}: {} changed, {} better and {} worse in rank",
            direction.n_queries,
            direction.n_videos,
            direction.n_gallery,
            direction.n_changed,
            direction.n_better,
            direction.n_worse
        )?;
        writeln!(out, "{}", metrics(direction))?;
        if let Some(p_value) = direction.mcnemar {
            let alone = direction.n_queries == direction.n_videos;
            let caution = match alone {
                true => "",
                false => ", too sure where a video has several queries",
            };
            writeln!(
                out,
                "McNemar's exact test of R@1: p {} (queries taken as independent{caution})",
                p_text(p_value)
            )?;
        }
        if !direction.moved.is_empty() {
            writeln!(
                out,
                "\nmoved most in {}:\n{}",
                direction.direction,
                moved(&direction.moved)
            )?;
        }
    }
    writeln!(
        out,
        "\nR@K in per cent. 95 %: bootstrap interval of B - A, videos resampled. p: randomization test, A and B exchanged \
         video\nby video, {} times; Holm p: adjusted for the {} tests of this table. gained, lost: queries that entered \
         and left\nthe K best.",
        diff.plan.resamples, diff.n_tests
    )
}

/// What of a direction is significant.
fn sentence(direction: &DirectionDiff, n_tests: usize) -> String {
    let name = direction.direction;
    if direction.n_changed == 0 {
        return format!("{name}: no query changed.");
    }
    let of = |wanted: bool| -> Vec<String> {
        let metrics = direction
            .metrics
            .iter()
            .filter(|metric| metric.better() == Some(wanted));
        metrics.map(|metric| metric_name(metric.found.metric)).collect()
    };
    let level = format!("{} %, Holm over {n_tests} tests", ALPHA * 100.0);
    let (better, worse) = (of(true), of(false));
    let what = match (better.is_empty(), worse.is_empty()) {
        (true, true) => return format!("{name}: no difference is significant ({level})."),
        (false, true) => format!("better in {}", listed(&better)),
        (true, false) => format!("worse in {}", listed(&worse)),
        (false, false) => format!("better in {} and worse in {}", listed(&better), listed(&worse)),
    };
    let rest = match direction.metrics.len() - better.len() - worse.len() {
        0 => String::new(),
        1 => "; the other difference is not significant".to_owned(),
        n => format!("; the other {n} differences are not significant"),
    };
    format!("{name}: B is {what}{rest} ({level}).")
}

/// `a, b and c`.
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

fn metric_name(metric: PairedMetric) -> String {
    match metric {
        PairedMetric::RAt(k) => format!("R@{k}"),
        PairedMetric::MedianRank => "MdR".to_owned(),
        PairedMetric::MeanRank => "MnR".to_owned(),
        PairedMetric::Mrr => "MRR".to_owned(),
    }
}

fn metrics(direction: &DirectionDiff) -> String {
    let mut table = table(
        ["", "A", "B", "B - A", "95 %", "p", "Holm p", "gained", "lost"],
        1..9,
    );
    for metric in &direction.metrics {
        table.add_row(row(metric));
    }
    table.trim_fmt()
}

fn row(MetricDiff { found, p_holm, flips }: &MetricDiff) -> [String; 9] {
    let digits = |value: f64, sign: bool| {
        let (value, n) = match found.metric {
            PairedMetric::RAt(_) => (value * 100.0, 1),
            PairedMetric::MedianRank | PairedMetric::MeanRank => (value, 1),
            PairedMetric::Mrr => (value, 3),
        };
        let text = format!("{value:.n$}");
        match (sign, text.trim_start_matches(['-', '0', '.']).is_empty()) {
            (_, true) => text.trim_start_matches('-').to_owned(),
            (true, false) if value > 0.0 => format!("+{text}"),
            _ => text,
        }
    };
    let flips = flips.map_or([String::new(), String::new()], |flips| {
        [flips.gained.to_string(), flips.lost.to_string()]
    });
    let [gained, lost] = flips;
    [
        metric_name(found.metric),
        digits(found.a, false),
        digits(found.b, false),
        digits(found.difference(), true),
        format!(
            "[{}, {}]",
            digits(found.ci95[0], true),
            digits(found.ci95[1], true)
        ),
        p_text(found.p_value),
        p_text(*p_holm),
        gained,
        lost,
    ]
}

fn p_text(p_value: f64) -> String {
    match p_value < 5e-5 {
        true => "<0.0001".to_owned(),
        false => format!("{p_value:.4}"),
    }
}

fn moved(moved: &[Moved]) -> String {
    let with_captions = moved.iter().any(|moved| moved.caption.is_some());
    let header = ["query", "true item", "rank A", "rank B", "caption"];
    let mut table = table(&header[..4 + usize::from(with_captions)], 2..4);
    for Moved {
        query,
        rank_a,
        rank_b,
        caption,
    } in moved
    {
        let true_item = match query.true_id_a == query.true_id_b {
            true => plain(&query.true_id_b),
            false => format!("{} -> {}", plain(&query.true_id_a), plain(&query.true_id_b)),
        };
        let mut cells = vec![
            plain(&query.query_id),
            true_item,
            rank_a.to_string(),
            rank_b.to_string(),
        ];
        cells.extend(with_captions.then(|| plain(caption.as_deref().unwrap_or_default())));
        table.add_row(cells);
    }
    table.trim_fmt()
}

/// An empty table; the columns `numbers` are aligned on the right.
fn table(
    header: impl IntoIterator<Item = impl Into<comfy_table::Cell>>,
    numbers: std::ops::Range<usize>,
) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(
            header
                .into_iter()
                .map(Into::into)
                .collect::<Vec<comfy_table::Cell>>(),
        );
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if numbers.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Text of a file on one line, without what a terminal would obey, and not longer than a column may be.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    if line.chars().count() > WIDTH {
        line = line.chars().take(WIDTH - 3).collect();
        line += "...";
    }
    line
}
