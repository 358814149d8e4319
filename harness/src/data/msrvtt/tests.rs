//! The real lists, the synthetic trees, and every source of captions.

use std::fs;

use hitbench_tests::layouts;

use super::*;
use crate::data::config::FeatureDtype;

fn config(annotations: Vec<PathBuf>, features: &Path, split: MsrvttSplit) -> PublishedConfig<MsrvttSplit> {
    PublishedConfig {
        annotations,
        features: features.to_owned(),
        split,
        experts: Vec::new(),
        dtype: FeatureDtype::F32,
    }
}

/// Writes the official JSON with `n` captions for each of 10,000 videos.
fn official(folder: &Path, n: usize) {
    let sentence = |video: usize, number: usize| {
        format!(
            r#"{{"sen_id": {number}, "video_id": "video{video}", "caption": "caption {number} of {video} "}}"#
        )
    };
    // Captions are not grouped by video.
    let sentences: Vec<String> = (0..n)
        .flat_map(|number| (0..10_000).map(move |video| sentence(video, number)))
        .collect();
    let text = format!(
        r#"{{"info": {{}}, "videos": [{{"video_id": "video0", "start time": 1.5}}], "sentences": [{}]}}"#,
        sentences.join(",")
    );
    fs::write(folder.join("MSRVTT_data.json"), text).unwrap();
}

#[test]
fn the_real_lists_have_the_sizes_of_the_splits() {
    let (Some(lists), Some(tables)) = (
        hitbench_tests::test_data("collaborative-experts/misc/datasets/msrvtt"),
        hitbench_tests::test_data("drl/data/MSR-VTT/anns"),
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    official(folder.path(), 20);
    let sizes = |split, folders: &[&Path]| {
        let folders = folders.iter().map(|folder| folder.to_path_buf()).collect();
        let data = annotated(&config(folders, Path::new("none"), split)).unwrap();
        let n_test = data
            .captions
            .iter()
            .filter(|caption| data.splits.test.contains(&caption.video))
            .count();
        (
            data.splits.train.len(),
            data.splits.val.len(),
            data.splits.test.len(),
            n_test,
        )
    };
    let (lists, tables, captions) = (lists.as_path(), tables.as_path(), folder.path());
    assert_eq!(
        sizes(MsrvttSplit::OneKA, &[lists, tables, captions]),
        (9000, 0, 1000, 1000)
    );
    assert_eq!(
        sizes(MsrvttSplit::OneKA, &[tables, captions]),
        (9000, 0, 1000, 1000)
    );
    assert_eq!(
        sizes(MsrvttSplit::OneKA7k, &[lists, tables, captions]),
        (7010, 0, 1000, 1000)
    );
    assert_eq!(
        sizes(MsrvttSplit::OneKB, &[lists, captions]),
        (6656, 0, 1000, 1000)
    );
    assert_eq!(
        sizes(MsrvttSplit::Full, &[lists, captions]),
        (6513, 497, 2990, 59_800)
    );
    assert_eq!(
        sizes(MsrvttSplit::FullFirst, &[lists, captions]),
        (6513, 497, 2990, 2990)
    );
    // Six captions fewer, as Collaborative Experts has them.
    let path = captions.join("MSRVTT_data.json");
    let text = fs::read_to_string(&path).unwrap();
    let text = (0..6).fold(text, |text, video| {
        text.replace(&format!("caption 19 of {} ", 9000 + video), " ")
    });
    fs::write(&path, text).unwrap();
    assert_eq!(
        sizes(MsrvttSplit::Full, &[lists, captions]),
        (6513, 497, 2990, 59_794)
    );
}

#[test]
fn the_sentences_of_the_real_table_are_tested_in_its_order() {
    let Some(tables) = hitbench_tests::test_data("drl/data/MSR-VTT/anns") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    official(folder.path(), 1);
    let folders = vec![tables, folder.path().to_owned()];
    let data = annotated(&config(folders, Path::new("none"), MsrvttSplit::OneKA)).unwrap();
    let first = data.splits.test[0];
    let caption = data
        .captions
        .iter()
        .find(|caption| caption.video == first)
        .unwrap();
    assert_eq!(
        (
            data.videos[first].as_str(),
            caption.id.as_str(),
            caption.text.as_str()
        ),
        ("video9770", "ret0", "a person is connecting something to system")
    );
    assert_eq!(data.captions[0].text, "caption 0 of 0");
}

#[test]
fn mmt_and_collaborative_experts_have_the_same_videos_captions_and_splits() {
    let (Some(mmt), Some(experts)) = (
        hitbench_tests::test_data("synthetic/mmt"),
        hitbench_tests::test_data("synthetic/collaborative-experts"),
    ) else {
        return;
    };
    let ours = annotated(&config(vec![mmt.clone()], &mmt, MsrvttSplit::OneKA)).unwrap();
    let folders = vec![mmt.clone(), experts.clone()];
    let theirs = annotated(&config(folders, &experts, MsrvttSplit::OneKA)).unwrap();
    assert_eq!(ours.videos, ["video7020", "video9770", "video9771"]);
    assert_eq!(
        (&ours.videos, &ours.captions, &ours.splits),
        (&theirs.videos, &theirs.captions, &theirs.splits)
    );
    let captions: Vec<&str> = ours.captions.iter().map(|caption| caption.id.as_str()).collect();
    assert_eq!(
        captions,
        ["video7020#0", "video7020#1", "video9770#0", "video9771#1"]
    );
}

#[test]
fn a_missing_folder_gives_one_message_that_says_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let error = annotated(&config(
        vec![folder.path().to_owned()],
        folder.path(),
        MsrvttSplit::OneKA,
    ))
    .unwrap_err();
    let message = error.to_string();
    for part in [
        "no training list of msrvtt",
        "`train_list_jsfusion.txt`",
        "MSRVTT.tar.gz",
        "In `features`:",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn the_same_features_in_both_layouts_give_the_same_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let clips = layouts::clips((0..40).map(|number| format!("video{number}")));
    layouts::msrvtt_lists(&root.join("symlinked-feats"), &clips, 10, 3);
    layouts::mmt_tree(root, &clips, 3, &layouts::EXPERTS);
    let other = root.join("experts");
    layouts::collaborative_experts(&other, &clips, 3);
    let load = |annotations: Vec<PathBuf>, features: &Path, dtype| {
        let config = PublishedConfig {
            dtype,
            ..config(annotations, features, MsrvttSplit::OneKA)
        };
        annotated(&config)
            .unwrap()
            .with_features_in(&config, &root.join("cache"))
            .unwrap()
    };
    let mmt = load(vec![root.to_owned()], root, FeatureDtype::F32);
    let experts = load(
        vec![root.join("symlinked-feats"), other.clone()],
        &other,
        FeatureDtype::F32,
    );
    assert_eq!(
        (mmt.splits.train.len(), mmt.splits.test.len(), mmt.captions.len()),
        (30, 10, 30 * 3 + 10)
    );
    let names: Vec<&str> = mmt.experts.iter().map(|expert| expert.name.as_str()).collect();
    assert_eq!(names, layouts::EXPERTS.map(|(name, _)| name));
    let missing: Vec<usize> = mmt.gaps.videos_without_expert.clone();
    assert_eq!(missing, [8, 6, 0, 0, 0, 14, 0]);
    assert_eq!(
        (
            &mmt.experts,
            &mmt.videos,
            &mmt.captions,
            &mmt.splits,
            &mmt.content_hash
        ),
        (
            &experts.experts,
            &experts.videos,
            &experts.captions,
            &experts.splits,
            &experts.content_hash
        )
    );
    let half = load(vec![root.to_owned()], root, FeatureDtype::F16);
    assert_ne!(half.content_hash, mmt.content_hash);
    let (half, full) = (&half.videos[3].experts[2], &mmt.videos[3].experts[2]);
    let (half, full) = (
        half.as_ref().unwrap().rows.to_f32(2048),
        full.as_ref().unwrap().rows.to_f32(2048),
    );
    assert!(
        half.iter()
            .zip(&*full)
            .all(|(half, full)| half::f16::from_f32(*full).to_f32() == *half)
    );
}

#[test]
fn an_expert_of_another_length_than_published_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let clips = layouts::clips((0..4).map(|number| format!("video{number}")));
    layouts::msrvtt_lists(root, &clips, 2, 1);
    layouts::mmt_tree(root, &clips, 1, &[("s3d", 512)]);
    let config = config(vec![root.to_owned()], root, MsrvttSplit::OneKA);
    let error = annotated(&config)
        .unwrap()
        .with_features_in(&config, &root.join("cache"))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("expert `s3d` has rows of 512 values in"),
        "{error}"
    );
    assert!(error.to_string().ends_with("expected 1024"), "{error}");
}
