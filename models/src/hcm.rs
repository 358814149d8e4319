//! HCM: the four InfoNCE terms of two levels and two directions (HiT, arXiv 2103.15049, as `loss` has them).
//!
//! A query of one modality meets keys of the other at the same level: `t2v` sets captions against video
//! keys and the video bank, `v2t` videos against caption keys and the caption bank. In which order the terms
//! are weighted is by inference: `l_s (semantic t2v + semantic v2t) + l_f (feature t2v + feature v2t)`.

use tch::Tensor;

use crate::config::LevelWeights;
use crate::error::ModelError;
use crate::hierarchy::{LevelEmbeddings, Levels};
use crate::loss::{Negatives, info_nce};
use crate::momentum::MomentumQueue;

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

/// Computes the terms of the chosen levels.
///
/// `keys` are the rows of the key encoders, or `query` again for end-to-end training.
///
/// # Errors
/// [`ModelError`] when a chosen level has no rows or libtorch fails.
pub fn hcm_loss(
    query: PairRows<'_>,
    keys: PairRows<'_>,
    queue: Option<&MomentumQueue>,
    negatives: &Negatives,
    levels: Levels,
    weights: &LevelWeights,
    temperature: f64,
) -> Result<HcmLoss, ModelError> {
    let mut names = Vec::new();
    let mut summaries = Vec::new();
    let mut total: Option<Tensor> = None;
    for level in Level::chosen(levels) {
        let weight = match level {
            Level::Semantic => weights.semantic,
            Level::Feature => weights.feature,
        };
        for (from, to) in [
            (Modality::Text, Modality::Video),
            (Modality::Video, Modality::Text),
        ] {
            let bank = queue.map(|queue| queue.rows(level, to)).transpose()?;
            let term = info_nce(
                query.of(level, from)?,
                keys.of(level, to)?,
                bank.as_ref(),
                negatives,
                temperature,
            )?;
            let weighted = term.loss.f_mul_scalar(weight)?;
            total = Some(match total {
                Some(total) => total.f_add(&weighted)?,
                None => weighted,
            });
            summaries.push(term.summary);
            names.push(match (level, from) {
                (Level::Semantic, Modality::Text) => "semantic_t2v",
                (Level::Semantic, Modality::Video) => "semantic_v2t",
                (Level::Feature, Modality::Text) => "feature_t2v",
                (Level::Feature, Modality::Video) => "feature_v2t",
            });
        }
    }
    let total = total.ok_or_else(|| ModelError::shape("levels of the loss", "at least one", "none"))?;
    Ok(HcmLoss {
        total,
        names,
        summaries: Tensor::f_stack(&summaries, 0)?,
    })
}
