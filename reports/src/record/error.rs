//! What can go wrong with the files of a run folder.

use std::io;
use std::path::{Path, PathBuf};

/// A run folder could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file or folder could not be created, written, synced or renamed.
    #[error("could not write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file could not be read.
    #[error("could not read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder holds no `run.json`.
    #[error("{} is not a run folder: it has no run.json", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// A folder for a new run holds something else.
    #[error("{} holds no run, and is not empty: it has `{entry}`", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// Name of something in it.
        entry: String,
    },
    /// Written by a newer hitbench.
    #[error("{} has format {found}, but this hitbench reads format {supported} and older", path.display())]
    FutureFormat {
        /// The file.
        path: PathBuf,
        /// Format in the file.
        found: u32,
        /// Newest format that is understood.
        supported: u32,
        /// Line, counted from 1.
        line: usize,
    },
    /// A JSON file, or one line of a JSON-lines file, is not what its format says.
    #[error("{}:{line} is torn or not a record", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// A CSV file is not what its format says.
    #[error("{} is torn or not what its header says", path.display())]
    TornCsv {
        /// The file.
        path: PathBuf,
        /// What the parser said, with the line.
        #[source]
        source: csv::Error,
    },
    /// Another process writes to the folder.
    #[error("{} is locked by another process that runs the same suite", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A record with a number that JSON has no word for, NaN or an infinity, where there must be one; a
    /// defect of what measured it.
    #[error("trial {trial} has a value that is no number")]
    NotANumber {
        /// Id of the trial.
        trial: String,
        /// Which value.
        #[source]
        source: serde_json::Error,
    },
    /// A plot could not be drawn; a defect of this program, not of the records.
    #[error("could not draw {}: {problem}", path.display())]
    Draw {
        /// The plot's file.
        path: PathBuf,
        /// What the drawing library said.
        problem: String,
    },
}

impl RecordError {
    /// Whether the cause is that something could not be written (exit code 74), in contrast to a file that
    /// could not be understood (exit code 2).
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Write { .. })
    }

    /// The file or folder at fault, if one is.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Write { path, .. }
            | Self::Read { path, .. }
            | Self::NotARun { path }
            | Self::Occupied { path, .. }
            | Self::FutureFormat { path, .. }
            | Self::Torn { path, .. }
            | Self::TornCsv { path, .. }
            | Self::Locked { path }
            | Self::Draw { path, .. } => Some(path),
            Self::NotANumber { .. } => None,
        }
    }

    /// Line and column at fault in the file, from 1; column 1 where only the line is known.
    pub fn position(&self) -> Option<(usize, usize)> {
        match self {
            // At the end of a line that ends too early, the parser may count columns from 0.
            Self::Torn { line, source, .. } => Some((*line, source.column().max(1))),
            Self::TornCsv { source, .. } => {
                let line = source.position()?.line();
                Some((usize::try_from(line).ok()?, 1))
            }
            Self::FutureFormat { line, .. } => Some((*line, 1)),
            _ => None,
        }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}
