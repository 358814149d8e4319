//! What a policy can find out, before there is a run: the baseline against a run of its own kind.

use super::error::GateError;
use super::evidence::{CellEvidence, Evidence};
use super::examine::{hits, in_units};
use super::metric::{GateMetric, Margin, RowKind};
use super::policy::{Policy, RowTest};
use super::sides::{Sides, sides, values};
use crate::metric::{Contrast, MetricError, Resampling, Uncertain, welch};

/// Share of the queries that another numeric path is taken to flip, before any is seen and unless a drop takes more.
const ASSUMED_FLIPS: f64 = 0.01;

/// What one row of a policy could find out about one cell of a baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Power {
    /// Id in the policy.
    pub id: String,
    /// Label of the cell.
    pub cell: String,
    /// Metric.
    pub metric: GateMetric,
    /// The margin.
    pub margin: Margin,
    /// Value of the baseline.
    pub baseline: f64,
    /// What a second run like the baseline would be drawn from.
    pub samples: String,
    /// Smallest drop that is found four times in five, in the unit of the test.
    pub detectable: f64,
    /// Whether an equal candidate is shown to be so less often than four times in five.
    pub undecidable: bool,
}

/// What a policy could find out about a baseline.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prospect {
    /// Rows with a margin for each of their cells.
    pub rows: Vec<Power>,
    /// Rows that will not compare even with a run like the baseline, and why: a sentence each.
    pub unlike: Vec<String>,
}

/// The smallest drop that each row with a margin can detect, if the run is of the baseline's kind.
///
/// # Errors
/// [`GateError::Metric`] for statistics that cannot be computed.
pub fn power(policy: &Policy, baseline: &Evidence) -> Result<Prospect, GateError> {
    let mut found = Prospect::default();
    let mut subjects = Vec::new();
    for Sides {
        row,
        cell,
        found: sides,
    } in sides(policy, baseline, baseline)
    {
        match (row.test, sides) {
            (_, Err(unlike)) => found
                .unlike
                .push(format!("{}: {} ({})", row.id, unlike.text, unlike.reason)),
            (RowTest::Margin { kind, metric, margin }, Ok(sides)) => {
                subjects.push((row, cell, kind, metric, margin, sides.baseline));
            }
            (RowTest::Kernel { .. }, Ok(_)) => {}
        }
    }
    let alpha = policy.alpha / subjects.len() as f64;
    let plan = Resampling::of_family(subjects.len(), policy.alpha);
    for (row, label, kind, metric, margin, cell) in subjects {
        let before = values(cell, metric);
        let mean = before.iter().sum::<f64>() / before.len() as f64;
        let units = in_units(metric, margin, mean);
        let (detectable, undecidable, samples) = match kind {
            RowKind::Throughput | RowKind::Retrain => {
                let (uncertain, samples) = difference_to_itself(kind, metric, cell, plan)?;
                (
                    uncertain.detectable(units, alpha)?,
                    uncertain.is_undecidable(units, alpha)?,
                    samples,
                )
            }
            RowKind::Numeric | RowKind::Kernel => {
                let path = OtherPath::of(metric, cell)?;
                let equal = Uncertain::normal(0.0, path.error(0.0));
                (
                    path.detectable(units, alpha)?,
                    equal.is_undecidable(units, alpha)?,
                    path.samples(),
                )
            }
        };
        found.rows.push(Power {
            id: row.id.clone(),
            cell: label,
            metric,
            margin,
            baseline: mean,
            samples,
            detectable,
            undecidable,
        });
    }
    Ok(found)
}

/// What a row would tell of a baseline and its equal: the difference that a second run of the same kind would have.
fn difference_to_itself(
    kind: RowKind,
    metric: GateMetric,
    cell: &CellEvidence,
    plan: Resampling,
) -> Result<(Uncertain, String), MetricError> {
    let before = values(cell, metric);
    if kind == RowKind::Throughput {
        let logs: Vec<f64> = before.iter().map(|value| value.ln()).collect();
        return Ok((welch(&logs, &logs)?, format!("{} samples a side", before.len())));
    }
    let hits = hits(cell, metric);
    let n_queries = hits.first().map_or(0, |trial| trial.values.len());
    // Another list of the same values: seeds of its own, as many and as far apart.
    let other = hits.clone();
    let uncertain = Contrast::new(&[&hits], &[&other]).uncertain(plan)?;
    Ok((
        uncertain,
        format!("{} seeds a side, {n_queries} queries", before.len()),
    ))
}

/// What another numeric path may do to the queries of a cell: nothing to most of them.
struct OtherPath {
    n_queries: usize,
    n_videos: usize,
    /// What a query that flips changes by.
    step: f64,
    /// Whether a flip cannot change by more.
    is_largest: bool,
}

impl OtherPath {
    fn of(metric: GateMetric, cell: &CellEvidence) -> Result<Self, MetricError> {
        let hits = hits(cell, metric);
        let trial = hits.first().ok_or(MetricError::NothingToCompare)?;
        let mut videos = trial.clusters.clone();
        videos.sort_unstable();
        videos.dedup();
        // A flip moves a share by 1, and a rank by as much as two queries differ in theirs.
        let step = match metric.is_share() {
            true => 1.0,
            false => {
                let mean = trial.values.iter().sum::<f64>() / trial.values.len() as f64;
                let squares = trial.values.iter().map(|value| (value - mean).powi(2));
                (2.0 * squares.sum::<f64>() / trial.values.len() as f64).sqrt()
            }
        };
        Ok(Self {
            n_queries: trial.values.len(),
            n_videos: videos.len(),
            step,
            is_largest: metric.is_share(),
        })
    }

    fn samples(&self) -> String {
        let percent = 100.0 * ASSUMED_FLIPS;
        format!(
            "{} queries, if {percent} % of them flip or, for a larger drop, as many as it takes",
            self.n_queries
        )
    }

    /// Standard error of the difference where the metric truly drops by so much: the drop takes flips, and every flip
    /// beyond [`ASSUMED_FLIPS`] is one of those.
    fn error(&self, drop: f64) -> f64 {
        let moved = drop / self.step;
        let flips = moved.clamp(ASSUMED_FLIPS, 1.0);
        // Of a rank, whose flips have no largest size, the mean square stands for the variance.
        let spread = match self.is_largest {
            true => (flips - moved * moved).max(0.0),
            false => flips,
        };
        self.step * (spread / self.n_videos as f64).sqrt()
    }

    /// Smallest drop that is found four times in five with the error that it has itself.
    fn detectable(&self, margin: f64, alpha: f64) -> Result<f64, MetricError> {
        if self.step == 0.0 {
            return Ok(margin);
        }
        let with_error = |error: f64| Uncertain::normal(0.0, error).detectable(margin, alpha);
        let largest = self.step / (self.n_videos as f64).sqrt();
        let (mut low, mut high) = (margin, with_error(largest)?);
        // 50 halvings leave nothing that a float could tell.
        for _ in 0..50 {
            let drop = 0.5 * (low + high);
            match with_error(self.error(drop))? > drop {
                true => low = drop,
                false => high = drop,
            }
        }
        Ok(high)
    }
}
