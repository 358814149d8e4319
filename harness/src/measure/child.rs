//! The child: measures what its job says, in this process.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use hitbench_kernels::KernelError;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use super::bench::{BenchError, bench, is_here};
use super::cache::Evictor;
use super::gpu_peak;
use super::inputs::Inputs;
use super::judge::judge_and_time;
use super::peak::Peaks;
use super::protocol::{Event, Found, Job, JobCell};
use crate::suite::{KernelCell, Work};

/// What ends a child before its time.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The job could not be read, or nobody listens any more.
    #[error("cannot read the job or write what was found")]
    Io(#[from] io::Error),
    /// The job is none.
    #[error("the job is not one of this program")]
    Job(#[from] serde_json::Error),
    /// The threads could not be started.
    #[error("cannot start the threads")]
    Threads(#[from] ThreadPoolBuildError),
}

/// Reads a job, does it, and writes what was found, a line each. A cell that fails on a GPU is the last one.
///
/// # Errors
/// [`ChildError`]; what goes wrong in a cell is told as its [`Found`].
pub fn run_job(input: impl Read, out: &mut impl Write) -> Result<(), ChildError> {
    let job: Job = serde_json::from_reader(input)?;
    let mut say = |event: &Event| -> Result<(), ChildError> {
        serde_json::to_writer(&mut *out, event)?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    };
    let peaks = match job.peak_threads {
        Some(threads) => Some(pool(threads)?.install(Peaks::measure)),
        None => None,
    };
    if job.gpu_peaks {
        match catch_unwind(gpu_peak::measure) {
            Ok(Ok(peaks)) => say(&Event::GpuPeaks(peaks))?,
            // Cells say why.
            Ok(Err(KernelError::Unavailable { .. })) => {}
            Ok(Err(error)) => tracing::warn!("no peaks of the GPU: {}", chain(&error)),
            Err(_) => tracing::warn!("no peaks of the GPU: measuring them panicked"),
        }
    }
    let mut stage = Stage::new(job.verify);
    for JobCell { index, cell } in &job.cells {
        say(&Event::Started { index: *index })?;
        let found = pool(cell.measure.threads)?.install(|| stage.measure(cell));
        // What failed on a GPU may have lost the context of this process, so that nothing would work in it any more.
        let is_lost = cell.is_on_gpu() && matches!(found, Found::Failed(_));
        say(&Event::Done { index: *index, found })?;
        if is_lost {
            break;
        }
    }
    match peaks {
        Some(peaks) => say(&Event::Peaks(peaks.finish())),
        None => Ok(()),
    }
}

fn pool(threads: u64) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new().num_threads(threads as usize).build()
}

/// What cells share: the inputs of the last shape and the memory that pushes them out of the caches.
struct Stage {
    verify: bool,
    inputs: Option<(Work, Inputs)>,
    evictor: Option<Evictor>,
}

impl Stage {
    fn new(verify: bool) -> Self {
        Self {
            verify,
            inputs: None,
            evictor: None,
        }
    }

    /// Measures a cell on the threads of the pool that this is called in.
    fn measure(&mut self, cell: &KernelCell) -> Found {
        #[cfg(feature = "torch")]
        hitbench_kernels::libtorch::use_threads(cell.measure.threads as usize);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.try_measure(cell)));
        match outcome {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => match error.unavailable() {
                Some(reason) => Found::Unavailable(reason),
                None => Found::Failed(chain(&error)),
            },
            Err(panic) => {
                // Inputs may be half written.
                self.inputs = None;
                let text = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied());
                Found::Failed(format!("panicked: {}", text.unwrap_or("without words")))
            }
        }
    }

    fn try_measure(&mut self, cell: &KernelCell) -> Result<Found, BenchError> {
        is_here(cell)?;
        if self.inputs.as_ref().is_none_or(|(work, _)| *work != cell.work) {
            self.inputs = None;
            self.inputs = Some((cell.work.clone(), Inputs::of(&cell.work)?));
        }
        let Some((_, inputs)) = &mut self.inputs else {
            return Ok(Found::Failed("without inputs".to_owned()));
        };
        let mut bench = bench(cell, inputs)?;
        judge_and_time(cell, &mut *bench, self.verify, &mut self.evictor)
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use hitbench_kernels::cuda::Stopwatch;

    use super::*;
    use crate::suite::kernel_cell::{
        Cache, EmaUpdateShape, EnqueueShape, InfoNceShape, RankCountsShape, TopKShape, TrainStepShape,
    };
    use crate::suite::{MeasureConfig, Operation};

    fn events(cells: &[(Work, &str)], peak_threads: Option<u64>, verify: bool) -> Vec<Event> {
        run(&job(cells, peak_threads, verify))
    }

    fn job(cells: &[(Work, &str)], peak_threads: Option<u64>, verify: bool) -> Job {
        let measure = MeasureConfig {
            processes: 1,
            samples: 3,
            min_time_ms: 3,
            cache: vec![Cache::Warm, Cache::Cold, Cache::Transfer],
            threads: 2,
        };
        let cell = |(index, (work, kernel)): (usize, &(Work, &str))| JobCell {
            index,
            cell: KernelCell {
                device: "cpu".to_owned(),
                work: work.clone(),
                kernel: (*kernel).to_owned(),
                measure: measure.clone(),
            },
        };
        let cells = cells.iter().enumerate().map(cell).collect();
        Job {
            peak_threads,
            gpu_peaks: false,
            verify,
            cells,
        }
    }

    fn run(job: &Job) -> Vec<Event> {
        let mut out = Vec::new();
        run_job(serde_json::to_vec(job).unwrap().as_slice(), &mut out).unwrap();
        let lines = String::from_utf8(out).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_job_whose_gpu_has_no_peaks_goes_on() {
        let work = works().remove(0);
        let job = Job {
            gpu_peaks: true,
            ..job(&[(work, "cpu/auto/f16")], None, false)
        };
        let events = run(&job);
        let n_peaks = events
            .iter()
            .filter(|event| matches!(event, Event::GpuPeaks(_)))
            .count();
        assert_eq!(n_peaks, usize::from(Stopwatch::new().is_ok()));
        assert!(matches!(
            events.last(),
            Some(Event::Done {
                found: Found::Timed(_),
                ..
            })
        ));
    }

    fn works() -> Vec<Work> {
        vec![
            Work::RankCounts(RankCountsShape {
                queries: 60,
                gallery: 50,
                dim: 33,
                directions: 2,
            }),
            Work::TopK(TopKShape {
                queries: 20,
                gallery: 50,
                dim: 33,
                k: 5,
            }),
            Work::InfoNce(InfoNceShape {
                batch: 20,
                queue_len: 90,
                dim: 16,
            }),
            Work::EmaUpdate(EmaUpdateShape {
                tensors: 5,
                parameters: 20_000,
            }),
            Work::Enqueue(EnqueueShape {
                batch: 20,
                queue_len: 50,
                dim: 16,
            }),
        ]
    }

    #[test]
    fn every_operation_is_verified_and_timed_in_every_kernel() {
        for kernel in hitbench_kernels::available_kernels() {
            let kernel = kernel.to_string();
            if kernel.contains("cuda") {
                continue;
            }
            let cells: Vec<(Work, &str)> = works().into_iter().map(|work| (work, kernel.as_str())).collect();
            let events = events(&cells, None, true);
            assert_eq!(events.len(), 2 * cells.len());
            for (index, pair) in events.chunks(2).enumerate() {
                assert_eq!(pair[0], Event::Started { index });
                let Event::Done {
                    found: Found::Timed(timed),
                    ..
                } = &pair[1]
                else {
                    panic!("{kernel}: {:?}", pair[1]);
                };
                assert!(
                    timed
                        .accuracy
                        .as_ref()
                        .is_some_and(|accuracy| accuracy.n_compared > 0)
                );
                assert_eq!(
                    timed.samples.iter().map(|(cache, _)| *cache).collect::<Vec<_>>(),
                    [Cache::Warm, Cache::Cold, Cache::Transfer]
                );
                assert!(timed.samples.iter().all(|(_, samples)| samples.len() == 3));
            }
        }
    }

    #[test]
    fn a_cell_that_fails_on_a_gpu_is_the_last_of_its_process() {
        // No queue takes a batch that is longer: the kernel refuses, on any device.
        let cell = |device: &str| KernelCell {
            device: device.to_owned(),
            work: Work::Enqueue(EnqueueShape {
                batch: 20,
                queue_len: 5,
                dim: 16,
            }),
            kernel: "cpu/auto/f16".to_owned(),
            measure: MeasureConfig {
                cache: vec![Cache::Transfer],
                ..MeasureConfig::default()
            },
        };
        for (device, n_done) in [("cuda:0", 1), ("cpu", 2)] {
            let cells = (0..2).map(|index| JobCell {
                index,
                cell: cell(device),
            });
            let job = Job {
                peak_threads: None,
                gpu_peaks: false,
                verify: false,
                cells: cells.collect(),
            };
            let mut out = Vec::new();
            run_job(serde_json::to_vec(&job).unwrap().as_slice(), &mut out).unwrap();
            let said = String::from_utf8(out).unwrap();
            assert_eq!(said.matches("\"failed\"").count(), n_done, "{said}");
            assert_eq!(said.lines().count(), 2 * n_done, "{said}");
        }
    }

    #[test]
    fn on_a_machine_without_the_device_everything_of_it_is_unavailable() {
        if hitbench_kernels::cuda::probe::driver().is_ok() {
            eprintln!("skipped: this machine has a GPU");
            return;
        }
        let step = Work::TrainStep(TrainStepShape {
            batch: 4,
            tokens: 4,
            queue_len: 0,
        });
        let mut stage = Stage::new(true);
        for work in works().into_iter().chain([step]) {
            for kernel in ["cuda/sm80/f16", "libtorch/cuda/f32"] {
                let cell = KernelCell {
                    device: "cuda:0".to_owned(),
                    work: work.clone(),
                    kernel: kernel.to_owned(),
                    measure: MeasureConfig {
                        cache: vec![Cache::Transfer],
                        ..MeasureConfig::default()
                    },
                };
                let found = stage.measure(&cell);
                assert!(matches!(found, Found::Unavailable(_)), "{kernel}: {found:?}");
            }
        }
        assert!(
            stage
                .inputs
                .is_none_or(|(work, _)| work.operation() == Operation::TrainStep)
        );
    }

    #[test]
    fn opponents_are_timed_and_what_does_not_exist_is_unavailable() {
        let step = TrainStepShape {
            batch: 4,
            tokens: 4,
            queue_len: 0,
        };
        let mut cells: Vec<(Work, &str)> = works().into_iter().map(|work| (work, "gemm/f32")).collect();
        cells.push((Work::TrainStep(step), "gemm/f32"));
        let events = events(&cells, Some(1), true);
        let found: Vec<&Found> = events
            .iter()
            .filter_map(|event| match event {
                Event::Done { found, .. } => Some(found),
                _ => None,
            })
            .collect();
        assert!(matches!(found[0], Found::Timed(timed) if timed.accuracy.is_none()));
        assert!(matches!(found[1], Found::Timed(_)));
        for (found, operation) in found[2..]
            .iter()
            .zip(["info_nce", "ema_update", "enqueue", "train_step"])
        {
            assert_eq!(**found, Found::Unavailable(format!("has no {operation}")));
        }
        assert!(matches!(events.last(), Some(Event::Peaks(peaks)) if peaks.fma_flops_per_s > 0.0));
    }
}
