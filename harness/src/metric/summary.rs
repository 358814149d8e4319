//! From the counts of all queries to the numbers of a report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bootstrap::Resampling;
use super::intervals::Intervals;
use super::relevance::{discounted, n_own};
use super::{DirectionCounts, MedianRule, MetricError, OwnGroup, Rules, TieRule};

/// Positions that nDCG looks at.
pub(super) const DEPTH: u64 = 10;

/// Metrics of one direction. Recalls are fractions in `[0, 1]`, ranks start at 1.
///
/// R@K is a hit rate, "some true item is in the top K"; IR tools call it Success. True recall, nDCG and mAP are over
/// all true items of a query, with ties as [`relevance`](super::relevance) has them. Where some query has several
/// they are missing under [`TieRule::Clip4clip`], and for scores of libtorch, which are no pure function of a pair.
/// Under [`TieRule::Clip4clip`] every mean is over its [`denominator`](Self::denominator).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DirectionMetrics {
    /// Queries asked.
    pub n_queries: u64,
    /// What the means are over: `n_queries`, or more under `clip4clip`, which counts tied positions as queries.
    pub denominator: u64,
    /// Items that each query was ranked against; `None` where only lists of the best ones are known.
    pub n_gallery: Option<u64>,
    /// Captions left out by the mask.
    pub n_masked: u64,
    /// Videos without a caption: only distractors in `t2v`, no query in `v2t`. 0 where the gallery is unknown.
    pub n_without_caption: u64,
    /// Queries whose best true item ties with an item that is not true.
    pub n_tied: u64,
    /// R@K by K, as far as it is known.
    pub r_at: BTreeMap<u64, f64>,
    /// R@K by K under the pessimistic and the optimistic rule.
    pub r_at_interval: BTreeMap<u64, [f64; 2]>,
    /// 95 % bootstrap interval of R@K by K, videos resampled.
    pub r_at_ci95: Option<BTreeMap<u64, [f64; 2]>>,
    /// Median rank (MdR); `None` where lists end before it.
    pub median_rank: Option<f64>,
    /// Its 95 % bootstrap interval.
    pub median_rank_ci95: Option<[f64; 2]>,
    /// Mean rank (MnR); `None` where some rank is unknown.
    pub mean_rank: Option<f64>,
    /// Its 95 % bootstrap interval.
    pub mean_rank_ci95: Option<[f64; 2]>,
    /// R@1 + R@5 + R@10, whatever cut-offs are listed; `None` where lists end before the tenth item.
    pub sum_r: Option<f64>,
    /// Geometric mean of R@1, R@5 and R@10; 0 when one of them is.
    pub geometric_mean: Option<f64>,
    /// Mean reciprocal rank of the best true item.
    pub mrr: f64,
    /// Its 95 % bootstrap interval.
    pub mrr_ci95: Option<[f64; 2]>,
    /// nDCG at 10 with binary relevance.
    pub ndcg_at_10: Option<f64>,
    /// Mean average precision.
    pub map: Option<f64>,
    /// Recall at K: the mean share of a query's true items that are in the top K.
    pub recall_at: Option<BTreeMap<u64, f64>>,
}

/// Sums up the counts of one direction; `resampling` adds the 95 % intervals.
///
/// # Errors
/// [`MetricError::Empty`] without queries, [`MetricError::ImpossibleCounts`] for counts that cannot be,
/// [`MetricError::CutOff`] for a K of 0, [`MetricError::Resamples`] when there are too few for the intervals.
pub fn summarize(
    counts: &DirectionCounts,
    rules: &Rules,
    resampling: Option<Resampling>,
) -> Result<DirectionMetrics, MetricError> {
    check(counts, rules)?;
    let ties = rules.ties;
    let queries = &counts.counts;
    let sum = |value: &dyn Fn(&_) -> f64| queries.iter().map(value).sum::<f64>();
    let denominator: u64 = queries.iter().map(|count| ties.weight(count)).sum();
    let mean = |value: &dyn Fn(&_) -> f64| sum(value) / denominator as f64;
    let r_at = |k: u64| mean(&|count| ties.hits(count, k));
    let bound = |rule: TieRule, k: u64| sum(&|count| rule.hits(count, k)) / queries.len() as f64;

    let by_k: BTreeMap<u64, f64> = rules.recall_at.iter().map(|&k| (k, r_at(k))).collect();
    let usual = [r_at(1), r_at(5), r_at(10)];
    let mut ranks: Vec<f64> = queries.iter().flat_map(|count| ties.ranks(count)).collect();
    let mrr = mean(&|count| ties.gain(count, reciprocal));
    let intervals = resampling
        .map(|resampling| {
            let counted = queries.iter().map(Some).zip(counts.clusters.iter().copied());
            Intervals::new(counted, rules, f64::INFINITY, resampling)
        })
        .transpose()?;
    let of_all = if counts.one_true_item {
        Some(OfAll {
            ndcg_at_10: mean(&|count| ties.gain(count, |rank| discounted(rank, DEPTH))),
            map: mrr,
            recall_at: by_k.clone(),
        })
    } else {
        counts.own.as_ref().and_then(|own| {
            let queries = (0..own.n_queries()).map(|query| own.of(query));
            OfAll::new(queries.map(|groups| (groups, n_own(groups))), rules)
        })
    };

    Ok(DirectionMetrics {
        n_queries: queries.len() as u64,
        denominator,
        n_gallery: Some(counts.n_gallery as u64),
        n_masked: counts.n_masked as u64,
        n_without_caption: counts.n_without_caption as u64,
        n_tied: queries.iter().filter(|c| c.equal > c.own_equal).count() as u64,
        r_at_interval: by_k
            .keys()
            .map(|&k| (k, [bound(TieRule::Pessimistic, k), bound(TieRule::Optimistic, k)]))
            .collect(),
        r_at_ci95: intervals.as_ref().map(|i| i.r_at.clone()),
        median_rank: Some(median(&mut ranks, rules.median)),
        median_rank_ci95: intervals.as_ref().and_then(|i| i.median_rank),
        mean_rank: Some(mean(&|count| ties.weight(count) as f64 * ties.rank(count))),
        mean_rank_ci95: intervals.as_ref().and_then(|i| i.mean_rank),
        sum_r: Some(usual.iter().sum()),
        geometric_mean: Some(usual.iter().product::<f64>().cbrt()),
        mrr,
        mrr_ci95: intervals.as_ref().map(|i| i.mrr),
        ndcg_at_10: of_all.as_ref().map(|of_all| of_all.ndcg_at_10),
        map: of_all.as_ref().map(|of_all| of_all.map),
        recall_at: of_all.map(|of_all| of_all.recall_at),
        r_at: by_k,
    })
}

pub(super) fn reciprocal(rank: f64) -> f64 {
    1.0 / rank
}

/// The means over queries that need all true items of each.
pub(super) struct OfAll {
    pub(super) ndcg_at_10: f64,
    pub(super) map: f64,
    pub(super) recall_at: BTreeMap<u64, f64>,
}

impl OfAll {
    /// From the groups of each query that were ranked, and the number of all its true items; `None` under a tie rule
    /// that has no value for several true items.
    pub(super) fn new<'a>(
        queries: impl Iterator<Item = (&'a [OwnGroup], u64)> + Clone,
        rules: &Rules,
    ) -> Option<Self> {
        let ties = rules.ties;
        let n_queries = queries.clone().count() as f64;
        let mean = |value: &dyn Fn(&[OwnGroup], u64) -> Option<f64>| {
            let sum: Option<f64> = queries
                .clone()
                .map(|(groups, n_true)| value(groups, n_true))
                .sum();
            // Queries without a found item sum up to -0.0.
            Some((0.0 + sum?) / n_queries)
        };
        let recall = |&k: &u64| Some((k, mean(&|groups, n_true| ties.recall(groups, n_true, k))?));
        Some(Self {
            ndcg_at_10: mean(&|groups, n_true| ties.ndcg(groups, n_true, DEPTH))?,
            map: mean(&|groups, n_true| ties.average_precision(groups, n_true))?,
            recall_at: rules.recall_at.iter().map(recall).collect::<Option<_>>()?,
        })
    }
}

/// The median of at least one rank; sorts them.
pub(super) fn median(ranks: &mut [f64], rule: MedianRule) -> f64 {
    ranks.sort_unstable_by(f64::total_cmp);
    let (lower, upper) = (ranks[(ranks.len() - 1) / 2], ranks[ranks.len() / 2]);
    match rule {
        MedianRule::MeanOfMiddle => (lower + upper) / 2.0,
        MedianRule::Lower => lower,
    }
}

fn check(counts: &DirectionCounts, rules: &Rules) -> Result<(), MetricError> {
    let n_queries = counts.counts.len();
    if n_queries == 0 {
        return Err(MetricError::Empty {
            n_captions: counts.n_masked,
            n_masked: counts.n_masked,
            n_videos: counts.n_without_caption,
        });
    }
    if counts.clusters.len() != n_queries {
        return Err(MetricError::Length {
            what: "clusters",
            expected: n_queries,
            found: counts.clusters.len(),
        });
    }
    if let Some(own) = counts.own.as_ref().filter(|own| own.n_queries() != n_queries) {
        return Err(MetricError::Length {
            what: "counts of all true items",
            expected: n_queries,
            found: own.n_queries(),
        });
    }
    for (index, count) in counts.counts.iter().enumerate() {
        let best = OwnGroup::from(count);
        let groups = counts
            .own
            .as_ref()
            .map_or(std::slice::from_ref(&best), |own| own.of(index));
        let Err(impossible) = possible(&best, groups, counts.n_gallery as u64) else {
            continue;
        };
        return Err(MetricError::ImpossibleCounts {
            index,
            greater: impossible.greater,
            equal: impossible.equal,
            own_equal: impossible.own_equal,
            n_gallery: counts.n_gallery,
        });
    }
    match rules.recall_at.iter().find(|&&k| k == 0) {
        Some(&k) => Err(MetricError::CutOff { k }),
        None => Ok(()),
    }
}

/// Checks that the first of `groups` is the `best` one and that they lie one after the other in the gallery.
///
/// # Errors
/// The first group that cannot be.
pub(super) fn possible(best: &OwnGroup, groups: &[OwnGroup], n_gallery: u64) -> Result<(), OwnGroup> {
    if groups.first() != Some(best) {
        return Err(*groups.first().unwrap_or(best));
    }
    let mut before = 0;
    for group in groups {
        let true_ones = 1..=group.equal;
        if group.greater < before || !true_ones.contains(&group.own_equal) {
            return Err(*group);
        }
        before = group.greater.saturating_add(group.equal);
        if before > n_gallery {
            return Err(*group);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
