//! Whether one configuration does better than another, from several seeds of each on the same test queries.
//!
//! Two things make such a difference uncertain: another seed would train another model, and other test videos
//! would ask other questions. Both levels are resampled: the difference of each cluster (video), averaged over
//! seeds, by a bootstrap over clusters; the seeds by Student's t with the standard deviation between seeds. A
//! bootstrap of the seeds themselves cannot serve: two or three values have 3 or 10 distinct resamples and too
//! small a spread (a test shows 95 % intervals that hold the truth in three studies of four). Queries are paired;
//! seeds of different cells are taken as independent, although they share numbers.
//!
//! The interval covers the difference expected over new seeds and new test videos of the same kind, with training
//! data and settings as they are. Standard deviations of all cells of a comparison are pooled, so that its seeds
//! have `sum(n_seeds - 1)` degrees of freedom; with 2 seeds a side that is 2, and only a large effect can be
//! shown. Seeds that happen to agree are taken to vary by their luck with single videos at least: two seeds of one hit
//! each prove nothing. In 1,000 simulated studies each of 2 or 3 seeds a side and 100 queries, 95 to 97 % of the 95 %
//! intervals held the truth where seeds differ much and hits are common, up to 100 % where seeds are alike or hits rare.
//!
//! A cell with a single seed says nothing about what another seed would do: the interval then covers test videos
//! only, for these very models, and the verdict is never more than inconclusive.

use hitbench_reports::record::Verdict;

use super::MetricError;
use super::bootstrap::{Resampling, tail_size};
use super::contrast::mean;
pub use super::contrast::{Contrast, SeedHits};

/// What the data say about one difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Candidate minus reference.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Level of the interval: `1 - alpha` for a single comparison, adjusted for several.
    pub level: f64,
    /// Two-sided bootstrap p-value of no difference, not adjusted.
    pub p_value: f64,
    /// Fewest seeds of any cell; at 1 the interval covers test videos only.
    pub n_seeds: usize,
    /// `Improved` or `Regressed` when the interval excludes 0 and every cell has several seeds, else `Inconclusive`.
    pub verdict: Verdict,
}

/// Compares a candidate cell to the reference at level 95 %.
///
/// # Errors
/// As [`compare_all`].
pub fn compare_cells(
    reference: &[SeedHits],
    candidate: &[SeedHits],
    resampling: Resampling,
) -> Result<Comparison, MetricError> {
    let contrast = Contrast::new(&[reference], &[candidate]);
    let [comparison] = compare_all(&[contrast], 0.05, resampling)?[..] else {
        return Err(MetricError::NothingToCompare);
    };
    Ok(comparison)
}

/// Compares everything that one report makes statements about, so that the chance of any false statement is at
/// most `alpha` (Holm's method).
///
/// The `i`-th smallest of `m` p-values is held against `alpha / (m - i)`, `i` from 0, until the first that fails;
/// it and all larger ones are inconclusive. Each interval has the level at which its row was judged, those after
/// the first failure the level of that one, so that an interval excludes 0 exactly where its row is rejected.
/// Comparisons of single seeds make no statement and do not count among the `m`; their interval has level
/// `1 - alpha`.
///
/// # Errors
/// [`MetricError::NothingToCompare`] for a side without cells or a cell without trials or queries,
/// [`MetricError::Length`] or [`MetricError::OtherQueries`] when trials do not share their queries,
/// [`MetricError::Resamples`] when there are too few for the adjusted level.
pub fn compare_all(
    contrasts: &[Contrast<'_>],
    alpha: f64,
    resampling: Resampling,
) -> Result<Vec<Comparison>, MetricError> {
    let mut rows = Vec::with_capacity(contrasts.len());
    for contrast in contrasts {
        contrast.check()?;
        rows.push(Judged::new(contrast, resampling));
    }
    let mut family: Vec<&mut Judged> = rows.iter_mut().filter(|row| row.several_seeds).collect();
    family.sort_by(|a, b| a.p_value.total_cmp(&b.p_value));
    let n_statements = family.len();
    let mut failed_at = None;
    for (rank, row) in family.into_iter().enumerate() {
        row.alpha = failed_at.unwrap_or(alpha / (n_statements - rank) as f64);
        let [low, high] = row.interval()?;
        if low <= 0.0 && 0.0 <= high {
            failed_at = Some(row.alpha);
        }
    }
    let singles = rows.iter_mut().filter(|row| !row.several_seeds);
    singles.for_each(|row| row.alpha = alpha);
    rows.iter().map(Judged::comparison).collect()
}

/// A contrast with its distribution and the level it is judged at.
struct Judged {
    estimate: f64,
    n_seeds: usize,
    several_seeds: bool,
    /// Sorted.
    differences: Vec<f64>,
    p_value: f64,
    alpha: f64,
}

impl Judged {
    fn new(contrast: &Contrast<'_>, resampling: Resampling) -> Self {
        let differences = contrast.distribution(resampling);
        Self {
            estimate: mean(&contrast.effects()),
            n_seeds: contrast
                .cells()
                .iter()
                .map(|(_, trials)| trials.len())
                .min()
                .unwrap_or(0),
            several_seeds: contrast.seed_error().is_some(),
            p_value: p_value(&differences),
            differences,
            alpha: 1.0,
        }
    }

    /// The central interval of level `1 - alpha`.
    fn interval(&self) -> Result<[f64; 2], MetricError> {
        let tail = tail_size(self.differences.len(), self.alpha)?;
        Ok([
            self.differences[tail - 1],
            self.differences[self.differences.len() - tail],
        ])
    }

    fn comparison(&self) -> Result<Comparison, MetricError> {
        let [low, high] = self.interval()?;
        let verdict = if !self.several_seeds {
            Verdict::Inconclusive
        } else if low > 0.0 {
            Verdict::Improved
        } else if high < 0.0 {
            Verdict::Regressed
        } else {
            Verdict::Inconclusive
        };
        Ok(Comparison {
            estimate: self.estimate,
            low,
            high,
            level: 1.0 - self.alpha,
            p_value: self.p_value,
            n_seeds: self.n_seeds,
            verdict,
        })
    }
}

/// Smallest `alpha` at which the central interval of the sorted `differences` excludes 0, at most 1.
fn p_value(differences: &[f64]) -> f64 {
    let n = differences.len();
    let not_above = differences.partition_point(|&d| d <= 0.0);
    let not_below = n - differences.partition_point(|&d| d < 0.0);
    let tail = not_above.min(not_below) + 1;
    (2.0 * tail as f64 / (n + 1) as f64).min(1.0)
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Resampling = Resampling {
        seed: 11,
        resamples: 1999,
    };

    fn trial(values: &[f64]) -> SeedHits {
        SeedHits {
            values: values.to_vec(),
            clusters: (0..values.len() as u32).collect(),
        }
    }

    /// Trials of a cell with `share` of `n` queries hit, shifted by one query more each seed.
    fn cell(n: usize, share: f64, n_seeds: usize) -> Vec<SeedHits> {
        (0..n_seeds)
            .map(|seed| {
                let hits = (share * n as f64) as usize + seed;
                let values: Vec<f64> = (0..n).map(|q| f64::from(u8::from(q * 37 % n < hits))).collect();
                trial(&values)
            })
            .collect()
    }

    #[test]
    fn equal_cells_differ_by_nothing() {
        let cell = cell(100, 0.3, 3);
        let found = compare_cells(&cell, &cell.clone(), PLAN).unwrap();
        assert_eq!(found.estimate, 0.0);
        assert!(found.low < 0.0 && 0.0 < found.high);
        assert_eq!((found.verdict, found.n_seeds), (Verdict::Inconclusive, 3));
        assert!(found.p_value > 0.9);
        let itself = compare_cells(&cell, &cell, PLAN).unwrap();
        assert_eq!((itself.low, itself.high, itself.p_value), (0.0, 0.0, 1.0));
    }

    #[test]
    fn a_cell_on_one_side_twice_is_no_second_cell() {
        let cells = [0.2, 0.5, 0.6].map(|share| cell(200, share, 2));
        let [reference, one, other] = &cells;
        let candidates: [&[SeedHits]; 2] = [one, other];
        let once = compare_all(&[Contrast::new(&[reference], &candidates)], 0.05, PLAN).unwrap();
        let twice = Contrast::new(&[reference, reference], &candidates);
        assert_eq!(compare_all(&[twice], 0.05, PLAN).unwrap(), once);
    }

    #[test]
    fn a_large_difference_is_shown_in_its_direction() {
        let (low, high) = (cell(300, 0.2, 3), cell(300, 0.5, 3));
        let found = compare_cells(&low, &high, PLAN).unwrap();
        assert!((found.estimate - 0.3).abs() < 1e-12);
        assert_eq!(found.verdict, Verdict::Improved);
        assert!(0.0 < found.low && found.low < 0.3 && 0.3 < found.high);
        assert!(found.p_value < 0.01);
        assert_eq!(
            compare_cells(&high, &low, PLAN).unwrap().verdict,
            Verdict::Regressed
        );
    }

    #[test]
    fn one_seed_shows_nothing_but_its_interval() {
        for n_seeds in [1, 3] {
            let found = compare_cells(&cell(300, 0.2, 1), &cell(300, 0.5, n_seeds), PLAN).unwrap();
            assert!(found.low > 0.0);
            assert_eq!((found.verdict, found.n_seeds), (Verdict::Inconclusive, 1));
        }
    }

    #[test]
    fn holm_adjusts_levels_and_keeps_intervals_and_verdicts_together() {
        let reference = cell(300, 0.2, 3);
        let cells = [0.5, 0.2, 0.45, 0.21].map(|share| cell(300, share, 3));
        let contrasts: Vec<Contrast<'_>> = cells
            .iter()
            .map(|cell| Contrast::new(&[&reference], &[cell]))
            .collect();
        let plan = Resampling {
            resamples: 9999,
            ..PLAN
        };
        let found = compare_all(&contrasts, 0.05, plan).unwrap();
        for row in &found {
            let excludes = row.low > 0.0 || row.high < 0.0;
            assert_eq!(excludes, row.verdict != Verdict::Inconclusive);
            assert_eq!(excludes, row.p_value <= 1.0 - row.level + 1e-12);
        }
        let mut levels: Vec<f64> = found.iter().map(|row| row.level).collect();
        levels.sort_by(f64::total_cmp);
        // Two rejected at 0.05 / 4 and 0.05 / 3, two held against 0.05 / 2.
        for (level, alpha) in levels.iter().rev().zip([0.05 / 4.0, 0.05 / 3.0, 0.025, 0.025]) {
            assert!((1.0 - level - alpha).abs() < 1e-12, "{level}");
        }
        assert!(matches!(
            compare_all(
                &contrasts,
                0.05,
                Resampling {
                    resamples: 100,
                    ..PLAN
                }
            ),
            Err(MetricError::Resamples { .. })
        ));
    }

    #[test]
    fn a_contrast_averages_its_cells() {
        let cells = [0.2, 0.3, 0.5, 0.6].map(|share| cell(200, share, 2));
        let contrast = Contrast::new(&[&cells[0], &cells[1]], &[&cells[2], &cells[3]]);
        let found = compare_all(&[contrast], 0.05, PLAN).unwrap();
        assert!((found[0].estimate - 0.3).abs() < 1e-12);
        assert_eq!(found[0].verdict, Verdict::Improved);
    }

    #[test]
    fn trials_of_other_queries_are_refused() {
        let cell = cell(10, 0.5, 2);
        let nothing = compare_cells(&cell, &[], PLAN);
        assert!(matches!(nothing, Err(MetricError::NothingToCompare)));
        assert!(matches!(
            compare_cells(&cell, &[trial(&[])], PLAN),
            Err(MetricError::NothingToCompare)
        ));
        let other = [trial(&[1.0; 9])];
        assert!(matches!(
            compare_cells(&cell, &other, PLAN),
            Err(MetricError::OtherQueries)
        ));
        let mut torn = cell.clone();
        torn[0].values.pop();
        assert!(matches!(
            compare_cells(&torn, &cell, PLAN),
            Err(MetricError::Length {
                expected: 9,
                found: 10,
                ..
            })
        ));
    }
}
