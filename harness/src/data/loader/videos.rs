//! Batches of videos, for training and for embedding.

use hitbench_models::batch::{ExpertView, VideoView};
use hitbench_models::config::{MissingExperts, VideoInputConfig};
use hitbench_models::{HitConfig, InputSpec, VideoBatch};

use crate::data::dataset::Dataset;
use crate::data::error::DataError;

/// Makes batches of the videos of a data set.
#[derive(Debug)]
pub(super) struct VideoBatches<'a> {
    data: &'a Dataset,
    inputs: InputSpec,
    video_input: VideoInputConfig,
    max_positions: usize,
}

impl<'a> VideoBatches<'a> {
    pub(super) fn new(data: &'a Dataset, vocab_size: usize, model: &HitConfig) -> Self {
        Self {
            data,
            inputs: InputSpec {
                experts: data.experts.clone(),
                vocab_size,
            },
            video_input: model.video_input.clone(),
            max_positions: model.video.max_positions,
        }
    }

    pub(super) fn data(&self) -> &'a Dataset {
        self.data
    }

    /// What the data decides about the model.
    pub(super) fn inputs(&self) -> &InputSpec {
        &self.inputs
    }

    /// Most rows of an expert that become tokens.
    pub(super) fn max_expert_tokens(&self) -> usize {
        self.video_input.max_expert_tokens
    }

    /// Rows of each expert that become tokens, picked from where there are too many; `None` takes all.
    pub(super) fn choose(
        &self,
        video: usize,
        mut pick: impl FnMut(usize) -> Vec<u32>,
    ) -> Vec<Option<Vec<u32>>> {
        let n_rows = self.n_rows(video);
        n_rows
            .map(|n_rows| (n_rows > self.video_input.max_expert_tokens).then(|| pick(n_rows)))
            .collect()
    }

    /// Rows of each expert, 0 where it is absent.
    pub(super) fn n_rows(&self, video: usize) -> impl Iterator<Item = usize> {
        let experts = self.data.videos[video].experts.iter().zip(&self.inputs.experts);
        experts.map(|(features, spec)| {
            features
                .as_ref()
                .map_or(0, |features| features.rows.n_rows(spec.dim))
        })
    }

    /// Tokens of a video: `[CLS]`, and for each expert its aggregated row and its rows.
    pub(super) fn n_tokens(&self, video: usize) -> usize {
        let of_expert = |n_rows: usize| match (n_rows, self.video_input.missing_experts) {
            (0, MissingExperts::Drop) => 0,
            _ => 1 + n_rows.min(self.video_input.max_expert_tokens),
        };
        1 + self.n_rows(video).map(of_expert).sum::<usize>()
    }

    /// The batch of some videos, with the rows that were chosen of each.
    ///
    /// # Errors
    /// [`DataError::Batch`] when the data set breaks its own rules, [`DataError::DamagedPack`].
    pub(super) fn batch(
        &self,
        videos: &[usize],
        chosen: &[Vec<Option<Vec<u32>>>],
    ) -> Result<VideoBatch, DataError> {
        for features in videos
            .iter()
            .flat_map(|&video| self.data.videos[video].experts.iter().flatten())
        {
            features.rows.check()?;
        }
        let views: Vec<VideoView<'_>> = videos
            .iter()
            .zip(chosen)
            .map(|(&video, chosen)| {
                let experts = self.data.videos[video].experts.iter().zip(chosen);
                let view = experts.map(|(features, selected)| {
                    features.as_ref().map(|features| ExpertView {
                        rows: features.rows.view(),
                        times_s: features.times_s.as_deref(),
                        selected: selected.as_deref(),
                    })
                });
                VideoView {
                    experts: view.collect(),
                }
            })
            .collect();
        let missing = self.video_input.missing_experts;
        Ok(VideoBatch::from_videos(
            &self.inputs,
            &views,
            self.max_positions,
            missing,
        )?)
    }
}
