//! ActivityNet Captions as distributed: `train.json`, `val_1.json`, `val_2.json`, one object keyed by video.
//!
//! The text of a video is its paragraph: its sentences in file order, runs of white space inside them made
//! one blank, joined by a blank (CLIP4Clip keeps the double blanks, which no tokenizer here sees).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::annotations::{Annotated, Folders, Ordered, normalised, read_json};
use super::config::{ActivitynetSplit, PublishedConfig};
use super::dataset::Split;
use super::error::DataError;

const NAME: &str = "activitynet";
const HELP: &str = "\
ActivityNet Captions is expected as its authors distribute it. In the folders of `annotations`:
  train.json, val_1.json, val_2.json (captions.zip of cs.stanford.edu/people/ranjaykrishna/densevid)
In `features`: MMT's vid_feat_files/mult_h5, the structured-symlinks of Collaborative Experts, or a file or folder for \
each expert. MMT's archive activity-net.tar.gz, named in the README of github.com/gabeur/mmt, has its features.";

/// A sentence about a part of a video.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sentence {
    /// White space normalised.
    pub(super) text: String,
    /// Middle of its part of the video in seconds; the distributed times may exceed the duration.
    pub(super) middle_s: f64,
}

/// What one person wrote about a video.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Annotation {
    /// Id with its prefix `v_`.
    pub(super) id: String,
    pub(super) sentences: Vec<Sentence>,
}

impl Annotation {
    /// The sentences joined by a blank.
    pub(super) fn paragraph(&self) -> String {
        let texts: Vec<&str> = self
            .sentences
            .iter()
            .map(|sentence| sentence.text.as_str())
            .collect();
        texts.join(" ")
    }
}

/// Reads one file in the order of its keys. Sentences without a word are dropped.
///
/// # Errors
/// [`DataError::Read`], [`DataError::Json`] with line and column, [`DataError::Timestamps`].
pub(super) fn read_annotations(path: &Path) -> Result<Vec<Annotation>, DataError> {
    let Ordered(entries) = read_json(path, "ActivityNet Captions")?;
    let mut annotations = Vec::with_capacity(entries.len());
    for (id, entry) in entries {
        let entry: WireEntry = entry;
        if entry.sentences.len() != entry.timestamps.len() {
            return Err(DataError::Timestamps {
                path: path.to_owned(),
                video: id,
                sentences: entry.sentences.len(),
                timestamps: entry.timestamps.len(),
            });
        }
        let sentences = entry
            .sentences
            .iter()
            .zip(&entry.timestamps)
            .map(|(text, [start_s, end_s])| Sentence {
                text: normalised(text),
                middle_s: (start_s + end_s) / 2.0,
            });
        let sentences = sentences.filter(|sentence| !sentence.text.is_empty()).collect();
        annotations.push(Annotation { id, sentences });
    }
    Ok(annotations)
}

/// Ids of `list` (a JSON array beside the annotations) that have no annotation; 0 without the list.
///
/// # Errors
/// [`DataError::Read`], [`DataError::Json`].
pub(super) fn without_captions(
    folders: &Folders<'_>,
    list: &'static str,
    annotations: &[Annotation],
) -> Result<usize, DataError> {
    let Some(path) = folders.find(&[list]) else {
        return Ok(0);
    };
    let ids: Vec<String> = read_json(&path, "ActivityNet Captions")?;
    let known: std::collections::HashSet<&str> = annotations.iter().map(|a| a.id.as_str()).collect();
    Ok(ids.iter().filter(|id| !known.contains(id.as_str())).count())
}

/// The annotation files that a configuration's folders hold.
pub(super) fn folders(annotations: &[PathBuf]) -> Folders<'_> {
    Folders {
        name: NAME,
        folders: annotations,
        help: HELP,
    }
}

/// Videos, paragraphs and splits.
///
/// # Errors
/// Those of the files.
pub(super) fn annotated(config: &PublishedConfig<ActivitynetSplit>) -> Result<Annotated, DataError> {
    let test_file = match config.split {
        ActivitynetSplit::Val1 => "val_1.json",
        ActivitynetSplit::Val2 => "val_2.json",
    };
    let folders = folders(&config.annotations);
    let mut data = Annotated::new(NAME, HELP);
    for (split, what, file, list) in [
        (
            Split::Train,
            "training annotations",
            "train.json",
            "train_ids.json",
        ),
        (Split::Test, "test annotations", test_file, "val_ids.json"),
    ] {
        let path = folders.need(what, &[file])?;
        let annotations = read_annotations(&path)?;
        data.gaps.ids_without_captions += without_captions(&folders, list, &annotations)?;
        let first = data.videos.len();
        data.add_split(
            split,
            &path,
            annotations.iter().map(|annotation| annotation.id.clone()),
        )?;
        for (video, annotation) in (first..).zip(annotations) {
            let paragraph = annotation.paragraph();
            data.add_captions(video, [(annotation.id, paragraph)]);
        }
    }
    data.about = format!(
        "ActivityNet Captions, paragraph retrieval: the sentences of a video joined; {} training videos \
         (train.json), {} test videos ({test_file}).",
        data.splits.train.len(),
        data.splits.test.len()
    );
    Ok(data)
}

/// One video as written; `duration` is not used.
#[derive(Deserialize)]
#[serde(expecting = "an object with `timestamps` and `sentences`")]
struct WireEntry {
    timestamps: Vec<[f64; 2]>,
    sentences: Vec<String>,
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use tests::real_annotations;
