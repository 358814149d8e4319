use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::format::tests::{dictionary, file, member, message, npy};

fn unicode(texts: &[&str], width: usize, big: bool) -> Vec<u8> {
    let code = |text: &str, place| text.chars().nth(place).map_or(0, u32::from);
    let codes = texts
        .iter()
        .flat_map(|text| (0..width).map(move |place| code(text, place)));
    codes
        .flat_map(|code| {
            if big {
                code.to_be_bytes()
            } else {
                code.to_le_bytes()
            }
        })
        .collect()
}

fn error(location: &Location) -> String {
    message(&read_ids(location).unwrap_err(), location)
}

#[test]
fn texts_of_numpy_arrays() {
    let ids = ["video0", "v\u{e9} 1", "\u{1f3ac}"];
    for (descr, big) in [("<U6", false), (">U6", true)] {
        let bytes = npy(&dictionary(descr, false, &[3]), &unicode(&ids, 6, big));
        let (_folder, location) = file("ids.npy", &bytes);
        assert_eq!(read_ids(&location).unwrap(), ids, "{descr}");
    }
    let mut values = Vec::new();
    for id in ids {
        values.extend(id.as_bytes());
        values.resize(values.len().next_multiple_of(7), 0);
    }
    let bytes = npy(&dictionary("|S7", false, &[3]), &values);
    let (_folder, location) = file("ids.npy", &bytes);
    assert_eq!(read_ids(&location).unwrap(), ids);

    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in ["ids.npy", "others.npy"] {
        archive
            .start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(&bytes).unwrap();
    }
    let (_folder, location) = file("all.npz", &archive.finish().unwrap().into_inner());
    assert_eq!(read_ids(&member(&location, "ids")).unwrap(), ids);
    assert_eq!(error(&location), "`F` holds several arrays: `ids`, `others`");
}

#[test]
fn what_is_no_list_of_texts_is_said() {
    let check = |descr: &str, shape: &[usize], values: &[u8], expected: &str| {
        let (_folder, location) = file("ids.npy", &npy(&dictionary(descr, false, shape), values));
        assert_eq!(error(&location), expected);
    };
    check("<f4", &[1], &[0; 4], "`F`: expected a list of texts, found f32");
    check(
        "|S2",
        &[1, 2],
        b"abcd",
        "`F`: expected a list of texts, found an array of shape (1, 2)",
    );
    check(
        "|S2",
        &[2],
        b"a\0\xff\0",
        "`F`, entry 1: expected UTF-8, found `\\xff`",
    );
    check(
        "<U1",
        &[2],
        &[b"a\0\0\0", &0xd800u32.to_le_bytes()[..]].concat(),
        "`F`, entry 1: expected Unicode characters, found the number 0xd800",
    );
    check(
        "|S2",
        &[2],
        b"a\0 \0",
        "`F`, entry 1: expected an id, found nothing",
    );
    check(
        "|S2",
        &[2],
        b"abc",
        "`F`, byte 128: expected 4 bytes of values for text of 2 bytes of shape (2,), found 3",
    );
}

proptest! {
    #[test]
    fn texts_of_any_kind_come_back(ids in prop::collection::vec("[a-z\u{e9}\u{1f3ac}]{1,6}", 1..5), big: bool) {
        let texts: Vec<&str> = ids.iter().map(String::as_str).collect();
        let descr = if big { ">U6" } else { "<U6" };
        let bytes = npy(&dictionary(descr, false, &[ids.len()]), &unicode(&texts, 6, big));
        let (_folder, location) = file("ids.npy", &bytes);
        prop_assert_eq!(read_ids(&location).unwrap(), ids);
    }
}
