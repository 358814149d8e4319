//! The test split in the order in which it is embedded.

use hitbench_models::{HitConfig, InputSpec, TextBatch, Tokenizer, VideoBatch};

use super::videos::VideoBatches;
use crate::data::dataset::{Dataset, Split};
use crate::data::error::DataError;
use crate::data::random_state::RandomState;

/// Rows of a batch.
const EVAL_BATCH: usize = 64;

/// A batch of the test split.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalBatch<B> {
    /// Place of each row in the order of the split.
    pub places: Vec<usize>,
    /// The batch.
    pub batch: B,
}

/// Makes the batches in which a test split is embedded.
#[derive(Debug)]
pub struct TestLoader<'a> {
    videos: VideoBatches<'a>,
    tokenizer: Tokenizer,
    /// Token ids of the captions, in the order of the split.
    tokens: Vec<Vec<i64>>,
}

impl<'a> TestLoader<'a> {
    /// Tokenises the captions once.
    ///
    /// # Errors
    /// [`DataError::Tokenizer`].
    pub fn new(data: &'a Dataset, tokenizer: Tokenizer, model: &HitConfig) -> Result<Self, DataError> {
        let encode = |caption: usize| {
            let text = &data.captions[caption].text;
            let encoded = tokenizer.encode(text, model.max_text_tokens);
            encoded.map_err(|source| DataError::Tokenizer {
                name: data.name.clone(),
                source,
            })
        };
        let captions = data.split_captions(Split::Test);
        Ok(Self {
            tokens: captions.into_iter().map(encode).collect::<Result<_, _>>()?,
            videos: VideoBatches::new(data, tokenizer.vocab_size(), model),
            tokenizer,
        })
    }

    /// What the data decides about the model.
    pub fn inputs(&self) -> &InputSpec {
        self.videos.inputs()
    }

    /// The tokenizer, whose vocabulary belongs to the weights.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What makes batches of videos of any split.
    pub(super) fn video_batches(&self) -> &VideoBatches<'a> {
        &self.videos
    }

    /// The captions, short ones first, so that little is padded.
    pub fn texts(&self) -> impl Iterator<Item = Result<EvalBatch<TextBatch>, DataError>> {
        let places = by_length(self.tokens.len(), |place| self.tokens[place].len());
        places.into_iter().map(move |places| {
            let captions: Vec<_> = places
                .iter()
                .map(|&place| self.tokens[place].as_slice())
                .collect();
            let batch = TextBatch::from_captions(&captions, self.tokenizer.pad_id())?;
            Ok(EvalBatch { places, batch })
        })
    }

    /// The videos, short ones first. Of an expert with more than `max_expert_tokens` rows those are taken that MMT takes:
    /// `sorted(RandomState(0).choice(n_rows, max_expert_tokens, replace=False))`.
    pub fn videos(&self) -> impl Iterator<Item = Result<EvalBatch<VideoBatch>, DataError>> {
        let videos = &self.videos.data().splits.test;
        let places = by_length(videos.len(), |place| self.videos.n_tokens(videos[place]));
        places.into_iter().map(move |places| {
            let videos: Vec<usize> = places.iter().map(|&place| videos[place]).collect();
            let pick = |n_rows| RandomState::new(0).subset(n_rows, self.videos.max_expert_tokens());
            let chosen: Vec<_> = videos
                .iter()
                .map(|&video| self.videos.choose(video, pick))
                .collect();
            Ok(EvalBatch {
                places,
                batch: self.videos.batch(&videos, &chosen)?,
            })
        })
    }
}

/// Places `0..n` in batches, ordered by length, equal lengths by place.
fn by_length(n: usize, length: impl Fn(usize) -> usize) -> Vec<Vec<usize>> {
    let mut places: Vec<usize> = (0..n).collect();
    places.sort_by_key(|&place| length(place));
    places.chunks(EVAL_BATCH).map(<[usize]>::to_vec).collect()
}
