//! A folder with a file or folder an expert, whatever made them: `NAME.safetensors`, `NAME.pickle`, `NAME.h5`, a
//! BigFile folder `NAME`, or a folder `NAME` with a file a video.
//!
//! A folder of files a video may be that of `video_features`, which adds a key to each file's name: `ID_s3d.npy`, or
//! `ID_rgb.npy` and `ID_flow.npy` for two experts `i3d_rgb` and `i3d_flow`, with `ID_timestamps_ms.npy` beside them; or
//! that of HERO (`.npz` with `features`) or COOT (`.npz` with `frame_scores`).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::arrays::Arrays;
use super::expert::{Times, read_recording};
use super::recording::Recording;
use super::source::{FeatureSource, VideoRecordings};
use crate::data::error::DataError;
use crate::format::{FormatError, Handle, Key, Location, Pickle, Value, View};

/// Endings of files with the features of all videos.
const FILES: [&str; 5] = ["safetensors", "pickle", "pkl", "h5", "hdf5"];
/// Keys that `video_features` gives the two streams of I3D.
const STREAMS: [&str; 2] = ["_rgb", "_flow"];
/// What `video_features` calls times, which are in milliseconds.
const TIMESTAMPS: &str = "_timestamps_ms";

/// Experts, each with its own file or folder.
#[derive(Debug)]
pub(super) struct ExpertFolder {
    experts: Vec<Expert>,
}

#[derive(Debug)]
struct Expert {
    name: String,
    features: Arrays,
    /// Times, and how many units of theirs make a second.
    times: Option<(Arrays, f32)>,
}

impl ExpertFolder {
    /// Opens the experts of a folder, or the only one of a file.
    ///
    /// # Errors
    /// [`DataError::NoExperts`], [`DataError::Read`], and those of the files.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let mut experts = BTreeMap::new();
        if path.is_file() {
            let stem = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or("features");
            // A dot would separate levels of a tensor's name.
            let name = stem.replace('.', "_");
            let features = Arrays::open(path, "")?;
            return Ok(Self {
                experts: vec![Expert {
                    name,
                    features,
                    times: None,
                }],
            });
        }
        let failed = |source| DataError::Read {
            path: path.to_owned(),
            source,
        };
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            let extension = file.extension().and_then(|extension| extension.to_str());
            let name = match extension {
                Some(extension) if FILES.contains(&extension) => file.file_stem(),
                None if file.is_dir() => file.file_name(),
                _ => None,
            };
            let name = name
                .and_then(|name| name.to_str())
                .filter(|name| !name.contains('.'));
            let Some(name) = name.map(str::to_owned) else {
                continue;
            };
            if let Some(other) = experts.insert(name.clone(), file.clone()) {
                return Err(DataError::DuplicateId {
                    path: file.max(other),
                    what: "expert",
                    id: name,
                });
            }
        }
        let mut opened = Vec::new();
        for (name, file) in experts {
            open_expert(path, &name, &file, &mut opened)?;
        }
        match opened.is_empty() {
            false => Ok(Self { experts: opened }),
            true => Err(DataError::NoExperts {
                path: path.to_owned(),
            }),
        }
    }
}

/// Opens what is called `name` in a folder: one expert, or two streams.
fn open_expert(folder: &Path, name: &str, file: &Path, experts: &mut Vec<Expert>) -> Result<(), DataError> {
    let mut push = |name: String, path: &Path, suffix: &str, times| -> Result<(), DataError> {
        let features = Arrays::open(path, suffix)?;
        experts.push(Expert {
            name,
            features,
            times,
        });
        Ok(())
    };
    let endings = std::iter::once(String::new()).chain(FILES.iter().map(|ending| format!(".{ending}")));
    let mut times = endings.map(|ending| folder.join(format!("{name}.times{ending}")));
    if let Some(times) = times.find(|path| path.exists()) {
        return push(name.to_owned(), file, "", Some((Arrays::open(&times, "")?, 1.0)));
    }
    let keys = match file.is_dir() {
        true => Keys::in_folder(file, name)?,
        false => Keys::default(),
    };
    let file = keys.folder.as_deref().unwrap_or(file);
    let times = || -> Result<Option<(Arrays, f32)>, DataError> {
        let times = keys
            .has_timestamps
            .then(|| Arrays::open(file, TIMESTAMPS))
            .transpose()?;
        Ok(times.map(|times| (times, 1e3)))
    };
    match &keys.streams[..] {
        [] => push(name.to_owned(), file, &keys.suffix, times()?),
        streams => streams
            .iter()
            .try_for_each(|stream| push(format!("{name}{stream}"), file, stream, times()?)),
    }
}

/// What the names of files in an expert's folder have behind the ids of videos.
#[derive(Debug, Default)]
struct Keys {
    /// The folder below, of the one model that `video_features` ran.
    folder: Option<PathBuf>,
    suffix: String,
    streams: Vec<&'static str>,
    has_timestamps: bool,
}

impl Keys {
    fn in_folder(folder: &Path, name: &str) -> Result<Self, DataError> {
        let failed = |source| DataError::Read {
            path: folder.to_owned(),
            source,
        };
        let entries = std::fs::read_dir(folder).map_err(failed)?;
        let entries = entries.map(|entry| Ok(entry.map_err(failed)?.path()));
        let entries = entries.collect::<Result<Vec<PathBuf>, DataError>>()?;
        if let [only] = &entries[..]
            && only.is_dir()
        {
            let keys = Self::in_folder(only, name)?;
            return Ok(Self {
                folder: Some(keys.folder.unwrap_or_else(|| only.clone())),
                ..keys
            });
        }
        let stems = || entries.iter().filter_map(|path| path.file_stem()?.to_str());
        let ends = |suffix: &str| stems().any(|stem| stem.ends_with(suffix));
        let own = format!("_{name}");
        Ok(Self {
            folder: None,
            streams: match STREAMS.iter().all(|stream| ends(stream)) {
                true => STREAMS.into(),
                false => Vec::new(),
            },
            suffix: if ends(&own) { own } else { String::new() },
            has_timestamps: ends(TIMESTAMPS),
        })
    }
}

impl FeatureSource for ExpertFolder {
    fn read(&self, video: &str) -> Result<Option<VideoRecordings>, DataError> {
        let mut found = Vec::new();
        for Expert {
            name,
            features,
            times,
        } in &self.experts
        {
            let times = times.as_ref().map(|(arrays, per_second)| Times {
                arrays,
                per_second: *per_second,
            });
            if let Some(recording) = read_recording(features, times.as_ref(), video, None)? {
                found.push((name.clone(), recording));
            }
        }
        Ok((!found.is_empty()).then_some(found))
    }

    fn files(&self, videos: &[&str]) -> Result<Vec<PathBuf>, DataError> {
        let of = |expert: &Expert| {
            let times = expert.times.iter().flat_map(|(times, _)| times.files(videos));
            expert
                .features
                .files(videos)
                .into_iter()
                .chain(times)
                .collect::<Vec<_>>()
        };
        Ok(self.experts.iter().flat_map(of).collect())
    }

    fn layout(&self) -> &'static str {
        "a file or folder an expert"
    }

    fn is_published(&self) -> bool {
        false
    }
}

/// A pickled dictionary from video to array.
#[derive(Debug)]
pub(super) struct PickledFeatures {
    path: PathBuf,
    pickle: Pickle,
    by_video: HashMap<String, Handle>,
}

/// What a dictionary has of a video.
pub(super) enum Found {
    /// A NaN instead of an array, or none.
    Nothing,
    /// Shape and values.
    Array(Vec<usize>, Vec<f32>),
}

impl PickledFeatures {
    /// Reads the dictionary of a file.
    ///
    /// # Errors
    /// [`DataError::Format`]; [`DataError::Features`] for a pickle that is no dictionary by video.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let pickle = Pickle::read(path)?;
        let root = pickle.root();
        let root = match root.view() {
            // NumPy keeps a dictionary in an array without axes.
            View::Objects(shape, mut items) if shape.0.is_empty() => items.next().unwrap_or(root),
            _ => root,
        };
        let View::Dict(entries) = root.view() else {
            let problem = format!("expected a dictionary by video, found {}", root.describe());
            return Err(super::arrays::damaged(path, None, problem));
        };
        let by_video = entries.map(|(key, value)| {
            let key = match key {
                Key::Text(text) => text.into_owned(),
                Key::Int(number) => number.to_string(),
            };
            (key, value.handle())
        });
        Ok(Self {
            path: path.to_owned(),
            by_video: by_video.collect(),
            pickle,
        })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is at a key; `None` where there is no such key.
    pub(super) fn find(&self, id: &str) -> Option<Result<Found, DataError>> {
        let value = self.pickle.value(*self.by_video.get(id)?);
        Some(self.found(id, value))
    }

    /// What is there of a video: `None` where it has no entry, `Some(None)` where the expert has nothing on it.
    ///
    /// # Errors
    /// [`DataError::Features`], and those of [`Recording::new`].
    pub(super) fn get(&self, video: &str) -> Result<Option<Option<Recording>>, DataError> {
        let Some(found) = super::source::spellings(video).find_map(|id| self.find(&id)) else {
            return Ok(None);
        };
        match found? {
            Found::Nothing => Ok(Some(None)),
            Found::Array(shape, values) => Recording::new(&self.path, video, &shape, values, None).map(Some),
        }
    }

    fn found(&self, id: &str, value: Value<'_>) -> Result<Found, DataError> {
        let damaged = |source: FormatError| super::arrays::damaged(&self.path, Some(id), source);
        match value.view() {
            View::Float(number) if number.is_nan() => Ok(Found::Nothing),
            View::None => Ok(Found::Nothing),
            View::Array(array) => {
                let array = array.array().map_err(damaged)?;
                let values = array.to_f32().map_err(damaged)?;
                Ok(Found::Array(array.shape, values))
            }
            _ => Err(DataError::Features {
                path: Location::file(&self.path).path,
                video: Some(id.to_owned()),
                source: format!("expected an array, found {}", value.describe()).into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
