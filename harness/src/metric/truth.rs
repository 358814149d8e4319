//! Ranks when duplicates count as true items: how much a test set's false negatives could cost.
//!
//! A caption that several videos share describes all of them, and a video describes its near-duplicates as well as
//! itself; a benchmark with one true item a query counts them as misses. Here they are true items. What comes out
//! is an upper view of that cost, not a protocol: captions that differ can describe both videos too, and
//! near-duplicates need not be equal to the eye.

use std::collections::BTreeMap;

use hitbench_kernels::{RankCount, RankCounts, RankJob, Rows, TrueItems};
use rayon::prelude::*;

use super::summary::median;
use super::{Groups, MetricError, Pairing, Rules};

/// Most pairs of a caption and a true video: their lists take 4 bytes a pair in each direction.
pub const MAX_TRUE_PAIRS: u64 = 1 << 24;
/// Rows that one task adds to the counts of all columns.
const TASK_ROWS: usize = 64;

/// Which videos are true items of which captions, duplicates included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The list in `videos` of each caption that takes part.
    list_of: Vec<u32>,
    /// Lists of videos, ascending, never empty; captions of one group share theirs.
    videos: Vec<Vec<u32>>,
}

impl Truth {
    /// Caption `c` has as true items the videos of all captions in its group, and all videos in their groups.
    ///
    /// `texts` groups the captions that take part, by their place among [`Pairing::kept_captions`]; `videos`
    /// groups all videos.
    ///
    /// # Errors
    /// The number of true pairs, where there are more than [`MAX_TRUE_PAIRS`].
    ///
    /// # Panics
    /// When the groups are not of the pairing's captions and videos.
    pub fn new(pairing: &Pairing, texts: &Groups, videos: &Groups) -> Result<Self, u64> {
        let kept = pairing.kept_captions();
        assert_eq!(
            (texts.n_items(), videos.n_items()),
            (kept.len(), pairing.n_videos()),
            "groups of these captions and videos"
        );
        let (members, video_firsts) = (videos.members(), videos.firsts());
        let mut list_of = vec![0; kept.len()];
        let mut groups = Vec::new();
        let mut n_pairs = 0u64;
        for captions in texts.members().into_iter().filter(|group| !group.is_empty()) {
            let of = |&place: &u32| video_firsts[pairing.video_of(kept[place as usize]) as usize];
            let mut firsts: Vec<u32> = captions.iter().map(of).collect();
            firsts.sort_unstable();
            firsts.dedup();
            let n_true: usize = firsts.iter().map(|&first| members[first as usize].len()).sum();
            n_pairs += (captions.len() * n_true) as u64;
            for place in captions {
                list_of[place as usize] = groups.len() as u32;
            }
            groups.push(firsts);
        }
        if n_pairs > MAX_TRUE_PAIRS {
            return Err(n_pairs);
        }
        let videos = groups.into_iter().map(|firsts| {
            let together = firsts.into_iter().flat_map(|first| &members[first as usize]);
            let mut list: Vec<u32> = together.copied().collect();
            list.sort_unstable();
            list
        });
        Ok(Self {
            list_of,
            videos: videos.collect(),
        })
    }

    /// The true videos of the caption at `place` among those that take part.
    fn of(&self, place: usize) -> &[u32] {
        &self.videos[self.list_of[place] as usize]
    }

    /// The true captions of every video, by place among those that take part, ascending.
    fn by_video(&self, n_videos: usize) -> Vec<Vec<u32>> {
        let mut captions = vec![Vec::new(); n_videos];
        for (place, &list) in (0u32..).zip(&self.list_of) {
            for &video in &self.videos[list as usize] {
                captions[video as usize].push(place);
            }
        }
        captions
    }

    /// Counts both directions of a stored matrix `[n_captions, n_videos]`, `v2t` against all captions. Scores are
    /// compared in f64, which holds each of them exactly; nothing of the matrix's size is allocated.
    ///
    /// # Panics
    /// When the matrix is not of the pairing's shape.
    pub fn count_matrix(&self, scores: Rows<'_>, pairing: &Pairing) -> Retold {
        let (kept, n_videos) = (pairing.kept_captions(), pairing.n_videos());
        assert_eq!([scores.n_rows(), scores.dim()], [pairing.n_captions(), n_videos]);
        let t2v = kept.par_iter().enumerate().map(|(place, &row)| {
            let score = |video: usize| scores.get(row as usize, video);
            let own = self.of(place).iter().map(|&video| score(video as usize));
            against(own, (0..n_videos).map(score))
        });
        let t2v = t2v.collect();
        let captions = self.by_video(n_videos);
        let at = |video: usize, place: u32| scores.get(kept[place as usize] as usize, video);
        let mut v2t: Vec<RankCount> = (captions.iter().enumerate())
            .map(|(video, own)| against(own.iter().map(|&place| at(video, place)), []))
            .collect();
        let best: Vec<f64> = v2t.iter().map(|count| count.score).collect();
        let zeros = || vec![[0u64; 2]; n_videos];
        let sums = kept
            .par_chunks(TASK_ROWS)
            .fold(zeros, |mut sums, rows| {
                for &row in rows {
                    for (video, ([greater, equal], best)) in sums.iter_mut().zip(&best).enumerate() {
                        let score = scores.get(row as usize, video);
                        *greater += u64::from(score > *best);
                        *equal += u64::from(score == *best);
                    }
                }
                sums
            })
            .reduce(zeros, |mut sums, more| {
                for (sum, more) in sums.iter_mut().zip(more) {
                    *sum = [sum[0] + more[0], sum[1] + more[1]];
                }
                sums
            });
        for (count, [greater, equal]) in v2t.iter_mut().zip(sums) {
            (count.greater, count.equal) = (greater, equal);
        }
        self.retold(pairing, t2v, &v2t)
    }

    /// Counts both directions of embeddings, `v2t` against all captions: `text [n_captions, dim]`, of which masked rows
    /// are not read, and `video [n_videos, dim]`.
    ///
    /// # Errors
    /// [`MetricError::Kernel`] when the kernel refuses the rows.
    pub fn count_embeddings(
        &self,
        text: Rows<'_>,
        video: Rows<'_>,
        pairing: &Pairing,
        kernel: &dyn RankCounts,
    ) -> Result<Retold, MetricError> {
        let kept = pairing.kept_captions();
        let lists = (0..kept.len()).map(|place| self.of(place).iter().copied());
        let t2v = TrueItems::from_lists(video.n_rows(), lists)?;
        let mut captions = self.by_video(video.n_rows());
        // A video without true captions asks nothing. The job wants some of it, and its count is dropped below.
        for list in captions.iter_mut().filter(|list| list.is_empty()) {
            list.push(0);
        }
        let v2t = TrueItems::from_lists(kept.len(), captions)?;
        let counted = kernel.rank_counts(&RankJob {
            chosen: Some(&kept),
            v2t: Some(&v2t),
            ..RankJob::new(text, video, &t2v)
        })?;
        Ok(self.retold(pairing, counted.t2v, &counted.v2t.unwrap_or_default()))
    }

    /// From counts of all captions that take part and of all videos to those of the queries.
    fn retold(&self, pairing: &Pairing, t2v: Vec<RankCount>, v2t: &[RankCount]) -> Retold {
        let given = pairing.captions_by_video();
        let mut n_true = vec![0; pairing.n_videos()];
        for &list in &self.list_of {
            for &video in &self.videos[list as usize] {
                n_true[video as usize] += 1;
            }
        }
        let asking = pairing.videos_with_captions();
        let asking = asking.iter().map(|&video| video as usize);
        Retold {
            t2v: RetoldCounts::new(
                (0..)
                    .zip(t2v)
                    .map(|(place, count)| (count, self.of(place).len() > 1)),
            ),
            v2t: RetoldCounts::new(asking.map(|video| (v2t[video], n_true[video] > given[video].len()))),
        }
    }
}

/// Counts of the scores `all` against the best of the scores `own`.
fn against(own: impl Iterator<Item = f64> + Clone, all: impl IntoIterator<Item = f64>) -> RankCount {
    let best = own.clone().fold(f64::NEG_INFINITY, f64::max);
    let mut count = RankCount {
        greater: 0,
        equal: 0,
        own_equal: own.filter(|&score| score == best).count() as u64,
        score: best,
    };
    for score in all {
        count.greater += u64::from(score > best);
        count.equal += u64::from(score == best);
    }
    count
}

/// Counts of both directions with duplicates as true items.
#[derive(Debug, Clone, PartialEq)]
pub struct Retold {
    /// Text to video, one count a caption that takes part.
    pub t2v: RetoldCounts,
    /// Video to text, one count a video with captions.
    pub v2t: RetoldCounts,
}

/// Counts of one direction with duplicates as true items.
///
/// True items of a query that got more of them are one item where they tie with each other: the rules `average`
/// and `clip4clip`, which count a query's own ties against it, would hide just what is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct RetoldCounts {
    /// One count a query.
    pub counts: Vec<RankCount>,
    /// Queries that got more true items.
    pub n_with_more: u64,
}

impl RetoldCounts {
    fn new(counts: impl Iterator<Item = (RankCount, bool)>) -> Self {
        let mut n_with_more = 0;
        let counts = counts.map(|(count, more)| {
            n_with_more += u64::from(more);
            if more {
                RankCount {
                    equal: count.equal - count.own_equal + 1,
                    own_equal: 1,
                    ..count
                }
            } else {
                count
            }
        });
        Self {
            counts: counts.collect(),
            n_with_more,
        }
    }

    /// R@K by K, in `[0, 1]`, and the median rank, as [`summarize`](super::summarize) defines them.
    ///
    /// # Panics
    /// Without queries.
    pub fn sum_up(&self, rules: &Rules) -> (BTreeMap<u64, f64>, f64) {
        let ties = rules.ties;
        let denominator: u64 = self.counts.iter().map(|count| ties.weight(count)).sum();
        let r_at = |&k: &u64| {
            let hits: f64 = self.counts.iter().map(|count| ties.hits(count, k)).sum();
            (k, hits / denominator as f64)
        };
        let mut ranks: Vec<f64> = self.counts.iter().flat_map(|count| ties.ranks(count)).collect();
        (
            rules.recall_at.iter().map(r_at).collect(),
            median(&mut ranks, rules.median),
        )
    }
}

#[cfg(test)]
mod tests;
