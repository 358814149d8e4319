#![doc = include_str!("FORMAT.md")]

mod write;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use hitbench_models::config::ExpertSpec;
use serde::Deserialize;

use super::annotations::check_ids;
use super::config::FolderConfig;
use super::dataset::{Caption, Dataset, Gaps, Split, Splits, Video};
use super::error::DataError;
use super::features::{ExpertFiles, read_expert};

pub use write::write_folder;

const DESCRIPTION: &str = "dataset.yaml";
const CAPTIONS_HEADER: &str = "caption_id,video_id,text";
const SPLITS_HEADER: &str = "video_id,split";
const LEXICAL_HEADER: &str = "video_id,text";

/// `dataset.yaml` as written; paths are relative to its folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDescription {
    format: u64,
    name: String,
    #[serde(default)]
    about: String,
    captions: PathBuf,
    splits: Option<PathBuf>,
    lists: Option<WireLists>,
    lexical: Option<PathBuf>,
    experts: Vec<WireExpert>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireLists {
    train: PathBuf,
    val: Option<PathBuf>,
    test: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireExpert {
    name: String,
    dim: usize,
    features: PathBuf,
    times: Option<PathBuf>,
}

/// Reads a folder in the format above.
///
/// # Errors
/// Those of reading; [`DataError::Yaml`] with line and column; [`DataError::Description`] for values that
/// parse but are impossible; [`DataError::Csv`], [`DataError::Header`]; [`DataError::DuplicateId`],
/// [`DataError::BadId`]; those of features.
pub(super) fn load(config: &FolderConfig) -> Result<Dataset, DataError> {
    let path = config.path.join(DESCRIPTION);
    let text = read(&path)?;
    let mut description: WireDescription = serde_yaml::from_str(&text).map_err(|source| DataError::Yaml {
        path: path.clone(),
        source: Box::new(source),
    })?;
    check(&path, &mut description)?;
    let file = |relative: &Path| config.path.join(relative);

    let (ids, splits) = match (&description.splits, &description.lists) {
        (Some(table), None) => read_splits(&file(table))?,
        (None, Some(lists)) => read_lists(lists, &file)?,
        _ => {
            let allowed = "exactly one of `splits` and `lists`";
            let value = if description.lists.is_some() {
                "given beside `lists`"
            } else {
                "missing"
            };
            return Err(impossible(&path, "splits", value, allowed));
        }
    };
    let ids_in_order: Vec<&str> = ids.iter().map(String::as_str).collect();
    let videos_by_id: HashMap<&str, usize> = ids_in_order.iter().copied().zip(0..).collect();
    let (captions, videos_without_split) = read_captions(&file(&description.captions), &videos_by_id)?;
    let lexical = match &description.lexical {
        Some(table) => read_lexical(&file(table), &videos_by_id)?,
        None => Vec::new(),
    };
    let mut videos: Vec<Video> = ids
        .iter()
        .map(|id| Video {
            id: id.clone(),
            experts: Vec::new(),
        })
        .collect();
    let mut experts = Vec::new();
    for expert in description.experts {
        let files = ExpertFiles {
            features: file(&expert.features),
            times: expert.times.as_deref().map(file),
            dim: expert.dim,
        };
        let features = read_expert(&files, &ids_in_order)?;
        for (video, features) in videos.iter_mut().zip(features) {
            video.experts.push(features);
        }
        experts.push(ExpertSpec {
            name: expert.name,
            dim: expert.dim,
        });
    }
    let about = match description.about.trim() {
        "" => format!("Read from a folder; its `{DESCRIPTION}` does not say what it is."),
        about => about.to_owned(),
    };
    Dataset {
        name: description.name,
        about,
        experts,
        videos,
        captions,
        splits,
        lexical,
        gaps: Gaps {
            videos_without_split,
            ..Gaps::default()
        },
        content_hash: String::new(),
    }
    .finish()
}

/// Refuses impossible values and puts the experts into alphabetical order.
fn check(path: &Path, description: &mut WireDescription) -> Result<(), DataError> {
    if description.format != 1 {
        return Err(impossible(path, "format", description.format, "1"));
    }
    if description.name.trim().is_empty() {
        return Err(impossible(path, "name", "empty", "a short name"));
    }
    if description.experts.is_empty() {
        return Err(impossible(path, "experts", "empty", "at least one expert"));
    }
    for (index, expert) in description.experts.iter().enumerate() {
        // Names become parts of tensor names, where a dot separates levels.
        if expert.name.is_empty() || expert.name.contains('.') {
            let name = format!("{:?}", expert.name);
            return Err(impossible(
                path,
                &format!("experts.{index}.name"),
                name,
                "not empty, no dot",
            ));
        }
        if !(1..=16_384).contains(&expert.dim) {
            return Err(impossible(
                path,
                &format!("experts.{index}.dim"),
                expert.dim,
                "1 to 16384",
            ));
        }
    }
    description.experts.sort_by(|a, b| a.name.cmp(&b.name));
    match description
        .experts
        .windows(2)
        .find(|pair| pair[0].name == pair[1].name)
    {
        None => Ok(()),
        Some(pair) => {
            let id = pair[0].name.clone();
            Err(DataError::DuplicateId {
                path: path.to_owned(),
                what: "expert",
                id,
            })
        }
    }
}

/// Videos in the order of the table, and their splits.
fn read_splits(path: &Path) -> Result<(Vec<String>, Splits), DataError> {
    let (mut ids, mut splits) = (Vec::new(), Splits::default());
    for row in rows(path, SPLITS_HEADER)? {
        let [id, split] = row?;
        let split = Split::ALL
            .into_iter()
            .find(|known| known.name() == split)
            .ok_or_else(|| {
                let problem = "has a split other than train, val and test";
                DataError::BadId {
                    path: path.to_owned(),
                    what: "video",
                    id: id.clone(),
                    problem,
                }
            })?;
        members(&mut splits, split).push(ids.len());
        ids.push(id);
    }
    check_ids(path, &ids)?;
    Ok((ids, splits))
}

/// Videos in the order of the lists, train first.
fn read_lists(
    lists: &WireLists,
    file: &impl Fn(&Path) -> PathBuf,
) -> Result<(Vec<String>, Splits), DataError> {
    let (mut ids, mut splits) = (Vec::new(), Splits::default());
    let given = [
        (Split::Train, Some(&lists.train)),
        (Split::Val, lists.val.as_ref()),
        (Split::Test, Some(&lists.test)),
    ];
    for (split, list) in given {
        let Some(list) = list else { continue };
        let path = file(list);
        for id in read(&path)?.lines().map(str::trim).filter(|id| !id.is_empty()) {
            members(&mut splits, split).push(ids.len());
            ids.push(id.to_owned());
        }
        check_ids(&path, &ids)?;
    }
    Ok((ids, splits))
}

fn members(splits: &mut Splits, split: Split) -> &mut Vec<usize> {
    match split {
        Split::Train => &mut splits.train,
        Split::Val => &mut splits.val,
        Split::Test => &mut splits.test,
    }
}

/// Captions ordered by video, those of one video in file order; and how many videos have captions but no
/// split.
fn read_captions(path: &Path, videos: &HashMap<&str, usize>) -> Result<(Vec<Caption>, usize), DataError> {
    let (mut captions, mut seen, mut without_split) = (Vec::new(), HashSet::new(), HashSet::new());
    for row in rows(path, CAPTIONS_HEADER)? {
        let [id, video, text] = row?;
        if !seen.insert(id.clone()) {
            return Err(DataError::DuplicateId {
                path: path.to_owned(),
                what: "caption",
                id,
            });
        }
        match videos.get(video.as_str()) {
            Some(&video) => captions.push(Caption { id, video, text }),
            None => {
                without_split.insert(video);
            }
        }
    }
    captions.sort_by_key(|caption| caption.video);
    Ok((captions, without_split.len()))
}

/// Lexical texts of all videos; empty for those that the table does not name.
fn read_lexical(path: &Path, videos: &HashMap<&str, usize>) -> Result<Vec<String>, DataError> {
    let (mut texts, mut seen) = (vec![String::new(); videos.len()], HashSet::new());
    for row in rows(path, LEXICAL_HEADER)? {
        let [video, text] = row?;
        if let Some(&index) = videos.get(video.as_str()) {
            if !seen.insert(index) {
                return Err(DataError::DuplicateId {
                    path: path.to_owned(),
                    what: "video",
                    id: video,
                });
            }
            texts[index] = text;
        }
    }
    Ok(texts)
}

/// Rows of a CSV file with exactly this header of `N` columns.
fn rows<const N: usize>(
    path: &Path,
    header: &'static str,
) -> Result<impl Iterator<Item = Result<[String; N], DataError>>, DataError> {
    let failed = |source| DataError::Csv {
        path: path.to_owned(),
        source,
    };
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    let found = reader
        .headers()
        .map_err(failed)?
        .iter()
        .collect::<Vec<_>>()
        .join(",");
    if found != header {
        return Err(DataError::Header {
            path: path.to_owned(),
            found,
            expected: header,
        });
    }
    let path = path.to_owned();
    Ok(reader.into_records().map(move |record| {
        let record = record.map_err(|source| DataError::Csv {
            path: path.clone(),
            source,
        })?;
        // The reader refuses rows of another length than the header.
        Ok(std::array::from_fn(|column| record[column].to_owned()))
    }))
}

fn read(path: &Path) -> Result<String, DataError> {
    std::fs::read_to_string(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })
}

fn impossible(path: &Path, key: &str, value: impl ToString, allowed: &'static str) -> DataError {
    DataError::Description {
        path: path.to_owned(),
        key: key.to_owned(),
        value: value.to_string(),
        allowed,
    }
}

#[cfg(test)]
mod tests;
