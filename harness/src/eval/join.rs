//! Which row belongs to which column: by id, by the layout of a mask, or by position.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::EvalError;
use super::ids::{IdList, IdMap, IdProblem, IdProblemKind};
use super::mask::Mask;
use crate::format::Location;
use crate::metric::{MetricError, Pairing};

/// What was said about ids and masks.
#[derive(Debug, Default)]
pub struct Names {
    /// Ids of the texts, in row order.
    pub texts: Option<IdList>,
    /// Ids of the videos, in column order.
    pub videos: Option<IdList>,
    /// Which text belongs to which video, by id.
    pub map: Option<IdMap>,
    /// Which texts take part.
    pub mask: Option<Mask>,
    /// Whether ids that do not fit are left out, and counted, instead of refused.
    pub allow_missing: bool,
}

/// How rows and columns were brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinedBy {
    /// Row `i` belongs to column `i`.
    Position,
    /// Row `v * C + c` is caption `c` of column `v`, with a mask of shape `(V, C)`.
    MaskLayout,
    /// Ids, which lie in the same order on both sides.
    Ids,
    /// Ids, which are the same on both sides and lie in different orders.
    ReorderedIds,
    /// The relevance judgements of a TREC run.
    Qrels,
}

impl JoinedBy {
    /// The word in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::MaskLayout => "mask-layout",
            Self::Ids | Self::ReorderedIds => "ids",
            Self::Qrels => "qrels",
        }
    }
}

/// Rows and columns brought together.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    /// Texts, all rows, and videos, the columns in `kept_videos`.
    pub pairing: Pairing,
    /// An id for every row: its number, from 0, where none was given.
    pub text_ids: Vec<String>,
    /// An id for every column in `kept_videos`.
    pub video_ids: Vec<String>,
    /// Columns that take part, when some are left out.
    pub kept_videos: Option<Vec<u32>>,
    /// What was left out, with `allow_missing`.
    pub problems: Vec<IdProblem>,
    /// How.
    pub by: JoinedBy,
}

/// Brings `n_texts` rows and `n_videos` columns together; the locations name them in errors.
///
/// # Errors
/// [`EvalError::IdCount`], [`EvalError::Ids`], [`EvalError::Mask`], [`EvalError::MapNeeded`], and
/// [`EvalError::Usage`] for ids of one side only or a map without ids.
pub fn join(
    names: &Names,
    (n_texts, texts_of): (usize, &Location),
    (n_videos, videos_of): (usize, &Location),
) -> Result<Joined, EvalError> {
    let joined = match (&names.texts, &names.videos) {
        (Some(texts), Some(videos)) => {
            check_count(texts, "rows", n_texts, texts_of)?;
            check_count(videos, "columns", n_videos, videos_of)?;
            join_ids(texts, videos, names.map.as_ref(), names.allow_missing)?
        }
        (None, None) if names.map.is_none() => join_places(n_texts, n_videos, names.mask.as_ref())?,
        (None, None) => {
            return Err(EvalError::Usage {
                problem: "--map joins by id and needs --text-ids and --video-ids",
                remedy: "where the map has a line for every row, in order, say --text-ids MAP.csv::text_id",
            });
        }
        _ => {
            return Err(EvalError::Usage {
                problem: "--text-ids and --video-ids need each other: rows and columns are joined by id",
                remedy: "where both sides have the same ids in the same order, give the same file twice",
            });
        }
    };
    match &names.mask {
        None => Ok(joined),
        Some(mask) => masked(joined, mask, n_texts),
    }
}

pub(super) fn check_count(
    ids: &IdList,
    what: &'static str,
    n: usize,
    matrix: &Location,
) -> Result<(), EvalError> {
    let found = ids.ids.len();
    if found == n {
        return Ok(());
    }
    Err(EvalError::IdCount {
        ids: ids.location.clone(),
        found,
        what,
        matrix: matrix.to_string(),
        expected: n,
        header: found == n + 1 && ids.location.member.is_none(),
    })
}

/// Leaves out the texts that the mask does.
fn masked(joined: Joined, mask: &Mask, n_texts: usize) -> Result<Joined, EvalError> {
    if mask.kept.len() != n_texts {
        return Err(EvalError::Mask {
            location: mask.location.clone(),
            expected: format!("{n_texts} entries, one a text"),
            found: mask.kept.len().to_string(),
        });
    }
    let taking_part: HashSet<u32> = joined.pairing.kept_captions().into_iter().collect();
    let kept = (0u32..)
        .zip(&mask.kept)
        .map(|(text, &kept)| kept && taking_part.contains(&text));
    let kept = kept.collect();
    Ok(Joined {
        pairing: joined.pairing.with_mask(kept)?,
        ..joined
    })
}

/// Joins without ids.
fn join_places(n_texts: usize, n_videos: usize, mask: Option<&Mask>) -> Result<Joined, EvalError> {
    let numbers = |n: usize| (0..n).map(|i| i.to_string()).collect();
    let slots = mask.and_then(|mask| match mask.shape[..] {
        [videos, slots] if videos == n_videos && videos * slots == n_texts => Some(slots),
        _ => None,
    });
    let (video_of, by): (Vec<u32>, JoinedBy) = match slots {
        Some(slots) => (
            (0..n_texts).map(|row| (row / slots) as u32).collect(),
            JoinedBy::MaskLayout,
        ),
        None if n_texts == n_videos => ((0..n_texts as u32).collect(), JoinedBy::Position),
        None => return Err(EvalError::MapNeeded { n_texts, n_videos }),
    };
    Ok(Joined {
        pairing: Pairing::new(video_of, n_videos)?,
        text_ids: numbers(n_texts),
        video_ids: numbers(n_videos),
        kept_videos: None,
        problems: Vec::new(),
        by,
    })
}

/// The first place of every id, and the places whose id an earlier one has.
pub(super) fn index(ids: &[String]) -> (HashMap<&str, u32>, Vec<u32>) {
    let (mut places, mut repeated) = (HashMap::with_capacity(ids.len()), Vec::new());
    for (place, id) in (0u32..).zip(ids) {
        if places.contains_key(id.as_str()) {
            repeated.push(place);
        } else {
            places.insert(id.as_str(), place);
        }
    }
    (places, repeated)
}

/// Joins by id. Without a map, a text belongs to the video of the same id.
pub(super) fn join_ids(
    texts: &IdList,
    videos: &IdList,
    map: Option<&IdMap>,
    allow_missing: bool,
) -> Result<Joined, EvalError> {
    let (row_of, repeated_rows) = index(&texts.ids);
    let (_, repeated_columns) = index(&videos.ids);
    let dropped: HashSet<u32> = repeated_columns.iter().copied().collect();
    let kept_videos: Vec<u32> = (0..videos.ids.len() as u32)
        .filter(|v| !dropped.contains(v))
        .collect();
    let video_ids: Vec<String> = kept_videos
        .iter()
        .map(|&column| videos.ids[column as usize].clone())
        .collect();
    let (column_of, _) = index(&video_ids);
    let links = Links::new(map);

    let (mut unknown, mut without_column) = (Vec::new(), Vec::new());
    let repeated: HashSet<u32> = repeated_rows.iter().copied().collect();
    let mut video_of = vec![0; texts.ids.len()];
    let mut kept = vec![false; texts.ids.len()];
    for (row, text) in (0u32..).zip(&texts.ids) {
        if repeated.contains(&row) {
            continue;
        }
        let video = match (&links, map) {
            (Some(links), _) => links.video_of.get(text.as_str()).copied(),
            (None, _) => Some(text.as_str()),
        };
        match video.map(|video| (video, column_of.get(video))) {
            Some((_, Some(&column))) => {
                video_of[row as usize] = column;
                kept[row as usize] = true;
            }
            Some((video, None)) if map.is_some() => without_column.push(video),
            _ => unknown.push(text.as_str()),
        }
    }
    let described: HashSet<u32> = (0u32..)
        .zip(&kept)
        .filter(|(_, kept)| **kept)
        .map(|(row, _)| video_of[row as usize])
        .collect();
    let bare = (0u32..)
        .zip(&video_ids)
        .filter_map(|(column, id)| (!described.contains(&column)).then_some(id.as_str()));
    let of = |ids: &'_ [String], places: &[u32]| -> Vec<String> {
        places.iter().map(|&place| ids[place as usize].clone()).collect()
    };
    let (again_texts, again_videos) = (of(&texts.ids, &repeated_rows), of(&videos.ids, &repeated_columns));
    let no_row = links.iter().flat_map(|links| {
        let texts = links.texts.iter().copied();
        texts.filter(|text| !row_of.contains_key(text))
    });
    let again_entries = links.iter().flat_map(|links| links.repeated.iter().copied());
    let problems: Vec<IdProblem> = [
        IdProblem::of(
            IdProblemKind::RepeatedText,
            again_texts.iter().map(String::as_str),
        ),
        IdProblem::of(
            IdProblemKind::RepeatedVideo,
            again_videos.iter().map(String::as_str),
        ),
        IdProblem::of(IdProblemKind::RepeatedEntry, again_entries),
        IdProblem::of(IdProblemKind::UnknownText, unknown),
        IdProblem::of(IdProblemKind::NoColumn, without_column),
        IdProblem::of(IdProblemKind::NoRow, no_row),
        IdProblem::of(IdProblemKind::VideoWithoutText, bare),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !problems.is_empty() && !allow_missing {
        let map = map_at_fault(map, &problems);
        return Err(EvalError::Ids { problems, map });
    }
    let by = if map.is_none() && problems.is_empty() && texts.ids != videos.ids {
        JoinedBy::ReorderedIds
    } else {
        JoinedBy::Ids
    };
    let pairing = Pairing::new(video_of, video_ids.len())?.with_mask(kept);
    Ok(Joined {
        pairing: pairing.map_err(|error| match error {
            MetricError::Empty { .. } => EvalError::NothingLeft {
                map: map_at_fault(map, &problems),
                problems: problems.clone(),
            },
            other => other.into(),
        })?,
        text_ids: texts.ids.clone(),
        kept_videos: (!dropped.is_empty()).then_some(kept_videos),
        video_ids,
        problems,
        by,
    })
}

/// The file of the map, where some of the problems is one of its entries or of an entry that it lacks.
fn map_at_fault(map: Option<&IdMap>, problems: &[IdProblem]) -> Option<PathBuf> {
    let is_of_map = problems.iter().any(|problem| problem.kind.is_of_map());
    map.filter(|_| is_of_map).map(|map| map.location.path.clone())
}

/// A map by text.
struct Links<'a> {
    /// The texts in file order, each once.
    texts: Vec<&'a str>,
    video_of: HashMap<&'a str, &'a str>,
    /// Texts of entries after the first of that text.
    repeated: Vec<&'a str>,
}

impl<'a> Links<'a> {
    fn new(map: Option<&'a IdMap>) -> Option<Self> {
        let map = map?;
        let mut links = Self {
            texts: Vec::with_capacity(map.pairs.len()),
            video_of: HashMap::with_capacity(map.pairs.len()),
            repeated: Vec::new(),
        };
        for (text, video) in &map.pairs {
            if links.video_of.contains_key(text.as_str()) {
                links.repeated.push(text);
            } else {
                links.video_of.insert(text, video);
                links.texts.push(text);
            }
        }
        Some(links)
    }
}

#[cfg(test)]
mod tests;
