//! What every data set becomes: videos with expert features, captions, and splits.

use std::sync::Arc;

use hitbench_models::config::ExpertSpec;

/// Feature rows of one expert for one video.
#[derive(Debug, Clone)]
pub enum FeatureRows {
    /// Rows of their own, `[n_rows, dim]` row-major.
    Dense(Vec<f32>),
    /// Rows of a table shared by many videos (word vectors).
    Indexed {
        /// The table `[n, dim]`, row-major.
        table: Arc<Vec<f32>>,
        /// Row of the table for each feature row.
        rows: Vec<u32>,
    },
}

/// What one expert saw of one video; at least one row.
#[derive(Debug, Clone)]
pub struct ExpertFeatures {
    /// The rows.
    pub rows: FeatureRows,
    /// Mean time of each row in seconds, `None` when the format has no times.
    pub times_s: Option<Vec<f32>>,
}

/// A video: an id and, for each expert of the data set, its features or their absence.
#[derive(Debug, Clone)]
pub struct Video {
    /// Id, unique in the data set.
    pub id: String,
    /// One entry an expert, in the order of [`Dataset::experts`].
    pub experts: Vec<Option<ExpertFeatures>>,
}

/// A caption of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// Id, unique in the data set.
    pub id: String,
    /// Index of its video in [`Dataset::videos`].
    pub video: usize,
    /// The text as given.
    pub text: String,
}

/// Indices into [`Dataset::videos`]; disjoint, in a fixed order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Splits {
    /// Training videos.
    pub train: Vec<usize>,
    /// Validation videos; may be empty.
    pub val: Vec<usize>,
    /// Test videos.
    pub test: Vec<usize>,
}

/// A checked data set.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Short name.
    pub name: String,
    /// What it is and where it comes from, in full sentences; printed in reports.
    pub about: String,
    /// Experts in alphabetical order.
    pub experts: Vec<ExpertSpec>,
    /// All videos.
    pub videos: Vec<Video>,
    /// All captions, those of one video in file order.
    pub captions: Vec<Caption>,
    /// The splits.
    pub splits: Splits,
    /// Text of each video for the lexical TF-IDF baseline, where the "video" was made of words; else empty.
    pub lexical: Vec<String>,
    /// BLAKE3 of everything above that can move a number, as lower-case hex.
    pub content_hash: String,
}
