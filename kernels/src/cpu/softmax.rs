//! Weights of a softmax over keys that arrive in blocks, with sums that do not depend on the order.
//!
//! Logits are taken to base 2: `t = score * log2(e) / T`. The weight of a key is `2^(t - e)` with one whole `e` a
//! query, a multiple of [`STEP`] at or above every `t` so far; when it rises, what was summed is scaled by a
//! power of two, which is exact. `2^t` is a polynomial of the fraction of `t` times a power of two, so the digits
//! of a weight are a pure function of its score.
//!
//! The sum of the weights is kept in [`BINS`] numbers, each a whole multiple of a unit [`STEP`] binary digits below
//! the one before (as the reproducible sums of Demmel and Nguyen, ARITH 2013). The part of a weight that falls
//! to a bin and those above does not depend on other weights, additions within a bin are exact below 2^23 terms,
//! and when `e` rises by one step every bin becomes the next lower one. So the digits that remain in the end are the
//! same ones in whatever order keys come.

use super::isa::{Body, Lanes, multiply_add};

/// Digits between the units of two bins.
const STEP: f32 = 30.0;
/// Bins kept.
const BINS: usize = 3;
/// `x + ROUND - ROUND` is `x` rounded to a whole number, for `|x| < 2^22`.
const ROUND: f32 = 1.5 * (1 << 23) as f32;
/// `ln(2)^n / n!`: the series of `2^x`, good to 1e-8 for `|x| <= 0.5`.
const EXP2: [f32; 8] = [
    1.0,
    std::f32::consts::LN_2,
    0.240_226_5,
    0.055_504_11,
    0.009_618_129,
    0.001_333_355_8,
    0.000_154_035_3,
    0.000_015_252_733,
];
/// Lanes whose bins are summed at a time.
const BLOCK: usize = 8;

/// What is known of the keys that `N` queries have met.
#[derive(Debug, Clone)]
pub(super) struct Softmax<const N: usize> {
    /// `e`.
    pub(super) exponent: [f32; N],
    bins: [[f64; N]; BINS],
    /// Best score.
    pub(super) best: [f32; N],
    /// Sum of the scores.
    pub(super) score_sum: [f64; N],
}

/// `2^n` for the exponents of normal numbers. Sums are exact only with exact units, which `exp2` of the standard
/// library does not promise.
fn power_of_two(n: i32) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

/// The lowest `e` for a logit.
fn exponent_for(t: f32) -> f32 {
    ((f64::from(t) / f64::from(STEP)).ceil() * f64::from(STEP)) as f32
}

impl<const N: usize> Softmax<N> {
    /// No keys yet; `own` are the logits of the positives, to base 2.
    pub(super) fn new(own: &[f32; N]) -> Self {
        Self {
            exponent: own.map(exponent_for),
            bins: [[0.0; N]; BINS],
            best: [f32::NEG_INFINITY; N],
            score_sum: [0.0; N],
        }
    }

    /// Raises `e` where a logit of `best` needs it. Gives the factors by which weighted sums must be scaled, unless
    /// all of them are 1.
    pub(super) fn raise(&mut self, scale: f32) -> Option<[f32; N]> {
        let mut needed = self.exponent;
        for (needed, best) in needed.iter_mut().zip(self.best) {
            if best * scale > *needed {
                *needed = exponent_for(best * scale);
            }
        }
        self.raise_to(needed)
    }

    fn raise_to(&mut self, needed: [f32; N]) -> Option<[f32; N]> {
        if needed == self.exponent {
            return None;
        }
        let mut factors = [1.0; N];
        for m in 0..N {
            let steps = ((needed[m] - self.exponent[m]) / STEP) as usize;
            let factor = power_of_two(-(STEP as i32) * steps.min(16) as i32);
            for b in (0..BINS).rev() {
                self.bins[b][m] = if b >= steps {
                    self.bins[b - steps][m] * factor
                } else {
                    0.0
                };
            }
            factors[m] = factor as f32;
        }
        self.exponent = needed;
        Some(factors)
    }

    /// Joins what other keys gave. Gives the factors for weighted sums of this and of the other side.
    pub(super) fn merge(&mut self, mut other: Self) -> ([f32; N], [f32; N]) {
        let mut needed = self.exponent;
        for (needed, other) in needed.iter_mut().zip(other.exponent) {
            *needed = needed.max(other);
        }
        let factors = [self.raise_to(needed), other.raise_to(needed)].map(|f| f.unwrap_or([1.0; N]));
        for m in 0..N {
            for b in 0..BINS {
                self.bins[b][m] += other.bins[b][m];
            }
            self.best[m] = self.best[m].max(other.best[m]);
            self.score_sum[m] += other.score_sum[m];
        }
        (factors[0], factors[1])
    }

    /// Sum of the weights of query `m`, from the digits of all bins: these may lie in other bins after another
    /// order of keys, but together they are the same.
    pub(super) fn sum(&self, m: usize) -> f64 {
        let unit = power_of_two(STEP as i32);
        let (mut digits, mut scale) = (0_i128, 1.0);
        for bin in &self.bins {
            scale *= unit;
            digits = (digits << STEP as u32) + (bin[m] * scale) as i128;
        }
        digits as f64 / scale
    }
}

/// `2^(t - exponent)` with `t = score * scale`, 0 if that is below 2^-126. `t` must not exceed `exponent`; minus
/// infinity gives 0.
#[inline(always)]
fn weight<const FMA: bool>(score: f32, scale: f32, exponent: f32) -> f32 {
    let t = score * scale;
    let floor = exponent - 200.0;
    let t = if t > floor { t } else { floor };
    let whole = (t + ROUND) - ROUND;
    let fraction = t - whole;
    let mut power = EXP2[7];
    for coefficient in EXP2[..7].iter().rev() {
        power = multiply_add::<FMA>(power, fraction, *coefficient);
    }
    // The low bits of `x + ROUND` are the whole number x.
    let shift = (whole - exponent + ROUND).to_bits() as i32 - ROUND.to_bits() as i32;
    let shift = if shift > -127 { shift } else { -127 };
    power * f32::from_bits(((shift + 127) as u32) << 23)
}

/// Learns best and sum of the scores of `rows`; minus infinity marks keys that are left out.
pub(super) struct Survey<'a, const MR: usize> {
    pub(super) rows: &'a [Lanes<MR>],
    pub(super) softmax: &'a mut Softmax<MR>,
}

impl<const MR: usize> Body for Survey<'_, MR> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut best = self.softmax.best;
        let mut sum = [0.0_f32; MR];
        for row in self.rows {
            for m in 0..MR {
                let score = row[m];
                best[m] = if score > best[m] { score } else { best[m] };
                sum[m] += if score > f32::NEG_INFINITY { score } else { 0.0 };
            }
        }
        self.softmax.best = best;
        for (total, sum) in self.softmax.score_sum.iter_mut().zip(sum) {
            *total += f64::from(sum);
        }
    }
}

/// Turns scores into weights and sums them.
pub(super) struct Weigh<'a, const MR: usize> {
    pub(super) rows: &'a mut [Lanes<MR>],
    pub(super) softmax: &'a mut Softmax<MR>,
    pub(super) scale: f32,
}

impl<const MR: usize> Body for Weigh<'_, MR> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let exponent = self.softmax.exponent;
        for row in self.rows.iter_mut() {
            for m in 0..MR {
                row[m] = weight::<FMA>(row[m], self.scale, exponent[m]);
            }
        }
        // Adding and subtracting 1.5 * 2^(52 - d) rounds to d binary digits.
        let units = [30, 60, 90].map(|digits| 1.5 * power_of_two(52 - digits));
        for start in (0..MR).step_by(BLOCK) {
            let mut bins = [[0.0_f64; BLOCK]; BINS];
            for row in self.rows.iter() {
                for lane in 0..BLOCK {
                    let mut rest = f64::from(row[start + lane]);
                    for (bin, unit) in bins.iter_mut().zip(units) {
                        let part = (rest + unit) - unit;
                        bin[lane] += part;
                        rest -= part;
                    }
                }
            }
            for (total, bin) in self.softmax.bins.iter_mut().zip(bins) {
                for lane in 0..BLOCK {
                    total[start + lane] += bin[lane];
                }
            }
        }
    }
}

/// What is known of a query once it has met all of its keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// `e`.
    pub(super) exponent: f32,
    /// 1 / sum of all weights, the positive's included.
    pub(super) inverse: f32,
    /// Share of the negatives in the sum.
    pub(super) negative_share: f64,
}

/// Turns scores into shares.
pub(super) struct Share<'a, const MR: usize> {
    /// One row a query, lanes are keys.
    pub(super) rows: &'a mut [Lanes<MR>],
    /// Of the query of each row.
    pub(super) known: &'a [Known],
    pub(super) scale: f32,
}

impl<const MR: usize> Body for Share<'_, MR> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (row, known) in self.rows.iter_mut().zip(self.known) {
            for score in row.iter_mut() {
                *score = weight::<FMA>(*score, self.scale, known.exponent) * known.inverse;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::isa::Isa;
    use crate::cpu::scalar::{MR, Scalar};

    const SCALE: f32 = std::f32::consts::LOG2_E / 0.07;

    fn take(softmax: &mut Softmax<MR>, scores: &[f32]) {
        let mut rows: Vec<Lanes<MR>> = scores.iter().map(|score| [*score; MR]).collect();
        Scalar.vectorize(Survey { rows: &rows, softmax });
        softmax.raise(SCALE);
        let rows = &mut rows;
        Scalar.vectorize(Weigh {
            rows,
            softmax,
            scale: SCALE,
        });
    }

    #[test]
    fn weights_are_powers_of_two_of_the_logits() {
        for (score, exponent) in [
            (0.0, 0.0),
            (0.0, 30.0),
            (0.73, 30.0),
            (-0.9, 0.0),
            (-3.0, 30.0),
            (1.4, 30.0),
        ] {
            let found = f64::from(weight::<false>(score, SCALE, exponent));
            let t = f64::from(score * SCALE) - f64::from(exponent);
            assert!(
                (found - t.exp2()).abs() <= 3e-7 * t.exp2() + 1e-38,
                "{score} {exponent}: {found}"
            );
        }
        assert_eq!(weight::<false>(f32::NEG_INFINITY, SCALE, 30.0), 0.0);
        assert_eq!(weight::<false>(-10.0, SCALE, 0.0), 0.0);
    }

    #[test]
    fn powers_of_two_are_exact() {
        assert_eq!(
            [0, 30, -38, -480, 1023, -1022].map(power_of_two),
            [
                1.0,
                1_073_741_824.0,
                3.637_978_807_091_713e-12,
                3.203_332_952_292_961_5e-145,
                2.0_f64.powi(1023),
                f64::MIN_POSITIVE
            ]
        );
    }

    #[test]
    fn the_sum_is_the_same_in_any_order_and_grouping() {
        // Logits from -60 to 180, so that `e` rises several times on the way.
        let scores: Vec<f32> = (0..500)
            .map(|i| ((i * 7919) % 500) as f32 * 0.0233 - 3.0)
            .collect();
        let own = [-2.5 * SCALE; MR];
        let mut all = Softmax::new(&own);
        take(&mut all, &scores);
        let exact: f64 = scores
            .iter()
            .map(|score| (f64::from(score * SCALE) - f64::from(all.exponent[0])).exp2())
            .sum();
        assert!((all.sum(0) / exact - 1.0).abs() < 1e-6);

        let mut ascending = scores.clone();
        ascending.sort_by(f32::total_cmp);
        let descending: Vec<f32> = ascending.iter().rev().copied().collect();
        for order in [ascending, descending, scores] {
            for block in [1, 7, 500] {
                let mut grouped = Softmax::new(&own);
                for block in order.chunks(block) {
                    take(&mut grouped, block);
                }
                let mut merged = Softmax::new(&own);
                for half in [&order[250..], &order[..250]] {
                    let mut other = Softmax::new(&own);
                    take(&mut other, half);
                    merged.merge(other);
                }
                for found in [grouped, merged] {
                    assert_eq!(found.exponent, all.exponent);
                    assert_eq!(found.sum(3).to_bits(), all.sum(3).to_bits(), "blocks of {block}");
                }
            }
        }
    }
}
