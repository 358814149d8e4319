//! Batches of a data set: what is drawn at which step; [`TestLoader`] has those that are embedded.
//!
//! A batch is a pure function of data set, configuration, seed and step. So a trial that goes on from a
//! checkpoint needs no state of the loader, and a batch can be made ahead of time on another thread.

use std::borrow::Cow;
use std::num::NonZero;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use hitbench_models::{InputSpec, PairBatch, TextBatch, TextConfig, Tokenizer, TokenizerError};

use super::dataset::{Dataset, Split};
use super::draw::Draws;
use super::error::DataError;
use crate::suite::CellConfig;
use crate::suite::config::CaptionChoice;

mod test_split;
mod videos;

pub use test_split::{EvalBatch, TestLoader};

/// Most threads that make batches; each has one batch ready while the model computes.
const MAX_WORKERS: usize = 4;

/// Makes the batches of one trial.
#[derive(Debug)]
pub struct Loader<'a> {
    /// What is embedded after training, and what both have in common.
    test: TestLoader<'a>,
    /// Token ids of every text that is trained with.
    tokens: Vec<Vec<i64>>,
    /// Which of `tokens` stand for each video.
    texts_of: Vec<Vec<usize>>,
    /// Training videos that have a caption.
    train: Vec<usize>,
    batch: usize,
    shuffle_pairs: bool,
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
            test: TestLoader::new(data, tokenizer, &cell.model)?,
            tokens,
            texts_of,
            train,
            batch,
            shuffle_pairs: cell.train.shuffle_pairs,
            seed,
            order: Mutex::new(None),
        })
    }

    /// What the data decides about the model.
    pub fn inputs(&self) -> &InputSpec {
        self.test.inputs()
    }

    /// What is embedded after training.
    pub fn test(&self) -> &TestLoader<'a> {
        &self.test
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

        let batches = self.test.video_batches();
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
            let rows = draws.subset(n_rows, batches.max_expert_tokens()).into_iter();
            rows.map(|row| row as u32).collect()
        };
        let chosen: Vec<_> = videos
            .iter()
            .map(|&video| batches.choose(video, &mut pick))
            .collect();
        Ok(PairBatch {
            text: TextBatch::from_captions(&captions, self.test.tokenizer().pad_id())?,
            video: batches.batch(videos, &chosen)?,
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

#[cfg(test)]
mod tests;
