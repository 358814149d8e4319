//! What one row finds: counts that differ, or a difference with its margin. One function a kind of row.

use std::fmt;

use hitbench_kernels::RankCount;
use hitbench_reports::record::{CacheState, Direction, GpuPeaksRecord, ProcessRecord, is_on_gpu};
use serde::Serialize;

use super::evidence::{CellEvidence, Evidence, MeasuredEvidence, median};
use super::metric::{GateMetric, Margin, RowKind};
use super::sides::{Compared, by_query, values};
use crate::metric::{Contrast, MarginTest, MetricError, Resampling, SeedHits, welch};

/// The two sides of all gates but those of builds in turns.
const BASELINE_AND_RUN: [&str; 2] = ["the baseline", "the run"];

/// A difference as tests take it, and the two values it lies between.
#[derive(Debug, Clone)]
pub(super) struct Difference {
    pub(super) test: MarginTest,
    /// What the two sides are called.
    pub(super) names: [&'static str; 2],
    pub(super) baseline: f64,
    pub(super) run: f64,
    /// What it is drawn from, in words.
    pub(super) samples: String,
}

/// The difference of a row that has a margin.
pub(super) fn difference(
    kind: RowKind,
    metric: GateMetric,
    margin: Margin,
    sides: Compared<'_>,
    plan: Resampling,
) -> Result<Difference, MetricError> {
    let Compared { baseline, run } = sides;
    let [before, after] = [baseline, run].map(|cell| values(cell, metric));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    if kind == RowKind::Throughput {
        let what = match metric {
            GateMetric::PairsPerS => "seeds",
            _ => "processes",
        };
        let logs =
            [&before, &after].map(|values| values.iter().map(|value| value.ln()).collect::<Vec<f64>>());
        return Ok(Difference {
            test: MarginTest {
                difference: welch(&logs[0], &logs[1])?,
                margin: in_units(metric, margin, 1.0),
            },
            names: BASELINE_AND_RUN,
            baseline: mean(&logs[0]).exp(),
            run: mean(&logs[1]).exp(),
            samples: format!("{} and {} {what}", before.len(), after.len()),
        });
    }
    let hits = [baseline, run].map(|cell| hits(cell, metric));
    let n_queries = hits[0].first().map_or(0, |trial| trial.values.len());
    let (difference, samples) = match kind {
        RowKind::Retrain => (
            Contrast::new(&[&hits[0]], &[&hits[1]]).uncertain(plan)?,
            format!("{} and {} seeds, {n_queries} queries", before.len(), after.len()),
        ),
        _ => {
            let [a, b] = [SeedHits::mean_of(&hits[0])?, SeedHits::mean_of(&hits[1])?];
            let (a, b) = ([a], [b]);
            (
                Contrast::new(&[&a], &[&b]).uncertain(plan)?,
                format!("{n_queries} queries"),
            )
        }
    };
    let baseline = mean(&before);
    Ok(Difference {
        test: MarginTest {
            difference,
            margin: in_units(metric, margin, baseline),
        },
        names: BASELINE_AND_RUN,
        baseline,
        run: mean(&after),
        samples,
    })
}

/// A margin in the unit of the tests: of shares a share, of ranks ranks, of throughput the logarithm of a ratio.
pub(super) fn in_units(metric: GateMetric, margin: Margin, baseline: f64) -> f64 {
    match (metric, margin) {
        (GateMetric::PairsPerS | GateMetric::ItemsPerS(_), Margin::Percent(percent)) => {
            -(1.0 - percent / 100.0).ln()
        }
        (_, Margin::Points(points)) => points / 100.0,
        (_, Margin::Percent(percent)) => percent / 100.0 * baseline,
    }
}

/// What each query adds to the metric, larger is better, by seed.
pub(super) fn hits(cell: &CellEvidence, metric: GateMetric) -> Vec<SeedHits> {
    let sign = if metric.larger_is_better() { 1.0 } else { -1.0 };
    let mut trials = by_query(cell, metric);
    for value in trials.iter_mut().flat_map(|trial| &mut trial.values) {
        *value *= sign;
    }
    trials
}

/// How the counts of two kernels differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountsFound {
    /// Queries compared, over all trials.
    pub n_queries: u64,
    /// Of these, queries whose counts differ.
    pub n_differ: u64,
    /// Of these, queries whose items tie on one side and are ordered on the other: the ranks that one leaves possible
    /// overlap those of the other.
    pub n_by_ties: u64,
    /// How many of the latter are allowed.
    pub n_ties_allowed: u64,
    /// The first that differs, those that no tie explains before others.
    pub first: Option<FirstDiffering>,
}

impl CountsFound {
    /// Whether the counts agree up to the ties allowed.
    pub fn agree(&self) -> bool {
        self.n_differ == self.n_by_ties && self.n_by_ties <= self.n_ties_allowed
    }
}

/// A query with other counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstDiffering {
    /// Its id, or its place in the order of ids where only a baseline knew them.
    pub query: String,
    /// `greater`, `equal` and `own_equal` in the baseline.
    pub baseline: [u64; 3],
    /// And in the run.
    pub run: [u64; 3],
}

impl fmt::Display for FirstDiffering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranks = |[greater, equal, _]: [u64; 3]| match equal {
            1 => format!("rank {}", greater + 1),
            _ => format!("ranks {} to {}", greater + 1, greater + equal),
        };
        write!(
            f,
            "`{}` from {} to {}",
            self.query,
            ranks(self.baseline),
            ranks(self.run)
        )
    }
}

/// Compares counts query by query, trial by trial in the order of seeds.
pub(super) fn counts(direction: Direction, n_ties_allowed: u64, sides: Compared<'_>) -> CountsFound {
    let Compared { baseline, run } = sides;
    let mut found = CountsFound {
        n_queries: 0,
        n_differ: 0,
        n_by_ties: 0,
        n_ties_allowed,
        first: None,
    };
    let mut first_by_ties = None;
    for (a, b) in baseline.trials.iter().zip(&run.trials) {
        let (Some(a), Some(b)) = (a.ranked(direction), b.ranked(direction)) else {
            continue;
        };
        for (at, (old, new)) in a.counts.iter().zip(&b.counts).enumerate() {
            found.n_queries += 1;
            let [baseline, run] = [old, new].map(|count| [count.greater, count.equal, count.own_equal]);
            if baseline == run {
                continue;
            }
            found.n_differ += 1;
            let by_ties = overlap(old, new);
            found.n_by_ties += u64::from(by_ties);
            let place = if by_ties {
                &mut first_by_ties
            } else {
                &mut found.first
            };
            place.get_or_insert_with(|| FirstDiffering {
                query: b.queries.ids.get(at).cloned().unwrap_or_else(|| format!("#{at}")),
                baseline,
                run,
            });
        }
    }
    found.first = found.first.or(first_by_ties);
    found
}

/// Whether some order of the tied items gives the best true item the same rank on both sides.
fn overlap(a: &RankCount, b: &RankCount) -> bool {
    let worst = |count: &RankCount| count.greater + count.equal - count.own_equal;
    a.greater <= worst(b) && b.greater <= worst(a)
}

/// By how much the machine itself was slower than for the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct MachineLoss {
    cpu: Option<DeviceLoss>,
    gpu: Option<DeviceLoss>,
}

/// Losses of a device: shares of its peaks, medians over processes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct DeviceLoss {
    /// `None` where that peak is not known.
    flops: Option<f64>,
    bytes: f64,
    /// Floating-point operations in the time of a byte, by the baseline's peaks.
    flops_a_byte: f64,
}

impl MachineLoss {
    /// The losses of the devices whose peaks both sides measured.
    pub(super) fn new(baseline: &Evidence, run: &Evidence) -> Self {
        let cpu = |of: fn(&ProcessRecord) -> f64| -> Option<[f64; 2]> {
            let median = |side: &Evidence| median(side.peaks.iter().map(of).collect());
            Some([median(baseline)?, median(run)?])
        };
        let gpu = |of: fn(&GpuPeaksRecord) -> Option<f64>| -> Option<[f64; 2]> {
            let median = |side: &Evidence| median(side.gpu_peaks.iter().filter_map(of).collect());
            Some([median(baseline)?, median(run)?])
        };
        Self {
            cpu: DeviceLoss::new(
                cpu(|process| process.fma_flops_per_s),
                cpu(|process| process.copy_bytes_per_s),
            ),
            gpu: DeviceLoss::new(
                gpu(|process| process.product_flops_per_s),
                gpu(|process| Some(process.copy_bytes_per_s)),
            ),
        }
    }

    /// The loss of the peak that bounds a cell's work on its device, the smaller loss where that is not known; none where
    /// the device's peaks are not, and with transfer, which waits for the host.
    pub(super) fn of(&self, cell: &CellEvidence, metric: GateMetric) -> f64 {
        let measured = cell.measured.as_ref();
        let device = match measured {
            _ if metric == GateMetric::ItemsPerS(CacheState::Transfer) => None,
            Some(work) if is_on_gpu(&work.kernel) => self.gpu.map(|gpu| DeviceLoss {
                // The peak is that of f16.
                flops: gpu.flops.filter(|_| work.kernel.ends_with("/f16")),
                ..gpu
            }),
            _ => self.cpu,
        };
        device.map_or(0.0, |device| device.of(measured))
    }
}

impl DeviceLoss {
    /// Of both peaks, each before and after; that of copies is needed.
    fn new(flops: Option<[f64; 2]>, bytes: Option<[f64; 2]>) -> Option<Self> {
        let bytes = bytes?;
        let loss = |[before, after]: [f64; 2]| (1.0 - after / before).max(0.0);
        Some(Self {
            flops: flops.map(loss),
            bytes: loss(bytes),
            flops_a_byte: flops.map_or(f64::INFINITY, |flops| flops[0] / bytes[0]),
        })
    }

    fn of(&self, measured: Option<&MeasuredEvidence>) -> f64 {
        let Some(lost_flops) = self.flops else {
            return self.bytes;
        };
        match measured.and_then(|work| Some((work.flops?, work.bytes?))) {
            Some((flops, bytes)) if flops as f64 > self.flops_a_byte * bytes as f64 => lost_flops,
            Some(_) => self.bytes,
            None => lost_flops.min(self.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(greater: u64, equal: u64, own_equal: u64) -> RankCount {
        RankCount {
            greater,
            equal,
            own_equal,
            score: 0.0,
        }
    }

    #[test]
    fn ties_explain_what_an_order_of_them_gives() {
        // Three tied at the top are ranks 1 to 3; the other side ordered them.
        assert!(overlap(&count(0, 3, 1), &count(2, 1, 1)));
        assert!(overlap(&count(0, 3, 1), &count(0, 1, 1)));
        assert!(!overlap(&count(0, 3, 1), &count(3, 1, 1)));
        // Of three tied two are its own: rank 3 is impossible.
        assert!(!overlap(&count(0, 3, 2), &count(2, 1, 1)));
        assert!(!overlap(&count(0, 1, 1), &count(1, 1, 1)));
    }

    #[test]
    fn margins_become_the_unit_of_their_test() {
        let share = GateMetric::RAt(Direction::T2v, 1);
        assert_eq!(in_units(share, Margin::Points(1.0), 0.4), 0.01);
        assert_eq!(in_units(share, Margin::Percent(5.0), 0.5), 0.025);
        let speed = in_units(GateMetric::PairsPerS, Margin::Percent(10.0), 1000.0);
        assert!((speed - 0.105_360_516).abs() < 1e-9, "{speed}");
    }
}
