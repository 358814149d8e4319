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

/// The mean of some cells against the mean of others in one metric: one cell against the reference cell, or
/// all cells with one value of an axis against those with another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRecord {
    /// Hashes of the cells that are compared.
    pub candidates: Vec<String>,
    /// Hashes of the cells they are compared to.
    pub references: Vec<String>,
    /// Score the metric is of.
    pub score: ScoreKind,
    /// Metric path, such as `t2v.r_at.10`; recalls are fractions.
    pub metric: String,
    /// The candidates' value minus the references', each cell the mean over its seeds.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Level of the interval: 0.95 for a single comparison, adjusted where there are several.
    pub level: f64,
    /// Two-sided p-value of no difference, not adjusted.
    pub p_value: Option<f64>,
    /// What the interval says.
    pub verdict: Verdict,
    /// Fewest seeds of any cell; at 1 the interval covers test videos only.
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
    /// The interval holds zero, or there is but one seed, which says nothing about another training.
    Inconclusive,
}
