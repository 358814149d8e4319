//! Embeds the test split of a data set with saved weights.

use std::path::{Path, PathBuf};

use hitbench_kernels::KernelId;
use hitbench_models::config::{ExpertSpec, Hierarchy};
use hitbench_models::{Embedder, LevelRows, Tokenizer};

use super::error::EmbedError;
use super::rows::{in_order, side_by_side};
use super::saved_model::SavedModel;
use super::test_pairs::TestPairs;
use crate::data::{DataConfig, Dataset, Split, TestLoader};
use crate::eval::{Given, IdList, IdMap, Names};
use crate::format::{Location, Matrix};

/// A test split, embedded.
#[derive(Debug)]
pub struct Embedded {
    /// The file of weights.
    pub checkpoint: PathBuf,
    /// Its model.
    pub model: SavedModel,
    /// The data set.
    pub data: Dataset,
    own_data: bool,
    /// Its test captions, in the order of the split.
    pub texts: LevelRows,
    /// Its test videos, in the order of the split.
    pub videos: LevelRows,
}

/// Embeds the test split of `data`, or of the data that the model was trained with, on `cpu` or `cuda:N`.
/// `progress` is told how many captions and videos are done, and of how many.
///
/// # Errors
/// [`EmbedError`].
pub fn embed(
    checkpoint: &Path,
    data: Option<DataConfig>,
    device: &str,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Embedded, EmbedError> {
    let (model, weights) = SavedModel::read(checkpoint)?;
    let tokenizer = Tokenizer::from_vocab_text(&model.vocabulary, model.lower_case);
    let tokenizer = tokenizer.map_err(|source| EmbedError::Vocabulary {
        path: checkpoint.to_owned(),
        source,
    })?;
    if tokenizer.vocab_size() != model.inputs.vocab_size {
        return Err(EmbedError::VocabularySize {
            path: checkpoint.to_owned(),
            found: tokenizer.vocab_size(),
            expected: model.inputs.vocab_size,
        });
    }
    // Before the data, which may take long.
    let embedder = Embedder::new(&model.model, &model.inputs, &weights, device, model.threads)?;
    let own_data = data.is_none();
    let data = match data {
        Some(data) => Dataset::load(&data)?,
        None => Dataset::load(&model.data).map_err(EmbedError::OwnData)?,
    };
    let data = with_experts(data, &model.inputs.experts)?;
    data.check_experts(&[Split::Test])?;
    let n_rows = test_pairs(&data)?.captions.len() + data.splits.test.len();
    let loader = TestLoader::new(&data, tokenizer, &model.model)?;
    let mut done = 0;
    let mut count = |n: usize| {
        done += n;
        progress(done, n_rows);
    };
    let mut counted = |rows: LevelRows| {
        count(rows.n_rows);
        rows
    };
    let texts = in_order::<_, EmbedError>(loader.texts(), |batch| {
        embedder.embed_texts(batch).map(&mut counted)
    })?;
    let videos = in_order::<_, EmbedError>(loader.videos(), |batch| {
        embedder.embed_videos(batch).map(&mut counted)
    })?;
    Ok(Embedded {
        checkpoint: checkpoint.to_owned(),
        model,
        data,
        own_data,
        texts,
        videos,
    })
}

fn test_pairs(data: &Dataset) -> Result<TestPairs<'_>, EmbedError> {
    TestPairs::new(data).map_err(|source| EmbedError::Split {
        data: data.name.clone(),
        source,
    })
}

/// The data set with the model's experts alone, in their order.
fn with_experts(mut data: Dataset, wanted: &[ExpertSpec]) -> Result<Dataset, EmbedError> {
    let place = |expert: &ExpertSpec| {
        let found = data.experts.iter().position(|own| own.name == expert.name);
        match found {
            Some(place) if data.experts[place].dim == expert.dim => Ok(place),
            other => Err(EmbedError::Expert {
                data: data.name.clone(),
                expert: expert.name.clone(),
                dim: expert.dim,
                found: match other {
                    Some(place) => format!("rows of {}", data.experts[place].dim),
                    None => "no such expert".to_owned(),
                },
            }),
        }
    };
    let places: Vec<usize> = wanted.iter().map(place).collect::<Result<_, _>>()?;
    for video in &mut data.videos {
        let mut all = std::mem::take(&mut video.experts);
        video.experts = places.iter().map(|&place| all[place].take()).collect();
    }
    data.experts = wanted.to_vec();
    Ok(data)
}

impl Embedded {
    /// Rows that are scored by their dot product, and how many columns they have: those of the trained level, or both
    /// levels' side by side.
    pub(super) fn scored(&self, rows: &LevelRows) -> (Vec<f32>, usize) {
        let level = |level: &Option<Vec<f32>>| (level.clone().unwrap_or_default(), rows.dim);
        match self.model.model.hierarchy {
            Hierarchy::Semantic => level(&rows.semantic),
            Hierarchy::Feature => level(&rows.feature),
            Hierarchy::Both => (side_by_side(&self.model.model.level_weights, rows), 2 * rows.dim),
        }
    }

    /// The rows as an evaluation takes them.
    ///
    /// # Errors
    /// [`EmbedError::Memory`].
    pub fn given(&self, kernel: KernelId) -> Result<Given, EmbedError> {
        let matrix = |rows: &LevelRows, name: &str| {
            let (values, dim) = self.scored(rows);
            Matrix::of_f32(self.location(name), [rows.n_rows, dim], &values).map_err(EmbedError::Memory)
        };
        Ok(Given::Embeddings {
            text: matrix(&self.texts, "text")?,
            video: matrix(&self.videos, "video")?,
            kernel,
            normalize: false,
        })
    }

    /// Ids of captions and videos, and which belong together.
    ///
    /// # Errors
    /// [`EmbedError::Split`].
    pub fn names(&self) -> Result<Names, EmbedError> {
        let found = self.pairs()?;
        let (texts, videos) = found.ids();
        let pairs = found.pairs();
        let pairs = pairs.map(|(caption, video)| (caption.id.clone(), video.to_owned()));
        Ok(Names {
            map: Some(IdMap {
                location: self.location("map"),
                pairs: pairs.collect(),
            }),
            texts: Some(IdList {
                location: self.location("texts"),
                ids: texts,
            }),
            videos: Some(IdList {
                location: self.location("videos"),
                ids: videos,
            }),
            ..Names::default()
        })
    }

    /// Whether these are the data that the model was trained with, but not as they were then.
    pub fn has_changed_data(&self) -> bool {
        self.own_data && self.data.content_hash != self.model.content_hash
    }

    /// The pairs of the test split.
    pub(super) fn pairs(&self) -> Result<TestPairs<'_>, EmbedError> {
        test_pairs(&self.data)
    }

    /// What was made of the file, for messages.
    fn location(&self, member: &str) -> Location {
        Location {
            path: self.checkpoint.clone(),
            member: Some(member.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::config::SyntheticConfig;

    #[test]
    fn only_the_experts_of_the_model_are_left_in_its_order() {
        let config = DataConfig::Synthetic(SyntheticConfig {
            videos: 12,
            test_videos: 4,
            ..SyntheticConfig::default()
        });
        let all = Dataset::load(&config).unwrap();
        let [first, .., last] = &all.experts[..] else {
            panic!("the synthetic data set has several experts");
        };
        let found = with_experts(all.clone(), &[last.clone(), first.clone()]).unwrap();
        assert_eq!(found.experts, [last.clone(), first.clone()]);
        for (video, own) in all.videos.iter().zip(&found.videos) {
            let expected = [video.experts.last().unwrap(), &video.experts[0]];
            assert!(own.experts.iter().eq(expected), "{}", video.id);
        }
        let absent = ExpertSpec {
            name: "smell".to_owned(),
            dim: 3,
        };
        let longer = ExpertSpec {
            dim: first.dim + 1,
            ..first.clone()
        };
        for (wanted, said) in [(absent, "no such expert"), (longer, "rows of")] {
            let error = with_experts(all.clone(), &[wanted]).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
