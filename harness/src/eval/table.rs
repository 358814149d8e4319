//! The result for a person: metrics down, directions across. What is in it is said once, in a [`Sheet`], and drawn here
//! for a console, by [`markdown`](super::markdown) and by [`latex`](super::latex).

use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::join::JoinedBy;
use super::narrow::Narrowing;
use super::view::View;
use crate::metric::{DirectionMetrics, TieRule, word};

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// A table as text, before anything of how it is drawn: the first column holds names, the others numbers.
pub(super) struct Sheet {
    /// The protocol and its rules, on one line.
    pub(super) caption: String,
    /// One entry a column; that of the names is empty.
    pub(super) header: Vec<String>,
    /// As many entries a row as the header has; empty where a row has nothing to say.
    pub(super) rows: Vec<Vec<String>>,
    /// What the rows mean and what was left out, one sentence each.
    pub(super) notes: Vec<String>,
}

/// The table with its caption, what was left out, and what the rows mean, for a console.
pub fn table<'a>(found: impl Into<View<'a>>) -> String {
    let Sheet {
        caption,
        header,
        rows,
        notes,
    } = sheet(&found.into());
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header)
        .add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let notes: String = notes.iter().map(|note| format!("{note}\n")).collect();
    format!("{caption}\n{}\n{notes}", table.trim_fmt())
}

/// What every table of an evaluation says.
pub(super) fn sheet(found: &View<'_>) -> Sheet {
    let mut caption = format!("protocol {}, ties: {}", found.protocol_name, word(&found.ties));
    if let Some(captions) = found.captions {
        caption += &format!(", captions: {}", word(&captions));
    }
    caption += &format!(", median: {}, score: {}", word(&found.median), found.score);
    if let Some(kernel) = found.kernel {
        caption += &format!(", kernel: {kernel}");
    }
    let directions: Vec<(&str, &DirectionMetrics)> = [("t2v", Ok(found.t2v)), ("v2t", found.v2t)]
        .into_iter()
        .filter_map(|(name, metrics)| Some((name, metrics.ok()?)))
        .collect();
    let columns = Columns {
        directions: &directions,
        intervals: found.intervals,
        ties: directions.iter().any(|(_, metrics)| is_open(metrics)),
        narrowing: found.narrowing,
    };
    let mut notes = String::new();
    // A string takes everything that is written to it.
    let _ = legend(&mut notes, found, &columns);
    let (header, rows) = columns.header_and_rows();
    Sheet {
        caption,
        header,
        rows,
        notes: notes.lines().map(str::to_owned).collect(),
    }
}

/// Whether `average` takes true items of one query for rivals of each other: only then does some R@K lie below that of the
/// worst order.
fn has_own_rivals(ties: TieRule, metrics: &DirectionMetrics) -> bool {
    let worst = |k| metrics.r_at_interval.get(k).map_or(0.0, |[low, _]| *low);
    ties == TieRule::Average && metrics.r_at.iter().any(|(k, share)| *share < worst(k))
}

/// Whether the order of tied items could move some R@K.
fn is_open(metrics: &DirectionMetrics) -> bool {
    metrics.r_at_interval.values().any(|[low, high]| low < high)
}

fn legend(text: &mut String, found: &View<'_>, columns: &Columns<'_>) -> std::fmt::Result {
    writeln!(
        text,
        "R@K in per cent: share of queries with a true item among the K best (hit rate)."
    )?;
    if columns.intervals {
        writeln!(text, "95 %: bootstrap interval, videos resampled.")?;
    }
    if columns.ties {
        writeln!(text, "ties: R@K if all tied items were ranked worst and best.")?;
    }
    let mut metrics = columns.directions.iter().map(|(_, metrics)| metrics);
    if metrics.any(|metrics| has_own_rivals(found.ties, metrics)) {
        writeln!(
            text,
            "True items of one query tie with each other: `average` counts them as rivals, `expected` does not."
        )?;
    }
    if found.by == JoinedBy::MaskLayout {
        writeln!(
            text,
            "Rows are captions video by video, as the mask's shape says."
        )?;
    }
    if found.by == JoinedBy::Qrels && found.v2t.is_ok() {
        writeln!(
            text,
            "Every query of the run lists the same items, which are taken for the whole gallery."
        )?;
    }
    if let Err(reason) = found.v2t {
        writeln!(text, "v2t has no result: {reason}.")?;
    }
    for problem in found.problems {
        writeln!(text, "left out: {problem}")?;
    }
    Ok(())
}

struct Columns<'a> {
    directions: &'a [(&'a str, &'a DirectionMetrics)],
    intervals: bool,
    ties: bool,
    narrowing: Option<Narrowing>,
}

/// A count of one direction; `None` where it is unknown.
type Count = fn(&DirectionMetrics) -> Option<u64>;
/// A metric of one direction and its interval.
type Number = fn(&DirectionMetrics) -> (Option<f64>, Option<[f64; 2]>);
/// How a number looks on paper.
type Print = fn(f64) -> String;

/// One metric of one direction: its value, its interval, what ties leave open.
struct Entry(String, Option<[f64; 2]>, Option<[f64; 2]>);

impl Columns<'_> {
    fn header_and_rows(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let mut rows = Vec::new();
        let mut header = vec![String::new()];
        for (name, _) in self.directions {
            header.push((*name).to_owned());
            header.extend(self.intervals.then(|| "95 %".to_owned()));
            header.extend(self.ties.then(|| "ties".to_owned()));
        }
        let metrics = || self.directions.iter().map(|(_, metrics)| *metrics);

        let counts: [(&str, Count); 6] = [
            ("queries", |m| Some(m.n_queries)),
            ("counted as queries", |m| Some(m.denominator)),
            ("gallery", |m| m.n_gallery),
            ("masked captions", |m| Some(m.n_masked)),
            ("videos without caption", |m| Some(m.n_without_caption)),
            ("tied queries", |m| Some(m.n_tied)),
        ];
        for (name, value) in counts {
            let shown = match name {
                "counted as queries" => metrics().any(|m| m.denominator != m.n_queries),
                "masked captions" | "videos without caption" => metrics().any(|m| value(m) > Some(0)),
                _ => true,
            };
            if shown {
                let entries = metrics().map(|m| {
                    let text = value(m).map_or("-".to_owned(), |n| n.to_string());
                    Entry(text, None, None)
                });
                rows.push(self.row(name, entries, |_| String::new()));
            }
        }
        if let Some(Narrowing { t2v, v2t }) = self.narrowing {
            let both = [t2v, v2t];
            for (name, value) in [
                ("ranks f16 changed", both.map(|narrowed| narrowed.changed)),
                (
                    "ranks f16 could change",
                    both.map(|narrowed| narrowed.could_change),
                ),
            ] {
                let entries = value.into_iter().map(|n| Entry(n.to_string(), None, None));
                rows.push(self.row(name, entries, |_| String::new()));
            }
        }
        let cuts: Vec<u64> = metrics()
            .next()
            .map_or(Vec::new(), |m| m.r_at.keys().copied().collect());
        for k in cuts {
            let entries = metrics().map(|m| {
                let ci95 = m.r_at_ci95.as_ref().and_then(|by_k| by_k.get(&k)).copied();
                let open = m.r_at_interval.get(&k).copied().filter(|[low, high]| low < high);
                Entry(percent(m.r_at[&k]), ci95, open)
            });
            rows.push(self.row(&format!("R@{k}"), entries, percent));
        }
        let numbers: [(&str, Number, Print); 8] = [
            ("MdR", |m| (m.median_rank, m.median_rank_ci95), one_digit),
            ("MnR", |m| (m.mean_rank, m.mean_rank_ci95), one_digit),
            ("R@1 + R@5 + R@10", |m| (m.sum_r, None), percent),
            ("their geometric mean", |m| (m.geometric_mean, None), percent),
            ("MRR", |m| (Some(m.mrr), m.mrr_ci95), three_digits),
            ("nDCG@10", |m| (m.ndcg_at_10, None), three_digits),
            ("mAP", |m| (m.map, None), three_digits),
            (
                "true recall@10",
                |m| (m.recall_at.as_ref().and_then(|by_k| by_k.get(&10)).copied(), None),
                percent,
            ),
        ];
        for (name, value, print) in numbers {
            // A dash says that these are unknown.
            let is_looked_for = matches!(name, "MdR" | "MnR");
            if !is_looked_for && metrics().all(|m| value(m).0.is_none()) {
                continue;
            }
            let entries = metrics().map(|m| {
                let (number, ci95) = value(m);
                Entry(number.map_or("-".to_owned(), print), ci95, None)
            });
            rows.push(self.row(name, entries, print));
        }
        (header, rows)
    }

    fn row(
        &self,
        name: &str,
        entries: impl Iterator<Item = Entry>,
        print: impl Fn(f64) -> String,
    ) -> Vec<String> {
        let interval = |ends: Option<[f64; 2]>| {
            ends.map_or(String::new(), |[low, high]| {
                format!("[{}, {}]", print(low), print(high))
            })
        };
        let mut row = vec![name.to_owned()];
        for Entry(value, ci95, open) in entries {
            row.push(value);
            row.extend(self.intervals.then(|| interval(ci95)));
            row.extend(self.ties.then(|| interval(open)));
        }
        row
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.1}", fraction * 100.0)
}

fn one_digit(number: f64) -> String {
    format!("{number:.1}")
}

fn three_digits(number: f64) -> String {
    format!("{number:.3}")
}
