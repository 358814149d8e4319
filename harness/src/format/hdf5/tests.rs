//! Files of libhdf5 (`goldens/make_hdf5.py`), and files made by hand that ask for too much.

mod hostile;
mod writer;

use std::path::Path;

use crate::format::buffer::Buffer;
use crate::format::tests::{file, member, message};
use crate::format::{Array, Element, FormatError, Location, Matrix, read_ids};

const GOLDENS: [&str; 3] = ["old", "new", "newest"];

fn golden(name: &str) -> Location {
    Location::file(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("goldens/{name}.h5")))
}

fn values_of(matrix: &Matrix) -> Vec<f64> {
    let cells = (0..matrix.n_rows()).flat_map(|row| (0..matrix.n_columns()).map(move |column| (row, column)));
    cells
        .map(|(row, column)| matrix.rows().get(row, column))
        .collect()
}

/// The message of what is wrong with a data set as a matrix.
fn error(location: &Location, name: &str) -> String {
    let location = member(location, name);
    message(&Matrix::read(&location).unwrap_err(), &location)
}

#[test]
fn numbers_of_every_type_and_byte_order() {
    for golden in GOLDENS.map(golden) {
        for kind in ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "bf16"] {
            let matrix = Matrix::read(&member(&golden, &format!("matrix.{kind}"))).unwrap();
            assert_eq!(values_of(&matrix), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{kind}");
        }
        for (kind, element, six) in [
            ("<i2", Element::Int(2), 6u16.to_ne_bytes().to_vec()),
            (">i4", Element::Int(4), 6u32.to_ne_bytes().to_vec()),
            ("u1", Element::Int(1), vec![6]),
        ] {
            let array = Array::read(&member(&golden, &format!("matrix.{kind}"))).unwrap();
            assert_eq!((array.element, &array.shape[..]), (element, &[2, 3][..]));
            assert!(array.buffer.bytes().ends_with(&six), "{kind}");
        }
        let truth = Array::read(&member(&golden, "truth")).unwrap();
        assert_eq!(
            (truth.buffer.bytes(), &truth.shape[..]),
            (&[1, 0, 1][..], &[3][..])
        );
        let array = Array::read(&member(&golden, "matrix.<f4")).unwrap();
        assert!(matches!(array.buffer, Buffer::Mapped { .. }));
    }
}

#[test]
fn chunks_under_every_index() {
    let expected: Vec<f64> = (0..35).map(f64::from).collect();
    for name in GOLDENS {
        for kind in [
            "gzip",
            "plain",
            "shuffled",
            "one",
            "growing",
            "boundless",
            "early",
            "compact",
        ] {
            let location = member(&golden(name), &format!("grid.{kind}"));
            match Matrix::read(&location) {
                Ok(matrix) => assert_eq!(values_of(&matrix), expected, "{name} {kind}"),
                Err(error) => assert_eq!(
                    message(&error, &location),
                    format!(
                        "`F::grid.{kind}`: expected shuffled values that are packed too, found shuffled ones alone"
                    ),
                    "{name}"
                ),
            }
        }
        // One chunk of three rows and two columns, and the fill value.
        let partly = Matrix::read(&member(&golden(name), "grid.partly")).unwrap();
        let cell = |row, column| {
            if row < 3 && column < 2 {
                f64::from(row * 5 + column)
            } else {
                9.0
            }
        };
        let expected: Vec<f64> = (0..35).map(|place| cell(place / 5, place % 5)).collect();
        assert_eq!(values_of(&partly), expected);
    }
    assert!(Matrix::read(&member(&golden("old"), "grid.shuffled")).is_ok());
    for name in &GOLDENS[1..] {
        assert!(Matrix::read(&member(&golden(name), "grid.shuffled")).is_err());
    }
}

#[test]
fn texts_of_every_kind() {
    for golden in GOLDENS.map(golden) {
        for kind in ["variable", "fixed", "packed"] {
            let ids = read_ids(&member(&golden, &format!("ids.{kind}"))).unwrap();
            assert_eq!(ids, ["video0", "vid\u{e9}o 1", "v.2"], "{kind}");
        }
        let check = |name: &str, expected: &str| {
            let location = member(&golden, name);
            assert_eq!(message(&read_ids(&location).unwrap_err(), &location), expected);
        };
        let table = "`F::ids.table`: expected a list of texts, found an array of shape (1, 3)";
        check("ids.table", table);
        check("ids.bad", "`F::ids.bad`, entry 0: expected UTF-8, found `\\xff`");
        check(
            "ids.empty",
            "`F::ids.empty`, entry 1: expected an id, found nothing",
        );
        check(
            "matrix.<f4",
            "`F::matrix.<f4`: expected a list of texts, found an array of shape (2, 3)",
        );
        check(
            "truth",
            "`F::truth`: expected a list of texts, found 1-byte integer",
        );
        check(
            "complex",
            "`F::complex`: expected a list of texts, found a compound, 8 bytes",
        );
        // A virtual data set, whose header is not read, could be one too.
        let unnamed = message(&read_ids(&golden).unwrap_err(), &golden);
        let expected = "`F` holds several arrays: \
            `ids.bad`, `ids.empty`, `ids.fixed`, `ids.packed`, `ids.table`, `ids.variable`";
        assert_eq!(unnamed.strip_suffix(", `virtual`").unwrap_or(&unnamed), expected);
        assert_eq!(
            error(&golden, "ids.variable"),
            "`F::ids.variable`: expected f16, f32 or f64, found texts"
        );
        assert_eq!(
            error(&golden, "ids.fixed"),
            "`F::ids.fixed`: expected a matrix, found an array of shape (3,)"
        );
    }
}

#[test]
fn paths_lead_through_groups_and_not_through_links() {
    for name in GOLDENS {
        let golden = golden(name);
        for path in [
            "a.b/inner/matrix",
            "/a.b/inner/matrix",
            "a.b/inner/again",
            "a.b/inner/up/a.b/inner/up/matrix.<f4",
        ] {
            let matrix = Matrix::read(&member(&golden, path)).unwrap();
            assert_eq!(values_of(&matrix)[5], 6.0, "{path}");
        }
        let matrix = Matrix::read(&member(&golden, "few/only numbers")).unwrap();
        assert_eq!(matrix.dtype(), hitbench_kernels::Dtype::F64);
        for (path, target) in [
            ("soft", "/matrix.<f4"),
            ("soft cycle", "/soft cycle/x"),
            ("external", "other.h5:/matrix"),
            ("soft/x", "/matrix.<f4"),
        ] {
            let found = if path == "soft/x" { "soft" } else { path };
            if path == "external" && name == "old" {
                continue;
            }
            assert_eq!(
                error(&golden, path),
                format!(
                    "`F::{found}`: expected a data set of this file by its own name, found a link to `{target}`"
                )
            );
        }
        let location = member(&golden, "a.b/inner");
        let Err(FormatError::Member { known, .. }) = Matrix::read(&location) else {
            panic!("a group is no matrix")
        };
        for path in ["matrix.<f4", "ids.fixed", "a.b/inner/matrix", "few/only numbers"] {
            assert!(known.iter().any(|known| known == path), "{known:?}");
        }
        assert!(
            !known
                .iter()
                .any(|known| known.contains("soft") || known.contains("/up/")),
            "{known:?}"
        );
        let absent = error(&golden, "matrix");
        assert!(absent.starts_with("`F` holds no `matrix`, but `"), "{absent}");
        assert!(absent.ends_with(" more"), "{absent}");
    }
}

#[test]
fn what_is_not_read_is_said() {
    for name in GOLDENS {
        let golden = golden(name);
        let check =
            |name: &str, expected: &str| assert_eq!(error(&golden, name), format!("`F::{name}`: {expected}"));
        check("squeezed", "expected a matrix, found an array of shape (1, 2, 3)");
        check("scalar", "expected a matrix, found an array of shape ()");
        check(
            "rows",
            "expected 1 to 4294967295 rows and columns, found shape (0, 3)",
        );
        check("complex", "expected f16, f32 or f64, found a compound, 8 bytes");
        check(
            "float.odd",
            "expected f16, f32 or f64, found a floating-point number of unusual bits, 2 bytes",
        );
        check(
            "absent.whole",
            "expected values, found only what to take for absent ones",
        );
        check(
            "absent.chunks",
            "expected values, found only what to take for absent ones",
        );
        check(
            "bomb",
            "expected values that a file of this length can hold, found 4398046511104 bytes of them",
        );
        check(
            "lzf",
            "expected values packed with gzip, shuffle or fletcher32, found filter 32000 (lzf)",
        );
        check(
            "elsewhere",
            "expected values in this file, found values in others",
        );
    }
    for name in &GOLDENS[1..] {
        let text = error(&golden(name), "virtual");
        assert!(text.starts_with("`F::virtual` is damaged: "), "{text}");
    }
}

#[test]
fn a_file_cut_short_or_before_its_time_is_an_error() {
    let good = std::fs::read(golden("old").path).unwrap();
    for cut in [8, 50, 96, 4000, good.len() - 1] {
        let (_folder, location) = file("a.h5", &good[..cut]);
        let text = error(&location, "matrix.<f4");
        if cut < 96 {
            assert!(text.starts_with("`F` is damaged: "), "{text}");
        } else {
            let expected = format!(
                "`F`, byte {cut}: expected {} bytes, found the end of the file",
                good.len()
            );
            assert_eq!(text, expected);
        }
    }
}
