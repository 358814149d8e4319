//! What github-action-benchmark reads: lists of values, a file for each direction of better.

use serde::Serialize;

use super::super::report::GateReport;
use super::bencher::bounds;

#[derive(Serialize)]
struct Entry {
    name: String,
    unit: &'static str,
    value: f64,
    range: String,
    extra: String,
}

/// The two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionBenchmark {
    /// For `customBiggerIsBetter`.
    pub bigger: String,
    /// For `customSmallerIsBetter`.
    pub smaller: String,
}

/// Every row with a value, under the tool that knows its direction.
pub fn action_benchmark(report: &GateReport) -> ActionBenchmark {
    let file = |larger_is_better: bool| {
        let rows = report.rows.iter().filter_map(|row| {
            let difference = row.difference.as_ref()?;
            if difference.larger_is_better != larger_is_better {
                return None;
            }
            let [low, high] = bounds(difference);
            Some(Entry {
                name: format!("{}: {} of {}", row.id, row.metric, row.cell),
                unit: difference.unit,
                value: difference.run,
                range: format!("{low} to {high}"),
                extra: row.sentence.clone(),
            })
        });
        let rows: Vec<Entry> = rows.collect();
        serde_json::to_string_pretty(&rows).expect("numbers and strings") + "\n"
    };
    ActionBenchmark {
        bigger: file(true),
        smaller: file(false),
    }
}
