//! One resolved cell of a throughput suite: an operation at a shape, a kernel, and how it is measured.

use std::fmt;

use hitbench_kernels::info_nce::MAX_NEGATIVES;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// A cell: everything that decides what is measured and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelCell {
    /// Where kernels run: `cpu` or `cuda:0`.
    pub device: String,
    /// Operation and shape.
    #[serde(flatten)]
    pub work: Work,
    /// Kernel id, `auto` not resolved, or the name of an opponent.
    pub kernel: String,
    /// How it is measured.
    pub measure: MeasureConfig,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Rank counts of every query over a gallery.
    RankCounts,
    /// The k best gallery rows of every query.
    TopK,
    /// InfoNCE loss and query gradient of a batch against a queue.
    InfoNce,
    /// Momentum update of a list of tensors.
    EmaUpdate,
    /// Normalised keys written into a queue.
    Enqueue,
    /// One training step of the preset `tiny` on random pairs (feature `torch`).
    TrainStep,
}

impl Operation {
    /// Every operation, in the order in which they are listed.
    pub const ALL: [Self; 6] = [
        Self::RankCounts,
        Self::TopK,
        Self::InfoNce,
        Self::EmaUpdate,
        Self::Enqueue,
        Self::TrainStep,
    ];

    /// The name that suites and records use.
    pub fn name(self) -> &'static str {
        match self {
            Self::RankCounts => "rank_counts",
            Self::TopK => "top_k",
            Self::InfoNce => "info_nce",
            Self::EmaUpdate => "ema_update",
            Self::Enqueue => "enqueue",
            Self::TrainStep => "train_step",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An operation and its shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", content = "shape", rename_all = "snake_case")]
pub enum Work {
    /// [`Operation::RankCounts`].
    RankCounts(RankCountsShape),
    /// [`Operation::TopK`].
    TopK(TopKShape),
    /// [`Operation::InfoNce`].
    InfoNce(InfoNceShape),
    /// [`Operation::EmaUpdate`].
    EmaUpdate(EmaUpdateShape),
    /// [`Operation::Enqueue`].
    Enqueue(EnqueueShape),
    /// [`Operation::TrainStep`].
    TrainStep(TrainStepShape),
}

impl Work {
    /// The operation.
    pub fn operation(&self) -> Operation {
        match self {
            Self::RankCounts(_) => Operation::RankCounts,
            Self::TopK(_) => Operation::TopK,
            Self::InfoNce(_) => Operation::InfoNce,
            Self::EmaUpdate(_) => Operation::EmaUpdate,
            Self::Enqueue(_) => Operation::Enqueue,
            Self::TrainStep(_) => Operation::TrainStep,
        }
    }

    /// Sizes by name, in the order in which they are printed.
    pub fn sizes(&self) -> Map<String, Json> {
        match serde_json::to_value(self) {
            Ok(Json::Object(mut all)) => match all.remove("shape") {
                Some(Json::Object(sizes)) => sizes,
                _ => Map::new(),
            },
            _ => Map::new(),
        }
    }
}

/// Shape of `rank_counts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RankCountsShape {
    /// Query rows, of `rank_counts` and `top_k`.
    pub queries: u64,
    /// Gallery rows, of `rank_counts` and `top_k`.
    pub gallery: u64,
    /// Elements a row, of every operation with rows.
    pub dim: u64,
    /// 1 counts `t2v` only, 2 both directions in one call; of `rank_counts`.
    #[serde(default = "one_direction", skip_serializing_if = "is_one_direction")]
    pub directions: u64,
}

/// Default of `directions`.
pub(crate) fn one_direction() -> u64 {
    1
}

/// Whether `directions` need not be said.
fn is_one_direction(directions: &u64) -> bool {
    *directions == one_direction()
}

/// Shape of `top_k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopKShape {
    /// Query rows.
    pub queries: u64,
    /// Gallery rows.
    pub gallery: u64,
    /// Elements a row.
    pub dim: u64,
    /// Hits a query, at most `gallery`; of `top_k`.
    pub k: u64,
}

/// Shape of `info_nce`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InfoNceShape {
    /// Queries of `info_nce`, keys of `enqueue`, pairs of `train_step`.
    pub batch: u64,
    /// Rows of the queue, at least `batch`; 0 in `train_step` is end to end, without a queue.
    pub queue_len: u64,
    /// Elements a row.
    pub dim: u64,
}

/// Shape of `ema_update`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmaUpdateShape {
    /// Tensors of `ema_update`, of unequal sizes as in a transformer.
    pub tensors: u64,
    /// Elements of all tensors together, at least one a tensor; of `ema_update`.
    pub parameters: u64,
}

/// Shape of `enqueue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnqueueShape {
    /// Keys a call.
    pub batch: u64,
    /// Rows of the queue.
    pub queue_len: u64,
    /// Elements a row.
    pub dim: u64,
}

/// Shape of `train_step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainStepShape {
    /// Pairs a step.
    pub batch: u64,
    /// Tokens of every caption and every video; of `train_step`.
    pub tokens: u64,
    /// Rows of each queue, or 0.
    pub queue_len: u64,
}

/// How kernels are measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasureConfig {
    /// Processes that each measure everything once.
    pub processes: u64,
    /// Most samples a process and state of the caches; at least 3.
    pub samples: u64,
    /// Least time of all samples together; short calls are repeated within a sample to reach it. No sample but the
    /// third begins after four times as long.
    pub min_time_ms: u64,
    /// States in which calls begin, each measured and reported by itself: `warm`, `cold`, and on `cuda:0` `transfer`, the
    /// only one of `train_step` there.
    pub cache: Vec<Cache>,
    /// CPU threads of every kernel.
    pub threads: u64,
}

impl Default for MeasureConfig {
    fn default() -> Self {
        Self {
            processes: 5,
            samples: 20,
            min_time_ms: 500,
            cache: vec![Cache::Warm, Cache::Cold],
            threads: 2,
        }
    }
}

/// Where inputs are when a sample begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cache {
    /// Caches are as the call before left them.
    Warm,
    /// Other memory was read until nothing of the operation was left in the caches; one call a sample.
    Cold,
    /// In the memory of the host: calls on a GPU copy them there and the results back.
    Transfer,
}

/// Most rows of a queue and a batch together, so that a suite is refused before a kernel refuses it.
pub(crate) const MAX_KEYS: u64 = MAX_NEGATIVES as u64;
