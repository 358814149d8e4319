//! What can go wrong in the set-up, each with its remedy in the text.

use std::path::{Path, PathBuf};

use crate::cache::LIBTORCH_VERSION;

/// An error of the set-up or of a command it runs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The feature `torch` is not supported here.
    #[error(
        "libtorch is set up on Linux x86-64 only, this is {os} {arch}; `cargo build` without `--features torch` works here"
    )]
    Platform {
        /// Operating system.
        os: &'static str,
        /// Processor architecture.
        arch: &'static str,
    },
    /// No variable names a place for the cache.
    #[error("no place for the cache: set HITBENCH_CACHE, XDG_CACHE_HOME or HOME")]
    NoCacheDir,
    /// `LIBTORCH` holds another release.
    #[error(
        "LIBTORCH is libtorch {found} ({}), this project needs {LIBTORCH_VERSION}: unset LIBTORCH, or let it name a libtorch {LIBTORCH_VERSION}",
        path.display()
    )]
    OtherLibtorch {
        /// Value of `LIBTORCH`.
        path: PathBuf,
        /// The release found there.
        found: String,
    },
    /// `LIBTORCH` names something that is not a whole libtorch.
    #[error("LIBTORCH is no usable libtorch: {} is missing; unset LIBTORCH to have one fetched", path.display())]
    NotLibtorch {
        /// The file that should be there.
        path: PathBuf,
    },
    /// `--cuda` together with the user's own libtorch.
    #[error(
        "`--cuda` adds to the libtorch of the cache, but LIBTORCH names another ({}): unset LIBTORCH",
        path.display()
    )]
    CudaForOwnLibtorch {
        /// Value of `LIBTORCH`.
        path: PathBuf,
    },
    /// A program that the set-up needs is not there.
    #[error("{what} not found (tried {tried}): {remedy}")]
    MissingTool {
        /// What is missing.
        what: &'static str,
        /// Commands that were tried.
        tried: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A wheel can neither be found in the cache nor fetched.
    #[error(
        "cannot fetch {}: put {} into {} and run the command again\n  pip says: {reason}",
        files.first().unwrap_or(&""), files.join(" and "), folder.display()
    )]
    Download {
        /// File names of this and all other wheels that are not in the cache.
        files: Vec<&'static str>,
        /// Where they belong.
        folder: PathBuf,
        /// pip's own reason.
        reason: String,
    },
    /// A fetched file is not the pinned one.
    #[error("{} has sha256 {found}, expected {expected}", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// The pinned hash.
        expected: &'static str,
        /// The file's hash.
        found: String,
    },
    /// A wheel lacks a file that the unpacked folder needs.
    #[error("{} holds no `{member}`", path.display())]
    Layout {
        /// The wheel.
        path: PathBuf,
        /// The missing member.
        member: &'static str,
    },
    /// A wheel cannot be read.
    #[error("cannot unpack {}", path.display())]
    Zip {
        /// The wheel.
        path: PathBuf,
        /// The reader's error.
        source: zip::result::ZipError,
    },
    /// `.libtorch` in the checkout is something else than a link.
    #[error("{} is not a link made by the set-up: move it away", path.display())]
    LinkInTheWay {
        /// The path.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A command could not be started.
    #[error("cannot start `{command}`")]
    Start {
        /// The command.
        command: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A command ran and failed.
    #[error("`{command}` failed")]
    Failed {
        /// The command.
        command: String,
        /// Its exit code; 1 where a signal ended it.
        code: u8,
    },
}

impl Error {
    /// For `map_err` on a file operation.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
