//! The difference between cells and how uncertain it is; see [`compare`](super::compare) for what that means.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use hitbench_kernels::RankCount;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::bootstrap::{ClusterSums, Resampling};
use super::uncertain::NetFlips;
use super::{MetricError, TieRule, Uncertain};

/// What one trial did with each query.
#[derive(Debug, Clone, PartialEq)]
pub struct SeedHits {
    /// One value a query, larger is better: a hit (0 or 1), a reciprocal rank. Their plain mean is the metric.
    pub values: Vec<f64>,
    /// The video of each query, the same for all trials of a comparison.
    pub clusters: Vec<u32>,
}

impl SeedHits {
    /// Of the counts of a trial and the video of each. `value` is the sum over all that a query counts as, such as
    /// `|count| ties.hits(count, 10)`; every value is divided by the mean of what queries count as.
    /// The mean is the metric's; what queries count as is taken as fixed when videos are resampled.
    pub fn new(
        counts: &[RankCount],
        clusters: Vec<u32>,
        ties: TieRule,
        value: impl Fn(&RankCount) -> f64,
    ) -> Self {
        let weight: u64 = counts.iter().map(|count| ties.weight(count)).sum();
        let share = counts.len() as f64 / weight as f64;
        Self {
            values: counts.iter().map(|count| value(count) * share).collect(),
            clusters,
        }
    }

    /// The mean over trials of the same queries, at least one, as if they were one: what no seed can move any more.
    ///
    /// # Errors
    /// [`MetricError::NothingToCompare`] without trials.
    pub fn mean_of(trials: &[Self]) -> Result<Self, MetricError> {
        let first = trials.first().ok_or(MetricError::NothingToCompare)?;
        Ok(Self {
            values: cell_means(trials),
            clusters: first.clusters.clone(),
        })
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

    /// Every cell once, with its share of the difference: positive for candidates, negative for references.
    ///
    /// A cell that is listed several times, as the partner of several others, is still one set of trials.
    pub(super) fn cells(&self) -> Vec<(f64, &'a [SeedHits])> {
        let mut cells: Vec<(f64, &'a [SeedHits])> = Vec::new();
        for (side, sign) in [(&self.references, -1.0), (&self.candidates, 1.0)] {
            let share = sign / side.len() as f64;
            for &trials in side {
                match cells.iter_mut().find(|(_, known)| std::ptr::eq(*known, trials)) {
                    Some((weight, _)) => *weight += share,
                    None => cells.push((share, trials)),
                }
            }
        }
        cells
    }

    fn trials(&self) -> impl Iterator<Item = &'a SeedHits> {
        let sides = [&self.references, &self.candidates].into_iter().flatten();
        sides.flat_map(|&trials| trials)
    }

    fn values(&self) -> impl Iterator<Item = &'a f64> {
        self.trials().flat_map(|trial| &trial.values)
    }

    /// Checks that there are trials in every cell and that all have the same queries.
    pub(super) fn check(&self) -> Result<(), MetricError> {
        let empty_side = self.references.is_empty() || self.candidates.is_empty();
        if empty_side || self.cells().iter().any(|(_, trials)| trials.is_empty()) {
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
    pub(super) fn effects(&self) -> Vec<f64> {
        let side = |cells: &[&[SeedHits]]| column_means(cells.iter().map(|trials| cell_means(trials)));
        let references = side(&self.references);
        side(&self.candidates)
            .iter()
            .zip(references)
            .map(|(candidate, reference)| candidate - reference)
            .collect()
    }

    /// Standard error from seeds with its degrees of freedom; `None` when a cell has but one.
    pub(super) fn seed_error(&self) -> Option<(f64, f64)> {
        let (mut squares, mut freedom, mut factor) = (0.0, 0.0, 0.0);
        for (weight, trials) in self.cells() {
            let n_seeds = trials.len() as f64;
            let means: Vec<f64> = trials.iter().map(|trial| mean(&trial.values)).collect();
            let centre = mean(&means);
            squares += means.iter().map(|mean| (mean - centre).powi(2)).sum::<f64>();
            freedom += n_seeds - 1.0;
            factor += weight * weight / n_seeds;
        }
        let several = self.cells().iter().all(|(_, trials)| trials.len() > 1);
        several.then(|| ((squares / freedom * factor).sqrt(), freedom))
    }

    /// What seeds do to single videos of the difference; every cell has several seeds.
    fn luck(&self, clusters: &[u32]) -> Luck {
        let mut by_video: Vec<f64> = Vec::new();
        for (weight, trials) in self.cells() {
            let n_seeds = trials.len() as f64;
            let means = cell_means(trials);
            for trial in trials {
                let own = trial.values.iter().zip(&means).map(|(value, mean)| value - mean);
                let squares = squared_sums(&deviations(&own.collect::<Vec<f64>>()), clusters);
                by_video.resize(squares.len(), 0.0);
                for (sum, square) in by_video.iter_mut().zip(squares) {
                    *sum += weight * weight * square / ((n_seeds - 1.0) * n_seeds);
                }
            }
        }
        let squares: f64 = by_video.iter().sum();
        let fourth: f64 = by_video.iter().map(|square| square * square).sum();
        Luck {
            squares,
            freedom: (squares * squares / fourth).floor().max(1.0),
        }
    }

    /// The difference and what it leaves open: seeds and videos where every cell has several seeds, else videos only,
    /// for these very models.
    ///
    /// # Errors
    /// [`MetricError::NothingToCompare`] for a side without cells or a cell without trials or queries,
    /// [`MetricError::Length`] or [`MetricError::OtherQueries`] when trials do not share their queries.
    pub fn uncertain(&self, resampling: Resampling) -> Result<Uncertain, MetricError> {
        self.check()?;
        let effects = self.effects();
        // Ranks, which are negative here, have no largest change.
        let flips = self.values().all(|value| *value >= 0.0).then(|| {
            let mut clusters: Vec<u32> = self
                .trials()
                .next()
                .map_or(Vec::new(), |trial| trial.clusters.clone());
            clusters.sort_unstable();
            clusters.dedup();
            let n = clusters.len() as u64;
            NetFlips {
                n,
                net: mean(&effects) * n as f64,
                size: self.values().fold(1.0, |most: f64, value| most.max(*value)),
            }
        });
        Ok(Uncertain::resampled(
            mean(&effects),
            self.distribution(resampling),
            flips,
        ))
    }

    /// The difference as resampling would have it, sorted.
    ///
    /// Seeds whose means are nearly equal, which happens where hits are rare, are taken to vary at least by their luck with
    /// single videos: no test may fire because two seeds happened to hit equally often.
    pub(super) fn distribution(&self, resampling: Resampling) -> Vec<f64> {
        let effects = self.effects();
        let clusters = self.trials().next().map_or(&[][..], |trial| &trial.clusters);
        let mut sums = ClusterSums::new(2);
        for (&cluster, &effect) in clusters.iter().zip(&effects) {
            sums.add(cluster, [1.0, effect]);
        }
        let resampled = sums.resample(resampling);
        let estimate = mean(&effects);
        let mut differences: Vec<f64> = resampled.chunks_exact(2).map(|sums| sums[1] / sums[0]).collect();
        if let Some((error, freedom)) = self.seed_error() {
            // A seed's luck with single videos is in the standard deviation between seeds already, where it is judged by
            // the few degrees of freedom that it has; it must not be counted again among the videos.
            let luck = self.luck(clusters);
            let all: f64 = squared_sums(&deviations(&effects), clusters).iter().sum();
            let by_videos = (1.0 - luck.squares / all).max(0.0).sqrt();
            let by_seeds = seed_errors((error, freedom), luck, effects.len(), resampling.resamples);
            for (difference, by_seeds) in differences.iter_mut().zip(by_seeds) {
                *difference = estimate + by_videos * (*difference - estimate) + by_seeds;
            }
        }
        // Few videos have far tails, in which shares would differ by more than they can.
        if self.values().all(|value| (0.0..=1.0).contains(value)) {
            for difference in &mut differences {
                *difference = difference.clamp(-1.0, 1.0);
            }
        }
        differences.sort_unstable_by(f64::total_cmp);
        differences
    }
}

/// What seeds do to single videos, over all videos.
#[derive(Debug, Clone, Copy)]
struct Luck {
    /// The sum of squares. Divided by the squared number of queries it is the variance that seeds give the difference by
    /// luck alone.
    squares: f64,
    /// How many videos that sum is of, if all had the same part in it (as Satterthwaite 1946 counts): few where hits are
    /// rare. At least 1.
    freedom: f64,
}

/// What seeds add to the resamples: evenly spaced quantiles in place of random draws, as the resamples are in random order
/// already. Of Student's t with the error that was seen between seeds and its degrees of freedom, or with that of luck
/// alone and its own where those lie further out.
fn seed_errors(
    (error, freedom): (f64, f64),
    luck: Luck,
    n_queries: usize,
    n: usize,
) -> impl Iterator<Item = f64> {
    let least = luck.squares.sqrt() / n_queries as f64;
    let (seen, by_luck) = (student_quantiles(freedom, n), student_quantiles(luck.freedom, n));
    (0..n).map(move |place| {
        let (seen, by_luck) = (error * seen[place], least * by_luck[place]);
        if seen.abs() > by_luck.abs() { seen } else { by_luck }
    })
}

/// Student's t at `1 / (n + 1), ..., n / (n + 1)`, kept from one difference to the next: they take longer to compute
/// than the resamples.
fn student_quantiles(freedom: f64, n: usize) -> Arc<[f64]> {
    type Known = HashMap<(u64, usize), Arc<[f64]>>;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let compute = || {
        let law = StudentsT::new(0.0, 1.0, freedom).expect("there are degrees of freedom");
        let quantile = |place| law.inverse_cdf(place as f64 / (n + 1) as f64);
        (1..=n).map(quantile).collect()
    };
    Arc::clone(known.entry((freedom.to_bits(), n)).or_insert_with(compute))
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

/// The squared sum of the values of each cluster.
fn squared_sums(values: &[f64], clusters: &[u32]) -> Vec<f64> {
    let mut sums = ClusterSums::new(1);
    for (&cluster, &value) in clusters.iter().zip(values) {
        sums.add(cluster, [value]);
    }
    sums.rows().map(|row| row[0] * row[0]).collect()
}

/// Mean of at least one value.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
