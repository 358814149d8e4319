//! Where data comes from: the `data:` section of a suite.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `data:` section: one source by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataConfig {
    /// Generated videos with latent objects, actions and scenes.
    Synthetic(SyntheticConfig),
    /// ActivityNet Captions, paragraph retrieval, features in the folder format.
    Activitynet(ActivitynetConfig),
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

/// ActivityNet Captions with features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivitynetConfig {
    /// Folder with `train.json`, `val_1.json`, `val_2.json`: the first of these that exists.
    pub annotations: Vec<PathBuf>,
    /// Folder with one folder of features an expert, in the folder format.
    pub features: PathBuf,
    /// Test split: `val_1` or `val_2`.
    pub test: ActivitynetTest,
}

/// Which validation file is the test split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ActivitynetTest {
    /// `val_1.json`, 4,917 videos.
    #[serde(rename = "val_1")]
    Val1,
    /// `val_2.json`, 4,885 videos.
    #[serde(rename = "val_2")]
    Val2,
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
    /// `annotations` is where the test data of a checkout lie.
    fn default() -> Self {
        Self {
            annotations: vec![PathBuf::from("../shared/data/coot/annotations/activitynet")],
            word_dim: 300,
            test_videos: 1000,
            seed: 0,
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
