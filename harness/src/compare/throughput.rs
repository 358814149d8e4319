//! Rates by cell and column, their ratios to the reference, shares of peaks and geometric means.
//!
//! Samples are processes, or the seeds of a training; times have long tails, so that logarithms are compared, as gates
//! do. A rate is the geometric mean of its samples and a ratio that of two rates: every interval holds its value.

use hitbench_reports::compare::{
    GeometricMean, GpuPeakRates, PeakRates, RatioFound, ThroughputRow, ThroughputValue,
};
use hitbench_reports::record::{CacheState, is_on_gpu};

use super::align::AlignedCell;
use super::assemble::LEVEL;
use crate::gate::GateMetric;
use crate::gate::evidence::{CellEvidence, MeasuredEvidence};
use crate::metric::{MetricError, Uncertain, paired_mean, welch};

/// The peaks of a machine's CPU and GPU.
type DevicePeaks = (Option<PeakRates>, Option<GpuPeakRates>);

/// What can be a rate, in the order of the tables.
const METRICS: [GateMetric; 4] = [
    GateMetric::ItemsPerS(CacheState::Warm),
    GateMetric::ItemsPerS(CacheState::Cold),
    GateMetric::ItemsPerS(CacheState::Transfer),
    GateMetric::PairsPerS,
];

/// The samples of one rate, as logarithms.
struct Samples<'a> {
    logs: Vec<f64>,
    measured: Option<&'a MeasuredEvidence>,
}

impl<'a> Samples<'a> {
    /// `None` where a cell has no such rate.
    fn of(cell: &'a CellEvidence, metric: GateMetric) -> Option<Self> {
        let measured = cell.measured.as_ref();
        let rates: Vec<f64> = match metric {
            GateMetric::ItemsPerS(cache) => {
                let measured = measured?;
                let times = measured.times.iter().find(|times| times.cache == cache)?;
                let rate = |median_ns: &f64| measured.items as f64 / (median_ns * 1e-9);
                times.median_ns.iter().map(rate).collect()
            }
            _ => cell.trials.iter().filter_map(|trial| trial.pairs_per_s).collect(),
        };
        let logs: Vec<f64> = rates
            .into_iter()
            .filter(|rate| *rate > 0.0)
            .map(f64::ln)
            .collect();
        (!logs.is_empty()).then_some(Self {
            logs,
            measured: measured.filter(|_| metric != GateMetric::PairsPerS),
        })
    }

    fn mean(&self) -> f64 {
        self.logs.iter().sum::<f64>() / self.logs.len() as f64
    }

    /// Its value without what depends on the reference.
    fn value(&self, metric: GateMetric, (cpu, gpu): DevicePeaks) -> Result<ThroughputValue, MetricError> {
        let per_s = self.mean().exp();
        let work = self.measured;
        let calls_per_s = |measured: &MeasuredEvidence| per_s / measured.items as f64;
        let rate = |of: fn(&MeasuredEvidence) -> Option<u64>| {
            work.and_then(|measured| Some(of(measured)? as f64 * calls_per_s(measured)))
        };
        let (flops_per_s, bytes_per_s) = (rate(|work| work.flops), rate(|work| work.bytes));
        let kernel = work.map_or("", |work| &*work.kernel);
        // With transfer a GPU waits for the host, and its peaks say little.
        let (cpu, gpu) = match is_on_gpu(kernel) {
            false => (cpu, None),
            true => (
                None,
                gpu.filter(|_| metric != GateMetric::ItemsPerS(CacheState::Transfer)),
            ),
        };
        let copy = cpu
            .map(|peaks| peaks.copy_bytes_per_s)
            .or(gpu.map(|peaks| peaks.copy_bytes_per_s));
        let copy_share = bytes_per_s.zip(copy).map(|(rate, peak)| rate / peak);
        let product = gpu.and_then(|peaks| peaks.product_flops_per_s);
        let product_share = flops_per_s.zip(product).map(|(rate, peak)| rate / peak);
        Ok(ThroughputValue {
            kernel: work.map(|work| work.kernel.clone()),
            per_s,
            interval: exponential(paired_mean(&self.logs))?,
            n_samples: self.logs.len(),
            ratio: None,
            flops_per_s,
            intensity: flops_per_s
                .zip(bytes_per_s)
                .filter(|(flops, bytes)| *flops > 0.0 && *bytes > 0.0)
                .map(|(flops, bytes)| flops / bytes),
            fma_share: flops_per_s
                .zip(cpu)
                .map(|(rate, peaks)| rate / peaks.fma_flops_per_s),
            product_share: product_share
                .filter(|share| kernel.ends_with("/f16") && copy_share.is_none_or(|copy| *share >= copy)),
            copy_share,
            has_other_settings: false,
        })
    }

    /// This rate over the reference's.
    fn over(&self, reference: &Self) -> Result<RatioFound, MetricError> {
        Ok(RatioFound {
            value: (self.mean() - reference.mean()).exp(),
            interval: exponential(welch(&reference.logs, &self.logs))?,
        })
    }
}

/// The interval of a mean of logarithms as one of rates; `None` where single samples have none.
fn exponential(found: Result<Uncertain, MetricError>) -> Result<Option<[f64; 2]>, MetricError> {
    let tail = (1.0 - LEVEL) / 2.0;
    match found {
        Ok(mean) => Ok(Some([mean.lower(tail)?.exp(), mean.upper(tail)?.exp()])),
        Err(MetricError::NothingToCompare) => Ok(None),
        Err(error) => Err(error),
    }
}

/// One rate of one cell, and what it was made of.
pub(super) struct Rated {
    pub(super) row: ThroughputRow,
    /// Logarithms of the samples, by column.
    logs: Vec<Option<Vec<f64>>>,
}

/// Every rate of every cell; `peaks` by column.
pub(super) fn rated(
    cells: &[AlignedCell<'_>],
    reference: usize,
    peaks: &[DevicePeaks],
) -> Result<Vec<Rated>, MetricError> {
    let mut rows = Vec::new();
    for metric in METRICS {
        for cell in cells {
            let samples: Vec<Option<Samples<'_>>> = cell
                .by_column
                .iter()
                .map(|own| Samples::of((*own)?, metric))
                .collect();
            let Some(any) = samples.iter().flatten().next() else {
                continue;
            };
            let (item, of) = match any.measured {
                Some(measured) => (measured.item.clone(), "processes"),
                None => ("pairs".to_owned(), "seeds"),
            };
            let mut values = Vec::with_capacity(samples.len());
            for (at, own) in samples.iter().enumerate() {
                let Some(own) = own else {
                    values.push(None);
                    continue;
                };
                let mut value = own.value(metric, peaks[at])?;
                value.has_other_settings = cell.has_other_settings(at);
                if let Some(of_reference) = &samples[reference]
                    && at != reference
                    && !value.has_other_settings
                {
                    value.ratio = Some(own.over(of_reference)?);
                }
                values.push(Some(value));
            }
            rows.push(Rated {
                row: ThroughputRow {
                    cell: cell.label.to_owned(),
                    metric: metric.to_string(),
                    item,
                    samples: of,
                    values,
                },
                logs: samples.into_iter().map(|own| Some(own?.logs)).collect(),
            });
        }
    }
    Ok(rows)
}

/// The geometric mean of the ratios of each metric, over the cells that every column has with the reference's settings.
pub(super) fn geometric_means(rated: &[Rated], reference: usize) -> Result<Vec<GeometricMean>, MetricError> {
    let mut means: Vec<GeometricMean> = Vec::new();
    for metric in METRICS.map(|metric| metric.to_string()) {
        let own = || rated.iter().filter(|rated| rated.row.metric == metric);
        let has_all = |rated: &&Rated| {
            let mut values = rated.row.values.iter().enumerate();
            values.all(|(at, value)| {
                value
                    .as_ref()
                    .is_some_and(|value| at == reference || value.ratio.is_some())
            })
        };
        let shared: Vec<&Rated> = own().filter(has_all).collect();
        let Some(first) = shared.first() else {
            continue;
        };
        let of_reference = by_sample(&shared, reference);
        let mut ratios = Vec::with_capacity(first.row.values.len());
        for at in 0..first.row.values.len() {
            let values = shared.iter().filter_map(|rated| rated.row.values[at].as_ref());
            let logs = values.filter_map(|value| Some(value.ratio?.value.ln()));
            let interval = match (at != reference, &of_reference, by_sample(&shared, at)) {
                (true, Some(of_reference), Some(own)) => exponential(welch(of_reference, &own))?,
                _ => None,
            };
            ratios.push(RatioFound {
                // The reference has no ratios, and a sum of 0.
                value: (logs.sum::<f64>() / shared.len() as f64).exp(),
                interval,
            });
        }
        means.push(GeometricMean {
            n_cells: shared.len(),
            n_all_cells: own().count(),
            ratios,
            metric,
        });
    }
    Ok(means)
}

/// The mean over cells of each sample of a column; `None` where cells have other numbers of samples.
fn by_sample(cells: &[&Rated], at: usize) -> Option<Vec<f64>> {
    let logs: Vec<&Vec<f64>> = cells
        .iter()
        .map(|rated| rated.logs[at].as_ref())
        .collect::<Option<_>>()?;
    let n = logs.first()?.len();
    if logs.iter().any(|logs| logs.len() != n) {
        return None;
    }
    let mean = |sample: usize| logs.iter().map(|logs| logs[sample]).sum::<f64>() / logs.len() as f64;
    Some((0..n).map(mean).collect())
}
