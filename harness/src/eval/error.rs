//! Why given scores or embeddings could not be evaluated.

use std::fmt;
use std::io;
use std::path::PathBuf;

use hitbench_kernels::{Dtype, KernelError};
use hitbench_reports::RecordError;

use super::ids::IdProblem;
use crate::format::{Entry, FormatError, Location, OutOfMemory, Shape};
use crate::metric::MetricError;

/// Why there is no result. Every message about a file names it, the place in it, what was expected and what came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A file cannot be read as what it should be.
    #[error(transparent)]
    File(#[from] FormatError),
    /// NaN or infinity in a row that takes part.
    #[error("`{location}`: row {row}, column {column} is {value}")]
    NotFinite {
        /// The matrix.
        location: Location,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value.
        value: f64,
    },
    /// A finite value that the kernel's type cannot hold.
    #[error("`{location}`: row {row}, column {column} is {value}, too large for {dtype}")]
    Overflow {
        /// The matrix.
        location: Location,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value.
        value: f64,
        /// Element type of the kernel.
        dtype: Dtype,
    },
    /// A row that has no direction.
    #[error("`{location}`: row {row} is zero and cannot be normalised")]
    ZeroRow {
        /// The matrix.
        location: Location,
        /// Row, from 0.
        row: usize,
    },
    /// Post-processing that leaves the range of f64.
    #[error("`{post}` makes the score of row {row}, column {column} {value}")]
    Post {
        /// The post-processing.
        post: String,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// What the score became.
        value: f64,
    },
    /// A prediction that is no index of the gallery.
    #[error("`{location}`, {entry}: prediction {place} is {index}, expected an index below {n_gallery}")]
    OutsideGallery {
        /// The predictions.
        location: Location,
        /// Whose predictions.
        entry: Entry,
        /// Which of them, from 1.
        place: usize,
        /// The index.
        index: u32,
        /// Items of the gallery.
        n_gallery: usize,
    },
    /// Embeddings of two lengths.
    #[error("`{text}` has rows of {text_dim} values, `{video}` of {video_dim}")]
    Dim {
        /// Text embeddings.
        text: Location,
        /// Their row length.
        text_dim: usize,
        /// Video embeddings.
        video: Location,
        /// Their row length.
        video_dim: usize,
    },
    /// A mask with other entries than 0 and 1, or of another number.
    #[error("`{location}`: expected {expected}, found {found}")]
    Mask {
        /// The mask.
        location: Location,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Another number of ids than of rows or columns.
    #[error("`{ids}` has {found} ids for {expected} {what} of `{matrix}`")]
    IdCount {
        /// The ids.
        ids: Location,
        /// How many there are.
        found: usize,
        /// `rows` or `columns`.
        what: &'static str,
        /// The file that they are for.
        matrix: String,
        /// How many it has.
        expected: usize,
        /// Whether the first line may be a header.
        header: bool,
    },
    /// Ids that do not join.
    #[error("ids do not fit together: {}", Joined(problems))]
    Ids {
        /// What is wrong, one entry a kind.
        problems: Vec<IdProblem>,
        /// The map, if some of it is wrong there.
        map: Option<PathBuf>,
    },
    /// Ids that do not join, with nothing left that does.
    #[error(
        "ids do not fit together, and nothing is left without them: {}",
        Joined(problems)
    )]
    NothingLeft {
        /// What is wrong, one entry a kind.
        problems: Vec<IdProblem>,
        /// The map, if some of it is wrong there.
        map: Option<PathBuf>,
    },
    /// Unequal numbers of texts and videos, and nothing says which belong together.
    #[error("{n_texts} texts and {n_videos} videos: which text belongs to which video?")]
    MapNeeded {
        /// Rows.
        n_texts: usize,
        /// Columns.
        n_videos: usize,
    },
    /// Counts that are not the protocol's.
    #[error("{counts}")]
    Protocol {
        /// Which count it is.
        counts: MetricError,
        /// Whether rows and columns look exchanged.
        transposed: bool,
    },
    /// A bank of queries whose width is not the gallery's.
    #[error("`{bank}` has shape {found}, expected {expected} {what}")]
    Bank {
        /// The bank.
        bank: Location,
        /// Its shape.
        found: Shape,
        /// What it needs.
        expected: usize,
        /// `columns, one a video` or `rows, one a text`.
        what: &'static str,
    },
    /// Options that do not go together.
    #[error("{problem}")]
    Usage {
        /// What is missing or too much.
        problem: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// An id that a TREC file cannot hold.
    #[error("the {what} id `{id}` has a blank, and TREC files part their fields by blanks")]
    TrecId {
        /// `text` or `video`.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// A run folder that holds something else.
    #[error("`{}` holds another run: {found}", path.display())]
    OtherRun {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// A file that is no shard.
    #[error("`{}` is no shard that can be read: {problem}", path.display())]
    Shard {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Run folders without shards.
    #[error("no shard in {}", Paths(runs))]
    NoShards {
        /// The folders.
        runs: Vec<PathBuf>,
    },
    /// Shards of different evaluations.
    #[error("`{}` is a shard of another evaluation than `{}`: other {what}", other.display(), first.display())]
    OtherShards {
        /// What differs.
        what: &'static str,
        /// A shard.
        first: PathBuf,
        /// One that does not fit to it.
        other: PathBuf,
    },
    /// Counting or summing up failed.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// Records cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The program's own file cannot be read for its build id.
    #[error("cannot identify this build")]
    Build(#[source] io::Error),
}

impl EvalError {
    /// No memory for the array at `location`.
    pub(super) fn memory(location: &Location, error: OutOfMemory) -> Self {
        FormatError::memory(location, error).into()
    }

    /// What a kernel said about embeddings, told about their files: to it, texts are queries.
    pub(super) fn of_kernel(error: KernelError, text: &Location, video: &Location) -> Self {
        let file = |side: &str| {
            if side == "query" {
                text.clone()
            } else {
                video.clone()
            }
        };
        match error {
            KernelError::NotFinite {
                side,
                row,
                column,
                value,
            } => Self::NotFinite {
                location: file(side),
                row,
                column,
                value,
            },
            KernelError::Overflow {
                side,
                row,
                column,
                value,
                dtype,
            } => Self::Overflow {
                location: file(side),
                row,
                column,
                value,
                dtype,
            },
            other => Self::Metric(other.into()),
        }
    }
}

/// One problem after another.
struct Joined<'a>(&'a [IdProblem]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&problems.join("; "))
    }
}

/// Folders in quotes.
struct Paths<'a>(&'a [PathBuf]);

impl fmt::Display for Paths<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<String> = self
            .0
            .iter()
            .map(|path| format!("`{}`", path.display()))
            .collect();
        f.write_str(&paths.join(", "))
    }
}
