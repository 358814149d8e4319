use proptest::prelude::*;

use super::*;
use crate::format::tests::{member, message};
use crate::format::{Array, Matrix, read_ids as read_any_ids};

fn folder(values: &[u8], shape: &str, ids: &[u8]) -> (tempfile::TempDir, Location) {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [(VALUES, values), (SHAPE, shape.as_bytes()), (IDS, ids)] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let location = Location::file(folder.path());
    (folder, location)
}

fn six_values() -> Vec<u8> {
    (1..=6).flat_map(|value| (value as f32).to_le_bytes()).collect()
}

fn error(location: &Location) -> String {
    message(&Matrix::read(location).unwrap_err(), location)
}

#[test]
fn a_folder_is_a_matrix_and_its_ids() {
    for (shape, ids) in [
        ("2 3", "a.1 b"),
        ("2 3\n", "a.1\nb\n"),
        (" 2\t3 ", "\n a.1\r\n\tb"),
    ] {
        let (_folder, location) = folder(&six_values(), shape, ids.as_bytes());
        let array = Array::read(&location).unwrap();
        assert!(matches!(array.buffer, Buffer::Mapped { .. }) || cfg!(target_endian = "big"));
        let matrix = Matrix::read(&location).unwrap();
        assert_eq!((matrix.n_rows(), matrix.n_columns()), (2, 3));
        assert_eq!(matrix.rows().get(1, 0), 4.0);
        assert_eq!(read_any_ids(&location).unwrap(), ["a.1", "b"]);
    }
}

#[test]
fn bad_folders_are_said() {
    let empty = tempfile::tempdir().unwrap();
    let other = Location::file(empty.path());
    let missing =
        |name| format!("`F` has no file `{name}`: a BigFile folder holds feature.bin, id.txt and shape.txt");
    assert_eq!(error(&other), missing(VALUES));
    assert_eq!(
        message(&read_any_ids(&other).unwrap_err(), &other),
        missing(VALUES)
    );
    fs::write(empty.path().join(VALUES), six_values()).unwrap();
    fs::create_dir(empty.path().join(IDS)).unwrap();
    assert_eq!(error(&other), missing(IDS));

    for (shape, found) in [
        ("", ""),
        ("2", "2"),
        ("2 3 4", "2 3 4"),
        ("2 -3", "2 -3"),
        ("2.0 3", "2.0 3"),
    ] {
        let (_folder, location) = folder(&six_values(), shape, b"a b");
        let expected = format!("`F/shape.txt`, line 1: expected two sizes, found `{found}`");
        assert_eq!(error(&location), expected);
    }
    let (_folder, location) = folder(&six_values()[..20], "2 3", b"a b");
    let expected = "`F/feature.bin`, byte 0: expected 24 bytes of values for f32 of shape (2, 3), found 20";
    assert_eq!(error(&location), expected);
    let huge = usize::MAX / 2;
    let (_folder, location) = folder(&six_values(), &format!("{huge} {huge}"), b"a b");
    let expected = format!("`F/feature.bin`: shape ({huge}, {huge}) is larger than any memory");
    assert_eq!(error(&location), expected);
    let named = member(&location, "x");
    assert_eq!(error(&named), "`F` holds one array, and no member `x`");
    let (_folder, location) = folder(&six_values(), "2 3", b"a\n\xff");
    let expected = "`F/id.txt`, line 2: expected UTF-8";
    assert_eq!(
        message(&read_any_ids(&location).unwrap_err(), &location),
        expected
    );
    // The matrix does not need them.
    assert!(Matrix::read(&location).is_ok());
}

proptest! {
    #[test]
    fn no_shape_makes_a_reader_panic(shape in "[0-9 \\-\\.\n]{0,40}", n_bytes in 0usize..40) {
        let (_folder, location) = folder(&vec![0; n_bytes], &shape, b"a");
        if let Ok(array) = Array::read(&location) {
            prop_assert_eq!(array.buffer.bytes().len(), n_bytes);
        }
    }
}
