//! The same queries in both evaluations, after everything else that decides ranks was found to be the same.

use std::collections::{HashMap, HashSet};

use hitbench_kernels::RankCount;
use hitbench_reports::record::{Direction, ProtocolRecord, RankRow};

use super::error::{DiffError, Difference};
use super::side::Side;
use crate::metric::PairedCounts;

/// One query in both evaluations.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedQuery {
    /// The query.
    pub query_id: String,
    /// Its best true item in the first.
    pub true_id_a: String,
    /// Its best true item in the second.
    pub true_id_b: String,
    /// Its counts in the first.
    pub a: RankCount,
    /// Its counts in the second.
    pub b: RankCount,
}

impl PairedQuery {
    /// Whether its counts differ; its scores may be of different scales.
    pub fn changed(&self) -> bool {
        let counts = |count: &RankCount| (count.greater, count.equal, count.own_equal);
        counts(&self.a) != counts(&self.b)
    }
}

/// All queries of one direction, in the order of the first evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedDirection {
    /// Direction.
    pub direction: Direction,
    /// Items that every query was ranked against.
    pub n_gallery: u64,
    /// Cut-offs of R@K that both report, ascending.
    pub recall_at: Vec<u64>,
    /// The queries.
    pub queries: Vec<PairedQuery>,
    /// The video of each, numbered as they appear.
    pub clusters: Vec<u32>,
}

impl PairedDirection {
    /// The counts without the ids.
    pub(super) fn counts(&self) -> PairedCounts {
        PairedCounts {
            a: self.queries.iter().map(|query| query.a).collect(),
            b: self.queries.iter().map(|query| query.b).collect(),
            clusters: self.clusters.clone(),
        }
    }
}

/// Brings the queries of both evaluations together.
///
/// # Errors
/// [`DiffError::NotComparable`] when protocol, rules, galleries, queries or true videos differ, [`DiffError::Ranks`] for
/// counts that no ranking gives, a query that is listed twice, and another number of queries than the record has.
pub(super) fn pair(a: &Side, b: &Side) -> Result<Vec<PairedDirection>, DiffError> {
    let mut differences = unlike_protocols(&a.trial.protocol, &b.trial.protocol);
    let mut paired = Vec::new();
    for direction in Direction::ALL {
        let sides = [a, b].map(|side| Ranked::new(side, direction));
        let [Some(a), Some(b)] = transposed(sides)? else {
            continue;
        };
        let found = unlike_queries(&a, &b);
        if found.is_empty() {
            paired.push(joined(&a, &b));
        }
        differences.extend(found);
    }
    match differences.is_empty() {
        true => Ok(paired),
        false => Err(DiffError::NotComparable { differences }),
    }
}

fn transposed<'a>(
    sides: [Result<Option<Ranked<'a>>, DiffError>; 2],
) -> Result<[Option<Ranked<'a>>; 2], DiffError> {
    let [a, b] = sides;
    Ok([a?, b?])
}

/// The rules that two evaluations do not share; scores and kernels may differ.
pub(crate) fn unlike_protocols(a: &ProtocolRecord, b: &ProtocolRecord) -> Vec<Difference> {
    let words = |protocol: &ProtocolRecord| {
        [
            protocol.protocol.clone(),
            protocol.post.clone().unwrap_or_default(),
            protocol.ties.clone(),
            protocol.captions.clone(),
            protocol.median.clone(),
        ]
    };
    let kinds = [
        ("other-protocol", "the protocol"),
        ("other-post-processing", "the post-processing"),
        ("other-ties", "the tie rule"),
        ("other-caption-rule", "the caption rule"),
        ("other-median", "the median rule"),
    ];
    let pairs = words(a).into_iter().zip(words(b));
    kinds
        .into_iter()
        .zip(pairs)
        .filter(|(_, (a, b))| a != b)
        .map(|((reason, what), (a, b))| Difference::Rule { reason, what, a, b })
        .collect()
}

/// The ranks of one direction of one evaluation, checked.
struct Ranked<'a> {
    direction: Direction,
    n_gallery: u64,
    recall_at: Vec<u64>,
    rows: Vec<&'a RankRow>,
    place: HashMap<&'a str, usize>,
}

impl<'a> Ranked<'a> {
    /// `None` when the evaluation has no such direction.
    fn new(side: &'a Side, direction: Direction) -> Result<Option<Self>, DiffError> {
        let Some(record) = side.record(direction) else {
            return Ok(None);
        };
        let n_gallery = record
            .n_gallery
            .ok_or_else(|| side.wrong(format!("no size of the gallery of {direction}")))?;
        let rows: Vec<&RankRow> = side
            .ranks
            .iter()
            .filter(|row| row.direction == direction)
            .collect();
        if rows.len() as u64 != record.n_queries || rows.is_empty() {
            return Err(side.wrong(format!(
                "{} queries of {direction} instead of {}",
                rows.len(),
                record.n_queries
            )));
        }
        let mut place = HashMap::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            let possible = 1 <= row.own_equal
                && row.own_equal <= row.equal
                && row.greater.saturating_add(row.equal) <= n_gallery;
            if !possible {
                return Err(side.wrong(format!(
                    "query `{}` of {direction} has {} items above, {} level and {} own of {}",
                    row.query_id, row.greater, row.equal, row.own_equal, n_gallery
                )));
            }
            if place.insert(row.query_id.as_str(), at).is_some() {
                return Err(side.wrong(format!("query `{}` of {direction} is there twice", row.query_id)));
            }
        }
        Ok(Some(Self {
            direction,
            n_gallery,
            recall_at: record.r_at.keys().copied().collect(),
            rows,
            place,
        }))
    }

    fn without(&self, other: &Self) -> Vec<String> {
        let rows = self.rows.iter().map(|row| &row.query_id);
        rows.filter(|id| !other.place.contains_key(id.as_str()))
            .cloned()
            .collect()
    }
}

fn unlike_queries(a: &Ranked<'_>, b: &Ranked<'_>) -> Vec<Difference> {
    let direction = a.direction;
    let mut found = Vec::new();
    if a.n_gallery != b.n_gallery {
        found.push(Difference::Gallery {
            direction,
            a: a.n_gallery,
            b: b.n_gallery,
        });
    }
    for (side, ids) in [("A", a.without(b)), ("B", b.without(a))] {
        if !ids.is_empty() {
            found.push(Difference::Queries { direction, side, ids });
        }
    }
    // In v2t the best of several captions may be another one.
    if direction == Direction::T2v {
        let elsewhere = a.rows.iter().filter(|row| {
            let other = b.place.get(row.query_id.as_str()).map(|&at| b.rows[at]);
            other.is_some_and(|other| other.true_id != row.true_id)
        });
        let ids: Vec<String> = elsewhere.map(|row| row.query_id.clone()).collect();
        if !ids.is_empty() {
            found.push(Difference::TrueItems { ids });
        }
    }
    found
}

fn joined(a: &Ranked<'_>, b: &Ranked<'_>) -> PairedDirection {
    let count = |row: &RankRow| RankCount {
        greater: row.greater,
        equal: row.equal,
        own_equal: row.own_equal,
        score: row.score,
    };
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let (mut queries, mut clusters) = (Vec::with_capacity(a.rows.len()), Vec::with_capacity(a.rows.len()));
    for row in &a.rows {
        let other = b.rows[b.place[row.query_id.as_str()]];
        queries.push(PairedQuery {
            query_id: row.query_id.clone(),
            true_id_a: row.true_id.clone(),
            true_id_b: other.true_id.clone(),
            a: count(row),
            b: count(other),
        });
        let video = match a.direction {
            Direction::T2v => &row.true_id,
            Direction::V2t => &row.query_id,
        };
        let next = numbers.len() as u32;
        clusters.push(*numbers.entry(video).or_insert(next));
    }
    let of_b: HashSet<u64> = b.recall_at.iter().copied().collect();
    PairedDirection {
        direction: a.direction,
        n_gallery: a.n_gallery,
        recall_at: a.recall_at.iter().copied().filter(|k| of_b.contains(k)).collect(),
        queries,
        clusters,
    }
}
