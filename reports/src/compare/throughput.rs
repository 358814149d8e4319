//! Tables of rates: a row a cell and column, and the geometric means of their ratios.

use super::record::{CompareRecord, RatioFound, ThroughputRow, ThroughputValue};
use crate::grid::Grid;
use crate::throughput::{percent, prefix, significant};

/// A share of a peak.
type Share = fn(&ThroughputValue) -> Option<f64>;

/// One table a metric.
pub(super) fn throughput_grids(record: &CompareRecord) -> Vec<Grid> {
    record
        .metrics()
        .into_iter()
        .map(|metric| grid(record, metric))
        .collect()
}

fn grid(record: &CompareRecord, metric: &str) -> Grid {
    let rows: Vec<&ThroughputRow> = record
        .throughput
        .iter()
        .filter(|row| row.metric == metric)
        .collect();
    let has = |of: fn(&ThroughputValue) -> bool| rows.iter().any(|row| row.values.iter().flatten().any(of));
    let has_kernels = has(|value| value.kernel.is_some());
    let shares: [(&str, Share); 3] = [
        ("FMA peak %", |value| value.fma_share),
        ("f16 product %", |value| value.product_share),
        ("copy %", |value| value.copy_share),
    ];
    let shares: Vec<(&str, Share)> = shares
        .into_iter()
        .filter(|&(_, of)| {
            rows.iter()
                .any(|row| row.values.iter().flatten().any(|value| of(value).is_some()))
        })
        .collect();
    let mut header = vec!["cell", "run"];
    if has_kernels {
        header.push("kernel");
    }
    let n_words = header.len();
    let ratio = format!("to {}", record.reference_label());
    header.extend(["rate", "interval", &ratio, "interval"]);
    header.extend(shares.iter().map(|(name, _)| *name));
    let n_columns = header.len();
    let header = header.into_iter().map(str::to_owned).collect();
    let mut lines = Vec::new();
    for row in rows {
        for (at, value) in row.values.iter().enumerate() {
            let first = if at == 0 { row.cell.clone() } else { String::new() };
            let mut line = vec![first, record.label(at).to_owned()];
            match value {
                None => {
                    line.resize(n_words, String::new());
                    line.push("none".to_owned());
                }
                Some(value) => {
                    if has_kernels {
                        line.push(value.kernel.clone().unwrap_or_default());
                    }
                    line.extend(rates(row, value));
                    line.extend(ratios(value, at == record.reference));
                    line.extend(
                        shares
                            .iter()
                            .map(|(_, of)| of(value).map(percent).unwrap_or_default()),
                    );
                }
            }
            line.resize(n_columns, String::new());
            lines.push(line);
        }
    }
    Grid {
        caption: metric.to_owned(),
        header,
        n_words,
        rows: lines,
    }
}

/// A rate with its unit, and its interval in the same unit.
fn rates(row: &ThroughputRow, value: &ThroughputValue) -> [String; 2] {
    let (prefix, scale) = prefix(value.per_s);
    let digits = |rate: f64| significant(rate / scale, 4);
    let rate = format!("{} {prefix}{}/s", digits(value.per_s), row.item);
    let interval = value
        .interval
        .map(|[low, high]| format!("[{}, {}]", digits(low), digits(high)));
    [rate, interval.unwrap_or_else(|| "one sample".to_owned())]
}

fn ratios(value: &ThroughputValue, is_reference: bool) -> [String; 2] {
    match &value.ratio {
        Some(ratio) => [times(ratio.value), interval_text(ratio)],
        None if is_reference => ["1".to_owned(), String::new()],
        None if value.has_other_settings => ["other settings".to_owned(), String::new()],
        None => Default::default(),
    }
}

/// `1.25x`.
pub(super) fn times(ratio: f64) -> String {
    format!("{}x", significant(ratio, 3))
}

/// `[1.20, 1.31]`; nothing where there is no interval.
pub(super) fn interval_text(ratio: &RatioFound) -> String {
    let text = |[low, high]: [f64; 2]| format!("[{}, {}]", bound(low), bound(high));
    ratio.interval.map(text).unwrap_or_default()
}

/// An end of an interval of a ratio: of two or three samples it may be anywhere.
fn bound(end: f64) -> String {
    match end {
        1000.0.. => ">1000".to_owned(),
        ..0.001 => "<0.001".to_owned(),
        _ => significant(end, 3),
    }
}

/// Geometric means of the ratios; `None` where no metric has any.
pub(super) fn means_grid(record: &CompareRecord) -> Option<Grid> {
    let row = |mean: &super::record::GeometricMean| {
        let of = match mean.n_cells == mean.n_all_cells {
            true => format!("all {}", mean.n_cells),
            false => format!("{} of {}", mean.n_cells, mean.n_all_cells),
        };
        let ratios = mean.ratios.iter().map(|ratio| {
            [times(ratio.value), interval_text(ratio)]
                .join(" ")
                .trim_end()
                .to_owned()
        });
        [mean.metric.clone(), of].into_iter().chain(ratios).collect()
    };
    let labels = record.columns.iter().map(|column| column.label.clone());
    (!record.geometric_means.is_empty()).then(|| Grid {
        caption: format!(
            "Geometric mean of the ratios to {}, over the cells that all runs have",
            record.reference_label()
        ),
        header: ["metric".to_owned(), "cells".to_owned()]
            .into_iter()
            .chain(labels)
            .collect(),
        n_words: 2,
        rows: record.geometric_means.iter().map(row).collect(),
    })
}
