//! What published data sets have in common besides features: folders with annotation files, lists of ids, captions that
//! belong to videos, splits.

mod files;
mod json;
mod pickles;

use std::collections::HashSet;
use std::path::Path;

use super::config::PublishedConfig;
use super::dataset::{Caption, Dataset, Gaps, Split, Splits, Video};
use super::error::DataError;
use super::features::{self, Request};

pub(super) use files::{Folders, read_id_list, read_id_table};
pub(super) use json::{Ordered, read_json};
pub(super) use pickles::{read_caption_index, read_raw_captions};

/// Videos, captions and splits of a data set, without features.
#[derive(Debug)]
pub(super) struct Annotated {
    pub(super) name: &'static str,
    /// What it is, and which files it was read from, in full sentences.
    pub(super) about: String,
    /// What is needed and where it can be had, for messages about what is missing.
    pub(super) help: &'static str,
    pub(super) videos: Vec<String>,
    /// Captions ordered by video.
    pub(super) captions: Vec<Caption>,
    pub(super) splits: Splits,
    pub(super) gaps: Gaps,
}

impl Annotated {
    /// A data set without videos.
    pub(super) fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            about: String::new(),
            help,
            videos: Vec::new(),
            captions: Vec::new(),
            splits: Splits::default(),
            gaps: Gaps::default(),
        }
    }

    /// Adds the videos of a split, whose ids `list` names.
    ///
    /// # Errors
    /// [`DataError::DuplicateId`] for an id that occurs twice, in one list or two; [`DataError::BadId`] for one that
    /// cannot name a file.
    pub(super) fn add_split(
        &mut self,
        split: Split,
        list: &Path,
        ids: impl IntoIterator<Item = String>,
    ) -> Result<(), DataError> {
        let first = self.videos.len();
        self.videos.extend(ids);
        check_ids(list, &self.videos)?;
        let members = first..self.videos.len();
        match split {
            Split::Train => self.splits.train.extend(members),
            Split::Val => self.splits.val.extend(members),
            Split::Test => self.splits.test.extend(members),
        }
        Ok(())
    }

    /// Adds the captions of video `video`; white space is normalised, and captions without a word are left out and
    /// counted. Captions of a video are added once and videos in order.
    pub(super) fn add_captions<T: AsRef<str>>(
        &mut self,
        video: usize,
        captions: impl IntoIterator<Item = (String, T)>,
    ) {
        debug_assert!(
            self.captions.last().is_none_or(|last| last.video < video),
            "videos come in order"
        );
        for (id, text) in captions {
            let text = normalised(text.as_ref());
            if text.is_empty() {
                self.gaps.captions_without_words += 1;
            } else {
                self.captions.push(Caption { id, video, text });
            }
        }
    }

    /// Adds the captions of a video, numbered `VIDEO#0`, `VIDEO#1`, ...: all of them, or the one that is chosen.
    ///
    /// # Errors
    /// [`DataError::CaptionIndex`] for a number that the captions do not reach.
    pub(super) fn add_numbered<T: AsRef<str>>(
        &mut self,
        video: usize,
        captions: &[T],
        chosen: Option<usize>,
    ) -> Result<(), DataError> {
        let id = self.videos[video].clone();
        let range = match chosen {
            None => 0..captions.len(),
            // A video without captions is counted as such, not refused.
            Some(_) if captions.is_empty() => 0..0,
            Some(index) if index < captions.len() => index..index + 1,
            Some(index) => {
                return Err(DataError::CaptionIndex {
                    video: id,
                    index,
                    captions: captions.len(),
                });
            }
        };
        let numbered = range.map(|number| (format!("{id}#{number}"), &captions[number]));
        self.add_captions(video, numbered);
        Ok(())
    }

    /// The data set without any expert.
    ///
    /// # Errors
    /// [`DataError::EmptySplit`].
    pub(super) fn without_features(self) -> Result<Dataset, DataError> {
        let videos = self.videos.into_iter().map(|id| Video {
            id,
            experts: Vec::new(),
        });
        Dataset {
            name: self.name.to_owned(),
            about: format!("{} Without features.", self.about),
            experts: Vec::new(),
            videos: videos.collect(),
            captions: self.captions,
            splits: self.splits,
            lexical: Vec::new(),
            gaps: self.gaps,
            content_hash: String::new(),
        }
        .finish()
    }

    /// Reads the features of all videos.
    ///
    /// # Errors
    /// [`DataError::Config`]; [`DataError::MissingFeatures`] when there is no such folder, those of [features](super::features), and
    /// [`DataError::EmptySplit`].
    pub(super) fn with_features<S>(self, config: &PublishedConfig<S>) -> Result<Dataset, DataError> {
        self.with_features_in(config, &features::cache_folder()?)
    }

    /// As [`Self::with_features`], with packed files in `cache`.
    pub(super) fn with_features_in<S>(
        self,
        config: &PublishedConfig<S>,
        cache: &Path,
    ) -> Result<Dataset, DataError> {
        config.validate()?;
        if !config.features.exists() {
            return Err(DataError::MissingFeatures {
                name: self.name,
                path: config.features.clone(),
                help: self.help,
            });
        }
        let request = Request {
            path: &config.features,
            experts: &config.experts,
            dtype: config.dtype,
        };
        let ids: Vec<&str> = self.videos.iter().map(String::as_str).collect();
        let found = features::load(request, &ids, cache)?;
        let about = format!(
            "{} Features: {}, kept as {}.",
            self.about,
            found.layout,
            config.dtype.name()
        );
        let videos = self.videos.into_iter().zip(found.videos);
        Dataset {
            name: self.name.to_owned(),
            about,
            experts: found.experts,
            videos: videos.map(|(id, experts)| Video { id, experts }).collect(),
            captions: self.captions,
            splits: self.splits,
            lexical: Vec::new(),
            gaps: Gaps {
                videos_without_file: found.videos_without_file,
                recordings_with_more_times: found.times_cut,
                ..self.gaps
            },
            content_hash: String::new(),
        }
        .finish()
    }
}

/// Runs of white space as one blank, none at the ends.
pub(super) fn normalised(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Ids must be distinct and usable as a file name and as the name of a tensor.
///
/// # Errors
/// [`DataError::BadId`], [`DataError::DuplicateId`].
pub(super) fn check_ids(path: &Path, ids: &[String]) -> Result<(), DataError> {
    let mut seen = HashSet::with_capacity(ids.len());
    for id in ids {
        let problem = match id.as_str() {
            "" => "is empty",
            "." | ".." | "__metadata__" => "is reserved",
            id if id.contains(['/', '\\', '\0']) => "has a slash, backslash or NUL",
            _ => "",
        };
        if !problem.is_empty() {
            return Err(DataError::BadId {
                path: path.to_owned(),
                what: "video",
                id: id.clone(),
                problem,
            });
        }
        if !seen.insert(id) {
            return Err(DataError::DuplicateId {
                path: path.to_owned(),
                what: "video",
                id: id.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
