//! A folder with a file or folder an expert, whatever made them: `NAME.safetensors`, `NAME.pickle`, `NAME.h5`, a
//! BigFile folder `NAME`, or a folder `NAME` with a file a video.
//!
//! A folder of files a video may be that of `video_features`, which adds a key to each file's name: `ID_s3d.npy`, or
//! `ID_rgb.npy` and `ID_flow.npy` for two experts `i3d_rgb` and `i3d_flow`, with `ID_timestamps_ms.npy` beside them; or
//! that of HERO (`.npz` with `features`) or COOT (`.npz` with `frame_scores`).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::arrays::Arrays;
use super::expert::{Times, read_recording};
use super::recording::Recording;
use super::source::{FeatureSource, VideoRecordings};
use crate::data::error::DataError;
use crate::format::{Format, FormatError, Handle, Location, Pickle, Value, View, open};

/// Endings of files with the features of all videos.
const FILES: [&str; 7] = ["safetensors", "pickle", "pkl", "pth", "pt", "h5", "hdf5"];
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
        let (mut experts, mut opened) = (BTreeMap::new(), Vec::new());
        if path.is_file() {
            let stem = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or("features");
            // A dot would separate levels of a tensor's name.
            open_expert(
                path.parent().unwrap_or(path),
                &stem.replace('.', "_"),
                path,
                &mut opened,
            )?;
            return Ok(Self { experts: opened });
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

/// Opens what is called `name` in a folder: one expert, two streams, or the experts of one pickle.
fn open_expert(folder: &Path, name: &str, file: &Path, experts: &mut Vec<Expert>) -> Result<(), DataError> {
    let endings = std::iter::once(String::new()).chain(FILES.iter().map(|ending| format!(".{ending}")));
    let mut times = endings.map(|ending| folder.join(format!("{name}.times{ending}")));
    if let Some(times) = times.find(|path| path.exists()) {
        experts.push(Expert {
            name: name.to_owned(),
            features: Arrays::open(file, "")?,
            times: Some((Arrays::open(&times, "")?, 1.0)),
        });
        return Ok(());
    }
    if file.is_file() && Format::of(file, &open(&Location::file(file))?) == Some(Format::Pickle) {
        for (part, features) in PickledFeatures::open_all(file)? {
            experts.push(Expert {
                name: part.map_or(name.to_owned(), |part| {
                    format!("{name}_{}", part.replace('.', "_"))
                }),
                features: Arrays::Pickle(features),
                times: None,
            });
        }
        return Ok(());
    }
    let keys = match file.is_dir() {
        true => Keys::in_folder(file, name)?,
        false => Keys::default(),
    };
    let file = keys.folder.as_deref().unwrap_or(file);
    let streams = match &keys.streams[..] {
        [] => vec![(name.to_owned(), keys.suffix.as_str())],
        streams => streams
            .iter()
            .map(|stream| (format!("{name}{stream}"), *stream))
            .collect(),
    };
    for (name, suffix) in streams {
        let times = keys
            .has_timestamps
            .then(|| Arrays::open(file, TIMESTAMPS))
            .transpose()?;
        experts.push(Expert {
            name,
            features: Arrays::open(file, suffix)?,
            times: times.map(|times| (times, 1e3)),
        });
    }
    Ok(())
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
    /// Shared by the experts of one file.
    pickle: Arc<Pickle>,
    by_video: HashMap<String, Handle>,
}

/// What a dictionary has of a video.
pub(super) enum Found {
    /// A NaN instead of an array, or none.
    Nothing,
    /// Shape and values.
    Array(Vec<usize>, Vec<f32>),
}

/// Key of a video's id where features are a list of dictionaries (HowTo100M's YouCook2).
const ID: &str = "id";

impl PickledFeatures {
    /// Reads the dictionary of a file.
    ///
    /// # Errors
    /// [`DataError::Format`]; [`DataError::Features`] for a pickle that is no dictionary by video.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let mut tables = Self::open_all(path)?;
        match (tables.pop(), tables.is_empty()) {
            (Some((None, features)), true) => Ok(features),
            _ => Err(no_dictionary(path, "several of them")),
        }
    }

    /// Reads the features of a file: of one expert, without a name, or of several by name, as HowTo100M has them: a
    /// dictionary of dictionaries by video, or a list with a dictionary a video.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn open_all(path: &Path) -> Result<Vec<(Option<String>, Self)>, DataError> {
        let pickle = Arc::new(Pickle::read(path)?);
        let root = unwrapped(pickle.root());
        let tables: Vec<(Option<String>, HashMap<String, Handle>)> = match root.view() {
            View::Dict(entries) => {
                let experts: Vec<_> = entries.collect();
                match !experts.is_empty() && experts.iter().all(|(_, videos)| is_dict(*videos)) {
                    true => {
                        let experts = experts.into_iter();
                        experts
                            .map(|(expert, videos)| (Some(expert.to_string()), by_video(videos)))
                            .collect()
                    }
                    false => vec![(None, by_video(root))],
                }
            }
            View::List(videos) => {
                let mut experts: BTreeMap<String, HashMap<String, Handle>> = BTreeMap::new();
                for video in videos {
                    let id = video.get(ID).and_then(|id| match id.view() {
                        View::Text(text) => Some(text.into_owned()),
                        View::Int(number) => Some(number.to_string()),
                        _ => None,
                    });
                    let (Some(id), View::Dict(entries)) = (id, video.view()) else {
                        return Err(no_dictionary(path, "a list of something else"));
                    };
                    for (key, value) in entries.filter(|(_, value)| matches!(value.view(), View::Array(_))) {
                        experts
                            .entry(key.to_string())
                            .or_default()
                            .insert(id.clone(), value.handle());
                    }
                }
                experts
                    .into_iter()
                    .map(|(expert, videos)| (Some(expert), videos))
                    .collect()
            }
            _ => return Err(no_dictionary(path, &pickle.root().describe())),
        };
        let features = tables.into_iter().map(|(expert, by_video)| {
            let features = Self {
                path: path.to_owned(),
                pickle: Arc::clone(&pickle),
                by_video,
            };
            (expert, features)
        });
        Ok(features.collect())
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

fn no_dictionary(path: &Path, found: &str) -> DataError {
    let problem = format!("expected a dictionary by video, found {found}");
    super::arrays::damaged(path, None, problem)
}

/// The value itself, out of the array without axes in which NumPy keeps a dictionary.
fn unwrapped(root: Value<'_>) -> Value<'_> {
    match root.view() {
        View::Objects(shape, mut items) if shape.0.is_empty() => items.next().unwrap_or(root),
        _ => root,
    }
}

fn is_dict(value: Value<'_>) -> bool {
    matches!(value.view(), View::Dict(_))
}

/// The places of a dictionary's values.
fn by_video(dictionary: Value<'_>) -> HashMap<String, Handle> {
    let View::Dict(entries) = dictionary.view() else {
        return HashMap::new();
    };
    entries
        .map(|(key, value)| (key.to_string(), value.handle()))
        .collect()
}

#[cfg(test)]
mod tests;
