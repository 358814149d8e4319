//! Batches of a data set: what is drawn at which step, and in which order the test split is embedded.
//!
//! A batch is a pure function of data set, configuration, seed and step. So a trial that goes on from a
//! checkpoint needs no state of the loader, and a batch can be made ahead of time on another thread.

use std::ops::Range;
use std::sync::mpsc;

use hitbench_models::batch::{ExpertView, RowsView, VideoView};
use hitbench_models::{InputSpec, PairBatch, TextBatch, TextConfig, Tokenizer, TokenizerError, VideoBatch};

use super::dataset::{Dataset, FeatureRows, Split};
use super::draw::Draws;
use super::error::DataError;
use crate::suite::CellConfig;

/// Rows of a batch when the test split is embedded.
const EVAL_BATCH: usize = 64;

/// Batches made ahead while the model computes.
const AHEAD: usize = 2;

/// A batch of the test split.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalBatch<B> {
    /// Place of each row in the order of the split.
    pub places: Vec<usize>,
    /// The batch.
    pub batch: B,
}

/// Makes the batches of one trial.
#[derive(Debug)]
pub struct Loader<'a> {
    data: &'a Dataset,
    tokenizer: Tokenizer,
    inputs: InputSpec,
    /// Token ids of every caption of the train and test splits; empty for others.
    tokens: Vec<Vec<i64>>,
    captions_of: Vec<Vec<usize>>,
    /// Training videos that have a caption.
    train: Vec<usize>,
    batch: usize,
    shuffle_pairs: bool,
    max_expert_tokens: usize,
    max_positions: usize,
    seed: u64,
}

impl<'a> Loader<'a> {
    /// Builds or reads the vocabulary and tokenises the captions once.
    ///
    /// # Errors
    /// [`DataError::Tokenizer`]; [`DataError::TooFew`] when a batch needs more videos than train.
    pub fn new(data: &'a Dataset, cell: &CellConfig, seed: u64) -> Result<Self, DataError> {
        let failed = |source| DataError::Tokenizer {
            name: data.name.clone(),
            source,
        };
        let tokenizer = tokenizer(data, &cell.text).map_err(failed)?;
        let mut tokens = vec![Vec::new(); data.captions.len()];
        for split in [Split::Train, Split::Test] {
            for caption in data.split_captions(split) {
                let text = &data.captions[caption].text;
                tokens[caption] = tokenizer
                    .encode(text, cell.model.max_text_tokens)
                    .map_err(failed)?;
            }
        }
        let captions_of = data.captions_of_videos();
        let train = data.training_videos();
        let batch = cell.train.batch;
        if batch > train.len() {
            let (what, name) = (
                "training videos with a caption, one for each pair of a batch,",
                data.name.clone(),
            );
            return Err(DataError::TooFew {
                what,
                asked: batch,
                have: train.len(),
                name,
            });
        }
        Ok(Self {
            data,
            inputs: InputSpec {
                experts: data.experts.clone(),
                vocab_size: tokenizer.vocab_size(),
            },
            tokenizer,
            tokens,
            captions_of,
            train,
            batch,
            shuffle_pairs: cell.train.shuffle_pairs,
            max_expert_tokens: cell.model.video_input.max_expert_tokens,
            max_positions: cell.model.video.max_positions,
            seed,
        })
    }

    /// What the data decides about the model.
    pub fn inputs(&self) -> &InputSpec {
        &self.inputs
    }

    /// The tokenizer, whose vocabulary belongs to a checkpoint.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The pairs of a step, counted from 0.
    ///
    /// An epoch is a shuffle of the training videos, cut into batches of distinct videos; a rest that does not
    /// fill a batch is left to other epochs. Each video comes with one of its captions, drawn at random (with
    /// `shuffle_pairs` with one of any training video), and with at most `max_expert_tokens` rows of each
    /// expert, drawn at random and kept in order.
    ///
    /// # Errors
    /// [`DataError::Batch`] when the data set breaks its own rules.
    pub fn batch(&self, step: u64) -> Result<PairBatch, DataError> {
        let per_epoch = (self.train.len() / self.batch) as u64;
        let mut order = self.train.clone();
        Draws::new(self.seed, "order of an epoch", &[step / per_epoch]).shuffle(&mut order);
        let first = (step % per_epoch) as usize * self.batch;
        let videos = &order[first..first + self.batch];

        let mut draws = Draws::new(self.seed, "draws of a step", &[step]);
        let mut captions = Vec::with_capacity(videos.len());
        for &video in videos {
            let source = match self.shuffle_pairs {
                true => *draws.pick(&self.train),
                false => video,
            };
            captions.push(self.tokens[*draws.pick(&self.captions_of[source])].as_slice());
        }
        let chosen: Vec<_> = videos
            .iter()
            .map(|&video| self.choose(video, &mut draws))
            .collect();
        Ok(PairBatch {
            text: TextBatch::from_captions(&captions, self.tokenizer.pad_id())?,
            video: self.video_batch(videos, &chosen)?,
            video_ids: videos.iter().map(|&video| video as i64).collect(),
        })
    }

    /// Calls `act` with each step and its batch, in order; the next batches are made on another thread
    /// meanwhile. Ends at the first error.
    ///
    /// # Errors
    /// Those of [`Self::batch`] and of `act`.
    pub fn for_each_batch<E: From<DataError>>(
        &self,
        steps: Range<u64>,
        mut act: impl FnMut(u64, PairBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::sync_channel(AHEAD);
            scope.spawn(move || {
                for step in steps {
                    // The receiver is gone after an error of `act`.
                    if sender.send((step, self.batch(step))).is_err() {
                        break;
                    }
                }
            });
            for (step, batch) in receiver {
                act(step, batch?)?;
            }
            Ok(())
        })
    }

    /// The captions of the test split, short ones first, so that little is padded.
    pub fn test_texts(&self) -> impl Iterator<Item = Result<EvalBatch<TextBatch>, DataError>> {
        let captions = self.data.split_captions(Split::Test);
        let places = by_length(captions.len(), |place| self.tokens[captions[place]].len());
        places.into_iter().map(move |places| {
            let captions: Vec<_> = places
                .iter()
                .map(|&place| self.tokens[captions[place]].as_slice())
                .collect();
            let batch = TextBatch::from_captions(&captions, self.tokenizer.pad_id())?;
            Ok(EvalBatch { places, batch })
        })
    }

    /// The videos of the test split, short ones first. Of an expert with more than `max_expert_tokens` rows a
    /// random subset is taken, the same in every trial.
    pub fn test_videos(&self) -> impl Iterator<Item = Result<EvalBatch<VideoBatch>, DataError>> {
        let videos = &self.data.splits.test;
        let places = by_length(videos.len(), |place| self.video_len(videos[place]));
        places.into_iter().map(move |places| {
            let videos: Vec<usize> = places.iter().map(|&place| videos[place]).collect();
            let choose = |&video: &usize| {
                let mut draws = Draws::new(0, "rows of a test video", &[video as u64]);
                self.choose(video, &mut draws)
            };
            let chosen: Vec<_> = videos.iter().map(choose).collect();
            Ok(EvalBatch {
                places,
                batch: self.video_batch(&videos, &chosen)?,
            })
        })
    }

    /// Rows of each expert that become tokens; `None` takes all.
    fn choose(&self, video: usize, draws: &mut Draws) -> Vec<Option<Vec<u32>>> {
        let limit = self.max_expert_tokens;
        let n_rows = self.n_rows(video);
        let chosen = n_rows.map(|n_rows| {
            let rows = || {
                draws
                    .subset(n_rows, limit)
                    .into_iter()
                    .map(|row| row as u32)
                    .collect()
            };
            (n_rows > limit).then(rows)
        });
        chosen.collect()
    }

    /// Rows of each expert, 0 where it is absent.
    fn n_rows(&self, video: usize) -> impl Iterator<Item = usize> {
        let experts = self.data.videos[video].experts.iter().zip(&self.inputs.experts);
        experts.map(|(features, spec)| {
            features
                .as_ref()
                .map_or(0, |features| features.rows.n_rows(spec.dim))
        })
    }

    /// Tokens of a video: `[CLS]`, and for each expert its aggregated row and its rows.
    fn video_len(&self, video: usize) -> usize {
        let of_expert = |n_rows: usize| {
            if n_rows == 0 {
                0
            } else {
                1 + n_rows.min(self.max_expert_tokens)
            }
        };
        1 + self.n_rows(video).map(of_expert).sum::<usize>()
    }

    fn video_batch(
        &self,
        videos: &[usize],
        chosen: &[Vec<Option<Vec<u32>>>],
    ) -> Result<VideoBatch, DataError> {
        let views: Vec<VideoView<'_>> = videos
            .iter()
            .zip(chosen)
            .map(|(&video, chosen)| {
                let experts = self.data.videos[video].experts.iter().zip(chosen);
                let view = experts.map(|(features, selected)| {
                    features.as_ref().map(|features| ExpertView {
                        rows: match &features.rows {
                            FeatureRows::Dense(values) => RowsView::Dense(values),
                            FeatureRows::Indexed { table, rows } => RowsView::Indexed { table, rows },
                        },
                        times_s: features.times_s.as_deref(),
                        selected: selected.as_deref(),
                    })
                });
                VideoView {
                    experts: view.collect(),
                }
            })
            .collect();
        Ok(VideoBatch::from_videos(&self.inputs, &views, self.max_positions)?)
    }
}

/// The vocabulary file, or a vocabulary of the training captions.
///
/// # Errors
/// Those of [`Tokenizer::from_vocab_file`] and [`Tokenizer::from_captions`].
pub fn tokenizer(data: &Dataset, config: &TextConfig) -> Result<Tokenizer, TokenizerError> {
    match &config.vocab {
        Some(path) => Tokenizer::from_vocab_file(path, config.lower_case),
        None => {
            let captions = data.split_captions(Split::Train).into_iter();
            let texts = captions.map(|caption| data.captions[caption].text.as_str());
            Tokenizer::from_captions(texts, config.vocab_size, config.lower_case)
        }
    }
}

/// Places `0..n` in batches, ordered by length, equal lengths by place.
fn by_length(n: usize, length: impl Fn(usize) -> usize) -> Vec<Vec<usize>> {
    let mut places: Vec<usize> = (0..n).collect();
    places.sort_by_key(|&place| length(place));
    places.chunks(EVAL_BATCH).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests;
