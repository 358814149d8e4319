//! Measures the cells that no record answers yet, process after process, and records each when its last process is
//! done.
//!
//! Every process measures every cell once, kernels of one shape beside each other, in reverse order in every second
//! process, so that slow changes of the machine meet all alike. Training steps have processes of their own, so that
//! the memory that such a process held is that of the step. The first process verifies; a cell that is wrong, fails or
//! is unavailable is recorded at once and left out later. A run that is stopped keeps what is recorded, and what its
//! processes have measured of the other cells.

use std::io;
use std::sync::atomic::AtomicBool;

use hitbench_reports::record::{
    AxisValues, FORMAT, MeasurementOutcome, MeasurementRecord, PeaksRecord, RecordError, RunWriter,
};

use super::event::{MeasureEvent, MeasureObserver};
use super::process::{End, run_child};
use super::protocol::{Event, Found, Job, JobCell};
use super::record::{Collected, record};
use super::unfinished::Unfinished;
use crate::suite::{KernelCell, Operation};

/// One cell to measure.
#[derive(Debug, Clone)]
pub struct CellTask<'a> {
    /// Id in records.
    pub id: &'a str,
    /// Display name.
    pub name: &'a str,
    /// Hash of the cell, hex.
    pub cell_hash: &'a str,
    /// Axis values of the cell.
    pub axis_values: AxisValues,
    /// The cell.
    pub cell: &'a KernelCell,
}

/// How to measure.
#[derive(Debug, Clone, Copy)]
pub struct MeasureOptions<'a> {
    /// Version and revision of this program, part of every record.
    pub build_id: &'a str,
    /// Ends the run at the first cell that is wrong or fails.
    pub fail_fast: bool,
    /// Raised by a signal: the child is ended and the run stops.
    pub stop: &'a AtomicBool,
}

/// What came of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MeasureOutcome {
    /// Cells whose record was there already.
    pub n_reused: usize,
    /// Cells that were timed.
    pub n_ok: usize,
    /// Cells whose results are wrong, recorded ones included.
    pub n_wrong: usize,
    /// Cells that this machine or build does not have.
    pub n_unavailable: usize,
    /// Cells that failed.
    pub n_failed: usize,
    /// Whether a signal stopped the run before its end.
    pub stopped: bool,
}

/// What ends a run.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The run folder could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A measuring process could not be started.
    #[error("cannot start a measuring process")]
    Start(#[from] io::Error),
    /// Measuring processes die before they measure anything.
    #[error("measuring is impossible: {0}")]
    Died(String),
}

/// Measures every task that has no record of the same cell and build, and records it. Wrong and failed cells are
/// measured again.
///
/// # Errors
/// [`MeasureError`]; what was recorded before is kept.
pub fn measure_cells(
    tasks: &[CellTask<'_>],
    writer: &RunWriter,
    options: MeasureOptions<'_>,
    observer: &mut dyn MeasureObserver,
) -> Result<MeasureOutcome, MeasureError> {
    let recorded = writer.folder().measurements()?;
    let is_done = |task: &CellTask<'_>| {
        recorded
            .iter()
            .any(|record| answers(record, task, options.build_id))
    };
    let todo: Vec<CellTask<'_>> = tasks.iter().filter(|task| !is_done(task)).cloned().collect();
    let mut unfinished = Unfinished::read(writer.folder(), options.build_id)?;
    let goes_on = !unfinished.is_empty();
    let open: Vec<Collected> = { todo.iter() }
        .map(|task| unfinished.take(task.id, task.cell_hash))
        .collect();
    let n_left = |(task, collected): (&CellTask<'_>, &Collected)| {
        let processes = task.cell.measure.processes as usize;
        processes.saturating_sub(collected.processes.len())
    };
    let n_measurements = todo.iter().zip(&open).map(n_left).sum();
    let n_reused = tasks.len() - todo.len();
    observer.on_event(&MeasureEvent::RunStarted {
        n_cells: tasks.len(),
        n_reused,
        n_measurements,
        n_kept: open.iter().map(|collected| collected.processes.len()).sum(),
    });
    let peaks = if n_reused > 0 || goes_on {
        writer.folder().peaks()?
    } else {
        None
    };
    let mut run = Run {
        open: open.into_iter().map(Some).collect(),
        tasks: &todo,
        writer,
        options,
        observer,
        peaks,
        outcome: MeasureOutcome {
            n_reused,
            ..MeasureOutcome::default()
        },
    };
    let processes = todo
        .iter()
        .map(|task| task.cell.measure.processes)
        .max()
        .unwrap_or(0);
    for process in 0..processes {
        let goes_on = run.process(process)?;
        run.keep_unfinished()?;
        if !goes_on {
            break;
        }
    }
    Ok(run.outcome)
}

/// Whether a record makes measuring a cell superfluous.
fn answers(record: &MeasurementRecord, task: &CellTask<'_>, build_id: &str) -> bool {
    record.id == task.id
        && record.cell_hash == task.cell_hash
        && record.build_id == build_id
        && matches!(
            record.outcome,
            MeasurementOutcome::Ok { .. } | MeasurementOutcome::Unavailable { .. }
        )
}

struct Run<'a> {
    tasks: &'a [CellTask<'a>],
    /// What is known of each task; none once it is recorded.
    open: Vec<Option<Collected>>,
    writer: &'a RunWriter,
    options: MeasureOptions<'a>,
    observer: &'a mut dyn MeasureObserver,
    peaks: Option<PeaksRecord>,
    outcome: MeasureOutcome,
}

/// The peaks that a child measures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct WantedPeaks {
    /// The CPU's, on so many threads.
    threads: Option<u64>,
    /// The GPU's.
    gpu: bool,
}

impl Run<'_> {
    /// Measures every open cell once; false when the run is over.
    fn process(&mut self, process: u64) -> Result<bool, MeasureError> {
        let is_due = |index: &usize| {
            let collected = self.open[*index].as_ref();
            collected.is_some_and(|collected| collected.processes.len() as u64 <= process)
                && process < self.tasks[*index].cell.measure.processes
        };
        let mut order: Vec<usize> = (0..self.tasks.len()).filter(is_due).collect();
        if process % 2 == 1 {
            order.reverse();
        }
        let trains = |index: &usize| self.tasks[*index].cell.work.operation() == Operation::TrainStep;
        let (alone, together): (Vec<usize>, Vec<usize>) = order.iter().partition(|index| trains(index));
        // Peaks are those of the devices that have cells.
        let (on_gpu, on_cpu): (Vec<&KernelCell>, Vec<&KernelCell>) = order
            .iter()
            .map(|&index| self.tasks[index].cell)
            .partition(|cell| cell.is_on_gpu());
        let peaks = WantedPeaks {
            threads: on_cpu.iter().map(|cell| cell.measure.threads).max(),
            gpu: on_gpu.iter().any(|cell| cell.is_ever_held()),
        };
        // They are measured in one process of each round, with or without kernels.
        if !self.child(process, together, peaks)? {
            return Ok(false);
        }
        for index in alone {
            if !self.child(process, vec![index], WantedPeaks::default())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps what is measured and not recorded.
    fn keep_unfinished(&self) -> Result<(), RecordError> {
        let mut unfinished = Unfinished::read(self.writer.folder(), self.options.build_id)?;
        for (task, collected) in self.tasks.iter().zip(&self.open) {
            unfinished.take(task.id, task.cell_hash);
            if let Some(collected) = collected {
                unfinished.keep(task.id, task.cell_hash, collected);
            }
        }
        unfinished.write(self.writer.folder())
    }

    fn peaks(&mut self) -> &mut PeaksRecord {
        self.peaks.get_or_insert_with(|| PeaksRecord {
            format: FORMAT,
            threads: 0,
            processes: Vec::new(),
            gpu: Vec::new(),
        })
    }

    fn write_peaks(&self) -> Result<(), RecordError> {
        self.peaks
            .iter()
            .try_for_each(|peaks| self.writer.write_peaks(peaks))
    }

    /// Measures cells in a child, and in another one what is left should it die or leave some; false when the run is over.
    fn child(
        &mut self,
        process: u64,
        mut cells: Vec<usize>,
        mut peaks: WantedPeaks,
    ) -> Result<bool, MeasureError> {
        while !cells.is_empty() || peaks != WantedPeaks::default() {
            let WantedPeaks { threads, gpu } = std::mem::take(&mut peaks);
            let job = Job {
                peak_threads: threads,
                gpu_peaks: gpu,
                verify: process == 0,
                cells: cells
                    .iter()
                    .map(|&index| JobCell {
                        index,
                        cell: self.tasks[index].cell.clone(),
                    })
                    .collect(),
            };
            let n_open = cells.len();
            let (mut current, mut has_spoken) = (None, false);
            let stop = self.options.stop;
            let end = run_child(&job, stop, &mut |event| -> Result<(), MeasureError> {
                has_spoken = true;
                match event {
                    Event::Started { index } => {
                        current = Some(index);
                        let name = self.tasks[index].name;
                        self.observer.on_event(&MeasureEvent::Started { name, process });
                    }
                    Event::Done { index, found } => {
                        current = None;
                        cells.retain(|cell| *cell != index);
                        self.take(process, index, found)?;
                    }
                    Event::Peaks(found) => {
                        let peaks = self.peaks();
                        peaks.threads = threads.unwrap_or_default();
                        peaks.processes.push(found);
                        self.write_peaks()?;
                    }
                    Event::GpuPeaks(found) => {
                        self.peaks().gpu.push(found);
                        self.write_peaks()?;
                    }
                }
                Ok(())
            })?;
            match (end, current) {
                (End::Stopped, _) => {
                    self.outcome.stopped = true;
                    return Ok(false);
                }
                (End::Finished, _) if cells.is_empty() || cells.len() == n_open => {
                    return Ok(!self.gives_up());
                }
                (End::Finished, _) => {}
                (End::Died(how), Some(index)) => {
                    cells.retain(|cell| *cell != index);
                    self.take(process, index, Found::Failed(how))?;
                }
                // The peaks of the GPU come first, and everything else can be had without them.
                (End::Died(how), None) if gpu && !has_spoken => {
                    tracing::warn!("no peaks of the GPU: {how}");
                    peaks = WantedPeaks { threads, gpu: false };
                }
                (End::Died(how), None) => return Err(MeasureError::Died(how)),
            }
            if self.gives_up() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn gives_up(&self) -> bool {
        self.options.fail_fast && self.outcome.n_wrong + self.outcome.n_failed > 0
    }

    /// Takes in what a process found of a cell, and records the cell if nothing more is to come.
    fn take(&mut self, process: u64, index: usize, found: Found) -> Result<(), MeasureError> {
        self.observer.on_event(&MeasureEvent::Measured);
        let task = &self.tasks[index];
        let Some(collected) = &mut self.open[index] else {
            return Ok(());
        };
        match found {
            Found::Timed(timed) => {
                collected.add(timed);
                if process + 1 < task.cell.measure.processes {
                    return Ok(());
                }
                let collected = std::mem::take(collected);
                self.writer.replace_timing(task.id, &collected.rows(task))?;
                let result = Box::new(collected.result(task));
                self.outcome.n_ok += 1;
                self.record(index, MeasurementOutcome::Ok { result })
            }
            Found::Wrong(accuracy) => {
                self.outcome.n_wrong += 1;
                self.record(index, MeasurementOutcome::Wrong { accuracy })
            }
            Found::Unavailable(reason) => {
                self.outcome.n_unavailable += 1;
                self.record(index, MeasurementOutcome::Unavailable { reason })
            }
            Found::Failed(error) => {
                self.outcome.n_failed += 1;
                self.record(index, MeasurementOutcome::Failed { error })
            }
        }
    }

    fn record(&mut self, index: usize, outcome: MeasurementOutcome) -> Result<(), MeasureError> {
        let task = &self.tasks[index];
        let words = words(&outcome);
        self.writer
            .append_measurement(&record(task, self.options.build_id, outcome))?;
        self.open[index] = None;
        let event = MeasureEvent::Recorded {
            name: task.name,
            outcome: &words,
        };
        self.observer.on_event(&event);
        Ok(())
    }
}

/// An outcome on one line.
fn words(outcome: &MeasurementOutcome) -> String {
    match outcome {
        MeasurementOutcome::Ok { result } => {
            let times = result.times.iter().map(|times| {
                let spread = 100.0 * times.mad_ns / times.median_ns;
                format!(
                    "{} {} +- {spread:.1} %",
                    times.cache.name(),
                    duration(times.median_ns)
                )
            });
            times.collect::<Vec<_>>().join(", ")
        }
        MeasurementOutcome::Wrong { accuracy } => format!(
            "wrong: {}; error {:.3e}, tolerance {:.3e}",
            accuracy.worst, accuracy.error, accuracy.tolerance
        ),
        MeasurementOutcome::Unavailable { reason } => format!("unavailable: {reason}"),
        MeasurementOutcome::Failed { error } => format!("failed: {error}"),
    }
}

/// Nanoseconds in the unit that reads best.
fn duration(ns: f64) -> String {
    match ns {
        _ if ns < 1e3 => format!("{ns:.0} ns"),
        _ if ns < 1e6 => format!("{:.1} us", ns / 1e3),
        _ if ns < 1e9 => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.2} s", ns / 1e9),
    }
}
