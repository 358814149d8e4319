use std::io::Write;

use half::f16;
use hitbench_kernels::Rows;
use proptest::prelude::*;

use super::*;
use crate::format::tests::{dictionary, file, member, message, npy};
use crate::format::{Location, Matrix};

fn values_of(rows: Rows<'_>) -> Vec<f64> {
    let cells = (0..rows.n_rows()).flat_map(|row| (0..rows.dim()).map(move |column| (row, column)));
    cells.map(|(row, column)| rows.get(row, column)).collect()
}

/// Bytes of `2 x 3` values 1 to 6 in a type and order.
fn bytes_of(descr: &str, fortran: bool) -> Vec<u8> {
    let order = if fortran {
        [1, 4, 2, 5, 3, 6]
    } else {
        [1, 2, 3, 4, 5, 6]
    };
    let value = |value: i32| -> Vec<u8> {
        let mut bytes = match &descr[1..] {
            "f2" => f16::from_f32(value as f32).to_le_bytes().to_vec(),
            "f4" => (value as f32).to_le_bytes().to_vec(),
            _ => f64::from(value).to_le_bytes().to_vec(),
        };
        if descr.starts_with('>') {
            bytes.reverse();
        }
        bytes
    };
    order.into_iter().flat_map(value).collect()
}

#[test]
fn every_type_byte_order_and_array_order_of_npy() {
    for descr in ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"] {
        for fortran in [false, true] {
            let bytes = npy(&dictionary(descr, fortran, &[2, 3]), &bytes_of(descr, fortran));
            let (_folder, location) = file("a.npy", &bytes);
            let matrix = Matrix::read(&location).unwrap();
            assert_eq!(
                values_of(matrix.rows()),
                [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
                "{descr} {fortran}"
            );
            assert_eq!(
                format!("f{}", &descr[2..]),
                matrix
                    .dtype()
                    .to_string()
                    .replace("16", "2")
                    .replace("32", "4")
                    .replace("64", "8")
            );
        }
    }
}

#[test]
fn native_values_stay_in_the_file() {
    let bytes = npy(&dictionary("<f4", false, &[2, 3]), &bytes_of("<f4", false));
    let (_folder, location) = file("a.npy", &bytes);
    let array = Array::read(&location).unwrap();
    assert!(matches!(array.buffer, Buffer::Mapped { .. }));
    // The same values one byte later cannot be read in place.
    let text = dictionary("<f4", false, &[2, 3]);
    let (_folder, odd) = file("a.npy", &npy(&format!(" {text}"), &bytes_of("<f4", false)));
    let array = Array::read(&odd).unwrap();
    assert!(matches!(array.buffer, Buffer::Owned(_)));
    assert_eq!(values_of(Matrix::read(&odd).unwrap().rows())[5], 6.0);
}

#[test]
fn headers_of_versions_2_and_3() {
    for version in [2, 3] {
        let text = dictionary("<f8", true, &[2, 3]);
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(bytes_of("<f8", true));
        let (_folder, location) = file("a.npy", &bytes);
        assert_eq!(values_of(Matrix::read(&location).unwrap().rows())[1], 2.0);
    }
}

#[test]
fn a_large_fortran_matrix_is_transposed_whole() {
    // Neither side is a multiple of the block.
    let (n_rows, n_columns) = (3 * ROWS_AT_ONCE + 5, 37);
    let value = |row: usize, column: usize| (row * 1000 + column) as f32;
    let columns = (0..n_columns).flat_map(|column| (0..n_rows).map(move |row| (row, column)));
    let bytes: Vec<u8> = columns
        .flat_map(|(row, column)| value(row, column).to_le_bytes())
        .collect();
    let (_folder, location) = file(
        "a.npy",
        &npy(&dictionary("<f4", true, &[n_rows, n_columns]), &bytes),
    );
    let matrix = Matrix::read(&location).unwrap();
    for row in 0..n_rows {
        for column in 0..n_columns {
            assert_eq!(matrix.rows().get(row, column), f64::from(value(row, column)));
        }
    }
}

#[test]
fn bad_npy_files_are_errors_with_a_place() {
    let good = npy(&dictionary("<f4", false, &[2, 3]), &bytes_of("<f4", false));
    let values = good.len() - 24;
    let check = |bytes: &[u8], expected: &str| {
        let (_folder, location) = file("a.npy", bytes);
        assert_eq!(
            message(&Matrix::read(&location).unwrap_err(), &location),
            expected
        );
    };
    check(
        b"",
        "`F`: expected .npy, .npz, safetensors, HDF5, a pickle or a BigFile folder, found an empty file",
    );
    check(
        b"id,score",
        "`F`: expected .npy, .npz, safetensors, HDF5, a pickle or a BigFile folder, found a file that begins with `id,score`",
    );
    check(
        &good[..7],
        "`F`, byte 7: expected the length of the header, found the end of the file",
    );
    check(
        &good[..40],
        "`F`, byte 40: expected a header of 118 bytes, found the end of the file",
    );
    check(
        &good[..values + 20],
        &format!("`F`, byte {values}: expected 24 bytes of values for f32 of shape (2, 3), found 20"),
    );
    check(
        &[&good[..], b"more"].concat(),
        &format!("`F`, byte {values}: expected 24 bytes of values for f32 of shape (2, 3), found 28"),
    );
    let with = |descr: &str, shape: &[usize]| npy(&dictionary(descr, false, shape), &bytes_of("<f4", false));
    let huge = usize::MAX / 2;
    check(
        &with("<f4", &[huge, huge]),
        &format!("`F`: shape ({huge}, {huge}) is larger than any memory"),
    );
    check(
        &with("<f4", &[1 << 40, 3]),
        &format!(
            "`F`, byte 128: expected {} bytes of values for f32 of shape ({}, 3), found 24",
            12u64 << 40,
            1u64 << 40
        ),
    );
    check(
        &with("<f4", &[6]),
        "`F`: expected a matrix, found an array of shape (6,)",
    );
    check(
        &with("<f4", &[1, 2, 3]),
        "`F`: expected a matrix, found an array of shape (1, 2, 3)",
    );
    check(
        &npy(&dictionary("<f4", false, &[]), &[0; 4]),
        "`F`: expected a matrix, found an array of shape ()",
    );
    check(
        &npy(&dictionary("<f4", false, &[0, 3]), b""),
        "`F`: expected 1 to 4294967295 rows and columns, found shape (0, 3)",
    );
    check(
        &with("<i4", &[2, 3]),
        "`F`: expected f16, f32 or f64, found 4-byte integer",
    );
    check(
        &npy(&dictionary("|O", false, &[]), b"\x80\x04"),
        "`F`, byte 130: expected an opcode, found the end",
    );
    check(
        &npy(&dictionary("<U1", false, &[2, 3]), &[0; 24]),
        "`F`: expected f16, f32 or f64, found text of 1 characters",
    );
    let (_folder, location) = file("a.npy", &good);
    let location = member(&location, "sims");
    let error = Matrix::read(&location).unwrap_err();
    assert_eq!(
        message(&error, &location),
        "`F` holds one array, and no member `sims`"
    );
}

#[test]
fn what_is_no_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::file("/dev/null");
    let error = Matrix::read(&location).unwrap_err();
    assert_eq!(message(&error, &location), "`F` is not an ordinary file");
    let absent = Location::file(folder.path().join("absent.npy"));
    let error = message(&Matrix::read(&absent).unwrap_err(), &absent);
    assert!(error.starts_with("cannot read `F`: "), "{error}");
}

/// An archive of members, deflated or stored.
fn archive(members: &[(&str, Vec<u8>)], deflated: bool) -> Vec<u8> {
    let method = if deflated {
        zip::CompressionMethod::Deflated
    } else {
        zip::CompressionMethod::Stored
    };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn two_arrays() -> [(&'static str, Vec<u8>); 2] {
    [
        (
            "a.npy",
            npy(&dictionary("<f4", false, &[2, 3]), &bytes_of("<f4", false)),
        ),
        (
            "b.npy",
            npy(&dictionary(">f8", true, &[2, 3]), &bytes_of(">f8", true)),
        ),
    ]
}

#[test]
fn members_of_archives_by_name() {
    for deflated in [false, true] {
        let (_folder, location) = file("a.npz", &archive(&two_arrays(), deflated));
        for name in ["a", "b", "b.npy"] {
            let matrix = Matrix::read(&member(&location, name)).unwrap();
            assert_eq!(values_of(matrix.rows()), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{name}");
        }
        let error = Matrix::read(&location).unwrap_err();
        assert_eq!(message(&error, &location), "`F` holds several arrays: `a`, `b`");
        let error = Matrix::read(&member(&location, "c")).unwrap_err();
        assert_eq!(message(&error, &location), "`F` holds no `c`, but `a`, `b`");
        let (_folder, one) = file("a.npz", &archive(&two_arrays()[..1], deflated));
        assert_eq!(values_of(Matrix::read(&one).unwrap().rows())[5], 6.0);
    }
    let (_folder, none) = file("a.npz", &archive(&[], false));
    assert_eq!(
        message(&Matrix::read(&none).unwrap_err(), &none),
        "`F` holds no array"
    );
}

#[test]
fn bad_archives_are_errors() {
    let good = archive(&two_arrays()[..1], true);
    // Every truncation, and every byte changed, gives the right values or an error.
    for cut in 0..good.len() {
        let (_folder, location) = file("a.npz", &good[..cut]);
        assert!(Matrix::read(&location).is_err(), "{cut}");
    }
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        let (_folder, location) = file("a.npz", &bytes);
        if let Ok(matrix) = Matrix::read(&location) {
            assert_eq!(values_of(matrix.rows()), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{at}");
        }
    }
    for (name, bytes, expected) in [
        (
            "a.npy",
            b"text".to_vec(),
            "`F`, byte 0: expected the magic \\x93NUMPY, found `text`",
        ),
        (
            "a.npy",
            b"\x93NUMPY\x01\x00".to_vec(),
            "`F`, byte 8: expected the length of the header, found the end of the file",
        ),
        (
            "a.npy",
            two_arrays()[0].1[..50].to_vec(),
            "`F`, byte 50: expected a header of 118 bytes, found the end of the member",
        ),
        (
            "a.npy",
            two_arrays()[0].1[..140].to_vec(),
            "`F`, byte 128: expected 24 bytes of values for f32 of shape (2, 3), found 12",
        ),
    ] {
        let (_folder, location) = file("a.npz", &archive(&[(name, bytes)], true));
        assert_eq!(
            message(&Matrix::read(&location).unwrap_err(), &location),
            expected
        );
    }
}

/// A safetensors file with this header.
fn tensors(header: &str, values: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    bytes
}

#[test]
fn tensors_by_name() {
    let header = r#"{"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"F64","shape":[2,3],"data_offsets":[12,60]}}"#;
    let values = [bytes_of("<f2", false), bytes_of("<f8", false)].concat();
    let (_folder, location) = file("a.safetensors", &tensors(header, &values));
    for name in ["a", "b"] {
        let matrix = Matrix::read(&member(&location, name)).unwrap();
        assert_eq!(values_of(matrix.rows()), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{name}");
    }
    let error = Matrix::read(&location).unwrap_err();
    assert_eq!(message(&error, &location), "`F` holds several arrays: `a`, `b`");
}

#[test]
fn bf16_keeps_every_value() {
    let halves = [1.0f32, -2.5, 3.0e38, 1.0e-40].map(half::bf16::from_f32);
    let values: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
    let header = r#"{"a":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]}}"#;
    let (_folder, location) = file("a.safetensors", &tensors(header, &values));
    let matrix = Matrix::read(&location).unwrap();
    assert_eq!(matrix.dtype(), hitbench_kernels::Dtype::F32);
    assert_eq!(values_of(matrix.rows()), halves.map(|half| half.to_f64()));
}

#[test]
fn bad_tensors_are_errors() {
    let header = |dtype: &str, shape: &str, end: u64| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
    };
    let check = |bytes: &[u8], expected: &str| {
        let (_folder, location) = file("a.safetensors", bytes);
        assert_eq!(
            message(&Matrix::read(&location).unwrap_err(), &location),
            expected
        );
    };
    let values = bytes_of("<f4", false);
    let good = header("F32", "[2,3]", 24);
    let start = 8 + good.len();
    check(
        &tensors(&good, &values[..20]),
        &format!(
            "`F`, byte {}: expected 24 bytes of values, 20 are there, found the end of the file",
            start + 20
        ),
    );
    check(
        &tensors(&good, &values)[..30],
        &format!(
            "`F`, byte 30: expected a header of {} bytes, found the end of the file",
            good.len()
        ),
    );
    check(
        &tensors(&header("I64", "[3,1]", 24), &values),
        "`F`: expected f16, f32 or f64, found 8-byte integer",
    );
    check(
        &tensors(&header("F32", "[6]", 24), &values),
        "`F`: expected a matrix, found an array of shape (6,)",
    );
    for (header, values) in [
        (header("F32", "[2,4]", 24), &values[..]),
        (header("F32", "[2,3]", 24), &[&values[..], b"more"].concat()),
        (header("F32", "[18446744073709551615,3]", 24), &values),
        ("{".to_owned(), &values),
        ("{\"a\":1}".to_owned(), &values),
    ] {
        let (_folder, location) = file("a.safetensors", &tensors(&header, values));
        let error = Matrix::read(&location).unwrap_err();
        assert!(
            matches!(error, FormatError::Container { .. }),
            "{header}: {error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_damage_makes_a_reader_panic(kind in 0usize..3, at in 0usize..400, byte in any::<u8>(), cut in 0usize..400) {
        let header = r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;
        let mut bytes = match kind {
            0 => two_arrays()[0].1.clone(),
            1 => archive(&two_arrays()[..1], true),
            _ => tensors(header, &bytes_of("<f4", false)),
        };
        let length = bytes.len();
        bytes[at % length] = byte;
        for bytes in [&bytes[..], &bytes[..cut % length]] {
            let (_folder, location) = file("a", bytes);
            if let Ok(matrix) = Matrix::read(&location) {
                let rows = matrix.rows();
                prop_assert!(rows.n_rows() * rows.dim() <= 400);
            }
        }
    }
}
