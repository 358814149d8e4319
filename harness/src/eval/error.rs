//! Why given scores or embeddings could not be evaluated.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use hitbench_kernels::{Dtype, KernelError};
use hitbench_reports::RecordError;

use super::buffer::OutOfMemory;
use super::ids::IdProblem;
use super::layout::Shape;
use super::location::Location;
use super::npy::Flaw;
use crate::metric::MetricError;

/// Names of members or columns that an error lists.
const LISTED: usize = 10;

/// Why there is no result. Every message about a file names it, the place in it, what was expected and what came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A file cannot be read at all.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A folder, pipe or device.
    #[error("`{}` is not an ordinary file", path.display())]
    NotAFile {
        /// What was given.
        path: PathBuf,
    },
    /// First bytes that no format has.
    #[error("`{location}`: expected .npy, .npz or safetensors, found {found}")]
    Format {
        /// The file.
        location: Location,
        /// What it looks like.
        found: String,
    },
    /// A flaw at a known byte.
    #[error("`{location}`, byte {offset}: expected {expected}, found {found}")]
    Malformed {
        /// The array.
        location: Location,
        /// Byte from the start of the file, or of the unpacked member of an archive.
        offset: usize,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The library that reads a container refuses it.
    #[error("`{location}` is damaged")]
    Container {
        /// The array that was looked for.
        location: Location,
        /// The library's reason.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A container without the member asked for, or with several where one was expected.
    #[error("`{}` {}", path.display(), Members { member: member.as_deref(), known })]
    Member {
        /// The container.
        path: PathBuf,
        /// What was asked for.
        member: Option<String>,
        /// What there is.
        known: Vec<String>,
    },
    /// A member of a file that holds one array only.
    #[error("`{}` holds one array, and no member `{member}`", path.display())]
    NoMembers {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        member: String,
    },
    /// More or fewer values than the shape says.
    #[error("`{location}`, byte {start}: expected {expected} bytes of values for {array}, found {found}")]
    ValueBytes {
        /// The array.
        location: Location,
        /// Where its values begin.
        start: usize,
        /// Its element type and shape.
        array: String,
        /// Bytes that the shape needs.
        expected: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// A shape whose size overflows.
    #[error("`{location}`: shape {shape} is larger than any memory")]
    TooLarge {
        /// The array.
        location: Location,
        /// The shape.
        shape: Shape,
    },
    /// Memory that the system does not give.
    #[error("`{location}` needs {n_bytes} bytes of memory that this machine does not have")]
    Memory {
        /// The array.
        location: Location,
        /// Bytes asked for.
        n_bytes: usize,
    },
    /// An array of the wrong number of axes.
    #[error("`{location}`: expected a matrix, found an array of shape {shape}")]
    Axes {
        /// The array.
        location: Location,
        /// Its shape.
        shape: Shape,
    },
    /// A matrix without rows or columns, or with more than can be numbered.
    #[error("`{location}`: expected 1 to 4294967295 rows and columns, found shape {shape}")]
    Size {
        /// The array.
        location: Location,
        /// Its shape.
        shape: Shape,
    },
    /// Elements that cannot be ranked.
    #[error("`{location}`: expected f16, f32 or f64, found {found}")]
    Element {
        /// The array.
        location: Location,
        /// Its element type.
        found: String,
    },
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
    /// A line of a list or table of ids that cannot be one.
    #[error("`{location}`, line {line}: {problem}")]
    IdLine {
        /// The file.
        location: Location,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A table without the column asked for, or with several where one must be named.
    #[error("`{location}` has the columns {}", Listed(known))]
    Column {
        /// The file, with the column asked for.
        location: Location,
        /// What there is.
        known: Vec<String>,
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
    /// A run folder that holds something else.
    #[error("`{}` holds another run: {found}", path.display())]
    OtherRun {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        found: String,
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
    /// A flaw of the array at `location`.
    pub(super) fn flaw(location: &Location, flaw: Flaw) -> Self {
        let location = location.clone();
        let Flaw {
            offset,
            expected,
            found,
        } = flaw;
        Self::Malformed {
            location,
            offset,
            expected,
            found,
        }
    }

    /// No memory for the array at `location`.
    pub(super) fn memory(location: &Location, error: OutOfMemory) -> Self {
        Self::Memory {
            location: location.clone(),
            n_bytes: error.n_bytes,
        }
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

/// The first names of a list, and how many more there are.
struct Listed<'a>(&'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .0
            .iter()
            .take(LISTED)
            .map(|name| format!("`{name}`"))
            .collect();
        f.write_str(&names.join(", "))?;
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// What a container holds instead of the member asked for.
struct Members<'a> {
    member: Option<&'a str>,
    known: &'a [String],
}

impl fmt::Display for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.member, self.known) {
            (_, []) => f.write_str("holds no array"),
            (Some(member), known) => write!(f, "holds no `{member}`, but {}", Listed(known)),
            (None, known) => write!(f, "holds several arrays: {}", Listed(known)),
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
