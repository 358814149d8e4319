//! What the machine did while it measured: peaks, clocks, load, and whether times can be trusted to a few per cent.

use super::gpu::throttling;
use super::numbers::{percent, significant};
use super::ratio::Range;
use super::view::ThroughputView;
use crate::grid::Grid;

/// Processes or clocks that differ by more than this share are called noisy.
const NOISY: f64 = 0.05;

/// The peaks in a sentence a device.
pub(super) fn peaks_lines(view: &ThroughputView<'_>) -> Vec<String> {
    let text = |range: Range, scale: f64, unit: &str| {
        let [median, min, max] =
            [range.median, range.min, range.max].map(|value| significant(value / scale, 4));
        format!("{median} {unit} [{min}, {max}]")
    };
    let plural = |n: usize, end: &'static str| if n == 1 { "" } else { end };
    let mut lines = Vec::new();
    if let Some(peaks) = &view.peaks {
        let (threads, n) = (peaks.record.threads, peaks.record.processes.len());
        lines.push(format!(
            "Peaks of this machine with {threads} thread{}, median and range of {n} process{}: FMA in f32 {}, copy {}.",
            plural(threads as usize, "s"),
            plural(n, "es"),
            text(peaks.fma, 1e9, "GFLOP/s"),
            text(peaks.copy, 1e9, "GB/s"),
        ));
    }
    if let Some(peaks) = &view.gpu_peaks {
        let n = peaks.processes.len();
        let product = match peaks.product {
            Some(product) => format!(
                "libtorch's product of large f16 matrices {}, ",
                text(product, 1e12, "TFLOP/s")
            ),
            None => String::new(),
        };
        lines.push(format!(
            "Peaks of the GPU, median and range of {n} process{}: {product}copy within its memory {}.",
            plural(n, "es"),
            text(peaks.copy, 1e9, "GB/s"),
        ));
    }
    lines
}

/// One row a process: its peaks, clock before and after, and load.
pub(super) fn processes_grid(view: &ThroughputView<'_>) -> Option<Grid> {
    let peaks = view.peaks.as_ref()?;
    let giga = |value: f64| significant(value / 1e9, 4);
    let clock = |clock: Option<[u64; 2]>, at: usize| match clock {
        Some(clock) => format!("{:.2}", clock[at] as f64 / 1e9),
        None => "unknown".to_owned(),
    };
    let rows = peaks.record.processes.iter().enumerate().map(|(index, process)| {
        vec![
            index.to_string(),
            giga(process.fma_flops_per_s),
            giga(process.copy_bytes_per_s),
            clock(process.cpu_clock_hz, 0),
            clock(process.cpu_clock_hz, 1),
            process
                .load_average
                .map_or("unknown".to_owned(), |load| format!("{load:.2}")),
        ]
    });
    Some(Grid {
        caption: String::new(),
        header: [
            "process",
            "FMA, GFLOP/s",
            "copy, GB/s",
            "clock before, GHz",
            "clock after, GHz",
            "load before",
        ]
        .map(str::to_owned)
        .to_vec(),
        n_words: 1,
        rows: rows.collect(),
    })
}

/// A line for each kind of noise above 5 %.
pub(super) fn warnings(view: &ThroughputView<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let spreads: Vec<(f64, String)> = view
        .timed()
        .filter_map(|(block, entry, timed)| {
            let name = format!("{}, {}, {}", entry.label, timed.times.cache.name(), block.title());
            Some((timed.processes()?.spread(), name))
        })
        .collect();
    let noisy = spreads.iter().filter(|(spread, _)| *spread > NOISY);
    if let Some((spread, name)) = noisy.clone().max_by(|(one, _), (other, _)| one.total_cmp(other)) {
        lines.push(format!(
            "noisy: in {} of {} timings the medians of processes differ by more than {:.0} %, by {} % at most ({name}).",
            noisy.count(),
            spreads.len(),
            NOISY * 100.0,
            percent(*spread),
        ));
    }
    lines.extend(throttling(view));
    let mut peaks = Vec::new();
    if let Some(own) = &view.peaks {
        peaks.extend([(own.fma, "FMA peak"), (own.copy, "copy bandwidth")]);
    }
    if let Some(own) = &view.gpu_peaks {
        peaks.extend(own.product.map(|product| (product, "GPU's f16 product")));
        peaks.push((own.copy, "GPU's copy bandwidth"));
    }
    for (range, name) in peaks {
        if range.spread() > NOISY {
            lines.push(format!(
                "noisy: the {name} differs by {} % between processes.",
                percent(range.spread())
            ));
        }
    }
    let Some(peaks) = &view.peaks else {
        return lines;
    };
    let clocks = peaks
        .record
        .processes
        .iter()
        .filter_map(|process| process.cpu_clock_hz);
    if let Some(clocks) = Range::of(clocks.flatten().map(|hz| hz as f64 / 1e9))
        && clocks.spread() > NOISY
    {
        lines.push(format!(
            "noisy: the clock of the first core moved by {} %, from {:.2} to {:.2} GHz.",
            percent(clocks.spread()),
            clocks.min,
            clocks.max
        ));
    }
    lines
}
