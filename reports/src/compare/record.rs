//! What a comparison found, as tables show it and as JSON has it: schema `hitbench.compare/1`.
//!
//! Rates are a second, shares and recalls fractions, differences of recalls fractions too; what is not known is `None`.
//! Lists of values have an entry a column, in the order of the columns.

use serde::Serialize;

use crate::record::{Direction, MachineRecord, ProtocolRecord, Verdict};

/// Everything that a comparison found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompareRecord {
    /// `hitbench.compare/1`.
    pub schema: &'static str,
    /// The suite of all columns.
    pub suite: ComparedSuite,
    /// How ranks were made, of all columns; `None` without any.
    pub protocol: Option<ProtocolRecord>,
    /// Place of the reference among the columns, from 0.
    pub reference: usize,
    /// The runs.
    pub columns: Vec<Column>,
    /// Level of the intervals of single values and of ratios.
    pub level: f64,
    /// Rates by cell and metric.
    pub throughput: Vec<ThroughputRow>,
    /// One entry a metric of throughput that several cells have.
    pub geometric_means: Vec<GeometricMean>,
    /// Chance of any false difference in the statement about one column.
    pub alpha: f64,
    /// Recalls by cell, direction and cut-off.
    pub accuracy: Vec<AccuracyRow>,
    /// Whether accuracy is that of the reference, one entry a column but the reference; empty without accuracy.
    pub statements: Vec<AccuracyStatement>,
    /// What a reader must know, a sentence each.
    pub remarks: Vec<String>,
}

/// Which suite was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedSuite {
    /// Its name; `eval` of single evaluations.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// `ablation`, `throughput` or `eval`.
    pub kind: String,
}

/// Where a column was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnSource {
    /// A run folder.
    Run,
    /// A baseline file.
    Baseline,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// Its name in tables and plots, unlike all others.
    pub label: String,
    /// Run folder or baseline file.
    pub path: String,
    /// Which of them.
    pub source: ColumnSource,
    /// Version and revision of the program.
    pub build_id: String,
    /// Git revision.
    pub git_revision: Option<String>,
    /// Whether the program was built from a tree with changes.
    pub dirty: bool,
    /// Fingerprint of the machine.
    pub fingerprint: String,
    /// The machine.
    pub machine: MachineRecord,
    /// What the CPU did at most; `None` where it was not measured.
    pub peaks: Option<PeakRates>,
    /// What the GPU did at most; `None` where it was not measured.
    pub gpu_peaks: Option<GpuPeakRates>,
    /// Whether the machine is like the reference's.
    pub is_like_machine: bool,
    /// Whether the build is the reference's.
    pub is_same_build: bool,
}

/// What a machine did at most, medians over processes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PeakRates {
    /// Floating-point operations a second, multiply-adds of f32 in registers.
    pub fma_flops_per_s: f64,
    /// Bytes read and written a second by copying memory.
    pub copy_bytes_per_s: f64,
}

/// What a GPU did at most, medians over processes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GpuPeakRates {
    /// Floating-point operations a second of libtorch's product of large f16 matrices; `None` without libtorch.
    pub product_flops_per_s: Option<f64>,
    /// Bytes read and written a second by copying its memory.
    pub copy_bytes_per_s: f64,
}

/// One rate of one cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThroughputRow {
    /// Label of the cell.
    pub cell: String,
    /// `warm.items_per_s`, `cold.items_per_s`, `transfer.items_per_s` or `train.pairs_per_s`.
    pub metric: String,
    /// What is counted, plural, such as `pairs`.
    pub item: String,
    /// What is drawn for an interval: `processes` or `seeds`.
    pub samples: &'static str,
    /// By column; `None` where a column has no such rate.
    pub values: Vec<Option<ThroughputValue>>,
}

/// A rate in one column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThroughputValue {
    /// Concrete id of the kernel; `None` of a training.
    pub kernel: Option<String>,
    /// Geometric mean over the samples.
    pub per_s: f64,
    /// Its interval; `None` for a single sample.
    pub interval: Option<[f64; 2]>,
    /// How many samples.
    pub n_samples: usize,
    /// The rate over the reference's; `None` for the reference itself, where that has none, and for other settings.
    pub ratio: Option<RatioFound>,
    /// Floating-point operations a second.
    pub flops_per_s: Option<f64>,
    /// Operations a byte.
    pub intensity: Option<f64>,
    /// Share of this machine's own FMA peak; `None` on a GPU.
    pub fma_share: Option<f64>,
    /// Share of what this machine's own GPU makes of a large f16 product; `None` on the CPU, for rows of another type, and
    /// where moving the bytes takes longer.
    pub product_share: Option<f64>,
    /// Share of the copy bandwidth of the device, this machine's own.
    pub copy_share: Option<f64>,
    /// Whether settings or data of the cell are not those of the reference.
    pub has_other_settings: bool,
}

/// A ratio of rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RatioFound {
    /// Above 1 where the column is faster than the reference.
    pub value: f64,
    /// Its interval; `None` where either side has a single sample.
    pub interval: Option<[f64; 2]>,
}

impl RatioFound {
    /// What the interval says; inconclusive where it holds 1 or is not there.
    pub fn verdict(&self) -> Verdict {
        match self.interval {
            Some([low, _]) if low > 1.0 => Verdict::Improved,
            Some([_, high]) if high < 1.0 => Verdict::Regressed,
            _ => Verdict::Inconclusive,
        }
    }
}

/// The geometric mean of the ratios of one metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GeometricMean {
    /// `warm.items_per_s`, `cold.items_per_s`, `transfer.items_per_s` or `train.pairs_per_s`.
    pub metric: String,
    /// Cells that every column has, with the same settings.
    pub n_cells: usize,
    /// Cells that some column has.
    pub n_all_cells: usize,
    /// By column; 1 of the reference. An interval is over processes (or seeds) in order, each with the mean of its cells, as what
    /// slows a process slows all of its cells (those of a run that was resumed need not be the same); `None` where cells have other numbers of them, or a single one.
    pub ratios: Vec<RatioFound>,
}

/// R@K of one cell in one direction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccuracyRow {
    /// Label of the cell.
    pub cell: String,
    /// Direction of retrieval.
    pub direction: Direction,
    /// The cut-off.
    pub k: u64,
    /// Queries of one trial.
    pub n_queries: usize,
    /// Items that each was ranked against.
    pub n_gallery: u64,
    /// By column; `None` where a column has no such ranks.
    pub values: Vec<Option<AccuracyValue>>,
}

/// R@K in one column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccuracyValue {
    /// Mean over seeds.
    pub mean: f64,
    /// Bootstrap interval over videos, for the mean of these very models.
    pub interval: [f64; 2],
    /// How many seeds.
    pub n_seeds: usize,
    /// The difference to the reference; `None` for the reference itself and where that has none.
    pub difference: Option<DifferenceFound>,
    /// Whether settings or data of the cell are not those of the reference.
    pub has_other_settings: bool,
}

/// A difference of recalls, judged among all of its column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DifferenceFound {
    /// Column less reference.
    pub estimate: f64,
    /// Its interval, at the level at which the difference was judged.
    pub interval: [f64; 2],
    /// That level, at least `1 - alpha`.
    pub level: f64,
    /// Two-sided p-value of no difference, not adjusted.
    pub p_value: f64,
    /// Whether the interval leaves out 0.
    pub verdict: Verdict,
    /// Smallest difference that is found four times in five.
    pub detectable: f64,
}

/// What is said of a column's accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementKind {
    /// Every query has the same counts.
    EqualByCounts,
    /// Some counts differ, and no difference of recalls is shown, which is not equality.
    NoDifferenceShown,
    /// Some recalls differ.
    Differs,
    /// The column shares no ranks with the reference.
    NotCompared,
}

/// Whether a column's accuracy is that of the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccuracyStatement {
    /// Place of the column, from 0.
    pub column: usize,
    /// What is said.
    pub kind: StatementKind,
    /// Queries that were held against each other, over cells, seeds and directions; 0 where the seeds are others.
    pub n_queries: u64,
    /// Of these, queries with other counts.
    pub n_differ: u64,
    /// Tests of recalls; 0 where counts decide.
    pub n_tests: usize,
    /// And in words.
    pub text: String,
}

impl CompareRecord {
    /// The label of a column.
    pub fn label(&self, column: usize) -> &str {
        self.columns.get(column).map_or("", |column| &column.label)
    }

    /// The label of the reference.
    pub fn reference_label(&self) -> &str {
        self.label(self.reference)
    }

    /// The metrics of throughput, in the order of the rows.
    pub(crate) fn metrics(&self) -> Vec<&str> {
        let mut metrics: Vec<&str> = Vec::new();
        for row in &self.throughput {
            if !metrics.contains(&row.metric.as_str()) {
                metrics.push(&row.metric);
            }
        }
        metrics
    }
}
