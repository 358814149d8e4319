//! Medians of two evaluations, resampled and exchanged: their ranks as positions in one list of all ranks that occur,
//! so that each world costs a pass of additions and no sorting.

use std::collections::HashMap;

use hitbench_kernels::RankCount;
use rand::distr::{Distribution, Uniform};
use rayon::prelude::*;

use super::bootstrap::Resampling;
use super::exchange::{Coin, is_as_far, p_value};
use super::paired::PairedCounts;
use super::{MedianRule, TieRule};

/// A rank of a query: its video and where the rank lies in the list of all ranks.
type Place = (u32, u32);

/// The ranks of both evaluations.
pub(super) struct PairedMedians {
    rule: MedianRule,
    /// All ranks that occur, ascending.
    ranks: Vec<f64>,
    /// The ranks of the first evaluation and of the second.
    sides: [Vec<Place>; 2],
    n_clusters: usize,
}

impl PairedMedians {
    /// The ranks of at least one query.
    pub(super) fn new(counts: &PairedCounts, ties: TieRule, rule: MedianRule) -> Self {
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let clusters: Vec<u32> = counts
            .clusters
            .iter()
            .map(|&cluster| {
                let next = numbers.len() as u32;
                *numbers.entry(cluster).or_insert(next)
            })
            .collect();
        let of_side = |side: &[RankCount]| -> Vec<(u32, f64)> {
            let ranks = |(count, &cluster)| ties.ranks(count).map(move |rank| (cluster, rank));
            side.iter().zip(&clusters).flat_map(ranks).collect()
        };
        let sides = [of_side(&counts.a), of_side(&counts.b)];
        let mut ranks: Vec<f64> = sides.iter().flatten().map(|(_, rank)| *rank).collect();
        ranks.sort_unstable_by(f64::total_cmp);
        ranks.dedup();
        let places = sides.map(|side| {
            let place = |rank: f64| ranks.partition_point(|&other| other < rank) as u32;
            side.into_iter()
                .map(|(cluster, rank)| (cluster, place(rank)))
                .collect()
        });
        Self {
            rule,
            ranks,
            sides: places,
            n_clusters: numbers.len(),
        }
    }

    /// The medians of both.
    pub(super) fn observed(&self) -> [f64; 2] {
        let [a, b] = &self.sides;
        [a, b].map(|side| self.median(&self.occurrences(side, |_| 1)))
    }

    /// Second minus first in each resample of videos.
    pub(super) fn resample(&self, plan: Resampling) -> Vec<f64> {
        let draw = Uniform::new(0, self.n_clusters).expect("there is at least one query");
        (0..plan.resamples)
            .into_par_iter()
            .map(|resample| {
                let mut rng = plan.stream(resample);
                let mut times = vec![0; self.n_clusters];
                for _ in 0..self.n_clusters {
                    times[draw.sample(&mut rng)] += 1;
                }
                let [a, b] = &self.sides;
                let [a, b] = [a, b]
                    .map(|side| self.median(&self.occurrences(side, |cluster| times[cluster as usize])));
                b - a
            })
            .collect()
    }

    /// P-value of the difference; see [`exchange`](super::exchange).
    pub(super) fn exchange(&self, plan: Resampling) -> f64 {
        let [a, b] = self.observed();
        let real = b - a;
        let [first, second] = &self.sides;
        let as_they_are = self.occurrences(first, |_| 1);
        let mut all = self.occurrences(second, |_| 1);
        for (all, n) in all.iter_mut().zip(&as_they_are) {
            *all += n;
        }
        // What the first evaluation loses and gains when a video is exchanged, without ranks that both have.
        let (lost, gained) = unlike(first, second);
        let n_as_far = (0..plan.resamples)
            .into_par_iter()
            .map_init(
                || {
                    (
                        vec![false; self.n_clusters],
                        vec![0; all.len()],
                        vec![0; all.len()],
                    )
                },
                |(exchanged, first, second), world| {
                    let mut coin = Coin::new(plan, world);
                    exchanged.fill_with(|| coin.toss());
                    first.copy_from_slice(&as_they_are);
                    for &(cluster, place) in &gained {
                        first[place as usize] += u64::from(exchanged[cluster as usize]);
                    }
                    for &(cluster, place) in &lost {
                        first[place as usize] -= u64::from(exchanged[cluster as usize]);
                    }
                    for ((second, all), first) in second.iter_mut().zip(&all).zip(first.iter()) {
                        *second = all - first;
                    }
                    u64::from(is_as_far(self.median(second) - self.median(first), real))
                },
            )
            .sum();
        p_value(n_as_far, plan.resamples)
    }

    /// How often each rank occurs when each video counts `times`.
    fn occurrences(&self, side: &[Place], times: impl Fn(u32) -> u64) -> Vec<u64> {
        let mut occurrences = vec![0; self.ranks.len()];
        for &(cluster, place) in side {
            occurrences[place as usize] += times(cluster);
        }
        occurrences
    }

    /// The median of ranks that occur so often, at least one of them at all.
    fn median(&self, occurrences: &[u64]) -> f64 {
        let total: u64 = occurrences.iter().sum();
        let nth = |n: u64| {
            let mut before = 0;
            let found = occurrences.iter().position(|&n_more| {
                before += n_more;
                before > n
            });
            self.ranks[found.expect("`n` lies below the number of occurrences")]
        };
        let lower = nth((total - 1) / 2);
        match self.rule {
            MedianRule::Lower => lower,
            MedianRule::MeanOfMiddle => (lower + nth(total / 2)) / 2.0,
        }
    }
}

/// The entries of each list that the other does not have, as multisets.
fn unlike(first: &[Place], second: &[Place]) -> (Vec<Place>, Vec<Place>) {
    let mut surplus: HashMap<Place, i64> = HashMap::new();
    for (side, sign) in [(first, 1), (second, -1)] {
        for &entry in side {
            *surplus.entry(entry).or_insert(0) += sign;
        }
    }
    let mut surplus: Vec<(Place, i64)> = surplus.into_iter().collect();
    surplus.sort_unstable();
    let of = |sign: i64| {
        let entries = surplus.iter().filter(move |(_, n)| n * sign > 0);
        entries
            .flat_map(|&(entry, n)| std::iter::repeat_n(entry, n.unsigned_abs() as usize))
            .collect()
    };
    (of(1), of(-1))
}
