//! The 95 % bootstrap intervals of one direction.

use std::collections::BTreeMap;

use hitbench_kernels::RankCount;

use super::bootstrap::{self, ClusterSums, Resampling};
use super::summary::reciprocal;
use super::{MetricError, Rules, TieRule};

/// Level of the intervals named `ci95`.
const LEVEL: f64 = 0.95;

/// The intervals; `None` where ranks that they need are unknown.
pub(super) struct Intervals {
    pub(super) r_at: BTreeMap<u64, [f64; 2]>,
    pub(super) median_rank: Option<[f64; 2]>,
    pub(super) mean_rank: Option<[f64; 2]>,
    pub(super) mrr: [f64; 2],
}

impl Intervals {
    /// Resamples queries, each with its cluster; one without counts has an unknown rank of at least `last_known`, misses
    /// every K of `rules` and has no gain.
    pub(super) fn new<'a>(
        queries: impl Iterator<Item = (Option<&'a RankCount>, u32)> + Clone,
        rules: &Rules,
        last_known: f64,
        resampling: Resampling,
    ) -> Result<Self, MetricError> {
        let ties = rules.ties;
        let n_stats = 3 + rules.recall_at.len();
        let mut sums = ClusterSums::new(n_stats);
        for (count, cluster) in queries.clone() {
            let of = |value: &dyn Fn(&RankCount) -> f64| count.map_or(0.0, value);
            let weight = count.map_or(1, |count| ties.weight(count)) as f64;
            let rank = of(&|count| weight * ties.rank(count));
            let fixed = [weight, rank, of(&|count| ties.gain(count, reciprocal))];
            let hits = rules.recall_at.iter().map(|&k| of(&|count| ties.hits(count, k)));
            sums.add(cluster, fixed.into_iter().chain(hits));
        }
        let resampled = sums.resample(resampling);
        let interval = |stat: usize| {
            let ratios = resampled.chunks_exact(n_stats).map(|sums| sums[stat] / sums[0]);
            bootstrap::percentile_interval(ratios.collect(), LEVEL)
        };
        let ranks = queries.clone().flat_map(|(count, cluster)| {
            known_ranks(ties, count, last_known).map(move |rank| (rank, cluster))
        });
        let medians = bootstrap::resample_median(ranks.collect(), rules.median, resampling);
        let median_rank = bootstrap::percentile_interval(medians, LEVEL)?;
        let all_known = queries.clone().all(|(count, _)| count.is_some());
        Ok(Self {
            r_at: rules
                .recall_at
                .iter()
                .zip(3..)
                .map(|(&k, stat)| Ok((k, interval(stat)?)))
                .collect::<Result<_, MetricError>>()?,
            median_rank: median_rank
                .iter()
                .all(|end| end.is_finite())
                .then_some(median_rank),
            mean_rank: all_known.then(|| interval(1)).transpose()?,
            mrr: interval(2)?,
        })
    }
}

/// The ranks that a query adds to the median, infinite where they are unknown.
///
/// When some queries have unknown ranks of at least `last_known`, a rank above that has no known place among all ranks
/// either. A median of these ranks is finite exactly when the unknown ones cannot move it.
pub(super) fn known_ranks(
    ties: TieRule,
    count: Option<&RankCount>,
    last_known: f64,
) -> impl Iterator<Item = f64> {
    let unknown = count.is_none().then_some(f64::INFINITY);
    let ranks = count.into_iter().flat_map(move |count| ties.ranks(count));
    let known = ranks.map(move |rank| if rank <= last_known { rank } else { f64::INFINITY });
    unknown.into_iter().chain(known)
}
