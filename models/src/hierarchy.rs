//! The two levels: which are asked for, and the heads that lead them into the shared space.

use tch::Tensor;

use crate::config::{Hierarchy, HitConfig};
use crate::encoder::{Linear, Parameters};
use crate::error::ModelError;

/// Smallest norm by which a row is divided.
const NORM_FLOOR: f64 = 1e-12;

/// The levels wanted; towers run no further than these need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// Outputs of the feature taps.
    pub feature: bool,
    /// Outputs of the semantic taps.
    pub semantic: bool,
}

impl From<Hierarchy> for Levels {
    fn from(hierarchy: Hierarchy) -> Self {
        Self {
            feature: hierarchy != Hierarchy::Semantic,
            semantic: hierarchy != Hierarchy::Feature,
        }
    }
}

/// Embeddings of one modality, `[batch, embed_dim]` with unit rows, at the levels asked for.
#[derive(Debug)]
pub struct LevelEmbeddings {
    /// Feature level.
    pub feature: Option<Tensor>,
    /// Semantic level.
    pub semantic: Option<Tensor>,
}

/// The two heads of a tower: one linear a level, then L2 norm (by inference).
#[derive(Debug)]
pub(crate) struct TowerHeads {
    feature: Linear,
    semantic: Linear,
}

impl TowerHeads {
    /// Heads named `heads.TOWER.feature` and `heads.TOWER.semantic`.
    pub(crate) fn new(
        parameters: &mut Parameters,
        tower: &str,
        hidden: usize,
        config: &HitConfig,
    ) -> Result<Self, ModelError> {
        let mut head = |level| parameters.linear(&format!("heads.{tower}.{level}"), hidden, config.embed_dim);
        Ok(Self {
            feature: head("feature")?,
            semantic: head("semantic")?,
        })
    }

    /// Pooled taps `[batch, hidden]` to embeddings.
    pub(crate) fn embed(
        &self,
        feature: Option<Tensor>,
        semantic: Option<Tensor>,
    ) -> Result<LevelEmbeddings, ModelError> {
        let embed = |head: &Linear, pooled: Option<Tensor>| {
            pooled
                .map(|pooled| unit_rows(&head.forward(&pooled)?))
                .transpose()
        };
        Ok(LevelEmbeddings {
            feature: embed(&self.feature, feature)?,
            semantic: embed(&self.semantic, semantic)?,
        })
    }
}

/// Rows divided by their L2 norm; a row of zeros stays as it is.
pub(crate) fn unit_rows(rows: &Tensor) -> Result<Tensor, ModelError> {
    let norm = rows
        .f_norm_scalaropt_dim(2, [-1], true)?
        .f_clamp_min(NORM_FLOOR)?;
    Ok(rows.f_div(&norm)?)
}
