//! What the tests of this folder share: files made by hand.

use super::location::Location;
use super::matrix::Matrix;

/// An `.npy` file of version 1 with this header dictionary and these values.
pub(crate) fn npy(dictionary: &str, values: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((dictionary.len() as u16).to_le_bytes());
    bytes.extend(dictionary.as_bytes());
    bytes.extend(values);
    bytes
}

/// The dictionary of an `.npy` file, padded so that values begin on a multiple of 64 bytes.
pub(crate) fn dictionary(descr: &str, fortran: bool, shape: &[usize]) -> String {
    let fortran = if fortran { "True" } else { "False" };
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({sizes}), }}");
    let pad = (64 - (10 + text.len() + 1) % 64) % 64;
    format!("{text}{}\n", " ".repeat(pad))
}

/// A file in a new folder, which goes when the folder is dropped.
pub(crate) fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, Location) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, Location::file(path))
}

/// The same file with a member.
pub(crate) fn member(location: &Location, name: &str) -> Location {
    Location {
        member: Some(name.to_owned()),
        ..location.clone()
    }
}

/// A matrix of f32, read from a file.
pub(crate) fn matrix_f32(rows: &[&[f32]]) -> (tempfile::TempDir, Matrix) {
    let values: Vec<u8> = rows
        .concat()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let bytes = npy(&dictionary("<f4", false, &[rows.len(), rows[0].len()]), &values);
    let (folder, location) = file("matrix.npy", &bytes);
    (folder, Matrix::read(&location).unwrap())
}

/// The message of an error, with the file called `F`.
pub(crate) fn message(error: &impl std::error::Error, location: &Location) -> String {
    let text = error.to_string();
    let text = text.replace(&location.path.display().to_string(), "F");
    match error.source() {
        None => text,
        Some(source) => format!("{text}: {source}"),
    }
}
