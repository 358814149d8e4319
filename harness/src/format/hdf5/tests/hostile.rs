//! Files that are cut, changed, or ask for endless work.

use proptest::prelude::*;

use super::writer::{CONTINUATION, LINK, Writer, f32, texts, words};
use super::{error, golden, values_of};
use crate::format::tests::{file, member, message};
use crate::format::{Array, FormatError, Location, Matrix, read_ids};

const SIX: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

/// A matrix, a list of texts, and a group with a matrix.
fn small() -> Vec<u8> {
    let mut writer = Writer::new();
    let matrix = writer.matrix(&[2, 3], &SIX);
    let mut heap = b"GCOL\x01\0\0\0".to_vec();
    heap.extend(words(&[64]));
    heap.extend(b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0id\0\0\0\0\0\0");
    heap.resize(64, 0);
    let heap = writer.push(&heap);
    let place = [&2u32.to_le_bytes()[..], &words(&[heap]), &1u32.to_le_bytes()].concat();
    let ids = writer.data_set(texts(), &[1], &place);
    let inner = writer.group(&[("n", matrix)]);
    let root = writer.group(&[("ids", ids), ("m", matrix), ("sub", inner)]);
    writer.finish(root)
}

/// One matrix, which needs no name.
fn one() -> Vec<u8> {
    let mut writer = Writer::new();
    let matrix = writer.matrix(&[2, 3], &SIX);
    let inner = writer.group(&[("n", matrix)]);
    let root = writer.group(&[("sub", inner)]);
    writer.finish(root)
}

/// Reads everything that can be read, by name and without; only the errors are of interest.
fn read_all(location: &Location, names: &[&str]) -> Vec<FormatError> {
    let mut errors = Vec::new();
    let named = names.iter().map(|name| member(location, name));
    for location in named.chain([location.clone()]) {
        match Array::read(&location) {
            Ok(array) => {
                let n_bytes = array.shape.iter().product::<usize>() * array.element.size();
                assert_eq!(array.buffer.bytes().len(), n_bytes, "{location}");
            }
            Err(error) => errors.push(error),
        }
        errors.extend(read_ids(&location).err());
    }
    errors
}

#[test]
fn hand_made_files_are_sound() {
    let (_folder, location) = file("a.h5", &small());
    for name in ["m", "sub/n"] {
        let matrix = Matrix::read(&member(&location, name)).unwrap();
        assert_eq!(values_of(&matrix), SIX.map(f64::from));
    }
    // The only list of texts needs no name, and neither does the only matrix.
    assert_eq!(read_ids(&location).unwrap(), ["id"]);
    assert_eq!(
        message(&Matrix::read(&location).unwrap_err(), &location),
        "`F` holds several arrays: `m`, `sub/n`"
    );
    // A list whose header is damaged could be the one that is meant.
    let mut bytes = small();
    let heap = bytes.windows(4).position(|bytes| bytes == b"GCOL").unwrap();
    let ids = bytes[heap..]
        .windows(3)
        .position(|bytes| bytes == [1, 0, 3])
        .unwrap();
    bytes[heap + ids] = 9;
    let (_folder, damaged) = file("a.h5", &bytes);
    assert!(message(&read_ids(&damaged).unwrap_err(), &damaged).starts_with("`F::ids` is damaged: "));
    assert_eq!(
        message(&Matrix::read(&damaged).unwrap_err(), &damaged),
        "`F` holds several arrays: `ids`, `m`, `sub/n`"
    );
    let (_folder, location) = file("a.h5", &one());
    assert_eq!(values_of(&Matrix::read(&location).unwrap()), SIX.map(f64::from));
    let none = message(&read_ids(&location).unwrap_err(), &location);
    assert_eq!(none, "`F`: expected a list of texts, found no data set of texts");
}

#[test]
fn every_truncation_is_an_error() {
    let good = small();
    for cut in 0..good.len() {
        let (_folder, location) = file("a.h5", &good[..cut]);
        assert!(Matrix::read(&member(&location, "m")).is_err(), "{cut}");
        // As if the file had been written so.
        if cut > 96 {
            let mut bytes = good[..cut].to_vec();
            bytes[40..48].copy_from_slice(&(cut as u64).to_le_bytes());
            let (_folder, location) = file("a.h5", &bytes);
            assert!(!read_all(&location, &["m", "sub/n", "ids"]).is_empty(), "{cut}");
        }
    }
}

#[test]
fn every_changed_byte_gives_values_or_an_error() {
    let good = small();
    for at in 0..good.len() {
        for change in [0x01, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= change;
            let (_folder, location) = file("a.h5", &bytes);
            read_all(&location, &["m", "sub/n", "ids"]);
        }
    }
}

#[test]
fn changed_bytes_of_files_of_libhdf5_give_values_or_an_error() {
    // One byte in some hundreds, another one in every file: all indices, heaps and filters are hit.
    for (name, step) in [("old", 331), ("new", 163), ("newest", 167)] {
        let good = std::fs::read(golden(name).path).unwrap();
        for at in (0..good.len()).step_by(step) {
            let mut bytes = good.clone();
            bytes[at] ^= 0xff;
            let (_folder, location) = file("a.h5", &bytes);
            read_all(
                &location,
                &[
                    "grid.gzip",
                    "grid.growing",
                    "grid.boundless",
                    "ids.packed",
                    "absent",
                ],
            );
        }
    }
}

#[test]
fn absurd_shapes_are_errors_before_memory_is_asked_for() {
    let check = |shape: &[u64], expected: &str| {
        let mut writer = Writer::new();
        let matrix = writer.matrix(shape, &SIX);
        let root = writer.group(&[("m", matrix)]);
        let (_folder, location) = file("a.h5", &writer.finish(root));
        assert_eq!(error(&location, "m"), expected);
    };
    check(
        &[u64::MAX, 2],
        "`F::m`: shape (18446744073709551615, 2) is larger than any memory",
    );
    check(
        &[1 << 40, 3],
        "`F::m`, byte 96: expected 13194139533312 bytes of values for f32 of shape (1099511627776, 3), found 24",
    );
    check(
        &[2, 2],
        "`F::m`, byte 96: expected 16 bytes of values for f32 of shape (2, 2), found 24",
    );
}

#[test]
fn groups_that_hold_each_other_end() {
    let mut writer = Writer::new();
    let matrix = writer.matrix(&[2, 3], &SIX);
    // The root's header is written last, at a place that its members know before.
    let heap = writer.heap(b"\0\0\0\0\0\0\0\0self\0\0\0\0m\0\0\0\0\0\0\0");
    let root = writer.next() + 256;
    let symbols = writer.symbols(&[(8, root, 0, 0), (16, matrix, 0, 0)]);
    let tree = writer.tree(0, &[symbols]);
    writer.push(&vec![0; (root - writer.next()) as usize]);
    assert_eq!(writer.group_of(tree, heap), root);
    let (_folder, location) = file("a.h5", &writer.finish(root));
    assert_eq!(
        values_of(&Matrix::read(&member(&location, "self/self/m")).unwrap())[5],
        6.0
    );
    assert_eq!(error(&location, "x"), "`F` holds no `x`, but `m`");
}

#[test]
fn links_in_symbol_tables_are_not_followed() {
    let mut writer = Writer::new();
    let heap = writer.heap(b"\0\0\0\0\0\0\0\0link\0\0\0\0/x/y\0\0\0\0");
    let symbols = writer.symbols(&[(8, 0, 2, 16)]);
    let tree = writer.tree(0, &[symbols]);
    let root = writer.group_of(tree, heap);
    let (_folder, location) = file("a.h5", &writer.finish(root));
    assert_eq!(
        error(&location, "link"),
        "`F::link`: expected a data set of this file by its own name, found a link to `/x/y`"
    );
    assert_eq!(error(&location, "other"), "`F` holds no array");
}

#[test]
fn names_told_again_and_again_are_an_error() {
    let mut writer = Writer::new();
    let matrix = writer.matrix(&[2, 3], &SIX);
    let heap = writer.heap(&[&[b'n'; 60_000][..], &[0]].concat());
    let symbols = writer.symbols(&vec![(0, matrix, 0, 0); 3000]);
    let tree = writer.tree(0, &vec![symbols; 3000]);
    let root = writer.group_of(tree, heap);
    let (_folder, location) = file("a.h5", &writer.finish(root));
    let expected = "`F`: expected every name once, found names that repeat without end";
    assert_eq!(error(&location, "x"), expected);
}

#[test]
fn deep_groups_are_read_and_endless_paths_are_an_error() {
    let mut writer = Writer::new();
    let mut inner = writer.matrix(&[2, 3], &SIX);
    for _ in 0..300 {
        inner = writer.group(&[("g", inner)]);
    }
    let deep = writer.finish(inner);
    let (_folder, location) = file("a.h5", &deep);
    let path = vec!["g"; 300].join("/");
    assert_eq!(
        values_of(&Matrix::read(&member(&location, &path)).unwrap())[5],
        6.0
    );
    assert_eq!(values_of(&Matrix::read(&location).unwrap())[5], 6.0);

    let mut writer = Writer::new();
    let mut inner = writer.matrix(&[2, 3], &SIX);
    let name = "n".repeat(4000);
    for _ in 0..300 {
        inner = writer.group(&[(&name, inner)]);
    }
    let (_folder, location) = file("a.h5", &writer.finish(inner));
    let text = message(&Matrix::read(&location).unwrap_err(), &location);
    assert_eq!(
        text,
        "`F`: expected every name once, found names that repeat without end"
    );
}

#[test]
fn trees_and_headers_that_return_to_themselves_are_errors() {
    let mut writer = Writer::new();
    let heap = writer.heap(&[0; 8]);
    let tree = writer.next();
    assert_eq!(writer.tree(1, &[tree]), tree);
    let root = writer.group_of(tree, heap);
    let (_folder, location) = file("a.h5", &writer.finish(root));
    assert!(
        error(&location, "x").starts_with("`F` is damaged: "),
        "{}",
        error(&location, "x")
    );

    let mut writer = Writer::new();
    let header = writer.next();
    let root = writer.header(&[(CONTINUATION, words(&[header + 16, 24]))]);
    let (_folder, location) = file("a.h5", &writer.finish(root));
    assert!(
        error(&location, "x").starts_with("`F` is damaged: "),
        "{}",
        error(&location, "x")
    );
}

#[test]
fn texts_told_again_and_again_are_an_error() {
    let mut writer = Writer::new();
    let mut heap = b"GCOL\x01\0\0\0".to_vec();
    heap.extend(words(&[60_032]));
    heap.extend(b"\x01\0\0\0\0\0\0\0");
    heap.extend(words(&[60_000]));
    heap.resize(60_032, b'i');
    let heap = writer.push(&heap);
    let place = [&60_000u32.to_le_bytes()[..], &words(&[heap]), &1u32.to_le_bytes()].concat();
    let ids = writer.data_set(texts(), &[1000], &place.repeat(1000));
    let root = writer.group(&[("ids", ids)]);
    let (_folder, location) = file("a.h5", &writer.finish(root));
    let expected = "`F::ids`, entry 1: expected texts of at most the file's length, found more";
    assert_eq!(message(&read_ids(&location).unwrap_err(), &location), expected);
}

#[test]
fn two_objects_of_one_name_are_an_error() {
    let mut writer = Writer::new();
    let matrix = writer.matrix(&[2, 3], &SIX);
    let other = writer.data_set(f32(), &[1, 1], &[0; 4]);
    let root = writer.group(&[("m", matrix), ("m", other)]);
    let (_folder, location) = file("a.h5", &writer.finish(root));
    // The first one is meant where a name is looked up, as in libhdf5.
    assert_eq!(
        values_of(&Matrix::read(&member(&location, "m")).unwrap()),
        SIX.map(f64::from)
    );
    assert_eq!(
        message(&Matrix::read(&location).unwrap_err(), &location),
        "`F` holds several arrays: `m`, `m`"
    );
    // New groups have no order in which one could be meant.
    let mut writer = Writer::new();
    let matrix = writer.matrix(&[2, 3], &SIX);
    let other = writer.data_set(f32(), &[1, 1], &[0; 4]);
    let link = |address: u64| [&[1, 0, 1, b'm'][..], &address.to_le_bytes()].concat();
    let root = writer.header(&[(LINK, link(matrix)), (LINK, link(other))]);
    let (_folder, location) = file("a.h5", &writer.finish(root));
    let expected = "`F::m`: expected every name once, found two objects of this name";
    assert_eq!(error(&location, "m"), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_damage_makes_the_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        words in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..3),
    ) {
        let mut bytes = small();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for (at, word) in words {
            // Whole addresses and lengths, large and small ones.
            let at = at.index(bytes.len() / 8) * 8;
            let word = word >> (word % 64);
            bytes[at..][..8].copy_from_slice(&word.to_le_bytes());
        }
        let (_folder, location) = file("a.h5", &bytes);
        read_all(&location, &["m", "sub/n", "ids", "absent"]);
    }
}
