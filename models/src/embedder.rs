//! HiT in use: the query encoders of a trained model, and nothing that only training needs.

use hitbench_kernels::libtorch::{keep_freed_memory, use_threads};
use tch::{Device, Tensor};

use crate::batch::{TextBatch, VideoBatch};
use crate::config::{HitConfig, InputSpec};
use crate::device::parse_device;
use crate::encoder::DualEncoder;
use crate::error::ModelError;
use crate::hierarchy::{LevelEmbeddings, Levels};
use crate::spec::LevelRows;
use crate::stored::StoredTensors;
use crate::weights::{WeightsError, load_saved};

/// Embeds captions and videos with trained weights.
#[derive(Debug)]
pub struct Embedder {
    encoder: DualEncoder,
    levels: Levels,
    threads: usize,
}

impl Embedder {
    /// A model with these weights, on `cpu` or `cuda:N`, whose work on the CPU takes `threads` threads.
    ///
    /// # Errors
    /// [`ModelError::Weights`] for weights that are not those of such a model, [`ModelError::Config`] for an impossible
    /// setting, [`ModelError::Device`], [`ModelError::Torch`] when memory runs out.
    pub fn new(
        model: &HitConfig,
        inputs: &InputSpec,
        weights: &StoredTensors,
        device: &str,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let device = parse_device(device)?;
        use_threads(threads);
        keep_freed_memory();
        let encoder = DualEncoder::new(model, inputs, device)?;
        if let Some(name) = load_saved(encoder.variables(), weights)?.into_iter().next() {
            let path = weights.path.clone();
            return Err(WeightsError::Missing { path, name }.into());
        }
        Ok(Self {
            encoder,
            levels: Levels::from(model.hierarchy),
            threads,
        })
    }

    /// Unit rows `[n_texts, embed_dim]` of each trained level, without dropout.
    ///
    /// # Errors
    /// [`ModelError`] when the batch does not fit the model.
    pub fn embed_texts(&self, batch: &TextBatch) -> Result<LevelRows, ModelError> {
        use_threads(self.threads);
        text_rows(&self.encoder, self.levels, batch)
    }

    /// Unit rows `[n_videos, embed_dim]` of each trained level, without dropout.
    ///
    /// # Errors
    /// [`ModelError`] when the batch does not fit the model.
    pub fn embed_videos(&self, batch: &VideoBatch) -> Result<LevelRows, ModelError> {
        use_threads(self.threads);
        video_rows(&self.encoder, self.levels, batch)
    }
}

/// Rows of captions, without dropout.
pub(crate) fn text_rows(
    encoder: &DualEncoder,
    levels: Levels,
    batch: &TextBatch,
) -> Result<LevelRows, ModelError> {
    let _no_grad = tch::no_grad_guard();
    rows(&encoder.encode_text(batch, levels, false)?, batch.n_texts)
}

/// Rows of videos, without dropout.
pub(crate) fn video_rows(
    encoder: &DualEncoder,
    levels: Levels,
    batch: &VideoBatch,
) -> Result<LevelRows, ModelError> {
    let _no_grad = tch::no_grad_guard();
    rows(&encoder.encode_video(batch, levels, false)?, batch.n_videos)
}

fn rows(embeddings: &LevelEmbeddings, n_rows: usize) -> Result<LevelRows, ModelError> {
    let to_host = |rows: &Option<Tensor>| -> Result<Option<Vec<f32>>, ModelError> {
        let Some(rows) = rows else { return Ok(None) };
        Ok(Some(Vec::try_from(
            rows.f_to_device(Device::Cpu)?.f_reshape([-1])?,
        )?))
    };
    let dim = match embeddings.feature.as_ref().or(embeddings.semantic.as_ref()) {
        Some(rows) => rows.size2()?.1 as usize,
        None => 0,
    };
    Ok(LevelRows {
        n_rows,
        dim,
        feature: to_host(&embeddings.feature)?,
        semantic: to_host(&embeddings.semantic)?,
    })
}
