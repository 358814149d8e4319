//! What InfoNCE terms are made of: the rows that meet, and which of them are negatives.
//!
//! A term is InfoNCE in the form of MoCo (arXiv 1911.05722, equation 1), for one query side against one key side:
//! `L = mean_i -log( exp(q_i.k_i / T) / (exp(q_i.k_i / T) + sum_n exp(q_i.n / T)) )`, where the negatives
//! `n` are queue entries, other pairs' keys, or both, less those that a mask removes. How a term is computed is
//! the matter of [`crate::step_kernels`].

use std::collections::HashMap;

use hitbench_kernels::ContrastIds;
use tch::Tensor;

/// How often entries of the queue are of the query's own video, before any mask; nothing without a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SameVideo {
    /// Real queue entries over all queries.
    pub candidates: u64,
    /// Those of the query's own video.
    pub same: u64,
    /// Queries with at least one such entry.
    pub queries: u64,
}

/// What counts as a negative in a step; the same for every term, since rows of all levels and both
/// modalities belong to the same videos.
#[derive(Debug, Clone, Copy)]
pub struct Negatives<'a> {
    video_ids: &'a [i64],
    queue_ids: &'a [i64],
    in_batch: bool,
    /// Negatives that are removed, over all queries.
    removed: u64,
    kept: u64,
    same_video: SameVideo,
}

/// What of the queue [`Negatives`] must know.
#[derive(Debug, Clone, Copy)]
pub struct QueueIds<'a> {
    /// Video of each entry `[queue_len]`, `-1` for the random entries of the beginning.
    pub ids: &'a [i64],
    /// How many entries each video has.
    pub counts: &'a HashMap<i64, u64>,
    /// Entries that are real keys.
    pub n_filled: u64,
}

impl<'a> Negatives<'a> {
    /// Decides the negatives of a batch.
    ///
    /// `video_ids [batch]`, none negative. Without a queue, other pairs' keys are the negatives. With
    /// `mask_same_video`, candidates of a query's own video are none.
    pub fn new(
        video_ids: &'a [i64],
        queue: Option<QueueIds<'a>>,
        in_batch_negatives: bool,
        mask_same_video: bool,
    ) -> Self {
        let n = video_ids.len() as u64;
        let in_batch = in_batch_negatives || queue.is_none();
        let mut in_batch_counts = HashMap::new();
        for id in video_ids {
            *in_batch_counts.entry(*id).or_insert(0_u64) += 1;
        }
        let mut same_video = SameVideo::default();
        let mut same_in_batch = 0;
        for id in video_ids {
            same_in_batch += if in_batch { in_batch_counts[id] - 1 } else { 0 };
            let in_queue = queue.and_then(|queue| queue.counts.get(id).copied()).unwrap_or(0);
            same_video.same += in_queue;
            same_video.queries += u64::from(in_queue > 0);
        }
        let n_other = if in_batch { n * n.saturating_sub(1) } else { 0 };
        same_video.candidates = queue.map_or(0, |queue| n * queue.n_filled);
        let removed = if mask_same_video {
            same_in_batch + same_video.same
        } else {
            0
        };
        let queue_ids = queue.map_or(&[][..], |queue| queue.ids);
        Self {
            video_ids,
            queue_ids,
            in_batch,
            removed,
            kept: n_other + n * queue_ids.len() as u64 - removed,
            same_video,
        }
    }

    /// Whether other pairs' keys are negatives.
    pub fn in_batch(&self) -> bool {
        self.in_batch
    }

    /// Ids by which negatives are removed; none where that would remove nothing.
    pub fn ids(&self) -> Option<ContrastIds<'a>> {
        (self.removed > 0).then_some(ContrastIds {
            batch: self.video_ids,
            queue: self.queue_ids,
        })
    }

    /// Negatives left over all queries.
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// How often entries of the queue are of the query's own video.
    pub fn same_video(&self) -> SameVideo {
        self.same_video
    }
}

/// The rows that meet in one term: unit rows, those of `query` and `keys` belonging to each other row by row.
#[derive(Debug, Clone, Copy)]
pub struct TermRows<'a> {
    /// `[batch, dim]`, `f32`, with its graph.
    pub query: &'a Tensor,
    /// `[batch, dim]`, `f32`; gradients flow here too where it carries a graph.
    pub keys: &'a Tensor,
    /// `[queue_len, dim]` in the storage type of the queue.
    pub bank: Option<&'a Tensor>,
}

/// One InfoNCE term of a batch.
#[derive(Debug)]
pub struct Term {
    /// Mean loss, a scalar with its graph.
    pub loss: Tensor,
    /// Without graph, `[4]`, `f32`: loss; share of queries whose positive scores above every negative; mean
    /// cosine of the positives; mean cosine of the negatives (0 when there are none).
    pub summary: Tensor,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_video_rate_counts_real_entries_of_the_queue_only() {
        let ids = [-1, 3, 8, 8];
        let counts = HashMap::from([(3, 1), (8, 2)]);
        let queue = QueueIds {
            ids: &ids,
            counts: &counts,
            n_filled: 3,
        };
        // In the batch are two pairs of video 3, which count among the negatives but not among those of the queue.
        for (in_batch, mask, kept) in [
            (false, false, 16),
            (true, false, 28),
            (false, true, 12),
            (true, true, 22),
        ] {
            let negatives = Negatives::new(&[8, 3, 1, 3], Some(queue), in_batch, mask);
            let expected = SameVideo {
                candidates: 12,
                same: 4,
                queries: 3,
            };
            assert_eq!(negatives.same_video(), expected, "{in_batch} {mask}");
            assert_eq!(negatives.kept(), kept, "{in_batch} {mask}");
        }
    }

    #[test]
    fn ids_are_named_only_where_they_remove_something() {
        let ids = [-1, 3];
        let counts = HashMap::from([(3, 1)]);
        let queue = QueueIds {
            ids: &ids,
            counts: &counts,
            n_filled: 1,
        };
        // Batch, whether its keys are negatives too, with a mask, whether something is removed.
        for (batch, in_batch, mask, removes) in [
            ([3, 1], false, true, true),
            ([3, 1], false, false, false),
            ([2, 1], true, true, false),
            ([2, 2], true, true, true),
            ([2, 2], false, true, false),
        ] {
            let negatives = Negatives::new(&batch, Some(queue), in_batch, mask);
            assert_eq!(negatives.ids().is_some(), removes, "{batch:?} {in_batch} {mask}");
        }
    }
}
