//! A difference and what the data leave open about it: one-sided bounds and the p-values that belong to them.

use statrs::distribution::{Beta, Binomial, ContinuousCDF, DiscreteCDF, Normal, StudentsT};

use super::MetricError;
use super::bootstrap::tail_size;
use super::student::{POWER, SquaredError, StudentTest, welch_freedom};

/// An estimated difference, larger is better, with the law of its error.
///
/// For every `alpha` and `bound`, [`p_below`](Self::p_below) is at most `alpha` where [`upper`](Self::upper) lies below
/// `bound`, and [`p_above`](Self::p_above) where [`lower`](Self::lower) lies above it: an interval never says anything
/// else than its tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Uncertain {
    estimate: f64,
    law: Law,
}

#[derive(Debug, Clone, PartialEq)]
enum Law {
    /// What resampling gives, sorted, and what few flips leave open.
    Resampled {
        sorted: Vec<f64>,
        flips: Option<NetFlips>,
    },
    /// `estimate + error * t`, with the squared error of each side where the degrees of freedom are Welch's.
    Student {
        error: f64,
        law: StudentsT,
        sides: Option<[SquaredError; 2]>,
    },
    /// `estimate + error * z`.
    Normal { error: f64, law: Normal },
    /// No more is known than the estimate: every sample is the same number.
    Exact,
}

/// Hits won or lost among independent videos.
///
/// Resampling takes what never happened for impossible: evaluations of ten queries without a flip would show that not
/// one in a thousand flips. If losing were as rare as it could be, no other flips beside it, the net number lost were
/// binomial, and no interval may be shorter than its (Clopper and Pearson 1934).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NetFlips {
    /// Videos.
    pub(super) n: u64,
    /// Hits won less hits lost, in videos, a flip adding up to [`size`](Self::size); may be a fraction.
    pub(super) net: f64,
    /// The most that one flip adds: 1, or more under `clip4clip`, where a query counts several times.
    pub(super) size: f64,
}

/// Bounds of the share of which `hits` of `n` were seen, each wrong with a chance of at most `alpha` (Clopper and Pearson
/// 1934).
pub fn share_bounds(hits: u64, n: u64, alpha: f64) -> [f64; 2] {
    let (hits, n) = (hits as f64, n as f64);
    // There is no law where all or none were seen, nor any doubt on that side.
    let quantile =
        |a: f64, b: f64, share: f64, end: f64| Beta::new(a, b).map_or(end, |beta| beta.inverse_cdf(share));
    [
        quantile(hits, n - hits + 1.0, alpha, 0.0),
        quantile(hits + 1.0, n - hits, 1.0 - alpha, 1.0),
    ]
}

impl NetFlips {
    fn binomial(self, share: f64) -> Binomial {
        Binomial::new(share.clamp(0.0, 1.0), self.n).expect("a share is a probability")
    }

    fn upper(self, alpha: f64) -> f64 {
        let net = self.net / self.size;
        self.size
            * match net < 0.0 {
                true => -share_bounds((-net).floor() as u64, self.n, alpha)[0],
                false => share_bounds((net.ceil() as u64).min(self.n), self.n, alpha)[1],
            }
    }

    /// P-value against "the truth is `bound` or more".
    fn p_below(self, bound: f64) -> f64 {
        let (net, bound) = (self.net / self.size, bound / self.size);
        if bound >= 0.0 && net >= 0.0 {
            return self.binomial(bound).cdf(net.ceil() as u64);
        }
        let lost = (-net).floor();
        match bound < 0.0 && lost >= 1.0 {
            true => self.binomial(-bound).sf(lost as u64 - 1),
            // Something lost lies below every gain; nothing lost lies below no loss.
            false if bound >= 0.0 => 0.0,
            false => 1.0,
        }
    }

    fn mirrored(self) -> Self {
        Self {
            net: -self.net,
            ..self
        }
    }
}

impl Uncertain {
    /// From resamples, in any order; `flips` where each query either hits or misses and videos are few or flips rare.
    pub(super) fn resampled(estimate: f64, mut resamples: Vec<f64>, flips: Option<NetFlips>) -> Self {
        resamples.sort_unstable_by(f64::total_cmp);
        Self {
            estimate,
            law: Law::Resampled {
                sorted: resamples,
                flips,
            },
        }
    }

    /// From a standard error that was estimated with so many degrees of freedom.
    pub fn student(estimate: f64, error: f64, freedom: f64) -> Self {
        Self::student_of(estimate, error, freedom, None)
    }

    fn student_of(estimate: f64, error: f64, freedom: f64, sides: Option<[SquaredError; 2]>) -> Self {
        let law = match StudentsT::new(0.0, 1.0, freedom) {
            Ok(law) if error > 0.0 => Law::Student { error, law, sides },
            _ => Law::Exact,
        };
        Self { estimate, law }
    }

    /// From a known standard error.
    pub fn normal(estimate: f64, error: f64) -> Self {
        let law = match error > 0.0 {
            true => Law::Normal {
                error,
                law: Normal::standard(),
            },
            false => Law::Exact,
        };
        Self { estimate, law }
    }

    /// The difference.
    pub fn estimate(&self) -> f64 {
        self.estimate
    }

    /// P-value against "the truth is `bound` or more": small where the difference is shown to lie below.
    pub fn p_below(&self, bound: f64) -> f64 {
        match &self.law {
            Law::Resampled { sorted, flips } => {
                let not_below = sorted.len() - sorted.partition_point(|&value| value < bound);
                let p = (not_below + 1) as f64 / (sorted.len() + 1) as f64;
                flips.map_or(p, |flips| p.max(flips.p_below(bound)))
            }
            Law::Student { error, law, .. } => law.cdf((self.estimate - bound) / error),
            Law::Normal { error, law } => law.cdf((self.estimate - bound) / error),
            Law::Exact => f64::from(u8::from(self.estimate >= bound)),
        }
    }

    /// P-value against "the truth is `bound` or less": small where the difference is shown to lie above.
    pub fn p_above(&self, bound: f64) -> f64 {
        match &self.law {
            Law::Resampled { sorted, flips } => {
                let not_above = sorted.partition_point(|&value| value <= bound);
                let p = (not_above + 1) as f64 / (sorted.len() + 1) as f64;
                flips.map_or(p, |flips| p.max(flips.mirrored().p_below(-bound)))
            }
            Law::Student { error, law, .. } => law.cdf((bound - self.estimate) / error),
            Law::Normal { error, law } => law.cdf((bound - self.estimate) / error),
            Law::Exact => f64::from(u8::from(self.estimate <= bound)),
        }
    }

    /// Bound that the truth exceeds with a chance of at most `alpha`.
    ///
    /// # Errors
    /// [`MetricError::Resamples`] when there are too few for this `alpha`.
    pub fn upper(&self, alpha: f64) -> Result<f64, MetricError> {
        Ok(match &self.law {
            Law::Resampled { sorted, flips } => {
                // The tail of a central interval is half of its `alpha`.
                let bound = sorted[sorted.len() - tail_size(sorted.len(), 2.0 * alpha)?];
                flips.map_or(bound, |flips| bound.max(flips.upper(alpha)))
            }
            Law::Student { error, law, .. } => self.estimate - error * law.inverse_cdf(alpha),
            Law::Normal { error, law } => self.estimate - error * law.inverse_cdf(alpha),
            Law::Exact => self.estimate,
        })
    }

    /// Bound that the truth falls below with a chance of at most `alpha`.
    ///
    /// # Errors
    /// As [`upper`](Self::upper).
    pub fn lower(&self, alpha: f64) -> Result<f64, MetricError> {
        Ok(match &self.law {
            Law::Resampled { sorted, flips } => {
                let bound = sorted[tail_size(sorted.len(), 2.0 * alpha)? - 1];
                flips.map_or(bound, |flips| bound.min(-flips.mirrored().upper(alpha)))
            }
            Law::Student { error, law, .. } => self.estimate + error * law.inverse_cdf(alpha),
            Law::Normal { error, law } => self.estimate + error * law.inverse_cdf(alpha),
            Law::Exact => self.estimate,
        })
    }

    /// Smallest drop that a test at `alpha` against `margin` tells from one within the margin, four times in five, if
    /// the error keeps its law and the error that was seen is the true one.
    ///
    /// An error that is estimated anew in each repetition is at times too large by luck, and so are Welch's degrees of
    /// freedom at times too few. That is part of the answer where the law is Student's; resamples are taken to spread alike
    /// in all repetitions.
    ///
    /// # Errors
    /// As [`upper`](Self::upper).
    pub fn detectable(&self, margin: f64, alpha: f64) -> Result<f64, MetricError> {
        Ok(margin + self.reach_below(alpha)?)
    }

    /// Smallest difference, in whichever direction is the harder, that one of two tests at `alpha` against 0 finds four
    /// times in five, on the terms of [`detectable`](Self::detectable).
    ///
    /// # Errors
    /// As [`upper`](Self::upper).
    pub fn detectable_either_way(&self, alpha: f64) -> Result<f64, MetricError> {
        match self.student_reach(alpha) {
            Some(reach) => Ok(reach),
            None => Ok(self.reach_below(alpha)?.max(self.reach_above(alpha)?)),
        }
    }

    /// Whether a candidate that is as good as the reference is shown to be within the margin less often than four times
    /// in five, on the terms of [`detectable`](Self::detectable).
    ///
    /// # Errors
    /// As [`upper`](Self::upper).
    pub fn is_undecidable(&self, margin: f64, alpha: f64) -> Result<bool, MetricError> {
        Ok(self.reach_above(alpha)? > margin)
    }

    /// How far from a bound the truth must lie, where the law is Student's and thus alike on both sides.
    fn student_reach(&self, alpha: f64) -> Option<f64> {
        match &self.law {
            Law::Student { error, law, sides } => Some(error * StudentTest::new(law, *sides, alpha).reach()),
            _ => None,
        }
    }

    /// How far below a bound the truth must lie to be shown to lie below it four times in five.
    fn reach_below(&self, alpha: f64) -> Result<f64, MetricError> {
        if let Some(reach) = self.student_reach(alpha) {
            return Ok(reach);
        }
        let slack = self.upper(alpha)? - self.estimate;
        let luck = self.estimate - self.lower(1.0 - POWER)?;
        Ok(slack + luck)
    }

    /// How far above a bound the truth must lie to be shown to lie above it four times in five.
    fn reach_above(&self, alpha: f64) -> Result<f64, MetricError> {
        if let Some(reach) = self.student_reach(alpha) {
            return Ok(reach);
        }
        let slack = self.estimate - self.lower(alpha)?;
        let luck = self.upper(1.0 - POWER)? - self.estimate;
        Ok(slack + luck)
    }
}

/// Mean of `candidate` less that of `reference`, independent samples of unequal spread (Welch 1947).
///
/// # Errors
/// [`MetricError::NothingToCompare`] for fewer than two values on a side.
pub fn welch(reference: &[f64], candidate: &[f64]) -> Result<Uncertain, MetricError> {
    let sides = [reference, candidate].map(squared_error);
    let [Some((a, reference)), Some((b, candidate))] = sides else {
        return Err(MetricError::NothingToCompare);
    };
    let error = (a.error + b.error).sqrt();
    let freedom = welch_freedom([a, b]);
    Ok(Uncertain::student_of(
        candidate - reference,
        error,
        freedom,
        Some([a, b]),
    ))
}

/// Mean of differences of pairs.
///
/// # Errors
/// [`MetricError::NothingToCompare`] for fewer than two.
pub fn paired_mean(differences: &[f64]) -> Result<Uncertain, MetricError> {
    match squared_error(differences) {
        Some((SquaredError { error, freedom }, mean)) => Ok(Uncertain::student(mean, error.sqrt(), freedom)),
        None => Err(MetricError::NothingToCompare),
    }
}

/// And the mean; `None` for fewer than two values.
fn squared_error(values: &[f64]) -> Option<(SquaredError, f64)> {
    if values.len() < 2 {
        return None;
    }
    let (n, mean) = (values.len() as f64, super::contrast::mean(values));
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let freedom = n - 1.0;
    let error = squares / freedom / n;
    Some((SquaredError { error, freedom }, mean))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }

    #[test]
    fn student_bounds_are_those_of_the_table() {
        // t of 4 degrees of freedom: 2.131847 at 5 %, 0.940965 at 20 %.
        let difference = welch(&[1.0, 2.0, 3.0], &[2.0, 3.0, 4.0]).unwrap();
        let error = (2.0_f64 / 3.0).sqrt();
        let plain = Uncertain::student(1.0, error, 4.0);
        close(difference.estimate(), 1.0);
        close(difference.upper(0.05).unwrap(), 1.0 + 2.131_847 * error);
        close(difference.lower(0.05).unwrap(), 1.0 - 2.131_847 * error);
        close(difference.p_below(1.0 + 2.131_847 * error), 0.05);
        close(difference.p_above(1.0 - 2.131_847 * error), 0.05);
        // Not the sum of the two quantiles, 3.072812: the noncentral t of 3.039751 exceeds 2.131847 four times in five.
        close(plain.detectable(0.5, 0.05).unwrap(), 0.5 + 3.039_751 * error);
        // Welch's degrees of freedom are 4 here, but fewer in most repetitions.
        assert!(difference.detectable(0.5, 0.05).unwrap() > 0.5 + 3.2 * error);
        // A symmetrical law: what a drop takes, a gain takes too.
        close(
            difference.detectable_either_way(0.05).unwrap(),
            difference.detectable(0.0, 0.05).unwrap(),
        );
        assert!(plain.is_undecidable(2.48, 0.05).unwrap());
        assert!(!plain.is_undecidable(2.49, 0.05).unwrap());
    }

    #[test]
    fn a_side_without_spread_leaves_the_test_to_the_other() {
        let values = [1.0, 2.0, 4.0];
        for (reference, candidate) in [(values, [1.0; 3]), ([1.0; 3], values)] {
            let found = welch(&reference, &candidate).unwrap();
            let error = squared_error(&values).unwrap().0.error.sqrt();
            let expected = Uncertain::student(0.0, error, 2.0).detectable(0.5, 0.01).unwrap();
            let found = found.detectable(0.5, 0.01).unwrap();
            assert!((found - expected).abs() < 1e-3, "{found} instead of {expected}");
        }
    }

    #[test]
    fn a_drop_between_few_samples_is_found_as_often_as_is_stated() {
        const N: usize = 10_000;
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut draw = |n: usize, mean: f64, spread: f64| -> Vec<f64> {
            let mut normal = || rng.sample::<f64, _>(StandardNormal);
            (0..n).map(|_| mean + spread * normal()).collect()
        };
        for (sizes, spreads, alpha) in [
            ([3, 3], [1.0, 1.0], 0.05),
            ([3, 3], [1.0, 1.0], 0.05 / 12.0),
            ([3, 8], [1.0, 3.0], 0.05 / 12.0),
        ] {
            let side = |i: usize| SquaredError {
                error: spreads[i] * spreads[i] / sizes[i] as f64,
                freedom: sizes[i] as f64 - 1.0,
            };
            let [a, b] = [side(0), side(1)];
            let error = (a.error + b.error).sqrt();
            let truth = Uncertain::student_of(0.0, error, welch_freedom([a, b]), Some([a, b]));
            let drop = truth.detectable(0.5, alpha).unwrap();
            let equal = (0..N).filter(|_| {
                let [before, after] = [draw(sizes[0], 0.0, spreads[0]), draw(sizes[1], -drop, spreads[1])];
                welch(&before, &after).unwrap().upper(alpha).unwrap() < -0.5
            });
            // Three standard errors of a share of 10,000 are 1.2 %.
            let share = equal.count() as f64 / N as f64;
            assert!((share - POWER).abs() < 0.012, "{sizes:?}, {alpha}: {share}");
        }
    }

    #[test]
    fn a_known_error_has_the_bounds_of_the_normal_law() {
        let found = Uncertain::normal(1.0, 2.0);
        close(found.upper(0.05).unwrap(), 1.0 + 1.644_854 * 2.0);
        close(found.lower(0.05).unwrap(), 1.0 - 1.644_854 * 2.0);
        close(found.p_below(1.0 + 1.644_853_6 * 2.0), 0.05);
        close(found.p_above(1.0 - 1.644_853_6 * 2.0), 0.05);
        assert_eq!(Uncertain::normal(1.0, 0.0).upper(0.05).unwrap(), 1.0);
    }

    #[test]
    fn unequal_spreads_lose_degrees_of_freedom() {
        // One side without spread: the other's 2 degrees are all; t of 2 at 5 % is 2.919986.
        let difference = welch(&[1.0, 1.0, 1.0], &[2.0, 3.0, 4.0]).unwrap();
        close(difference.lower(0.05).unwrap(), 2.0 - 2.919_986 / 3.0_f64.sqrt());
        let pairs = paired_mean(&[1.0, 2.0, 3.0]).unwrap();
        close(pairs.upper(0.05).unwrap(), 2.0 + 2.919_986 / 3.0_f64.sqrt());
        assert!(welch(&[1.0], &[1.0, 2.0]).is_err() && paired_mean(&[1.0]).is_err());
    }

    #[test]
    fn equal_samples_are_exact() {
        let same = welch(&[2.0, 2.0], &[2.0, 2.0]).unwrap();
        assert_eq!((same.upper(0.01).unwrap(), same.lower(0.01).unwrap()), (0.0, 0.0));
        assert_eq!((same.p_above(-0.1), same.p_below(-0.1)), (0.0, 1.0));
    }

    #[test]
    fn a_bound_of_resamples_is_the_order_statistic_of_its_test() {
        let values: Vec<f64> = (1..=99).map(f64::from).collect();
        let found = Uncertain::resampled(50.0, values, None);
        for alpha in [0.01, 0.05, 0.2] {
            let (low, high) = (found.lower(alpha).unwrap(), found.upper(alpha).unwrap());
            assert_eq!(high, 100.0 - 100.0 * alpha);
            assert_eq!(low, 100.0 * alpha);
            assert!(found.p_below(high + 0.5) <= alpha && found.p_below(high) > alpha);
            assert!(found.p_above(low - 0.5) <= alpha && found.p_above(low) > alpha);
        }
        assert!(found.upper(0.009).is_err());
    }

    #[test]
    fn no_flip_among_few_shows_little() {
        let none = NetFlips {
            n: 10,
            net: 0.0,
            size: 1.0,
        };
        let found = Uncertain::resampled(0.0, vec![0.0; 999], Some(none));
        // Nothing in ten: a share of 1 - 0.05^(1/10) = 25.9 % would give that in 5 % of all draws.
        close(found.lower(0.05).unwrap(), -0.258_866);
        close(found.upper(0.05).unwrap(), 0.258_866);
        close(found.p_above(found.lower(0.05).unwrap()), 0.05);
        assert!(found.p_above(-0.01) > 0.9);
        assert_eq!(found.p_below(-0.01), 1.0);
    }

    #[test]
    fn few_flips_are_judged_by_the_binomial_law() {
        // Three of twenty lost: Clopper-Pearson 95 % bounds of 3 / 20 are 0.042169 and 0.343664.
        let lost = NetFlips {
            n: 20,
            net: -3.0,
            size: 1.0,
        };
        let found = Uncertain::resampled(-0.15, vec![-0.15; 999], Some(lost));
        close(found.upper(0.05).unwrap(), -0.042_169);
        close(found.lower(0.05).unwrap(), -0.343_664);
        close(found.p_below(found.upper(0.05).unwrap()), 0.05);
        close(found.p_above(found.lower(0.05).unwrap()), 0.05);
        let won = Uncertain::resampled(0.15, vec![0.15; 999], Some(lost.mirrored()));
        close(won.lower(0.05).unwrap(), 0.042_169);
        close(won.p_above(won.lower(0.05).unwrap()), 0.05);
        assert_eq!((won.p_above(-0.1), won.p_below(-0.1)), (0.001, 1.0));
        // Three flips that count twice each.
        let twice = NetFlips {
            net: -6.0,
            size: 2.0,
            ..lost
        };
        let twice = Uncertain::resampled(-0.3, vec![-0.3; 999], Some(twice));
        close(twice.upper(0.05).unwrap(), -2.0 * 0.042_169);
        close(twice.lower(0.05).unwrap(), -2.0 * 0.343_664);
        close(twice.p_below(twice.upper(0.05).unwrap()), 0.05);
        // Of few flips the bound away from 0 is the nearer one: a difference that way would be found sooner.
        let [one, other] = [&found, &won].map(|found| found.detectable_either_way(0.05).unwrap());
        close(one, other);
        assert!(one > found.detectable(0.0, 0.05).unwrap() + 0.02);
    }
}
