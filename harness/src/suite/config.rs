//! One resolved configuration: everything that decides what a trial computes, but the seed.

use std::path::PathBuf;

pub use hitbench_models::TrainKernels;
use hitbench_models::config::LrFactors;
use hitbench_models::{HitConfig, MomentumConfig, TextConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::DataConfig;
pub use crate::metric::{CaptionRule, MedianRule, TieRule};
use crate::metric::{Protocol, Rules};

/// A cell: a complete configuration with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CellConfig {
    /// `cpu` or `cuda:N`; never guessed.
    pub device: String,
    /// Named protocol, or `custom`.
    pub protocol: String,
    /// Where the data comes from.
    pub data: DataConfig,
    /// The tokenizer.
    pub text: TextConfig,
    /// The model.
    pub model: HitConfig,
    /// The training loop.
    pub train: TrainConfig,
    /// Momentum encoders and queues.
    pub momentum: MomentumConfig,
    /// Evaluation.
    pub eval: EvalConfig,
}

/// The training loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Optimizer steps.
    pub steps: u64,
    /// Pairs a step.
    pub batch: usize,
    /// Update rule.
    pub optimizer: Optimizer,
    /// Peak learning rate.
    pub lr: f64,
    /// Factors on the learning rate by part of the model.
    pub lr_factors: LrFactors,
    /// Decoupled weight decay; needs `adamw` when above 0.
    pub weight_decay: f64,
    /// Learning rate over steps.
    pub schedule: Schedule,
    /// Pairs of an epoch of `schedule: epoch_decay`, whatever the data set's size. 32,000 as in MMT.
    pub epoch_pairs: u64,
    /// Factor of each epoch of `schedule: epoch_decay`. 0.95 as in MMT.
    pub epoch_factor: f64,
    /// Steps of linear warm-up before the schedule.
    pub warmup_steps: u64,
    /// Largest norm of the whole gradient; 0 does not clip.
    pub clip_grad_norm: f64,
    /// Who computes the InfoNCE terms, the momentum update and the queue writes: libtorch, or the kernels of this
    /// program (on `cpu` and `cuda:0`).
    pub kernels: TrainKernels,
    /// CPU threads of libtorch and of the kernels; part of the cell because libtorch's sums depend on it.
    pub threads: usize,
    /// Steps between checkpoints, from which a stopped trial resumes.
    pub checkpoint_every: u64,
    /// Steps between rows of the curves file.
    pub log_every: u64,
    /// Weights that training begins with: a file that `run --keep-weights` wrote, or a folder with a checkpoint's
    /// `query.safetensors`. Experts may differ; what the file lacks of them begins as drawn.
    pub init_from: Option<PathBuf>,
    /// What stands for the text of a training video in a step.
    pub captions: CaptionChoice,
    /// Pairs each caption with a video drawn at random: a control that must end at chance.
    pub shuffle_pairs: bool,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 300,
            batch: 64,
            optimizer: Optimizer::Adam,
            lr: 3e-4,
            lr_factors: LrFactors::default(),
            weight_decay: 0.0,
            schedule: Schedule::Constant,
            epoch_pairs: 32_000,
            epoch_factor: 0.95,
            warmup_steps: 0,
            clip_grad_norm: 0.0,
            kernels: TrainKernels::Libtorch,
            threads: 2,
            checkpoint_every: 100,
            log_every: 10,
            init_from: None,
            captions: CaptionChoice::Random,
            shuffle_pairs: false,
        }
    }
}

/// What stands for the text of a training video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaptionChoice {
    /// One of its captions, drawn anew each time.
    Random,
    /// All of its captions, one after another.
    Joined,
}

/// Update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// Learning rate over steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Stays at the peak.
    Constant,
    /// Half a cosine from the peak to zero at the last step.
    Cosine,
    /// Times `epoch_factor` after every `epoch_pairs` pairs (MMT).
    EpochDecay,
}

/// Evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvalConfig {
    /// Kernel that counts ranks.
    pub kernel: String,
    /// Tie rule of the headline numbers.
    pub ties: TieRule,
    /// How several captions of a video count in `v2t`.
    pub captions: CaptionRule,
    /// Median of an even number of ranks.
    pub median: MedianRule,
    /// Cut-offs of R@K, ascending.
    pub recall_at: Vec<u64>,
    /// Bootstrap resamples of the confidence intervals.
    pub resamples: usize,
}

impl EvalConfig {
    /// Defaults under a protocol, whose rules they take.
    pub fn of(protocol: Protocol) -> Self {
        let Rules {
            ties,
            captions,
            median,
            recall_at,
        } = protocol.rules();
        Self {
            kernel: "cpu/auto/f32".to_owned(),
            ties,
            captions,
            median,
            recall_at,
            resamples: 1000,
        }
    }
}
