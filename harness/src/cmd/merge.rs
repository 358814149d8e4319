//! `hitbench merge`: one evaluation, or one sweep, out of its shards.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use hitbench_reports::RunWriter;

use super::conclude::conclude;
use super::failure::Failure;
use super::show::ShowArgs;
use crate::eval::{EvalError, Merged, Shard, write_run};
use crate::exit_code::ExitCode;
use crate::trial::RunOutcome;
use crate::trial::merge::{MergedRun, find_runs};

/// Puts the shards of an evaluation or of a sweep together, to the result of one process, to the byte.
///
/// Every `hitbench eval ... --shard I/N --out DIR` and every `hitbench run SUITE --shard I/N` leaves its part in the
/// `shards` of its run folder; the shards may lie in several folders. Merging again, and in any order, gives the same.
/// A sweep may be merged while parts of it still run.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hitbench eval --text t.npy --video v.npy --shard 1/2 --out runs/big\n  \
    hitbench eval --text t.npy --video v.npy --shard 2/2 --out runs/big\n  hitbench merge runs/big\n  \
    hitbench merge from-here/runs/sweep-1a2b3c4d from-there/runs/sweep-1a2b3c4d --out runs/sweep"
)]
pub struct MergeArgs {
    /// Run folders with shards, or runs of parts of one sweep.
    #[arg(value_name = "DIR", required = true)]
    runs: Vec<PathBuf>,
    /// Run folder of the whole; default the first DIR.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for shards of an evaluation that are missing, and any that are damaged, 3 for shards of
/// different evaluations or sweeps, 74 when something cannot be written.
pub fn run(args: &MergeArgs) -> Result<ExitCode, Failure> {
    let folder = args.out.as_ref().unwrap_or(&args.runs[0]);
    match Shard::read_all(&args.runs) {
        Err(error @ EvalError::NoShards { .. }) => {
            merge_sweep(args, folder)?.ok_or_else(|| Failure::from(error))
        }
        shards => merge_evaluation(args, folder, shards?),
    }
}

fn merge_evaluation(args: &MergeArgs, folder: &Path, shards: Vec<Shard>) -> Result<ExitCode, Failure> {
    let merged = Merged::new(shards)?;
    for notice in &merged.found.notices {
        writeln!(io::stderr(), "warning: {notice}")?;
    }
    let rendered = write_run(folder, &merged.found, merged.contents, merged.command)?;
    args.show.print(&merged.found)?;
    if args.show.for_people() {
        writeln!(super::console::stdout(), "report: {}", rendered.report.display())?;
    }
    Ok(ExitCode::Fine)
}

/// None where there are no runs.
fn merge_sweep(args: &MergeArgs, folder: &Path) -> Result<Option<ExitCode>, Failure> {
    let mut runs = find_runs(&args.runs)?;
    if runs.is_empty() {
        return Ok(None);
    }
    if !args.show.json && !args.show.for_people() {
        return Err(Failure::message(
            ExitCode::Input,
            "usage",
            "--format draws evaluations, and these are parts of a sweep".to_owned(),
            "leave --format out; the run folder has its tables in report.md and summary.csv",
        ));
    }
    let writer = RunWriter::open(folder)?;
    // What was merged before is a part as well.
    if !args.runs.iter().any(|run| run == folder) && folder.join("run.json").is_file() {
        runs.push(writer.folder().clone());
    }
    let Some(merged) = MergedRun::new(&runs)? else {
        return Ok(None);
    };
    merged.write(&writer)?;
    let outcome = RunOutcome {
        n_ok: merged.n_finished(),
        n_failed: merged.n_failed(),
        ..RunOutcome::default()
    };
    conclude(&writer, outcome, true, args.show.json).map(Some)
}
