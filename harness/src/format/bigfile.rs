//! BigFile: a folder with a matrix of f32, its shape and the ids of its rows.
//!
//! `feature.bin` holds the values, little-endian and row after row, `shape.txt` the number of rows and columns,
//! `id.txt` the ids, parted by blanks.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::array::{check_length, open};
use super::buffer::Buffer;
use super::error::FormatError;
use super::layout::{Element, Layout};
use super::location::Location;
use super::table::read_text;

const VALUES: &str = "feature.bin";
const IDS: &str = "id.txt";
const SHAPE: &str = "shape.txt";
/// Bytes of `shape.txt` that are looked at: two numbers need 41.
const SHAPE_BYTES: u64 = 256;

/// Reads the matrix of a folder.
///
/// # Errors
/// [`FormatError::Folder`] for a folder of another kind, [`FormatError::Line`] for a shape that is none,
/// [`FormatError::ValueBytes`] for more or fewer values.
pub(crate) fn read(location: &Location) -> Result<(Layout, Buffer), FormatError> {
    check(location)?;
    let layout = Layout {
        element: Element::F32,
        swapped: cfg!(target_endian = "big"),
        fortran: false,
        shape: shape(&Location::file(location.path.join(SHAPE)))?,
    };
    let values = Location::file(location.path.join(VALUES));
    let map = Arc::new(open(&values)?);
    let range = 0..map.len();
    check_length(&values, &layout, range.start, range.len())?;
    Ok((layout, Buffer::Mapped { map, range }))
}

/// Reads the ids of a folder.
///
/// # Errors
/// [`FormatError::Folder`], [`FormatError::Read`], [`FormatError::Line`] for text that is not UTF-8.
pub(crate) fn read_ids(location: &Location) -> Result<Vec<String>, FormatError> {
    check(location)?;
    let text = read_text(&Location::file(location.path.join(IDS)))?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// Checks that a folder has all files, and that no member of it was asked for.
fn check(location: &Location) -> Result<(), FormatError> {
    let path = &location.path;
    if let Some(missing) = [VALUES, IDS, SHAPE]
        .into_iter()
        .find(|name| !is_file(&path.join(name)))
    {
        return Err(FormatError::Folder {
            path: path.clone(),
            missing,
        });
    }
    match &location.member {
        None => Ok(()),
        Some(member) => Err(FormatError::NoMembers {
            path: path.clone(),
            member: member.clone(),
        }),
    }
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

fn shape(location: &Location) -> Result<Vec<usize>, FormatError> {
    let mut bytes = Vec::new();
    let read = File::open(&location.path).and_then(|file| file.take(SHAPE_BYTES).read_to_end(&mut bytes));
    read.map_err(|source| FormatError::Read {
        path: location.path.clone(),
        source,
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let sizes: Option<Vec<usize>> = text.split_whitespace().map(|size| size.parse().ok()).collect();
    sizes
        .filter(|sizes| sizes.len() == 2)
        .ok_or_else(|| FormatError::Line {
            location: location.clone(),
            line: 1,
            problem: format!("expected two sizes, found `{}`", text.trim().escape_debug()),
        })
}

#[cfg(test)]
mod tests;
