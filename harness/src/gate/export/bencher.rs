//! Bencher Metric Format: benchmark to measure to value with its bounds.

use serde_json::{Map, Value as Json, json};

use super::super::report::{DifferenceReport, GateReport};

/// Most characters of a benchmark's name.
const LONGEST_NAME: usize = 1024;
/// Most characters of a measure's name.
const LONGEST_MEASURE: usize = 64;

/// Every row with a value: the run's, bounded by where the baseline and the interval of the difference put it.
pub fn bencher(report: &GateReport) -> String {
    let mut benchmarks: Map<String, Json> = Map::new();
    for row in &report.rows {
        let Some(difference) = &row.difference else {
            continue;
        };
        let [low, high] = bounds(difference);
        let value = json!({"value": difference.run, "lower_value": low, "upper_value": high});
        let name = cut(format!("{}/{}", report.suite.name, row.cell), LONGEST_NAME);
        let measure = cut(row.metric.to_string(), LONGEST_MEASURE);
        let measures = benchmarks.entry(name).or_insert_with(|| json!({}));
        measures[measure] = value;
    }
    serde_json::to_string_pretty(&benchmarks).expect("numbers and strings") + "\n"
}

/// The run's value at both ends of the difference's interval.
pub(super) fn bounds(difference: &DifferenceReport) -> [f64; 2] {
    let at = |end: f64| match difference.difference_unit {
        "ratio" => difference.baseline * (1.0 + end),
        _ => difference.baseline + end,
    };
    difference.interval.map(at)
}

fn cut(name: String, longest: usize) -> String {
    match name.char_indices().nth(longest) {
        Some((end, _)) => name[..end].to_owned(),
        None => name,
    }
}
