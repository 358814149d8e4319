//! DiDeMo: videos of Flickr whose sentences, in file order, make a paragraph.
//!
//! Videos are named by their files, with endings of many kinds; the id is what is before the first dot.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use super::annotations::{Annotated, Folders, read_id_list, read_json};
use super::config::{DidemoSplit, PublishedConfig};
use super::dataset::Split;
use super::error::DataError;

const NAME: &str = "didemo";
const HELP: &str = "\
DiDeMo is expected as its authors distribute it. In the folders of `annotations`:
  train_data.json, val_data.json, test_data.json (github.com/LisaAnne/LocalizingMoments, folder data), and, to leave out \
the videos that Collaborative Experts could not fetch, their train_list.txt, val_list.txt, test_list.txt
In `features`: the structured-symlinks of Collaborative Experts, or a file or folder for each expert.";

/// Split, annotations, list of Collaborative Experts.
const SPLITS: [(Split, &str, &str); 3] = [
    (Split::Train, "train_data.json", "train_list.txt"),
    (Split::Val, "val_data.json", "val_list.txt"),
    (Split::Test, "test_data.json", "test_list.txt"),
];

/// Videos, captions and splits.
///
/// # Errors
/// Those of the files.
pub(super) fn annotated(config: &PublishedConfig<DidemoSplit>) -> Result<Annotated, DataError> {
    let DidemoSplit::Official = config.split;
    let folders = Folders {
        name: NAME,
        folders: &config.annotations,
        help: HELP,
    };
    let mut data = Annotated::new(NAME, HELP);
    let mut n_listed = 0;
    for (split, file, list) in SPLITS {
        let path = folders.need("annotations", &[file])?;
        let mut paragraphs = read_paragraphs(&path)?;
        if let Some(list) = folders.find(&[list]) {
            let (listed, n_without) = cut_to_list(paragraphs, &list)?;
            paragraphs = listed;
            data.gaps.ids_without_captions += n_without;
            n_listed += 1;
        }
        let first = data.videos.len();
        data.add_split(split, &path, paragraphs.iter().map(|(id, _)| id.clone()))?;
        for (video, (id, text)) in (first..).zip(paragraphs) {
            data.add_captions(video, [(id, text)]);
        }
    }
    data.about = format!(
        "DiDeMo, paragraph retrieval: {} training, {} validation and {} test videos{}; the sentences of a video joined.",
        data.splits.train.len(),
        data.splits.val.len(),
        data.splits.test.len(),
        match n_listed {
            0 => "",
            _ => ", cut to the lists of Collaborative Experts",
        }
    );
    Ok(data)
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `video` and `description`")]
struct WireMoment {
    description: String,
    video: String,
}

/// Paragraphs by video, in the order of first mention.
fn read_paragraphs(path: &Path) -> Result<Vec<(String, String)>, DataError> {
    let moments: Vec<WireMoment> = read_json(path, "DiDeMo")?;
    let mut paragraphs: Vec<(String, String)> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for WireMoment { description, video } in moments {
        let id = stem(&video);
        let place = *known.entry(id.to_owned()).or_insert_with(|| {
            paragraphs.push((id.to_owned(), String::new()));
            paragraphs.len() - 1
        });
        let text = &mut paragraphs[place].1;
        text.push(' ');
        text.push_str(&description);
    }
    Ok(paragraphs)
}

/// The videos of a list, in its order, and how many of it have no paragraph.
fn cut_to_list(
    paragraphs: Vec<(String, String)>,
    list: &Path,
) -> Result<(Vec<(String, String)>, usize), DataError> {
    let mut by_id: HashMap<String, String> = paragraphs.into_iter().collect();
    let ids = read_id_list(list)?;
    let mut listed = Vec::with_capacity(ids.len());
    let (mut seen, mut n_without) = (HashSet::new(), 0);
    for id in &ids {
        let id = stem(id);
        if !seen.insert(id) {
            return Err(DataError::DuplicateId {
                path: list.to_owned(),
                what: "video",
                id: id.to_owned(),
            });
        }
        match by_id.remove(id) {
            Some(text) => listed.push((id.to_owned(), text)),
            None => n_without += 1,
        }
    }
    Ok((listed, n_without))
}

/// A file's name up to its first dot.
fn stem(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::config::FeatureDtype;

    fn config(annotations: Vec<std::path::PathBuf>) -> PublishedConfig<DidemoSplit> {
        PublishedConfig {
            annotations,
            features: "none".into(),
            split: DidemoSplit::Official,
            experts: Vec::new(),
            dtype: FeatureDtype::F32,
        }
    }

    #[test]
    fn sentences_join_in_file_order_and_lists_cut() {
        let folder = tempfile::tempdir().expect("a folder for tests");
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("the file can be written");
        };
        let moment = |video: &str, text: &str| {
            format!(
                r#"{{"video": "{video}", "description": "{text}", "times": [[4, 4]], "num_segments": 6}}"#
            )
        };
        let train = [
            moment("1@N_2_a.mov", "first"),
            moment("b.", "other"),
            moment("1@N_2_a.mov", " second "),
        ];
        write("train_data.json", &format!("[{}]", train.join(", ")));
        write("val_data.json", "[]");
        write(
            "test_data.json",
            &format!("[{}, {}]", moment("c.3gp", "x"), moment("d.null", "y")),
        );
        let read = || annotated(&config(vec![folder.path().to_owned()])).expect("the files are right");
        let data = read();
        assert_eq!(data.videos, ["1@N_2_a", "b", "c", "d"]);
        assert_eq!(data.captions[0].text, "first second");
        write("test_list.txt", "d.null\nz.mov");
        let data = read();
        assert_eq!(
            (&data.videos[2..], data.gaps.ids_without_captions),
            (&["d".to_owned()][..], 1)
        );
        write("test_list.txt", "d.null\nd.mov\n");
        let error = annotated(&config(vec![folder.path().to_owned()])).expect_err("the same video");
        assert!(error.to_string().ends_with("video `d` occurs twice"), "{error}");
    }

    #[test]
    fn lists_have_the_sizes_of_the_data_set() {
        let Some(lists) = hitbench_tests::test_data("collaborative-experts/misc/datasets/didemo") else {
            return;
        };
        let n_ids = |file: &str| {
            let ids = read_id_list(&lists.join(file)).expect("the list can be read");
            let stems: HashSet<&str> = ids.iter().map(|id| stem(id)).collect();
            assert_eq!(stems.len(), ids.len(), "{file}");
            ids.len()
        };
        assert_eq!([n_ids("val_list.txt"), n_ids("test_list.txt")], [1065, 1004]);
    }
}
