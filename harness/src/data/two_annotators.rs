//! The two-annotator task: two people described the same ActivityNet videos; one's paragraph is the query,
//! the other's words, as random vectors with times, are the "video".

use std::collections::HashMap;
use std::sync::Arc;

use hitbench_models::config::ExpertSpec;

use super::activitynet::{folders, read_annotations, without_captions};
use super::config::TwoAnnotatorsConfig;
use super::dataset::{Caption, Dataset, ExpertFeatures, FeatureRows, Gaps, Splits, Video};
use super::draw::Draws;
use super::error::DataError;
use super::words::words;

/// Loads both annotations and makes the videos.
///
/// The text of a video is its `val_1` paragraph. Its only expert, `speech`, has one row for each word of its
/// `val_2` sentences: the word's vector, the same for the same word everywhere, drawn from the seed and the
/// word alone. The time of a word is the middle of its sentence. The videos in both files are taken in the
/// order of `val_1`; `test_videos` of them, drawn by the seed, test, the others train.
///
/// # Errors
/// Those of reading; [`DataError::Config`]; [`DataError::TooFew`] when the files have too few videos.
pub(super) fn load(config: &TwoAnnotatorsConfig) -> Result<Dataset, DataError> {
    config.validate()?;
    let folders = folders(&config.annotations);
    let queries = read_annotations(&folders.need("first annotations", &["val_1.json"])?)?;
    let ids_without_captions = without_captions(&folders, "val_ids.json", &queries)?;
    let spoken = read_annotations(&folders.need("second annotations", &["val_2.json"])?)?;
    let mut spoken: HashMap<String, _> = spoken
        .into_iter()
        .map(|annotation| (annotation.id.clone(), annotation))
        .collect();

    let mut vocabulary = Vocabulary::new(config);
    let mut tracks = Vec::new();
    let mut captions = Vec::new();
    let mut lexical = Vec::new();
    for query in &queries {
        let Some(mut speech) = spoken.remove(&query.id) else {
            continue;
        };
        lexical.push(speech.paragraph());
        speech.sentences.sort_by(|a, b| a.middle_s.total_cmp(&b.middle_s));
        let track: Vec<(u32, f32)> = speech
            .sentences
            .iter()
            .flat_map(|sentence| words(&sentence.text).map(|word| (word, sentence.middle_s as f32)))
            .map(|(word, time_s)| (vocabulary.row(word), time_s))
            .collect();
        captions.push(Caption {
            id: query.id.clone(),
            video: tracks.len(),
            text: query.paragraph(),
        });
        tracks.push((query.id.clone(), track));
    }
    if config.test_videos >= tracks.len() {
        return Err(DataError::TooFew {
            what: "test videos and a training video",
            asked: config.test_videos,
            have: tracks.len(),
            name: NAME.to_owned(),
        });
    }
    let table = Arc::new(vocabulary.table);
    let video = |(id, track): (String, Vec<(u32, f32)>)| {
        let (rows, times_s): (Vec<u32>, Vec<f32>) = track.into_iter().unzip();
        let rows = FeatureRows::Indexed {
            table: Arc::clone(&table),
            rows,
        };
        let speech = ExpertFeatures {
            rows,
            times_s: Some(times_s),
        };
        let heard = !speech.times_s.as_ref().is_some_and(Vec::is_empty);
        Video {
            id,
            experts: vec![heard.then_some(speech)],
        }
    };
    let videos: Vec<Video> = tracks.into_iter().map(video).collect();
    let test =
        Draws::new(config.seed, "two annotators: test videos", &[]).subset(videos.len(), config.test_videos);
    let train = (0..videos.len())
        .filter(|video| test.binary_search(video).is_err())
        .collect();
    Dataset {
        name: NAME.to_owned(),
        about: about(config, videos.len(), vocabulary.rows.len()),
        experts: vec![ExpertSpec {
            name: "speech".to_owned(),
            dim: config.word_dim,
        }],
        videos,
        captions,
        splits: Splits {
            train,
            val: Vec::new(),
            test,
        },
        lexical,
        gaps: Gaps {
            ids_without_captions,
            ..Gaps::default()
        },
        content_hash: String::new(),
    }
    .finish()
}

const NAME: &str = "two-annotators";

fn about(config: &TwoAnnotatorsConfig, n_videos: usize, n_words: usize) -> String {
    format!(
        "Real language of two people, no visual features: {n_videos} videos of ActivityNet Captions, {} of \
         them for testing (split seed {}). The text is the paragraph of the first annotator (val_1). In place \
         of the video stands what the second annotator wrote (val_2): one random {}-dimensional vector for \
         each word, {n_words} different words, with its sentence's time as position, as a speech expert with \
         word vectors would give. The model is denied word identity: text tokens and word vectors share \
         nothing, so that it must learn from the training pairs which vector goes with which word.",
        config.test_videos, config.seed, config.word_dim,
    )
}

/// Words met so far and their vectors.
struct Vocabulary {
    seed: u64,
    dim: usize,
    rows: HashMap<String, u32>,
    table: Vec<f32>,
}

impl Vocabulary {
    fn new(config: &TwoAnnotatorsConfig) -> Self {
        Self {
            seed: config.seed,
            dim: config.word_dim,
            rows: HashMap::new(),
            table: Vec::new(),
        }
    }

    /// Row of the word's vector, whose values have mean 0 and variance 1.
    fn row(&mut self, word: String) -> u32 {
        if let Some(&row) = self.rows.get(&word) {
            return row;
        }
        let mut draws = Draws::new(self.seed, &format!("word vector: {word}"), &[]);
        self.table.extend((0..self.dim).map(|_| draws.normal() as f32));
        let row = u32::try_from(self.rows.len()).expect("fewer than 2^32 words");
        self.rows.insert(word, row);
        row
    }
}

#[cfg(test)]
mod tests;
