//! Ids in the order of the rows or columns that they name, out of any file that can hold them.

use std::fs;
use std::sync::Arc;

use super::array::{Array, Format, open};
use super::error::FormatError;
use super::location::Location;
use super::table::{read_columns, read_lines, read_text};
use super::{bigfile, hdf5};

/// Reads ids: a text file with one a line or, with `FILE::COLUMN`, a column of a CSV file; an array of texts in an
/// `.npy`, `.npz`, HDF5 or pickle file; the ids of a BigFile folder. Blanks around them are cut off.
///
/// # Errors
/// [`FormatError`]; [`FormatError::Entry`] for an entry of an array that is empty.
pub(crate) fn read_ids(location: &Location) -> Result<Vec<String>, FormatError> {
    if location.path.is_dir() {
        return bigfile::read_ids(location);
    }
    // Text may come out of a pipe, which has no length and cannot be mapped.
    if fs::metadata(&location.path).is_ok_and(|metadata| metadata.is_file()) {
        let map = Arc::new(open(location)?);
        match Format::of(&location.path, &map) {
            Some(Format::Npy | Format::Npz | Format::Pickle) => {
                return trimmed(location, Array::read(location)?.texts()?);
            }
            Some(Format::Hdf5) => return trimmed(location, hdf5::read_texts(location, &map)?),
            _ => {}
        }
    }
    let text = read_text(location)?;
    match &location.member {
        Some(column) => {
            let rows = read_columns(location, &text, [column])?;
            Ok(rows.into_iter().map(|[id]| id).collect())
        }
        None => read_lines(location, &text),
    }
}

fn trimmed(location: &Location, texts: Vec<String>) -> Result<Vec<String>, FormatError> {
    let ids = texts
        .into_iter()
        .enumerate()
        .map(|(entry, text)| match text.trim() {
            "" => Err(FormatError::Entry {
                location: location.clone(),
                entry,
                problem: "expected an id, found nothing".to_owned(),
            }),
            id => Ok(id.to_owned()),
        });
    ids.collect()
}

#[cfg(test)]
mod tests;
