//! Writing and reading back, and what is refused.

use std::fs;

use super::*;
use crate::data::config::{DataConfig, SyntheticConfig};
use crate::data::dataset::FeatureRows;

fn small() -> Dataset {
    let config = SyntheticConfig {
        videos: 30,
        test_videos: 10,
        ..SyntheticConfig::default()
    };
    Dataset::load(&DataConfig::Synthetic(config)).unwrap()
}

fn load_folder(path: &Path) -> Result<Dataset, DataError> {
    Dataset::load(&DataConfig::Folder(FolderConfig {
        path: path.to_owned(),
    }))
}

#[test]
fn a_data_set_survives_writing_and_reading_bit_for_bit() {
    let mut data = small();
    data.lexical = data
        .videos
        .iter()
        .map(|video| format!("words of \"{}\",\nnew line", video.id))
        .collect();
    data.captions[3].text = " kept \"as\" it is, ä\n".to_owned();
    let data = data.finish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set");
    write_folder(&data, &path).unwrap();
    let read = load_folder(&path).unwrap();
    assert_eq!(read.content_hash, data.content_hash);
    assert_eq!(
        (&read.name, &read.about, &read.experts),
        (&data.name, &data.about, &data.experts)
    );
    assert_eq!(
        (&read.captions, &read.splits, &read.lexical),
        (&data.captions, &data.splits, &data.lexical)
    );
    assert_eq!(read.gaps, data.gaps);
    for (read, data) in read.videos.iter().zip(&data.videos) {
        assert_eq!(read.id, data.id);
        for ((read, data), spec) in read
            .experts
            .iter()
            .zip(&data.experts)
            .zip(crate::data::synthetic::experts())
        {
            let bits = |features: &Option<crate::data::ExpertFeatures>| {
                features.as_ref().map(|features| {
                    let rows = features.rows.to_f32(spec.dim);
                    let rows: Vec<u32> = rows.iter().map(|value| value.to_bits()).collect();
                    (rows, features.times_s.clone())
                })
            };
            assert_eq!(bits(read), bits(data));
        }
    }
    let again = folder.path().join("again");
    write_folder(&read, &again).unwrap();
    for file in [
        "dataset.yaml",
        "captions.csv",
        "splits.csv",
        "lexical.csv",
        "features/action.safetensors",
    ] {
        assert_eq!(
            fs::read(path.join(file)).unwrap(),
            fs::read(again.join(file)).unwrap(),
            "{file}"
        );
    }
}

#[test]
fn a_folder_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(&small(), folder.path()).unwrap();
    assert!(matches!(
        write_folder(&small(), folder.path()),
        Err(DataError::Exists { .. })
    ));
}

#[test]
fn a_failed_write_leaves_no_description() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = small();
    data.videos[4].id = "__metadata__".into();
    assert!(matches!(
        write_folder(&data, folder.path()),
        Err(DataError::BadId { .. })
    ));
    fs::write(folder.path().join("features"), "in the way").unwrap();
    assert!(matches!(
        write_folder(&small(), folder.path()),
        Err(DataError::Write { .. })
    ));
    assert!(!folder.path().join("dataset.yaml").exists());
}

/// A data set of three videos with the description's middle lines given.
fn invented(description: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(
        root.join("dataset.yaml"),
        format!("format: 1\nname: mine\ncaptions: captions.csv\n{description}"),
    )
    .unwrap();
    fs::write(
        root.join("captions.csv"),
        "caption_id,video_id,text\n1,a,One\n2,c,Two\n3,a,\"Three, four\"\n4,z,No\n",
    )
    .unwrap();
    fs::write(
        root.join("splits.csv"),
        "video_id,split\nc,test\na,train\nb,test\n",
    )
    .unwrap();
    fs::write(root.join("train.txt"), "a\r\n").unwrap();
    fs::write(root.join("test.txt"), "c\n\nb").unwrap();
    fs::create_dir(root.join("f")).unwrap();
    // A version 1 file of `[1, 1]` f32.
    let mut npy =
        b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }".to_vec();
    npy.resize(79, b' ');
    npy.push(b'\n');
    npy.extend(2.5f32.to_le_bytes());
    fs::write(root.join("f/a.npy"), npy).unwrap();
    folder
}

const EXPERT: &str = "experts: [{name: e, dim: 1, features: f}]\n";

#[test]
fn gaps_are_counted_and_nothing_shrinks() {
    let folder = invented(&format!("splits: splits.csv\n{EXPERT}"));
    let data = load_folder(folder.path()).unwrap();
    let ids: Vec<&str> = data.videos.iter().map(|video| video.id.as_str()).collect();
    assert_eq!(ids, ["c", "a", "b"]);
    assert_eq!(
        (data.splits.train.as_slice(), data.splits.test.as_slice()),
        (&[1][..], &[0, 2][..])
    );
    let captions: Vec<(&str, usize)> = data.captions.iter().map(|c| (c.text.as_str(), c.video)).collect();
    assert_eq!(captions, [("Two", 0), ("One", 1), ("Three, four", 1)]);
    let expected = Gaps {
        videos_without_expert: vec![2],
        videos_without_features: 2,
        features_without_times: 1,
        videos_without_captions: 1,
        videos_without_split: 1,
        ..Gaps::default()
    };
    assert_eq!(data.gaps, expected);
    let rows = &data.videos[1].experts[0].as_ref().unwrap().rows;
    assert_eq!(rows, &FeatureRows::Dense(vec![2.5]));
    assert_eq!(
        data.about,
        "Read from a folder; its `dataset.yaml` does not say what it is."
    );
}

#[test]
fn lists_are_an_alternative_to_the_table() {
    let folder = invented(&format!("lists: {{train: train.txt, test: test.txt}}\n{EXPERT}"));
    let data = load_folder(folder.path()).unwrap();
    let ids: Vec<&str> = data.videos.iter().map(|video| video.id.as_str()).collect();
    assert_eq!(ids, ["a", "c", "b"]);
    assert_eq!(
        (data.splits.train.as_slice(), data.splits.test.as_slice()),
        (&[0][..], &[1, 2][..])
    );
}

/// Error and causes, without the folder.
fn refused(folder: &tempfile::TempDir) -> String {
    let error = load_folder(folder.path()).unwrap_err();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn impossible_descriptions_are_refused() {
    let cases = [
        (
            EXPERT.to_owned(),
            "`dataset.yaml`: `splits` is missing, allowed is exactly one of `splits` and `lists`",
        ),
        (
            "splits: splits.csv\nexperts: []\n".to_owned(),
            "`dataset.yaml`: `experts` is empty, allowed is at least one expert",
        ),
        (
            "splits: splits.csv\nexperts: [{name: e.f, dim: 1, features: f}]\n".to_owned(),
            "`dataset.yaml`: `experts.0.name` is \"e.f\", allowed is not empty, no dot",
        ),
        (
            "splits: splits.csv\nexperts: [{name: e, dim: 0, features: f}]\n".to_owned(),
            "`dataset.yaml`: `experts.0.dim` is 0, allowed is 1 to 16384",
        ),
        (
            "splits: splits.csv\nexperts: [{name: e, dim: 1, features: f}, {name: e, dim: 1, features: f}]\n"
                .to_owned(),
            "`dataset.yaml`: expert `e` occurs twice",
        ),
    ];
    for (description, message) in cases {
        assert_eq!(refused(&invented(&description)), message);
    }
    let unknown = refused(&invented(&format!("splits: splits.csv\nsplit: x\n{EXPERT}")));
    assert!(
        unknown.starts_with("`dataset.yaml` is not a data set description: "),
        "{unknown}"
    );
    assert!(unknown.contains("split") && unknown.contains('5'), "{unknown}");
}

#[test]
fn impossible_tables_are_refused() {
    let with = |file: &str, text: &str| {
        let folder = invented(&format!("splits: splits.csv\n{EXPERT}"));
        fs::write(folder.path().join(file), text).unwrap();
        refused(&folder)
    };
    let cases = [
        (
            "splits.csv",
            "video_id,split\na,train\na,test\n",
            "`splits.csv`: video `a` occurs twice",
        ),
        (
            "splits.csv",
            "video_id,split\na,dev\n",
            "`splits.csv`: video `a` has a split other than train, val and test",
        ),
        (
            "splits.csv",
            "video_id,split\na/b,train\n",
            "`splits.csv`: video `a/b` has a slash, backslash or NUL",
        ),
        (
            "splits.csv",
            "video_id,split\na,train\nb,test\n",
            "the test split of `mine` has no video with a caption",
        ),
        (
            "splits.csv",
            "id,split\na,train\n",
            "`splits.csv` has the header `id,split`, expected `video_id,split`",
        ),
        (
            "captions.csv",
            "caption_id;video_id;text\n1;a;One\n",
            "`captions.csv` has the header `caption_id;video_id;text`, expected `caption_id,video_id,text`",
        ),
        (
            "captions.csv",
            "caption_id,video_id,text\n1,a,One\n1,c,Two\n",
            "`captions.csv`: caption `1` occurs twice",
        ),
    ];
    for (file, text, message) in cases {
        assert_eq!(with(file, text), message);
    }
    let short = with("captions.csv", "caption_id,video_id,text\n1,a,One\n2,c\n");
    assert!(
        short.starts_with("`captions.csv` is not in the expected CSV form: ") && short.contains("line: 3"),
        "{short}"
    );
}

#[test]
fn the_example_of_the_documentation_is_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(&small(), folder.path()).unwrap();
    let text = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
    let description = text("dataset.yaml");
    let description: Vec<&str> = description
        .lines()
        .filter(|line| !line.starts_with("about:"))
        .collect();
    let captions = text("captions.csv");
    let captions: Vec<&str> = captions.lines().take(5).collect();
    for (kind, lines) in [("yaml", description), ("csv", captions)] {
        let block = format!("```{kind}\n{}\n```", lines.join("\n"));
        assert!(include_str!("../FORMAT.md").contains(&block), "{block}");
    }
}
