//! Which cells of a throughput suite are possible.

use std::fmt::Display;
use std::str::FromStr;

use hitbench_kernels::KernelId;
use hitbench_kernels::id::LibtorchDevice;
use hitbench_models::ConfigError;

use super::kernel_cell::{Cache, KernelCell, MAX_KEYS, MeasureConfig, TrainStepShape, Work};
use crate::measure::{MATMUL, OPPONENTS};

/// Devices with kernels of ours.
const DEVICES: [&str; 2] = ["cpu", "cuda:0"];

/// Most elements of one matrix or list of tensors: a slip of a digit should not end in an empty machine.
const MAX_ELEMENTS: u64 = 1 << 34;
/// Most rows that an index of 32 bits counts.
const MAX_ROWS: u64 = u32::MAX as u64;
/// Most tokens of the preset `tiny`, its table of positions.
const MAX_TOKENS: u64 = 128;
/// Fewest samples that have a median and a spread.
const MIN_SAMPLES: u64 = 3;

fn refuse(path: &str, value: impl Display, allowed: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError {
        path: path.to_owned(),
        value: value.to_string(),
        allowed: allowed.into(),
    })
}

fn within(path: &str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        refuse(path, value, format!("{least} to {most}"))
    }
}

/// `rows` rows of `dim` elements, both at least 1.
fn matrix(rows_path: &str, rows: u64, dim: u64) -> Result<(), ConfigError> {
    within(rows_path, rows, 1, MAX_ROWS)?;
    within("shape.dim", dim, 1, 1 << 20)?;
    if rows * dim > MAX_ELEMENTS {
        return refuse(
            rows_path,
            rows,
            format!("at most {}, as `shape.dim` is {dim}", MAX_ELEMENTS / dim),
        );
    }
    Ok(())
}

/// A queue that takes a batch.
fn queue(queue_len: u64, batch: u64) -> Result<(), ConfigError> {
    if queue_len < batch {
        return refuse(
            "shape.queue_len",
            queue_len,
            format!("at least {batch} (`shape.batch`)"),
        );
    }
    if queue_len + batch > MAX_KEYS {
        return refuse(
            "shape.queue_len",
            queue_len,
            format!(
                "at most {} with a `shape.batch` of {batch}",
                MAX_KEYS - batch.min(MAX_KEYS)
            ),
        );
    }
    Ok(())
}

impl KernelCell {
    /// Checks every value, and values against each other; the first impossible one is the error.
    ///
    /// # Errors
    /// [`ConfigError`] with the full dotted path.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !DEVICES.contains(&&*self.device) {
            let allowed = "`cpu` or `cuda:0`, the devices with kernels of ours";
            return refuse("device", format!("`{}`", self.device), allowed);
        }
        let id = KernelId::from_str(&self.kernel);
        if id.is_err() && !OPPONENTS.contains(&&*self.kernel) {
            return refuse("kernel", &self.kernel, "a kernel id or the name of an opponent");
        }
        let on_gpu = id.map_or(self.kernel == MATMUL, is_on_gpu);
        if on_gpu != self.is_on_gpu() {
            let kind = if on_gpu { "CPU" } else { "GPU" };
            let allowed = format!("a kernel of the {kind}, as `device` is {}", self.device);
            return refuse("kernel", &self.kernel, allowed);
        }
        self.work.validate()?;
        self.measure.validate(self)
    }

    /// Whether calls in a state find their inputs in the memory of a GPU.
    pub(crate) fn is_held(&self, cache: Cache) -> bool {
        self.is_on_gpu() && cache != Cache::Transfer
    }

    /// Whether there is such a state among those of the cell.
    pub(crate) fn is_ever_held(&self) -> bool {
        self.measure.cache.iter().any(|cache| self.is_held(*cache))
    }

    /// Whether kernels run on a GPU.
    pub(crate) fn is_on_gpu(&self) -> bool {
        self.device != "cpu"
    }
}

fn is_on_gpu(id: KernelId) -> bool {
    matches!(
        id,
        KernelId::Cuda { .. }
            | KernelId::Libtorch {
                device: LibtorchDevice::Cuda,
                ..
            }
    )
}

impl Work {
    fn validate(&self) -> Result<(), ConfigError> {
        match *self {
            Self::RankCounts(shape) => {
                matrix("shape.queries", shape.queries, shape.dim)?;
                matrix("shape.gallery", shape.gallery, shape.dim)?;
                within("shape.directions", shape.directions, 1, 2)
            }
            Self::TopK(shape) => {
                matrix("shape.queries", shape.queries, shape.dim)?;
                matrix("shape.gallery", shape.gallery, shape.dim)?;
                if !(1..=shape.gallery).contains(&shape.k) {
                    return refuse(
                        "shape.k",
                        shape.k,
                        format!("1 to {} (`shape.gallery`)", shape.gallery),
                    );
                }
                Ok(())
            }
            Self::InfoNce(shape) => {
                matrix("shape.batch", shape.batch, shape.dim)?;
                queue(shape.queue_len, shape.batch)
            }
            Self::EmaUpdate(shape) => {
                within("shape.tensors", shape.tensors, 1, 1 << 20)?;
                if !(shape.tensors..=MAX_ELEMENTS).contains(&shape.parameters) {
                    let allowed = format!("{} (`shape.tensors`) to {MAX_ELEMENTS}", shape.tensors);
                    return refuse("shape.parameters", shape.parameters, allowed);
                }
                Ok(())
            }
            Self::Enqueue(shape) => {
                matrix("shape.batch", shape.batch, shape.dim)?;
                matrix("shape.queue_len", shape.queue_len, shape.dim)?;
                queue(shape.queue_len, shape.batch)
            }
            Self::TrainStep(shape) => shape.validate(),
        }
    }
}

impl TrainStepShape {
    fn validate(&self) -> Result<(), ConfigError> {
        within("shape.batch", self.batch, 1, 1 << 16)?;
        within("shape.tokens", self.tokens, 2, MAX_TOKENS)?;
        if self.queue_len > 0 {
            return queue(self.queue_len, self.batch);
        }
        if self.batch < 2 {
            let allowed = "at least 2 where `shape.queue_len` is 0, as negatives come from the batch";
            return refuse("shape.batch", self.batch, allowed);
        }
        Ok(())
    }
}

impl MeasureConfig {
    fn validate(&self, cell: &KernelCell) -> Result<(), ConfigError> {
        within("measure.processes", self.processes, 1, 1000)?;
        within("measure.samples", self.samples, MIN_SAMPLES, 100_000)?;
        within("measure.min_time_ms", self.min_time_ms, 1, 3_600_000)?;
        within("measure.threads", self.threads, 1, 1024)?;
        let twice = (1..self.cache.len()).any(|index| self.cache[..index].contains(&self.cache[index]));
        let can_hold = !matches!(cell.work, Work::TrainStep(_));
        let is_possible = |cache: &Cache| match cache {
            Cache::Transfer => cell.is_on_gpu(),
            Cache::Warm | Cache::Cold => can_hold || !cell.is_on_gpu(),
        };
        if self.cache.is_empty() || twice || !self.cache.iter().all(is_possible) {
            let shown = serde_json::to_string(&self.cache).expect("names are plain data");
            let allowed = match (cell.is_on_gpu(), can_hold) {
                (true, true) => "`warm`, `cold`, `transfer` or some of them, each once",
                (true, false) => "`transfer`, as `device` is `cuda:0`",
                (false, _) => "`warm`, `cold` or both, each once",
            };
            return refuse("measure.cache", shown, allowed);
        }
        Ok(())
    }
}
