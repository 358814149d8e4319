//! The training half of `hitbench run`: plan, trials, records, report.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hitbench_reports::record::{
    AxisRecord, FORMAT, PlannedCell, PlannedTrial, RunRecord, SuiteRecord, ToolRecord,
};
use hitbench_reports::{RunFolder, RunWriter};

use super::conclude;
use super::console::stdout;
use super::failure::Failure;
use super::folder::{check_older_run, command};
use super::progress::Progress;
use super::run::RunArgs;
use super::shards::{check_whole, warn_of_shards};
use super::stop;
use crate::exit_code::ExitCode;
use crate::machine;
use crate::suite::axis_values;
use crate::suite::{Kind, Suite};
use crate::trial::inputs::{CellInputs, InputCache};
use crate::trial::merge::shard_folder;
use crate::trial::plan::{Plan, run_folder_name};
use crate::trial::{RunOptions, TrialTask, run_trials};

/// Runs what no record answers yet until `stop` is raised, then draws tables and plots from the records.
///
/// # Errors
/// [`Failure`] when data or records cannot be read or written, and with exit code 75 when it is stopped before there is a
/// run folder.
pub(super) fn train(args: &RunArgs, suite: &Suite, stop: &AtomicBool) -> Result<ExitCode, Failure> {
    let tool = machine::tool()?;
    // The records name the whole suite whatever part of it runs now.
    let plan = Plan::new(suite, None)?;
    Plan::new(suite, args.filter.as_deref())?;
    let inputs = load(suite, &plan, stop)?;
    let record = run_record(args, suite, &plan, &inputs, tool);
    let default = || {
        PathBuf::from("runs").join(run_folder_name(
            &suite.name,
            &suite.to_json(),
            &record.tool.build_id,
        ))
    };
    let whole = args.out.clone().unwrap_or_else(default);
    let mut merged = Vec::new();
    let folder = match args.shard {
        Some(part) => {
            check_whole(&whole, &record)?;
            merged = RunFolder::new(&whole).trials()?;
            shard_folder(&whole, part)
        }
        None => {
            warn_of_shards(&whole)?;
            whole.clone()
        }
    };
    let writer = RunWriter::open(folder)?;
    check_older_run(writer.folder(), &record)?;
    writer.write_run(&record)?;

    let options = RunOptions {
        build_id: &record.tool.build_id,
        machine: &machine::fingerprint(&record.machine),
        merged: &merged,
        fail_fast: args.fail_fast,
        keep_weights: args.keep_weights,
        stop,
    };
    let mut tasks = tasks(&plan, &record, &inputs);
    tasks.retain(|task| {
        args.filter
            .as_deref()
            .is_none_or(|filter| task.name.contains(filter))
    });
    if let Some(part) = args.shard {
        let mut at = 0..;
        tasks.retain(|_| at.next().is_some_and(|at| part.is_dealt(at)));
    }
    let outcome = run_trials(&tasks, &writer, options, &mut Progress::new())?;
    let code = conclude::conclude(&writer, outcome, false, args.json)?;
    if args.shard.is_some() && !args.json && !outcome.stopped {
        writeln!(
            stdout(),
            "when all parts are done: hitbench merge {}",
            whole.display()
        )?;
    }
    Ok(code)
}

/// What the cells read.
fn load(suite: &Suite, plan: &Plan<'_>, stop: &AtomicBool) -> Result<Vec<CellInputs>, Failure> {
    let mut cache = InputCache::default();
    let mut inputs = Vec::with_capacity(plan.cells.len());
    for planned in &plan.cells {
        inputs.push(cache.load(suite, planned)?);
        stop::check(stop, "while the data were loaded")?;
    }
    Ok(inputs)
}

fn run_record(
    args: &RunArgs,
    suite: &Suite,
    plan: &Plan<'_>,
    inputs: &[CellInputs],
    tool: ToolRecord,
) -> RunRecord {
    let cells = plan
        .cells
        .iter()
        .zip(inputs)
        .map(|(planned, inputs)| PlannedCell {
            hash: inputs.hash.to_string(),
            axis_values: axis_values(&planned.cell.axis_values),
            merged: planned
                .merged
                .iter()
                .map(|cell| axis_values(&cell.axis_values))
                .collect(),
            trials: planned
                .trials
                .iter()
                .map(|trial| PlannedTrial {
                    id: inputs.hash.trial_id(trial.seed),
                    name: trial.name.clone(),
                    seed: trial.seed,
                })
                .collect(),
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
            kind: Kind::Ablation.name().to_owned(),
            axes: axes.collect(),
            reference: suite
                .reference
                .map(|index| axis_values(&suite.cells[index].axis_values)),
            seeds: suite.seeds.clone(),
            gate: suite.gate.as_deref().map(|gate| gate.display().to_string()),
            resolved: suite.to_json(),
        },
        plan: cells.collect(),
        tool,
        machine: machine::machine(),
        command: command(args),
    }
}

fn tasks<'a>(plan: &Plan<'a>, record: &'a RunRecord, inputs: &[CellInputs]) -> Vec<TrialTask<'a>> {
    let mut tasks = Vec::with_capacity(plan.n_trials());
    for ((planned, cell), inputs) in plan.cells.iter().zip(&record.plan).zip(inputs) {
        for trial in &cell.trials {
            tasks.push(TrialTask {
                id: &trial.id,
                name: &trial.name,
                cell_hash: &cell.hash,
                axis_values: cell.axis_values.clone(),
                seed: trial.seed,
                cell: &planned.cell.config,
                dataset: Arc::clone(&inputs.dataset),
            });
        }
    }
    tasks
}
