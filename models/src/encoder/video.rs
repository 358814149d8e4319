//! The video tower: expert features as tokens (MMT's layout, by inference), then transformer layers.
//!
//! A token is its expert's feature, projected to the hidden size and L2-normalised, plus a position (time)
//! and an expert embedding, optionally a segment embedding; then layer norm and dropout. `[CLS]` is learned.

use tch::{Device, Tensor};

use super::dropout::dropout;
use super::layer::{Stack, Taps};
use super::{LayerNorm, Linear, Parameters, TokenLayout};
use crate::batch::VideoBatch;
use crate::config::{HitConfig, InputSpec};
use crate::error::ModelError;
use crate::hierarchy::{Levels, unit_rows};

/// Rows of the segment table: 0 tokens of the whole video (`[CLS]`, aggregated), 1 tokens of a segment.
const SEGMENTS: usize = 2;

#[derive(Debug)]
pub(super) struct VideoTower {
    projections: Vec<(usize, Linear)>,
    cls: Tensor,
    positions: Tensor,
    experts: Tensor,
    segments: Option<Tensor>,
    norm: LayerNorm,
    stack: Stack,
    max_positions: usize,
    dropout: f64,
    device: Device,
}

impl VideoTower {
    pub(super) fn new(
        parameters: &mut Parameters,
        config: &HitConfig,
        inputs: &InputSpec,
        device: Device,
    ) -> Result<Self, ModelError> {
        let tower = &config.video;
        let hidden = tower.hidden;
        let mut projections = Vec::with_capacity(inputs.experts.len());
        for expert in &inputs.experts {
            let name = format!("video.projections.{}", expert.name);
            projections.push((expert.dim, parameters.linear(&name, expert.dim, hidden)?));
        }
        let mut table =
            |name: &str, rows| parameters.table(&format!("video.embeddings.{name}"), rows, hidden);
        Ok(Self {
            projections,
            cls: table("cls_embedding", 1)?,
            positions: table("position_embeddings", tower.max_positions)?,
            experts: table("expert_embeddings", 1 + inputs.experts.len())?,
            segments: match config.video_input.segment_embedding {
                true => Some(table("segment_embeddings", SEGMENTS)?),
                false => None,
            },
            norm: parameters.layer_norm("video.embeddings.LayerNorm", hidden)?,
            stack: Stack::new(parameters, "video", tower)?,
            max_positions: tower.max_positions,
            dropout: tower.dropout,
            device,
        })
    }

    /// Tokens at the taps, and where they are.
    pub(super) fn forward(
        &self,
        batch: &VideoBatch,
        levels: Levels,
        train: bool,
    ) -> Result<(TokenLayout, Taps), ModelError> {
        let n_rows = self.check(batch)?;
        let layout = TokenLayout::new(&batch.lengths, batch.seq_len, self.device)?;

        // `[CLS]` and all rows of all experts: the table that `source_row` points into, one row later.
        // An expert without rows stays in the graph, so that its gradient is zero rather than missing.
        let mut sources = vec![self.cls.shallow_clone()];
        for (rows, (dim, projection)) in batch.experts.iter().zip(&self.projections) {
            let rows = Tensor::f_from_slice(&rows.features)?.f_reshape([-1, *dim as i64]);
            sources.push(unit_rows(&projection.forward(&rows?.f_to_device(self.device)?)?)?);
        }
        let sources = Tensor::f_cat(&sources, 0)?;

        let packed = Packed {
            batch,
            device: self.device,
        };
        let tokens = sources.f_index_select(
            0,
            &packed.indices("source row", &batch.source_row, 1..n_rows, |row| row - 1)?,
        )?;
        let positions = 0..self.max_positions as i64;
        let positions = packed.indices("position", &batch.position, positions, |position| position)?;
        let experts = 0..1 + self.projections.len() as i64;
        let experts = packed.indices("expert", &batch.expert, experts, |expert| expert)?;
        let mut tokens = tokens
            .f_add(&self.positions.f_index_select(0, &positions)?)?
            .f_add(&self.experts.f_index_select(0, &experts)?)?;
        if let Some(segments) = &self.segments {
            // Position 0 marks exactly the tokens of the whole video.
            let segment = packed.indices("position", &batch.position, 0..i64::MAX, |place| {
                i64::from(place > 0)
            })?;
            tokens = tokens.f_add(&segments.f_index_select(0, &segment)?)?;
        }
        let tokens = dropout(&self.norm.forward(&tokens)?, self.dropout, train)?;
        let taps = self.stack.forward(tokens, &layout, levels, train)?;
        Ok((layout, taps))
    }

    /// Checks the sizes; returns one past the last valid `source_row`.
    fn check(&self, batch: &VideoBatch) -> Result<i64, ModelError> {
        let places = batch.n_videos * batch.seq_len;
        ModelError::check_len("video lengths", batch.n_videos, batch.lengths.len())?;
        ModelError::check_len("source rows", places, batch.source_row.len())?;
        ModelError::check_len("positions", places, batch.position.len())?;
        ModelError::check_len("token experts", places, batch.expert.len())?;
        ModelError::check_len("experts", self.projections.len(), batch.experts.len())?;
        let mut n_rows = 2;
        for (rows, (dim, _)) in batch.experts.iter().zip(&self.projections) {
            ModelError::check_len("length of a feature row", *dim, rows.dim)?;
            if !rows.features.len().is_multiple_of(*dim) {
                let expected = format!("rows of {dim}");
                return Err(ModelError::shape(
                    "values of an expert",
                    expected,
                    rows.features.len(),
                ));
            }
            n_rows += (rows.features.len() / dim) as i64;
        }
        Ok(n_rows)
    }
}

/// Makes index tensors of a batch's tables, without padding.
struct Packed<'a> {
    batch: &'a VideoBatch,
    device: Device,
}

impl Packed<'_> {
    fn indices(
        &self,
        what: &str,
        table: &[i64],
        allowed: std::ops::Range<i64>,
        index: impl Fn(i64) -> i64,
    ) -> Result<Tensor, ModelError> {
        let mut indices = Vec::with_capacity(table.len());
        for (row, &length) in table.chunks_exact(self.batch.seq_len).zip(&self.batch.lengths) {
            if let Some(found) = row[..length].iter().find(|value| !allowed.contains(value)) {
                let expected = format!("{} to below {}", allowed.start, allowed.end);
                return Err(ModelError::shape(what, expected, found));
            }
            indices.extend(row[..length].iter().map(|&value| index(value)));
        }
        Ok(Tensor::f_from_slice(&indices)?.f_to_device(self.device)?)
    }
}
