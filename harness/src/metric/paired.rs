//! Two evaluations of the same queries: each metric of both, their difference, and how uncertain it is.
//!
//! Queries of one video are not independent, so that videos are the units: the interval of a difference comes from
//! resampling them, its p-value from exchanging the two evaluations video by video. Both are about these two models on
//! other videos of the same kind, not about what another training would give; for that
//! [`compare`](super::compare) takes several seeds. Its contrasts hold one value a query and their plain mean, and know
//! neither medians nor the denominators of `clip4clip`, which is why differences of single evaluations are made here.

use hitbench_kernels::RankCount;

use super::bootstrap::{ClusterSums, Resampling, percentile_interval};
use super::exchange::exchange_means;
use super::paired_medians::PairedMedians;
use super::{MetricError, Rules, TieRule};

/// Level of the intervals.
const LEVEL: f64 = 0.95;
/// Most resamples of a median: each costs a pass over all queries.
const MEDIAN_RESAMPLES: usize = 1000;

/// Counts of the same queries in two evaluations.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedCounts {
    /// Those of the first evaluation.
    pub a: Vec<RankCount>,
    /// Those of the second, in the same order.
    pub b: Vec<RankCount>,
    /// The video of each query.
    pub clusters: Vec<u32>,
}

/// What two evaluations are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairedMetric {
    /// R@K, a share of queries; larger is better.
    RAt(u64),
    /// MdR; smaller is better.
    MedianRank,
    /// MnR; smaller is better.
    MeanRank,
    /// Mean reciprocal rank; larger is better.
    Mrr,
}

impl PairedMetric {
    /// Whether a difference `b - a` above 0 means that the second is better.
    pub fn larger_is_better(self) -> bool {
        matches!(self, Self::RAt(_) | Self::Mrr)
    }

    /// What a query adds to the numerator of the mean; the denominator gets its weight under the tie rule.
    fn numerator(self, ties: TieRule, count: &RankCount) -> f64 {
        match self {
            Self::RAt(k) => ties.hits(count, k),
            Self::MeanRank => ties.weight(count) as f64 * ties.rank(count),
            Self::Mrr => ties.gain(count, |rank| 1.0 / rank),
            Self::MedianRank => unreachable!("a median is no mean"),
        }
    }
}

/// One metric of two evaluations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDifference {
    /// Which.
    pub metric: PairedMetric,
    /// Its value in the first.
    pub a: f64,
    /// Its value in the second.
    pub b: f64,
    /// 95 % bootstrap interval of `b - a`, videos resampled.
    pub ci95: [f64; 2],
    /// Two-sided p-value of the randomization test, not adjusted for other tests.
    pub p_value: f64,
}

impl PairedDifference {
    /// Second minus first.
    pub fn difference(&self) -> f64 {
        self.b - self.a
    }
}

/// Compares two evaluations by R@K at every cut-off of `rules`, MdR, MnR and MRR, in this order.
///
/// `plan` says how often videos are resampled, and as often are the evaluations exchanged; MdR is resampled 1,000 times
/// at most.
///
/// # Errors
/// [`MetricError::NothingToCompare`] without queries, [`MetricError::Length`] when there are not as many counts and
/// videos on both sides, [`MetricError::CutOff`] for a K of 0, [`MetricError::Resamples`] for too few of them.
pub fn compare_paired(
    counts: &PairedCounts,
    rules: &Rules,
    plan: Resampling,
) -> Result<Vec<PairedDifference>, MetricError> {
    check(counts, rules)?;
    let recalls = rules.recall_at.iter().map(|&k| PairedMetric::RAt(k));
    let means: Vec<PairedMetric> = recalls
        .chain([PairedMetric::MeanRank, PairedMetric::Mrr])
        .collect();
    let p_values = exchange_means(&sums(counts, rules.ties, &means), plan);
    let mut found = Vec::with_capacity(means.len() + 1);
    for (&metric, p_value) in means.iter().zip(p_values) {
        found.push(mean_difference(counts, rules.ties, metric, p_value, plan)?);
    }
    found.insert(rules.recall_at.len(), median_difference(counts, rules, plan)?);
    Ok(found)
}

fn mean_difference(
    counts: &PairedCounts,
    ties: TieRule,
    metric: PairedMetric,
    p_value: f64,
    plan: Resampling,
) -> Result<PairedDifference, MetricError> {
    let sums = sums(counts, ties, &[metric]);
    let totals = sums.rows().fold([0.0; 4], |mut totals, row| {
        for (total, value) in totals.iter_mut().zip(row) {
            *total += value;
        }
        totals
    });
    let resampled = sums.resample(plan);
    let differences = resampled
        .chunks_exact(totals.len())
        .map(|sums| sums[3] / sums[2] - sums[1] / sums[0]);
    Ok(PairedDifference {
        metric,
        a: totals[1] / totals[0],
        b: totals[3] / totals[2],
        ci95: percentile_interval(differences.collect(), LEVEL)?,
        p_value,
    })
}

fn median_difference(
    counts: &PairedCounts,
    rules: &Rules,
    plan: Resampling,
) -> Result<PairedDifference, MetricError> {
    let medians = PairedMedians::new(counts, rules.ties, rules.median);
    let [a, b] = medians.observed();
    let resamples = plan.resamples.min(MEDIAN_RESAMPLES);
    let differences = medians.resample(Resampling { resamples, ..plan });
    Ok(PairedDifference {
        metric: PairedMetric::MedianRank,
        a,
        b,
        ci95: percentile_interval(differences, LEVEL)?,
        p_value: medians.exchange(plan),
    })
}

/// For every video the sums over its queries: denominator and numerators of the first evaluation, then of the second.
fn sums(counts: &PairedCounts, ties: TieRule, metrics: &[PairedMetric]) -> ClusterSums {
    let mut sums = ClusterSums::new(2 * (1 + metrics.len()));
    let values = |count: &RankCount| -> Vec<f64> {
        let numerators = metrics.iter().map(|metric| metric.numerator(ties, count));
        std::iter::once(ties.weight(count) as f64)
            .chain(numerators)
            .collect()
    };
    for ((a, b), &cluster) in counts.a.iter().zip(&counts.b).zip(&counts.clusters) {
        sums.add(cluster, values(a).into_iter().chain(values(b)));
    }
    sums
}

fn check(counts: &PairedCounts, rules: &Rules) -> Result<(), MetricError> {
    let expected = counts.a.len();
    if expected == 0 {
        return Err(MetricError::NothingToCompare);
    }
    for (what, found) in [
        ("counts of the second evaluation", counts.b.len()),
        ("clusters", counts.clusters.len()),
    ] {
        if found != expected {
            return Err(MetricError::Length {
                what,
                expected,
                found,
            });
        }
    }
    match rules.recall_at.iter().find(|&&k| k == 0) {
        Some(&k) => Err(MetricError::CutOff { k }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
