//! MSVD: videos of YouTube with up to 81 captions each, as Collaborative Experts and CLIP4Clip distribute them.

use super::annotations::{Annotated, Folders, Ordered, read_id_list, read_json, read_raw_captions};
use super::config::{MsvdSplit, PublishedConfig};
use super::dataset::Split;
use super::error::DataError;

const NAME: &str = "msvd";
const HELP: &str = "\
MSVD is expected as Collaborative Experts or CLIP4Clip lay it out. In the folders of `annotations`:
  train_list.txt, val_list.txt, test_list.txt; raw-captions.pkl, or captions.json (video to list of texts)
In `features`: the structured-symlinks of Collaborative Experts, or a file or folder for each expert.
github.com/albanie/collaborative-experts says in misc/datasets/msvd where the archive is.";

/// Lists of the splits.
const LISTS: [(Split, &str, &str); 3] = [
    (Split::Train, "training list", "train_list.txt"),
    (Split::Val, "validation list", "val_list.txt"),
    (Split::Test, "test list", "test_list.txt"),
];
const CAPTIONS: [&str; 2] = ["raw-captions.pkl", "captions.json"];

/// Videos, captions and splits.
///
/// # Errors
/// Those of the files.
pub(super) fn annotated(config: &PublishedConfig<MsvdSplit>) -> Result<Annotated, DataError> {
    let MsvdSplit::Official = config.split;
    let folders = Folders {
        name: NAME,
        folders: &config.annotations,
        help: HELP,
    };
    let mut data = Annotated::new(NAME, HELP);
    for (split, what, file) in LISTS {
        let path = folders.need(what, &[file])?;
        data.add_split(split, &path, read_id_list(&path)?)?;
    }
    let path = folders.need("captions", &CAPTIONS)?;
    let mut captions = match path.ends_with(CAPTIONS[1]) {
        true => {
            let Ordered(captions) = read_json(&path, "MSVD")?;
            captions.into_iter().collect()
        }
        false => read_raw_captions(&path)?,
    };
    for video in 0..data.videos.len() {
        let of_video = captions.remove(&data.videos[video]).unwrap_or_default();
        data.add_numbered(video, &of_video, None)?;
    }
    data.gaps.videos_without_split = captions.len();
    data.about = format!(
        "MSVD: {} training, {} validation and {} test videos, all captions of each.",
        data.splits.train.len(),
        data.splits.val.len(),
        data.splits.test.len()
    );
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::config::FeatureDtype;

    #[test]
    fn lists_have_the_sizes_of_the_data_set_and_captions_follow_their_videos() {
        let Some(lists) = hitbench_tests::test_data("collaborative-experts/misc/datasets/msvd") else {
            return;
        };
        let folder = tempfile::tempdir().expect("a folder for tests");
        let captions =
            r#"{"f9Won2JpOEU_60_80": ["a  dog ", " "], "eyhzdC936uk_15_27": ["b", "c"], "none": ["d"]}"#;
        std::fs::write(folder.path().join("captions.json"), captions).expect("the file can be written");
        let data = annotated(&PublishedConfig {
            annotations: vec![lists, folder.path().to_owned()],
            features: folder.path().join("none"),
            split: MsvdSplit::Official,
            experts: Vec::new(),
            dtype: FeatureDtype::F32,
        })
        .expect("the files are right");
        let sizes = [Split::Train, Split::Val, Split::Test].map(|split| data.splits.of(split).len());
        assert_eq!(sizes, [1200, 100, 670]);
        let captions: Vec<(&str, &str)> = data
            .captions
            .iter()
            .map(|c| (c.id.as_str(), c.text.as_str()))
            .collect();
        assert_eq!(
            captions,
            [
                ("eyhzdC936uk_15_27#0", "b"),
                ("eyhzdC936uk_15_27#1", "c"),
                ("f9Won2JpOEU_60_80#0", "a dog"),
            ]
        );
        assert_eq!(
            (data.gaps.captions_without_words, data.gaps.videos_without_split),
            (1, 1)
        );
    }
}
