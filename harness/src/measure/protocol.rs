//! What parent and child say to each other: one [`Job`] as JSON to the child's standard input, then lines of
//! [`Event`] from its standard output. Both are the same program, so there is no version.

use hitbench_reports::record::{AccuracyRecord, GpuPeaksRecord, GpuStateRecord, ProcessRecord};
use serde::{Deserialize, Serialize};

use crate::suite::KernelCell;
use crate::suite::kernel_cell::Cache;

/// What one child is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Measures the machine's peaks first, on this many threads.
    pub peak_threads: Option<u64>,
    /// Measures the GPU's peaks first.
    pub gpu_peaks: bool,
    /// Compares results with the reference before anything is timed.
    pub verify: bool,
    /// What to measure, in this order.
    pub cells: Vec<JobCell>,
}

/// A cell to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobCell {
    /// Number by which the child speaks of it.
    pub index: usize,
    /// The cell.
    pub cell: KernelCell,
}

/// What a child says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A cell begins; should the child die, this one killed it.
    Started {
        /// Number of the cell.
        index: usize,
    },
    /// A cell is done.
    Done {
        /// Number of the cell.
        index: usize,
        /// What came of it.
        found: Found,
    },
    /// The peaks of the CPU, when everything is done.
    Peaks(ProcessRecord),
    /// The peaks of the GPU, before anything else.
    GpuPeaks(GpuPeaksRecord),
}

/// What came of a cell in one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It was timed.
    Timed(Timed),
    /// Its results are wrong.
    Wrong(AccuracyRecord),
    /// It does not exist here, and why.
    Unavailable(String),
    /// It stopped with an error.
    Failed(String),
}

/// Samples of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    /// How right it is, if that was asked and there is something to compare.
    pub accuracy: Option<AccuracyRecord>,
    /// Samples by state of the caches, in the order of the suite.
    pub samples: Vec<(Cache, Vec<Sample>)>,
    /// Most memory that the process held, if nothing else ran in it.
    pub peak_memory_bytes: Option<u64>,
    /// The GPU around the samples, if the cell ran on one that tells.
    pub gpu: Option<GpuStateRecord>,
}

/// Calls timed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// How many.
    pub calls: u64,
    /// Their time together.
    pub time_ns: u64,
}

impl Sample {
    /// Time of one call.
    pub fn per_call_ns(&self) -> f64 {
        self.time_ns as f64 / self.calls as f64
    }
}
