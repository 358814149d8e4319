//! Where features lie: one of the layouts of published releases, told apart by what is in the folder.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::collaborative_experts::CollaborativeExperts;
use super::expert_files::ExpertFolder;
use super::mmt::Mmt;
use super::recording::Recording;
use crate::data::error::DataError;

/// What all experts saw of one video, by name; absent experts are not in it.
pub(super) type VideoRecordings = Vec<(String, Recording)>;

/// Features of videos in some layout.
pub(super) trait FeatureSource: Sync {
    /// What the experts saw of a video; `None` when there is no file, entry or row of it at all.
    ///
    /// # Errors
    /// [`DataError`] that names file and video.
    fn read(&self, video: &str) -> Result<Option<VideoRecordings>, DataError>;

    /// Everything that features are read from: a cache made from other files is stale.
    ///
    /// # Errors
    /// [`DataError::Read`].
    fn files(&self, videos: &[&str]) -> Result<Vec<PathBuf>, DataError>;

    /// The layout in a few words.
    fn layout(&self) -> &'static str;

    /// Whether its experts are those of published releases, whose rows have known lengths.
    fn is_published(&self) -> bool;
}

/// Opens the features under `path`: MMT's tree, Collaborative Experts' pickles, or a file or folder for each expert.
///
/// # Errors
/// [`DataError::NoExperts`] for a folder with none of them, [`DataError::Read`], and those of the files.
pub(super) fn open(path: &Path) -> Result<Box<dyn FeatureSource>, DataError> {
    std::fs::metadata(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })?;
    if let Some(mmt) = Mmt::find(path) {
        return Ok(Box::new(mmt));
    }
    if let Some(experts) = CollaborativeExperts::find(path)? {
        return Ok(Box::new(experts));
    }
    Ok(Box::new(ExpertFolder::open(path)?))
}

/// Ids under which a release may have a video: ActivityNet's prefix `v_` is kept by some and dropped by others.
pub(super) fn spellings(video: &str) -> impl Iterator<Item = String> {
    let bare = video.strip_prefix("v_").map(str::to_owned);
    [Some(video.to_owned()), bare].into_iter().flatten()
}

/// Identity of files by name, length and time of change; files that are not there have their part in it too.
///
/// # Errors
/// [`DataError::Read`].
pub(super) fn fingerprint(files: &[PathBuf]) -> Result<blake3::Hash, DataError> {
    let mut hash = blake3::Hasher::new();
    for path in files {
        hash.update(path.as_os_str().as_encoded_bytes());
        let state = match std::fs::metadata(path) {
            Ok(metadata) => {
                let changed = metadata.modified().ok();
                let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                [metadata.len().into(), changed.map_or(0, |time| time.as_nanos())]
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => [u128::MAX, 0],
            Err(source) => {
                return Err(DataError::Read {
                    path: path.clone(),
                    source,
                });
            }
        };
        for number in state {
            hash.update(&number.to_le_bytes());
        }
    }
    Ok(hash.finalize())
}
