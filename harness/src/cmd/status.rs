//! `hitbench status`: what of a run is done, what failed, what is left.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use hitbench_reports::RunFolder;
use hitbench_reports::record::TrialOutcome;
use serde::Serialize;

use super::failure::Failure;
use crate::exit_code::ExitCode;

/// Says what of a run is done, what failed and why, and what is left.
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
    trials: Vec<TrialStatus>,
}

#[derive(Serialize)]
struct TrialStatus {
    id: String,
    name: String,
    state: State,
    /// The error of a failed trial.
    error: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Serialize)]
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
    let folder = RunFolder::new(&args.folder);
    let run = folder.run()?;
    let records = folder.trials()?;
    let trials: Vec<TrialStatus> = run
        .plan
        .iter()
        .flat_map(|cell| &cell.trials)
        .map(|planned| {
            let (state, error) = match records.iter().find(|record| record.id == planned.id) {
                None => (State::Left, None),
                Some(record) => match &record.outcome {
                    TrialOutcome::Failed { error } => (State::Failed, Some(error.clone())),
                    TrialOutcome::Ok(_) if record.build_id != run.tool.build_id => (State::Stale, None),
                    TrialOutcome::Ok(_) => (State::Done, None),
                },
            };
            TrialStatus {
                id: planned.id.clone(),
                name: planned.name.clone(),
                state,
                error,
            }
        })
        .collect();
    let count = |state| trials.iter().filter(|trial| trial.state == state).count();
    let status = Status {
        schema: "hitbench.status/1",
        suite: run.suite.name.clone(),
        n_done: count(State::Done),
        n_stale: count(State::Stale),
        n_failed: count(State::Failed),
        n_left: count(State::Left),
        trials,
    };
    let mut out = io::stdout().lock();
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
        ..
    } = status;
    writeln!(
        out,
        "{suite}: {n_done} done, {n_stale} stale, {n_failed} failed, {n_left} left"
    )?;
    Ok(ExitCode::Fine)
}
