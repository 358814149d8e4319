//! `rank_counts`: counts that no scores within the tolerance give.

use super::pairs::{Pair, each_pair, norm};
use super::{Deviation, check_sample, wider};
use crate::rank::{RankCount, RankJob, RankOutput, TrueItems};
use crate::reference::{dot, widened};
use crate::scores::check_len;
use crate::tolerance::score_bound;
use crate::{KernelError, KernelId, Rows};

/// Judges the counts of the sampled queries of each direction.
///
/// A count must be one that scores within [`score_bound`] of the exact ones give, held against the score that the
/// kernel reports; the error of a query's three counts is their distance from such, and may be 0 only. The
/// reported score must itself lie within the bound. Kernels with pure scores must count rows that equal the only
/// true item as equal.
///
/// # Errors
/// As [`RankJob::check_shapes`], [`KernelError::Length`] for an output of another shape, and
/// [`KernelError::Argument`] for a sample outside its rows.
pub fn rank_counts(
    kernel: KernelId,
    job: &RankJob<'_>,
    output: &RankOutput,
    t2v_queries: &[usize],
    v2t_queries: &[usize],
) -> Result<Deviation, KernelError> {
    let judged = judge(kernel, job, output, t2v_queries, v2t_queries)?;
    Ok(judged.deviation)
}

/// How many of the sampled queries of both directions have counts that rounding within the tolerance can change:
/// some other item's exact score lies within the bounds of both from the true item's.
///
/// # Errors
/// As [`rank_counts`].
pub fn could_flip(
    kernel: KernelId,
    job: &RankJob<'_>,
    output: &RankOutput,
    t2v_queries: &[usize],
    v2t_queries: &[usize],
) -> Result<u64, KernelError> {
    let judged = judge(kernel, job, output, t2v_queries, v2t_queries)?;
    Ok(judged.could_flip)
}

pub(in crate::conformance) struct Judged {
    pub(in crate::conformance) deviation: Deviation,
    /// Queries.
    pub(in crate::conformance) could_flip: u64,
}

pub(in crate::conformance) fn judge(
    kernel: KernelId,
    job: &RankJob<'_>,
    output: &RankOutput,
    t2v_queries: &[usize],
    v2t_queries: &[usize],
) -> Result<Judged, KernelError> {
    job.check_shapes()?;
    let mut judged = Judged {
        deviation: Deviation::default(),
        could_flip: 0,
    };
    let t2v = Direction {
        name: "t2v",
        query: job.query,
        gallery: job.gallery,
        own: job.t2v,
        ids: job.ids.map(|ids| (ids.query, ids.gallery)),
        counts: &output.t2v,
    };
    t2v.judge(kernel, t2v_queries, &mut judged)?;
    match (job.v2t, &output.v2t) {
        (Some(own), Some(counts)) => {
            let v2t = Direction {
                name: "v2t",
                query: job.gallery,
                gallery: job.query,
                own,
                ids: job.ids.map(|ids| (ids.gallery, ids.query)),
                counts,
            };
            v2t.judge(kernel, v2t_queries, &mut judged)?;
        }
        (None, None) => check_sample("sample of v2t queries", v2t_queries, 0)?,
        (wanted, found) => {
            let len = |there: bool| if there { job.gallery.n_rows() } else { 0 };
            check_len("v2t counts", len(wanted.is_some()), len(found.is_some()))?;
        }
    }
    Ok(judged)
}

struct Direction<'a> {
    name: &'static str,
    query: Rows<'a>,
    gallery: Rows<'a>,
    own: &'a TrueItems,
    /// Of `query` and of `gallery`.
    ids: Option<(&'a [u64], &'a [u64])>,
    counts: &'a [RankCount],
}

/// What is known of a sampled query.
struct Seen<'a> {
    query: usize,
    found: RankCount,
    own: &'a [u32],
    /// The true item, if there is but one.
    only: Option<Vec<f64>>,
    /// Best exact score of a true item, and the bound of all true items.
    best: f64,
    best_bound: f64,
    /// Items whose score is above the found one, whatever the rounding.
    greater: u64,
    /// Items whose score may be above, equal or below.
    near: u64,
    /// Items whose row is that of the only true item.
    same: u64,
    /// Most true items that may be among the equal ones.
    own_equal: u64,
    could_flip: bool,
}

impl Direction<'_> {
    fn judge(&self, kernel: KernelId, queries: &[usize], judged: &mut Judged) -> Result<(), KernelError> {
        check_len("counts", self.query.n_rows(), self.counts.len())?;
        check_sample("sample of queries", queries, self.query.n_rows())?;
        let mut seen: Vec<Seen<'_>> = queries.iter().map(|&q| self.unseen(kernel, q)).collect();
        each_pair(
            kernel,
            self.query,
            self.gallery,
            queries,
            &mut seen,
            |seen, pair| {
                self.see(kernel, seen, pair);
            },
        );
        for seen in seen {
            judged.could_flip += u64::from(seen.could_flip);
            seen.record(self.name, &mut judged.deviation);
        }
        Ok(())
    }

    fn unseen(&self, kernel: KernelId, q: usize) -> Seen<'_> {
        let own = self.own.of(q);
        let query = widened(self.query, q);
        let dtype = wider(self.query, self.gallery);
        let (mut best, mut best_bound, mut only) = (f64::NEG_INFINITY, 0.0_f64, None);
        for &g in own {
            let row = widened(self.gallery, g as usize);
            best = best.max(dot(&query, &row));
            let bound = score_bound(kernel, dtype, row.len(), norm(&query), norm(&row));
            best_bound = best_bound.max(bound);
            only = (own.len() == 1).then_some(row);
        }
        Seen {
            query: q,
            found: self.counts[q],
            own,
            only,
            best,
            best_bound,
            greater: 0,
            near: 0,
            same: 0,
            own_equal: 0,
            could_flip: false,
        }
    }

    fn see(&self, kernel: KernelId, seen: &mut Seen<'_>, pair: &Pair<'_>) {
        let threshold = seen.found.score;
        let (low, high) = (pair.score - pair.bound, pair.score + pair.bound);
        if u32::try_from(pair.item).is_ok_and(|item| seen.own.binary_search(&item).is_ok()) {
            seen.own_equal += u64::from(low <= threshold && threshold <= high);
            return;
        }
        if self
            .ids
            .is_some_and(|(query, gallery)| query[seen.query] == gallery[pair.item])
        {
            return;
        }
        if kernel.has_pure_scores() && seen.only.as_deref() == Some(pair.row) {
            seen.same += 1;
            return;
        }
        seen.greater += u64::from(low > threshold);
        seen.near += u64::from(low <= threshold && threshold <= high);
        seen.could_flip |= (pair.score - seen.best).abs() <= pair.bound + seen.best_bound;
    }
}

impl Seen<'_> {
    fn record(&self, direction: &str, deviation: &mut Deviation) {
        let RankCount {
            greater,
            equal,
            own_equal,
            score,
        } = self.found;
        let query = self.query;
        // What is counted beyond the certain items must be among the near ones.
        let beyond = |count: u64, certain: u64| i128::from(count) - i128::from(certain);
        let (above, level) = (
            beyond(greater, self.greater),
            beyond(equal, own_equal) - i128::from(self.same),
        );
        let own_off = own_equal.abs_diff(own_equal.clamp(1, self.own_equal.max(1)));
        let spare = above.max(0) + level.max(0) - i128::from(self.near);
        let off = i128::from(own_off) + (-above).max(0) + (-level).max(0) + spare.max(0);
        deviation.record(off as f64, 0.0, || {
            format!(
                "{direction} query {query}: greater {greater}, equal {equal}, own equal {own_equal}; of other items {} \
                 are greater, {} equal, {} near; of the true items 1 to {} are equal",
                self.greater, self.same, self.near, self.own_equal
            )
        });
        deviation.record((score - self.best).abs(), self.best_bound, || {
            format!(
                "{direction} query {query}: score {score:e}, expected {:e}",
                self.best
            )
        });
    }
}
