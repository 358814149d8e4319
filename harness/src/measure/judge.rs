//! Verifies a bench, and times it in every state that its cell asks for.

use hitbench_kernels::conformance::compare::Deviation;
use hitbench_kernels::cuda::{CacheFlush, Stopwatch};
use hitbench_reports::record::AccuracyRecord;

use super::bench::{Bench, BenchError};
use super::cache::Evictor;
use super::gpu::Watch;
use super::protocol::{Found, Sample, Timed};
use super::timer;
use crate::memory;
use crate::suite::kernel_cell::Cache;
use crate::suite::{KernelCell, MeasureConfig, Operation};

/// Verifies a bench if asked to, and times it unless it is wrong.
pub(super) fn judge_and_time(
    cell: &KernelCell,
    bench: &mut dyn Bench,
    verify: bool,
    evictor: &mut Option<Evictor>,
) -> Result<Found, BenchError> {
    let mut judged = if verify { bench.verify()? } else { None };
    if verify && cell.is_ever_held() {
        bench.hold()?;
        judged = judged
            .zip(bench.verify()?)
            .map(|(host, device)| host.merge(device));
        bench.release();
    }
    match judged {
        Some(deviation) if !deviation.is_within() => Ok(Found::Wrong(record(deviation))),
        judged => time(cell, bench, evictor, judged.map(record)),
    }
}

/// Times a bench in every state.
fn time(
    cell: &KernelCell,
    bench: &mut dyn Bench,
    evictor: &mut Option<Evictor>,
    accuracy: Option<AccuracyRecord>,
) -> Result<Found, BenchError> {
    // What a GPU holds is no memory of the process.
    let is_alone = cell.work.operation() == Operation::TrainStep && !cell.is_on_gpu();
    let mut is_held = cell
        .measure
        .cache
        .first()
        .is_some_and(|cache| cell.is_held(*cache));
    let mut watch = None;
    if cell.is_on_gpu() {
        // The first calls of a process load modules and libraries, and find idle clocks.
        if is_held {
            bench.hold()?;
        }
        bench.call()?;
        watch = Watch::begin();
    }
    let (mut samples, mut peak_memory_bytes) = (Vec::new(), None);
    for cache in &cell.measure.cache {
        let was_held = std::mem::replace(&mut is_held, cell.is_held(*cache));
        let taken = if is_held {
            if !was_held {
                bench.hold()?;
            }
            time_on_device(&cell.measure, *cache, bench)?
        } else {
            bench.release();
            time_on_host(cell, *cache, bench, evictor)?
        };
        samples.push((*cache, taken));
        // What pushes the operation out of the caches is no memory of the operation.
        if is_alone && evictor.is_none() {
            peak_memory_bytes = memory::peak_bytes();
        }
    }
    Ok(Found::Timed(Timed {
        accuracy,
        samples,
        peak_memory_bytes,
        gpu: watch.and_then(Watch::finish),
    }))
}

fn time_on_host(
    cell: &KernelCell,
    cache: Cache,
    bench: &mut dyn Bench,
    evictor: &mut Option<Evictor>,
) -> Result<Vec<Sample>, BenchError> {
    if cell.is_on_gpu() {
        // The first call in a state says nothing of the next.
        bench.call()?;
    }
    let first = timer::on_host(1, &mut || bench.call())?;
    let mut evict = || {
        evictor.get_or_insert_with(Evictor::new).evict();
        Ok(())
    };
    let mut time = |calls| timer::on_host(calls, &mut || bench.call());
    timer::take(&cell.measure, cache, &mut evict, first, &mut time)
}

/// Times calls whose inputs lie on a GPU, by its events.
fn time_on_device(
    measure: &MeasureConfig,
    cache: Cache,
    bench: &mut dyn Bench,
) -> Result<Vec<Sample>, BenchError> {
    bench.call()?;
    let stopwatch = Stopwatch::new()?;
    let mut time = |calls| {
        stopwatch.begin()?;
        for _ in 0..calls {
            bench.call()?;
        }
        Ok(stopwatch.end()?)
    };
    let first = time(1)?;
    let mut cache_flush = None;
    let mut evict = || {
        let flush = match &mut cache_flush {
            Some(flush) => flush,
            none => none.insert(CacheFlush::new()?),
        };
        Ok(flush.flush()?)
    };
    timer::take(measure, cache, &mut evict, first, &mut time)
}

fn record(deviation: Deviation) -> AccuracyRecord {
    let Deviation {
        error,
        tolerance,
        worst,
        n_compared,
    } = deviation;
    AccuracyRecord {
        // JSON has no infinity; nothing finite is further off.
        error: if error.is_finite() { error } else { f64::MAX },
        tolerance,
        worst,
        n_compared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::protocol::Event;
    use crate::suite::Work;
    use crate::suite::kernel_cell::RankCountsShape;

    /// Off by twice its tolerance; must not be timed.
    struct WrongBench {
        verifies: bool,
    }

    impl Bench for WrongBench {
        fn call(&mut self) -> Result<(), BenchError> {
            assert!(!self.verifies, "a wrong kernel is called again");
            Ok(())
        }

        fn verify(&mut self) -> Result<Option<Deviation>, BenchError> {
            Ok(Some(Deviation {
                error: f64::INFINITY,
                tolerance: 1.0,
                worst: "query 3".to_owned(),
                n_compared: 16,
            }))
        }
    }

    #[test]
    fn a_wrong_kernel_is_not_timed() {
        let cell = KernelCell {
            device: "cpu".to_owned(),
            work: Work::RankCounts(RankCountsShape {
                queries: 60,
                gallery: 50,
                dim: 33,
                directions: 2,
            }),
            kernel: "cpu/auto/f16".to_owned(),
            measure: MeasureConfig {
                samples: 3,
                min_time_ms: 1,
                cache: vec![Cache::Warm],
                ..MeasureConfig::default()
            },
        };
        let found = judge_and_time(&cell, &mut WrongBench { verifies: true }, true, &mut None).unwrap();
        let Found::Wrong(accuracy) = &found else {
            panic!("{found:?}");
        };
        assert_eq!((accuracy.error, accuracy.worst.as_str()), (f64::MAX, "query 3"));
        let line = serde_json::to_string(&Event::Done {
            index: 0,
            found: found.clone(),
        })
        .unwrap();
        assert_eq!(
            serde_json::from_str::<Event>(&line).unwrap(),
            Event::Done { index: 0, found }
        );
        let found = judge_and_time(&cell, &mut WrongBench { verifies: false }, false, &mut None).unwrap();
        assert!(matches!(found, Found::Timed(timed) if timed.accuracy.is_none()));
    }
}
