//! Lists in the wild, and captions that belong to videos.

use std::fs;

use super::*;

#[test]
fn lists_are_lines_or_a_column_whatever_ends_them() {
    let folder = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        let path = folder.path().join("list");
        fs::write(&path, text).unwrap();
        read_id_list(&path).unwrap()
    };
    for text in [
        "a.b\nc",
        "a.b\nc\n",
        " a.b \r\nc\r\n",
        "\u{feff}a.b\n\nc\n",
        "video_id\na.b\nc\n",
    ] {
        assert_eq!(read(text), ["a.b", "c"], "{text:?}");
    }
    assert_eq!(read(""), [""; 0]);
}

#[test]
fn sentences_parted_by_semicolons_without_a_last_line_end_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.csv");
    fs::write(
        &path,
        "key;vid_key;video_id;sentence\r\nret0;msr1;video1;a, b\r\nret1;msr2;video2;c",
    )
    .unwrap();
    let rows = read_id_table(&path, ["key", "video_id", "sentence"]).unwrap();
    assert_eq!(
        rows,
        [["ret0", "video1", "a, b"], ["ret1", "video2", "c"]].map(|row| row.map(String::from))
    );
}

#[test]
fn captions_are_numbered_chosen_and_counted() {
    let mut data = Annotated::new("a", "help");
    let ids = ["x", "y", "z"].map(str::to_owned);
    data.add_split(Split::Test, Path::new("list"), ids).unwrap();
    data.add_numbered(0, &["one", " two  words ", " \n"], None)
        .unwrap();
    data.add_numbered(1, &["three", "four"], Some(1)).unwrap();
    data.add_numbered(2, &[] as &[&str], Some(0)).unwrap();
    let captions: Vec<(&str, &str)> = data
        .captions
        .iter()
        .map(|c| (c.id.as_str(), c.text.as_str()))
        .collect();
    assert_eq!(captions, [("x#0", "one"), ("x#1", "two words"), ("y#1", "four")]);
    assert_eq!(data.gaps.captions_without_words, 1);
    let error = data.add_numbered(2, &["five"], Some(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "caption 1 is chosen for video `z`, which has 1"
    );
    let error = data
        .add_split(Split::Train, Path::new("list"), ["x".to_owned()])
        .unwrap_err();
    assert_eq!(error.to_string(), "`list`: video `x` occurs twice");
    let mut data = Annotated::new("a", "help");
    let error = data
        .add_split(Split::Train, Path::new("list"), ["a/b".to_owned()])
        .unwrap_err();
    assert!(matches!(error, DataError::BadId { .. }), "{error}");
}

#[test]
fn pickles_of_captions_are_read_and_others_refused() {
    let Some(data) = hitbench_tests::test_data("synthetic") else {
        return;
    };
    let captions = data.join("collaborative-experts/structured-symlinks/raw-captions.pkl");
    let captions = read_raw_captions(&captions).unwrap();
    assert_eq!(captions.len(), 3);
    assert_eq!(
        captions["video9771"],
        [
            "a little girl does gymnastics",
            "a girl flips",
            "une fille fait de la gymnastique é"
        ]
    );
    let index = data.join("mmt/jsfusion_val_caption_idx.pkl");
    let chosen = read_caption_index(&index).unwrap();
    assert_eq!((chosen["video9770"], chosen["video9771"]), (0, 1));
    let error = read_raw_captions(&index).unwrap_err();
    assert!(
        error.to_string().contains("expected a list of captions, found"),
        "{error}"
    );
    let features =
        data.join("collaborative-experts/structured-symlinks/aggregated_face_feats/facefeats-avg.pickle");
    let error = read_caption_index(&features).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected the number of a caption, found"),
        "{error}"
    );
}

#[test]
fn what_is_missing_is_named_with_help() {
    let folder = tempfile::tempdir().unwrap();
    let folders = [folder.path().to_owned(), "other".into()];
    let folders = Folders {
        name: "a",
        folders: &folders,
        help: "It is sold in shops.",
    };
    let error = folders
        .need("test list", &["x.txt", "y.csv"])
        .unwrap_err()
        .to_string();
    let expected = format!(
        "no test list of a: none of the folders `{}`, `other` holds `x.txt` or `y.csv`.\nIt is sold in shops.",
        folder.path().display()
    );
    assert_eq!(error, expected);
    fs::create_dir(folder.path().join("structured-symlinks")).unwrap();
    fs::write(folder.path().join("structured-symlinks/y.csv"), "").unwrap();
    let found = folders.need("test list", &["x.txt", "y.csv"]).unwrap();
    assert_eq!(found, folder.path().join("structured-symlinks/y.csv"));
}
