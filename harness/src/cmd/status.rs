//! `hitbench status`: what of a run is done, what failed, what is left.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use hitbench_reports::RunFolder;
use hitbench_reports::record::{
    MeasurementOutcome, MeasurementRecord, PlannedTrial, RecordError, RunRecord, TrialOutcome, TrialRecord,
};
use serde::Serialize;

use super::console::stdout;
use super::failure::Failure;
use crate::exit_code::ExitCode;
use crate::trial::merge::{difference, find_runs};

/// Says what of a run is done, what failed and why, and what is left. Of a sweep in shards it counts what the shards have.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hitbench status runs/quickstart-1a2b3c4d --json")]
pub struct StatusArgs {
    /// The run folder.
    folder: PathBuf,
    /// Prints one JSON object (schema hitbench.status/1).
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Status {
    schema: &'static str,
    suite: String,
    n_done: usize,
    n_stale: usize,
    n_failed: usize,
    n_left: usize,
    /// Of those that are done, trials that only shards have, until they are merged.
    n_in_shards: usize,
    trials: Vec<TrialStatus>,
}

#[derive(Serialize)]
struct TrialStatus {
    id: String,
    name: String,
    state: State,
    /// The error of a failed trial, or why a kernel is unavailable.
    error: Option<String>,
}

/// The best comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Done,
    /// Recorded by another build; `run` does it again.
    Stale,
    Failed,
    Left,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for a folder that is no run.
pub fn run(args: &StatusArgs) -> Result<ExitCode, Failure> {
    let mut folders = find_runs(&args.folder)?.into_iter();
    let first = folders.next().unwrap_or_else(|| RunFolder::new(&args.folder));
    let run = first.run()?;
    let mut trials = states(&first, &run)?;
    let whole = if first.path() == args.folder {
        done(&trials)
    } else {
        0
    };
    for shard in folders {
        if let Some(what) = difference(&run, &shard.run()?) {
            let shard = shard.path().display();
            writeln!(
                io::stderr(),
                "warning: {shard} is a part of another sweep (other {what}), and is not counted"
            )?;
            continue;
        }
        for (trial, in_shard) in trials.iter_mut().zip(states(&shard, &run)?) {
            if in_shard.state < trial.state {
                *trial = in_shard;
            }
        }
    }
    let n_in_shards = done(&trials) - whole;
    let count = |state| trials.iter().filter(|trial| trial.state == state).count();
    let status = Status {
        schema: "hitbench.status/1",
        suite: run.suite.name.clone(),
        n_done: done(&trials),
        n_stale: count(State::Stale),
        n_failed: count(State::Failed),
        n_left: count(State::Left),
        n_in_shards,
        trials,
    };
    let mut out = stdout();
    if args.json {
        serde_json::to_writer(&mut out, &status).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(ExitCode::Fine);
    }
    for trial in &status.trials {
        let word = match trial.state {
            State::Done => "done",
            State::Stale => "stale",
            State::Failed => "failed",
            State::Left => "left",
        };
        writeln!(out, "{word:<7} {}", trial.name)?;
        if let Some(error) = &trial.error {
            writeln!(out, "        {error}")?;
        }
    }
    let Status {
        suite,
        n_done,
        n_stale,
        n_failed,
        n_left,
        n_in_shards,
        ..
    } = status;
    writeln!(
        out,
        "{suite}: {n_done} done, {n_stale} stale, {n_failed} failed, {n_left} left"
    )?;
    if n_in_shards > 0 {
        let folder = args.folder.display();
        writeln!(
            out,
            "{n_in_shards} of those done are only in shards: hitbench merge {folder}"
        )?;
    }
    Ok(ExitCode::Fine)
}

fn done(trials: &[TrialStatus]) -> usize {
    trials.iter().filter(|trial| trial.state == State::Done).count()
}

/// What the records say of every trial of the plan, in its order.
fn states(folder: &RunFolder, run: &RunRecord) -> Result<Vec<TrialStatus>, RecordError> {
    let planned = run.plan.iter().flat_map(|cell| &cell.trials);
    let status = |planned: &PlannedTrial, (state, error): (State, Option<String>)| TrialStatus {
        id: planned.id.clone(),
        name: planned.name.clone(),
        state,
        error,
    };
    let build_id = run.tool.build_id.as_str();
    if run.suite.is_throughput() {
        let records = folder.measurements()?;
        let found = |planned: &PlannedTrial| records.iter().find(|record| record.id == planned.id);
        Ok(planned
            .map(|planned| {
                status(
                    planned,
                    found(planned).map_or((State::Left, None), |it| measured(it, build_id)),
                )
            })
            .collect())
    } else {
        let records = folder.trials()?;
        let found = |planned: &PlannedTrial| records.iter().find(|record| record.id == planned.id);
        Ok(planned
            .map(|planned| {
                status(
                    planned,
                    found(planned).map_or((State::Left, None), |it| trained(it, build_id)),
                )
            })
            .collect())
    }
}

fn trained(record: &TrialRecord, build_id: &str) -> (State, Option<String>) {
    match &record.outcome {
        TrialOutcome::Failed { error } => (State::Failed, Some(error.clone())),
        TrialOutcome::Ok(_) if record.build_id != build_id => (State::Stale, None),
        TrialOutcome::Ok(_) => (State::Done, None),
    }
}

fn measured(record: &MeasurementRecord, build_id: &str) -> (State, Option<String>) {
    match &record.outcome {
        MeasurementOutcome::Failed { error } => (State::Failed, Some(error.clone())),
        MeasurementOutcome::Wrong { accuracy } => (State::Failed, Some(format!("wrong: {}", accuracy.worst))),
        _ if record.build_id != build_id => (State::Stale, None),
        MeasurementOutcome::Unavailable { reason } => (State::Done, Some(format!("unavailable: {reason}"))),
        MeasurementOutcome::Ok { .. } => (State::Done, None),
    }
}
