//! Why a file could not be read as an array or a table: which file, where in it, what was expected, what came.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::buffer::OutOfMemory;
use super::flaw::Flaw;
use super::layout::Shape;
use super::location::Location;
use super::pickle::PLAIN;

/// Names of members or columns that an error lists.
const LISTED: usize = 10;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
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
    #[error(
        "`{location}`: expected .npy, .npz, safetensors, HDF5, a pickle or a BigFile folder, found {found}"
    )]
    Unknown {
        /// The file.
        location: Location,
        /// What it looks like.
        found: String,
    },
    /// A folder that lacks one of the files of a BigFile.
    #[error("`{}` has no file `{missing}`: a BigFile folder holds feature.bin, id.txt and shape.txt", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The file that is not there.
        missing: &'static str,
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
    /// Something in a sound container that is not read.
    #[error("`{location}`: expected {expected}, found {found}")]
    Unread {
        /// The array.
        location: Location,
        /// What would be read.
        expected: &'static str,
        /// What is there.
        found: String,
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
    /// Something else than a list of ids.
    #[error("`{location}`: expected a list of texts, found {found}")]
    Text {
        /// The array.
        location: Location,
        /// What it is.
        found: String,
    },
    /// An entry of a list of ids that is none.
    #[error("`{location}`, entry {entry}: {problem}")]
    Entry {
        /// The list.
        location: Location,
        /// Place in it, from 0.
        entry: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A line of a text file that cannot be read as what it should be.
    #[error("`{location}`, line {line}: {problem}")]
    Line {
        /// The file.
        location: Location,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A table without the column asked for, or with several where one must be named.
    #[error("{}", columns(location, known))]
    Column {
        /// The file, with the column asked for.
        location: Location,
        /// What there is.
        known: Vec<String>,
    },
    /// A table whose columns have fixed names, without one of them.
    #[error("`{}` needs a header {expected}, {}", location.path.display(), found_columns(known))]
    Header {
        /// The file.
        location: Location,
        /// The header, as the file would have it.
        expected: &'static str,
        /// The columns that there are.
        known: Vec<String>,
    },
    /// JSON that cannot be read as what it should be.
    #[error("`{location}`, line {line}: column {column}: {problem}")]
    Json {
        /// The file.
        location: Location,
        /// Line, from 1.
        line: usize,
        /// Column in it, from 1.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
}

impl FormatError {
    /// A flaw of the array at `location`.
    pub(crate) fn flaw(location: &Location, flaw: Flaw) -> Self {
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
    pub(crate) fn memory(location: &Location, error: OutOfMemory) -> Self {
        Self::Memory {
            location: location.clone(),
            n_bytes: error.n_bytes,
        }
    }

    /// A stable word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::NotAFile { .. } => "cannot-read",
            Self::Memory { .. } => "memory",
            Self::Column { .. } | Self::Header { .. } | Self::Text { .. } | Self::Entry { .. } => "ids",
            _ => "format",
        }
    }

    /// The file at fault.
    pub fn file(&self) -> &Path {
        match self {
            Self::Read { path, .. }
            | Self::NotAFile { path }
            | Self::Folder { path, .. }
            | Self::Member { path, .. }
            | Self::NoMembers { path, .. } => path,
            Self::Unknown { location, .. }
            | Self::Malformed { location, .. }
            | Self::Container { location, .. }
            | Self::Unread { location, .. }
            | Self::ValueBytes { location, .. }
            | Self::TooLarge { location, .. }
            | Self::Memory { location, .. }
            | Self::Axes { location, .. }
            | Self::Size { location, .. }
            | Self::Element { location, .. }
            | Self::Text { location, .. }
            | Self::Entry { location, .. }
            | Self::Line { location, .. }
            | Self::Column { location, .. }
            | Self::Header { location, .. }
            | Self::Json { location, .. } => &location.path,
        }
    }

    /// The line at fault in a file of text, from 1.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Line { line, .. } => usize::try_from(*line).ok(),
            Self::Json { line, .. } => Some(*line),
            _ => None,
        }
    }

    /// The column at fault in that line, from 1; 1 where only the line is known.
    pub fn column(&self) -> usize {
        match self {
            Self::Json { column, .. } => *column,
            _ => 1,
        }
    }

    /// What to do about it, where there is something to say.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Unknown { .. } => Some("save the array with numpy.save, numpy.savez or safetensors"),
            Self::Malformed { expected, .. } if expected == PLAIN => {
                Some("nothing in a pickle is run: save the arrays themselves with numpy.save or numpy.savez")
            }
            Self::Member { .. } => Some("name the array that is meant as FILE::NAME"),
            Self::Column { location, .. } if location.member.is_some() => Some(
                "the first line of the file must name that column; where FILE::COLUMN is taken, it may name another",
            ),
            Self::Column { .. } => Some("name the column that is meant as FILE::COLUMN"),
            Self::Header { .. } => Some(
                "make the first line name these columns; their order does not matter, nor do others beside them",
            ),
            _ => None,
        }
    }
}

fn columns(location: &Location, known: &[String]) -> String {
    let (path, listed) = (location.path.display(), Listed(known));
    match &location.member {
        Some(column) if known.is_empty() => format!("`{path}` has no column `{column}`: it is empty"),
        Some(column) => format!("`{path}` has no column `{column}`, its columns are {listed}"),
        None => format!("`{path}` has the columns {listed}"),
    }
}

fn found_columns(known: &[String]) -> String {
    match known {
        [] => "and is empty".to_owned(),
        known => format!("its columns are {}", Listed(known)),
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
