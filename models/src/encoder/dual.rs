//! Both towers with their heads: what training and evaluation call.

use tch::{Device, Tensor, no_grad};

use super::Parameters;
use super::layer::Taps;
use super::text::TextTower;
use super::video::VideoTower;
use crate::batch::{TextBatch, VideoBatch};
use crate::config::{HitConfig, InputSpec, Pooling};
use crate::encoder::TokenLayout;
use crate::error::ModelError;
use crate::hierarchy::{LevelEmbeddings, Levels, TowerHeads};
use crate::pooling::pool;

#[cfg(test)]
mod tests;

/// The query side of HiT, or the key side: two towers without cross-attention, and four heads.
#[derive(Debug)]
pub struct DualEncoder {
    variables: Vec<(String, Tensor)>,
    text: TextTower,
    video: VideoTower,
    text_heads: TowerHeads,
    video_heads: TowerHeads,
    pooling: Pooling,
}

impl DualEncoder {
    /// A model with weights drawn from N(0, 0.02), biases 0 and layer-norm gains 1 (BERT).
    ///
    /// Draws from libtorch's CPU generator, whatever the device: call [`tch::manual_seed`] before. Which
    /// variables there are does not depend on the hierarchy.
    ///
    /// # Errors
    /// [`ModelError::Config`] when `config` or `inputs` is not valid, [`ModelError::Torch`] when memory or
    /// the device is missing.
    pub fn new(config: &HitConfig, inputs: &InputSpec, device: Device) -> Result<Self, ModelError> {
        config.validate()?;
        inputs.validate()?;
        let mut parameters = Parameters::new(device);
        let text = TextTower::new(&mut parameters, &config.text, inputs.vocab_size, device)?;
        let video = VideoTower::new(&mut parameters, config, inputs, device)?;
        let text_heads = TowerHeads::new(&mut parameters, "text", config.text.hidden, config)?;
        let video_heads = TowerHeads::new(&mut parameters, "video", config.video.hidden, config)?;
        let pooling = config.pooling;
        Ok(Self {
            variables: parameters.into_named(),
            text,
            video,
            text_heads,
            video_heads,
            pooling,
        })
    }

    /// All parameters by name, f32, in a fixed order: text tower, video tower, heads.
    ///
    /// Their storage may be moved (`set_data`): the encoder keeps nothing derived from them.
    pub fn variables(&self) -> &[(String, Tensor)] {
        &self.variables
    }

    /// Embeds captions. With `train`, dropout is active and draws from libtorch's generator.
    ///
    /// Variables that the levels do not reach (layers above the tap, the other level's head) stay out of the
    /// graph.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when the batch does not fit the model.
    pub fn encode_text(
        &self,
        batch: &TextBatch,
        levels: Levels,
        train: bool,
    ) -> Result<LevelEmbeddings, ModelError> {
        let (layout, taps) = self.text.forward(batch, levels, train)?;
        self.embed(&self.text_heads, &layout, &taps)
    }

    /// Embeds videos; otherwise as [`DualEncoder::encode_text`].
    ///
    /// # Errors
    /// [`ModelError::Shape`] when the batch does not fit the model.
    pub fn encode_video(
        &self,
        batch: &VideoBatch,
        levels: Levels,
        train: bool,
    ) -> Result<LevelEmbeddings, ModelError> {
        let (layout, taps) = self.video.forward(batch, levels, train)?;
        self.embed(&self.video_heads, &layout, &taps)
    }

    fn embed(
        &self,
        heads: &TowerHeads,
        layout: &TokenLayout,
        taps: &Taps,
    ) -> Result<LevelEmbeddings, ModelError> {
        let pooled = |tap: &Option<Tensor>| {
            tap.as_ref()
                .map(|tokens| pool(self.pooling, tokens, layout))
                .transpose()
        };
        heads.embed(pooled(&taps.feature)?, pooled(&taps.semantic)?)
    }

    /// Packed tokens at the taps of both towers, without dropout.
    #[cfg(test)]
    pub(super) fn taps(
        &self,
        text: &TextBatch,
        video: &VideoBatch,
        levels: Levels,
    ) -> Result<(Taps, Taps), ModelError> {
        Ok((
            self.text.forward(text, levels, false)?.1,
            self.video.forward(video, levels, false)?.1,
        ))
    }

    /// Switches gradients of all parameters on or off.
    ///
    /// # Errors
    /// [`ModelError::Torch`] when libtorch refuses.
    pub fn set_requires_grad(&self, requires_grad: bool) -> Result<(), ModelError> {
        for (_, variable) in &self.variables {
            let _ = variable.f_set_requires_grad(requires_grad)?;
        }
        Ok(())
    }

    /// Copies all values of `other`, which must be of the same configuration, on any device.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when a name or shape differs; nothing is copied then.
    pub fn copy_from(&self, other: &Self) -> Result<(), ModelError> {
        ModelError::check_len("variables", self.variables.len(), other.variables.len())?;
        for ((name, ours), (other_name, theirs)) in self.variables.iter().zip(&other.variables) {
            if name != other_name {
                return Err(ModelError::shape("variable", name, other_name));
            }
            if ours.size() != theirs.size() {
                let (ours, theirs) = (format!("{:?}", ours.size()), format!("{:?}", theirs.size()));
                return Err(ModelError::shape(name, ours, theirs));
            }
        }
        no_grad(|| {
            for ((_, ours), (_, theirs)) in self.variables.iter().zip(&other.variables) {
                ours.shallow_clone().f_copy_(theirs)?;
            }
            Ok(())
        })
    }
}
