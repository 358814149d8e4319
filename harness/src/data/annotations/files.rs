//! Folders with annotation files, and lists of ids in them.

use std::path::{Path, PathBuf};

use crate::data::error::DataError;
use crate::format::{Location, read_columns, read_text};

/// Where releases put their lists under the folder that a user names.
const PLACES: [&str; 5] = [
    "",
    "symlinked-feats",
    "structured-symlinks",
    "high-quality/structured-symlinks",
    "annotations",
];

/// The folders that a configuration names for a data set.
#[derive(Debug, Clone, Copy)]
pub(in crate::data) struct Folders<'a> {
    pub(in crate::data) name: &'static str,
    pub(in crate::data) folders: &'a [PathBuf],
    /// What the data set needs, and where it can be had.
    pub(in crate::data) help: &'static str,
}

impl Folders<'_> {
    /// The first of `files` that is in a folder: earlier names first, then earlier folders.
    pub(in crate::data) fn find(&self, files: &[&str]) -> Option<PathBuf> {
        let paths = files.iter().flat_map(|file| {
            let folders = self.folders.iter();
            folders.flat_map(move |folder| PLACES.iter().map(move |place| folder.join(place).join(file)))
        });
        paths
            .into_iter()
            .find(|path| path.is_file())
            // Without the empty part that joining an empty place leaves.
            .map(|path| path.components().collect())
    }

    /// As [`Self::find`], of what must be there.
    ///
    /// # Errors
    /// [`DataError::NoAnnotations`] with the help of the data set.
    pub(in crate::data) fn need(
        &self,
        what: &'static str,
        files: &[&'static str],
    ) -> Result<PathBuf, DataError> {
        self.find(files).ok_or_else(|| self.missing(what, files))
    }

    /// The error about something that is in none of the folders.
    pub(in crate::data) fn missing(&self, what: &'static str, files: &[&'static str]) -> DataError {
        DataError::NoAnnotations {
            name: self.name,
            what,
            files: files.to_vec(),
            folders: self.folders.to_vec(),
            help: self.help,
        }
    }
}

/// The ids of a list: one a line without a header, or the column `video_id` of a table.
///
/// # Errors
/// [`DataError::Format`] with the line.
pub(in crate::data) fn read_id_list(path: &Path) -> Result<Vec<String>, DataError> {
    let location = Location::file(path);
    let text = read_text(&location)?;
    if text.lines().next().is_some_and(|line| line.trim() == "video_id") {
        return Ok(read_id_table(path, ["video_id"])?
            .into_iter()
            .map(|[id]| id)
            .collect());
    }
    // A last line without its end is a line; blank lines are none.
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Columns of a table with a header, parted by commas, semicolons or tabs.
///
/// # Errors
/// [`DataError::Format`] with the line, or for a column that is not there.
pub(in crate::data) fn read_id_table<const N: usize>(
    path: &Path,
    columns: [&str; N],
) -> Result<Vec<[String; N]>, DataError> {
    let location = Location::file(path);
    let text = read_text(&location)?;
    Ok(read_columns(&location, &text, columns)?)
}
