//! Many differences, each held against a margin, in one family: what was made worse, what was not, what is open.
//!
//! Every difference has three one-sided tests. *Regressed*: it lies below `-margin`. *Equivalent*: it does not, which is
//! non-inferiority; a gain is no offence. *Improved*: it lies above 0. Holm's method runs at `alpha` over the first tests
//! of all rows, separately over the second ones, and separately over the third ones. So the chance that anything within
//! its margin is called regressed is at most `alpha`, so is the chance that anything beyond it is called equivalent, and
//! so is the chance that anything is called improved that is not, whatever depends on what.
//!
//! The interval of a row runs from the bound of its second test to that of its first, each at the level at which the row
//! was judged; the lower end of an improved row is the bound of its third test, and no other row's exceeds 0 (as with
//! the bounds of Strassburger and Bretz 2008). So interval and verdict cannot disagree.

use super::{MetricError, Uncertain};

/// A difference and the loss that is allowed, in the same unit, at least 0.
#[derive(Debug, Clone, PartialEq)]
pub struct MarginTest {
    /// The difference, larger is better.
    pub difference: Uncertain,
    /// The margin.
    pub margin: f64,
}

/// What the data say about a difference and its margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarginVerdict {
    /// Worse by more than the margin.
    Regressed,
    /// Not worse by the margin or more.
    Equivalent,
    /// Better than the reference.
    Improved,
    /// None of these is shown.
    Inconclusive,
}

/// One row, judged among the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Level of the bound `low`: that of the test for equivalence, or for a gain that was found. Holm's method takes it from
    /// the data; over all rows together the chance of a bound beyond the truth is at most `alpha`.
    pub alpha_low: f64,
    /// Level of the bound `high`: that of the test for a regression.
    pub alpha_high: f64,
    /// P-value of the test for a regression, not adjusted.
    pub p_regressed: f64,
    /// P-value of the test for equivalence, not adjusted.
    pub p_equivalent: f64,
    /// P-value of the test for a gain, not adjusted.
    pub p_improved: f64,
    /// The verdict.
    pub verdict: MarginVerdict,
}

/// Judges a family, in the order given.
///
/// # Errors
/// [`MetricError::Resamples`] when a difference has too few resamples for `alpha` over the number of rows.
pub fn judge(family: &[MarginTest], alpha: f64) -> Result<Vec<Judgement>, MetricError> {
    let p_regressed: Vec<f64> = family
        .iter()
        .map(|test| test.difference.p_below(-test.margin))
        .collect();
    let p_equivalent: Vec<f64> = family
        .iter()
        .map(|test| test.difference.p_above(-test.margin))
        .collect();
    let high = step_down(&p_regressed, alpha, |row, alpha| {
        let bound = family[row].difference.upper(alpha)?;
        Ok((bound, bound < -family[row].margin))
    })?;
    let low = step_down(&p_equivalent, alpha, |row, alpha| {
        let bound = family[row].difference.lower(alpha)?;
        Ok((bound, bound > -family[row].margin))
    })?;
    let p_improved: Vec<f64> = family.iter().map(|test| test.difference.p_above(0.0)).collect();
    let gain = step_down(&p_improved, alpha, |row, alpha| {
        let bound = family[row].difference.lower(alpha)?;
        Ok((bound, bound > 0.0))
    })?;
    let rows = family.iter().zip(low).zip(high).zip(gain).enumerate();
    Ok(rows
        .map(|(row, (((test, low), high), gain))| {
            let is_improved = gain.bound > 0.0;
            let low = if is_improved { gain } else { low };
            Judgement {
                low: if is_improved {
                    low.bound
                } else {
                    low.bound.min(0.0)
                },
                high: high.bound,
                alpha_low: low.alpha,
                alpha_high: high.alpha,
                p_regressed: p_regressed[row],
                p_equivalent: p_equivalent[row],
                p_improved: p_improved[row],
                verdict: if high.bound < -test.margin {
                    MarginVerdict::Regressed
                } else if is_improved {
                    MarginVerdict::Improved
                } else if low.bound > -test.margin {
                    MarginVerdict::Equivalent
                } else {
                    MarginVerdict::Inconclusive
                },
            }
        })
        .collect())
}

/// A bound and the level that it has.
#[derive(Debug, Clone, Copy)]
struct Bound {
    bound: f64,
    alpha: f64,
}

/// Holm's method: the `i`-th smallest of `m` p-values is held against `alpha / (m - i)`, `i` from 0, until the first that
/// fails, at whose level all larger ones are held. `bound_at` gives a row's bound at a level, and whether it is rejected.
fn step_down(
    p_values: &[f64],
    alpha: f64,
    bound_at: impl Fn(usize, f64) -> Result<(f64, bool), MetricError>,
) -> Result<Vec<Bound>, MetricError> {
    let n = p_values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut bounds = vec![Bound { bound: 0.0, alpha }; n];
    let mut failed_at = None;
    for (rank, row) in order.into_iter().enumerate() {
        let alpha = failed_at.unwrap_or(alpha / (n - rank) as f64);
        let (bound, rejected) = bound_at(row, alpha)?;
        bounds[row] = Bound { bound, alpha };
        if !rejected {
            failed_at = Some(alpha);
        }
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A difference with a standard error of 1.
    fn test(estimate: f64, margin: f64) -> MarginTest {
        MarginTest {
            difference: Uncertain::normal(estimate, 1.0),
            margin,
        }
    }

    #[test]
    fn each_verdict_has_its_place() {
        let family = [test(-9.0, 1.0), test(0.0, 5.0), test(9.0, 1.0), test(-1.0, 1.0)];
        let found = judge(&family, 0.05).unwrap();
        let verdicts: Vec<MarginVerdict> = found.iter().map(|row| row.verdict).collect();
        use MarginVerdict::*;
        assert_eq!(verdicts, [Regressed, Equivalent, Improved, Inconclusive]);
        // Regressed: 1 of 4 rejected, the others at the level of the second step.
        let alphas: Vec<f64> = found.iter().map(|row| row.alpha_high).collect();
        assert_eq!(alphas, [0.0125, 0.05 / 3.0, 0.05 / 3.0, 0.05 / 3.0]);
        // Equivalent: 9 first, 0 second, then -1, which fails at 0.025 and takes -9 with it. Improved: 9 first, alone.
        let alphas: Vec<f64> = found.iter().map(|row| row.alpha_low).collect();
        assert_eq!(alphas, [0.025, 0.05 / 3.0, 0.0125, 0.025]);
    }

    #[test]
    fn a_row_alone_is_held_against_alpha_and_no_row_is_none() {
        // The normal quantile of 5 % is 1.644854.
        let found = judge(&[test(-2.7, 1.0)], 0.05).unwrap()[0];
        assert!((found.high - (-2.7 + 1.644_854)).abs() < 1e-4, "{found:?}");
        assert_eq!(found.verdict, MarginVerdict::Regressed);
        assert_eq!(
            judge(&[test(-2.6, 1.0)], 0.05).unwrap()[0].verdict,
            MarginVerdict::Inconclusive
        );
        assert_eq!(judge(&[], 0.05).unwrap(), []);
    }

    #[test]
    fn gains_are_a_family_of_their_own() {
        // All are equivalent, the last at 5 %, where 1.9 lies above 0; among three gains it would have to reach 2.13.
        let found = judge(&[test(1.9, 6.0), test(0.5, 6.0), test(0.0, 6.0)], 0.05).unwrap();
        assert!(found.iter().all(|row| row.verdict == MarginVerdict::Equivalent));
        let found = judge(&[test(2.2, 6.0), test(0.5, 6.0), test(1.8, 0.5)], 0.05).unwrap();
        assert_eq!(found[0].verdict, MarginVerdict::Improved);
        assert!((found[0].low - (2.2 - 2.128_045)).abs() < 1e-4, "{found:?}");
        // 1.8 is the last to be found equivalent, at 5 %, where it lies above 0; as a gain it is held against half of that.
        assert_eq!((found[2].verdict, found[2].low), (MarginVerdict::Equivalent, 0.0));
    }

    #[test]
    fn intervals_and_verdicts_agree_with_adjusted_p_values() {
        // Differences all over the place, in families of several sizes.
        for n in 1..12 {
            let family: Vec<MarginTest> = (0..n)
                .map(|row| test(f64::from(row * 37 % 23) / 2.5 - 5.0, 1.5))
                .collect();
            let found = judge(&family, 0.05).unwrap();
            let regressed = super::super::holm(&found.iter().map(|row| row.p_regressed).collect::<Vec<_>>());
            let equivalent =
                super::super::holm(&found.iter().map(|row| row.p_equivalent).collect::<Vec<_>>());
            let improved: Vec<f64> = found.iter().map(|row| row.p_improved).collect();
            for (row, improved) in found.iter().zip(super::super::holm(&improved)) {
                assert_eq!(row.low > 0.0, improved <= 0.05, "{row:?}");
                assert_eq!(
                    row.verdict == MarginVerdict::Improved,
                    improved <= 0.05,
                    "{row:?}"
                );
            }
            for ((row, regressed), equivalent) in found.iter().zip(regressed).zip(equivalent) {
                assert_eq!(row.high < -1.5, regressed <= 0.05, "{row:?}");
                assert_eq!(row.low > -1.5, equivalent <= 0.05, "{row:?}");
                assert!(row.low < row.high);
            }
        }
    }
}
