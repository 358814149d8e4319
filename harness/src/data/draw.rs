//! Seeded draws whose values are the same on every platform and with every version of `rand`: only ChaCha8
//! words come from a library, everything made of them is integer arithmetic, `+ - * /` and square roots.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of draws named by a seed, a purpose and indices; streams of different names are independent.
pub(crate) struct Draws {
    rng: ChaCha8Rng,
}

impl Draws {
    /// The stream of this name.
    pub(crate) fn new(seed: u64, purpose: &str, index: &[u64]) -> Self {
        let mut key = blake3::Hasher::new();
        key.update(&seed.to_le_bytes());
        key.update(&(purpose.len() as u64).to_le_bytes());
        key.update(purpose.as_bytes());
        for number in index {
            key.update(&number.to_le_bytes());
        }
        Self {
            rng: ChaCha8Rng::from_seed(*key.finalize().as_bytes()),
        }
    }

    /// Uniform in `0..n`, without bias (Lemire, arXiv 1805.10941). `n` is at least 1 and fits `u32`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let n = u32::try_from(n).expect("nothing drawn from has 2^32 members");
        assert!(n > 0, "cannot draw from nothing");
        let reject_below = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.rng.next_u32()) * u64::from(n);
            if product as u32 >= reject_below {
                return (product >> 32) as usize;
            }
        }
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-53.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with chance `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Mean 0, variance 1, near normal: the sum of 12 uniforms less 6 (no logarithm, whose last bit differs
    /// between platforms).
    pub(crate) fn normal(&mut self) -> f64 {
        let sum: u64 = (0..12).map(|_| u64::from(self.rng.next_u32())).sum();
        (sum as f64 + 6.0) / (1u64 << 32) as f64 - 6.0
    }

    /// A vector of unit length in a uniformly drawn direction (up to the approximation of `normal`).
    pub(crate) fn direction(&mut self, dim: usize) -> Vec<f64> {
        loop {
            let vector: Vec<f64> = (0..dim).map(|_| self.normal()).collect();
            let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
            if norm > 0.0 {
                return vector.into_iter().map(|x| x / norm).collect();
            }
        }
    }

    /// One of `items`, which is not empty.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// `k` of `0..n` without repetition, ascending; all of them when `k >= n`.
    pub(crate) fn subset(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..n).collect();
        if k < n {
            for place in 0..k {
                let from = place + self.below(n - place);
                all.swap(place, from);
            }
            all.truncate(k);
            all.sort_unstable();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_fixed_by_their_name() {
        let first = |seed, purpose, index: &[u64]| Draws::new(seed, purpose, index).below(1 << 30);
        assert_eq!(first(1, "a", &[2]), first(1, "a", &[2]));
        let others = [
            first(2, "a", &[2]),
            first(1, "b", &[2]),
            first(1, "a", &[3]),
            first(1, "a", &[]),
        ];
        assert!(others.iter().all(|&other| other != first(1, "a", &[2])));
    }

    #[test]
    fn values_are_these_on_every_platform() {
        let mut draws = Draws::new(7, "golden", &[]);
        let integers: Vec<usize> = (0..6).map(|_| draws.below(1000)).collect();
        let bits = [draws.unit(), draws.normal()].map(f64::to_bits);
        assert_eq!(integers, [820, 381, 878, 564, 210, 459]);
        assert_eq!(bits, [4599086800231482906, 13825103127835049984]);
    }

    #[test]
    fn below_is_uniform_and_normal_has_mean_zero_and_variance_one() {
        let mut draws = Draws::new(0, "moments", &[]);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[draws.below(7)] += 1;
        }
        // 10,000 expected, standard deviation 93.
        assert!(
            counts.iter().all(|&count| count.abs_diff(10_000) < 450),
            "{counts:?}"
        );
        let values: Vec<f64> = (0..20_000).map(|_| draws.normal()).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|x| x * x).sum::<f64>() / 20_000.0;
        assert!(
            mean.abs() < 0.035 && (variance - 1.0).abs() < 0.05,
            "{mean} {variance}"
        );
    }

    #[test]
    fn subsets_are_ascending_and_shuffles_keep_the_members() {
        let mut draws = Draws::new(0, "sets", &[]);
        for (n, k) in [(0, 0), (0, 3), (1, 1), (9, 0), (9, 4), (9, 9), (9, 12)] {
            let subset = draws.subset(n, k);
            assert_eq!(subset.len(), k.min(n));
            assert!(subset.windows(2).all(|pair| pair[0] < pair[1]) && subset.iter().all(|&i| i < n));
        }
        let mut items: Vec<usize> = (0..50).collect();
        draws.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
