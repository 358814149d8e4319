//! `comparisons.json`: differences between cells that the harness tested.

use serde::{Deserialize, Serialize};

use super::metrics::ScoreKind;

/// The file: all comparisons of a run and how their intervals were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonsFile {
    /// [`FORMAT`](super::FORMAT) when written.
    pub format: u32,
    /// How the intervals were made, in one sentence for the report.
    pub method: String,
    /// The comparisons.
    pub comparisons: Vec<ComparisonRecord>,
}

/// One cell against the reference cell in one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRecord {
    /// Hash of the cell.
    pub cell: String,
    /// Hash of the reference cell.
    pub reference: String,
    /// Score the metric is of.
    pub score: ScoreKind,
    /// Metric path, such as `t2v.r_at.10`; recalls are fractions.
    pub metric: String,
    /// The cell's value minus the reference's, mean over the seeds of both.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Level of the interval, such as 0.95.
    pub level: f64,
    /// What the interval says.
    pub verdict: Verdict,
    /// Seeds on each side.
    pub n_seeds: u64,
}

/// What an interval of a difference carries, and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval lies on the better side of zero.
    Improved,
    /// The whole interval lies on the worse side of zero.
    Regressed,
    /// The interval holds zero.
    Inconclusive,
}
