//! Forms of the files, and the real files.

use std::fs;

use super::*;
use hitbench_models::config::ExpertSpec;

use crate::data::config::FeatureDtype;

pub(in crate::data) fn real_annotations() -> Option<PathBuf> {
    hitbench_tests::test_data("coot/annotations/activitynet")
}

fn parse(text: &str) -> Result<Vec<Annotation>, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("val_1.json");
    fs::write(&path, text).unwrap();
    read_annotations(&path)
}

#[test]
fn keys_keep_their_order_and_white_space_becomes_one_blank() {
    let text = r#"{
        "v_b": {"duration": 9.5, "timestamps": [[0, 4], [6.5, 3.5]], "sentences": ["One.", "  Two\nlines  here. "]},
        "v_a": {"duration": 3, "timestamps": [[1, 2], [0, 9]], "sentences": [" \n ", " Ünï."]}
    }"#;
    let annotations = parse(text).unwrap();
    let ids: Vec<&str> = annotations
        .iter()
        .map(|annotation| annotation.id.as_str())
        .collect();
    assert_eq!(ids, ["v_b", "v_a"]);
    assert_eq!(annotations[0].paragraph(), "One. Two lines here.");
    assert_eq!(annotations[1].paragraph(), "Ünï.");
    let middles: Vec<f64> = annotations[0]
        .sentences
        .iter()
        .map(|sentence| sentence.middle_s)
        .collect();
    assert_eq!(middles, [2.0, 5.0]);
}

#[test]
fn damaged_files_are_refused() {
    let cause = |text| {
        let error = parse(text).unwrap_err();
        let source = std::error::Error::source(&error)
            .map(|source| source.to_string())
            .unwrap_or_default();
        format!("{error}: {source}")
    };
    let ends = |text, end: &str| assert!(cause(text).ends_with(end), "{}", cause(text));
    ends(
        r#"{"v_a": {"timestamps": [[0, 1]]}}"#,
        "missing field `sentences` at line 1 column 32",
    );
    ends(
        "{\n\"v_a\": {\"timestamps\": [[0]], \"sentences\": []}}",
        "line 2 column 26",
    );
    ends(
        r#"["v_a"]"#,
        "expected an object keyed by video id at line 1 column 0",
    );
    ends(
        r#"{"v_a": {"timestamps": [[0, 1]], "sentences": []}}"#,
        "val_1.json`: video `v_a` has 0 sentences but 1 timestamps: ",
    );
    let twice = r#"{"v_a": {"timestamps": [], "sentences": []}, "v_a": {"timestamps": [], "sentences": []}}"#;
    ends(twice, "video `v_a` occurs twice at line 1 column 88");
}

#[test]
fn the_real_files_have_their_known_sizes() {
    let Some(folder) = real_annotations() else { return };
    let annotations = [PathBuf::from("nowhere"), folder];
    let folders = folders(&annotations);
    let known = [
        ("train.json", 10_009, 37_421),
        ("val_1.json", 4917, 17_505),
        ("val_2.json", 4885, 17_031),
    ];
    for (file, n_videos, n_sentences) in known {
        let annotations = read_annotations(&folders.need("annotations", &[file]).unwrap()).unwrap();
        assert_eq!(annotations.len(), n_videos, "{file}");
        let sentences = annotations
            .iter()
            .map(|annotation| annotation.sentences.len())
            .sum::<usize>();
        assert_eq!(sentences, n_sentences, "{file}");
        let clean = |text: &str| !text.contains("  ") && !text.contains('\n') && text.trim() == text;
        assert!(
            annotations
                .iter()
                .all(|annotation| clean(&annotation.paragraph())),
            "{file}"
        );
        let list = if file == "train.json" {
            "train_ids.json"
        } else {
            "val_ids.json"
        };
        let expected = [("train.json", 15), ("val_1.json", 9), ("val_2.json", 41)];
        let without = without_captions(&folders, list, &annotations).unwrap();
        assert_eq!(
            Some(&(file, without)),
            expected.iter().find(|(name, _)| *name == file)
        );
    }
}

#[test]
fn the_order_of_keys_is_that_of_published_lists() {
    let Some(folder) = real_annotations() else { return };
    let lists = folder.join("../../../collaborative-experts/misc/datasets/activity-net");
    for (file, list) in [
        ("train", "train_list"),
        ("val_1", "val_1_list"),
        ("val_2", "val_2_list"),
    ] {
        let annotations = read_annotations(&folder.join(format!("{file}.json"))).unwrap();
        let list = fs::read_to_string(lists.join(format!("{list}.txt"))).unwrap();
        assert!(
            annotations
                .iter()
                .map(|annotation| annotation.id.as_str())
                .eq(list.lines()),
            "{file}"
        );
    }
}

fn write_npy(path: &Path, shape: &[u64], values: &[f32]) {
    use npyz::WriterBuilder;
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .writer(fs::File::create(path).unwrap())
        .begin_nd()
        .unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
}

#[test]
fn videos_without_features_stay_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let entry = |id: &str, text: &str| {
        format!(r#""{id}": {{"duration": 1, "timestamps": [[0, 1]], "sentences": ["{text}"]}}"#)
    };
    fs::write(
        root.join("train.json"),
        format!("{{{}, {}}}", entry("v_1", "One."), entry("v_2", "Two.")),
    )
    .unwrap();
    fs::write(root.join("val_1.json"), format!("{{{}}}", entry("v_3", "Three."))).unwrap();
    fs::write(root.join("train_ids.json"), r#"["v_1", "v_2", "v_9"]"#).unwrap();
    let features = root.join("features");
    fs::create_dir_all(features.join("s3d")).unwrap();
    fs::create_dir_all(features.join("s3d.times")).unwrap();
    write_npy(
        &features.join("s3d/v_1.npy"),
        &[2, 3],
        &[4.0, 5.0, 6.0, 1.0, 2.0, 3.0],
    );
    write_npy(&features.join("s3d.times/v_1.npy"), &[2], &[7.5, 2.5]);
    let config = PublishedConfig {
        annotations: vec![root.to_owned()],
        features: features.clone(),
        split: ActivitynetSplit::Val1,
        experts: Vec::new(),
        dtype: FeatureDtype::F32,
    };
    let load = || {
        annotated(&config)
            .unwrap()
            .with_features_in(&config, &root.join("cache"))
    };
    let data = load().unwrap();
    assert_eq!(
        data.experts,
        [ExpertSpec {
            name: "s3d".into(),
            dim: 3
        }]
    );
    assert_eq!(
        (data.splits.train.as_slice(), data.splits.test.as_slice()),
        (&[0, 1][..], &[2][..])
    );
    assert_eq!(
        (
            data.gaps.videos_without_features,
            data.gaps.videos_without_file,
            data.gaps.ids_without_captions
        ),
        (2, 2, 1)
    );
    let s3d = data.videos[0].experts[0].as_ref().unwrap();
    // In time order, which is not that of the file.
    assert_eq!(*s3d.rows.to_f32(3), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(s3d.times_s, Some(vec![2.5, 7.5]));
    fs::remove_dir_all(&features).unwrap();
    fs::create_dir(&features).unwrap();
    assert!(matches!(load(), Err(DataError::NoExperts { .. })));
    fs::remove_dir(&features).unwrap();
    let error = load().unwrap_err().to_string();
    assert!(
        error.contains("no features of activitynet") && error.contains("activity-net.tar.gz"),
        "{error}"
    );
}
