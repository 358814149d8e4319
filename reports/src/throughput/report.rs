//! `report.md` of a throughput suite from top to bottom: what was measured, the machine's peaks and noise, tables,
//! plots, what has no times.

use std::fmt::Write;

use super::gpu::gpu_grid;
use super::grids::{Detail, opponents_grid, times_grid};
use super::noise::{peaks_lines, processes_grid, warnings};
use super::table::{legend, notes};
use super::view::ThroughputView;
use crate::markdown::{Embedded, embed, escaped, grid_md, line, machine, plural, reproduce, section};
use crate::record::value_text;

/// The report of a run.
pub(crate) fn report_md(view: &ThroughputView<'_>, plots: &[Embedded]) -> String {
    let mut out = String::new();
    what_was_measured(&mut out, view);
    results(&mut out, view);
    embed(&mut out, plots);
    peaks(&mut out, view);
    gpu(&mut out, view);
    machine(&mut out, view.run);
    let peaks = if view.peaks.is_some() || view.gpu_peaks.is_some() {
        " and `peaks.json`"
    } else {
        ""
    };
    let text = format!(
        "Every number above follows from `measurements.jsonl`{peaks} in this folder; `timing.csv` holds every sample by \
         process, `run.json` the suite with every default filled in. Times differ from run to run and between machines; \
         ratios within a run are what compares."
    );
    reproduce(&mut out, view.run, &text);
    out
}

fn what_was_measured(out: &mut String, view: &ThroughputView<'_>) {
    let suite = &view.run.suite;
    line(
        out,
        &format!("# {} (suite version {})\n", suite.name, suite.version),
    );
    line(out, &format!("{}\n", suite.about.trim()));
    section(out, "What was measured");
    let n_timed = view
        .blocks
        .iter()
        .flat_map(|block| &block.entries)
        .filter(|entry| entry.record.result().is_some());
    let mut text = format!(
        "{}: {} of an operation, {} timed",
        plural(view.planned.len(), "measurement"),
        plural(view.blocks.len(), "shape"),
        n_timed.count(),
    );
    for (n, word) in view.unfinished() {
        write!(text, ", {n} {word}").expect("a string takes every byte");
    }
    line(
        out,
        &format!("{text}. A kernel is timed only if its results are right.\n"),
    );
    for axis in &suite.axes {
        let values: Vec<String> = axis.values.iter().map(value_text).collect();
        line(
            out,
            &format!("- Axis `{}`: {}", axis.path, escaped(&values.join(", "))),
        );
    }
    for (path, value) in suite.reference.iter().flatten() {
        line(
            out,
            &format!(
                "- Reference, marked `*`: `{path}` {}",
                escaped(&value_text(value))
            ),
        );
    }
    line(out, "");
}

fn results(out: &mut String, view: &ThroughputView<'_>) {
    section(out, "Results");
    for warning in warnings(view) {
        line(out, &format!("**{}**\n", escaped(&warning)));
    }
    line(out, &format!("{}\n", escaped(&legend(view))));
    for block in &view.blocks {
        grid_md(out, &times_grid(view, block, Detail::All));
        if let Some(grid) = opponents_grid(view, block) {
            grid_md(out, &grid);
        }
    }
    let notes = notes(view);
    if !notes.is_empty() {
        section(out, "Without times");
        for note in notes {
            line(out, &format!("- {}", escaped(&note)));
        }
        line(out, "");
    }
}

fn peaks(out: &mut String, view: &ThroughputView<'_>) {
    let lines = peaks_lines(view);
    if lines.is_empty() {
        return;
    }
    section(out, "Peaks, clocks and load");
    for text in lines {
        line(out, &format!("{}\n", escaped(&text)));
    }
    if let Some(grid) = processes_grid(view) {
        grid_md(out, &grid);
    }
}

fn gpu(out: &mut String, view: &ThroughputView<'_>) {
    if let Some(grid) = gpu_grid(view) {
        section(out, "The GPU");
        grid_md(out, &grid);
    }
}
