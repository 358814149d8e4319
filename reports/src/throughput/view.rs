//! Plan, measurements and peaks joined: what every table and plot of a throughput suite is made from.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::ratio::{Range, Ratio};
use crate::record::{
    AxisValues, CacheState, GpuPeaksRecord, MeasurementOutcome, MeasurementRecord, MeasurementResult,
    PeaksRecord, PlannedCell, PlannedTrial, RunRecord, TimesRecord, is_on_gpu, value_text,
};

/// A run in plan order, whatever order its measurements finished in.
pub(crate) struct ThroughputView<'a> {
    pub(crate) run: &'a RunRecord,
    pub(crate) peaks: Option<Peaks<'a>>,
    pub(crate) gpu_peaks: Option<GpuPeaks<'a>>,
    /// Measurements of one operation at one shape together, in plan order.
    pub(crate) blocks: Vec<Block<'a>>,
    /// The whole plan with what is known of each measurement.
    pub(crate) planned: Vec<Planned<'a>>,
}

/// A planned measurement.
pub(crate) struct Planned<'a> {
    pub(crate) cell: &'a PlannedCell,
    pub(crate) trial: &'a PlannedTrial,
    /// Block and entry; `None` without a record of this build.
    pub(crate) place: Option<(usize, usize)>,
    /// Whether there is a record, but of another build.
    pub(crate) is_stale: bool,
}

/// What the machine does at most.
pub(crate) struct Peaks<'a> {
    pub(crate) record: &'a PeaksRecord,
    /// Floating-point operations a second.
    pub(crate) fma: Range,
    /// Bytes read and written a second.
    pub(crate) copy: Range,
}

/// What the GPU does at most.
pub(crate) struct GpuPeaks<'a> {
    /// One entry a process.
    pub(crate) processes: &'a [GpuPeaksRecord],
    /// Floating-point operations a second of a product of f16 matrices.
    pub(crate) product: Option<Range>,
    /// Bytes read and written a second.
    pub(crate) copy: Range,
}

/// All measurements of one operation at one shape.
pub(crate) struct Block<'a> {
    pub(crate) operation: &'a str,
    pub(crate) shape: &'a Map<String, Value>,
    pub(crate) entries: Vec<Entry<'a>>,
    /// The entry that speeds are relative to.
    pub(crate) reference: Option<usize>,
}

/// One measurement.
pub(crate) struct Entry<'a> {
    pub(crate) cell: &'a PlannedCell,
    pub(crate) record: &'a MeasurementRecord,
    /// The kernel, with the axis values that tell it from others of the same kernel.
    pub(crate) label: String,
}

/// Times of an entry in one state of the caches.
#[derive(Clone, Copy)]
pub(crate) struct Timed<'a> {
    pub(crate) result: &'a MeasurementResult,
    pub(crate) times: &'a TimesRecord,
}

impl<'a> ThroughputView<'a> {
    pub(crate) fn new(
        run: &'a RunRecord,
        measurements: &'a [MeasurementRecord],
        peaks: Option<&'a PeaksRecord>,
    ) -> Self {
        let records: HashMap<&str, &MeasurementRecord> = measurements
            .iter()
            .map(|record| (record.id.as_str(), record))
            .collect();
        let (mut blocks, mut planned): (Vec<Block<'a>>, Vec<Planned<'a>>) = (Vec::new(), Vec::new());
        for (cell, trial) in run
            .plan
            .iter()
            .flat_map(|cell| cell.trials.iter().map(move |trial| (cell, trial)))
        {
            let found = records.get(trial.id.as_str()).copied();
            let of_this_build = found.filter(|record| record.build_id == run.tool.build_id);
            planned.push(Planned {
                cell,
                trial,
                place: of_this_build.map(|record| place(&mut blocks, cell, record)),
                is_stale: found.is_some() && of_this_build.is_none(),
            });
        }
        for block in &mut blocks {
            block.reference = run.suite.reference.as_ref().and_then(|values| block.find(values));
            block.label();
        }
        Self {
            run,
            peaks: peaks.and_then(Peaks::new),
            gpu_peaks: peaks.and_then(GpuPeaks::new),
            blocks,
            planned,
        }
    }

    /// Planned measurements that did not end in times, by what became of them: count and words.
    pub(crate) fn unfinished(&self) -> Vec<(usize, &'static str)> {
        let words = [
            "wrong",
            "unavailable",
            "failed",
            "not run yet",
            "of another build, left out",
        ];
        let word = |planned: &Planned<'_>| match planned.place {
            Some((block, entry)) => outcome_word(&self.blocks[block].entries[entry].record.outcome),
            None if planned.is_stale => words[4],
            None => words[3],
        };
        words
            .into_iter()
            .map(|own| {
                (
                    self.planned.iter().filter(|planned| word(planned) == own).count(),
                    own,
                )
            })
            .filter(|(n, _)| *n > 0)
            .collect()
    }

    /// All times with their block and entry.
    pub(crate) fn timed(&self) -> impl Iterator<Item = (&Block<'a>, &Entry<'a>, Timed<'a>)> {
        self.blocks
            .iter()
            .flat_map(|block| block.entries.iter().map(move |entry| (block, entry)))
            .flat_map(|(block, entry)| entry.timed().map(move |timed| (block, entry, timed)))
    }

    /// Share of the FMA peak; `None` where operations were not counted, or on a GPU.
    pub(crate) fn fma_share(&self, entry: &Entry<'_>, timed: Timed<'_>) -> Option<f64> {
        let peaks = self.peaks.as_ref().filter(|_| !entry.is_on_gpu())?;
        Some(timed.flops_per_s()? / peaks.fma.median)
    }

    /// Share of the GPU's product of f16 matrices; `None` where operations were not counted or moving bytes takes longer,
    /// of rows of another type, and of times that are not of the GPU alone.
    pub(crate) fn product_share(&self, entry: &Entry<'_>, timed: Timed<'_>) -> Option<f64> {
        let product = self.gpu_peaks_of(entry, timed)?.product?;
        let is_f16 = entry.record.kernel.ends_with("/f16");
        Some(timed.flops_per_s()? / product.median).filter(|_| is_f16 && !self.is_memory_bound(entry, timed))
    }

    /// Share of the copy bandwidth of the entry's device; `None` where bytes were not counted, and of times on a GPU that
    /// are not of it alone.
    pub(crate) fn copy_share(&self, entry: &Entry<'_>, timed: Timed<'_>) -> Option<Ratio> {
        let bytes = timed.result.work.bytes? as f64 * 1e9;
        let (median, copies): (f64, Vec<f64>) = if entry.is_on_gpu() {
            let peaks = self.gpu_peaks_of(entry, timed)?;
            let copies = peaks.processes.iter().map(|one| one.copy_bytes_per_s);
            (peaks.copy.median, copies.collect())
        } else {
            let peaks = self.peaks.as_ref()?;
            let copies = peaks.record.processes.iter().map(|one| one.copy_bytes_per_s);
            (peaks.copy.median, copies.collect())
        };
        let times: Vec<f64> = copies.iter().map(|copy| bytes / copy).collect();
        Some(Ratio::of((bytes / median, &times), timed.medians()))
    }

    /// The peaks that a time on a GPU has shares of.
    fn gpu_peaks_of(&self, entry: &Entry<'_>, timed: Timed<'_>) -> Option<&GpuPeaks<'a>> {
        let is_alone = entry.is_on_gpu() && timed.times.cache != CacheState::Transfer;
        self.gpu_peaks.as_ref().filter(|_| is_alone)
    }

    /// Whether moving the operation's bytes takes longer than its arithmetic, at the peaks of the entry's device.
    pub(crate) fn is_memory_bound(&self, entry: &Entry<'_>, timed: Timed<'_>) -> bool {
        let peaks = if entry.is_on_gpu() {
            let gpu = self.gpu_peaks.as_ref();
            gpu.and_then(|peaks| Some((peaks.copy, peaks.product?)))
        } else {
            self.peaks.as_ref().map(|peaks| (peaks.copy, peaks.fma))
        };
        let work = &timed.result.work;
        match (peaks, work.bytes) {
            (Some((copy, flops)), Some(bytes)) => {
                bytes as f64 / copy.median > work.flops.unwrap_or(0) as f64 / flops.median
            }
            _ => false,
        }
    }
}

/// Puts a record into its block; gives block and entry.
fn place<'a>(
    blocks: &mut Vec<Block<'a>>,
    cell: &'a PlannedCell,
    record: &'a MeasurementRecord,
) -> (usize, usize) {
    let own = |block: &Block<'_>| block.operation == record.operation && *block.shape == record.shape;
    let at = blocks.iter().position(own).unwrap_or_else(|| {
        blocks.push(Block {
            operation: &record.operation,
            shape: &record.shape,
            entries: Vec::new(),
            reference: None,
        });
        blocks.len() - 1
    });
    let label = record.kernel.clone();
    blocks[at].entries.push(Entry { cell, record, label });
    (at, blocks[at].entries.len() - 1)
}

/// What became of a measurement, in words of [`ThroughputView::unfinished`].
pub(crate) fn outcome_word(outcome: &MeasurementOutcome) -> &'static str {
    match outcome {
        MeasurementOutcome::Ok { .. } => "ok",
        MeasurementOutcome::Wrong { .. } => "wrong",
        MeasurementOutcome::Unavailable { .. } => "unavailable",
        MeasurementOutcome::Failed { .. } => "failed",
    }
}

impl<'a> Peaks<'a> {
    fn new(record: &'a PeaksRecord) -> Option<Self> {
        let of = |get: fn(&crate::record::ProcessRecord) -> f64| Range::of(record.processes.iter().map(get));
        Some(Self {
            record,
            fma: of(|process| process.fma_flops_per_s)?,
            copy: of(|process| process.copy_bytes_per_s)?,
        })
    }
}

impl<'a> GpuPeaks<'a> {
    fn new(record: &'a PeaksRecord) -> Option<Self> {
        let processes = record.gpu.as_slice();
        let products = processes.iter().map(|process| process.product_flops_per_s);
        Some(Self {
            processes,
            // A build without libtorch has none in any process.
            product: products.collect::<Option<Vec<f64>>>().and_then(Range::of),
            copy: Range::of(processes.iter().map(|process| process.copy_bytes_per_s))?,
        })
    }
}

impl<'a> Block<'a> {
    /// `rank_counts: queries 10000, gallery 10000, dim 512`.
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.operation, self.shape_text())
    }

    /// `queries 10000, gallery 10000, dim 512`.
    pub(crate) fn shape_text(&self) -> String {
        let sizes = self
            .shape
            .iter()
            .map(|(name, size)| format!("{name} {}", value_text(size)));
        sizes.collect::<Vec<_>>().join(", ")
    }

    /// The reference's times in the same state of the caches.
    pub(crate) fn reference_timed(&self, cache: CacheState) -> Option<Timed<'a>> {
        self.entries[self.reference?].timed_in(cache)
    }

    /// Whether all entries have the same value on this axis.
    fn is_constant(&self, path: &str) -> bool {
        let mut values = self
            .entries
            .iter()
            .map(|entry| entry.record.axis_values.get(path));
        let first = values.next();
        values.all(|value| Some(value) == first)
    }

    /// The entry with these axis values. An axis on which the entries do not differ, such as a size, need not agree,
    /// so that each shape has the reference kernel at its own shape; an axis of kernels always must.
    fn find(&self, reference: &AxisValues) -> Option<usize> {
        let agrees = |own: &AxisValues| {
            reference.iter().all(|(path, value)| {
                let names_kernel = ["kernel", "kernels"].contains(&last_segment(path));
                own.get(path) == Some(value) || (!names_kernel && self.is_constant(path))
            })
        };
        let entry_agrees =
            |entry: &Entry<'_>| agrees(&entry.cell.axis_values) || entry.cell.merged.iter().any(agrees);
        self.entries.iter().position(entry_agrees)
    }

    /// Tells entries of the same kernel apart by the axes on which they differ.
    fn label(&mut self) {
        let label = |entry: &Entry<'_>| {
            let kernel = &entry.record.kernel;
            let values = entry.record.axis_values.iter();
            let differing = values.filter(|(path, _)| !self.is_constant(path));
            let texts = differing
                .map(|(path, value)| format!("{}={}", last_segment(path), value_text(value)))
                .collect::<Vec<_>>();
            let is_alone = self
                .entries
                .iter()
                .filter(|own| own.record.kernel == *kernel)
                .count()
                == 1;
            if is_alone || texts.is_empty() {
                kernel.clone()
            } else {
                format!("{kernel} ({})", texts.join(", "))
            }
        };
        let labels: Vec<String> = self.entries.iter().map(label).collect();
        for (entry, label) in self.entries.iter_mut().zip(labels) {
            entry.label = label;
        }
    }
}

fn last_segment(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

impl<'a> Entry<'a> {
    /// Times by state of the caches; none unless the kernel was right.
    pub(crate) fn timed(&self) -> impl Iterator<Item = Timed<'a>> + use<'a> {
        let result = self.record.result();
        result
            .into_iter()
            .flat_map(|result| result.times.iter().map(move |times| Timed { result, times }))
    }

    pub(crate) fn timed_in(&self, cache: CacheState) -> Option<Timed<'a>> {
        self.timed().find(|timed| timed.times.cache == cache)
    }

    /// Whether it ran on a GPU, to which the peaks of the CPU say nothing.
    pub(crate) fn is_on_gpu(&self) -> bool {
        is_on_gpu(&self.record.kernel)
    }

    /// Whether it is one of this project's fast kernels.
    pub(crate) fn is_ours(&self) -> bool {
        ["cpu", "cuda", "custom"].contains(&self.family())
    }

    /// Whether it is what this project's kernels are held against.
    pub(crate) fn is_opponent(&self) -> bool {
        ["libtorch", "gemm", "matmul"].contains(&self.family())
    }

    fn family(&self) -> &str {
        self.record.kernel.split('/').next().unwrap_or_default()
    }
}

impl Timed<'_> {
    fn medians(&self) -> (f64, &[f64]) {
        (self.times.median_ns, &self.times.process_medians_ns)
    }

    pub(crate) fn flops_per_s(&self) -> Option<f64> {
        Some(self.result.work.flops? as f64 * 1e9 / self.times.median_ns)
    }

    pub(crate) fn bytes_per_s(&self) -> Option<f64> {
        Some(self.result.work.bytes? as f64 * 1e9 / self.times.median_ns)
    }

    pub(crate) fn items_per_s(&self) -> f64 {
        self.result.work.items as f64 * 1e9 / self.times.median_ns
    }

    /// Speed relative to another: its time divided by the own one.
    pub(crate) fn speed_against(&self, other: Timed<'_>) -> Ratio {
        Ratio::of(other.medians(), self.medians())
    }

    /// Medians of the processes that measured.
    pub(crate) fn processes(&self) -> Option<Range> {
        Range::of(self.times.process_medians_ns.iter().copied())
    }
}
