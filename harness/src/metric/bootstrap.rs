//! Bootstrap intervals of means and medians, with videos as the units that are resampled.
//!
//! Queries of one video are not independent, so a resample draws videos with replacement and takes all queries of
//! each. Resample `r` has a random stream of its own, which makes the result independent of the thread count.

use std::cmp::Ordering;
use std::collections::HashMap;

use rand::SeedableRng;
use rand::distr::{Distribution, Uniform};
use rand_chacha::ChaCha8Rng;
use rand_distr::Binomial;
use rayon::prelude::*;

use super::{MedianRule, MetricError};

/// Most resamples that the median gets: it cannot be had from sums and costs a pass over the queries for each.
const MEDIAN_RESAMPLES: usize = 1000;

/// Clusters alike from which on a draw of their number is faster than a draw of each.
const FREQUENT: u64 = 32;

/// How often to resample, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resampling {
    /// Seed of the random streams.
    pub seed: u64,
    /// Number of resamples.
    pub resamples: usize,
}

impl Resampling {
    /// The random stream of one resample.
    pub(super) fn stream(self, resample: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(resample as u64);
        rng
    }
}

/// Clusters under the dense numbers `0, 1, ...` that they get in the order of their first appearance.
#[derive(Debug, Default)]
struct Clusters {
    dense: HashMap<u32, usize>,
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
    ///
    /// Where many clusters are alike (hits of single queries have a handful of values), the number of each kind is
    /// drawn at once, which is the same distribution as drawing the clusters one by one; the others are drawn one by
    /// one.
    pub fn resample(&self, resampling: Resampling) -> Vec<f64> {
        let n_clusters = self.clusters.len();
        if n_clusters == 0 {
            return Vec::new();
        }
        let mut rows: Vec<&[f64]> = self.rows().collect();
        rows.sort_unstable_by(|a, b| {
            let differing = a.iter().zip(*b).map(|(a, b)| a.total_cmp(b));
            differing.fold(Ordering::Equal, Ordering::then)
        });
        let (mut frequent, mut rare) = (Vec::new(), Vec::new());
        for alike in rows.chunk_by(|a, b| a == b) {
            match alike.len() as u64 {
                n if n >= FREQUENT => frequent.push((alike[0], n)),
                _ => rare.extend_from_slice(alike),
            }
        }
        let rare = Rare::new(&rare, self.n_stats);
        let mut resampled = vec![0.0; resampling.resamples * self.n_stats];
        resampled
            .par_chunks_exact_mut(self.n_stats)
            .enumerate()
            .for_each(|(resample, totals)| {
                let mut rng = resampling.stream(resample);
                let left = draw_kinds(&frequent, n_clusters as u64, &mut rng, |row, times| {
                    for (total, value) in totals.iter_mut().zip(row) {
                        *total += times as f64 * value;
                    }
                });
                rare.draw(left, &mut rng, totals);
            });
        resampled
    }
}

/// Clusters that few others are like, to be drawn one by one.
struct Rare {
    draw: Option<Uniform<usize>>,
    /// Statistics that all of them have the same value of.
    constant: Vec<(usize, f64)>,
    /// The other statistics: far from the top of the ranking no cut-off of R@K is reached, which leaves few.
    varying: Vec<usize>,
    /// `[n_clusters, varying]`, row-major.
    values: Vec<f64>,
}

impl Rare {
    fn new(rows: &[&[f64]], n_stats: usize) -> Self {
        let first = rows.first().copied().unwrap_or_default();
        let is_constant = |stat: &usize| rows.iter().all(|row| row[*stat] == first[*stat]);
        let (constant, varying): (Vec<usize>, Vec<usize>) = match rows {
            [] => (Vec::new(), Vec::new()),
            _ => (0..n_stats).partition(is_constant),
        };
        let of_row = |row: &&[f64]| varying.iter().map(|&stat| row[stat]).collect::<Vec<f64>>();
        Self {
            draw: Uniform::new(0, rows.len()).ok(),
            constant: constant.into_iter().map(|stat| (stat, first[stat])).collect(),
            values: rows.iter().flat_map(of_row).collect(),
            varying,
        }
    }

    /// Adds the statistics of `times` clusters drawn with replacement.
    fn draw(&self, times: u64, rng: &mut ChaCha8Rng, totals: &mut [f64]) {
        let Some(draw) = self.draw else { return };
        for &(stat, value) in &self.constant {
            totals[stat] += times as f64 * value;
        }
        match self.varying.len() {
            0 => {}
            1 => self.draw_few::<1>(draw, times, rng, totals),
            2 => self.draw_few::<2>(draw, times, rng, totals),
            3 => self.draw_few::<3>(draw, times, rng, totals),
            n => {
                for _ in 0..times {
                    let values = &self.values[draw.sample(rng) * n..][..n];
                    for (&stat, value) in self.varying.iter().zip(values) {
                        totals[stat] += value;
                    }
                }
            }
        }
    }

    /// The same for a number of varying statistics that the compiler knows: the sums then stay in registers.
    fn draw_few<const N: usize>(
        &self,
        draw: Uniform<usize>,
        times: u64,
        rng: &mut ChaCha8Rng,
        totals: &mut [f64],
    ) {
        let (values, _) = self.values.as_chunks::<N>();
        let mut sums = [0.0; N];
        for _ in 0..times {
            for (sum, value) in sums.iter_mut().zip(values[draw.sample(rng)]) {
                *sum += value;
            }
        }
        for (&stat, sum) in self.varying.iter().zip(sums) {
            totals[stat] += sum;
        }
    }
}

/// Draws `n_clusters` of as many clusters with replacement, kind by kind: a multinomial draw as a chain of binomial
/// ones. Returns how many of the draws fell on clusters of no kind listed.
fn draw_kinds<'a>(
    kinds: &[(&'a [f64], u64)],
    n_clusters: u64,
    rng: &mut ChaCha8Rng,
    mut add: impl FnMut(&'a [f64], u64),
) -> u64 {
    let (mut to_draw, mut to_choose_from) = (n_clusters, n_clusters);
    for &(row, of_kind) in kinds {
        let share = of_kind as f64 / to_choose_from as f64;
        let times = Binomial::new(to_draw, share)
            .expect("a share is at most 1")
            .sample(rng);
        add(row, times);
        to_draw -= times;
        to_choose_from -= of_kind;
    }
    to_draw
}

/// The median rank of each resample of `(rank, cluster)`, at most 1,000 resamples; empty without ranks.
pub fn resample_median(mut ranks: Vec<(f64, u32)>, rule: MedianRule, resampling: Resampling) -> Vec<f64> {
    ranks.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut clusters = Clusters::default();
    let ranks: Vec<(f64, usize)> = ranks
        .into_iter()
        .map(|(rank, cluster)| (rank, clusters.number(cluster)))
        .collect();
    let Ok(draw) = Uniform::new(0, clusters.len()) else {
        return Vec::new();
    };
    let mut sizes = vec![0u64; clusters.len()];
    for &(_, cluster) in &ranks {
        sizes[cluster] += 1;
    }
    (0..resampling.resamples.min(MEDIAN_RESAMPLES))
        .into_par_iter()
        .map_init(
            || vec![0u64; clusters.len()],
            |times, resample| {
                let mut rng = resampling.stream(resample);
                times.fill(0);
                for _ in 0..clusters.len() {
                    times[draw.sample(&mut rng)] += 1;
                }
                let total: u64 = times.iter().zip(&sizes).map(|(times, size)| times * size).sum();
                let lower = nth(&ranks, times, (total - 1) / 2);
                match rule {
                    MedianRule::MeanOfMiddle => (lower + nth(&ranks, times, total / 2)) / 2.0,
                    MedianRule::Lower => lower,
                }
            },
        )
        .collect()
}

/// The rank at 0-based position `n` when each of the ascending `ranks` occurs `times[cluster]` times.
fn nth(ranks: &[(f64, usize)], times: &[u64], n: u64) -> f64 {
    let mut before = 0;
    let found = ranks.iter().find(|(_, cluster)| {
        before += times[*cluster];
        before > n
    });
    found.expect("`n` lies below the number of occurrences").0
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
mod tests {
    use super::*;

    const PLAN: Resampling = Resampling {
        seed: 7,
        resamples: 2000,
    };

    /// 120 clusters of 1 to 3 queries with a hit every third query.
    fn queries() -> Vec<(u32, f64)> {
        (0..120u32)
            .flat_map(|cluster| vec![cluster; 1 + cluster as usize % 3])
            .zip([1.0, 0.0, 0.0].into_iter().cycle())
            .collect()
    }

    fn ratios(queries: &[(u32, f64)], plan: Resampling) -> Vec<f64> {
        let mut sums = ClusterSums::new(2);
        for &(cluster, hit) in queries {
            sums.add(cluster, [1.0, hit]);
        }
        let resampled = sums.resample(plan);
        resampled.chunks_exact(2).map(|sums| sums[1] / sums[0]).collect()
    }

    fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(work)
    }

    #[test]
    fn the_thread_count_and_the_numbering_of_clusters_change_nothing() {
        let queries = queries();
        let ranks: Vec<(f64, u32)> = queries
            .iter()
            .zip(0..)
            .map(|(q, i)| (f64::from(i * 7 % 50), q.0))
            .collect();
        let run = |threads| {
            on_threads(threads, || {
                let medians = resample_median(ranks.clone(), MedianRule::MeanOfMiddle, PLAN);
                (ratios(&queries, PLAN), medians)
            })
        };
        let one = run(1);
        assert_eq!(one, run(4));
        assert_eq!((one.0.len(), one.1.len()), (2000, 1000));
        let renamed: Vec<_> = queries
            .iter()
            .map(|&(cluster, hit)| (cluster * 31 + 5, hit))
            .collect();
        assert_eq!(ratios(&renamed, PLAN), one.0);
        let other_seed = Resampling { seed: 8, ..PLAN };
        assert_ne!(ratios(&queries, other_seed), one.0);
    }

    #[test]
    fn the_interval_of_a_share_is_the_binomial_one() {
        // 400 single queries, a quarter of them hits: standard error sqrt(.25 * .75 / 400) = 0.02165.
        let queries: Vec<(u32, f64)> = (0..400).zip([1.0, 0.0, 0.0, 0.0].into_iter().cycle()).collect();
        let plan = Resampling {
            resamples: 9999,
            ..PLAN
        };
        let [low, high] = percentile_interval(ratios(&queries, plan), 0.95).unwrap();
        assert!((low - (0.25 - 1.96 * 0.02165)).abs() < 0.004, "{low}");
        assert!((high - (0.25 + 1.96 * 0.02165)).abs() < 0.004, "{high}");
    }

    #[test]
    fn queries_of_one_video_are_one_observation() {
        // Twenty copies of each query add nothing: the interval stays that of 100 videos.
        let single: Vec<(u32, f64)> = (0..100).map(|i| (i, f64::from(i % 2))).collect();
        let copies: Vec<(u32, f64)> = single.iter().flat_map(|&query| [query; 20]).collect();
        assert_eq!(ratios(&single, PLAN), ratios(&copies, PLAN));
    }

    #[test]
    fn kinds_are_drawn_as_their_clusters_would_be() {
        // Hits of 1,000 queries; a value too small to matter makes every cluster a kind of its own.
        let hits = |i: u32| f64::from(u8::from(i % 10 < 3));
        let alike: Vec<(u32, f64)> = (0..1000).map(|i| (i, hits(i))).collect();
        let unlike: Vec<(u32, f64)> = (0..1000).map(|i| (i, hits(i) + 1e-9 * f64::from(i))).collect();
        let plan = Resampling {
            resamples: 4000,
            ..PLAN
        };
        // Eight of ten queries are like many others, and two like none.
        let some = |i: u32| if i % 10 < 8 { 0.0 } else { 1e-9 * f64::from(i) };
        let mixed: Vec<(u32, f64)> = (0..1000).map(|i| (i, hits(i) + some(i))).collect();
        let [few, many, both] = [ratios(&alike, plan), ratios(&unlike, plan), ratios(&mixed, plan)];
        let moments = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            (mean, (squares / values.len() as f64).sqrt())
        };
        // Exactly: mean 0.3, standard deviation sqrt(0.3 * 0.7 / 1000) = 0.01449.
        for values in [few, many, both] {
            let (mean, deviation) = moments(&values);
            assert!((mean - 0.3).abs() < 0.001, "{mean}");
            assert!((deviation - 0.01449).abs() < 0.0007, "{deviation}");
        }
    }

    #[test]
    fn the_median_of_a_resample_counts_each_drawn_cluster() {
        let ranks = vec![(1.0, 0), (2.0, 0), (30.0, 1), (40.0, 1)];
        let seen = |rule| {
            let mut medians = resample_median(ranks.clone(), rule, PLAN);
            medians.sort_unstable_by(f64::total_cmp);
            medians.dedup();
            medians
        };
        assert_eq!(seen(MedianRule::MeanOfMiddle), [1.5, 16.0, 35.0]);
        assert_eq!(seen(MedianRule::Lower), [1.0, 2.0, 30.0]);
    }

    #[test]
    fn intervals_end_at_order_statistics() {
        let values: Vec<f64> = (1..=99).rev().map(f64::from).collect();
        assert_eq!(percentile_interval(values, 0.9).unwrap(), [5.0, 95.0]);
        let constant = percentile_interval(vec![0.5; 39], 0.95).unwrap();
        assert_eq!(constant, [0.5, 0.5]);
        assert!(matches!(
            percentile_interval(vec![0.5; 38], 0.95),
            Err(MetricError::Resamples {
                needed: 39,
                found: 38,
                ..
            })
        ));
    }
}
