//! What the machine did while it measured: peaks, clocks, load, and whether times can be trusted to a few per cent.

use super::gpu::throttling;
use super::numbers::{percent, significant};
use super::ratio::Range;
use super::view::ThroughputView;
use crate::grid::Grid;

/// Processes or clocks that differ by more than this share are called noisy.
const NOISY: f64 = 0.05;

/// The peaks in one sentence.
pub(super) fn peaks_line(view: &ThroughputView<'_>) -> Option<String> {
    let peaks = view.peaks.as_ref()?;
    let text = |range: Range, unit: &str| {
        let [median, min, max] =
            [range.median, range.min, range.max].map(|value| significant(value / 1e9, 4));
        format!("{median} {unit} [{min}, {max}]")
    };
    let threads = peaks.record.threads;
    Some(format!(
        "Peaks of this machine with {threads} thread{}, median and range of {} process{}: FMA in f32 {}, copy {}.",
        if threads == 1 { "" } else { "s" },
        peaks.record.processes.len(),
        if peaks.record.processes.len() == 1 {
            ""
        } else {
            "es"
        },
        text(peaks.fma, "GFLOP/s"),
        text(peaks.copy, "GB/s"),
    ))
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
    let Some(peaks) = &view.peaks else {
        return lines;
    };
    for (range, name) in [(peaks.fma, "FMA peak"), (peaks.copy, "copy bandwidth")] {
        if range.spread() > NOISY {
            lines.push(format!(
                "noisy: the {name} differs by {} % between processes.",
                percent(range.spread())
            ));
        }
    }
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
