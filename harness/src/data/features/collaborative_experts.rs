//! Collaborative Experts' release (albanie/collaborative-experts): one pickle an expert, in folders named after how
//! the features were made, under `structured-symlinks`.
//!
//! A pickle is a dictionary from video to `[dim]`, `[1, dim]` or `[T, dim]`; NaN stands for a video on which the expert
//! has nothing. Experts get MMT's names, so that both releases of the same features give the same data set. Rows
//! pooled over a video have no time.

use std::path::{Path, PathBuf};

use super::expert_files::PickledFeatures;
use super::known::known;
use super::source::{FeatureSource, VideoRecordings};
use crate::data::error::DataError;

/// Where the folders are under the one that a user names.
const PLACES: [&str; 3] = ["structured-symlinks", "high-quality/structured-symlinks", ""];
/// What the folders of experts are called, or begin with.
const FOLDERS: [&str; 2] = ["aggregated_", "antoine"];
/// Features of captions, which are no expert's.
const TEXT_FEATURES: &str = "aggregated_text_feats";
const EXTENSIONS: [&str; 2] = ["pickle", "pkl"];
/// Stems whose first part is not the expert's name.
const STEMS: [(&str, &str); 13] = [
    ("Audio_MSRVTT_new", "vggish"),
    ("vggish-audio-raw", "vggish"),
    ("vggish-raw", "vggish"),
    ("facefeats-avg", "face"),
    ("stt_w2v", "speech"),
    ("goog_w2v-speech-raw", "speech"),
    ("resnet_features", "antoine_rgb"),
    ("flow_features", "antoine_flow"),
    ("audio_features", "antoine_audio"),
    ("facefeats-clone", "antoine_face"),
    ("face-max-with-blank-val", "face"),
    ("i3d-i3d-max-fps25-stride25", "antoine_i3d"),
    ("speech-w2v", "speech"),
];
/// Networks under the name that MMT gives their features.
const NETWORKS: [(&str, &str); 2] = [("senet154", "rgb"), ("densenet161", "scene")];

/// What stems of files have in them whose rows are pooled over a video.
const POOLED: [&str; 2] = ["avg", "max"];

/// The pickles of all experts.
#[derive(Debug)]
pub(super) struct CollaborativeExperts {
    experts: Vec<Expert>,
}

#[derive(Debug)]
struct Expert {
    name: String,
    /// Whether each video has one row, which has no time.
    is_pooled: bool,
    features: PickledFeatures,
}

impl CollaborativeExperts {
    /// Opens the release in or under a folder; `None` when there is none.
    ///
    /// # Errors
    /// [`DataError::Read`], [`DataError::DuplicateId`] for two files of one expert, and those of the pickles.
    pub(super) fn find(path: &Path) -> Result<Option<Self>, DataError> {
        for place in PLACES {
            let files = files_in(&path.join(place))?;
            if files.is_empty() {
                continue;
            }
            let mut experts: Vec<Expert> = Vec::new();
            for path in files {
                let Some((name, is_pooled)) = expert_of(&path) else {
                    continue;
                };
                if experts.iter().any(|known| known.name == name) {
                    return Err(DataError::DuplicateId {
                        path,
                        what: "expert",
                        id: name,
                    });
                }
                experts.push(Expert {
                    name,
                    is_pooled,
                    features: PickledFeatures::open(&path)?,
                });
            }
            return Ok(Some(Self { experts }));
        }
        Ok(None)
    }
}

impl FeatureSource for CollaborativeExperts {
    fn read(&self, video: &str) -> Result<Option<VideoRecordings>, DataError> {
        let (mut found, mut is_known) = (Vec::new(), false);
        for Expert {
            name,
            is_pooled,
            features,
        } in &self.experts
        {
            let Some(recording) = features.get(video)? else {
                continue;
            };
            is_known = true;
            let Some(mut recording) = recording else { continue };
            if !is_pooled {
                recording.times_s = known(name).and_then(|expert| expert.times_s(recording.n_rows()));
            }
            found.push((name.clone(), recording));
        }
        Ok(is_known.then_some(found))
    }

    fn files(&self, _: &[&str]) -> Result<Vec<PathBuf>, DataError> {
        Ok(self
            .experts
            .iter()
            .map(|expert| expert.features.path().to_owned())
            .collect())
    }

    fn layout(&self) -> &'static str {
        "Collaborative Experts, one pickle an expert"
    }

    fn is_published(&self) -> bool {
        true
    }
}

/// The pickles in the folders of experts, in the order of their names.
fn files_in(root: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for folder in entries(root)? {
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let is_expert = FOLDERS.iter().any(|start| name.starts_with(start)) && name != TEXT_FEATURES;
        if is_expert && folder.is_dir() {
            files.extend(entries(&folder)?.into_iter().filter(|file| {
                let extension = file.extension().and_then(|extension| extension.to_str());
                extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
            }));
        }
    }
    Ok(files)
}

/// What is in a folder, in the order of the names; nothing where there is no folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::Read {
        path: folder.to_owned(),
        source,
    };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let read = std::fs::read_dir(folder).map_err(failed)?;
    let entries = read.map(|entry| Ok(entry.map_err(failed)?.path()));
    let mut entries = entries.collect::<Result<Vec<PathBuf>, DataError>>()?;
    entries.sort();
    Ok(entries)
}

/// The expert whose features a file has, by the file's name, and whether they are pooled.
fn expert_of(path: &Path) -> Option<(String, bool)> {
    let stem = path.file_stem()?.to_str()?;
    let is_pooled = POOLED.iter().any(|word| stem.contains(word));
    if let Some((_, name)) = STEMS.into_iter().find(|(known, _)| *known == stem) {
        return Some((name.to_owned(), is_pooled));
    }
    let network = match stem {
        stem if stem.contains("r2p1d-ig65m-kinetics") => "r2p1dk",
        stem => stem.split('-').next()?,
    };
    let known = NETWORKS.into_iter().find(|(known, _)| *known == network);
    // A dot would separate levels of a tensor's name.
    let name = known
        .map_or(network, |(_, name)| name)
        .to_lowercase()
        .replace('.', "_");
    let ending = if stem.contains("-logits") { "_logits" } else { "" };
    (!name.is_empty()).then(|| (format!("{name}{ending}"), is_pooled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_releases_have_the_names_of_mmt() {
        let cases = [
            ("aggregated_audio_feats/Audio_MSRVTT_new.pickle", "vggish"),
            ("aggregated_audio/vggish-raw.pickle", "vggish"),
            (
                "aggregated_imagenet_25fps_256px_stride1_offset0/senet154-avg.pickle",
                "rgb",
            ),
            (
                "aggregated_imagenet_25fps_256px_stride1_offset0/senet154-avg-logits.pickle",
                "rgb_logits",
            ),
            (
                "aggregated_imagenet_25fps_256px_stride1_offset0/resnext101_32x48d-avg.pickle",
                "resnext101_32x48d",
            ),
            (
                "aggregated_r2p1d_30fps_256px_stride32/r2p1d-ig65m-avg.pickle",
                "r2p1d",
            ),
            (
                "aggregated_r2p1d_30fps_256px_stride32/r2p1d-ig65m-kinetics-avg.pickle",
                "r2p1dk",
            ),
            ("aggregated_ocr_feats/ocr-w2v.pkl", "ocr"),
            ("aggregated_speech/goog_w2v-speech-raw.pickle", "speech"),
            ("aggregated_speech_feats/stt_w2v.pickle", "speech"),
            ("antoine/face-max-with-blank-val.pickle", "face"),
            ("antoine/resnet_features.pickle", "antoine_rgb"),
        ];
        for (path, expert) in cases {
            let is_pooled = path.contains("-avg") || path.contains("-max");
            assert_eq!(
                expert_of(Path::new(path)),
                Some((expert.to_owned(), is_pooled)),
                "{path}"
            );
        }
    }

    #[test]
    fn pickles_are_read_and_nan_is_absent() {
        let Some(data) = hitbench_tests::test_data("synthetic/collaborative-experts") else {
            return;
        };
        let release = CollaborativeExperts::find(&data)
            .expect("pickles can be read")
            .expect("they are there");
        let names: Vec<&str> = release
            .experts
            .iter()
            .map(|expert| expert.name.as_str())
            .collect();
        assert_eq!(names, ["vggish", "face", "rgb", "ocr", "scene", "speech"]);
        let read = |video: &str| release.read(video).expect("the pickles can be read");
        let of = |video: &str| -> Vec<(String, usize, usize, Option<Vec<f32>>)> {
            let found = read(video).expect("the video is there").into_iter();
            let facts =
                found.map(|(name, recording)| (name, recording.n_rows(), recording.dim, recording.times_s));
            facts.collect()
        };
        let seconds = Some(vec![0.5, 1.5, 2.5]);
        assert_eq!(
            of("video9770"),
            [
                ("vggish".to_owned(), 3, 128, seconds),
                ("rgb".to_owned(), 1, 2048, None),
                ("ocr".to_owned(), 6, 300, None),
                ("scene".to_owned(), 1, 2208, None),
            ]
        );
        assert!(read("video1").is_none());
    }
}
