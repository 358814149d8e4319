//! Key encoders: copies of the query encoders that follow them slowly and get no gradient.

use tch::{Device, Tensor};

use crate::batch::PairBatch;
use crate::encoder::DualEncoder;
use crate::error::ModelError;
use crate::hierarchy::{LevelEmbeddings, Levels};
use crate::parameters::FlatParameters;
use crate::step_kernels::StepKernels;

/// The key side of both towers, heads included.
#[derive(Debug)]
pub struct KeyEncoder {
    encoder: DualEncoder,
    parameters: FlatParameters,
    momentum: f64,
    dropout: bool,
}

impl KeyEncoder {
    /// Makes `encoder` a copy of `query` that follows the parameters in `followed`; the others take no part
    /// in training and stay equal.
    ///
    /// With `dropout`, keys are encoded in training mode.
    ///
    /// # Errors
    /// [`ModelError`] when the two encoders differ in their variables or libtorch fails.
    pub fn new(
        encoder: DualEncoder,
        query: &DualEncoder,
        followed: &FlatParameters,
        momentum: f64,
        dropout: bool,
        device: Device,
    ) -> Result<Self, ModelError> {
        encoder.copy_from(query)?;
        encoder.set_requires_grad(false)?;
        let parameters = FlatParameters::gather(&followed.choose(encoder.variables())?, device)?;
        Ok(Self {
            encoder,
            parameters,
            momentum,
            dropout,
        })
    }

    /// `key = m * key + (1 - m) * query` for every followed parameter, with `kernels`: once an optimizer step,
    /// before keys are encoded.
    ///
    /// # Errors
    /// [`ModelError`] when `query` is not what the encoder follows.
    pub fn follow(&self, kernels: &dyn StepKernels, query: &FlatParameters) -> Result<(), ModelError> {
        kernels.follow(self.momentum, self.parameters.buffer(), query.buffer())
    }

    /// The keys of a batch, captions first, without graph.
    ///
    /// # Errors
    /// [`ModelError`] when the batch does not fit the encoders.
    pub fn encode(
        &self,
        batch: &PairBatch,
        levels: Levels,
    ) -> Result<(LevelEmbeddings, LevelEmbeddings), ModelError> {
        self.encode_as(batch, levels, self.dropout)
    }

    /// As [`KeyEncoder::encode`], but never with dropout.
    ///
    /// # Errors
    /// [`ModelError`] when the batch does not fit the encoders.
    pub fn encode_exactly(
        &self,
        batch: &PairBatch,
        levels: Levels,
    ) -> Result<(LevelEmbeddings, LevelEmbeddings), ModelError> {
        self.encode_as(batch, levels, false)
    }

    fn encode_as(
        &self,
        batch: &PairBatch,
        levels: Levels,
        dropout: bool,
    ) -> Result<(LevelEmbeddings, LevelEmbeddings), ModelError> {
        let _no_grad = tch::no_grad_guard();
        let text = self.encoder.encode_text(&batch.text, levels, dropout)?;
        let video = self.encoder.encode_video(&batch.video, levels, dropout)?;
        Ok((text, video))
    }

    /// All variables with their names.
    pub fn variables(&self) -> &[(String, Tensor)] {
        self.encoder.variables()
    }
}
