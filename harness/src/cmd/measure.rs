//! The measuring half of `hitbench run`: plan, cells, records, report.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use hitbench_reports::record::{
    AxisRecord, FORMAT, PlannedCell, PlannedTrial, RecordError, RunRecord, SuiteRecord, ToolRecord,
};
use hitbench_reports::{RunWriter, render_all};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::console::stdout;
use super::failure::Failure;
use super::folder::{check_older_run, command};
use super::report::print_tables;
use super::run::RunArgs;
use crate::exit_code::ExitCode;
use crate::machine;
use crate::measure::event::{MeasureEvent, MeasureObserver};
use crate::measure::{CellTask, MeasureError, MeasureOptions, MeasureOutcome, MeasurePlan, measure_cells};
use crate::suite::axis_values;
use crate::suite::{Kind, ThroughputSuite};
use crate::trial::plan::run_folder_name;

#[derive(Serialize)]
struct WireOutcome {
    schema: &'static str,
    reason: &'static str,
    folder: String,
    report: String,
    page: String,
    summary: String,
    n_trials: usize,
    n_reused: usize,
    n_ok: usize,
    n_wrong: usize,
    n_unavailable: usize,
    n_failed: usize,
}

/// Measures what no record answers yet until `stop` is raised, then draws tables and plots from the records.
///
/// # Errors
/// [`Failure`] when records cannot be read or written, or measuring is impossible.
pub(super) fn measure(
    args: &RunArgs,
    suite: &ThroughputSuite,
    stop: &AtomicBool,
) -> Result<ExitCode, Failure> {
    if args.shard.is_some() {
        return Err(Failure::message(
            ExitCode::Input,
            "usage",
            format!(
                "suite `{}` measures kernels beside each other, and --shard would tear them apart",
                suite.name
            ),
            "leave --shard out",
        ));
    }
    let tool = machine::tool()?;
    // The records name the whole suite whatever part of it runs now.
    let plan = MeasurePlan::new(suite, None)?;
    MeasurePlan::new(suite, args.filter.as_deref())?;
    let record = run_record(args, suite, &plan, tool);
    let default = || {
        PathBuf::from("runs").join(run_folder_name(
            &suite.name,
            &suite.to_json(),
            &record.tool.build_id,
        ))
    };
    let writer = RunWriter::open(args.out.clone().unwrap_or_else(default))?;
    refuse_other_machine(&writer, &record)?;
    check_older_run(writer.folder(), &record)?;
    writer.write_run(&record)?;

    let options = MeasureOptions {
        build_id: &record.tool.build_id,
        fail_fast: args.fail_fast,
        stop,
    };
    let wanted = |planned: &&PlannedCell| {
        let filter = args.filter.as_deref();
        filter.is_none_or(|filter| planned.trials[0].name.contains(filter))
    };
    let task = |(planned, cell): (&'_ PlannedCell, _)| (planned.clone(), cell);
    let chosen: Vec<_> = record
        .plan
        .iter()
        .zip(&plan.cells)
        .map(task)
        .filter(|(planned, _)| wanted(&planned))
        .collect();
    let tasks: Vec<CellTask<'_>> = chosen
        .iter()
        .map(|(planned, measurement)| CellTask {
            id: &planned.trials[0].id,
            name: &planned.trials[0].name,
            cell_hash: &planned.hash,
            axis_values: planned.axis_values.clone(),
            cell: &measurement.cell.config,
        })
        .collect();
    if cfg!(debug_assertions) {
        writeln!(
            io::stderr(),
            "a debug build: its times say nothing about a release build's"
        )?;
    }
    let outcome = measure_cells(&tasks, &writer, options, &mut Progress::new())?;
    conclude(&writer, tasks.len(), outcome, args.json)
}

/// Times of two machines in one table would be compared.
fn refuse_other_machine(writer: &RunWriter, record: &RunRecord) -> Result<(), Failure> {
    match writer.folder().run() {
        Ok(older) if machine::fingerprint(&older.machine) != machine::fingerprint(&record.machine) => {
            let folder = writer.folder().path();
            let text = format!("{} holds times of another machine", folder.display());
            Err(Failure::message(
                ExitCode::Input,
                "other-machine",
                text,
                "choose another folder with --out",
            )
            .in_file(folder))
        }
        Ok(_) | Err(RecordError::NotARun { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn run_record(
    args: &RunArgs,
    suite: &ThroughputSuite,
    plan: &MeasurePlan<'_>,
    tool: ToolRecord,
) -> RunRecord {
    let cells = plan.cells.iter().map(|planned| PlannedCell {
        hash: planned.hash.to_string(),
        axis_values: axis_values(&planned.cell.axis_values),
        merged: planned
            .merged
            .iter()
            .map(|cell| axis_values(&cell.axis_values))
            .collect(),
        trials: vec![PlannedTrial {
            id: planned.id(),
            name: planned.name.clone(),
            seed: 0,
        }],
    });
    let axes = suite.axes.iter().map(|axis| AxisRecord {
        path: axis.path.clone(),
        values: axis.values.clone(),
    });
    RunRecord {
        format: FORMAT,
        suite: SuiteRecord {
            name: suite.name.clone(),
            version: suite.version,
            about: suite.about.clone(),
            kind: Kind::Throughput.name().to_owned(),
            axes: axes.collect(),
            reference: suite.reference.as_deref().map(axis_values),
            seeds: vec![0],
            gate: suite.gate.as_deref().map(|gate| gate.display().to_string()),
            resolved: suite.to_json(),
        },
        plan: cells.collect(),
        tool,
        machine: machine::machine(),
        command: command(args),
    }
}

/// Draws everything, prints the tables (or one JSON object) and says how the run ended.
fn conclude(
    writer: &RunWriter,
    n_cells: usize,
    outcome: MeasureOutcome,
    json: bool,
) -> Result<ExitCode, Failure> {
    let folder = writer.folder();
    let rendered = render_all(folder)?;
    let (code, reason) = if outcome.stopped {
        (ExitCode::Stopped, "stopped")
    } else if outcome.n_wrong > 0 {
        (ExitCode::CheckFailed, "verify")
    } else if outcome.n_failed > 0 {
        (ExitCode::TrialsFailed, "trials-failed")
    } else {
        (ExitCode::Fine, "ok")
    };
    if json {
        let wire = WireOutcome {
            schema: "hitbench.run/1",
            reason,
            folder: folder.path().display().to_string(),
            report: rendered.report.display().to_string(),
            page: rendered.page.display().to_string(),
            summary: rendered.summary.display().to_string(),
            n_trials: n_cells,
            n_reused: outcome.n_reused,
            n_ok: outcome.n_ok,
            n_wrong: outcome.n_wrong,
            n_unavailable: outcome.n_unavailable,
            n_failed: outcome.n_failed,
        };
        let mut out = stdout();
        serde_json::to_writer(&mut out, &wire).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(code);
    }
    print_tables(folder, &rendered)?;
    if outcome.stopped {
        writeln!(
            io::stderr(),
            "stopped; run the same command again to measure what is not recorded"
        )?;
    }
    Ok(code)
}

/// A bar on a terminal, one line a recorded cell everywhere; on standard error.
struct Progress {
    bar: ProgressBar,
    on_terminal: bool,
}

impl Progress {
    fn new() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            on_terminal: io::stderr().is_terminal(),
        }
    }

    fn line(&self, text: &str) {
        if self.on_terminal {
            self.bar.suspend(|| eprintln!("{text}"));
        } else {
            // A closed pipe must not end a run that is still recording.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }
}

impl MeasureObserver for Progress {
    fn on_event(&mut self, event: &MeasureEvent<'_>) {
        match *event {
            MeasureEvent::RunStarted {
                n_cells,
                n_reused,
                n_measurements,
                n_kept,
            } => {
                let todo = n_cells - n_reused;
                let mut line = match n_reused {
                    0 => format!("{n_cells} cells to measure"),
                    _ => format!("{todo} of {n_cells} cells to measure, {n_reused} already recorded"),
                };
                if n_kept > 0 {
                    let all = n_kept + n_measurements;
                    line += &format!("; {n_kept} of {all} measurements are there from before");
                }
                self.line(&line);
                if self.on_terminal {
                    let style =
                        ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed} elapsed  {wide_msg}");
                    let bar = ProgressBar::new(n_measurements as u64);
                    self.bar = bar.with_style(style.expect("the template is valid"));
                }
            }
            MeasureEvent::Started { name, process } => {
                self.bar.set_message(format!("process {}: {name}", process + 1));
            }
            MeasureEvent::Measured => self.bar.inc(1),
            MeasureEvent::Recorded { name, outcome } => self.line(&format!("{name}: {outcome}")),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl From<MeasureError> for Failure {
    fn from(error: MeasureError) -> Self {
        match error {
            MeasureError::Record(error) => error.into(),
            MeasureError::Start(_) => Self::new(ExitCode::CannotWrite, "cannot-start", error),
            MeasureError::Died(_) => Self::new(ExitCode::TrialsFailed, "cannot-measure", error),
        }
    }
}
