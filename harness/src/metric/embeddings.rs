//! Counts of embeddings in both directions, through a `rank_counts` kernel.
//!
//! The videos are counted one range after the other, so that a caller can follow; the counts of ranges add up as
//! those of [`Part`]s do. Nothing but counts and lists of numbers is kept: rows are read where they lie.

use std::ops::Range;

use hitbench_kernels::{KernelError, RankCount, RankCounts, RankJob, Rows, TrueItems};
use rayon::prelude::*;

use super::{CaptionRule, Counts, DirectionCounts, MetricError, Pairing, PartialCounts, own};
use crate::part::Part;

/// What the videos of a step are a multiple of: CPU kernels bring in queries once for as many gallery rows.
const STEP_UNIT: usize = 12_288;
/// Fewest pairs of a step for each thread. A step begins by looking at all queries and their true videos and ends when
/// the slowest thread does: of so many pairs that is less than a hundredth.
const STEP_PAIRS_PER_THREAD: usize = 200_000_000;
/// Most elements of captions that a GPU keeps: 1 GiB of f16, as much as the parts of rows that it holds anyway.
const MOST_HELD: usize = 1 << 29;
/// Videos of a step where captions are maxed over; each thread has lists of as many times the captions of a video.
const MAX_RULE_STEP: usize = 4096;

/// How far counting has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Pairs of caption and video that were scored.
    pub n_done: u64,
    /// Pairs that will have been at the end; where captions are maxed over each pair is scored twice, and so are else
    /// those of videos with several captions.
    pub n_pairs: u64,
}

/// Told of progress: at the start, and after each step.
pub type Observer<'a> = &'a mut dyn FnMut(Progress);

/// Counts both directions of embeddings: `text [n_captions, dim]` against `video [n_videos, dim]`.
///
/// The score of a pair is the dot product of its rows as given, as `kernel` computes it. Masked captions take no part
/// and their rows are not read. `captions` decides `v2t` as [`count_matrix`](super::count_matrix) says.
///
/// # Errors
/// [`MetricError::Length`] when the rows are not the pairing's, [`MetricError::Kernel`] when the kernel refuses them (to
/// it, `text` is the query side and `video` the gallery).
pub fn count_embeddings(
    text: Rows<'_>,
    video: Rows<'_>,
    pairing: &Pairing,
    kernel: &(dyn RankCounts + Sync),
    captions: CaptionRule,
    observe: Observer<'_>,
) -> Result<Counts, MetricError> {
    let whole = count_embeddings_part(text, video, pairing, kernel, captions, Part::WHOLE, observe)?;
    Ok(whole.counts)
}

/// Counts both directions of embeddings over one part of the videos. True rows are read from all of `video`.
///
/// Work shrinks with the part, except that of libtorch kernels, which must see the whole for counts that add up.
///
/// # Errors
/// As [`count_embeddings`], for the rows that the part needs.
pub fn count_embeddings_part(
    text: Rows<'_>,
    video: Rows<'_>,
    pairing: &Pairing,
    kernel: &(dyn RankCounts + Sync),
    captions: CaptionRule,
    part: Part,
    observe: Observer<'_>,
) -> Result<PartialCounts, MetricError> {
    for (what, expected, found) in [
        ("text rows", pairing.n_captions(), text.n_rows()),
        ("video rows", pairing.n_videos(), video.n_rows()),
    ] {
        if expected != found {
            return Err(MetricError::Length {
                what,
                expected,
                found,
            });
        }
    }
    let pass = Pass {
        text,
        video,
        pairing,
        kept: pairing.kept_captions(),
        own: pairing.captions_by_video(),
        kernel,
        captions,
    };
    let step = if kernel.id().has_pure_scores() {
        step_len(pass.kept.len(), rayon::current_num_threads())
    } else {
        // Every step would cost as much as the whole.
        video.n_rows()
    };
    pass.count(part, step, observe)
}

/// Videos of a step.
fn step_len(n_queries: usize, n_threads: usize) -> usize {
    let pairs_of_unit = n_queries.max(1).saturating_mul(STEP_UNIT);
    let fewest_pairs = STEP_PAIRS_PER_THREAD.saturating_mul(n_threads);
    fewest_pairs.div_ceil(pairs_of_unit).saturating_mul(STEP_UNIT)
}

/// `videos` cut into steps, at least one.
fn steps(videos: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    let n_steps = videos.len().div_ceil(len).max(1);
    (0..n_steps).map(move |step| {
        let start = videos.start + step * len;
        start..videos.end.min(start + len)
    })
}

/// What is counted.
struct Pass<'a> {
    text: Rows<'a>,
    video: Rows<'a>,
    pairing: &'a Pairing,
    /// Captions that take part.
    kept: Vec<u32>,
    /// Of each video, those of its captions that take part.
    own: Vec<Vec<u32>>,
    kernel: &'a (dyn RankCounts + Sync),
    captions: CaptionRule,
}

impl Pass<'_> {
    fn count(&self, part: Part, step: usize, observe: Observer<'_>) -> Result<PartialCounts, MetricError> {
        let videos = part.block(self.video.n_rows());
        let passes = match self.captions {
            CaptionRule::MinRank => 1,
            CaptionRule::MaxOverCaptions => 2,
        };
        let n_again = match self.captions {
            CaptionRule::MinRank if self.kernel.id().has_pure_scores() => {
                own::n_several(&self.own, videos.clone())
            }
            CaptionRule::MinRank | CaptionRule::MaxOverCaptions => 0,
        };
        let mut progress = Progress {
            n_done: 0,
            n_pairs: (self.kept.len() as u64) * (passes * videos.len() as u64 + n_again as u64),
        };
        observe(progress);
        let mut done = |n_videos: usize| {
            progress.n_done += (self.kept.len() as u64) * (n_videos as u64);
            observe(progress);
        };
        let (t2v, v2t) = self.count_captions(videos.clone(), step, &mut done)?;
        let v2t = match v2t {
            Some(v2t) => v2t,
            None => self.max_over_captions(&t2v, videos.clone(), step.min(MAX_RULE_STEP), &mut done)?,
        };
        let of_a_query = |(video, count)| (!self.own[video as usize].is_empty()).then_some(count);
        let v2t = (videos.start as u32..).zip(v2t).filter_map(of_a_query).collect();
        let t2v = DirectionCounts::text_to_video(self.pairing, t2v);
        let mut v2t = DirectionCounts::video_to_text(self.pairing, self.captions, &t2v, videos.clone(), v2t);
        let id = self.kernel.id();
        if !v2t.one_true_item && id.has_pure_scores() {
            let (rows, counts) = ((self.text, self.video), (&t2v, &v2t.counts[..]));
            v2t.own = Some(own::of_embeddings(
                rows,
                self.pairing,
                counts,
                id,
                videos,
                &mut done,
            )?);
        }
        Ok(PartialCounts {
            part,
            counts: Counts { t2v, v2t },
        })
    }

    /// Every caption over `videos`; and, unless captions are maxed over, each of these videos, those without captions
    /// included, over all captions.
    fn count_captions(
        &self,
        videos: Range<usize>,
        step: usize,
        done: &mut dyn FnMut(usize),
    ) -> Result<(Vec<RankCount>, Option<Vec<RankCount>>), MetricError> {
        let own_videos = self.kept.iter().map(|&caption| [self.pairing.video_of(caption)]);
        let t2v_items = TrueItems::from_lists(self.video.n_rows(), own_videos)?;
        let v2t_items = match self.captions {
            CaptionRule::MinRank => Some(self.own_places()?),
            CaptionRule::MaxOverCaptions => None,
        };
        let all_kept = self.kept.len() == self.text.n_rows();
        // A GPU keeps captions from step to step that take little of its memory; others come anew with each.
        let is_small = self.text.n_rows() * self.text.dim() <= MOST_HELD;
        let _held = match all_kept && is_small && videos.len() > step {
            true => self.kernel.hold(self.text).ok(),
            false => None,
        };
        let mut t2v: Vec<RankCount> = Vec::new();
        let mut v2t = v2t_items.as_ref().map(|_| Vec::with_capacity(videos.len()));
        for part in steps(videos, step) {
            let n_videos = part.len();
            let counted = self.kernel.rank_counts(&RankJob {
                chosen: (!all_kept).then_some(&self.kept[..]),
                part,
                v2t: v2t_items.as_ref(),
                ..RankJob::new(self.text, self.video, &t2v_items)
            })?;
            if t2v.is_empty() {
                t2v = counted.t2v;
            } else {
                for (sum, count) in t2v.iter_mut().zip(&counted.t2v) {
                    sum.greater += count.greater;
                    sum.equal += count.equal;
                }
            }
            if let (Some(v2t), Some(counted)) = (&mut v2t, counted.v2t) {
                v2t.extend(counted);
            }
            done(n_videos);
        }
        Ok((t2v, v2t))
    }

    /// The places of each video's captions among those kept. A video without captions, which asks nothing, gets the
    /// first of all, and its counts are dropped.
    fn own_places(&self) -> Result<TrueItems, KernelError> {
        let mut places: Vec<u32> = vec![0; self.text.n_rows()];
        for (place, &caption) in (0u32..).zip(&self.kept) {
            places[caption as usize] = place;
        }
        let places = &places;
        let lists = self.own.iter().map(|own| {
            let first = own.is_empty().then_some(0);
            let own = own.iter().map(move |&caption| places[caption as usize]);
            first.into_iter().chain(own)
        });
        TrueItems::from_lists(self.kept.len(), lists)
    }

    /// Each of `videos` over all videos that have captions, each of which scores by its best caption; `t2v` has the
    /// score of each caption with its own video. What stands for videos without captions means nothing.
    fn max_over_captions(
        &self,
        t2v: &[RankCount],
        videos: Range<usize>,
        step: usize,
        done: &mut dyn FnMut(usize),
    ) -> Result<Vec<RankCount>, MetricError> {
        let mut best = vec![f64::NEG_INFINITY; self.video.n_rows()];
        for (&caption, count) in self.kept.iter().zip(t2v) {
            let best = &mut best[self.pairing.video_of(caption) as usize];
            *best = best.max(count.score);
        }
        let mut counts = Vec::with_capacity(videos.len());
        for step in steps(videos, step) {
            let best = &best[step.clone()];
            let above_and_level = self.over_groups(best, self.video.slice(step))?;
            counts.extend(
                above_and_level
                    .iter()
                    .zip(best)
                    .map(|(&(greater, equal), &score)| RankCount {
                        greater,
                        equal,
                        own_equal: 1,
                        score,
                    }),
            );
            done(best.len());
        }
        Ok(counts)
    }

    /// For each row of `videos`, how many videos have a best caption that scores above `best`, and how many one that
    /// scores exactly that.
    ///
    /// The captions of one video at a time are the queries of a job of their own and all of them true, so that the
    /// score of each count is the largest over them.
    fn over_groups(&self, best: &[f64], videos: Rows<'_>) -> Result<Vec<(u64, u64)>, MetricError> {
        let n_videos = videos.n_rows();
        if n_videos == 0 {
            return Ok(Vec::new());
        }
        let zeros = || vec![(0, 0); n_videos];
        let groups = self.own.par_iter().filter(|captions| !captions.is_empty());
        groups
            .try_fold(zeros, |mut counts, captions| {
                let all = || 0..captions.len() as u32;
                let v2t = TrueItems::from_lists(captions.len(), (0..n_videos).map(|_| all()))?;
                // Counts of this direction are not used: any true item will do.
                let t2v = TrueItems::from_lists(n_videos, captions.iter().map(|_| [0]))?;
                let scores = self.kernel.rank_counts(&RankJob {
                    chosen: Some(captions),
                    v2t: Some(&v2t),
                    ..RankJob::new(self.text, videos, &t2v)
                })?;
                let scores = scores.v2t.unwrap_or_default();
                for ((greater, equal), (scores, best)) in counts.iter_mut().zip(scores.iter().zip(best)) {
                    *greater += u64::from(scores.score > *best);
                    *equal += u64::from(scores.score == *best);
                }
                Ok(counts)
            })
            .try_reduce(zeros, |mut counts, more| {
                for (sum, more) in counts.iter_mut().zip(more) {
                    *sum = (sum.0 + more.0, sum.1 + more.1);
                }
                Ok(counts)
            })
    }
}

#[cfg(test)]
mod tests;
