//! Draws clusters with replacement, a block of them at a time.
//!
//! How many of all draws fall on each block is a multinomial draw, made as a chain of binomial ones; which clusters
//! of the block they fall on is drawn for each. That is the same distribution as drawing the clusters one by one
//! from all, and takes a fraction of the time: the values of a block stay in the first-level cache, ten random bits
//! are an index, and a block of clusters that are all alike needs no index at all.

use rand::Rng;
use rand::distr::{Distribution, Uniform};
use rand_distr::Binomial;

/// Random bits that are an index into a full block.
const BLOCK_BITS: u32 = 10;

/// Clusters of a full block: two values of each take 16 KiB.
pub(super) const BLOCK: usize = 1 << BLOCK_BITS;

/// Indices that one random word holds.
const PER_WORD: usize = (u64::BITS / BLOCK_BITS) as usize;

/// Clusters alike from which on a draw of their number is faster than a draw of each.
const FREQUENT: usize = 128;

/// Deals `draws` draws with replacement to blocks of `sizes` clusters, which must not all be 0: calls `deal` for
/// each block in turn with the draws that fall on it.
pub(super) fn deal<R: Rng>(
    sizes: impl Iterator<Item = u64> + Clone,
    draws: u64,
    rng: &mut R,
    mut deal: impl FnMut(usize, u64, &mut R),
) {
    let (mut draws, mut clusters) = (draws, sizes.clone().sum::<u64>());
    for (block, size) in sizes.enumerate() {
        let share = size as f64 / clusters as f64;
        let times = Binomial::new(draws, share)
            .expect("a block is at most all that is left")
            .sample(rng);
        deal(block, times, rng);
        draws -= times;
        clusters -= size;
    }
}

/// Calls `visit` with `times` indices, each uniform below [`BLOCK`], and with their place in the random word.
#[inline(always)]
pub(super) fn in_full_block(times: u64, rng: &mut impl Rng, mut visit: impl FnMut(usize, usize)) {
    let index = |word: u64, place: usize| (word >> (place as u32 * BLOCK_BITS)) as usize % BLOCK;
    for _ in 0..times / PER_WORD as u64 {
        let word = rng.next_u64();
        for place in 0..PER_WORD {
            visit(place, index(word, place));
        }
    }
    let word = rng.next_u64();
    for place in 0..times as usize % PER_WORD {
        visit(place, index(word, place));
    }
}

/// Calls `visit` with `times` indices, each uniform below `n >= 1`.
pub(super) fn below(n: usize, times: u64, rng: &mut impl Rng, mut visit: impl FnMut(usize)) {
    let any = Uniform::new(0, n as u32).expect("what draws fall on is not empty");
    for _ in 0..times {
        visit(any.sample(rng) as usize);
    }
}

/// Clusters with their statistics, to be drawn from.
#[derive(Debug)]
pub(super) struct Block {
    n_clusters: usize,
    /// Statistics that all clusters have the same value of, with the value.
    constant: Vec<(usize, f64)>,
    /// The other statistics: far from the top of the ranking no cut-off of R@K is reached, which leaves few.
    varying: Vec<usize>,
    /// `[n_clusters, varying]`, row-major.
    values: Vec<f64>,
}

impl Block {
    /// Cuts sorted rows of `n_stats` values, a row a cluster, into blocks.
    pub(super) fn of_sorted(rows: &[&[f64]], n_stats: usize) -> Vec<Self> {
        let (mut blocks, mut others) = (Vec::new(), Vec::new());
        for alike in rows.chunk_by(|a, b| a == b) {
            if alike.len() < FREQUENT {
                others.extend_from_slice(alike);
            } else {
                blocks.push(Self::new(alike, n_stats));
            }
        }
        blocks.extend(others.chunks(BLOCK).map(|rows| Self::new(rows, n_stats)));
        blocks
    }

    fn new(rows: &[&[f64]], n_stats: usize) -> Self {
        let is_constant = |stat: &usize| rows.iter().all(|row| row[*stat] == rows[0][*stat]);
        let (constant, varying): (Vec<usize>, Vec<usize>) = (0..n_stats).partition(is_constant);
        let values = rows
            .iter()
            .flat_map(|row| varying.iter().map(|&stat| row[stat]))
            .collect();
        Self {
            n_clusters: rows.len(),
            constant: constant.into_iter().map(|stat| (stat, rows[0][stat])).collect(),
            varying,
            values,
        }
    }

    /// Number of clusters.
    pub(super) fn n_clusters(&self) -> u64 {
        self.n_clusters as u64
    }

    /// Adds the statistics of `times` clusters drawn with replacement.
    pub(super) fn draw(&self, times: u64, rng: &mut impl Rng, totals: &mut [f64]) {
        for &(stat, value) in &self.constant {
            totals[stat] += times as f64 * value;
        }
        match self.varying.len() {
            0 => {}
            1 => self.draw_few::<1, 6>(times, rng, totals),
            2 => self.draw_few::<2, 6>(times, rng, totals),
            3 => self.draw_few::<3, 3>(times, rng, totals),
            4 => self.draw_few::<4, 2>(times, rng, totals),
            5 => self.draw_few::<5, 2>(times, rng, totals),
            6 => self.draw_few::<6, 2>(times, rng, totals),
            7 => self.draw_few::<7, 2>(times, rng, totals),
            n => below(self.n_clusters, times, rng, |index| {
                let values = &self.values[index * n..][..n];
                for (&stat, value) in self.varying.iter().zip(values) {
                    totals[stat] += value;
                }
            }),
        }
    }

    /// The same for `N` varying statistics, a number that the compiler knows, in `SUMS` sums each that do not wait
    /// for one another: all stay in registers.
    fn draw_few<const N: usize, const SUMS: usize>(
        &self,
        times: u64,
        rng: &mut impl Rng,
        totals: &mut [f64],
    ) {
        let (values, _) = self.values.as_chunks::<N>();
        let mut sums = [[0.0; N]; SUMS];
        let mut add = |place: usize, values: &[f64; N]| {
            for (sum, value) in sums[place % SUMS].iter_mut().zip(values) {
                *sum += value;
            }
        };
        match <&[[f64; N]; BLOCK]>::try_from(values) {
            Ok(values) => in_full_block(times, rng, |place, index| add(place, &values[index])),
            Err(_) => below(values.len(), times, rng, |index| add(0, &values[index])),
        }
        for sums in sums {
            for (&stat, sum) in self.varying.iter().zip(sums) {
                totals[stat] += sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;

    fn rng() -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(5)
    }

    #[test]
    fn draws_are_dealt_as_a_multinomial() {
        // Exactly: mean n p, variance n p (1 - p), covariance -n p q, with n draws and shares p and q.
        let sizes = [128u64, 1024, 300, 48];
        let (n, n_rounds) = (1500u64, 20_000);
        let mut sums = [0.0; 4];
        let mut products = [[0.0; 4]; 4];
        let mut rng = rng();
        for _ in 0..n_rounds {
            let mut dealt = [0u64; 4];
            deal(sizes.into_iter(), n, &mut rng, |block, times, _| {
                dealt[block] = times
            });
            assert_eq!(dealt.iter().sum::<u64>(), n);
            let off = std::array::from_fn::<f64, 4, _>(|i| dealt[i] as f64 - sizes[i] as f64);
            for (i, a) in off.into_iter().enumerate() {
                sums[i] += a;
                for (j, b) in off.into_iter().enumerate() {
                    products[i][j] += a * b;
                }
            }
        }
        let share = sizes.map(|size| size as f64 / n as f64);
        let variance = share.map(|share| n as f64 * share * (1.0 - share));
        for i in 0..4 {
            let mean = sums[i] / f64::from(n_rounds);
            assert!(
                mean.abs() < 4.0 * (variance[i] / f64::from(n_rounds)).sqrt(),
                "{i}: {mean}"
            );
            for j in 0..4 {
                let expected = if i == j {
                    variance[i]
                } else {
                    -(n as f64) * share[i] * share[j]
                };
                let found = products[i][j] / f64::from(n_rounds);
                let scale = (variance[i] * variance[j]).sqrt();
                assert!(
                    (found - expected).abs() < 0.04 * scale,
                    "{i} {j}: {found} {expected}"
                );
            }
        }
    }

    /// Pearson's statistic of counts that should all be alike.
    fn chi_square(counts: &[u64]) -> f64 {
        let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        counts.iter().map(|&n| (n as f64 - mean).powi(2) / mean).sum()
    }

    #[test]
    fn indices_are_uniform() {
        // With f degrees of freedom the statistic has mean f and standard deviation sqrt(2 f).
        let check = |counts: &[u64]| {
            let freedom = (counts.len() - 1) as f64;
            let off = (chi_square(counts) - freedom) / (2.0 * freedom).sqrt();
            assert!(off.abs() < 4.0, "{off}");
        };
        let mut rng = rng();
        let mut by_place = vec![vec![0u64; BLOCK]; PER_WORD];
        in_full_block(6 * 100_000, &mut rng, |place, index| by_place[place][index] += 1);
        by_place.iter().for_each(|counts| check(counts));
        let mut odd = vec![0u64; 700];
        below(odd.len(), 70_000, &mut rng, |index| odd[index] += 1);
        check(&odd);
    }

    #[test]
    fn every_draw_visits_one_cluster() {
        for times in [0, 1, 5, 6, 7, 1000] {
            let (mut in_block, mut n_below) = (Vec::new(), 0);
            in_full_block(times, &mut rng(), |place, _| in_block.push(place));
            below(3, times, &mut rng(), |_| n_below += 1);
            let places: Vec<usize> = (0..times as usize).map(|i| i % PER_WORD).collect();
            assert_eq!((in_block, n_below), (places, times));
        }
    }

    #[test]
    fn clusters_alike_are_a_block_of_their_own() {
        let values: Vec<[f64; 2]> = [vec![[1.0, 0.0]; FREQUENT - 1], vec![[2.0, 5.0]; FREQUENT]]
            .concat()
            .into_iter()
            .chain((0..1500).map(|i| [3.0, f64::from(i)]))
            .collect();
        let rows: Vec<&[f64]> = values.iter().map(|row| &row[..]).collect();
        let blocks = Block::of_sorted(&rows, 2);
        let sizes: Vec<usize> = blocks.iter().map(|block| block.n_clusters).collect();
        assert_eq!(sizes, [FREQUENT, BLOCK, FREQUENT - 1 + 1500 - BLOCK]);
        assert_eq!(blocks[0].constant, [(0, 2.0), (1, 5.0)]);
        assert_eq!(
            (&blocks[1].varying[..], &blocks[2].constant[..]),
            (&[0, 1][..], &[(0, 3.0)][..])
        );
    }
}
