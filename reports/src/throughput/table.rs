//! The tables of a throughput suite on the console, and what stands below them.

use super::grids::{Detail, opponents_grid, times_grid};
use super::noise::{peaks_lines, warnings};
use super::numbers::error_text;
use super::view::ThroughputView;
use crate::grid::{fitted, wrapped};
use crate::record::{CacheState, MeasurementOutcome, MeasurementRecord, PeaksRecord, RunRecord};

/// The tables of a throughput run with peaks, warnings and a legend. `width` is the terminal's, in columns; `None`
/// means as wide as it takes, as in a file. What fits no narrow terminal is left to `report.md`.
pub fn throughput_table(
    run: &RunRecord,
    measurements: &[MeasurementRecord],
    peaks: Option<&PeaksRecord>,
    width: Option<u16>,
) -> String {
    let view = ThroughputView::new(run, measurements, peaks);
    let mut text = String::new();
    for block in &view.blocks {
        let details = [Detail::All, Detail::Main].map(|detail| times_grid(&view, block, detail));
        text += &format!("{}\n\n", fitted(&details, width));
        if let Some(grid) = opponents_grid(&view, block) {
            text += &format!("{}\n\n", fitted(&[grid], width));
        }
    }
    let mut lines: Vec<String> = notes(&view);
    lines.extend(peaks_lines(&view));
    lines.extend(warnings(&view));
    if !view.blocks.is_empty() {
        lines.push(legend(&view));
    }
    let unfinished: Vec<String> = view
        .unfinished()
        .iter()
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    if !unfinished.is_empty() {
        lines.push(format!(
            "Of {} measurements, {}.",
            view.planned.len(),
            unfinished.join(", ")
        ));
    }
    for line in lines {
        text += &format!("{}\n", wrapped(&line, width, "  "));
    }
    text
}

/// What the columns mean.
pub(super) fn legend(view: &ThroughputView<'_>) -> String {
    let mut text = "time: median of one call ± median absolute deviation over all samples; samples: how many, in how \
                    many processes. warm: caches as the call before left them; cold: other memory was read (on a GPU: \
                    written) in between. GFLOP/s and GB/s count the operations and bytes that the definition needs, a \
                    multiply-add as two; k, M, G are powers of 1000."
        .to_owned();
    if view
        .timed()
        .any(|(_, measured, timed)| measured.is_on_gpu() && timed.times.cache != CacheState::Transfer)
    {
        text +=
            " On a GPU, inputs of warm and cold calls lay there, and times are those between its own events.";
    }
    if view
        .timed()
        .any(|(_, _, timed)| timed.times.cache == CacheState::Transfer)
    {
        text += " transfer: calls copied their inputs from the host to the device (a training step, its batch), and \
                 the results back.";
    }
    let product = view.gpu_peaks.as_ref().and_then(|peaks| peaks.product);
    let columns = [
        view.peaks.as_ref().map(|_| "FMA peak"),
        product.map(|_| "f16 product"),
        (view.peaks.is_some() || view.gpu_peaks.is_some()).then_some("copy"),
    ];
    let columns: Vec<&str> = columns.into_iter().flatten().collect();
    if let Some((last, others)) = columns.split_last() {
        let and = if others.is_empty() { "" } else { " and " };
        text += &format!(
            " {}{and}{last}: share of the peaks that this run measured on this machine, medians over processes.",
            others.join(", ")
        );
    }
    if view.gpu_peaks.is_some() {
        text += " On a GPU, times with transfer have none.";
    }
    if view.blocks.iter().any(|block| block.reference.is_some()) {
        text +=
            " speed: median time of the reference (*) by the row's, in the same state; above 1 is faster.";
    }
    text += " Brackets: range over processes, from the least ratio of two process medians to the greatest.";
    text
}

/// Why kernels have no times, one sentence for each reason of each kernel.
pub(super) fn notes(view: &ThroughputView<'_>) -> Vec<String> {
    let mut reasons: Vec<(&str, String, Vec<String>)> = Vec::new();
    for (block, entry) in view
        .blocks
        .iter()
        .flat_map(|block| block.entries.iter().map(move |entry| (block, entry)))
    {
        let why = match &entry.record.outcome {
            MeasurementOutcome::Ok { .. } => continue,
            MeasurementOutcome::Wrong { accuracy } => format!(
                "wrong, so not timed: error {} > tolerance {}, {}, of {} compared",
                error_text(accuracy.error),
                error_text(accuracy.tolerance),
                accuracy.worst,
                accuracy.n_compared
            ),
            MeasurementOutcome::Unavailable { reason } => format!("unavailable: {reason}"),
            MeasurementOutcome::Failed { error } => {
                format!("failed: {}", error.lines().next().unwrap_or("no reason given"))
            }
        };
        match reasons
            .iter_mut()
            .find(|(label, own, _)| *label == entry.label && *own == why)
        {
            Some((_, _, titles)) => titles.push(block.title()),
            None => reasons.push((&entry.label, why, vec![block.title()])),
        }
    }
    let sentence = |(label, why, titles): (&str, String, Vec<String>)| match &titles[..] {
        [title] => format!("{label} at {title}: {why}"),
        _ => format!("{label} at {} shapes: {why}", titles.len()),
    };
    reasons.into_iter().map(sentence).collect()
}
