//! From the counts of all queries to the numbers of a report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bootstrap::{self, ClusterSums, Resampling};
use super::{DirectionCounts, MedianRule, MetricError, Rules, TieRule};

/// Level of the intervals named `ci95`.
const LEVEL: f64 = 0.95;

/// Metrics of one direction. Recalls are fractions in `[0, 1]`, ranks start at 1.
///
/// R@K is a hit rate, "some true item is in the top K"; IR tools call it Success. True recall, nDCG and mAP need
/// the rank of every true item, which counts against the best one do not hold: they are given only where each
/// query has one true item. Under [`TieRule::Clip4clip`] every mean is over its [`denominator`](Self::denominator).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DirectionMetrics {
    /// Queries asked.
    pub n_queries: u64,
    /// What the means are over: `n_queries`, or more under `clip4clip`, which counts tied positions as queries.
    pub denominator: u64,
    /// Items that each query was ranked against.
    pub n_gallery: u64,
    /// Captions left out by the mask.
    pub n_masked: u64,
    /// Videos without a caption: only distractors in `t2v`, no query in `v2t`.
    pub n_without_caption: u64,
    /// Queries whose best true item ties with an item that is not true.
    pub n_tied: u64,
    /// R@K by K.
    pub r_at: BTreeMap<u64, f64>,
    /// R@K by K under the pessimistic and the optimistic rule.
    pub r_at_interval: BTreeMap<u64, [f64; 2]>,
    /// 95 % bootstrap interval of R@K by K, videos resampled.
    pub r_at_ci95: Option<BTreeMap<u64, [f64; 2]>>,
    /// Median rank (MdR).
    pub median_rank: f64,
    /// Its 95 % bootstrap interval.
    pub median_rank_ci95: Option<[f64; 2]>,
    /// Mean rank (MnR).
    pub mean_rank: f64,
    /// Its 95 % bootstrap interval.
    pub mean_rank_ci95: Option<[f64; 2]>,
    /// R@1 + R@5 + R@10, whatever cut-offs are listed.
    pub sum_r: f64,
    /// Geometric mean of R@1, R@5 and R@10; 0 when one of them is.
    pub geometric_mean: f64,
    /// Mean reciprocal rank of the best true item.
    pub mrr: f64,
    /// Its 95 % bootstrap interval.
    pub mrr_ci95: Option<[f64; 2]>,
    /// nDCG at 10 with binary relevance; only where each query has one true item.
    pub ndcg_at_10: Option<f64>,
    /// Mean average precision; only where each query has one true item.
    pub map: Option<f64>,
    /// Recall at K: the share of true items in the top K; only where each query has one true item.
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
        .map(|resampling| Intervals::new(counts, rules, resampling))
        .transpose()?;
    let single = counts.one_true_item;

    Ok(DirectionMetrics {
        n_queries: queries.len() as u64,
        denominator,
        n_gallery: counts.n_gallery as u64,
        n_masked: counts.n_masked as u64,
        n_without_caption: counts.n_without_caption as u64,
        n_tied: queries.iter().filter(|c| c.equal > c.own_equal).count() as u64,
        r_at_interval: by_k
            .keys()
            .map(|&k| (k, [bound(TieRule::Pessimistic, k), bound(TieRule::Optimistic, k)]))
            .collect(),
        r_at_ci95: intervals.as_ref().map(|i| i.r_at.clone()),
        median_rank: median(&mut ranks, rules.median),
        median_rank_ci95: intervals.as_ref().map(|i| i.median_rank),
        mean_rank: mean(&|count| ties.weight(count) as f64 * ties.rank(count)),
        mean_rank_ci95: intervals.as_ref().map(|i| i.mean_rank),
        sum_r: usual.iter().sum(),
        geometric_mean: usual.iter().product::<f64>().cbrt(),
        mrr,
        mrr_ci95: intervals.as_ref().map(|i| i.mrr),
        ndcg_at_10: single.then(|| mean(&|count| ties.gain(count, |rank| discounted(rank, 10.0)))),
        map: single.then_some(mrr),
        recall_at: single.then(|| by_k.clone()),
        r_at: by_k,
    })
}

fn reciprocal(rank: f64) -> f64 {
    1.0 / rank
}

/// Gain of one relevant item at `rank`, whose ideal gain is 1; half ranks count down to `depth + 1`, as R@K does.
fn discounted(rank: f64, depth: f64) -> f64 {
    if rank < depth + 1.0 {
        1.0 / (1.0 + rank).log2()
    } else {
        0.0
    }
}

/// The median of at least one rank; sorts them.
fn median(ranks: &mut [f64], rule: MedianRule) -> f64 {
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
    for (index, count) in counts.counts.iter().enumerate() {
        let possible = 1 <= count.own_equal
            && count.own_equal <= count.equal
            && count.greater + count.equal <= counts.n_gallery as u64;
        if !possible {
            return Err(MetricError::ImpossibleCounts {
                index,
                greater: count.greater,
                equal: count.equal,
                own_equal: count.own_equal,
                n_gallery: counts.n_gallery,
            });
        }
    }
    match rules.recall_at.iter().find(|&&k| k == 0) {
        Some(&k) => Err(MetricError::CutOff { k }),
        None => Ok(()),
    }
}

/// 95 % intervals of one direction.
struct Intervals {
    r_at: BTreeMap<u64, [f64; 2]>,
    median_rank: [f64; 2],
    mean_rank: [f64; 2],
    mrr: [f64; 2],
}

impl Intervals {
    fn new(counts: &DirectionCounts, rules: &Rules, resampling: Resampling) -> Result<Self, MetricError> {
        let ties = rules.ties;
        let n_stats = 3 + rules.recall_at.len();
        let mut sums = ClusterSums::new(n_stats);
        for (count, &cluster) in counts.counts.iter().zip(&counts.clusters) {
            let weight = ties.weight(count) as f64;
            let fixed = [weight, weight * ties.rank(count), ties.gain(count, reciprocal)];
            let hits = rules.recall_at.iter().map(|&k| ties.hits(count, k));
            sums.add(cluster, fixed.into_iter().chain(hits));
        }
        let resampled = sums.resample(resampling);
        let interval = |stat: usize| {
            let ratios = resampled.chunks_exact(n_stats).map(|sums| sums[stat] / sums[0]);
            bootstrap::percentile_interval(ratios.collect(), LEVEL)
        };
        let ranks = counts
            .counts
            .iter()
            .zip(&counts.clusters)
            .flat_map(|(count, &cluster)| ties.ranks(count).map(move |rank| (rank, cluster)));
        let medians = bootstrap::resample_median(ranks.collect(), rules.median, resampling);
        Ok(Self {
            r_at: rules
                .recall_at
                .iter()
                .zip(3..)
                .map(|(&k, stat)| Ok((k, interval(stat)?)))
                .collect::<Result<_, MetricError>>()?,
            median_rank: bootstrap::percentile_interval(medians, LEVEL)?,
            mean_rank: interval(1)?,
            mrr: interval(2)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use hitbench_kernels::RankCount;

    use super::*;
    use crate::metric::Direction;

    /// One query a cluster from `(greater, equal, own_equal)`.
    fn counts(n_gallery: usize, of: &[(u64, u64, u64)]) -> DirectionCounts {
        let counts = of.iter().map(|&(greater, equal, own_equal)| RankCount {
            greater,
            equal,
            own_equal,
            score: 0.0,
        });
        let n = of.len() as u32;
        DirectionCounts {
            direction: Direction::T2v,
            counts: counts.collect(),
            queries: (0..n).collect(),
            true_items: (0..n).collect(),
            clusters: (0..n).collect(),
            n_gallery,
            n_masked: 0,
            n_without_caption: 0,
            gallery_of_videos: true,
            one_true_item: true,
        }
    }

    #[test]
    fn hand_computed_summaries() {
        let perfect = summarize(&counts(4, &[(0, 1, 1); 4]), &Rules::default(), None).unwrap();
        assert_eq!(
            (perfect.r_at[&1], perfect.median_rank, perfect.mean_rank),
            (1.0, 1.0, 1.0)
        );
        assert_eq!(
            (perfect.sum_r, perfect.geometric_mean, perfect.mrr),
            (3.0, 1.0, 1.0)
        );
        assert_eq!((perfect.ndcg_at_10, perfect.r_at_ci95), (Some(1.0), None));

        let reversed = summarize(&counts(20, &[(19, 1, 1); 20]), &Rules::default(), None).unwrap();
        assert_eq!(
            (reversed.r_at[&10], reversed.r_at[&50], reversed.mean_rank),
            (0.0, 1.0, 20.0)
        );
        assert_eq!((reversed.geometric_mean, reversed.ndcg_at_10), (0.0, Some(0.0)));

        // Ranks 1, 2, 3 and 11 of 20: MRR (1 + 1/2 + 1/3 + 1/11) / 4, nDCG (1 + 1/log2(3) + 1/2 + 0) / 4.
        let mixed = counts(20, &[(0, 1, 1), (1, 1, 1), (2, 1, 1), (10, 1, 1)]);
        let mixed = summarize(&mixed, &Rules::default(), None).unwrap();
        assert_eq!(mixed.mrr, (1.0 + 0.5 + 1.0 / 3.0 + 1.0 / 11.0) / 4.0);
        assert_eq!(mixed.ndcg_at_10, Some((1.0 + 1.0 / 3f64.log2() + 0.5) / 4.0));
        assert_eq!((mixed.median_rank, mixed.mean_rank), (2.5, 4.25));
        assert_eq!(
            (mixed.r_at[&1], mixed.r_at[&5], mixed.r_at[&10]),
            (0.25, 0.75, 0.75)
        );
        assert!((mixed.geometric_mean - (0.25f64 * 0.75 * 0.75).cbrt()).abs() < 1e-15);
    }

    #[test]
    fn ties_are_counted_and_bound_the_recall() {
        // The first query ties with another item, the second only with its own second caption.
        let mut tied = counts(9, &[(0, 2, 1), (0, 2, 2), (3, 1, 1)]);
        tied.one_true_item = false;
        let found = summarize(&tied, &Rules::default(), None).unwrap();
        assert_eq!(found.n_tied, 1);
        assert_eq!(found.r_at_interval[&1], [1.0 / 3.0, 2.0 / 3.0]);
        assert_eq!((found.ndcg_at_10, found.map, found.recall_at), (None, None, None));
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let rules = Rules::default();
        assert!(matches!(
            summarize(&counts(3, &[]), &rules, None),
            Err(MetricError::Empty { .. })
        ));
        for impossible in [(0, 0, 0), (0, 1, 0), (0, 1, 2), (3, 1, 1)] {
            let found = summarize(&counts(3, &[(0, 1, 1), impossible]), &rules, None);
            assert!(
                matches!(found, Err(MetricError::ImpossibleCounts { index: 1, .. })),
                "{impossible:?}"
            );
        }
        let zero = Rules {
            recall_at: vec![1, 0],
            ..rules
        };
        assert!(matches!(
            summarize(&counts(3, &[(0, 1, 1)]), &zero, None),
            Err(MetricError::CutOff { k: 0 })
        ));
    }

    #[test]
    fn intervals_hold_the_estimate_and_are_written_by_k() {
        let of: Vec<_> = (0..200).map(|query| (query % 40, 1, 1)).collect();
        let plan = Resampling {
            seed: 3,
            resamples: 500,
        };
        let found = summarize(&counts(40, &of), &Rules::default(), Some(plan)).unwrap();
        let holds = |[low, high]: [f64; 2], estimate: f64| low < estimate && estimate < high;
        let ci95 = found.r_at_ci95.as_ref().unwrap();
        for k in [1, 5, 10] {
            assert!(holds(ci95[&k], found.r_at[&k]), "R@{k}");
        }
        assert_eq!(ci95[&50], [1.0, 1.0]);
        assert!(holds(found.median_rank_ci95.unwrap(), found.median_rank));
        assert!(holds(found.mean_rank_ci95.unwrap(), found.mean_rank));
        assert!(holds(found.mrr_ci95.unwrap(), found.mrr));
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["r_at"]["5"], 0.125);
        assert_eq!(serde_json::from_value::<DirectionMetrics>(json).unwrap(), found);
    }
}
