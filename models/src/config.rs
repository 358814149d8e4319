//! Everything that decides what the model is. Plain structs; `validate` names field, value and range.
//!
//! "By inference" marks values that no readable source of the HiT paper states (arXiv 2103.15049).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod preset;
mod validate;

pub use validate::ConfigError;

/// A named set of defaults for [`HitConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Same structure as `paper`, sized so that two CPU cores train it in seconds.
    Tiny,
    /// Video 4 layers x 512, 4 heads, FFN 3072; text BERT-base with 12 layers.
    Paper,
}

/// Which levels enter the loss and the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hierarchy {
    /// Last layers only.
    Semantic,
    /// First layers only.
    Feature,
    /// Both, weighted by [`LevelWeights`].
    Both,
}

/// How token embeddings of a tap become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Mean over valid tokens. Default by inference: the sources say "pooling of all token embeddings".
    Mean,
    /// Maximum over valid tokens.
    Max,
    /// The first token.
    Cls,
}

/// Sizes of one transformer tower (post-LN, GELU, layer-norm epsilon 1e-12, as BERT).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TowerConfig {
    /// Transformer layers.
    pub layers: usize,
    /// Hidden size.
    pub hidden: usize,
    /// Attention heads; must divide `hidden`.
    pub heads: usize,
    /// Inner size of the feed-forward block.
    pub ffn: usize,
    /// Dropout of embeddings, attention outputs and feed-forward outputs, in `[0, 1)`.
    pub dropout: f64,
    /// Dropout of attention probabilities, in `[0, 1)`.
    pub attention_dropout: f64,
    /// Tap of the feature level: output of this layer, counted from 1.
    pub feature_tap: usize,
    /// Tap of the semantic level: output of this layer, counted from 1.
    pub semantic_tap: usize,
    /// Rows of the position table: text positions, or video time indices (0 none, 1 unknown, else
    /// `floor(mean seconds + 2)`, clamped).
    pub max_positions: usize,
}

/// Settings of the video tower beyond its sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VideoInputConfig {
    /// Most feature tokens of one expert (its aggregated token not counted). 30 by inference (MMT).
    pub max_expert_tokens: usize,
    /// Adds a BERT-style segment embedding as well as the validity mask. Off by inference: the sources'
    /// "segment mask" is read as the validity mask.
    pub segment_embedding: bool,
    /// Whether an expert that has nothing on a video still has a token there. `drop` by inference (MMT masks it).
    pub missing_experts: MissingExperts,
}

/// What stands for an expert that has nothing on a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingExperts {
    /// Nothing: no token.
    Drop,
    /// Its aggregated token, projected from a row of zeros.
    Keep,
}

/// Weights of the two levels in the loss and in the test score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelWeights {
    /// Of the two semantic terms. 1 by inference.
    pub semantic: f64,
    /// Of the two feature terms. 1 by inference.
    pub feature: f64,
}

/// The HiT model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HitConfig {
    /// Where the other values come from when a suite does not set them.
    pub preset: Preset,
    /// Levels in loss and score.
    pub hierarchy: Hierarchy,
    /// Size of the shared space; one linear head a tower and level leads there. 512 by inference.
    pub embed_dim: usize,
    /// Token pooling at every tap.
    pub pooling: Pooling,
    /// Video tower. 4 layers from the sources, sizes by inference (MMT).
    pub video: TowerConfig,
    /// Text tower. 12 BERT layers from the sources.
    pub text: TowerConfig,
    /// Video tokens.
    pub video_input: VideoInputConfig,
    /// Most text tokens with `[CLS]` and `[SEP]`. 30 by inference (MMT).
    pub max_text_tokens: usize,
    /// Level weights.
    pub level_weights: LevelWeights,
    /// Whether dropout is active in the key encoders while training. On by inference (MoCo, ALBEF code).
    pub key_dropout: bool,
}

/// Factors on the learning rate by part of the model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LrFactors {
    /// Of the text tower.
    pub text: f64,
    /// Of the video tower.
    pub video: f64,
    /// Of the heads that lead into the shared space.
    pub heads: f64,
}

impl Default for LrFactors {
    fn default() -> Self {
        Self {
            text: 1.0,
            video: 1.0,
            heads: 1.0,
        }
    }
}

impl LrFactors {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ConfigError`] with a path relative to the section.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let fields = [("text", self.text), ("video", self.video), ("heads", self.heads)];
        match fields
            .iter()
            .find(|(_, factor)| !(factor.is_finite() && *factor >= 0.0))
        {
            None => Ok(()),
            Some((path, factor)) => Err(ConfigError {
                path: (*path).to_owned(),
                value: factor.to_string(),
                allowed: "at least 0".to_owned(),
            }),
        }
    }

    /// The factor of the parameter of this name.
    pub fn of(&self, parameter: &str) -> f64 {
        match parameter.split('.').next() {
            Some("text") => self.text,
            Some("video") => self.video,
            _ => self.heads,
        }
    }
}

/// Storage type of queue entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueDtype {
    /// Half precision; libtorch upcasts on read.
    F16,
    /// Single precision.
    F32,
}

/// Momentum encoders and queues. Defaults by inference from MoCo (arXiv 1911.05722); HiT's own values are
/// in no readable source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MomentumConfig {
    /// Keys kept as negatives, `K` in the papers; 0 is the end-to-end baseline without key encoders.
    pub queue_len: usize,
    /// `m` in `key = m * key + (1 - m) * query`, in `[0, 1)`.
    pub momentum: f64,
    /// `T > 0` in `logits = cosine / T`.
    pub temperature: f64,
    /// Uses the other keys of the batch as negatives too (ALBEF does, MoCo does not).
    pub in_batch_negatives: bool,
    /// Removes queue entries of the query's own video from its negatives.
    pub mask_same_video: bool,
    /// Storage of the queues.
    pub queue_dtype: QueueDtype,
}

/// Who computes what the operations of `hitbench-kernels` cover of a training step: the InfoNCE terms, the
/// momentum update and the queue writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrainKernels {
    /// libtorch operations and its autograd.
    Libtorch,
    /// Our fused kernels, `cpu/auto/f16` or `cpu/auto/f32` after the queues' storage type on the CPU,
    /// `cuda/sm80/f16` on the first GPU.
    Custom,
}

impl TrainKernels {
    /// Checks that there are such kernels on `device`.
    ///
    /// # Errors
    /// [`ConfigError`] for `kernels`.
    pub fn validate_device(self, device: &str) -> Result<(), ConfigError> {
        match self {
            Self::Custom if !["cpu", "cuda:0"].contains(&device) => Err(ConfigError {
                path: "kernels".to_owned(),
                value: "`custom`".to_owned(),
                allowed: "`libtorch`, as `device` is neither `cpu` nor `cuda:0`".to_owned(),
            }),
            Self::Libtorch | Self::Custom => Ok(()),
        }
    }
}

/// One expert: a stream of features of one dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpertSpec {
    /// Name, unique; experts are kept in alphabetical order.
    pub name: String,
    /// Length of a feature row.
    pub dim: usize,
}

/// What the data decides about the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Experts in alphabetical order.
    pub experts: Vec<ExpertSpec>,
    /// Rows of the word embedding table.
    pub vocab_size: usize,
}
