//! What can be wrong with data.

use std::path::PathBuf;

use hitbench_models::TokenizerError;

use crate::format::FormatError;

/// Why a data set could not be loaded, checked or written.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder could not be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A data set would be written over another.
    #[error("`{}` exists; choose another folder", .path.display())]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// None of the folders given holds an annotation file.
    #[error(
        "no {what} of {name}: none of the folders {} holds {}.\n{help}", list(.folders), names(.files)
    )]
    NoAnnotations {
        /// The data set.
        name: &'static str,
        /// What is missing, in words.
        what: &'static str,
        /// Files that would do.
        files: Vec<&'static str>,
        /// The folders.
        folders: Vec<PathBuf>,
        /// What the data set needs, and where it can be had.
        help: &'static str,
    },
    /// The folder of features is not there.
    #[error("no features of {name}: there is no `{}`.\n{help}", .path.display())]
    MissingFeatures {
        /// The data set.
        name: &'static str,
        /// The folder.
        path: PathBuf,
        /// What the data set needs, and where it can be had.
        help: &'static str,
    },
    /// A JSON file does not have the expected form.
    #[error("`{}` is not as {name} has it", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The data set.
        name: &'static str,
        /// The cause, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// A line of an annotation file does not have the expected form.
    #[error("`{}`, line {line}: {problem}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected, and what came.
        problem: String,
    },
    /// The caption chosen for a video is none of its captions.
    #[error("caption {index} is chosen for video `{video}`, which has {captions}")]
    CaptionIndex {
        /// The video.
        video: String,
        /// The number chosen, from 0.
        index: usize,
        /// Captions that it has.
        captions: usize,
    },
    /// A pickle of captions does not have the expected form.
    #[error("`{}`{}: expected {expected}, found {found}", .path.display(), of_video(.video))]
    Pickle {
        /// The file.
        path: PathBuf,
        /// The video, where the flaw has one.
        video: Option<String>,
        /// What was expected.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// An annotation does not fit together.
    #[error("`{}`: video `{video}` has {sentences} sentences but {timestamps} timestamps", .path.display())]
    Timestamps {
        /// The file.
        path: PathBuf,
        /// The video.
        video: String,
        /// Its sentences.
        sentences: usize,
        /// Its timestamps.
        timestamps: usize,
    },
    /// A `dataset.yaml` does not have the expected form.
    #[error("`{}` is not a data set description", .path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// The cause, with line and column.
        #[source]
        source: Box<serde_yaml::Error>,
    },
    /// A `dataset.yaml` parses, but a value in it is impossible.
    #[error("`{}`: `{key}` is {value}, allowed is {allowed}", .path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value found.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A CSV file does not have the expected form.
    #[error("`{}` is not in the expected CSV form", .path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// The cause, with the line.
        #[source]
        source: csv::Error,
    },
    /// A CSV file has another header.
    #[error("`{}` has the header `{found}`, expected `{expected}`", .path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The header found.
        found: String,
        /// The header expected.
        expected: &'static str,
    },
    /// An id occurs twice.
    #[error("`{}`: {what} `{id}` occurs twice", .path.display())]
    DuplicateId {
        /// The file.
        path: PathBuf,
        /// What the id names.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// An id that cannot be used.
    #[error("`{}`: {what} `{id}` {problem}", .path.display())]
    BadId {
        /// The file.
        path: PathBuf,
        /// What the id names.
        what: &'static str,
        /// The id.
        id: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file of features is damaged or of a kind that is not read.
    #[error("`{}` cannot be read as features{}", .path.display(), of_video(.video))]
    Features {
        /// The file.
        path: PathBuf,
        /// The video, where the file has several.
        video: Option<String>,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file of features ends too early.
    #[error("`{}`: video `{video}` is cut off in row {row} of {rows}", .path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The video.
        video: String,
        /// The first row, from 0, that is not whole.
        row: usize,
        /// Rows that there should be.
        rows: usize,
    },
    /// No video has features of an expert.
    #[error("`{}` has features of {expert} for none of the videos", .path.display())]
    NoFeatures {
        /// The file or folder.
        path: PathBuf,
        /// The expert, in words.
        expert: String,
    },
    /// There is no place for packed features.
    #[error("no place for the cache of features: set HITBENCH_CACHE, XDG_CACHE_HOME or HOME")]
    NoCache,
    /// A packed file changed after it was made.
    #[error("the packed features in `{}` are damaged: delete the file, and it is made anew", .path.display())]
    DamagedPack {
        /// The file.
        path: PathBuf,
    },
    /// A feature is too large for half precision.
    #[error(
        "video `{video}`, expert `{expert}`, row {row}, column {column} is {value}, beyond f16; use `dtype: f32`"
    )]
    Overflow {
        /// The video.
        video: String,
        /// The expert.
        expert: String,
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// More rows than can be counted.
    #[error("video `{video}`, expert `{expert}` has 2^32 rows or more")]
    TooManyRows {
        /// The video.
        video: String,
        /// The expert.
        expert: String,
    },
    /// A folder of features has no expert.
    #[error("`{}` has no features in a known layout: neither MMT's `mult_h5`, nor the pickles of Collaborative Experts, nor \
         NAME.safetensors, NAME.pickle, NAME.h5 or a folder NAME for any expert", .path.display())]
    NoExperts {
        /// The folder.
        path: PathBuf,
    },
    /// Features have another shape than the expert.
    #[error("`{}`: video `{video}` has features of shape {found:?}, expected {expected}", .path.display())]
    FeatureShape {
        /// The file.
        path: PathBuf,
        /// The video.
        video: String,
        /// The shape found.
        found: Vec<usize>,
        /// The shape expected.
        expected: String,
    },
    /// An expert of a published release has rows of a length that it never has.
    #[error(
        "expert `{expert}` has rows of {found} values in `{}`, expected {}", .path.display(), one_of(.expected)
    )]
    ExpertDim {
        /// The file or folder.
        path: PathBuf,
        /// The expert.
        expert: String,
        /// Length of a row found.
        found: usize,
        /// Lengths that the expert has in published releases, or in the videos before.
        expected: Vec<usize>,
    },
    /// A file cannot be read in its format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A video's file has no caption.
    #[error("`{}`: video `{video}` has no caption", .path.display())]
    NoCaptions {
        /// The file.
        path: PathBuf,
        /// The video.
        video: String,
    },
    /// A feature is NaN or infinite.
    #[error("`{}`: video `{video}`, row {row}, column {column} is {value}", .path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The video.
        video: String,
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// Times and features of a video do not belong together.
    #[error("`{}`: video `{video}` has times of shape {found:?}, expected {expected}", .path.display())]
    Times {
        /// The file of the times.
        path: PathBuf,
        /// The video.
        video: String,
        /// The shape found.
        found: Vec<usize>,
        /// The shape that its features ask for.
        expected: String,
    },
    /// A split has no video that can be used.
    #[error("the {split} split of `{name}` has no video with a caption")]
    EmptySplit {
        /// The split.
        split: &'static str,
        /// The data set.
        name: String,
    },
    /// An expert without features on any video of a split: most likely, its files go by other ids.
    #[error(
        "expert `{expert}` of `{name}` has features on none of the {n_videos} videos of the {split} split, such as `{video}`"
    )]
    ExpertWithoutVideos {
        /// The expert.
        expert: String,
        /// The data set.
        name: String,
        /// The split.
        split: &'static str,
        /// Videos of it.
        n_videos: usize,
        /// The first of them.
        video: String,
    },
    /// More asked for than there is.
    #[error("{asked} {what} asked for, but `{name}` has {have}")]
    TooFew {
        /// What is asked for.
        what: &'static str,
        /// How many.
        asked: usize,
        /// How many there are.
        have: usize,
        /// The data set.
        name: String,
    },
    /// The settings are impossible.
    #[error(transparent)]
    Config(#[from] hitbench_models::config::ConfigError),
    /// A batch could not be built.
    #[error("the data cannot be made into a batch")]
    Batch(#[from] hitbench_models::batch::BatchError),
    /// Captions could not be tokenised.
    #[error("captions of `{name}` cannot be tokenised")]
    Tokenizer {
        /// The data set.
        name: String,
        /// The cause.
        #[source]
        source: TokenizerError,
    },
}

impl DataError {
    /// What to do about [`ExpertWithoutVideos`](Self::ExpertWithoutVideos).
    pub(crate) const USELESS_EXPERT: &str = "features are found by the ids of videos: do its files have such ids? If it is not meant, leave it out";
}

fn names(files: &[&str]) -> String {
    let names: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
    names.join(" or ")
}

fn one_of(sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    sizes.join(" or ")
}

fn list(folders: &[PathBuf]) -> String {
    let names: Vec<String> = folders
        .iter()
        .map(|folder| format!("`{}`", folder.display()))
        .collect();
    names.join(", ")
}

fn of_video(video: &Option<String>) -> String {
    video
        .as_ref()
        .map(|video| format!(" of video `{video}`"))
        .unwrap_or_default()
}
