//! MSR-VTT: 10,000 videos with 20 captions each, in the splits 1k-A, 1k-B and full.
//!
//! Captions are read from the official JSON files, from `raw-captions.pkl` of Collaborative Experts or from MMT's tree;
//! all three number the captions of a video alike. Lists are those of Collaborative Experts and MMT or the tables of
//! CLIP4Clip. The tested caption of a video of 1k-A is the one that `jsfusion_val_caption_idx.pkl` numbers, or the
//! sentence of `MSRVTT_JSFUSION_test.csv`, which was cleaned and has another order of videos.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;

use super::annotations::{
    Annotated, Folders, read_caption_index, read_id_list, read_id_table, read_json, read_raw_captions,
};
use super::config::{MsrvttSplit, PublishedConfig};
use super::dataset::Split;
use super::error::DataError;
use super::features::Mmt;

const NAME: &str = "msrvtt";
const HELP: &str = "\
MSR-VTT is expected as MMT or CLIP4Clip lay it out. In the folders of `annotations`:
  captions   MSRVTT_data.json (CLIP4Clip), train_val_videodatainfo.json and test_videodatainfo.json (official), \
raw-captions.pkl (Collaborative Experts), or nothing, if `features` is MMT's tree, which has them
  1k-a       train_list_jsfusion.txt or MSRVTT_train.9k.csv; val_list_jsfusion.txt with \
jsfusion_val_caption_idx.pkl, or MSRVTT_JSFUSION_test.csv
  1k-b       train_list_miech.txt, test_list_miech.txt
  full       train_list_full.txt, val_list_full.txt, test_list_full.txt, or MSRVTT_train.full.csv and so on
In `features`: MMT's vid_feat_files/mult_h5, the structured-symlinks of Collaborative Experts, or a file or folder for \
each expert.
MMT's archive MSRVTT.tar.gz, named in the README of github.com/gabeur/mmt, has all of it.";

const JSON: [&str; 4] = [
    "MSRVTT_data.json",
    "MSR_VTT.json",
    "train_val_videodatainfo.json",
    "test_videodatainfo.json",
];
const RAW_CAPTIONS: &str = "raw-captions.pkl";
const JSFUSION_TEST: &str = "MSRVTT_JSFUSION_test.csv";
const JSFUSION_LIST: &str = "val_list_jsfusion.txt";
const JSFUSION_INDEX: &str = "jsfusion_val_caption_idx.pkl";
const TRAIN_FULL: [&str; 3] = ["train_list_full.txt", "MSRVTT_train.full.csv", "train_list.txt"];
const VAL_FULL: [&str; 3] = ["val_list_full.txt", "MSRVTT_val.full.csv", "val_list.txt"];
const TEST_FULL: [&str; 3] = ["test_list_full.txt", "MSRVTT_test.full.csv", "test_list.txt"];

/// Videos, captions and splits.
///
/// # Errors
/// Those of the files.
pub(super) fn annotated(config: &PublishedConfig<MsrvttSplit>) -> Result<Annotated, DataError> {
    let folders = Folders {
        name: NAME,
        folders: &config.annotations,
        help: HELP,
    };
    let mut data = Annotated::new(NAME, HELP);
    let mut files = Vec::new();
    for path in training_lists(&folders, config.split)? {
        data.add_split(Split::Train, &path, read_id_list(&path)?)?;
        files.push(path);
    }
    if matches!(config.split, MsrvttSplit::Full | MsrvttSplit::FullFirst) {
        let path = folders.need("validation list", &VAL_FULL)?;
        data.add_split(Split::Val, &path, read_id_list(&path)?)?;
        files.push(path);
    }
    let first_test = data.videos.len();
    let (path, ids, tested) = Tested::find(&folders, config.split)?;
    data.add_split(Split::Test, &path, ids)?;
    files.push(path);
    let source = CaptionSource::find(&folders, &config.features)?;
    let captions = source.read(&data.videos)?;
    for (video, captions) in captions.iter().enumerate() {
        match video < first_test {
            true => data.add_numbered(video, captions, None)?,
            false => tested.add(&mut data, video, captions)?,
        }
    }
    let names: Vec<String> = files.iter().map(|path| file_name(path)).collect();
    data.about = format!(
        "MSR-VTT, {}: {} training, {} validation and {} test videos ({}); captions from {}.",
        title(config.split),
        data.splits.train.len(),
        data.splits.val.len(),
        data.splits.test.len(),
        names.join(", "),
        source.name()
    );
    Ok(data)
}

fn title(split: MsrvttSplit) -> &'static str {
    match split {
        MsrvttSplit::OneKA => "1k-A",
        MsrvttSplit::OneKA7k => "1k-A with the full training and validation splits for training",
        MsrvttSplit::OneKB => "1k-B",
        MsrvttSplit::Full => "full",
        MsrvttSplit::FullFirst => "full with the first caption of each test video",
    }
}

/// The lists whose videos train.
fn training_lists(folders: &Folders<'_>, split: MsrvttSplit) -> Result<Vec<PathBuf>, DataError> {
    let one = |files: &[&'static str]| Ok(vec![folders.need("training list", files)?]);
    match split {
        MsrvttSplit::OneKA => one(&["train_list_jsfusion.txt", "MSRVTT_train.9k.csv"]),
        MsrvttSplit::OneKA7k => match folders.find(&["MSRVTT_train.7k.csv"]) {
            Some(path) => Ok(vec![path]),
            None => Ok(vec![
                folders.need("training list", &TRAIN_FULL)?,
                folders.need("validation list", &VAL_FULL)?,
            ]),
        },
        MsrvttSplit::OneKB => one(&["train_list_miech.txt"]),
        MsrvttSplit::Full | MsrvttSplit::FullFirst => one(&TRAIN_FULL),
    }
}

/// Which captions of the test videos are tested.
enum Tested {
    All,
    First,
    /// By the number of the caption.
    Index(PathBuf, HashMap<String, usize>),
    /// By id and text of the sentence.
    Sentences(HashMap<String, (String, String)>),
}

impl Tested {
    /// The list of the test videos, their ids, and the rule.
    fn find(folders: &Folders<'_>, split: MsrvttSplit) -> Result<(PathBuf, Vec<String>, Self), DataError> {
        let list = |files: &[&'static str], tested| {
            let path = folders.need("test list", files)?;
            let ids = read_id_list(&path)?;
            Ok((path, ids, tested))
        };
        match split {
            MsrvttSplit::OneKB => list(&["test_list_miech.txt"], Self::First),
            MsrvttSplit::Full => list(&TEST_FULL, Self::All),
            MsrvttSplit::FullFirst => list(&TEST_FULL, Self::First),
            MsrvttSplit::OneKA | MsrvttSplit::OneKA7k => match folders.find(&[JSFUSION_INDEX]) {
                Some(path) => {
                    let index = read_caption_index(&path)?;
                    list(&[JSFUSION_LIST], Self::Index(path, index))
                }
                None => {
                    let path = folders.need("test sentences", &[JSFUSION_TEST, JSFUSION_INDEX])?;
                    let rows = read_id_table(&path, ["key", "video_id", "sentence"])?;
                    let ids = rows.iter().map(|[_, video, _]| video.clone()).collect();
                    let sentences = rows.into_iter().map(|[key, video, text]| (video, (key, text)));
                    Ok((path, ids, Self::Sentences(sentences.collect())))
                }
            },
        }
    }

    /// Adds what is tested of a video.
    fn add(&self, data: &mut Annotated, video: usize, captions: &[String]) -> Result<(), DataError> {
        match self {
            Self::All => data.add_numbered(video, captions, None),
            Self::First => data.add_numbered(video, captions, Some(0)),
            Self::Index(path, index) => match index.get(&data.videos[video]) {
                Some(&chosen) => data.add_numbered(video, captions, Some(chosen)),
                None => Err(DataError::Pickle {
                    path: path.clone(),
                    video: Some(data.videos[video].clone()),
                    expected: "the number of a caption",
                    found: "nothing".to_owned(),
                }),
            },
            Self::Sentences(sentences) => {
                let sentence = sentences.get(&data.videos[video]).cloned();
                data.add_captions(video, sentence);
                Ok(())
            }
        }
    }
}

/// Where all captions of a video come from.
enum CaptionSource {
    /// Files, and captions by video in the files' order.
    Files(Vec<PathBuf>, HashMap<String, Vec<String>>),
    Mmt(Mmt),
}

impl CaptionSource {
    fn find(folders: &Folders<'_>, features: &Path) -> Result<Self, DataError> {
        let json: Vec<PathBuf> = match folders.find(&JSON[..2]) {
            Some(path) => vec![path],
            None => JSON[2..]
                .iter()
                .filter_map(|file| folders.find(&[file]))
                .collect(),
        };
        if !json.is_empty() {
            let mut captions = HashMap::new();
            for path in &json {
                read_sentences(path, &mut captions)?;
            }
            return Ok(Self::Files(json, captions));
        }
        if let Some(path) = folders.find(&[RAW_CAPTIONS]) {
            let captions = read_raw_captions(&path)?;
            return Ok(Self::Files(vec![path], captions));
        }
        let known: Vec<&'static str> = JSON.into_iter().chain([RAW_CAPTIONS]).collect();
        match Mmt::find(features) {
            Some(mmt) => Ok(Self::Mmt(mmt)),
            None if features.exists() => Err(folders.missing("captions", &known)),
            None => Err(DataError::MissingFeatures {
                name: NAME,
                path: features.to_owned(),
                help: HELP,
            }),
        }
    }

    /// Captions of each video; none for one that the source does not know.
    fn read(&self, videos: &[String]) -> Result<Vec<Vec<String>>, DataError> {
        match self {
            Self::Files(_, captions) => Ok(videos
                .iter()
                .map(|video| captions.get(video).cloned().unwrap_or_default())
                .collect()),
            Self::Mmt(mmt) => {
                let read = videos.par_iter().map(|video| {
                    let captions = mmt.captions(video)?.unwrap_or_default();
                    Ok(captions.into_iter().map(|words| words.join(" ")).collect())
                });
                read.collect()
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Files(files, _) => {
                let names: Vec<String> = files.iter().map(|path| file_name(path)).collect();
                names.join(" and ")
            }
            Self::Mmt(_) => "MMT's files".to_owned(),
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// The official form, with `sentences`, or that of Frozen in Time, with `annotations`.
#[derive(Deserialize)]
#[serde(expecting = "an object with `sentences`")]
struct WireSentences {
    #[serde(default, alias = "annotations")]
    sentences: Vec<WireSentence>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `video_id` and `caption`")]
struct WireSentence {
    #[serde(alias = "image_id")]
    video_id: String,
    caption: String,
}

/// Adds the captions of a JSON file, those of a video in file order.
fn read_sentences(path: &Path, captions: &mut HashMap<String, Vec<String>>) -> Result<(), DataError> {
    let file: WireSentences = read_json(path, "MSR-VTT")?;
    for WireSentence { video_id, caption } in file.sentences {
        captions.entry(video_id).or_default().push(caption);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
