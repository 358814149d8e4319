//! A TREC run and its qrels: a matrix of scores where the run is complete, else ranked lists.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::error::EvalError;
use super::ids::{IdList, IdProblem, IdProblemKind};
use super::join::{Joined, JoinedBy, index};
use super::lists::Lists;
use super::notice::Notice;
use crate::format::{Aligned, Location, Matrix, Qrels, TrecEntries, TrecRun};
use crate::metric::{ListCounts, ListedQuery, OwnGroup, Pairing};

/// What a TREC run is once its qrels are known.
#[derive(Debug)]
pub enum Retrieved {
    /// Every query lists every item and has one true item: scores of texts (rows) with videos (columns).
    Scores(Box<(Matrix, Joined)>),
    /// Anything else.
    Lists(Lists),
}

/// Brings a run and its qrels together. An item with a relevance above 0 is true.
///
/// The gallery is `videos` where they are given. Else it is known only if every query lists every item that either
/// file names. Texts have the order of the run, and videos that of `videos`, else of the qrels, then of the run.
///
/// # Errors
/// [`EvalError::Ids`] for queries that are not in both files or have no true item and, with `videos`, for items that
/// are not among them; with `allow_missing` only when nothing is left.
pub fn join_trec(
    mut run: TrecRun,
    qrels: &Qrels,
    videos: Option<&IdList>,
    allow_missing: bool,
) -> Result<Retrieved, EvalError> {
    let lists = std::mem::take(&mut run.lists);
    let gallery = Gallery::new(&run, qrels, videos);
    let truth = Truth::new(&run, qrels, &gallery);
    let problems: Vec<IdProblem> = [gallery.problems(&run, qrels), truth.problems].concat();
    let is_taken = |truths: &[u32]| !truths.is_empty();
    let n_taken = truth.of_query.iter().filter(|truths| is_taken(truths)).count();
    if n_taken == 0 || !(problems.is_empty() || allow_missing) {
        return Err(match allow_missing {
            true => EvalError::NothingLeft { problems, map: None },
            false => EvalError::Ids { problems, map: None },
        });
    }
    let n_masked = run.queries.len() - n_taken;
    let mut taken: Vec<Query<'_>> = run
        .queries
        .iter()
        .zip(lists)
        .zip(truth.of_query)
        .filter(|(_, truths)| is_taken(truths))
        .map(|((id, list), truths)| Query { id, list, truths })
        .collect();
    taken
        .par_iter_mut()
        .for_each(|query| gallery.renumber(&mut query.list));

    let n_items = gallery.ids.len();
    let complete = taken.iter().all(|query| query.list.items.len() == n_items);
    if complete && taken.iter().all(|query| query.truths.len() == 1) {
        return scores(&run.location, taken, &gallery, problems);
    }
    let described: HashSet<u32> = taken
        .iter()
        .flat_map(|query| query.truths.iter().copied())
        .collect();
    let known = (complete || videos.is_some()).then_some(n_items);
    Ok(Retrieved::Lists(Lists {
        counts: ListCounts {
            queries: taken.par_iter().map(Query::counted).collect(),
            n_gallery: known.map(|n| n as u64),
            n_masked: n_masked as u64,
            n_without_caption: known.map_or(0, |n| n - described.len()) as u64,
        },
        n_named: n_items,
        by: JoinedBy::Qrels,
        problems,
        notices: (truth.n_graded > 0)
            .then_some(Notice::Grades { n: truth.n_graded })
            .into_iter()
            .collect(),
    }))
}

/// One query that takes part; items are those of the gallery.
struct Query<'a> {
    id: &'a str,
    list: TrecEntries<f64>,
    /// True items in the order of the qrels, at least one.
    truths: Vec<u32>,
}

impl Query<'_> {
    fn counted(&self) -> ListedQuery {
        let mut truths = self.truths.clone();
        truths.sort_unstable();
        let entries = self.list.items.iter().zip(&self.list.values);
        let mut own: Vec<f64> = entries
            .filter(|(item, _)| truths.binary_search(item).is_ok())
            .map(|(_, &score)| score)
            .collect();
        own.sort_unstable_by(|a, b| b.total_cmp(a));
        // No sorting where one pass does.
        let all = match own[..] {
            [_] | [] => None,
            _ => {
                let mut all = self.list.values.clone();
                all.sort_unstable_by(|a, b| b.total_cmp(a));
                Some(all)
            }
        };
        let count = |alike: &[f64]| {
            let score = alike[0];
            let (greater, not_below) = match &all {
                Some(all) => (
                    all.partition_point(|&s| s > score),
                    all.partition_point(|&s| s >= score),
                ),
                None => {
                    let n = |is: fn(&f64, &f64) -> bool| {
                        self.list.values.iter().filter(|s| is(s, &score)).count()
                    };
                    (n(f64::gt), n(f64::ge))
                }
            };
            OwnGroup {
                greater: greater as u64,
                equal: (not_below - greater) as u64,
                own_equal: alike.len() as u64,
            }
        };
        ListedQuery {
            found: own.chunk_by(|a, b| a == b).map(count).collect(),
            n_true: truths.len() as u64,
            depth: self.list.items.len() as u64,
            cluster: self.truths[0],
        }
    }
}

/// The items that queries are ranked against, each under one number.
struct Gallery<'a> {
    ids: Vec<&'a str>,
    /// The number of every item of the run.
    of_run: Vec<Option<u32>>,
    /// The number of every item of the qrels.
    of_qrels: Vec<Option<u32>>,
    /// Ids of the gallery given that an earlier one has.
    repeated: Vec<&'a str>,
}

impl<'a> Gallery<'a> {
    fn new(run: &'a TrecRun, qrels: &'a Qrels, videos: Option<&'a IdList>) -> Self {
        let (ids, repeated): (Vec<&str>, Vec<&str>) = match videos {
            Some(videos) => {
                let (_, repeated) = index(&videos.ids);
                let again: HashSet<u32> = repeated.iter().copied().collect();
                let once = (0u32..)
                    .zip(&videos.ids)
                    .filter(|(place, _)| !again.contains(place));
                let of = |&place: &u32| videos.ids[place as usize].as_str();
                (
                    once.map(|(_, id)| id.as_str()).collect(),
                    repeated.iter().map(of).collect(),
                )
            }
            None => {
                let (judged, _) = index(&qrels.items);
                let others = run.items.iter().filter(|id| !judged.contains_key(id.as_str()));
                (
                    qrels.items.iter().chain(others).map(String::as_str).collect(),
                    Vec::new(),
                )
            }
        };
        let numbers: HashMap<&str, u32> = ids.iter().copied().zip(0..).collect();
        let of = |items: &[String]| items.iter().map(|id| numbers.get(id.as_str()).copied()).collect();
        Self {
            of_run: of(&run.items),
            of_qrels: of(&qrels.items),
            ids,
            repeated,
        }
    }

    fn problems(&self, run: &TrecRun, qrels: &Qrels) -> Vec<IdProblem> {
        let of_run = run.items.iter().zip(&self.of_run);
        let of_run: Vec<&str> = of_run
            .filter(|(_, number)| number.is_none())
            .map(|(id, _)| id.as_str())
            .collect();
        let named: HashSet<&str> = of_run.iter().copied().collect();
        let is_true = true_items(qrels);
        let of_qrels = qrels.items.iter().zip(self.of_qrels.iter().zip(&is_true));
        let of_qrels = of_qrels
            .filter(|(id, (number, is_true))| number.is_none() && **is_true && !named.contains(id.as_str()))
            .map(|(id, _)| id.as_str());
        let unknown = of_run.iter().copied().chain(of_qrels);
        let repeated = IdProblem::of(IdProblemKind::RepeatedVideo, self.repeated.iter().copied());
        let unknown = IdProblem::of(IdProblemKind::UnknownItem, unknown);
        repeated.into_iter().chain(unknown).collect()
    }

    /// From the numbers of the run to those of the gallery; drops what is not in it.
    fn renumber(&self, list: &mut TrecEntries<f64>) {
        if list
            .items
            .iter()
            .any(|&item| self.of_run[item as usize].is_none())
        {
            let of_run = |item: &u32| self.of_run[*item as usize].is_some();
            let mut kept = list.items.iter().map(of_run);
            list.values.retain(|_| kept.next().unwrap_or(false));
            list.items.retain(of_run);
        }
        for item in &mut list.items {
            *item = self.of_run[*item as usize].unwrap_or(*item);
        }
    }
}

/// Whether each item of the qrels is true for some query.
fn true_items(qrels: &Qrels) -> Vec<bool> {
    let mut is_true = vec![false; qrels.items.len()];
    for judged in &qrels.judgements {
        for (&item, _) in judged
            .items
            .iter()
            .zip(&judged.values)
            .filter(|(_, relevance)| **relevance > 0)
        {
            is_true[item as usize] = true;
        }
    }
    is_true
}

/// The true items of every query of the run.
struct Truth {
    /// Numbers in the gallery; none for a query that does not take part.
    of_query: Vec<Vec<u32>>,
    problems: Vec<IdProblem>,
    /// Queries with true items of several grades.
    n_graded: usize,
}

impl Truth {
    fn new(run: &TrecRun, qrels: &Qrels, gallery: &Gallery<'_>) -> Self {
        let (judged, _) = index(&qrels.queries);
        let (mut without_qrels, mut without_true_item) = (Vec::new(), Vec::new());
        let mut n_graded = 0;
        let of_query = run.queries.iter().map(|id| {
            let Some(&query) = judged.get(id.as_str()) else {
                without_qrels.push(id.as_str());
                return Vec::new();
            };
            let judged = &qrels.judgements[query as usize];
            let relevant = judged
                .items
                .iter()
                .zip(&judged.values)
                .filter(|(_, relevance)| **relevance > 0);
            let known =
                relevant.filter_map(|(&item, &grade)| Some((gallery.of_qrels[item as usize]?, grade)));
            let (truths, grades): (Vec<u32>, Vec<i64>) = known.unzip();
            if truths.is_empty() {
                without_true_item.push(id.as_str());
            }
            n_graded += usize::from(grades.windows(2).any(|pair| pair[0] != pair[1]));
            truths
        });
        let of_query = of_query.collect();
        let (asked, _) = index(&run.queries);
        let without_run = qrels
            .queries
            .iter()
            .map(String::as_str)
            .filter(|id| !asked.contains_key(id));
        let problems = [
            IdProblem::of(IdProblemKind::QueryWithoutQrels, without_qrels),
            IdProblem::of(IdProblemKind::QueryWithoutRun, without_run),
            IdProblem::of(IdProblemKind::QueryWithoutTrueItem, without_true_item),
        ];
        Self {
            of_query,
            problems: problems.into_iter().flatten().collect(),
            n_graded,
        }
    }
}

/// The matrix that complete lists are, each with one true item.
fn scores(
    location: &Location,
    queries: Vec<Query<'_>>,
    gallery: &Gallery<'_>,
    problems: Vec<IdProblem>,
) -> Result<Retrieved, EvalError> {
    let shape = [queries.len(), gallery.ids.len()];
    let n_bytes = shape[0] * shape[1] * size_of::<f64>();
    let mut values = Aligned::zeros(n_bytes).map_err(|error| EvalError::memory(location, error))?;
    let rows: &mut [f64] = bytemuck::cast_slice_mut(values.bytes_mut());
    let (mut text_ids, mut video_of) = (Vec::with_capacity(shape[0]), Vec::with_capacity(shape[0]));
    for (query, row) in queries.into_iter().zip(rows.chunks_exact_mut(shape[1])) {
        for (&item, &score) in query.list.items.iter().zip(&query.list.values) {
            row[item as usize] = score;
        }
        text_ids.push(query.id.to_owned());
        video_of.push(query.truths[0]);
    }
    let joined = Joined {
        pairing: Pairing::new(video_of, shape[1])?,
        text_ids,
        video_ids: gallery.ids.iter().map(|&id| id.to_owned()).collect(),
        kept_videos: None,
        problems,
        by: JoinedBy::Qrels,
    };
    let matrix = Matrix::of_f64(location.clone(), shape, values);
    Ok(Retrieved::Scores(Box::new((matrix, joined))))
}

#[cfg(test)]
mod tests;
