//! Files that a command writes beside its standard output: whole, or not at all.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::failure::Failure;
use crate::eval::ExportError;
use crate::exit_code::ExitCode;

/// What to do where nothing can be written.
pub(super) const WRITABLE: &str = "name a place where files can be written";

/// A file that appears under its name once everything is in it; until then, and for ever if that fails, what was there
/// stays.
#[derive(Debug)]
pub(super) struct OutputFile {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

/// The system's reason is the source.
#[derive(Debug, thiserror::Error)]
#[error("could not write `{}`", path.display())]
struct CannotWrite {
    path: PathBuf,
    source: io::Error,
}

impl miette::Diagnostic for CannotWrite {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(WRITABLE))
    }
}

impl OutputFile {
    /// Begins a file, so that a place where nothing can be written is found before any work.
    ///
    /// # Errors
    /// [`Failure`] with exit code 74.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Those of any new file; the process's mask applies.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        match builder.tempfile_in(folder) {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                file: BufWriter::new(file),
            }),
            Err(source) => Err(cannot_write(path, source)),
        }
    }

    /// Fills the file and gives it its name.
    ///
    /// # Errors
    /// [`Failure`] with exit code 74 when it cannot be written, that of `fill` when it has nothing to write.
    pub(super) fn write(
        mut self,
        fill: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
    ) -> Result<(), Failure> {
        match fill(&mut self.file) {
            Ok(()) => {}
            Err(ExportError::Eval(error)) => return Err(error.into()),
            Err(ExportError::Write(source)) => return Err(cannot_write(&self.path, source)),
        }
        let named = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        let named = named.and_then(|file| file.persist(&self.path).map_err(|error| error.error));
        match named {
            Ok(_) => Ok(()),
            Err(source) => Err(cannot_write(&self.path, source)),
        }
    }
}

/// The failure of a file or folder that the command was to write.
pub(super) fn cannot_write(path: &Path, source: io::Error) -> Failure {
    let path = path.to_owned();
    let error = CannotWrite {
        path: path.clone(),
        source,
    };
    Failure::explained(ExitCode::CannotWrite, "cannot-write", error).in_file(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.txt");
        fs::write(&path, "old").unwrap();
        let failed = OutputFile::create(&path).unwrap().write(|out| {
            out.write_all(b"half")?;
            Err(io::Error::other("full").into())
        });
        let failure = failed.unwrap_err();
        assert_eq!(
            (failure.code, failure.reason, failure.file.as_deref()),
            (ExitCode::CannotWrite, "cannot-write", Some(&*path))
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        let written = OutputFile::create(&path).unwrap();
        written.write(|out| Ok(out.write_all(b"new")?)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        let nowhere = OutputFile::create(&folder.path().join("absent/out.txt")).unwrap_err();
        assert_eq!(nowhere.code, ExitCode::CannotWrite);
    }
}
