//! Where data comes from: the `data:` section of a suite.

mod published;

use std::fmt::Display;
use std::path::PathBuf;

use hitbench_models::config::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use published::{
    ActivitynetSplit, DidemoSplit, FeatureDtype, LsmdcSplit, MsrvttSplit, MsvdSplit, PublishedConfig,
    VatexSplit, Youcook2Split,
};

/// Most videos that are generated: ids have six digits.
const MAX_VIDEOS: usize = 1_000_000;

/// The `data:` section: one source by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataConfig {
    /// Generated videos with latent objects, actions and scenes.
    Synthetic(SyntheticConfig),
    /// MSR-VTT.
    Msrvtt(PublishedConfig<MsrvttSplit>),
    /// ActivityNet Captions, paragraph retrieval.
    Activitynet(PublishedConfig<ActivitynetSplit>),
    /// LSMDC16.
    Lsmdc(PublishedConfig<LsmdcSplit>),
    /// MSVD.
    Msvd(PublishedConfig<MsvdSplit>),
    /// DiDeMo, paragraph retrieval.
    Didemo(PublishedConfig<DidemoSplit>),
    /// VATEX, English captions.
    Vatex(PublishedConfig<VatexSplit>),
    /// YouCook2, clips.
    Youcook2(PublishedConfig<Youcook2Split>),
    /// ActivityNet Captions described twice: `val_1` as text, words of `val_2` as a speech-like expert.
    TwoAnnotators(TwoAnnotatorsConfig),
    /// The project's own folder format.
    Folder(FolderConfig),
}

/// Settings of the generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticConfig {
    /// Videos in all splits together.
    pub videos: usize,
    /// Captions a video.
    pub captions: usize,
    /// Test videos; the rest train.
    pub test_videos: usize,
    /// Share of videos that are exact duplicates of another, in `[0, 1)`.
    pub duplicate_rate: f64,
    /// Share of videos that differ from another in one detail only, in `[0, 1)`.
    pub near_duplicate_rate: f64,
    /// Chance that a video lacks an expert, in `[0, 1)`.
    pub absent_rate: f64,
    /// Standard deviation of the noise on each feature, against signals of unit length.
    pub noise: f64,
    /// Seed of the whole data set.
    pub seed: u64,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self {
            videos: 1200,
            captions: 2,
            test_videos: 200,
            duplicate_rate: 0.02,
            near_duplicate_rate: 0.1,
            absent_rate: 0.1,
            noise: 0.1,
            seed: 7,
        }
    }
}

impl SyntheticConfig {
    /// Near-duplicates and exact duplicates among `n_videos` of one split, rounded to the nearest.
    pub(super) fn duplicates_of(&self, n_videos: usize) -> (usize, usize) {
        let share = |rate: f64| (rate * n_videos as f64).round() as usize;
        (share(self.near_duplicate_rate), share(self.duplicate_rate))
    }

    /// Checks every field and the relations between them; the first that cannot be is the error.
    ///
    /// # Errors
    /// [`ConfigError`] with a path relative to `data.synthetic`.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(2..=MAX_VIDEOS).contains(&self.videos) {
            return Err(refuse("videos", self.videos, format!("2 to {MAX_VIDEOS}")));
        }
        if !(1..=100).contains(&self.captions) {
            return Err(refuse("captions", self.captions, "1 to 100"));
        }
        if !(1..self.videos).contains(&self.test_videos) {
            let allowed = format!("1 to {} (one less than `videos`)", self.videos - 1);
            return Err(refuse("test_videos", self.test_videos, allowed));
        }
        let rates = [
            ("duplicate_rate", self.duplicate_rate),
            ("near_duplicate_rate", self.near_duplicate_rate),
            ("absent_rate", self.absent_rate),
        ];
        for (path, rate) in rates {
            if !(0.0..1.0).contains(&rate) {
                return Err(refuse(path, rate, "at least 0 and below 1"));
            }
        }
        for n_videos in [self.test_videos, self.videos - self.test_videos] {
            let (near, exact) = self.duplicates_of(n_videos);
            if near + exact >= n_videos {
                let allowed = "low enough that with `duplicate_rate` each split keeps an original";
                return Err(refuse("near_duplicate_rate", self.near_duplicate_rate, allowed));
            }
        }
        if !(0.0..=100.0).contains(&self.noise) {
            return Err(refuse("noise", self.noise, "0 to 100"));
        }
        Ok(())
    }
}

/// The two-annotator task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwoAnnotatorsConfig {
    /// Folder with `val_1.json` and `val_2.json`: the first of these that exists.
    pub annotations: Vec<PathBuf>,
    /// Length of a word vector.
    pub word_dim: usize,
    /// Test videos; the rest train.
    pub test_videos: usize,
    /// Seed of the split and of the word vectors.
    pub seed: u64,
}

impl Default for TwoAnnotatorsConfig {
    fn default() -> Self {
        Self {
            annotations: vec![PathBuf::from("data/activitynet-captions")],
            word_dim: 300,
            test_videos: 1000,
            seed: 0,
        }
    }
}

impl TwoAnnotatorsConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ConfigError`] with a path relative to `data.two_annotators`.
    pub fn validate(&self) -> Result<(), ConfigError> {
        some_folder(&self.annotations)?;
        if !(1..=4096).contains(&self.word_dim) {
            return Err(refuse("word_dim", self.word_dim, "1 to 4096"));
        }
        if self.test_videos == 0 {
            return Err(refuse("test_videos", 0, "1 or more"));
        }
        Ok(())
    }
}

impl DataConfig {
    /// Checks the settings without reading any file.
    ///
    /// # Errors
    /// [`ConfigError`] with a path relative to the `data` section.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let (section, checked) = match self {
            Self::Synthetic(config) => ("synthetic", config.validate()),
            Self::Msrvtt(config) => ("msrvtt", config.validate()),
            Self::Activitynet(config) => ("activitynet", config.validate()),
            Self::Lsmdc(config) => ("lsmdc", config.validate()),
            Self::Msvd(config) => ("msvd", config.validate()),
            Self::Didemo(config) => ("didemo", config.validate()),
            Self::Vatex(config) => ("vatex", config.validate()),
            Self::Youcook2(config) => ("youcook2", config.validate()),
            Self::TwoAnnotators(config) => ("two_annotators", config.validate()),
            Self::Folder(FolderConfig { .. }) => return Ok(()),
        };
        checked.map_err(|error| ConfigError {
            path: format!("{section}.{}", error.path),
            ..error
        })
    }
}

impl DataConfig {
    /// Protocols whose test set this is, the usual one first; none for data of nobody else.
    pub fn protocols(&self) -> &'static [&'static str] {
        match self {
            Self::Msrvtt(config) => match config.split {
                MsrvttSplit::OneKA | MsrvttSplit::OneKA7k => &["msrvtt-1ka"],
                MsrvttSplit::OneKB => &["msrvtt-1kb"],
                MsrvttSplit::Full => &["msrvtt-full", "msrvtt-full-ce"],
                MsrvttSplit::FullFirst => &["msrvtt-full-first"],
            },
            Self::Activitynet(config) => match config.split {
                ActivitynetSplit::Val1 => &["activitynet-val1-paragraph"],
                ActivitynetSplit::Val2 => &["activitynet-val2-paragraph"],
            },
            Self::Lsmdc(_) => &["lsmdc-1000"],
            Self::Msvd(_) => &["msvd-670"],
            Self::Didemo(_) => &["didemo-paragraph"],
            Self::Vatex(_) => &["vatex-1500"],
            Self::Youcook2(_) => &["youcook2-val"],
            Self::Synthetic(_) | Self::TwoAnnotators(_) | Self::Folder(_) => &[],
        }
    }
}

/// The project's own folder format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// Folder with `dataset.yaml`.
    pub path: PathBuf,
}

fn some_folder(annotations: &[PathBuf]) -> Result<(), ConfigError> {
    match annotations.is_empty() {
        true => Err(refuse("annotations", "empty", "at least one folder")),
        false => Ok(()),
    }
}

fn refuse(path: &str, value: impl Display, allowed: impl Into<String>) -> ConfigError {
    ConfigError {
        path: path.to_owned(),
        value: value.to_string(),
        allowed: allowed.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut SyntheticConfig)) -> ConfigError {
        let mut config = SyntheticConfig::default();
        change(&mut config);
        config.validate().unwrap_err()
    }

    #[test]
    fn impossible_generators_are_refused_with_path_value_and_range() {
        SyntheticConfig::default().validate().unwrap();
        let cases = [
            (refused(|c| c.videos = 1), "`videos` is 1, allowed: 2 to 1000000"),
            (refused(|c| c.captions = 0), "`captions` is 0, allowed: 1 to 100"),
            (
                refused(|c| c.test_videos = 0),
                "`test_videos` is 0, allowed: 1 to 1199 (one less than `videos`)",
            ),
            (
                refused(|c| c.test_videos = 1200),
                "`test_videos` is 1200, allowed: 1 to 1199 (one less than `videos`)",
            ),
            (
                refused(|c| c.absent_rate = 1.0),
                "`absent_rate` is 1, allowed: at least 0 and below 1",
            ),
            (
                refused(|c| c.duplicate_rate = f64::NAN),
                "`duplicate_rate` is NaN, allowed: at least 0 and below 1",
            ),
            (
                refused(|c| (c.duplicate_rate, c.near_duplicate_rate) = (0.5, 0.5)),
                "`near_duplicate_rate` is 0.5, allowed: low enough that with `duplicate_rate` each split keeps \
                 an original",
            ),
            (refused(|c| c.noise = -0.1), "`noise` is -0.1, allowed: 0 to 100"),
        ];
        for (error, message) in cases {
            assert_eq!(error.to_string(), message);
        }
    }
}
