//! VATEX, English captions: the official JSON files or the one of CLIP2Video, with the lists of a split.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::annotations::{Annotated, Folders, Ordered, read_id_list, read_json};
use super::config::{PublishedConfig, VatexSplit};
use super::dataset::Split;
use super::error::DataError;

const NAME: &str = "vatex";
const HELP: &str = "\
VATEX is expected as its authors or CLIP2Video lay it out. In the folders of `annotations`:
  captions   vatex_data.json (CLIP2Video), or vatex_training_v1.0.json and vatex_validation_v1.0.json (official, \
eric-xw.github.io/vatex-website)
  lists      train_list.txt, val_list.txt, and test_list.txt (HGR) or test1k5_sec_list.txt (CLIP2Video)
In `features`: a file or folder for each expert.";

const KEYED: &str = "vatex_data.json";
const OFFICIAL: [&str; 2] = ["vatex_training_v1.0.json", "vatex_validation_v1.0.json"];

/// Videos, captions and splits.
///
/// # Errors
/// Those of the files.
pub(super) fn annotated(config: &PublishedConfig<VatexSplit>) -> Result<Annotated, DataError> {
    let folders = Folders {
        name: NAME,
        folders: &config.annotations,
        help: HELP,
    };
    let mut data = Annotated::new(NAME, HELP);
    let (test, title) = match config.split {
        VatexSplit::Hgr => ("test_list.txt", "split of HGR"),
        VatexSplit::Random1k5 => ("test1k5_sec_list.txt", "split that CLIP2Video drew"),
    };
    let lists = [
        (Split::Train, "training list", "train_list.txt"),
        (Split::Val, "validation list", "val_list.txt"),
        (Split::Test, "test list", test),
    ];
    // The drawn test videos are among those of HGR's test and validation lists.
    let is_needed = |split| split != Split::Val || config.split == VatexSplit::Hgr;
    for (split, what, file) in lists.into_iter().filter(|(split, ..)| is_needed(*split)) {
        let path = folders.need(what, &[file])?;
        data.add_split(split, &path, read_id_list(&path)?)?;
    }
    let mut captions = read_captions(&folders)?;
    for video in 0..data.videos.len() {
        let of_video = captions.remove(&data.videos[video]).unwrap_or_default();
        data.add_numbered(video, &of_video, None)?;
    }
    data.gaps.videos_without_split = captions.len();
    data.about = format!(
        "VATEX, English captions, {title}: {} training, {} validation and {} test videos.",
        data.splits.train.len(),
        data.splits.val.len(),
        data.splits.test.len()
    );
    Ok(data)
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `enCap`")]
struct WireCaptions {
    #[serde(rename = "enCap")]
    english: Vec<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `videoID` and `enCap`")]
struct WireVideo {
    #[serde(rename = "videoID")]
    id: String,
    #[serde(flatten)]
    captions: WireCaptions,
}

/// English captions by video.
fn read_captions(folders: &Folders<'_>) -> Result<HashMap<String, Vec<String>>, DataError> {
    if let Some(path) = folders.find(&[KEYED]) {
        let Ordered::<WireCaptions>(videos) = read_json(&path, "VATEX")?;
        return Ok(videos
            .into_iter()
            .map(|(id, captions)| (id, captions.english))
            .collect());
    }
    folders.need("captions", &[KEYED, OFFICIAL[0]])?;
    let mut captions = HashMap::new();
    for path in OFFICIAL.iter().filter_map(|file| folders.find(&[file])) {
        add_official(&path, &mut captions)?;
    }
    Ok(captions)
}

fn add_official(path: &Path, captions: &mut HashMap<String, Vec<String>>) -> Result<(), DataError> {
    let videos: Vec<WireVideo> = read_json(path, "VATEX")?;
    for WireVideo { id, captions: found } in videos {
        if captions.insert(id.clone(), found.english).is_some() {
            return Err(DataError::DuplicateId {
                path: path.to_owned(),
                what: "video",
                id,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::config::FeatureDtype;

    #[test]
    fn both_forms_of_the_captions_give_the_same() {
        let read = |files: &[(&str, &str)]| {
            let folder = tempfile::tempdir().expect("a folder for tests");
            let lists = [
                ("train_list.txt", "a_1_2\n"),
                ("val_list.txt", "b"),
                ("test_list.txt", "c"),
            ];
            for (name, text) in lists.iter().chain(files) {
                fs::write(folder.path().join(name), text).expect("the file can be written");
            }
            annotated(&PublishedConfig {
                annotations: vec![folder.path().to_owned()],
                features: folder.path().join("none"),
                split: VatexSplit::Hgr,
                experts: Vec::new(),
                dtype: FeatureDtype::F32,
            })
        };
        let keyed =
            r#"{"a_1_2": {"enCap": ["x", "y"], "chCap": ["z"]}, "c": {"enCap": ["w"]}, "d": {"enCap": []}}"#;
        let train = r#"[{"videoID": "a_1_2", "enCap": ["x", "y"], "chCap": ["z"]}]"#;
        let other = r#"[{"videoID": "c", "enCap": ["w"]}, {"videoID": "d", "enCap": []}]"#;
        let keyed = read(&[(KEYED, keyed)]).expect("the files are right");
        let official = read(&[(OFFICIAL[0], train), (OFFICIAL[1], other)]).expect("the files are right");
        assert_eq!(
            (&keyed.videos, &keyed.captions),
            (&official.videos, &official.captions)
        );
        assert_eq!((keyed.captions.len(), keyed.gaps.videos_without_split), (3, 1));
        let error = read(&[(OFFICIAL[0], train), (OFFICIAL[1], train)]).expect_err("a video twice");
        assert!(
            error.to_string().ends_with("video `a_1_2` occurs twice"),
            "{error}"
        );
    }
}
