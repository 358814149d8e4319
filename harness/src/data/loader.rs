//! Batches of a data set: what is drawn at which step, and in which order the test split is embedded.
//!
//! A batch is a pure function of data set, configuration, seed and step. So a trial that goes on from a
//! checkpoint needs no state of the loader, and a batch can be made ahead of time on another thread.

use std::borrow::Cow;
use std::num::NonZero;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use hitbench_models::batch::{ExpertView, VideoView};
use hitbench_models::config::{MissingExperts, VideoInputConfig};
use hitbench_models::{InputSpec, PairBatch, TextBatch, TextConfig, Tokenizer, TokenizerError, VideoBatch};

use super::dataset::{Dataset, Split};
use super::draw::Draws;
use super::error::DataError;
use super::random_state::RandomState;
use crate::suite::CellConfig;
use crate::suite::config::CaptionChoice;

/// Rows of a batch when the test split is embedded.
const EVAL_BATCH: usize = 64;

/// Most threads that make batches; each has one batch ready while the model computes.
const MAX_WORKERS: usize = 4;

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
    /// Token ids of every text that is trained with or tested.
    tokens: Vec<Vec<i64>>,
    /// Which of `tokens` stand for each video in training.
    texts_of: Vec<Vec<usize>>,
    /// Which of `tokens` are the captions of the test split.
    test_texts: Vec<usize>,
    /// Training videos that have a caption.
    train: Vec<usize>,
    batch: usize,
    shuffle_pairs: bool,
    video_input: VideoInputConfig,
    max_positions: usize,
    seed: u64,
    /// The epoch that was last drawn, and its order of training videos.
    order: Mutex<Option<(u64, Arc<[usize]>)>>,
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
        let encode = |text: &str| tokenizer.encode(text, cell.model.max_text_tokens).map_err(failed);
        let (mut tokens, mut texts_of) = (Vec::new(), vec![Vec::new(); data.videos.len()]);
        let captions_of = data.captions_of_videos();
        for &video in &data.splits.train {
            let texts = captions_of[video]
                .iter()
                .map(|&caption| data.captions[caption].text.as_str());
            let texts = match cell.train.captions {
                CaptionChoice::Random => texts.map(Cow::Borrowed).collect(),
                CaptionChoice::Joined if captions_of[video].is_empty() => Vec::new(),
                CaptionChoice::Joined => vec![Cow::Owned(texts.collect::<Vec<_>>().join(" "))],
            };
            for text in texts {
                texts_of[video].push(tokens.len());
                tokens.push(encode(&text)?);
            }
        }
        let mut test_texts = Vec::new();
        for caption in data.split_captions(Split::Test) {
            test_texts.push(tokens.len());
            tokens.push(encode(&data.captions[caption].text)?);
        }
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
            texts_of,
            test_texts,
            train,
            batch,
            shuffle_pairs: cell.train.shuffle_pairs,
            video_input: cell.model.video_input.clone(),
            max_positions: cell.model.video.max_positions,
            seed,
            order: Mutex::new(None),
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
    /// fill a batch is left to other epochs. Each video comes with one of its captions, drawn at random, or with all of
    /// them joined (with `shuffle_pairs` with those of any training video), and with at most `max_expert_tokens` rows
    /// of each expert, drawn at random and kept in order.
    ///
    /// # Errors
    /// [`DataError::Batch`] when the data set breaks its own rules, [`DataError::DamagedPack`].
    pub fn batch(&self, step: u64) -> Result<PairBatch, DataError> {
        let per_epoch = (self.train.len() / self.batch) as u64;
        let order = self.order_of(step / per_epoch);
        let first = (step % per_epoch) as usize * self.batch;
        let videos = &order[first..first + self.batch];

        let mut draws = Draws::new(self.seed, "draws of a step", &[step]);
        let mut captions = Vec::with_capacity(videos.len());
        for &video in videos {
            let source = match self.shuffle_pairs {
                true => *draws.pick(&self.train),
                false => video,
            };
            captions.push(self.tokens[*draws.pick(&self.texts_of[source])].as_slice());
        }
        let mut pick = |n_rows| {
            let rows = draws
                .subset(n_rows, self.video_input.max_expert_tokens)
                .into_iter();
            rows.map(|row| row as u32).collect()
        };
        let chosen: Vec<_> = videos
            .iter()
            .map(|&video| self.choose(video, &mut pick))
            .collect();
        Ok(PairBatch {
            text: TextBatch::from_captions(&captions, self.tokenizer.pad_id())?,
            video: self.video_batch(videos, &chosen)?,
            video_ids: videos.iter().map(|&video| video as i64).collect(),
        })
    }

    /// Training videos in the order of an epoch.
    fn order_of(&self, epoch: u64) -> Arc<[usize]> {
        let mut known = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, order)) = &*known
            && *known == epoch
        {
            return Arc::clone(order);
        }
        let mut order: Arc<[usize]> = self.train.as_slice().into();
        let videos = Arc::get_mut(&mut order).expect("nobody else has it yet");
        Draws::new(self.seed, "order of an epoch", &[epoch]).shuffle(videos);
        *known = Some((epoch, Arc::clone(&order)));
        order
    }

    /// Calls `act` with each step and its batch, in order; the next batches are made on other threads meanwhile, one
    /// each. Ends at the first error.
    ///
    /// # Errors
    /// Those of [`Self::batch`] and of `act`.
    pub fn for_each_batch<E: From<DataError>>(
        &self,
        steps: Range<u64>,
        mut act: impl FnMut(u64, PairBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        let n_workers = std::thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(MAX_WORKERS);
        std::thread::scope(|scope| {
            let worker = |first: usize| {
                // A batch waits in the hands of its maker until it is asked for.
                let (sender, receiver) = mpsc::sync_channel(0);
                let steps = steps.clone().skip(first).step_by(n_workers);
                scope.spawn(move || {
                    for step in steps {
                        // The receiver is gone after an error of `act`.
                        if sender.send((step, self.batch(step))).is_err() {
                            break;
                        }
                    }
                });
                receiver
            };
            let workers: Vec<_> = (0..n_workers).map(worker).collect();
            for worker in workers.iter().cycle() {
                let Ok((step, batch)) = worker.recv() else { break };
                act(step, batch?)?;
            }
            Ok(())
        })
    }

    /// The captions of the test split, short ones first, so that little is padded.
    pub fn test_texts(&self) -> impl Iterator<Item = Result<EvalBatch<TextBatch>, DataError>> {
        let captions = &self.test_texts;
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

    /// The videos of the test split, short ones first. Of an expert with more than `max_expert_tokens` rows those are
    /// taken that MMT takes: `sorted(RandomState(0).choice(n_rows, max_expert_tokens, replace=False))`.
    pub fn test_videos(&self) -> impl Iterator<Item = Result<EvalBatch<VideoBatch>, DataError>> {
        let videos = &self.data.splits.test;
        let places = by_length(videos.len(), |place| self.video_len(videos[place]));
        places.into_iter().map(move |places| {
            let videos: Vec<usize> = places.iter().map(|&place| videos[place]).collect();
            let pick = |n_rows| RandomState::new(0).subset(n_rows, self.video_input.max_expert_tokens);
            let chosen: Vec<_> = videos.iter().map(|&video| self.choose(video, pick)).collect();
            Ok(EvalBatch {
                places,
                batch: self.video_batch(&videos, &chosen)?,
            })
        })
    }

    /// Rows of each expert that become tokens, picked from where there are too many; `None` takes all.
    fn choose(&self, video: usize, mut pick: impl FnMut(usize) -> Vec<u32>) -> Vec<Option<Vec<u32>>> {
        let n_rows = self.n_rows(video);
        n_rows
            .map(|n_rows| (n_rows > self.video_input.max_expert_tokens).then(|| pick(n_rows)))
            .collect()
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
        let of_expert = |n_rows: usize| match (n_rows, self.video_input.missing_experts) {
            (0, MissingExperts::Drop) => 0,
            _ => 1 + n_rows.min(self.video_input.max_expert_tokens),
        };
        1 + self.n_rows(video).map(of_expert).sum::<usize>()
    }

    fn video_batch(
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
