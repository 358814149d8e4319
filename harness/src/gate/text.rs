//! A gate in words: a sentence a row, a table of all, what each row can detect.

use std::fmt::Write;

use super::judge::{DifferenceFound, GateRow, GateVerdict, RowFound};
use super::metric::GateMetric;
use super::power::Prospect;
use super::report::GateReport;

/// What was compared, the values, the difference with its interval, the margin and the verdict.
pub fn sentence(row: &GateRow) -> String {
    let mut text = format!("{} of {}: ", row.metric, row.cell);
    match &row.found {
        Some(RowFound::Counts(found)) => {
            let (n, differ) = (found.n_queries, found.n_differ);
            let queries = if n == 1 { "query" } else { "queries" };
            let _ = match (&found.first, differ) {
                (Some(first), 1) => write!(text, "1 of {n} {queries} differs, {first}"),
                (Some(first), _) => write!(text, "{differ} of {n} {queries} differ, first {first}"),
                (None, _) => write!(text, "none of {n} {queries} differs"),
            };
            if found.n_by_ties > 0 {
                let (by_ties, allowed) = (found.n_by_ties, found.n_ties_allowed);
                let _ = write!(text, "; {by_ties} by the order of ties, {allowed} allowed");
            }
        }
        Some(RowFound::Difference(found)) => text.push_str(&difference(row.metric, found)),
        None => {}
    }
    if let Some((reason, why)) = &row.why {
        if row.found.is_some() {
            text.push_str("; ");
        }
        let _ = write!(text, "{why} ({reason})");
    }
    let _ = write!(text, ": {}", row.verdict.name());
    // Names come from records, which anyone may have written: no line of a log begins in one.
    text.replace(char::is_control, "\u{fffd}")
}

fn difference(metric: GateMetric, found: &DifferenceFound) -> String {
    let (estimate, [low, high]) = found.shown(metric);
    let [before, after] = found.names;
    let mut text = format!(
        "{} in {before}, {} in {after}, {} [{}, {}] from {}, margin {}",
        value(metric, found.baseline),
        value(metric, found.run),
        change(metric, estimate),
        change(metric, low),
        change(metric, high),
        found.samples,
        found.margin,
    );
    if let Some(again) = &found.confirmation {
        let ends = [again.judgement.low, again.judgement.high].map(|end| metric.shown(end));
        let _ = write!(
            text,
            "; new samples {} [{}, {}]",
            change(metric, metric.shown(again.estimate)),
            change(metric, ends[0].min(ends[1])),
            change(metric, ends[0].max(ends[1])),
        );
    }
    text
}

/// A value as people read it.
pub(super) fn value(metric: GateMetric, value: f64) -> String {
    match metric {
        GateMetric::RAt(..) | GateMetric::Mrr(_) => format!("{:.2} %", 100.0 * value),
        GateMetric::MeanRank(_) => format!("{value:.2}"),
        GateMetric::PairsPerS | GateMetric::ItemsPerS(_) => {
            let (scale, unit) = match value {
                1e9.. => (1e9, "G/s"),
                1e6.. => (1e6, "M/s"),
                1e3.. => (1e3, "k/s"),
                _ => (1.0, "/s"),
            };
            format!("{:.4}", value / scale)
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
                + unit
        }
        GateMetric::Counts(_) => value.to_string(),
    }
}

/// A difference with its sign and unit.
pub(super) fn change(metric: GateMetric, change: f64) -> String {
    match metric {
        GateMetric::RAt(..) | GateMetric::Mrr(_) => format!("{:+.2}pt", 100.0 * change),
        GateMetric::MeanRank(_) | GateMetric::Counts(_) => format!("{change:+.2}"),
        // An interval of two or three samples has no end worth reading.
        GateMetric::PairsPerS | GateMetric::ItemsPerS(_) if change > 10.0 => ">+1000%".to_owned(),
        GateMetric::PairsPerS | GateMetric::ItemsPerS(_) => format!("{:+.1}%", 100.0 * change),
    }
}

/// A drop, which has no sign.
fn drop(metric: GateMetric, drop: f64) -> String {
    change(metric, drop).trim_start_matches('+').to_owned()
}

/// All rows, a sentence each, those that matter first, then the tally.
pub fn table(report: &GateReport) -> String {
    let mut text = String::new();
    for verdict in GateVerdict::ALL {
        for row in report.rows.iter().filter(|row| row.verdict == verdict) {
            let _ = writeln!(text, "{:<12}  {:<16}  {}", verdict.name(), row.id, row.sentence);
        }
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let rows = match report.rows.len() {
        1 => "1 row".to_owned(),
        n => format!("{n} rows"),
    };
    let _ = writeln!(text, "{rows}: {}", report.tally());
    text
}

/// What each row of a gate can detect, a sentence each.
pub fn explanation(rows: &[GateRow]) -> String {
    let mut text = String::new();
    for row in rows {
        if let Some(RowFound::Difference(found)) = &row.found {
            let _ = writeln!(
                text,
                "{}",
                power_sentence(
                    &row.id,
                    &row.cell,
                    row.metric,
                    (row.metric.shown_drop(found.detectable), found.undecidable),
                    (&found.margin.to_string(), &found.samples),
                )
            );
        }
    }
    text
}

/// What each row of a policy can detect before it is run, a sentence each.
pub fn prospect(prospect: &Prospect) -> String {
    let mut text = String::new();
    for row in &prospect.rows {
        let found = (row.metric.shown_drop(row.detectable), row.undecidable);
        let of = (&*row.margin.to_string(), &*row.samples);
        let _ = writeln!(
            text,
            "{}",
            power_sentence(&row.id, &row.cell, row.metric, found, of)
        );
    }
    for unlike in &prospect.unlike {
        let _ = writeln!(text, "{unlike}");
    }
    text
}

fn power_sentence(
    id: &str,
    cell: &str,
    metric: GateMetric,
    (detectable, undecidable): (f64, bool),
    (margin, samples): (&str, &str),
) -> String {
    let mut text = format!(
        "{id}: {metric} of {cell}, margin {margin}, {samples}: finds a drop of {} four times in five",
        drop(metric, detectable)
    );
    if undecidable {
        text.push_str(
            "; undecidable: an equal run would be inconclusive more often than once in five, so take more seeds, \
             processes or queries, or a wider margin",
        );
    }
    text
}
