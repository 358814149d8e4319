//! The text tower: BERT's embeddings and layers, with BERT's tensor names, without its pooler.

use tch::{Device, Tensor};

use super::dropout::dropout;
use super::layer::{Stack, Taps};
use super::{LayerNorm, Parameters, TokenLayout};
use crate::batch::TextBatch;
use crate::config::TowerConfig;
use crate::error::ModelError;
use crate::hierarchy::Levels;

/// Rows of BERT's token-type table; captions are all of type 0.
const TOKEN_TYPES: usize = 2;

#[derive(Debug)]
pub(super) struct TextTower {
    words: Tensor,
    positions: Tensor,
    token_types: Tensor,
    norm: LayerNorm,
    stack: Stack,
    vocab_size: usize,
    max_positions: usize,
    dropout: f64,
    device: Device,
}

impl TextTower {
    pub(super) fn new(
        parameters: &mut Parameters,
        config: &TowerConfig,
        vocab_size: usize,
        device: Device,
    ) -> Result<Self, ModelError> {
        let hidden = config.hidden;
        Ok(Self {
            words: parameters.table("text.embeddings.word_embeddings", vocab_size, hidden)?,
            positions: parameters.table(
                "text.embeddings.position_embeddings",
                config.max_positions,
                hidden,
            )?,
            token_types: parameters.table("text.embeddings.token_type_embeddings", TOKEN_TYPES, hidden)?,
            norm: parameters.layer_norm("text.embeddings.LayerNorm", hidden)?,
            stack: Stack::new(parameters, "text", config)?,
            vocab_size,
            max_positions: config.max_positions,
            dropout: config.dropout,
            device,
        })
    }

    /// Tokens at the taps, and where they are.
    pub(super) fn forward(
        &self,
        batch: &TextBatch,
        levels: Levels,
        train: bool,
    ) -> Result<(TokenLayout, Taps), ModelError> {
        self.check(batch)?;
        let layout = TokenLayout::new(&batch.lengths, batch.seq_len, self.device)?;
        let mut ids = Vec::with_capacity(batch.token_ids.len());
        let mut places = Vec::with_capacity(batch.token_ids.len());
        for (row, &length) in batch.token_ids.chunks_exact(batch.seq_len).zip(&batch.lengths) {
            ids.extend_from_slice(&row[..length]);
            places.extend(0..length as i64);
        }
        let vocab = 0..self.vocab_size as i64;
        if let Some(id) = ids.iter().find(|id| !vocab.contains(id)) {
            return Err(ModelError::shape("token id", format!("below {}", vocab.end), id));
        }
        let select = |table: &Tensor, rows: &[i64]| -> Result<Tensor, ModelError> {
            Ok(table.f_index_select(0, &Tensor::f_from_slice(rows)?.f_to_device(self.device)?)?)
        };
        let tokens = select(&self.words, &ids)?
            .f_add(&self.token_types.f_narrow(0, 0, 1)?)?
            .f_add(&select(&self.positions, &places)?)?;
        let tokens = dropout(&self.norm.forward(&tokens)?, self.dropout, train)?;
        let taps = self.stack.forward(tokens, &layout, levels, train)?;
        Ok((layout, taps))
    }

    fn check(&self, batch: &TextBatch) -> Result<(), ModelError> {
        ModelError::check_len("caption lengths", batch.n_texts, batch.lengths.len())?;
        ModelError::check_len("token ids", batch.n_texts * batch.seq_len, batch.token_ids.len())?;
        if batch.seq_len > self.max_positions {
            let expected = format!("at most {}", self.max_positions);
            return Err(ModelError::shape("tokens of a caption", expected, batch.seq_len));
        }
        Ok(())
    }
}
