//! What a trainer is built from and what it hands out: plain values, free of libtorch.

use serde::{Deserialize, Serialize};

use crate::config::{HitConfig, InputSpec, MomentumConfig, TrainKernels};
use crate::optimizer::OptimizerConfig;

/// Everything that decides what a trainer computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerSpec {
    /// The model.
    pub model: HitConfig,
    /// Momentum encoders and queues.
    pub momentum: MomentumConfig,
    /// What the data decides.
    pub inputs: InputSpec,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// Who computes the InfoNCE terms, the momentum update and the queue writes.
    pub kernels: TrainKernels,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// CPU threads of libtorch and of the kernels, at least 1.
    pub threads: usize,
    /// Seed of the trial: initial weights, dropout, random queue entries.
    pub seed: u64,
}

/// What a training step says about itself. Means over several terms weigh them equally.
#[derive(Debug, Clone, PartialEq)]
pub struct StepStats {
    /// Weighted sum of the terms, before the update.
    pub loss: f64,
    /// Loss of each term by name: `semantic_t2v`, `semantic_v2t`, `feature_t2v`, `feature_v2t`, as trained.
    pub terms: Vec<(&'static str, f64)>,
    /// Share of the queue's entries that are of their query's own video, over all queries, before masking. Random
    /// entries are not counted; 0 without any other.
    pub same_video_rate: f64,
    /// Share of the queries that have at least one such entry.
    pub same_video_queries: f64,
    /// Mean age of the queue's real entries in steps; one of the step before has age 1. None without any.
    pub queue_age_mean: Option<f64>,
    /// Mean cosine between stored keys and their fresh encodings, where it was measured in this step; see
    /// [`crate::momentum::drift`].
    pub key_drift: Option<f64>,
    /// Norm of the whole gradient before clipping.
    pub grad_norm: f64,
    /// Mean cosine of the positives.
    pub positive_mean: f64,
    /// Mean cosine of the negatives left by the mask, random queue entries included; none if there are none.
    pub negative_mean: Option<f64>,
    /// Share of the queries whose positive scores above all their negatives.
    pub hit_rate: f64,
}

/// Unit rows of the trained levels, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelRows {
    /// Rows a level.
    pub n_rows: usize,
    /// Length of a row.
    pub dim: usize,
    /// Feature level `[n_rows, dim]`; none if not trained.
    pub feature: Option<Vec<f32>>,
    /// Semantic level `[n_rows, dim]`; none if not trained.
    pub semantic: Option<Vec<f32>>,
}
