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
//! shown. In 1,000 simulated studies each of 2 or 3 seeds a side and 100 queries, with 1 to 50 % hits and seeds
//! that differ much, little or not at all, 94 to 96 % of the 95 % intervals held the truth.
//!
//! With a single seed everywhere nothing is known of what another seed would do: the interval then covers test
//! videos only, for these very models, and the verdict is never more than inconclusive.

use hitbench_kernels::RankCount;
use hitbench_reports::record::Verdict;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::bootstrap::{ClusterSums, Resampling, tail_size};
use super::{DirectionCounts, MetricError};

/// How the intervals are made, in one sentence for reports.
pub const METHOD: &str = "Intervals cover new seeds and new test videos: test videos are resampled with replacement \
    (bootstrap), seeds enter by Student's t with the standard deviation pooled over the cells compared, and levels \
    are adjusted by Holm's method over all differences tested.";

/// What one trial did with each query.
#[derive(Debug, Clone, PartialEq)]
pub struct SeedHits {
    /// One value a query, larger is better: a hit (0 or 1), a reciprocal rank.
    pub values: Vec<f64>,
    /// The video of each query, the same for all trials of a comparison.
    pub clusters: Vec<u32>,
}

impl SeedHits {
    /// The values that `value` gives for the counts of a trial, such as `|count| rules.ties.hits(count, 10)`.
    pub fn new(counts: &DirectionCounts, value: impl Fn(&RankCount) -> f64) -> Self {
        Self {
            values: counts.counts.iter().map(value).collect(),
            clusters: counts.clusters.clone(),
        }
    }
}

/// The mean of some cells against the mean of others, each cell being its trials with different seeds.
#[derive(Debug, Clone)]
pub struct Contrast<'a> {
    references: Vec<&'a [SeedHits]>,
    candidates: Vec<&'a [SeedHits]>,
}

impl<'a> Contrast<'a> {
    /// Candidates minus references; each side is the plain mean of its cells, each cell that of its seeds.
    pub fn new(references: &[&'a [SeedHits]], candidates: &[&'a [SeedHits]]) -> Self {
        Self {
            references: references.to_vec(),
            candidates: candidates.to_vec(),
        }
    }

    /// Every cell with its share of the difference, up to sign.
    fn cells(&self) -> impl Iterator<Item = (f64, &'a [SeedHits])> {
        [&self.references, &self.candidates]
            .into_iter()
            .flat_map(|side| side.iter().map(|&cell| (1.0 / side.len() as f64, cell)))
    }

    fn trials(&self) -> impl Iterator<Item = &'a SeedHits> {
        self.cells().flat_map(|(_, trials)| trials)
    }

    /// Checks that there are trials in every cell and that all have the same queries.
    fn check(&self) -> Result<(), MetricError> {
        let empty_side = self.references.is_empty() || self.candidates.is_empty();
        if empty_side || self.cells().any(|(_, trials)| trials.is_empty()) {
            return Err(MetricError::NothingToCompare);
        }
        let mut first: Option<&SeedHits> = None;
        for trial in self.trials() {
            let first = *first.get_or_insert(trial);
            if trial.values.len() != trial.clusters.len() {
                return Err(MetricError::Length {
                    what: "clusters of a trial",
                    expected: trial.values.len(),
                    found: trial.clusters.len(),
                });
            }
            if trial.values.is_empty() {
                return Err(MetricError::NothingToCompare);
            }
            if trial.clusters != first.clusters {
                return Err(MetricError::OtherQueries);
            }
        }
        Ok(())
    }

    /// Candidates minus references for every query, averaged over cells and seeds.
    fn effects(&self) -> Vec<f64> {
        let side = |cells: &[&[SeedHits]]| column_means(cells.iter().map(|trials| cell_means(trials)));
        let references = side(&self.references);
        side(&self.candidates)
            .iter()
            .zip(references)
            .map(|(candidate, reference)| candidate - reference)
            .collect()
    }

    /// Standard error from seeds with its degrees of freedom; `None` when every cell has but one.
    fn seed_error(&self) -> Option<(f64, f64)> {
        let (mut squares, mut freedom, mut factor) = (0.0, 0.0, 0.0);
        for (weight, trials) in self.cells() {
            let n_seeds = trials.len() as f64;
            let means: Vec<f64> = trials.iter().map(|trial| mean(&trial.values)).collect();
            let centre = mean(&means);
            squares += means.iter().map(|mean| (mean - centre).powi(2)).sum::<f64>();
            freedom += n_seeds - 1.0;
            factor += weight * weight / n_seeds;
        }
        (freedom > 0.0).then(|| ((squares / freedom * factor).sqrt(), freedom))
    }

    /// The part of the variance between clusters that comes from seeds, in `[0, 1]`.
    ///
    /// A seed's luck with single videos is in the standard deviation between seeds already, where it is judged by
    /// the few degrees of freedom that it has; it must not be counted again among the videos. `effects` are those
    /// of the queries, `clusters` their videos.
    fn luck(&self, effects: &[f64], clusters: &[u32]) -> f64 {
        let all = squared_sums(&deviations(effects), clusters);
        let mut luck = 0.0;
        for (weight, trials) in self.cells() {
            let n_seeds = trials.len() as f64;
            let means = cell_means(trials);
            for trial in trials {
                let own: Vec<f64> = trial
                    .values
                    .iter()
                    .zip(&means)
                    .map(|(value, mean)| value - mean)
                    .collect();
                let squares = squared_sums(&deviations(&own), clusters);
                luck += weight * weight * squares / ((n_seeds - 1.0).max(1.0) * n_seeds);
            }
        }
        if all > luck { luck / all } else { 1.0 }
    }

    /// The difference as resampling would have it, sorted.
    fn distribution(&self, resampling: Resampling) -> Vec<f64> {
        let effects = self.effects();
        let clusters = self.trials().next().map_or(&[][..], |trial| &trial.clusters);
        let mut sums = ClusterSums::new(2);
        for (&cluster, &effect) in clusters.iter().zip(&effects) {
            sums.add(cluster, [1.0, effect]);
        }
        let resampled = sums.resample(resampling);
        let estimate = mean(&effects);
        let by_videos = (1.0 - self.luck(&effects, clusters)).sqrt();
        let n_resamples = resampling.resamples;
        let mut differences: Vec<f64> = resampled
            .chunks_exact(2)
            .map(|sums| estimate + by_videos * (sums[1] / sums[0] - estimate))
            .collect();
        let student = self.seed_error().and_then(|(error, freedom)| {
            let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
            Some((error, student))
        });
        if let Some((error, student)) = student {
            // Evenly spaced quantiles in place of random draws: the resamples are in random order already.
            differences
                .par_iter_mut()
                .enumerate()
                .for_each(|(resample, difference)| {
                    let share = (resample + 1) as f64 / (n_resamples + 1) as f64;
                    *difference += error * student.inverse_cdf(share);
                });
        }
        differences.sort_unstable_by(f64::total_cmp);
        differences
    }
}

/// Mean over the trials of a cell, for every query.
fn cell_means(trials: &[SeedHits]) -> Vec<f64> {
    column_means(trials.iter().map(|trial| trial.values.clone()))
}

/// Mean over rows of the same length, for every column.
fn column_means(mut rows: impl Iterator<Item = Vec<f64>>) -> Vec<f64> {
    let mut sums = rows.next().unwrap_or_default();
    let mut n_rows = 1;
    for row in rows {
        n_rows += 1;
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    for sum in &mut sums {
        *sum /= f64::from(n_rows);
    }
    sums
}

/// Distances from the mean.
fn deviations(values: &[f64]) -> Vec<f64> {
    let centre = mean(values);
    values.iter().map(|value| value - centre).collect()
}

/// Sum over clusters of the squared sum of their values.
fn squared_sums(values: &[f64], clusters: &[u32]) -> f64 {
    let mut sums = ClusterSums::new(1);
    for (&cluster, &value) in clusters.iter().zip(values) {
        sums.add(cluster, [value]);
    }
    sums.rows().map(|row| row[0] * row[0]).sum()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

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
    /// Fewest seeds of any cell; at 1 in every cell the interval covers test videos only.
    pub n_seeds: usize,
    /// `Improved` or `Regressed` when the interval excludes 0 and seeds vary, else `Inconclusive`.
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
    let mut family: Vec<&mut Judged> = rows.iter_mut().filter(|row| row.seeds_vary).collect();
    family.sort_by(|a, b| a.p_value.total_cmp(&b.p_value));
    let n_statements = family.len();
    let mut failed_at = None;
    for (rank, row) in family.into_iter().enumerate() {
        row.alpha = failed_at.unwrap_or(alpha / (n_statements - rank) as f64);
        if row.p_value > row.alpha {
            failed_at = Some(row.alpha);
        }
    }
    let singles = rows.iter_mut().filter(|row| !row.seeds_vary);
    singles.for_each(|row| row.alpha = alpha);
    rows.iter().map(Judged::comparison).collect()
}

/// A contrast with its distribution and the level it is judged at.
struct Judged {
    estimate: f64,
    n_seeds: usize,
    seeds_vary: bool,
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
                .map(|(_, trials)| trials.len())
                .min()
                .unwrap_or(0),
            seeds_vary: contrast.seed_error().is_some(),
            p_value: p_value(&differences),
            differences,
            alpha: 1.0,
        }
    }

    fn comparison(&self) -> Result<Comparison, MetricError> {
        let tail = tail_size(self.differences.len(), self.alpha)?;
        let low = self.differences[tail - 1];
        let high = self.differences[self.differences.len() - tail];
        let verdict = if !self.seeds_vary {
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
mod tests {
    use rand::RngExt;
    use rand::SeedableRng;
    use rand::distr::Distribution;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::Normal;

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
        let found = compare_cells(&cell, &cell, PLAN).unwrap();
        assert_eq!(found.estimate, 0.0);
        assert!(found.low < 0.0 && 0.0 < found.high);
        assert_eq!((found.verdict, found.n_seeds), (Verdict::Inconclusive, 3));
        assert!(found.p_value > 0.9);
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
        let found = compare_cells(&cell(300, 0.2, 1), &cell(300, 0.5, 1), PLAN).unwrap();
        assert!(found.low > 0.0);
        assert_eq!((found.verdict, found.n_seeds), (Verdict::Inconclusive, 1));
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

    /// Draws trials from a population without a true difference: videos vary in difficulty and seeds in skill.
    struct Simulation {
        rng: ChaCha8Rng,
        n_queries: usize,
        base: f64,
        seed_spread: f64,
    }

    impl Simulation {
        fn cells(&mut self, n_seeds: usize) -> [Vec<SeedHits>; 2] {
            let n_queries = self.n_queries;
            let ease: Vec<f64> = (0..n_queries).map(|_| self.rng.random::<f64>()).collect();
            let taste =
                |rng: &mut ChaCha8Rng| -> Vec<f64> { (0..n_queries).map(|_| rng.random::<f64>()).collect() };
            let tastes = [taste(&mut self.rng), taste(&mut self.rng)];
            let skill = Normal::new(0.0, self.seed_spread).unwrap();
            tastes.map(|taste| {
                (0..n_seeds)
                    .map(|_| {
                        let skill = skill.sample(&mut self.rng);
                        let hits = ease.iter().zip(&taste).map(|(ease, taste)| {
                            let chance = self.base * (0.2 + 0.3 * ease + 0.3 * taste + skill);
                            f64::from(u8::from(self.rng.random::<f64>() < chance))
                        });
                        trial(&hits.collect::<Vec<_>>())
                    })
                    .collect()
            })
        }
    }

    /// The two-level bootstrap that resamples seeds as if they were many: for comparison only.
    fn resampled_seeds(reference: &[SeedHits], candidate: &[SeedHits], plan: Resampling) -> [f64; 2] {
        let n_queries = reference[0].values.len();
        let differences = (0..plan.resamples).map(|resample| {
            let mut rng = plan.stream(resample);
            let mut pick = |cell: &[SeedHits]| -> Vec<usize> {
                cell.iter().map(|_| rng.random_range(0..cell.len())).collect()
            };
            let (chosen, others) = (pick(candidate), pick(reference));
            let share = |cell: &[SeedHits], chosen: &[usize], q: usize| {
                chosen.iter().map(|&seed| cell[seed].values[q]).sum::<f64>() / chosen.len() as f64
            };
            let mut sum = 0.0;
            for _ in 0..n_queries {
                let q = rng.random_range(0..n_queries);
                sum += share(candidate, &chosen, q) - share(reference, &others, q);
            }
            sum / n_queries as f64
        });
        super::super::bootstrap::percentile_interval(differences.collect(), 0.95).unwrap()
    }

    /// Share of simulated studies whose 95 % interval by `method` holds the true difference 0.
    fn coverage(
        n_seeds: usize,
        base: f64,
        seed_spread: f64,
        method: impl Fn(&[SeedHits], &[SeedHits], Resampling) -> [f64; 2],
    ) -> f64 {
        const N_STUDIES: u64 = 250;
        let mut simulation = Simulation {
            rng: ChaCha8Rng::seed_from_u64(2024),
            n_queries: 100,
            base,
            seed_spread,
        };
        let covered = (0..N_STUDIES).filter(|&seed| {
            let [reference, candidate] = simulation.cells(n_seeds);
            let plan = Resampling { seed, resamples: 199 };
            let [low, high] = method(&reference, &candidate, plan);
            low <= 0.0 && 0.0 <= high
        });
        covered.count() as f64 / N_STUDIES as f64
    }

    #[test]
    fn intervals_of_two_and_three_seeds_cover_what_they_say() {
        // The standard error of a coverage of 0.95 over 250 studies is 0.014.
        for (n_seeds, base, seed_spread) in [(2, 1.0, 0.2), (2, 1.0, 0.0), (3, 1.0, 0.08), (2, 0.1, 0.04)] {
            let found = coverage(n_seeds, base, seed_spread, |reference, candidate, plan| {
                let found = compare_cells(reference, candidate, plan).unwrap();
                [found.low, found.high]
            });
            assert!(
                (0.91..=0.99).contains(&found),
                "{n_seeds} seeds, base {base}, spread {seed_spread}: {found}"
            );
        }
        let resampled = coverage(2, 1.0, 0.2, resampled_seeds);
        assert!(resampled < 0.85, "a bootstrap of two seeds covers {resampled}");
    }
}
