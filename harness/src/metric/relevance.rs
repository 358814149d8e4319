//! From the counts of all true items of one query to its true recall, nDCG and average precision, under every tie
//! rule.
//!
//! A group is the true items of one score, see [`OwnGroup`]: `o` of the `e` items on the positions `g + 1, ..., g + e`
//! are true, and `r` true items are in the groups before it. `R` (`n_true`) is the number of true items
//! of the query; those that a ranked list leaves out are in no group. Relevance is binary, the discount of position
//! `p` is `1 / log2(1 + p)`.
//!
//! | rule | where the true items of a group are |
//! |---|---|
//! | `optimistic` | on the first `o` positions |
//! | `pessimistic` | on the last `o` positions |
//! | `average` | all at rank `m = g + (e + 1) / 2`, with the precision `(r + (o + 1) / 2) / m` |
//! | `expected` | means over random orders of the tied (McSherry and Najork, ECIR 2008) |
//! | `clip4clip` | no value: each position is a query of its own, and they share their true items |
//!
//! Under `average` a group is within the top K exactly when R@K counts its rank as a hit (see [`rank`](super::rank),
//! its exception at K = 1 included), and within the depth of nDCG when `m < depth + 1`; of such a group no more items
//! count than there are positions left, `K - g`. Without that bound twenty captions tied at the top would all be in
//! the top 10, and nDCG could exceed 1.
//!
//! Under `expected` a position of the group holds a true item with chance `o / e`, and before position `p` of the
//! group lie `(p - 1) (o - 1) / (e - 1)` others on average if it does, so that the group adds
//! `sum over p of (o / e) (r + 1 + (p - 1) (o - 1) / (e - 1)) / (g + p)` to the sum of precisions.
//!
//! With one true item a query, recall is R@K, average precision the reciprocal rank and nDCG the discounted gain of
//! that item, to the last bit.

use hitbench_kernels::RankCount;

use super::{OwnGroup, TieRule};

impl TieRule {
    /// Share of the true items that are in the top K, `k >= 1`; `None` under `clip4clip`.
    pub fn recall(self, groups: &[OwnGroup], n_true: u64, k: u64) -> Option<f64> {
        let found = groups
            .iter()
            .map(|group| self.in_top(group, k))
            .sum::<Option<f64>>()?;
        Some(found / n_true as f64)
    }

    /// Mean of the precisions at the true items; `None` under `clip4clip`.
    pub fn average_precision(self, groups: &[OwnGroup], n_true: u64) -> Option<f64> {
        let mut earlier = 0;
        let mut sum = 0.0;
        for group in groups {
            sum += self.precisions(group, earlier)?;
            earlier += group.own_equal;
        }
        Some(sum / n_true as f64)
    }

    /// Discounted gain of the true items down to position `depth >= 1`, as a share of the largest that they could
    /// have; `None` under `clip4clip`.
    pub fn ndcg(self, groups: &[OwnGroup], n_true: u64, depth: u64) -> Option<f64> {
        let gains = groups.iter().map(|group| self.gains(group, depth));
        let ideal: f64 = (1..=n_true.min(depth)).map(discount).sum();
        Some(gains.sum::<Option<f64>>()? / ideal)
    }

    /// How many true items of a group are in the top K.
    fn in_top(self, group: &OwnGroup, k: u64) -> Option<f64> {
        let left = k.saturating_sub(group.greater);
        Some(match self {
            Self::Optimistic | Self::Pessimistic => {
                k.saturating_sub(self.before(group)).min(group.own_equal) as f64
            }
            Self::Average if self.hits(&alone(group), k) > 0.0 => left.min(group.own_equal) as f64,
            Self::Average => 0.0,
            Self::Expected => (group.own_equal * left.min(group.equal)) as f64 / group.equal as f64,
            Self::Clip4clip => return None,
        })
    }

    /// Sum of the precisions at the true items of a group, with `earlier` ones in the groups before it.
    fn precisions(self, group: &OwnGroup, earlier: u64) -> Option<f64> {
        let (own, equal, earlier) = (group.own_equal as f64, group.equal as f64, earlier as f64);
        Some(match self {
            Self::Optimistic | Self::Pessimistic => {
                let before = self.before(group);
                let precision = |i: u64| (earlier + i as f64) / (before + i) as f64;
                (1..=group.own_equal).map(precision).sum()
            }
            Self::Average => own * ((earlier + (own + 1.0) / 2.0) / mean_rank(group)),
            Self::Expected => {
                // A tie of one has nothing before its only position.
                let others = if group.equal > 1 {
                    (own - 1.0) / (equal - 1.0)
                } else {
                    0.0
                };
                let precision =
                    |p: u64| (earlier + 1.0 + (p - 1) as f64 * others) / (group.greater + p) as f64;
                (1..=group.equal).map(|p| own / equal * precision(p)).sum()
            }
            Self::Clip4clip => return None,
        })
    }

    /// Discounted gain of the true items of a group.
    fn gains(self, group: &OwnGroup, depth: u64) -> Option<f64> {
        let left = depth.saturating_sub(group.greater);
        Some(match self {
            Self::Optimistic | Self::Pessimistic => {
                let first = self.before(group) + 1;
                let last = (first + group.own_equal - 1).min(depth);
                (first..=last).map(discount).sum()
            }
            Self::Average => left.min(group.own_equal) as f64 * discounted(mean_rank(group), depth),
            Self::Expected => {
                let share = group.own_equal as f64 / group.equal as f64;
                let places = 1..=left.min(group.equal);
                places.map(|p| share * discount(group.greater + p)).sum()
            }
            Self::Clip4clip => return None,
        })
    }

    /// Positions before the first true item of a group, under the two rules that place each item.
    fn before(self, group: &OwnGroup) -> u64 {
        match self {
            Self::Pessimistic => group.greater + group.equal - group.own_equal,
            _ => group.greater,
        }
    }
}

/// Gain of one true item at `rank`; half ranks count down to `depth + 1`, as R@K does.
pub(super) fn discounted(rank: f64, depth: u64) -> f64 {
    if rank < (depth + 1) as f64 {
        1.0 / (1.0 + rank).log2()
    } else {
        0.0
    }
}

fn discount(position: u64) -> f64 {
    1.0 / (1.0 + position as f64).log2()
}

fn mean_rank(group: &OwnGroup) -> f64 {
    TieRule::Average.rank(&alone(group))
}

/// How many true items the groups have: all of a query, where its whole gallery is ranked.
pub(super) fn n_own(groups: &[OwnGroup]) -> u64 {
    groups.iter().map(|group| group.own_equal).sum()
}

/// A group as if it were that of a query's best true items; nothing here looks at scores.
pub(super) fn alone(group: &OwnGroup) -> RankCount {
    RankCount {
        greater: group.greater,
        equal: group.equal,
        own_equal: group.own_equal,
        score: 0.0,
    }
}

#[cfg(test)]
mod tests;
