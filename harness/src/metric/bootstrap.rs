//! Bootstrap intervals of means and medians, with videos as the units that are resampled.
//!
//! Queries of one video are not independent, so a resample draws videos with replacement and takes all queries of
//! each. Resample `r` has a random stream of its own, which makes the result independent of the thread count. How
//! clusters are drawn is in `bootstrap/draw.rs`.

mod draw;

use std::cmp::Ordering;

use ahash::AHashMap;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use self::draw::Block;
use serde::{Deserialize, Serialize};

use super::{MedianRule, MetricError};

/// Most resamples that the median gets: it cannot be had from sums and costs a pass over the queries for each.
const MEDIAN_RESAMPLES: usize = 1000;

/// Fewest resamples of a family, enough for a single test.
const FEWEST_RESAMPLES: usize = 9_999;
/// Most resamples of a family, so that memory has an end.
const MOST_RESAMPLES: usize = 1_000_000;
/// Resamples beyond the smallest level of a large family.
const IN_TAIL: f64 = 10.0;

/// How often to resample, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resampling {
    /// Seed of the random streams.
    pub seed: u64,
    /// Number of resamples.
    pub resamples: usize,
}

impl Resampling {
    /// Enough for a family of `n_tests`, of which the smallest p-value is held against the share `alpha / n_tests` of one
    /// tail: some resamples lie beyond it. Not without end: statistics of larger families than a million serve are
    /// refused.
    pub fn of_family(n_tests: usize, alpha: f64) -> Self {
        let wanted = IN_TAIL * n_tests as f64 / alpha;
        Self {
            seed: 0,
            resamples: (wanted.ceil() as usize).clamp(FEWEST_RESAMPLES, MOST_RESAMPLES),
        }
    }

    /// The random stream of one resample: a fast generator whose state comes from a stream of ChaCha of its own.
    pub(super) fn stream(self, resample: usize) -> Xoshiro256PlusPlus {
        let mut seeds = ChaCha8Rng::seed_from_u64(self.seed);
        seeds.set_stream(resample as u64);
        Xoshiro256PlusPlus::from_rng(&mut seeds)
    }
}

/// Clusters under the dense numbers `0, 1, ...` that they get in the order of their first appearance.
#[derive(Debug, Default)]
struct Clusters {
    dense: AHashMap<u32, usize>,
}

impl Clusters {
    fn number(&mut self, cluster: u32) -> usize {
        let next = self.dense.len();
        *self.dense.entry(cluster).or_insert(next)
    }

    fn len(&self) -> usize {
        self.dense.len()
    }
}

/// For every cluster, the sums of some statistics over its queries.
#[derive(Debug)]
pub struct ClusterSums {
    clusters: Clusters,
    n_stats: usize,
    /// `[n_clusters, n_stats]`, row-major.
    sums: Vec<f64>,
}

impl ClusterSums {
    /// No cluster yet, `n_stats >= 1` statistics each.
    pub fn new(n_stats: usize) -> Self {
        Self {
            clusters: Clusters::default(),
            n_stats,
            sums: Vec::new(),
        }
    }

    /// Adds one query's `n_stats` values to its cluster; missing values count as 0, more are ignored.
    pub fn add(&mut self, cluster: u32, values: impl IntoIterator<Item = f64>) {
        let row = self.clusters.number(cluster);
        self.sums.resize(self.clusters.len() * self.n_stats, 0.0);
        let sums = &mut self.sums[row * self.n_stats..][..self.n_stats];
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }

    /// The sums of each cluster.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.sums.chunks_exact(self.n_stats)
    }

    /// The sums over each resample, `[resamples, n_stats]`, row-major; empty when there is no cluster.
    pub fn resample(&self, resampling: Resampling) -> Vec<f64> {
        let n_clusters = self.clusters.len() as u64;
        if n_clusters == 0 {
            return Vec::new();
        }
        let mut rows: Vec<&[f64]> = self.rows().collect();
        rows.sort_unstable_by(|a, b| {
            let differing = a.iter().zip(*b).map(|(a, b)| a.total_cmp(b));
            differing.fold(Ordering::Equal, Ordering::then)
        });
        let blocks = Block::of_sorted(&rows, self.n_stats);
        let sizes = blocks.iter().map(Block::n_clusters);
        let mut resampled = vec![0.0; resampling.resamples * self.n_stats];
        resampled
            .par_chunks_exact_mut(self.n_stats)
            .enumerate()
            .for_each(|(resample, totals)| {
                let mut rng = resampling.stream(resample);
                draw::deal(sizes.clone(), n_clusters, &mut rng, |block, times, rng| {
                    blocks[block].draw(times, rng, totals);
                });
            });
        resampled
    }
}

/// The median rank of each resample of `(rank, cluster)`, at most 1,000 resamples; empty without ranks.
pub fn resample_median(mut ranks: Vec<(f64, u32)>, rule: MedianRule, resampling: Resampling) -> Vec<f64> {
    if ranks.is_empty() {
        return Vec::new();
    }
    ranks.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut clusters = Clusters::default();
    let ranks: Vec<(f64, usize)> = ranks
        .into_iter()
        .map(|(rank, cluster)| (rank, clusters.number(cluster)))
        .collect();
    let mut sizes = vec![0u64; clusters.len()];
    for &(_, cluster) in &ranks {
        sizes[cluster] += 1;
    }
    (0..resampling.resamples.min(MEDIAN_RESAMPLES))
        .into_par_iter()
        .map_init(
            || vec![0u32; clusters.len()],
            |times, resample| {
                times.fill(0);
                draw_times(times, &mut resampling.stream(resample));
                let total: u64 = times
                    .iter()
                    .zip(&sizes)
                    .map(|(&times, size)| u64::from(times) * size)
                    .sum();
                let [lower, upper] = two_middle(&ranks, times, total);
                match rule {
                    MedianRule::MeanOfMiddle => (lower + upper) / 2.0,
                    MedianRule::Lower => lower,
                }
            },
        )
        .collect()
}

/// Draws as many clusters with replacement as there are and counts each in `times`.
fn draw_times(times: &mut [u32], rng: &mut impl Rng) {
    let n_clusters = times.len() as u64;
    let mut blocks: Vec<&mut [u32]> = times.chunks_mut(draw::BLOCK).collect();
    let sizes: Vec<u64> = blocks.iter().map(|block| block.len() as u64).collect();
    draw::deal(sizes.into_iter(), n_clusters, rng, |block, drawn, rng| {
        let times = &mut *blocks[block];
        match <&mut [u32; draw::BLOCK]>::try_from(&mut *times) {
            Ok(times) => draw::in_full_block(drawn, rng, |_, index| times[index] += 1),
            Err(_) => draw::below(times.len(), drawn, rng, |index| times[index] += 1),
        }
    });
}

/// The two middle ranks, which are one for an odd `total`, when each of the ascending `ranks` occurs
/// `times[cluster]` times and all together `total >= 1` times.
fn two_middle(ranks: &[(f64, usize)], times: &[u32], total: u64) -> [f64; 2] {
    let mut before = 0;
    let mut lower = None;
    for &(rank, cluster) in ranks {
        before += u64::from(times[cluster]);
        if before > (total - 1) / 2 {
            let lower = *lower.get_or_insert(rank);
            if before > total / 2 {
                return [lower, rank];
            }
        }
    }
    unreachable!("the middle lies below the number of occurrences")
}

/// The central interval of `level` among resampled values, between order statistics.
///
/// With `B` values and `j = floor((1 - level) / 2 * (B + 1))` it runs from the `j`-th smallest to the `j`-th largest.
///
/// # Errors
/// [`MetricError::Resamples`] when `j` would be 0.
pub fn percentile_interval(mut values: Vec<f64>, level: f64) -> Result<[f64; 2], MetricError> {
    let tail = tail_size(values.len(), 1.0 - level)?;
    values.sort_unstable_by(f64::total_cmp);
    Ok([values[tail - 1], values[values.len() - tail]])
}

/// `floor(alpha / 2 * (resamples + 1))`: the order statistic at which a central interval ends on either side.
///
/// # Errors
/// [`MetricError::Resamples`] when that is 0.
pub(super) fn tail_size(resamples: usize, alpha: f64) -> Result<usize, MetricError> {
    // The small addend keeps exact cases, such as 0.025 * 10,000, from falling below themselves.
    let tail = (alpha / 2.0 * (resamples + 1) as f64 + 1e-9).floor() as usize;
    if tail == 0 {
        return Err(MetricError::Resamples {
            level: 1.0 - alpha,
            needed: (2.0 / alpha).ceil() as usize - 1,
            found: resamples,
        });
    }
    Ok(tail)
}

#[cfg(test)]
mod tests;
