//! One line of `measurements.jsonl`: what a throughput suite found out about one kernel at one shape. The samples
//! themselves are in `timing.csv`, what the machine can do at most in `peaks.json`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::run::AxisValues;

/// One cell of a throughput suite. The latest line with an id wins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasurementRecord {
    /// [`FORMAT`](super::FORMAT) when written.
    pub format: u32,
    /// Id in `timing.csv` and in the plan.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Hash of the cell, hex.
    pub cell_hash: String,
    /// Build that measured.
    pub build_id: String,
    /// Axis values of the cell.
    pub axis_values: AxisValues,
    /// Operation, such as `rank_counts`.
    pub operation: String,
    /// Sizes by name in the order in which they are printed, such as `queries`, `gallery`, `dim`.
    pub shape: Map<String, Value>,
    /// Concrete id of the kernel, never `auto`, or the name of an opponent such as `gemm/f32`.
    pub kernel: String,
    /// CPU threads it could use.
    pub threads: u64,
    /// What came of it.
    pub outcome: MeasurementOutcome,
}

impl MeasurementRecord {
    /// The result, if the kernel was timed.
    pub fn result(&self) -> Option<&MeasurementResult> {
        match &self.outcome {
            MeasurementOutcome::Ok { result } => Some(result),
            _ => None,
        }
    }
}

/// How the measurement of a cell ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum MeasurementOutcome {
    /// The kernel was right and was timed.
    Ok {
        /// What was measured.
        result: Box<MeasurementResult>,
    },
    /// The kernel gave wrong results and was not timed.
    Wrong {
        /// How wrong.
        accuracy: AccuracyRecord,
    },
    /// This machine or this build cannot run the kernel.
    Unavailable {
        /// Why.
        reason: String,
    },
    /// It stopped with an error.
    Failed {
        /// The chain of causes, one line each.
        error: String,
    },
}

/// Times of a kernel and what they mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasurementResult {
    /// What one call does.
    pub work: WorkRecord,
    /// How right it is; none for an opponent that computes only part of the operation.
    pub accuracy: Option<AccuracyRecord>,
    /// One entry a state of the caches, in the order of the suite.
    pub times: Vec<TimesRecord>,
    /// Most memory that any of the processes held.
    pub peak_memory_bytes: Option<u64>,
    /// The GPU in each process, in the order in which they ran, none where it does not tell; empty on the CPU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpu: Vec<Option<GpuStateRecord>>,
}

/// A GPU around the samples of a kernel in one process. What it does not tell is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuStateRecord {
    /// Clock of the multiprocessors in Hz, before the first sample and right after the last one.
    pub clock_hz: Option<[u64; 2]>,
    /// Clock of the memory in Hz, at the same times.
    pub memory_clock_hz: Option<[u64; 2]>,
    /// Power drawn right after the last sample, in watts.
    pub power_w: Option<f64>,
    /// Temperature then, in degrees Celsius.
    pub temperature_c: Option<u32>,
    /// What held clocks down at one of these times, in the words of the management library.
    pub throttled_by: Option<Vec<String>>,
}

/// What one call does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkRecord {
    /// Floating-point operations of the definition, a multiply-add as two; none where they were not counted.
    pub flops: Option<u64>,
    /// Bytes that must at least be read or written, each once; none where they were not counted.
    pub bytes: Option<u64>,
    /// What is processed, such as pairs of a query and a gallery row.
    pub items: u64,
    /// Name of the items, plural: `pairs`, `parameters`, `keys`.
    pub item: String,
}

/// The worst element of a kernel's results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccuracyRecord {
    /// Its difference to the reference.
    pub error: f64,
    /// What the documented tolerance allows it.
    pub tolerance: f64,
    /// Which element it is, and of which check.
    pub worst: String,
    /// How many results were compared.
    pub n_compared: u64,
}

/// Where inputs were when a sample began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheState {
    /// Caches were as the call before had left them.
    Warm,
    /// Everything was pushed out of the caches by reading other memory.
    Cold,
    /// In the memory of the host: calls copied them to the device and the results back.
    Transfer,
}

impl CacheState {
    /// Every state, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Warm, Self::Cold, Self::Transfer];

    /// `warm`, `cold` or `transfer`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
            Self::Transfer => "transfer",
        }
    }

    /// `warm caches`, `cold caches` or `with transfer`, for headings.
    pub fn words(self) -> &'static str {
        match self {
            Self::Warm => "warm caches",
            Self::Cold => "cold caches",
            Self::Transfer => "with transfer",
        }
    }
}

/// Times of one call in one state of the caches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimesRecord {
    /// State of the caches.
    pub cache: CacheState,
    /// Median over all samples.
    pub median_ns: f64,
    /// Median absolute deviation from that median.
    pub mad_ns: f64,
    /// Samples.
    pub n_samples: u64,
    /// Median of each process, in the order in which they ran.
    pub process_medians_ns: Vec<f64>,
}

/// Whether a kernel of this name, an id or that of an opponent, runs on a GPU, to which the peaks of the CPU say nothing.
pub fn is_on_gpu(kernel: &str) -> bool {
    kernel.split('/').any(|part| part == "cuda")
}

/// `peaks.json`: what the machine did at most, measured in the same run, process by process. Of CPU and GPU those are
/// measured that the suite has cells of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeaksRecord {
    /// [`FORMAT`](super::FORMAT) when written.
    pub format: u32,
    /// CPU threads that measured the CPU; 0 where it was not.
    pub threads: u64,
    /// The CPU: one entry a process, in the order in which they ran.
    pub processes: Vec<ProcessRecord>,
    /// The GPU, alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpu: Vec<GpuPeaksRecord>,
}

/// What one process found of the GPU before it measured kernels, on the device alone, by its own clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuPeaksRecord {
    /// Most floating-point operations a second of libtorch's product of large f16 matrices; none without libtorch.
    pub product_flops_per_s: Option<f64>,
    /// Most bytes read and written a second by copying memory much larger than the cache within the device.
    pub copy_bytes_per_s: f64,
}

/// What one process found of the machine before it measured kernels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Most multiply-adds in registers, f32, as floating-point operations a second.
    pub fma_flops_per_s: f64,
    /// Most bytes read and written a second by copying memory much larger than the caches.
    pub copy_bytes_per_s: f64,
    /// Clock of the first core before and after; none where the system does not tell.
    pub cpu_clock_hz: Option<[u64; 2]>,
    /// Load average of one minute before; none where the system does not tell.
    pub load_average: Option<f64>,
}
