//! ActivityNet Captions as distributed: `train.json`, `val_1.json`, `val_2.json`, one object keyed by video.
//!
//! The text of a video is its paragraph: its sentences in file order, runs of white space inside them made
//! one blank, joined by a blank (CLIP4Clip keeps the double blanks, which no tokenizer here sees).

use std::fmt;
use std::path::{Path, PathBuf};

use hitbench_models::config::ExpertSpec;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::config::{ActivitynetConfig, ActivitynetTest};
use super::dataset::{Caption, Dataset, Gaps, Splits, Video};
use super::error::DataError;
use super::features::{ExpertFiles, read_expert};

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
/// [`DataError::Read`], [`DataError::Json`] with line and column, [`DataError::DuplicateId`],
/// [`DataError::Timestamps`].
pub(super) fn read_annotations(path: &Path) -> Result<Vec<Annotation>, DataError> {
    let text = read(path)?;
    let Wire(entries) = serde_json::from_str(&text).map_err(|source| DataError::Json {
        path: path.to_owned(),
        source,
    })?;
    let mut seen = std::collections::HashSet::new();
    let mut annotations = Vec::with_capacity(entries.len());
    for (id, entry) in entries {
        if !seen.insert(id.clone()) {
            return Err(DataError::DuplicateId {
                path: path.to_owned(),
                what: "video",
                id,
            });
        }
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
                text: text.split_whitespace().collect::<Vec<_>>().join(" "),
                middle_s: (start_s + end_s) / 2.0,
            });
        let sentences = sentences.filter(|sentence| !sentence.text.is_empty()).collect();
        annotations.push(Annotation { id, sentences });
    }
    Ok(annotations)
}

/// Path of `file` in the first of `folders` that holds it.
///
/// # Errors
/// [`DataError::NoAnnotations`].
pub(super) fn find(folders: &[PathBuf], file: &'static str) -> Result<PathBuf, DataError> {
    let paths = folders.iter().map(|folder| folder.join(file));
    paths
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| DataError::NoAnnotations {
            file,
            folders: folders.to_vec(),
        })
}

/// Ids of `list` (a JSON array beside the annotations) that have no annotation; 0 without the list.
///
/// # Errors
/// [`DataError::Read`], [`DataError::Json`].
pub(super) fn without_captions(
    folders: &[PathBuf],
    list: &'static str,
    annotations: &[Annotation],
) -> Result<usize, DataError> {
    let Ok(path) = find(folders, list) else {
        return Ok(0);
    };
    let ids: Vec<String> =
        serde_json::from_str(&read(&path)?).map_err(|source| DataError::Json { path, source })?;
    let known: std::collections::HashSet<&str> = annotations.iter().map(|a| a.id.as_str()).collect();
    Ok(ids.iter().filter(|id| !known.contains(id.as_str())).count())
}

/// Paragraph retrieval on videos with features.
///
/// # Errors
/// Those of reading annotations and features; [`DataError::NoExperts`] for an empty folder of features;
/// [`DataError::DuplicateId`] for a test video that also trains.
pub(super) fn load(config: &ActivitynetConfig) -> Result<Dataset, DataError> {
    config.validate()?;
    let test_file = match config.test {
        ActivitynetTest::Val1 => "val_1.json",
        ActivitynetTest::Val2 => "val_2.json",
    };
    let train = read_annotations(&find(&config.annotations, "train.json")?)?;
    let test_path = find(&config.annotations, test_file)?;
    let test = read_annotations(&test_path)?;
    let ids_without_captions = without_captions(&config.annotations, "train_ids.json", &train)?
        + without_captions(&config.annotations, "val_ids.json", &test)?;
    let known: std::collections::HashSet<&str> =
        train.iter().map(|annotation| annotation.id.as_str()).collect();
    if let Some(both) = test
        .iter()
        .find(|annotation| known.contains(annotation.id.as_str()))
    {
        return Err(DataError::DuplicateId {
            path: test_path,
            what: "training video",
            id: both.id.clone(),
        });
    }
    let n_train = train.len();
    let all: Vec<Annotation> = train.into_iter().chain(test).collect();
    let ids: Vec<&str> = all.iter().map(|annotation| annotation.id.as_str()).collect();
    let mut experts = Vec::new();
    let mut videos: Vec<Video> = ids
        .iter()
        .map(|&id| Video {
            id: id.to_owned(),
            experts: Vec::new(),
        })
        .collect();
    for (name, files) in expert_files(&config.features)? {
        let (dim, features) = read_expert(&files, &ids)?;
        let Some(dim) = dim else {
            return Err(DataError::NoFeatures {
                path: files.features,
                expert: name,
            });
        };
        experts.push(ExpertSpec { name, dim });
        for (video, features) in videos.iter_mut().zip(features) {
            video.experts.push(features);
        }
    }
    let captions = all
        .iter()
        .enumerate()
        .filter(|(_, annotation)| !annotation.sentences.is_empty());
    let captions = captions.map(|(video, annotation)| Caption {
        id: annotation.id.clone(),
        video,
        text: annotation.paragraph(),
    });
    let captions = captions.collect();
    let about = format!(
        "ActivityNet Captions, paragraph retrieval: the sentences of a video joined; {n_train} training \
         videos (train.json), {} test videos ({test_file}).",
        all.len() - n_train
    );
    Dataset {
        name: "activitynet".to_owned(),
        about,
        experts,
        captions,
        splits: Splits {
            train: (0..n_train).collect(),
            val: Vec::new(),
            test: (n_train..videos.len()).collect(),
        },
        videos,
        lexical: Vec::new(),
        gaps: Gaps {
            ids_without_captions,
            ..Gaps::default()
        },
        content_hash: String::new(),
    }
    .finish()
}

/// The experts of a folder by name: `NAME.safetensors` or a folder `NAME`, with times under `NAME.times`.
fn expert_files(folder: &Path) -> Result<std::collections::BTreeMap<String, ExpertFiles>, DataError> {
    let failed = |source| DataError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut found = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let features = entry.map_err(failed)?.path();
        let name = match features.extension() {
            Some(extension) if extension == "safetensors" => features.file_stem(),
            None if features.is_dir() => features.file_name(),
            _ => None,
        };
        let Some(name) = name
            .and_then(|name| name.to_str())
            .filter(|name| !name.contains('.'))
        else {
            continue;
        };
        let times = ["", ".safetensors"].map(|end| folder.join(format!("{name}.times{end}")));
        let times = times.into_iter().find(|path| path.exists());
        found.insert(
            name.to_owned(),
            ExpertFiles {
                features,
                times,
                dim: None,
            },
        );
    }
    match found.is_empty() {
        true => Err(DataError::NoExperts {
            path: folder.to_owned(),
        }),
        false => Ok(found),
    }
}

fn read(path: &Path) -> Result<String, DataError> {
    std::fs::read_to_string(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })
}

/// One video as written; `duration` is not used.
#[derive(Deserialize)]
struct WireEntry {
    timestamps: Vec<[f64; 2]>,
    sentences: Vec<String>,
}

/// The object keyed by video, in file order.
struct Wire(Vec<(String, WireEntry)>);

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Wire;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object keyed by video id")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wire, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Wire(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use tests::real_annotations;
