//! The plan of a throughput suite: cells, what a call of each does, what is recorded already.

use std::io::{self, Write};
use std::path::PathBuf;

use comfy_table::CellAlignment;
use hitbench_kernels::{Dtype, KernelId};
use hitbench_reports::RunFolder;
use hitbench_reports::record::{MeasurementOutcome, MeasurementRecord, WorkRecord};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::super::console::stdout;
use super::super::console::table;
use super::outlook::Outlook;
use super::view::{axes_json, grouped, label};
use super::{PlanArgs, PlanError};
use crate::machine;
use crate::measure::work::work_of;
use crate::measure::{MeasurePlan, PlannedMeasurement};
use crate::suite::{MeasureConfig, ThroughputSuite};
use crate::trial::run_folder_name;

#[derive(Serialize)]
struct KernelPlanView<'a> {
    schema: &'static str,
    suite: &'a str,
    version: u32,
    about: &'a str,
    kind: &'static str,
    run_folder: String,
    n_cells: usize,
    cells: Vec<KernelCellView<'a>>,
    excluded: Vec<Json>,
    notes: &'a [String],
    gate: Option<Outlook>,
    #[serde(skip)]
    remarks: Vec<String>,
}

#[derive(Serialize)]
struct KernelCellView<'a> {
    id: String,
    hash: String,
    name: &'a str,
    axes: Json,
    merged: Vec<Json>,
    operation: &'static str,
    shape: Map<String, Json>,
    kernel: &'a str,
    measure: &'a MeasureConfig,
    /// What one call does.
    work: WorkRecord,
    state: &'static str,
}

/// Shows the plan of a throughput suite.
pub(super) fn show(
    args: &PlanArgs,
    suite: &ThroughputSuite,
    outlook: Option<Outlook>,
) -> Result<(), PlanError> {
    let plan = MeasurePlan::new(suite, args.filter.as_deref())?;
    let build_id = machine::tool()?.build_id;
    let default = || PathBuf::from("runs").join(run_folder_name(&suite.name, &suite.to_json(), &build_id));
    let folder = args.out.clone().unwrap_or_else(default);
    let records = RunFolder::new(&folder).measurements()?;
    let mut view = KernelPlanView::new(suite, &plan, &records, &build_id, folder);
    view.gate = outlook;
    let mut out = stdout();
    if args.json {
        serde_json::to_writer(&mut out, &view).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        view.write_text(&mut out)?;
    }
    Ok(())
}

impl<'a> KernelPlanView<'a> {
    fn new(
        suite: &'a ThroughputSuite,
        plan: &'a MeasurePlan<'_>,
        records: &[MeasurementRecord],
        build_id: &str,
        folder: PathBuf,
    ) -> Self {
        let mut remarks = Vec::new();
        for planned in &plan.cells {
            for merged in &planned.merged {
                let (merged, own) = (label(&merged.axis_values), label(&planned.cell.axis_values));
                remarks.push(format!("merged: {merged} is the same work as {own}"));
            }
        }
        for cell in &suite.excluded {
            remarks.push(format!(
                "excluded: {} ({})",
                label(&cell.axis_values),
                cell.reason
            ));
        }
        remarks.extend(suite.notes.iter().map(|note| format!("note: {note}")));
        let excluded = suite.excluded.iter().map(|cell| axes_json(&cell.axis_values));
        Self {
            schema: "hitbench.plan/1",
            suite: &suite.name,
            version: suite.version,
            about: &suite.about,
            kind: "throughput",
            run_folder: folder.display().to_string(),
            n_cells: plan.cells.len(),
            cells: plan
                .cells
                .iter()
                .map(|planned| KernelCellView::new(planned, records, build_id))
                .collect(),
            excluded: excluded.collect(),
            notes: &suite.notes,
            gate: None,
            remarks,
        }
    }

    fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}, version {}: {}\n", self.suite, self.version, self.about)?;
        let cells = if self.n_cells == 1 { "cell" } else { "cells" };
        writeln!(out, "{} {cells}\n", self.n_cells)?;
        let header = ["cell", "id", "MFLOP a call", "KiB a call", "processes", ""];
        let mut rows = table(header, CellAlignment::Left);
        for index in 2..5 {
            if let Some(column) = rows.column_mut(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for cell in &self.cells {
            let count = |number: Option<u64>, unit: u64| {
                number.map_or("-".to_owned(), |number| grouped(number.div_ceil(unit)))
            };
            rows.add_row([
                cell.name.to_owned(),
                cell.id.clone(),
                count(cell.work.flops, 1_000_000),
                count(cell.work.bytes, 1024),
                cell.measure.processes.to_string(),
                cell.state.to_owned(),
            ]);
        }
        writeln!(out, "{}", rows.trim_fmt())?;
        if !self.remarks.is_empty() {
            writeln!(out, "\n{}", self.remarks.join("\n"))?;
        }
        self.gate.as_ref().map_or(Ok(()), |gate| gate.write_text(out))
    }
}

impl<'a> KernelCellView<'a> {
    fn new(planned: &'a PlannedMeasurement<'_>, records: &[MeasurementRecord], build_id: &str) -> Self {
        let (id, hash) = (planned.id(), planned.hash.to_string());
        let config = &planned.cell.config;
        let record = records
            .iter()
            .find(|record| record.id == id && record.cell_hash == hash);
        let state = match record {
            None => "",
            Some(record) if record.build_id != build_id => "stale, runs again",
            Some(record) => match record.outcome {
                MeasurementOutcome::Ok { .. } => "done",
                MeasurementOutcome::Unavailable { .. } => "unavailable",
                MeasurementOutcome::Wrong { .. } => "wrong, runs again",
                MeasurementOutcome::Failed { .. } => "failed, runs again",
            },
        };
        let dtype = config
            .kernel
            .parse::<KernelId>()
            .map_or(Dtype::F32, KernelId::dtype);
        Self {
            id,
            hash,
            name: &planned.name,
            axes: axes_json(&planned.cell.axis_values),
            merged: planned
                .merged
                .iter()
                .map(|cell| axes_json(&cell.axis_values))
                .collect(),
            operation: config.work.operation().name(),
            shape: config.work.sizes(),
            kernel: &config.kernel,
            measure: &config.measure,
            work: work_of(&config.work, dtype),
            state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_shows_cells_and_what_is_left_out() {
        let text = "{format: 1, name: t, version: 2, about: A sample., kind: throughput, \
            shapes: [{operation: rank_counts, queries: 1000, gallery: 2000, dim: 512}, \
                {operation: enqueue, batch: 2, queue_len: 5, dim: 4}], \
            axes: {kernel: [cpu/auto/f16, gemm/f32]}, \
            exclude: [{when: {operation: enqueue, kernel: gemm/f32}, reason: computes products only}, \
                {when: {kernel: libtorch/cpu/f16}, reason: never}]}";
        let suite = ThroughputSuite::parse("t.yaml", text, &[]).unwrap_or_else(|error| panic!("{error}"));
        let plan = MeasurePlan::new(&suite, None).expect("no filter");
        let view = KernelPlanView::new(&suite, &plan, &[], "build", PathBuf::from("runs/t"));
        let mut out = Vec::new();
        view.write_text(&mut out).expect("a vector takes all");
        insta::assert_snapshot!(String::from_utf8(out).expect("text"), @r#"
        t, version 2: A sample.

        3 cells

        cell                                                                 id               MFLOP a call  KiB a call  processes
        t/rank_counts/queries=1000/gallery=2000/dim=512/kernel=cpu.auto.f16  7cdc26aa37cb-s0         2,048       3,032          5
        t/rank_counts/queries=1000/gallery=2000/dim=512/kernel=gemm.f32      9efb4cb07ef7-s0         2,048       6,032          5
        t/enqueue/batch=2/queue_len=5/dim=4/kernel=cpu.auto.f16              5fa65e1ea2f0-s0             -           1          5

        excluded: shape={"operation":"enqueue","batch":2,"queue_len":5,"dim":4}, kernel=gemm.f32 (computes products only)
        note: exclusion `{"kernel":"libtorch/cpu/f16"}` matches no cell
        "#);
    }
}
