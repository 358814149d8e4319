//! Paired randomization tests: what a difference would be if it made none which evaluation is called the first.
//!
//! Under the hypothesis of no difference, the two results of a video may be exchanged without changing anything
//! probable. So each video's two results are exchanged or not by the toss of a coin, all its queries together, and the
//! p-value is the share of such worlds, the real one included, whose difference is at least as far from 0:
//! `(1 + n_as_far) / (1 + n_exchanges)`. World `r` has a random stream of its own, which makes the result independent of
//! the thread count.

use rand::Rng;
use rand::rngs::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::bootstrap::{ClusterSums, Resampling};

/// Relative size of what sums in another order may differ by: differences this near to the real one count as equal.
const ROUNDING: f64 = 1e-9;

/// Tosses of a coin.
pub(super) struct Coin {
    rng: Xoshiro256PlusPlus,
    bits: u64,
    left: u32,
}

impl Coin {
    /// The coin of one world.
    pub(super) fn new(plan: Resampling, world: usize) -> Self {
        Self {
            rng: plan.stream(world),
            bits: 0,
            left: 0,
        }
    }

    /// Whether to exchange.
    pub(super) fn toss(&mut self) -> bool {
        if self.left == 0 {
            self.bits = self.rng.next_u64();
            self.left = u64::BITS;
        }
        let toss = self.bits & 1 == 1;
        self.bits >>= 1;
        self.left -= 1;
        toss
    }
}

/// Whether a world's difference is at least as far from 0 as the real one.
pub(super) fn is_as_far(world: f64, real: f64) -> bool {
    world.abs() >= real.abs() * (1.0 - ROUNDING)
}

/// The p-value of `n_as_far` worlds among `n_worlds` random ones.
pub(super) fn p_value(n_as_far: u64, n_worlds: usize) -> f64 {
    (n_as_far + 1) as f64 / (n_worlds + 1) as f64
}

/// P-values of the differences of some means, from the sums of each video: denominator and numerators of the first
/// evaluation, then of the second. One p-value a numerator.
pub(super) fn exchange_means(sums: &ClusterSums, plan: Resampling) -> Vec<f64> {
    let n_stats = sums.rows().next().map_or(0, |row| row.len() / 2);
    let mut totals = [vec![0.0; n_stats], vec![0.0; n_stats]];
    // What the first evaluation gains when a video is exchanged; nothing where both have the same.
    let mut gains: Vec<f64> = Vec::new();
    for row in sums.rows() {
        let (a, b) = row.split_at(n_stats);
        for (totals, values) in totals.iter_mut().zip([a, b]) {
            add(totals, values);
        }
        if a != b {
            gains.extend(b.iter().zip(a).map(|(b, a)| b - a));
        }
    }
    let [first, second] = totals;
    let all: Vec<f64> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
    // Of both evaluations, the first having these sums.
    let difference =
        |first: &[f64], stat: usize| (all[stat] - first[stat]) / (all[0] - first[0]) - first[stat] / first[0];
    let real: Vec<f64> = (1..n_stats).map(|stat| difference(&first, stat)).collect();
    let zeros = || vec![0u64; real.len()];
    let n_as_far = (0..plan.resamples)
        .into_par_iter()
        .fold(zeros, |mut n_as_far, world| {
            let mut coin = Coin::new(plan, world);
            let mut first = first.clone();
            for gain in gains.chunks_exact(n_stats) {
                if coin.toss() {
                    add(&mut first, gain);
                }
            }
            for (stat, (n, &real)) in (1..).zip(n_as_far.iter_mut().zip(&real)) {
                *n += u64::from(is_as_far(difference(&first, stat), real));
            }
            n_as_far
        })
        .reduce(zeros, |mut n_as_far, more| {
            for (n, more) in n_as_far.iter_mut().zip(more) {
                *n += more;
            }
            n_as_far
        });
    n_as_far.into_iter().map(|n| p_value(n, plan.resamples)).collect()
}

fn add(sums: &mut [f64], values: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}
