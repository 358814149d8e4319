//! The layouts of extractors, made small.

use std::fs::{self, File};
use std::io::Write;

use hitbench_tests::files::Pickled;
use npyz::WriterBuilder;

use super::*;

fn npy(values: &[f32], shape: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .writer(&mut bytes);
    let mut writer = options.begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

fn npz(path: &Path, members: &[(&str, Vec<u8>)]) {
    let mut archive = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in members {
        archive
            .start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

fn read(folder: &Path, video: &str) -> Option<VideoRecordings> {
    ExpertFolder::open(folder).unwrap().read(video).unwrap()
}

fn of<'a>(found: &'a Option<VideoRecordings>, name: &str) -> &'a Recording {
    let mut found = found.as_ref().unwrap().iter();
    &found.find(|(known, _)| known == name).unwrap().1
}

#[test]
fn keys_of_video_features_are_read_from_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let i3d = root.join("i3d");
    fs::create_dir_all(&i3d).unwrap();
    fs::write(i3d.join("a_b_rgb.npy"), npy(&[1.0, 2.0, 3.0, 4.0], &[2, 2])).unwrap();
    fs::write(i3d.join("a_b_flow.npy"), npy(&[5.0, 6.0, 7.0, 8.0], &[2, 2])).unwrap();
    fs::write(i3d.join("a_b_timestamps_ms.npy"), npy(&[500.0, 1500.0], &[2])).unwrap();
    let s3d = root.join("s3d/kinetics");
    fs::create_dir_all(&s3d).unwrap();
    fs::write(s3d.join("a_b_s3d.npy"), npy(&[9.0], &[1, 1])).unwrap();
    let found = read(root, "a_b");
    let names: Vec<&str> = found
        .as_ref()
        .unwrap()
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["i3d_rgb", "i3d_flow", "s3d"]);
    assert_eq!(of(&found, "i3d_flow").values, [5.0, 6.0, 7.0, 8.0]);
    assert_eq!(of(&found, "i3d_rgb").times_s, Some(vec![0.5, 1.5]));
    assert_eq!((of(&found, "s3d").dim, &of(&found, "s3d").times_s), (1, &None));
    assert!(read(root, "c").is_none());
}

#[test]
fn archives_of_hero_and_coot_name_their_member() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["hero", "coot"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    let rows = npy(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2]);
    npz(
        &root.join("hero/x.npz"),
        &[("features", rows.clone()), ("other", npy(&[1.0], &[1]))],
    );
    let five = npy(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[1, 3, 2, 1, 1]);
    npz(&root.join("coot/v_x.npz"), &[("frame_scores", five)]);
    // ActivityNet's prefix: with it in one folder, without it in the other.
    let found = read(root, "v_x");
    assert_eq!(of(&found, "hero"), of(&found, "coot"));
    assert_eq!((of(&found, "coot").dim, of(&found, "coot").n_rows()), (2, 3));
}

#[test]
fn frames_of_a_big_file_belong_to_their_video() {
    let folder = tempfile::tempdir().unwrap();
    let big = folder.path().join("resnet");
    fs::create_dir(&big).unwrap();
    let values: Vec<u8> = (0..8u8)
        .flat_map(|value| f32::from(value).to_le_bytes())
        .collect();
    fs::write(big.join("feature.bin"), values).unwrap();
    fs::write(big.join("shape.txt"), "4 2").unwrap();
    fs::write(big.join("id.txt"), "video0_0 video0_1 video10_0 whole").unwrap();
    assert_eq!(
        of(&read(folder.path(), "video0"), "resnet").values,
        [0.0, 1.0, 2.0, 3.0]
    );
    assert_eq!(of(&read(folder.path(), "whole"), "resnet").values, [6.0, 7.0]);
    assert!(read(folder.path(), "video1").is_none());
    fs::write(big.join("id.txt"), "video0_0").unwrap();
    let error = ExpertFolder::open(folder.path()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "1 ids for 4 rows");
}

#[test]
fn pickles_of_several_experts_are_taken_apart() {
    let folder = tempfile::tempdir().unwrap();
    let array = |value: f32| Pickled::Array(vec![1, 2], vec![value; 2]);
    let text = |text: &str| Pickled::Text(text.to_owned());
    let dict = |entries: &[(&str, Pickled)]| {
        Pickled::Dict(
            entries
                .iter()
                .map(|(key, value)| (text(key), value.clone()))
                .collect(),
        )
    };
    // HowTo100M's MSR-VTT: kind of features, then video.
    let by_kind = dict(&[
        ("2d", dict(&[("x", array(1.0))])),
        ("3d", dict(&[("x", array(2.0))])),
    ]);
    fs::write(folder.path().join("a.pickle"), by_kind.bytes()).unwrap();
    // Its YouCook2: a dictionary a clip.
    let clip = |id: &str, value| dict(&[("id", text(id)), ("2d", array(value)), ("caption", text("stir"))]);
    let clips = Pickled::List(vec![clip("x", 3.0), clip("y", 4.0)]);
    fs::write(folder.path().join("b.pkl"), clips.bytes()).unwrap();
    // UniVL: one dictionary by video.
    fs::write(folder.path().join("c.pickle"), dict(&[("x", array(5.0))]).bytes()).unwrap();
    let found = read(folder.path(), "x");
    let values: Vec<(&str, f32)> = found
        .as_ref()
        .unwrap()
        .iter()
        .map(|(name, found)| (name.as_str(), found.values[0]))
        .collect();
    assert_eq!(values, [("a_2d", 1.0), ("a_3d", 2.0), ("b_2d", 3.0), ("c", 5.0)]);
    let names: Vec<String> = read(folder.path(), "y")
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["b_2d"]);
    let single = ExpertFolder::open(&folder.path().join("c.pickle")).unwrap();
    assert_eq!(single.read("x").unwrap().unwrap()[0].0, "c");
    fs::write(
        folder.path().join("d.pickle"),
        Pickled::List(vec![text("x")]).bytes(),
    )
    .unwrap();
    let error = ExpertFolder::open(folder.path()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        cause,
        "expected a dictionary by video, found a list of something else"
    );
}

#[test]
fn an_expert_has_one_file_and_a_folder_some_expert() {
    let folder = tempfile::tempdir().unwrap();
    let empty = ExpertFolder::open(folder.path()).unwrap_err();
    assert!(matches!(empty, DataError::NoExperts { .. }), "{empty}");
    fs::create_dir(folder.path().join("s3d")).unwrap();
    fs::write(folder.path().join("s3d.pickle"), b"").unwrap();
    let twice = ExpertFolder::open(folder.path()).unwrap_err();
    assert!(
        twice.to_string().ends_with("expert `s3d` occurs twice"),
        "{twice}"
    );
}
