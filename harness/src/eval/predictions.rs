//! Predictions without scores, brought together with what is true.

use std::collections::HashSet;

use super::error::EvalError;
use super::ids::{IdList, IdMap, IdProblem};
use super::join::{JoinedBy, Names, check_count, join_ids};
use super::lists::Lists;
use super::mask::Mask;
use super::notice::Notice;
use crate::format::Predictions;
use crate::metric::{ListCounts, ListedQuery, OwnGroup};

/// Brings the predictions of texts together with the index of each text's video.
///
/// Texts with ids (`desc_id`, or those given) belong to a video by the map, or to the one of the same id; videos have
/// the ids given, else their indices are their ids. Without ids, rows are those of a mask of shape (videos, captions)
/// that it keeps, video by video, or row `i` belongs to index `i`.
///
/// # Errors
/// [`EvalError::OutsideGallery`]; [`EvalError::Ids`], [`EvalError::IdCount`], [`EvalError::Mask`],
/// [`EvalError::MapNeeded`], and [`EvalError::Usage`] for names that say nothing about these predictions.
pub fn join_predictions(predictions: Predictions, names: &Names) -> Result<Lists, EvalError> {
    let truth = match (&predictions.text_ids, &names.texts) {
        (Some(_), Some(_)) => {
            return Err(EvalError::Usage {
                problem: "these predictions name their texts by `desc_id`",
                remedy: "leave --text-ids out",
            });
        }
        (Some(_), None) | (None, Some(_)) if names.mask.is_some() => {
            return Err(EvalError::Usage {
                problem: "--mask tells the texts of rows without ids, and these have some",
                remedy: "leave --mask out",
            });
        }
        (Some(ids), None) => {
            let texts = IdList {
                location: predictions.location.clone(),
                ids: ids.clone(),
            };
            by_id(&texts, names)?
        }
        (None, Some(texts)) => {
            check_count(texts, "rows", predictions.lists.len(), &predictions.location)?;
            by_id(texts, names)?
        }
        (None, None) if names.map.is_some() => {
            return Err(EvalError::Usage {
                problem: "--map joins by id and needs --text-ids",
                remedy: "where the map has a line for every row, in order, say --text-ids MAP.csv::text_id",
            });
        }
        (None, None) if names.allow_missing => {
            return Err(EvalError::Usage {
                problem: "--allow-missing is about ids, and the rows have none",
                remedy: "give --text-ids",
            });
        }
        (None, None) => by_place(&predictions, names.videos.as_ref(), names.mask.as_ref())?,
    };
    truth.check_indices(&predictions)?;
    let largest = predictions.lists.iter().flatten().max();
    let asked = predictions.lists.iter().zip(&truth.video_of);
    let queries: Vec<ListedQuery> = asked
        .filter_map(|(list, video)| video.map(|video| truth.counted(list, video)))
        .collect();
    Ok(Lists {
        counts: ListCounts {
            n_masked: (predictions.lists.len() - queries.len()) as u64,
            n_gallery: truth.n_gallery.map(|n| n as u64),
            n_without_caption: truth.n_without_text as u64,
            queries,
        },
        n_named: largest.map_or(0, |&index| index as usize + 1),
        by: truth.by,
        problems: truth.problems,
        notices: (!predictions.passed_over.is_empty())
            .then(|| Notice::PassedOver {
                keys: predictions.passed_over.clone(),
            })
            .into_iter()
            .collect(),
    })
}

/// The video of every text, as the predictions number videos.
struct Truth {
    /// `None` for a text that is left out.
    video_of: Vec<Option<u32>>,
    /// Indices that there are, where they are known.
    n_indices: Option<usize>,
    /// Whether each index is in the gallery, when some are left out.
    kept: Option<Vec<bool>>,
    /// Items of the gallery, where they are known.
    n_gallery: Option<usize>,
    /// Items of a known gallery that belong to no text.
    n_without_text: usize,
    problems: Vec<IdProblem>,
    by: JoinedBy,
}

impl Truth {
    fn check_indices(&self, predictions: &Predictions) -> Result<(), EvalError> {
        let Some(n_gallery) = self.n_indices else {
            return Ok(());
        };
        for (text, list) in predictions.lists.iter().enumerate() {
            if let Some(place) = list.iter().position(|&index| index as usize >= n_gallery) {
                return Err(EvalError::OutsideGallery {
                    location: predictions.location.clone(),
                    entry: predictions.entry(text),
                    place: place + 1,
                    index: list[place],
                    n_gallery,
                });
            }
        }
        Ok(())
    }

    fn counted(&self, list: &[u32], video: u32) -> ListedQuery {
        let in_gallery = |index: &&u32| self.kept.as_ref().is_none_or(|kept| kept[**index as usize]);
        let list = || list.iter().filter(in_gallery);
        let found = list().position(|&index| index == video).map(|place| OwnGroup {
            greater: place as u64,
            equal: 1,
            own_equal: 1,
        });
        ListedQuery {
            found: found.into_iter().collect(),
            n_true: 1,
            depth: list().count() as u64,
            cluster: video,
        }
    }
}

/// By the ids of the texts.
fn by_id(texts: &IdList, names: &Names) -> Result<Truth, EvalError> {
    let map = names.map.as_ref();
    let numbers;
    let videos = match (&names.videos, map) {
        (Some(videos), _) => videos,
        (None, Some(map)) => {
            numbers = numbered(texts, map);
            &numbers
        }
        (None, None) => {
            return Err(EvalError::Usage {
                problem: "nothing says which video each text belongs to",
                remedy: "give --map, a CSV file with the header text_id,video_id, where a video's id is its index in the \
                         gallery or that in --video-ids; or --video-ids with the same ids as the texts",
            });
        }
    };
    let joined = join_ids(texts, videos, map, names.allow_missing)?;
    let kept_videos = match &joined.kept_videos {
        Some(kept) => kept.clone(),
        None => (0..videos.ids.len() as u32).collect(),
    };
    let is_given = names.videos.is_some();
    let index_of = |text: u32| {
        let video = kept_videos[joined.pairing.video_of(text) as usize];
        match is_given {
            true => Some(video),
            false => videos.ids[video as usize].parse().ok(),
        }
    };
    let mut video_of = vec![None; texts.ids.len()];
    for text in joined.pairing.kept_captions() {
        video_of[text as usize] = index_of(text);
    }
    let n_gallery = is_given.then(|| joined.pairing.n_videos());
    Ok(Truth {
        video_of,
        n_indices: is_given.then_some(videos.ids.len()),
        kept: joined.kept_videos.filter(|_| is_given).map(|kept| {
            let mut flags = vec![false; videos.ids.len()];
            kept.iter().for_each(|&video| flags[video as usize] = true);
            flags
        }),
        n_gallery,
        n_without_text: n_gallery.map_or(0, |_| joined.pairing.n_without_caption()),
        problems: joined.problems,
        by: joined.by,
    })
}

/// The videos of `texts` whose ids are indices, each once.
fn numbered(texts: &IdList, map: &IdMap) -> IdList {
    let texts: HashSet<&String> = texts.ids.iter().collect();
    let mut seen = HashSet::new();
    let videos = map
        .pairs
        .iter()
        .filter(|(text, _)| texts.contains(text))
        .map(|(_, video)| video);
    let numbers = videos.filter(|video| video.parse::<u32>().is_ok() && seen.insert(video.as_str()));
    IdList {
        location: map.location.clone(),
        ids: numbers.cloned().collect(),
    }
}

/// By the places of rows without ids.
fn by_place(
    predictions: &Predictions,
    videos: Option<&IdList>,
    mask: Option<&Mask>,
) -> Result<Truth, EvalError> {
    let n_rows = predictions.lists.len();
    let (video_of, n_videos, by): (Vec<u32>, Option<usize>, _) = match mask {
        Some(mask) => {
            let (video_of, n_videos) = rows_of(mask, predictions)?;
            (video_of, Some(n_videos), JoinedBy::MaskLayout)
        }
        None => ((0..n_rows as u32).collect(), None, JoinedBy::Position),
    };
    if let Some(videos) = videos {
        match n_videos {
            Some(n_videos) => check_count(videos, "videos", n_videos, &predictions.location)?,
            None if videos.ids.len() == n_rows => {}
            None => {
                return Err(EvalError::MapNeeded {
                    n_texts: n_rows,
                    n_videos: videos.ids.len(),
                });
            }
        }
    }
    let n_gallery = n_videos.or(videos.map(|videos| videos.ids.len()));
    let mut described = video_of.clone();
    described.dedup();
    Ok(Truth {
        video_of: video_of.into_iter().map(Some).collect(),
        n_indices: n_gallery,
        kept: None,
        n_gallery,
        n_without_text: n_gallery.map_or(0, |n| n - described.len()),
        problems: Vec::new(),
        by,
    })
}

/// The video of each row, where rows are the captions that a mask of shape (videos, captions) keeps; and the videos.
fn rows_of(mask: &Mask, predictions: &Predictions) -> Result<(Vec<u32>, usize), EvalError> {
    let n_rows = predictions.lists.len();
    let refused = |expected: String, found: String| EvalError::Mask {
        location: mask.location.clone(),
        expected,
        found,
    };
    let [n_videos, n_captions] = mask.shape[..] else {
        let found = format!("{} axes", mask.shape.len());
        return Err(refused("shape (videos, captions)".to_owned(), found));
    };
    let kept = mask.kept.iter().enumerate().filter(|(_, kept)| **kept);
    let video_of: Vec<u32> = kept.map(|(place, _)| (place / n_captions) as u32).collect();
    if video_of.len() == n_rows {
        return Ok((video_of, n_videos));
    }
    Err(refused(
        format!(
            "as many ones as `{}` has rows, which are {n_rows}",
            predictions.location.short()
        ),
        video_of.len().to_string(),
    ))
}

#[cfg(test)]
mod tests;
