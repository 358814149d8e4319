//! `rank_counts`: counts that no scores within the tolerance give.

use super::pairs::{Pair, each_pair, norm};
use super::{Deviation, check_sample, wider};
use crate::rank::{self, RankCount, RankJob, RankOutput};
use crate::reference::{dot, widened};
use crate::scores::check_len;
use crate::tolerance::score_bound;
use crate::{KernelError, KernelId};

/// Judges the counts of the sampled queries of each direction, which are places in the output.
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
    let t2v = Judge {
        name: "t2v",
        direction: job.t2v_direction(),
        counts: &output.t2v,
    };
    t2v.judge(kernel, t2v_queries, &mut judged)?;
    match (job.v2t_direction(), &output.v2t) {
        (Some(direction), Some(counts)) => {
            let v2t = Judge {
                name: "v2t",
                direction,
                counts,
            };
            v2t.judge(kernel, v2t_queries, &mut judged)?;
        }
        (None, None) => check_sample("sample of v2t queries", v2t_queries, 0)?,
        (wanted, found) => {
            let len = |there: bool| if there { job.part.len() } else { 0 };
            check_len("v2t counts", len(wanted.is_some()), len(found.is_some()))?;
        }
    }
    Ok(judged)
}

struct Judge<'a> {
    name: &'static str,
    direction: rank::Direction<'a>,
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
    /// Most true items that may be among the equal ones, of the whole gallery and of the part that is counted.
    own_equal: u64,
    own_in_part: u64,
    could_flip: bool,
}

impl Judge<'_> {
    fn judge(&self, kernel: KernelId, queries: &[usize], judged: &mut Judged) -> Result<(), KernelError> {
        let rank::Direction {
            query,
            gallery,
            asking,
            ..
        } = &self.direction;
        check_len("counts", asking.len(), self.counts.len())?;
        check_sample("sample of queries", queries, asking.len())?;
        let items: Vec<usize> = queries.iter().map(|at| asking.start + at).collect();
        let mut seen: Vec<Seen<'_>> = queries.iter().map(|&at| self.unseen(kernel, at)).collect();
        each_pair(kernel, *query, *gallery, &items, &mut seen, |seen, pair| {
            self.see(kernel, seen, pair);
        });
        for seen in seen {
            judged.could_flip += u64::from(seen.could_flip);
            seen.record(self.name, &mut judged.deviation);
        }
        Ok(())
    }

    fn unseen(&self, kernel: KernelId, at: usize) -> Seen<'_> {
        let rank::Direction {
            query,
            gallery,
            asking,
            ..
        } = &self.direction;
        let q = asking.start + at;
        let own = self.direction.own.of(q);
        let row = widened(query.rows, query.row(q));
        let dtype = wider(query.rows, gallery.rows);
        let (mut best, mut best_bound, mut only) = (f64::NEG_INFINITY, 0.0_f64, None);
        for &g in own {
            let item = widened(gallery.rows, gallery.row(g as usize));
            best = best.max(dot(&row, &item));
            let bound = score_bound(kernel, dtype, item.len(), norm(&row), norm(&item));
            best_bound = best_bound.max(bound);
            only = (own.len() == 1).then_some(item);
        }
        Seen {
            query: q,
            found: self.counts[at],
            own,
            only,
            best,
            best_bound,
            greater: 0,
            near: 0,
            same: 0,
            own_equal: 0,
            own_in_part: 0,
            could_flip: false,
        }
    }

    fn see(&self, kernel: KernelId, seen: &mut Seen<'_>, pair: &Pair<'_>) {
        let threshold = seen.found.score;
        let (low, high) = (pair.score - pair.bound, pair.score + pair.bound);
        let in_part = self.direction.counted.contains(&pair.item);
        if u32::try_from(pair.item).is_ok_and(|item| seen.own.binary_search(&item).is_ok()) {
            let near = low <= threshold && threshold <= high;
            seen.own_equal += u64::from(near);
            seen.own_in_part += u64::from(near && in_part);
            return;
        }
        if !in_part || self.direction.same_id(seen.query, pair.item) {
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
        let own_off = own_equal.abs_diff(own_equal.clamp(1, self.own_equal.max(1)));
        // Of the true items that are equal, those elsewhere are not counted; which ones they are is not known.
        let fewest = own_equal.saturating_sub(self.own_equal - self.own_in_part);
        let most = own_equal.min(self.own_in_part).max(fewest);
        let own_counted = equal.saturating_sub(self.same).clamp(fewest, most);
        let (above, level) = (
            beyond(greater, self.greater),
            beyond(equal, own_counted) - i128::from(self.same),
        );
        let spare = above.max(0) + level.max(0) - i128::from(self.near);
        let off = i128::from(own_off) + (-above).max(0) + (-level).max(0) + spare.max(0);
        deviation.record(off as f64, 0.0, || {
            format!(
                "{direction} query {query}: greater {greater}, equal {equal}, own equal {own_equal}; of other items {} \
                 are greater, {} equal, {} near; of the true items 1 to {} are equal, {fewest} to {most} in the part",
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
