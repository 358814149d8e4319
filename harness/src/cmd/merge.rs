//! `hitbench merge`: one evaluation, or one sweep, out of its shards.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use hitbench_reports::record::SHARDS;
use hitbench_reports::{RunFolder, RunWriter};

use super::conclude::conclude;
use super::failure::Failure;
use super::folder::check_older_run;
use super::report::print_places;
use super::show::ShowArgs;
use crate::eval::{EvalError, Merged, Shard, write_run};
use crate::exit_code::ExitCode;
use crate::trial::RunOutcome;
use crate::trial::merge::{MergedRun, difference, find_runs, find_shards, whole_of};

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
    /// Run folder of the whole; default the first DIR, or the folder whose `shards` it lies in.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for folders without parts, shards of an evaluation that are missing, and any that are
/// damaged, 3 for parts of different evaluations or sweeps, 74 when something cannot be written.
pub fn run(args: &MergeArgs) -> Result<ExitCode, Failure> {
    let folders: Vec<PathBuf> = args.runs.iter().map(|run| without_shards(run)).collect();
    let whole = args.out.as_deref().unwrap_or(whole_of(&args.runs[0]));
    let mut runs = Vec::new();
    let mut n_evaluations = 0;
    for folder in &folders {
        let is_evaluation = Shard::is_in(folder)?;
        let found = match is_evaluation {
            true => find_shards(folder)?,
            false => find_runs(folder)?,
        };
        if !is_evaluation && found.is_empty() {
            let runs = vec![folder.clone()];
            return Err(EvalError::NoShards { runs }.into());
        }
        n_evaluations += usize::from(is_evaluation);
        runs.extend(found);
    }
    match (n_evaluations, runs.is_empty()) {
        (0, _) => merge_sweep(args, whole, runs),
        (_, true) => merge_evaluation(args, whole, &folders),
        (_, false) => Err(Failure::message(
            ExitCode::NotComparable,
            "other-shards",
            "there are parts of an evaluation, and parts of a sweep".to_owned(),
            "merge each by itself, in folders of their own",
        )),
    }
}

/// `X` for `X/shards`.
fn without_shards(folder: &Path) -> PathBuf {
    match folder.file_name() {
        Some(name) if name == SHARDS => whole_of(folder).to_owned(),
        _ => folder.to_owned(),
    }
}

fn merge_evaluation(args: &MergeArgs, whole: &Path, folders: &[PathBuf]) -> Result<ExitCode, Failure> {
    let merged = Merged::new(Shard::read_all(folders)?)?;
    for notice in &merged.found.notices {
        writeln!(io::stderr(), "warning: {notice}")?;
    }
    let rendered = write_run(whole, &merged.found, merged.contents, merged.command)?;
    args.show.print(&merged.found)?;
    if args.show.for_people() {
        print_places(&rendered)?;
    }
    Ok(ExitCode::Fine)
}

fn merge_sweep(args: &MergeArgs, whole: &Path, mut parts: Vec<RunFolder>) -> Result<ExitCode, Failure> {
    if !args.show.json && !args.show.for_people() {
        return Err(Failure::message(
            ExitCode::Input,
            "usage",
            "--format draws evaluations, and these are parts of a sweep".to_owned(),
            "leave --format out; the run folder has its tables in report.md and summary.csv",
        ));
    }
    let writer = RunWriter::open(whole)?;
    let own = writer.folder();
    parts.retain(|part| part != own);
    if let Ok(older) = own.run() {
        match parts.first().map(RunFolder::run).transpose()? {
            // As under `run`, an older run of the suite makes way.
            Some(part) if difference(&part, &older).is_some() => check_older_run(own, &part)?,
            // What was merged before is a part as well.
            _ => parts.push(own.clone()),
        }
    }
    let merged = MergedRun::new(&parts)?;
    merged.write(&writer)?;
    let outcome = RunOutcome {
        n_ok: merged.n_finished(),
        n_failed: merged.n_failed(),
        ..RunOutcome::default()
    };
    conclude(&writer, outcome, true, args.show.json)
}
