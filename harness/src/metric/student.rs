//! How often Student's and Welch's tests find what is there.

use std::f64::consts::FRAC_PI_2;
use std::sync::LazyLock;

use statrs::distribution::{Beta, ChiSquared, Continuous, ContinuousCDF, Normal, StudentsT};

/// Chance of finding what is there that power is stated for.
pub(super) const POWER: f64 = 0.8;

/// Squared standard error of a mean, with its degrees of freedom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SquaredError {
    pub(super) error: f64,
    pub(super) freedom: f64,
}

/// Degrees of freedom of the sum of two independent squared errors (Satterthwaite 1946).
pub(super) fn welch_freedom([a, b]: [SquaredError; 2]) -> f64 {
    (a.error + b.error).powi(2) / (a.error.powi(2) / a.freedom + b.error.powi(2) / b.freedom)
}

/// Student's test as repetitions of it go, each with an error of its own.
pub(super) struct StudentTest {
    /// Of the estimated error.
    freedom: f64,
    /// Critical values, in true standard errors where the error as seen is the true one, and how often each is used: a
    /// single one unless the degrees of freedom are Welch's.
    criticals: Vec<(f64, f64)>,
}

impl StudentTest {
    pub(super) fn new(law: &StudentsT, sides: Option<[SquaredError; 2]>, alpha: f64) -> Self {
        let Some(sides) = sides else {
            return Self {
                freedom: law.freedom(),
                criticals: vec![(-law.inverse_cdf(alpha), 1.0)],
            };
        };
        // The squares of both sides have a chi-squared sum, of which the first has a beta share: independent of the sum,
        // it alone says what Welch's degrees of freedom are, and what the two errors come to.
        let [a, b] = sides;
        let freedom = a.freedom + b.freedom;
        let shares = Beta::new(a.freedom / 2.0, b.freedom / 2.0).expect("both sides have degrees of freedom");
        let mean = a.freedom / freedom;
        let spread = (mean * (1.0 - mean) / (0.5 * freedom + 1.0)).sqrt();
        let (from, to) = ((mean - 5.0 * spread).max(0.0), (mean + 5.0 * spread).min(1.0));
        let mut criticals = Vec::new();
        for (place, weight) in UNIT_INTERVAL.iter().step_by(2) {
            let share = from + (to - from) * place;
            let weight = weight * (to - from) * shares.pdf(share);
            // Half of the places are enough for a power of three digits, and not all of them weigh anything.
            if weight < 1e-7 {
                continue;
            }
            let seen = [(a, share), (b, 1.0 - share)].map(|(side, share)| SquaredError {
                error: side.error * share * freedom / side.freedom,
                ..side
            });
            let law = StudentsT::new(0.0, 1.0, welch_freedom(seen)).expect("some side has an error");
            let error = ((seen[0].error + seen[1].error) / (a.error + b.error)).sqrt();
            criticals.push((-law.inverse_cdf(alpha) * error, weight));
        }
        let sum: f64 = criticals.iter().map(|(_, weight)| weight).sum();
        for (_, weight) in &mut criticals {
            *weight /= sum;
        }
        Self { freedom, criticals }
    }

    /// Chance to show what lies `reach` true standard errors beyond the bound, and its derivative by `reach`.
    fn power(&self, reach: f64) -> (f64, f64) {
        let (mut power, mut slope) = (0.0, 0.0);
        for (critical, weight) in &self.criticals {
            let (of_this, its_slope) = student_power(self.freedom, *critical, reach);
            power += weight * of_this;
            slope += weight * its_slope;
        }
        (power, slope)
    }

    /// How far beyond the bound, in true standard errors, the truth must lie to be shown with the chance [`POWER`].
    pub(super) fn reach(&self) -> f64 {
        // The error as seen is about normal, with this mean and variance if the true one is 1. Newton's method makes that
        // exact in a few steps; where criticals differ by much it may start from where the slope says nothing.
        let critical: f64 = self
            .criticals
            .iter()
            .map(|(critical, weight)| weight * critical)
            .sum();
        let (mean, variance) = (1.0 - 0.25 / self.freedom, 0.5 / self.freedom);
        let luck = Normal::standard().inverse_cdf(POWER) * (1.0 + critical * critical * variance).sqrt();
        let mut reach = critical * mean + luck;
        let (mut low, mut high) = (0.0, f64::INFINITY);
        for _ in 0..100 {
            let (power, slope) = self.power(reach);
            match power < POWER {
                true => low = reach,
                false => high = reach,
            }
            let far = high.min(4.0 * reach);
            let newton = reach + (POWER - power) / slope;
            let next = match (low..=far).contains(&newton) {
                true => newton,
                false => 0.5 * (low + far),
            };
            let step = next - reach;
            reach = next;
            if step.abs() <= 1e-9 * reach.max(1.0) {
                break;
            }
        }
        reach
    }
}

/// Chance that Student's test with this critical value shows what lies `reach` true standard errors beyond the bound, and
/// its derivative by `reach`: the upper tail of the noncentral t.
///
/// It is the mean of `Phi(reach - critical * s)` over `s`, the ratio of the standard error as seen to the true one, whose
/// square times `freedom` is chi-squared. The absolute error is below 1e-9 for any `freedom` of at least 1.
fn student_power(freedom: f64, critical: f64, reach: f64) -> (f64, f64) {
    /// Normal deviates beyond which nothing is left: 1e-12.
    const FAR: f64 = 7.0;
    // Student's law can no longer be told from the normal there, but the density would lose its digits.
    let freedom = freedom.min(1e6);
    let law = ChiSquared::new(freedom).expect("there are degrees of freedom");
    let normal = Normal::standard();
    // Where `s` lies (Wilson and Hilferty 1931). Of that, `Phi` is 1 below the part that is integrated and 0 above it.
    let spread = 2.0 / (9.0 * freedom);
    let s_at = |deviate: f64| (1.0 - spread + deviate * spread.sqrt()).max(0.0).powf(1.5);
    let (least, most) = (s_at(-FAR), s_at(FAR));
    let within = |s: f64| s.clamp(least, most);
    let steep = critical.max(f64::MIN_POSITIVE);
    let (from, to) = (within((reach - FAR) / steep), within((reach + FAR) / steep));
    let mut power = match from > least {
        true => law.cdf(freedom * from * from),
        false => 0.0,
    };
    let mut slope = 0.0;
    for (place, weight) in UNIT_INTERVAL.iter() {
        let s = from + (to - from) * place;
        // Powers in `pdf` overflow beyond some 200 degrees of freedom.
        let density = 2.0 * freedom * s * law.ln_pdf(freedom * s * s).exp();
        let mass = weight * (to - from) * density;
        power += mass * normal.cdf(reach - critical * s);
        slope += mass * normal.pdf(reach - critical * s);
    }
    (power, slope)
}

/// Places in the unit interval and their weights in an integral over it, one that bears an integrand without derivatives
/// at the ends (Takahasi and Mori 1974).
static UNIT_INTERVAL: LazyLock<Vec<(f64, f64)>> = LazyLock::new(|| {
    const STEP: f64 = 0.062;
    let at = |step: i32| {
        let t = STEP * f64::from(step);
        let u = FRAC_PI_2 * t.sinh();
        let weight = STEP * FRAC_PI_2 * t.cosh() / (2.0 * u.cosh().powi(2));
        (1.0 / (1.0 + (-2.0 * u).exp()), weight)
    };
    (-50..=50).map(at).collect()
});

#[cfg(test)]
mod tests {
    use super::super::uncertain::Uncertain;
    use super::*;

    #[test]
    fn the_tail_of_the_noncentral_t_is_that_of_other_programs() {
        // `scipy.stats.nct.sf(critical, freedom, reach)` of SciPy 1; mpmath's quadrature of 25 digits over the density of
        // `s` gives the same 13 digits.
        for (critical, freedom, reach, expected) in [
            (2.776, 4.0, 3.0, 0.619_377_729_892_1),
            (1.943, 6.0, 0.0, 0.050_012_498_904_5),
            (2.92, 2.0, 4.0, 0.803_156_371_281_5),
            (31.82, 1.0, 20.0, 0.470_143_679_149_7),
            (636.6, 1.0, 800.0, 0.791_128_489_467_6),
            (1.2, 1.05, 2.0, 0.803_889_787_588_8),
            (6.5, 2.7, 5.0, 0.398_996_929_247_4),
            (6.2, 14.0, 7.0, 0.726_548_673_938_2),
            (1.66, 100.0, 2.5, 0.799_099_403_246_9),
        ] {
            let (found, slope) = student_power(freedom, critical, reach);
            assert!((found - expected).abs() < 1e-10, "{found} instead of {expected}");
            let [less, more] = [-1e-4, 1e-4].map(|step| student_power(freedom, critical, reach + step).0);
            assert!((slope - (more - less) / 2e-4).abs() < 1e-6, "{slope}");
        }
        // Of 10^9 degrees of freedom it is the normal law.
        let known = Normal::standard().cdf(0.8);
        assert!((student_power(1e9, 1.7, 2.5).0 - known).abs() < 1e-5);
    }

    #[test]
    fn a_student_test_has_the_power_that_is_stated() {
        for freedom in [1.0, 1.3, 2.0, 3.0, 4.0, 10.0, 250.0, 1e5] {
            for alpha in [0.49, 0.05, 0.05 / 12.0, 1e-5] {
                let critical = -StudentsT::new(0.0, 1.0, freedom).unwrap().inverse_cdf(alpha);
                let found = Uncertain::student(0.3, 2.0, freedom);
                let reach = (found.detectable(0.5, alpha).unwrap() - 0.5) / 2.0;
                let power = student_power(freedom, critical, reach).0;
                assert!((power - POWER).abs() < 1e-9, "{freedom}, {alpha}: {power}");
                assert!(found.is_undecidable(1.999 * reach, alpha).unwrap());
                assert!(!found.is_undecidable(2.001 * reach, alpha).unwrap());
            }
        }
    }

    #[test]
    fn criticals_that_differ_by_much_are_found_too() {
        for freedoms in [[1.0, 1.0], [1.0, 2.0], [2.0, 40.0], [400.0, 300.0]] {
            for alpha in [0.49, 0.05, 1e-3, 1e-5] {
                let [a, b] = freedoms.map(|freedom| SquaredError { error: 1.0, freedom });
                let law = StudentsT::new(0.0, 1.0, welch_freedom([a, b])).unwrap();
                let welch = StudentTest::new(&law, Some([a, b]), alpha);
                let reach = welch.reach();
                assert!(
                    (welch.power(reach).0 - POWER).abs() < 1e-8,
                    "{freedoms:?}, {alpha}: {reach}"
                );
                // Never less than if the degrees of freedom were known.
                let known = StudentTest::new(&law, None, alpha).reach();
                assert!(reach > known - 2e-3, "{freedoms:?}, {alpha}: {reach}, {known}");
            }
        }
    }
}
