//! Counts of every true item, for queries that have several.
//!
//! A [`RankCount`] places a query's best true item only. True recall, nDCG and mean average precision need the places
//! of all, which follow from one count at each score that a true item has. Every gallery score is held against each of
//! them, a few captions at a time: nothing of the size of the score matrix is allocated, and no row is sorted. That
//! is as many comparisons as there are pairs of captions; with 20 captions a video it takes less than half the time of
//! searching the sorted scores of the true items for each score.
//!
//! Only `v2t` has several true items a query, the captions of a video. What they are good for is in
//! [`relevance`](super::relevance).

use std::cmp::Ordering;
use std::ops::Range;

use hitbench_kernels::{KernelId, RankCount, Rows, scores_kernel};
use rayon::prelude::*;

use super::chosen::ChosenRows;
use super::{DirectionCounts, MetricError, Pairing};

/// Videos that one task counts for.
const TASK_VIDEOS: usize = 32;
/// Videos of one block of scores, a multiple of [`TASK_VIDEOS`].
const BLOCK_VIDEOS: usize = 512;
/// Captions of one block of scores: with [`BLOCK_VIDEOS`] it takes 4 MiB, 6 while it is widened.
const BLOCK_CAPTIONS: usize = 1024;

/// The true items of a query that have one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnGroup {
    /// Gallery items that score above them, true ones included.
    pub greater: u64,
    /// Gallery items that score exactly as they do, themselves included.
    pub equal: u64,
    /// How many true items they are.
    pub own_equal: u64,
}

impl From<&RankCount> for OwnGroup {
    fn from(count: &RankCount) -> Self {
        Self {
            greater: count.greater,
            equal: count.equal,
            own_equal: count.own_equal,
        }
    }
}

/// All true items of each query of a direction, those of one score together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnCounts {
    /// Where the groups of each query end.
    ends: Vec<usize>,
    groups: Vec<OwnGroup>,
}

impl OwnCounts {
    /// Number of queries.
    pub fn n_queries(&self) -> usize {
        self.ends.len()
    }

    /// The groups of a query, best first.
    ///
    /// # Panics
    /// When there is no such query.
    pub fn of(&self, query: usize) -> &[OwnGroup] {
        let start = if query == 0 { 0 } else { self.ends[query - 1] };
        &self.groups[start..self.ends[query]]
    }

    /// Adds the queries of `next` behind all others.
    pub fn append(&mut self, next: &Self) {
        let n_before = self.groups.len();
        self.groups.extend_from_slice(&next.groups);
        self.ends.extend(next.ends.iter().map(|end| n_before + end));
    }

    /// Adds a query behind all others, its groups best first.
    pub fn push(&mut self, groups: impl IntoIterator<Item = OwnGroup>) {
        self.groups.extend(groups);
        self.ends.push(self.groups.len());
    }
}

/// Counts the captions of those of the videos `videos` that have several, from a stored matrix: `score` is that of a
/// caption and a video, widened to `f64`. `counts` are the `v2t` counts of those of `videos` that have captions.
///
/// One query for each count: where a video has one caption, its count says everything. All captions are the gallery
/// of each video, so that the counts of parts of the videos, one behind the other, are those of all. Every score of
/// a caption that takes part must be finite.
pub(super) fn of_matrix(
    score: impl Fn(u32, u32) -> f64 + Sync,
    pairing: &Pairing,
    counts: &[RankCount],
    videos: Range<usize>,
) -> OwnCounts {
    let asking = Asking::new(pairing, videos);
    let mut own = asking.own_scores(&score);
    for block in pairing.kept_captions().chunks(BLOCK_CAPTIONS) {
        add_block(&mut own, block.len(), |row, place| {
            score(block[row], asking.several[place])
        });
    }
    asking.counts(counts, &own)
}

/// How many of the videos `videos` have several captions; `own` are those of each video.
pub(super) fn n_several(own: &[Vec<u32>], videos: Range<usize>) -> usize {
    own[videos].iter().filter(|own| own.len() > 1).count()
}

/// The same from embeddings: `text` has the rows of all captions, of which masked ones are not read, `video` those of
/// all videos, and `t2v` the score of each caption with its video, as the kernel `id` computed it, which must be one
/// with pure scores: others might place a true item above itself.
///
/// Calls `done` with the number of videos with several captions that it has counted for since the last call.
///
/// # Errors
/// [`MetricError::Kernel`] when the kernel refuses the rows.
pub(super) fn of_embeddings(
    (text, video): (Rows<'_>, Rows<'_>),
    pairing: &Pairing,
    (t2v, counts): (&DirectionCounts, &[RankCount]),
    id: KernelId,
    videos: Range<usize>,
    done: &mut dyn FnMut(usize),
) -> Result<OwnCounts, MetricError> {
    let kernel = scores_kernel(&id.to_string())?;
    let mut own_scores = vec![f64::NAN; pairing.n_captions()];
    for (&caption, count) in t2v.queries.iter().zip(&t2v.counts) {
        own_scores[caption as usize] = count.score;
    }
    let asking = Asking::new(pairing, videos);
    let mut own = asking.own_scores(|caption, _| own_scores[caption as usize]);
    let mut scores = vec![0.0; BLOCK_CAPTIONS.min(t2v.queries.len()) * BLOCK_VIDEOS.min(own.len())];
    for (several, own) in asking
        .several
        .chunks(BLOCK_VIDEOS)
        .zip(own.chunks_mut(BLOCK_VIDEOS))
    {
        let n_videos = several.len();
        let videos = ChosenRows::new(video, several);
        for captions in t2v.queries.chunks(BLOCK_CAPTIONS) {
            let text = ChosenRows::new(text, captions);
            let scores = &mut scores[..captions.len() * n_videos];
            kernel.wide_scores(text.rows()?, videos.rows()?, scores)?;
            add_block(own, captions.len(), |row, place| scores[row * n_videos + place]);
        }
        done(n_videos);
    }
    Ok(asking.counts(counts, &own))
}

/// Adds the scores of `n_rows` captions: `score` is that of one of them with the video whose place in `own` it is
/// given.
fn add_block(own: &mut [OwnScores], n_rows: usize, score: impl Fn(usize, usize) -> f64 + Sync) {
    let tasks = own.par_chunks_mut(TASK_VIDEOS).enumerate();
    tasks.for_each(|(task, own)| {
        let mut scores = Vec::with_capacity(n_rows);
        for (place, own) in (task * TASK_VIDEOS..).zip(own) {
            scores.clear();
            scores.extend((0..n_rows).map(|row| score(row, place)));
            own.add(&scores);
        }
    });
}

/// The videos of a range that ask.
struct Asking {
    /// Those with captions: how many each has.
    n_own: Vec<usize>,
    /// Those with several captions.
    several: Vec<u32>,
    /// The captions of these.
    own: Vec<Vec<u32>>,
}

impl Asking {
    fn new(pairing: &Pairing, videos: Range<usize>) -> Self {
        let mut lists = pairing.captions_by_video();
        let mut asking = Self {
            n_own: Vec::new(),
            several: Vec::new(),
            own: Vec::new(),
        };
        for video in videos {
            let own = std::mem::take(&mut lists[video]);
            if !own.is_empty() {
                asking.n_own.push(own.len());
            }
            if own.len() > 1 {
                asking.several.push(video as u32);
                asking.own.push(own);
            }
        }
        asking
    }

    /// The scores of the captions of each video that has several; `score` is that of a caption and its video.
    fn own_scores(&self, score: impl Fn(u32, u32) -> f64) -> Vec<OwnScores> {
        let pairs = self.several.iter().zip(&self.own);
        pairs
            .map(|(&video, own)| OwnScores::new(own.iter().map(|&caption| score(caption, video)).collect()))
            .collect()
    }

    /// The counts of every video that asks, from those of its only caption or of all.
    fn counts(&self, counts: &[RankCount], own: &[OwnScores]) -> OwnCounts {
        let mut all = OwnCounts::default();
        let mut of_several = own.iter();
        for (&n_own, count) in self.n_own.iter().zip(counts) {
            match (n_own > 1).then(|| of_several.next()).flatten() {
                Some(own) => all.push(own.groups()),
                None => all.push([OwnGroup::from(count)]),
            }
        }
        all
    }
}

/// The scores of one query's true items, and the gallery items above and at them so far.
struct OwnScores {
    groups: Vec<(f64, OwnGroup)>,
}

impl OwnScores {
    /// Takes the finite scores of the true items, in any order.
    fn new(mut scores: Vec<f64>) -> Self {
        // Not `total_cmp`: zeros of either sign are one score.
        scores.sort_unstable_by(|a, b| b.partial_cmp(a).unwrap_or(Ordering::Equal));
        let groups = scores.chunk_by(|a, b| a == b).map(|alike| {
            let group = OwnGroup {
                greater: 0,
                equal: 0,
                own_equal: alike.len() as u64,
            };
            (alike[0], group)
        });
        Self {
            groups: groups.collect(),
        }
    }

    /// Counts some scores of the gallery, fewer than 2^32.
    fn add(&mut self, scores: &[f64]) {
        for (own, group) in &mut self.groups {
            let (mut greater, mut at_least) = (0_u32, 0_u32);
            for score in scores {
                greater += u32::from(*score > *own);
                at_least += u32::from(*score >= *own);
            }
            group.greater += u64::from(greater);
            group.equal += u64::from(at_least - greater);
        }
    }

    /// The groups of the true items, best first.
    fn groups(&self) -> impl Iterator<Item = OwnGroup> {
        self.groups.iter().map(|&(_, group)| group)
    }
}

#[cfg(test)]
mod tests;
