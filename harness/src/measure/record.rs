//! From samples to records.

use hitbench_kernels::Dtype;
use hitbench_reports::record::{
    AccuracyRecord, CacheState, FORMAT, GpuStateRecord, MeasurementOutcome, MeasurementRecord,
    MeasurementResult, TimesRecord, TimingRow,
};

use serde::{Deserialize, Serialize};

use super::bench::concrete;
use super::protocol::{Sample, Timed};
use super::run::CellTask;
use super::work::work_of;
use crate::suite::kernel_cell::Cache;

/// Everything measured of one cell so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Collected {
    pub(super) accuracy: Option<AccuracyRecord>,
    /// What each process timed, in the order in which they ran.
    pub(super) processes: Vec<Vec<(Cache, Vec<Sample>)>>,
    peak_memory_bytes: Option<u64>,
    gpu: Vec<Option<GpuStateRecord>>,
}

impl Collected {
    /// Adds what one process found.
    pub(super) fn add(&mut self, timed: Timed) {
        self.accuracy = self.accuracy.take().or(timed.accuracy);
        self.peak_memory_bytes = self.peak_memory_bytes.max(timed.peak_memory_bytes);
        self.gpu.push(timed.gpu);
        self.processes.push(timed.samples);
    }

    /// The rows of `timing.csv`.
    pub(super) fn rows(&self, task: &CellTask<'_>) -> Vec<TimingRow> {
        let work = work_of(&task.cell.work, Dtype::F32);
        let mut rows = Vec::new();
        for (process, by_cache) in (0..).zip(&self.processes) {
            for (cache, samples) in by_cache {
                let what = format!("{}/{}", task.cell.work.operation(), state(*cache).name());
                rows.extend(samples.iter().zip(0..).map(|(sample, number)| TimingRow {
                    trial: task.id.to_owned(),
                    process,
                    what: what.clone(),
                    sample: number,
                    items: work.items * sample.calls,
                    time_ns: sample.time_ns,
                }));
            }
        }
        rows
    }

    /// Times by state of the caches, in the order of the suite.
    pub(super) fn result(self, task: &CellTask<'_>) -> MeasurementResult {
        let dtype = concrete(&task.cell.kernel).map_or(Dtype::F32, |(_, dtype)| dtype);
        let times = task
            .cell
            .measure
            .cache
            .iter()
            .map(|cache| self.times(*cache))
            .collect();
        MeasurementResult {
            work: work_of(&task.cell.work, dtype),
            accuracy: self.accuracy,
            times,
            peak_memory_bytes: self.peak_memory_bytes,
            gpu: match task.cell.is_on_gpu() {
                true => self.gpu,
                false => Vec::new(),
            },
        }
    }

    fn times(&self, cache: Cache) -> TimesRecord {
        let processes: Vec<Vec<f64>> = self
            .processes
            .iter()
            .flat_map(|by_cache| by_cache.iter().filter(|(own, _)| *own == cache))
            .map(|(_, samples)| samples.iter().map(Sample::per_call_ns).collect())
            .collect();
        let all: Vec<f64> = processes.concat();
        let middle = median(&all);
        let deviations: Vec<f64> = all.iter().map(|time| (time - middle).abs()).collect();
        TimesRecord {
            cache: state(cache),
            median_ns: middle,
            mad_ns: median(&deviations),
            n_samples: all.len() as u64,
            process_medians_ns: processes.iter().map(|times| median(times)).collect(),
        }
    }
}

/// The record of a cell.
pub(super) fn record(task: &CellTask<'_>, build_id: &str, outcome: MeasurementOutcome) -> MeasurementRecord {
    let kernel = &task.cell.kernel;
    MeasurementRecord {
        format: FORMAT,
        id: task.id.to_owned(),
        name: task.name.to_owned(),
        cell_hash: task.cell_hash.to_owned(),
        build_id: build_id.to_owned(),
        axis_values: task.axis_values.clone(),
        operation: task.cell.work.operation().name().to_owned(),
        shape: task.cell.work.sizes(),
        kernel: concrete(kernel).map_or_else(|_| kernel.clone(), |(name, _)| name),
        threads: task.cell.measure.threads,
        outcome,
    }
}

fn state(cache: Cache) -> CacheState {
    match cache {
        Cache::Warm => CacheState::Warm,
        Cache::Cold => CacheState::Cold,
        Cache::Transfer => CacheState::Transfer,
    }
}

/// Middle value, or mean of the two middle ones; 0 of nothing.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => 0.0,
        _ if n % 2 == 1 => sorted[n / 2],
        _ => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use hitbench_reports::record::AxisValues;

    use super::*;
    use crate::suite::ThroughputSuite;

    fn warm_gpu(hz: u64) -> GpuStateRecord {
        GpuStateRecord {
            clock_hz: Some([hz; 2]),
            memory_clock_hz: None,
            power_w: None,
            temperature_c: Some(60),
            throttled_by: None,
        }
    }

    #[test]
    fn medians_are_of_calls_over_all_samples_and_by_process() {
        let text = "{format: 1, name: t, version: 1, about: a, kind: throughput, kernel: cpu/auto/f16, \
            shapes: [{operation: enqueue, batch: 2, queue_len: 5, dim: 4}], measure: {cache: [warm]}}";
        let suite = ThroughputSuite::parse("t.yaml", text, &[]).unwrap_or_else(|error| panic!("{error}"));
        let mut cell = suite.cells[0].config.clone();
        cell.device = "cuda:0".to_owned();
        let task = CellTask {
            id: "id",
            name: "name",
            cell_hash: "hash",
            axis_values: AxisValues::new(),
            cell: &cell,
        };
        let mut collected = Collected::default();
        for times in [[20, 40, 60], [200, 220, 240]] {
            let samples = times.map(|time_ns| Sample { calls: 2, time_ns }).to_vec();
            collected.add(Timed {
                accuracy: None,
                samples: vec![(Cache::Warm, samples)],
                peak_memory_bytes: Some(times[0]),
                gpu: Some(warm_gpu(times[0])),
            });
        }
        let rows = collected.rows(&task);
        assert_eq!(rows.len(), 6);
        assert_eq!(
            (rows[4].process, rows[4].sample, rows[4].items, rows[4].time_ns),
            (1, 1, 4, 220)
        );
        assert_eq!(rows[0].what, "enqueue/warm");
        let result = collected.result(&task);
        assert_eq!(result.peak_memory_bytes, Some(200));
        assert_eq!(result.gpu, [Some(warm_gpu(20)), Some(warm_gpu(200))]);
        let times = &result.times[0];
        assert_eq!((times.median_ns, times.mad_ns, times.n_samples), (65.0, 45.0, 6));
        assert_eq!(times.process_medians_ns, [20.0, 110.0]);
        assert_eq!(result.work.bytes, Some(2 * (4 * 6 + 16)));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
