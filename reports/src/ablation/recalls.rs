//! The tables of recalls as rows of text.

use super::view::{CellView, RunView, Spread};
use crate::grid::Grid;
use crate::record::{
    Direction, DirectionRecord, ProtocolRecord, ScoreKind, TrialRecord, TrialResult, value_text,
};

/// How much a table of recalls tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Spread over seeds, and the 95 % interval of every R@K.
    All,
    /// Spread over seeds, and the 95 % interval of the headline R@K.
    Headline,
    /// Means only, for narrow terminals.
    Means,
}

/// One table for each protocol among the cells that have this score; numbers of two protocols never share
/// a column. Empty when no cell has it.
pub(crate) fn recall_grids(
    view: &RunView<'_>,
    kind: ScoreKind,
    direction: Direction,
    detail: Detail,
) -> Vec<Grid> {
    let mut groups: Vec<(Option<String>, Vec<&CellView<'_>>)> = Vec::new();
    for cell in &view.cells {
        let protocol = cell.results().next().map(|(trial, _)| protocol_name(trial));
        match groups.iter_mut().find(|(own, _)| *own == protocol) {
            Some((_, cells)) => cells.push(cell),
            None => groups.push((protocol, vec![cell])),
        }
    }
    // Cells without a result have no protocol yet; they are named in the first table, or in one of their own.
    let pending = groups.iter().position(|(protocol, _)| protocol.is_none());
    if let Some(at) = pending.filter(|_| groups.len() > 1) {
        let (_, pending) = groups.remove(at);
        groups[0].1.extend(pending);
        let place = |cell: &CellView<'_>| view.cells.iter().position(|own| own.cell.hash == cell.cell.hash);
        groups[0].1.sort_by_key(|cell| place(cell));
    }
    let shows = |cells: &[&CellView<'_>]| {
        kind == ScoreKind::Combined
            || cells
                .iter()
                .any(|cell| cell.directions(kind, direction).next().is_some())
    };
    groups
        .into_iter()
        .filter(|(_, cells)| shows(cells))
        .map(|(protocol, cells)| recall_grid(view, protocol, &cells, kind, direction, detail))
        .collect()
}

fn protocol_name(trial: &TrialRecord) -> String {
    match &trial.protocol.post {
        Some(post) => format!("{} + {post}", trial.protocol.protocol),
        None => trial.protocol.protocol.clone(),
    }
}

fn recall_grid(
    view: &RunView<'_>,
    protocol: Option<String>,
    cells: &[&CellView<'_>],
    kind: ScoreKind,
    direction: Direction,
    detail: Detail,
) -> Grid {
    let mut caption = format!("{direction}, {kind} score");
    if let Some(protocol) = protocol {
        caption += &format!(", protocol {protocol}");
    }
    let mut columns: Vec<(String, Vec<String>)> = Vec::new();
    for axis in &view.axes {
        let text = |cell: &&CellView<'_>| {
            cell.cell
                .axis_values
                .get(axis.path)
                .map(value_text)
                .unwrap_or_default()
        };
        columns.push((axis.name.to_owned(), cells.iter().map(text).collect()));
    }
    if columns.is_empty() {
        columns.push(("suite".to_owned(), vec![view.run.suite.name.clone(); cells.len()]));
    }
    for (cell, text) in cells.iter().zip(&mut columns[0].1) {
        if cell.is_reference {
            text.insert_str(0, "* ");
        }
    }
    // A fact that all cells share goes into the caption, one that differs becomes a column.
    for (name, of_cell) in facts(cells, kind, direction) {
        let mut known = of_cell.iter().flatten();
        match known.next() {
            None => {}
            Some(first) if known.all(|other| other == first) => caption += &format!(", {name}: {first}"),
            // An axis already shows it.
            Some(_) if view.axes.iter().any(|axis| axis.name == name) => {}
            Some(_) => {
                let texts = of_cell.iter().map(|text| text.clone().unwrap_or_default());
                columns.push((name.to_owned(), texts.collect()));
            }
        }
    }
    let n_words = columns.len();
    columns.push((
        "seeds".to_owned(),
        cells.iter().map(|cell| state_text(cell)).collect(),
    ));
    let headline = view.headline_cutoff();
    for k in view.cutoffs() {
        let with_ci = detail == Detail::All || (detail == Detail::Headline && headline == Some(k));
        let recalls = cells
            .iter()
            .map(|cell| recall_text(cell, kind, direction, k, detail));
        columns.push((format!("R@{k}"), recalls.collect()));
        if with_ci {
            columns.push((
                format!("R@{k} 95 %"),
                cells
                    .iter()
                    .map(|cell| ci_text(cell, kind, direction, k))
                    .collect(),
            ));
        }
    }
    let ranks: [(&str, Number, OfDirection<Interval>); 2] = [
        (
            "MdR",
            |record| record.median_rank,
            |record| record.median_rank_ci95,
        ),
        ("MnR", |record| record.mean_rank, |record| record.mean_rank_ci95),
    ];
    for (name, of, ci95) in ranks {
        let text = |cell: &&CellView<'_>| {
            // A mean over seeds means nothing where one of them is unknown.
            let known: Option<Vec<f64>> = cell.directions(kind, direction).map(of).collect();
            spread_text(Spread::of(known.unwrap_or_default()), 1.0, detail)
        };
        columns.push((name.to_owned(), cells.iter().map(text).collect()));
        let intervals: Vec<String> = cells
            .iter()
            .map(|cell| mean_interval(cell.directions(kind, direction).map(ci95), 1.0))
            .collect();
        if detail == Detail::All && intervals.iter().any(|text| !text.is_empty()) {
            columns.push((format!("{name} 95 %"), intervals));
        }
    }
    let mut rows: Vec<Vec<String>> = (0..cells.len())
        .map(|row| columns.iter().map(|(_, texts)| texts[row].clone()).collect())
        .collect();
    let header: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
    rows.extend(baseline_rows(cells, direction, &header));
    Grid {
        caption,
        header,
        n_words,
        rows,
    }
}

type Interval = Option<[f64; 2]>;
type OfDirection<T> = fn(&DirectionRecord) -> T;
type Number = OfDirection<Option<f64>>;
type Facts = Vec<(&'static str, Vec<Option<String>>)>;

/// What a table must say about how its numbers were made.
fn facts(cells: &[&CellView<'_>], kind: ScoreKind, direction: Direction) -> Facts {
    let first = |cell: &&CellView<'_>| cell.results().next().map(|(trial, _)| trial.protocol.clone());
    let protocols: Vec<_> = cells.iter().map(first).collect();
    let of = |get: fn(&ProtocolRecord) -> &str| {
        protocols
            .iter()
            .map(|own| own.as_ref().map(|own| get(own).to_owned()))
            .collect::<Vec<_>>()
    };
    let count = |get: OfDirection<Option<u64>>| {
        let text = |cell: &&CellView<'_>| {
            let counts: Vec<u64> = cell.directions(kind, direction).map(get).collect::<Option<_>>()?;
            let (low, high) = (counts.iter().min()?, counts.iter().max()?);
            Some(if low == high {
                low.to_string()
            } else {
                format!("{low}-{high}")
            })
        };
        cells.iter().map(text).collect::<Vec<_>>()
    };
    let mut facts: Facts = vec![
        ("queries", count(|record| Some(record.n_queries))),
        ("gallery", count(|record| record.n_gallery)),
        ("ties", of(|protocol| &protocol.ties)),
        ("tied queries", count(|record| Some(record.n_tied))),
        ("median", of(|protocol| &protocol.median)),
        ("pair score", of(|protocol| &protocol.score)),
        (
            "kernel",
            of(|protocol| protocol.kernel.as_deref().unwrap_or("none")),
        ),
    ];
    if direction == Direction::V2t {
        facts.push(("captions", of(|protocol| &protocol.captions)));
    }
    // Differs from the number of queries under `clip4clip` only.
    if cells
        .iter()
        .flat_map(|cell| cell.directions(kind, direction))
        .any(|record| record.denominator.is_some_and(|n| n != record.n_queries))
    {
        let counted = count(|record| Some(record.denominator.unwrap_or(record.n_queries)));
        facts.push(("positions that count as queries", counted));
    }
    let masked = count(|record| Some(record.n_masked));
    if masked.iter().flatten().any(|text| text != "0") {
        facts.push(("masked queries", masked));
    }
    facts
}

/// `3`, or `2/3` when trials are missing or failed.
fn state_text(cell: &CellView<'_>) -> String {
    let (n_ok, n) = (cell.results().count(), cell.trials.len());
    if n_ok == n {
        n.to_string()
    } else {
        format!("{n_ok}/{n}")
    }
}

/// Mean in per cent with spread; below it the tie interval where it is not a point.
fn recall_text(cell: &CellView<'_>, kind: ScoreKind, direction: Direction, k: u64, detail: Detail) -> String {
    let records = || cell.directions(kind, direction);
    let spread = Spread::of(records().filter_map(|record| record.r_at.get(&k).copied()));
    if spread.is_none() && cell.results().next().is_some() {
        return "untrained".to_owned();
    }
    let mut text = spread_text(spread, 100.0, detail);
    let tie =
        |end: usize| Spread::of(records().filter_map(|record| Some(record.r_at_interval.get(&k)?[end])));
    if let (Some(low), Some(high)) = (tie(0), tie(1))
        && low.mean < high.mean
    {
        let interval = interval_text(low.mean, high.mean, 100.0);
        text.push('\n');
        text += &if detail == Detail::Means {
            short_interval(&interval)
        } else {
            interval
        };
    }
    text
}

fn ci_text(cell: &CellView<'_>, kind: ScoreKind, direction: Direction, k: u64) -> String {
    let intervals = cell.directions(kind, direction);
    mean_interval(
        intervals.map(|record| record.r_at_ci95.get(&k).copied().flatten()),
        100.0,
    )
}

/// The mean of the ends of the seeds' intervals; nothing without any.
fn mean_interval(intervals: impl Iterator<Item = Interval>, scale: f64) -> String {
    let known: Vec<[f64; 2]> = intervals.flatten().collect();
    let end = |end: usize| Spread::of(known.iter().map(|interval| interval[end]));
    match (end(0), end(1)) {
        (Some(low), Some(high)) => interval_text(low.mean, high.mean, scale),
        _ => String::new(),
    }
}

/// `[48.0, 48.5]`, with as many decimals as keep unequal ends apart, up to 3.
pub(crate) fn interval_text(low: f64, high: f64, scale: f64) -> String {
    let at = |decimals: usize| {
        (
            format!("{:.decimals$}", low * scale),
            format!("{:.decimals$}", high * scale),
        )
    };
    let (low, high) = (1..=3)
        .map(at)
        .find(|(low, high)| low != high)
        .unwrap_or_else(|| at(1));
    format!("[{low}, {high}]")
}

/// `48.0-48.5` for `[48.0, 48.5]`; recalls have no minus sign to confuse it with.
fn short_interval(interval: &str) -> String {
    interval.trim_matches(['[', ']']).replace(", ", "-")
}

pub(crate) fn spread_text(spread: Option<Spread>, scale: f64, detail: Detail) -> String {
    match spread {
        None => String::new(),
        Some(Spread {
            mean, sd: Some(sd), ..
        }) if detail != Detail::Means => {
            format!("{:.1} ±{:.1}", mean * scale, sd * scale)
        }
        Some(Spread { mean, .. }) => format!("{:.1}", mean * scale),
    }
}

/// Chance, and TF-IDF where it is known: one row each when all cells share the test split.
fn baseline_rows(cells: &[&CellView<'_>], direction: Direction, header: &[String]) -> Vec<Vec<String>> {
    let results: Vec<&TrialResult> = cells
        .iter()
        .flat_map(|cell| cell.results())
        .map(|(_, result)| result)
        .collect();
    let Some(first) = results.first() else {
        return Vec::new();
    };
    if results.iter().any(|result| result.baselines != first.baselines) {
        return Vec::new();
    }
    let baselines = [
        ("chance", Some(&first.baselines.chance)),
        ("TF-IDF", first.baselines.tf_idf.as_ref()),
    ];
    baselines
        .into_iter()
        .filter_map(|(name, baseline)| {
            let r_at = baseline?.of(direction);
            let mut row: Vec<String> = header
                .iter()
                .map(|column| {
                    let k = column.strip_prefix("R@").and_then(|k| k.parse::<u64>().ok());
                    k.and_then(|k| r_at.get(&k))
                        .map(|r| format!("{:.1}", r * 100.0))
                        .unwrap_or_default()
                })
                .collect();
            row[0] = name.to_owned();
            Some(row)
        })
        .collect()
}
