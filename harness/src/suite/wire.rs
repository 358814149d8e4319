//! The suite file as written, beside the configuration itself.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// Version of the file format that this program reads.
pub(crate) const FORMAT: u32 = 1;

/// The keys of a suite beside its configuration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireSuite {
    /// Version of the file format: 1.
    #[expect(dead_code, reason = "checks the type; the value is checked before all else")]
    pub(crate) format: u32,
    /// Name in lower-case letters, digits and `-`; part of the run folder's name and of every trial's.
    pub(crate) name: String,
    /// Version of the suite, raised whenever a reported number could move.
    pub(crate) version: u32,
    /// What the suite is for: source of the data, split, sizes, expected answer.
    pub(crate) about: String,
    /// What the suite does with its cells.
    #[expect(dead_code, reason = "checks the type; the kind is read before all else")]
    pub(crate) kind: Kind,
    /// Dotted configuration path to the list of its values; all axes are crossed, the last one fastest.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "checks the type; values are taken from the tree, with their places"
    )]
    pub(crate) axes: Map<String, Json>,
    /// Axis values of the one cell that differences are taken to; none by default.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "checks the type; values are taken from the tree, with their places"
    )]
    pub(crate) reference: Map<String, Json>,
    /// Metrics that differences to the reference are taken in, `t2v.r_at.K` and `v2t.r_at.K`. Without any it is R@10 of `t2v`, or
    /// R@K at the largest of `eval.recall_at` where 10 is not among them.
    #[serde(default)]
    pub(crate) differences: Vec<String>,
    /// Seeds of the replicates of each cell.
    #[serde(default = "default_seeds")]
    pub(crate) seeds: Vec<u64>,
    /// Cells that are left out.
    #[serde(default)]
    pub(crate) exclude: Vec<WireExclude>,
    /// Metric to its value or to `[low, high]`; a trial outside fails the run.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "checks the type; values are taken from the tree, with their places"
    )]
    pub(crate) expect: Map<String, Json>,
    /// Policy file that runs are gated under, as a path from the suite's folder; none by default.
    pub(crate) gate: Option<PathBuf>,
}

/// The keys of a throughput suite beside its configuration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireThroughput {
    /// Version of the file format: 1.
    #[expect(dead_code, reason = "checks the type; the value is checked before all else")]
    pub(crate) format: u32,
    /// Name in lower-case letters, digits and `-`; part of the run folder's name and of every cell's.
    pub(crate) name: String,
    /// Version of the suite, raised whenever a reported number could move.
    pub(crate) version: u32,
    /// What the suite is for.
    pub(crate) about: String,
    /// What the suite does with its cells.
    #[expect(dead_code, reason = "checks the type; the kind is read before all else")]
    pub(crate) kind: Kind,
    /// Shapes, each a map of the sizes below `shape` that its operation has; crossed with the axes, slowest.
    pub(crate) shapes: Vec<Map<String, Json>>,
    /// Dotted configuration path to the list of its values; all axes are crossed, the last one fastest.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "checks the type; values are taken from the tree, with their places"
    )]
    pub(crate) axes: Map<String, Json>,
    /// Axis values of the cells that ratios are taken to, each to the one that is like it otherwise.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "checks the type; values are taken from the tree, with their places"
    )]
    pub(crate) reference: Map<String, Json>,
    /// Cells that are left out.
    #[serde(default)]
    pub(crate) exclude: Vec<WireExclude>,
    /// Policy file that runs are gated under, as a path from the suite's folder; none by default.
    pub(crate) gate: Option<PathBuf>,
}

/// Cells to leave out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireExclude {
    /// Dotted configuration paths and the values that a cell must all have to be left out.
    pub(crate) when: Map<String, Json>,
    /// Why; printed by `plan`.
    pub(crate) reason: String,
}

/// What a suite does with its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Trains and evaluates every cell with every seed.
    Ablation,
    /// Measures kernels at shapes, beside each other.
    Throughput,
}

impl Kind {
    /// The name that suites and records use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ablation => "ablation",
            Self::Throughput => "throughput",
        }
    }
}

/// One seed, 0.
pub(crate) fn default_seeds() -> Vec<u64> {
    vec![0]
}
