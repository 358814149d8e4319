//! What this machine can do at most, measured in the process that measures kernels.

use std::hint::black_box;
use std::time::{Duration, Instant};

use hitbench_kernels::cpu::fma_burst;
use hitbench_reports::record::ProcessRecord;
use rayon::prelude::*;
use sysinfo::System;

use super::cache::last_level_bytes;
use crate::machine;

/// Bursts and copies of which the best counts.
const ROUNDS: usize = 5;
/// Time of one burst.
const BURST: Duration = Duration::from_millis(40);
/// Operations a chain that say how long a burst takes.
const TRIAL_ROUNDS: u64 = 200_000;
/// Smallest buffer that is copied.
const LEAST_COPY_BYTES: u64 = 128 << 20;
/// Largest buffer that is copied.
const MOST_COPY_BYTES: u64 = 1 << 30;

/// Peaks found before kernels are measured; [`Self::finish`] adds what is known after.
pub(super) struct Peaks {
    fma_flops_per_s: f64,
    copy_bytes_per_s: f64,
    clock_before: Option<u64>,
    load_average: Option<f64>,
}

impl Peaks {
    /// Measures on all threads of the pool that this is called in.
    pub(super) fn measure() -> Self {
        let load_average = Some(System::load_average().one).filter(|load| *load > 0.0);
        let fma_flops_per_s = fma_peak();
        Self {
            fma_flops_per_s,
            copy_bytes_per_s: copy_peak(),
            // Under load, as kernels will find it.
            clock_before: machine::cpu_clock_hz(),
            load_average,
        }
    }

    /// The record, with the clock as it is now.
    pub(super) fn finish(self) -> ProcessRecord {
        ProcessRecord {
            fma_flops_per_s: self.fma_flops_per_s,
            copy_bytes_per_s: self.copy_bytes_per_s,
            cpu_clock_hz: self
                .clock_before
                .zip(machine::cpu_clock_hz())
                .map(|(before, after)| [before, after]),
            load_average: self.load_average,
        }
    }
}

/// Floating-point operations a second of multiply-adds in registers, all threads together.
fn fma_peak() -> f64 {
    let burst = |rounds: u64| {
        let start = Instant::now();
        let flops: u64 = rayon::broadcast(|_| fma_burst(rounds)).iter().sum();
        flops as f64 / start.elapsed().as_secs_f64()
    };
    let start = Instant::now();
    burst(TRIAL_ROUNDS);
    let scale = BURST.as_secs_f64() / start.elapsed().as_secs_f64().max(1e-9);
    let rounds = (TRIAL_ROUNDS as f64 * scale).max(1.0) as u64;
    (0..ROUNDS).map(|_| burst(rounds)).fold(0.0, f64::max)
}

/// Bytes read and written a second by copying a buffer four times as large as the caches, one piece a thread.
fn copy_peak() -> f64 {
    let bytes = (4 * last_level_bytes()).clamp(LEAST_COPY_BYTES, MOST_COPY_BYTES) as usize;
    // Not zero, so that every page is there before it is timed.
    let (from, mut to) = (vec![1_u8; bytes], vec![2_u8; bytes]);
    let piece = bytes.div_ceil(rayon::current_num_threads());
    let mut copy = || {
        let start = Instant::now();
        to.par_chunks_mut(piece)
            .zip(from.par_chunks(piece))
            .for_each(|(to, from)| to.copy_from_slice(from));
        let took = start.elapsed().as_secs_f64();
        black_box(&to);
        2.0 * bytes as f64 / took
    };
    (0..ROUNDS).map(|_| copy()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_plausible() {
        let peaks = Peaks::measure().finish();
        assert!((1e8..1e15).contains(&peaks.fma_flops_per_s), "{peaks:?}");
        assert!((1e7..1e14).contains(&peaks.copy_bytes_per_s), "{peaks:?}");
    }
}
