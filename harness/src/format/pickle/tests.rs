//! Every dialect and every kind of value; pickles that mean harm are in `hostile`.

mod hostile;
mod samples;

use hitbench_kernels::Dtype;

use super::*;
use crate::format::tests::{file, member, message};
use crate::format::{Array, FormatError, Location, Matrix, Shape};

/// A value as Python would print it, more or less.
fn show(value: Value<'_>) -> String {
    let all = |items: Items<'_>| items.map(show).collect::<Vec<_>>().join(", ");
    match value.view() {
        View::None => "None".to_owned(),
        View::Bool(value) => format!("{value}"),
        View::Int(value) => format!("{value}"),
        View::Float(value) => format!("{value:?}"),
        View::Text(text) => format!("{text:?}"),
        View::Bytes(bytes) => format!("b\"{}\"", bytes.escape_ascii()),
        View::List(items) => format!("[{}]", all(items)),
        View::Tuple(items) => format!("({})", all(items)),
        View::Dict(entries) => {
            let entries = entries.map(|(key, value)| format!("{key}: {}", show(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        View::Array(array) => format!("array{}", array.shape()),
        View::Objects(shape, items) => format!("objects{shape}[{}]", all(items)),
    }
}

fn read(bytes: &[u8]) -> Result<String, String> {
    let (_folder, location) = file("a.pkl", bytes);
    match Pickle::read(&location.path) {
        Ok(pickle) => Ok(show(pickle.root())),
        Err(error) => Err(message(&error, &location)),
    }
}

fn values(matrix: &Matrix) -> Vec<f64> {
    let rows = matrix.rows();
    let row = |row| (0..matrix.n_columns()).map(move |column| rows.get(row, column));
    (0..matrix.n_rows()).flat_map(row).collect()
}

/// Python 2's `[[1, 2, 3], [4, 5, 6]]` in f32, protocol 2.
const PYTHON_2: &[u8] = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\0\x85U\x01b\x87\
    Rq\x03(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x04U\x02f4K\0K\x01\x87Rq\x05(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\
    \xff\xff\xffK\0tb\x89U\x18\0\0\x80?\0\0\0@\0\0@@\0\0\x80@\0\0\xa0@\0\0\xc0@tb.";

/// The same, protocol 0.
const PYTHON_2_TEXT: &[u8] = b"cnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n(I0\ntS'b'\ntRp3\n(I1\n\
    (I2\nL3L\ntcnumpy\ndtype\np4\n(S'f4'\nI0\nI1\ntRp5\n(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x00\\x00\\x80?\\x00\\x00\\x00@\
    \\x00\\x00@@\\x00\\x00\\x80@\\x00\\x00\\xa0@\\x00\\x00\\xc0@'\ntb.";

#[test]
fn every_dialect_gives_the_same_array() {
    use samples::*;
    for (number, (bytes, dtype)) in [
        (MATRIX_0, Dtype::F32),
        (MATRIX_1, Dtype::F32),
        (MATRIX_2, Dtype::F32),
        (MATRIX_3, Dtype::F32),
        (MATRIX_4, Dtype::F32),
        (MATRIX_5, Dtype::F32),
        (MATRIX_FORTRAN, Dtype::F32),
        (MATRIX_FORTRAN_5, Dtype::F32),
        (MATRIX_BIG, Dtype::F32),
        (MATRIX_F16, Dtype::F16),
        (MATRIX_F64, Dtype::F64),
        (PYTHON_2, Dtype::F32),
        (PYTHON_2_TEXT, Dtype::F32),
    ]
    .into_iter()
    .enumerate()
    {
        // NumPy 1 differs in a name; frames, which have lengths, are left as they are.
        let framed = bytes.starts_with(b"\x80\x04") || bytes.starts_with(b"\x80\x05");
        let earlier = if framed {
            bytes.to_vec()
        } else {
            replaced(bytes, b"numpy._core", b"numpy.core")
        };
        for bytes in [bytes, &earlier] {
            let (_folder, location) = file("a.pickle", bytes);
            let matrix = Matrix::read(&location).unwrap();
            assert_eq!(values(&matrix), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{number}");
            assert_eq!((matrix.n_rows(), matrix.dtype()), (2, dtype), "{number}");
        }
    }
}

/// The bytes with the first `part` replaced, if it is there.
fn replaced(bytes: &[u8], part: &[u8], other: &[u8]) -> Vec<u8> {
    match bytes.windows(part.len()).position(|found| found == part) {
        Some(at) => [&bytes[..at], other, &bytes[at + part.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

#[test]
fn values_stay_in_the_file_where_they_are_aligned() {
    // Bytes in front of the array move its values.
    let moved = |n: u8| {
        let bytes = [
            &b"\x80\x03C"[..],
            &[n],
            &vec![0; n.into()],
            b"0",
            &samples::MATRIX_3[2..],
        ]
        .concat();
        let (_folder, location) = file("a.pkl", &bytes);
        assert_eq!(values(&Matrix::read(&location).unwrap())[5], 6.0);
        Array::read(&location).unwrap().buffer
    };
    let in_file = (0..8).filter(|&n| matches!(moved(n), crate::format::buffer::Buffer::Mapped { .. }));
    assert_eq!(in_file.count(), 2);
}

#[test]
fn text_protocols_go_by_the_name_of_the_file() {
    for name in ["a.pkl", "a.PICKLE", "a.pckl", "a.pk"] {
        let (_folder, location) = file(name, samples::MATRIX_0);
        assert_eq!(Matrix::read(&location).unwrap().n_columns(), 3, "{name}");
    }
    let (_folder, location) = file("a.dat", samples::MATRIX_0);
    assert_eq!(
        message(&Matrix::read(&location).unwrap_err(), &location),
        "`F`: expected .npy, .npz, safetensors, HDF5, a pickle or a BigFile folder, found a file that begins with `cnumpy._`"
    );
    let (_folder, location) = file("a.dat", samples::MATRIX_2);
    assert_eq!(Matrix::read(&location).unwrap().n_columns(), 3);
    // The length of this header begins as a pickle does.
    let header = format!(
        "{:<640}",
        r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#
    );
    let tensors = [&640u64.to_le_bytes()[..], header.as_bytes(), &[0; 24]].concat();
    assert_eq!(tensors[..2], [0x80, 2]);
    let (_folder, location) = file("a.safetensors", &tensors);
    assert_eq!(Matrix::read(&location).unwrap().n_rows(), 2);
}

#[test]
fn values_of_every_kind() {
    let expected = "{none: None, flags: (true, false), \
        ints: [0, -1, 300, 70000, 1099511627776, -9223372036854775808], float: NaN, text: \"\u{e9}\u{20ac}\", \
        3: b\"\\x00\\xff\", array: b\"ab\", empty: [(), [], {}], objects: objects(3,)[None, \"a\", array(1,)]}";
    assert_eq!(read(samples::EVERY_KIND).unwrap(), expected);
    let expected = "{none: None, flags: (true, false), ints: [0, -1, 1099511627776, -9223372036854775808], \
        float: NaN, text: \"\u{e9}\u{20ac}\\\\\\n\u{1f600}\", 3: b\"\\x00\\xff\", empty: [(), [], {}]}";
    assert_eq!(read(samples::EVERY_KIND_0).unwrap(), expected);
    assert_eq!(
        read(samples::CAPTIONS).unwrap(),
        r#"{video1: [["a", "b"], ["c"]], video2: [["a", "b"], ["c"]]}"#
    );
    assert_eq!(read(b"U\x02\xe9z.").unwrap(), "\"\u{e9}z\"");
    assert_eq!(read(b"(lp0\nI1\nag0\n.").unwrap_err().split(", ").count(), 3);
    assert_eq!(read(b"(I1\nN(1t2\x86.").unwrap(), "((1, None), (1, None))");
    assert_eq!(read(b"(S'a'\nI1\nS'b'\nI2\nd.").unwrap(), "{a: 1, b: 2}");
    assert_eq!(read(b"]NaN0.").unwrap(), "[None]");
}

#[test]
fn the_last_of_equal_keys_holds_in_the_place_of_the_first() {
    assert_eq!(
        read(b"\x80\x04}(\x8c\x01aK\x01\x8c\x01bK\x02U\x01aK\x03K\x07K\x04\x8c\x01bK\x05u\x8c\x01cK\x06s.")
            .unwrap(),
        "{a: 3, b: 5, 7: 4, c: 6}"
    );
    let (_folder, location) = file("a.pkl", b"}(U\x01aK\x01U\x01aK\x02u.");
    let pickle = Pickle::read(&location.path).unwrap();
    let View::Dict(entries) = pickle.root().view() else {
        panic!("a dictionary")
    };
    assert_eq!(entries.len(), 1);
    assert!(matches!(pickle.root().get("a").unwrap().view(), View::Int(2)));
    assert!(pickle.root().get("b").is_none());
}

#[test]
fn arrays_of_dictionaries_by_key() {
    for (name, bytes) in [("a.pkl", samples::TWO_ARRAYS), ("a.npy", samples::OBJECT_NPY)] {
        let (_folder, location) = file(name, bytes);
        let sims = Matrix::read(&member(&location, "sims")).unwrap();
        assert_eq!(values(&sims), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let mask = Array::read(&member(&location, "query_masks")).unwrap();
        assert_eq!(mask.shape, [2, 1]);
        let error = Matrix::read(&location).unwrap_err();
        assert_eq!(
            message(&error, &location),
            "`F` holds several arrays: `sims`, `query_masks`"
        );
        assert_eq!(error.remedy(), Some("name the array that is meant as FILE::NAME"));
        let error = Matrix::read(&member(&location, "other")).unwrap_err();
        assert_eq!(
            message(&error, &location),
            "`F` holds no `other`, but `sims`, `query_masks`"
        );
    }
    let (_folder, location) = file("a.pkl", samples::ONE_ARRAY);
    assert_eq!(Matrix::read(&location).unwrap().n_rows(), 2);
    let error = Matrix::read(&member(&location, "names")).unwrap_err();
    assert_eq!(
        message(&error, &location),
        "`F::names`, byte 191: expected an array of numbers, or a dictionary of such arrays, found a list of 2"
    );
    let (_folder, location) = file("a.pkl", samples::NAMED_ARRAY);
    assert_eq!(Matrix::read(&member(&location, "sims")).unwrap().n_rows(), 2);
    let error = message(&Matrix::read(&member(&location, "ids")).unwrap_err(), &location);
    assert_eq!(error, "`F::ids`: expected a matrix, found an array of shape (2,)");
    let ids = crate::format::read_ids(&member(&location, "ids")).unwrap();
    assert_eq!(ids.len(), 2);
    let (_folder, location) = file("a.pkl", samples::MATRIX_4);
    let error = Matrix::read(&member(&location, "sims")).unwrap_err();
    assert_eq!(
        message(&error, &location),
        "`F` holds one array, and no member `sims`"
    );
    let (_folder, location) = file("a.pkl", b"}.");
    assert_eq!(
        message(&Matrix::read(&location).unwrap_err(), &location),
        "`F` holds no array"
    );
    let (_folder, location) = file("a.npy", samples::OBJECTS_NPY);
    assert_eq!(
        message(&Matrix::read(&location).unwrap_err(), &location),
        "`F`, byte 211: expected an array of numbers, or a dictionary of such arrays, found an array of objects"
    );
}

#[test]
fn masks_and_rows_of_features() {
    for (bytes, element) in [
        (samples::MASK_BOOL, "bool"),
        (samples::MASK_INT, "8-byte integer"),
    ] {
        let (_folder, location) = file("a.pkl", bytes);
        let array = Array::read(&location).unwrap();
        assert_eq!(
            (array.element.to_string().as_str(), &array.shape[..]),
            (element, &[2, 2][..])
        );
    }
    let (_folder, location) = file("a.pkl", samples::EVERY_KIND);
    let pickle = Pickle::read(&location.path).unwrap();
    let View::Objects(shape, objects) = pickle.root().get("objects").unwrap().view() else {
        panic!("objects")
    };
    assert_eq!(shape, Shape(vec![3]));
    let View::Array(row) = objects.last().unwrap().view() else {
        panic!("an array")
    };
    let row = row.matrix().unwrap();
    assert_eq!((row.n_rows(), row.n_columns(), row.dtype()), (1, 1, Dtype::F16));
    let (_folder, location) = file("a.pkl", samples::EMPTY_ARRAY);
    let pickle = Pickle::read(&location.path).unwrap();
    let View::Array(empty) = pickle.root().view() else {
        panic!("an array")
    };
    assert_eq!(empty.shape(), Shape(vec![0, 3]));
    assert!(matches!(empty.matrix(), Err(FormatError::Size { .. })));
}

#[test]
fn a_location_with_a_member_is_named_whole() {
    let (_folder, location) = file("a.pkl", b"cos\nsystem\n.");
    let named: Location = member(&location, "sims");
    let error = message(&Matrix::read(&named).unwrap_err(), &location);
    assert_eq!(
        error,
        "`F::sims`, byte 0: expected plain values and NumPy arrays, found `os system`"
    );
}
