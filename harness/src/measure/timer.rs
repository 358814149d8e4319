//! Samples of one cell in one state.
//!
//! Warm and with transfer: calls are repeated within a sample until it takes `min_time_ms / samples`, as often in
//! every sample as the first search for that number found. Cold: one call a sample, after everything was pushed out of
//! the caches.
//! There are at least three samples and at most `samples`; none but the first three begins once four times
//! `min_time_ms` have passed, so that slow calls do not make a run endless.
//!
//! Calls are timed by the clock of the host, or by a device's own events where its inputs lie on it.

use std::time::{Duration, Instant};

use super::protocol::Sample;
use crate::suite::MeasureConfig;
use crate::suite::kernel_cell::Cache;

/// Fewest samples.
const LEAST_SAMPLES: usize = 3;
/// Time of a state, as a multiple of `min_time_ms`, after which no more samples begin.
const PATIENCE: u32 = 4;
/// Most calls of a sample.
const MOST_CALLS: u64 = 1 << 30;

/// Takes the samples of one state. `evict` pushes everything out of the caches; `first` is the time of a call made before;
/// `time` makes as many calls and tells how long they took together.
pub(super) fn take<E>(
    measure: &MeasureConfig,
    cache: Cache,
    evict: &mut dyn FnMut() -> Result<(), E>,
    first: Duration,
    time: &mut dyn FnMut(u64) -> Result<Duration, E>,
) -> Result<Vec<Sample>, E> {
    let calls = match cache {
        Cache::Warm | Cache::Transfer => find_calls(sample_time(measure), first, &mut *time)?,
        Cache::Cold => 1,
    };
    let mut samples = Vec::new();
    let start = Instant::now();
    while goes_on(samples.len(), start.elapsed(), measure) {
        if cache == Cache::Cold {
            evict()?;
        }
        let took = time(calls)?;
        let time_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        samples.push(Sample { calls, time_ns });
    }
    Ok(samples)
}

/// Least time of one sample.
fn sample_time(measure: &MeasureConfig) -> Duration {
    Duration::from_millis(measure.min_time_ms).div_f64(measure.samples as f64)
}

/// Whether one more sample is taken after `n` in `elapsed`.
fn goes_on(n: usize, elapsed: Duration, measure: &MeasureConfig) -> bool {
    let patience = PATIENCE * Duration::from_millis(measure.min_time_ms);
    n < LEAST_SAMPLES || ((n as u64) < measure.samples && elapsed < patience)
}

/// Calls that together take `least`: one where `first` says so, else found by trying, which also warms everything up.
fn find_calls<E>(
    least: Duration,
    first: Duration,
    mut time: impl FnMut(u64) -> Result<Duration, E>,
) -> Result<u64, E> {
    if first >= 2 * least {
        return Ok(1);
    }
    let mut calls = 1;
    loop {
        let took = time(calls)?;
        if took >= least || calls >= MOST_CALLS {
            return Ok(calls);
        }
        let wanted = calls as f64 * least.as_secs_f64() / took.as_secs_f64().max(1e-9);
        calls = (1.2 * wanted)
            .clamp(calls as f64 + 1.0, 10.0 * calls as f64)
            .ceil() as u64;
    }
}

/// The time of calls by the clock of the host.
pub(super) fn on_host<E>(calls: u64, call: &mut dyn FnMut() -> Result<(), E>) -> Result<Duration, E> {
    let start = Instant::now();
    for _ in 0..calls {
        call()?;
    }
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn config(samples: u64, min_time_ms: u64) -> MeasureConfig {
        MeasureConfig {
            samples,
            min_time_ms,
            ..MeasureConfig::default()
        }
    }

    #[test]
    fn samples_end_by_number_or_time_but_never_before_three() {
        let measure = config(5, 100);
        let goes_on = |n, ms| super::goes_on(n, Duration::from_millis(ms), &measure);
        assert!(goes_on(0, 0) && goes_on(4, 0) && !goes_on(5, 0));
        assert!(goes_on(2, 9_000) && !goes_on(3, 400) && goes_on(3, 399));
    }

    #[test]
    fn short_calls_are_repeated_until_a_sample_is_long_enough() {
        let least = Duration::from_micros(1000);
        let found = |first: u64, each: u64| {
            let mut n_calls = 0;
            let time = |calls: u64| {
                n_calls += calls;
                Ok::<_, Infallible>(Duration::from_nanos(calls * each))
            };
            let calls = find_calls(least, Duration::from_nanos(first), time).unwrap();
            (calls, n_calls)
        };
        assert_eq!(found(2_000_000, 2_000_000), (1, 0));
        assert_eq!(found(0, 1_000_000), (1, 1));
        let (calls, tried) = found(0, 1000);
        assert!((1000..1300).contains(&calls) && tried < 3000, "{calls} {tried}");
    }

    #[test]
    fn every_sample_says_its_calls_and_time() {
        let mut n_calls = 0;
        let mut call = || {
            n_calls += 1;
            std::thread::sleep(Duration::from_millis(1));
            Ok::<_, Infallible>(())
        };
        let mut n_evictions = 0;
        let mut evict = || {
            n_evictions += 1;
            Ok(())
        };
        let mut time = |calls| on_host(calls, &mut call);
        let samples = take(&config(3, 12), Cache::Warm, &mut evict, Duration::ZERO, &mut time).unwrap();
        assert_eq!(samples.len(), 3);
        let n_timed: u64 = samples.iter().map(|sample| sample.calls).sum();
        assert!(
            samples
                .iter()
                .all(|sample| sample.time_ns >= sample.calls * 1_000_000)
        );
        let samples = take(
            &config(4, 1000),
            Cache::Cold,
            &mut evict,
            Duration::ZERO,
            &mut time,
        )
        .unwrap();
        assert_eq!(
            samples.iter().map(|sample| sample.calls).collect::<Vec<_>>(),
            [1; 4]
        );
        // The search for the number of calls made some too, at least one.
        assert!(n_calls > n_timed + 4, "{n_calls} {n_timed}");
        assert_eq!(n_evictions, 4);
    }
}
