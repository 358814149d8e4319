//! HCM: the four InfoNCE terms of two levels and two directions (HiT, arXiv 2103.15049, as `loss` has them).
//!
//! A query of one modality meets keys of the other at the same level: `t2v` sets captions against video
//! keys and the video bank, `v2t` videos against caption keys and the caption bank. In which order the terms
//! are weighted is by inference: `l_s (semantic t2v + semantic v2t) + l_f (feature t2v + feature v2t)`.

use tch::Tensor;

use crate::config::LevelWeights;
use crate::error::ModelError;
use crate::hierarchy::{LevelEmbeddings, Levels};
use crate::loss::{Negatives, TermRows};
use crate::momentum::MomentumQueue;
use crate::step_kernels::StepKernels;

/// Where in the towers a vector is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The last layer.
    Semantic,
    /// The first layer.
    Feature,
}

impl Level {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Semantic => "semantic",
            Self::Feature => "feature",
        }
    }

    /// The levels chosen in `levels`, the semantic one first.
    pub fn chosen(levels: Levels) -> impl Iterator<Item = Self> {
        [(Self::Semantic, levels.semantic), (Self::Feature, levels.feature)]
            .into_iter()
            .filter_map(|(level, chosen)| chosen.then_some(level))
    }
}

/// What a vector describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modality {
    /// A caption.
    Text,
    /// A video.
    Video,
}

impl Modality {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Video => "video",
        }
    }
}

/// Rows of the two modalities of a batch, row `i` of one belonging to row `i` of the other.
#[derive(Debug, Clone, Copy)]
pub struct PairRows<'a> {
    /// Rows of the captions.
    pub text: &'a LevelEmbeddings,
    /// Rows of the videos.
    pub video: &'a LevelEmbeddings,
}

impl<'a> PairRows<'a> {
    /// The rows `[batch, embed_dim]` of one level and modality.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when they were not computed.
    pub fn of(&self, level: Level, modality: Modality) -> Result<&'a Tensor, ModelError> {
        let embeddings = match modality {
            Modality::Text => self.text,
            Modality::Video => self.video,
        };
        let rows = match level {
            Level::Feature => embeddings.feature.as_ref(),
            Level::Semantic => embeddings.semantic.as_ref(),
        };
        rows.ok_or_else(|| ModelError::shape("rows of a trained level", level.name(), "nothing"))
    }
}

/// The weighted sum of the terms.
#[derive(Debug)]
pub struct HcmLoss {
    /// A scalar with its graph.
    pub total: Tensor,
    /// Names of the terms, such as `semantic_t2v`.
    pub names: Vec<&'static str>,
    /// Without graph, `[n_terms, 4]`: the terms' summaries as [`crate::loss::Term`] has them.
    pub summaries: Tensor,
}

/// What the terms are computed from.
#[derive(Debug, Clone, Copy)]
pub struct HcmInputs<'a> {
    /// Rows of the query encoders, with their graph.
    pub query: PairRows<'a>,
    /// Rows of the key encoders, or `query` again for end-to-end training.
    pub keys: PairRows<'a>,
    /// The banks, if keys are kept.
    pub queue: Option<&'a MomentumQueue>,
    /// What counts as a negative.
    pub negatives: &'a Negatives<'a>,
    /// Levels that enter the loss.
    pub levels: Levels,
    /// Their weights.
    pub weights: &'a LevelWeights,
    /// `T` in `logits = cosine / T`.
    pub temperature: f64,
}

/// Computes the terms of the chosen levels with `kernels`.
///
/// # Errors
/// [`ModelError`] when a chosen level has no rows or a term cannot be computed.
pub fn hcm_loss(kernels: &dyn StepKernels, inputs: &HcmInputs<'_>) -> Result<HcmLoss, ModelError> {
    let (mut names, mut weights, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for level in Level::chosen(inputs.levels) {
        for (from, to) in [
            (Modality::Text, Modality::Video),
            (Modality::Video, Modality::Text),
        ] {
            names.push(match (level, from) {
                (Level::Semantic, Modality::Text) => "semantic_t2v",
                (Level::Semantic, Modality::Video) => "semantic_v2t",
                (Level::Feature, Modality::Text) => "feature_t2v",
                (Level::Feature, Modality::Video) => "feature_v2t",
            });
            weights.push(match level {
                Level::Semantic => inputs.weights.semantic,
                Level::Feature => inputs.weights.feature,
            });
            rows.push(TermRows {
                query: inputs.query.of(level, from)?,
                keys: inputs.keys.of(level, to)?,
                bank: inputs.queue.map(|queue| queue.bank(level, to)).transpose()?,
            });
        }
    }
    let terms = kernels.info_nce(&rows, inputs.negatives, inputs.temperature)?;
    let mut total: Option<Tensor> = None;
    for (term, weight) in terms.iter().zip(weights) {
        let weighted = term.loss.f_mul_scalar(weight)?;
        total = Some(match total {
            Some(total) => total.f_add(&weighted)?,
            None => weighted,
        });
    }
    let total = total.ok_or_else(|| ModelError::shape("levels of the loss", "at least one", "none"))?;
    let summaries: Vec<_> = terms.iter().map(|term| &term.summary).collect();
    Ok(HcmLoss {
        total,
        names,
        summaries: Tensor::f_stack(&summaries, 0)?,
    })
}
