//! Runs the trials that no record answers yet, one after another, and records each.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use hitbench_models::{InputSpec, ParameterCounts};
use hitbench_reports::record::{
    AxisValues, Direction, RankRow, RunWriter, ScoreKind, TimingRow, TrainingRecord, TrialOutcome,
    TrialRecord, TrialResult, headline_cutoff,
};

use super::checkpoint::{self, TrainingState};
use super::error::TrialError;
use super::event::{Observer, RunOutcome, TrialEvent};
use super::{hit, score};
use crate::data::{Dataset, Loader};
use crate::embed::{SavedModel, TestPairs};
use crate::memory;
use crate::suite::CellConfig;

/// One trial to run.
#[derive(Debug, Clone)]
pub struct TrialTask<'a> {
    /// Id in file names.
    pub id: &'a str,
    /// Display name.
    pub name: &'a str,
    /// Hash of the cell, hex.
    pub cell_hash: &'a str,
    /// Axis values of the cell.
    pub axis_values: AxisValues,
    /// Seed.
    pub seed: u64,
    /// The cell.
    pub cell: &'a CellConfig,
    /// Its data.
    pub dataset: Arc<Dataset>,
}

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions<'a> {
    /// Version and revision of this program, part of every record.
    pub build_id: &'a str,
    /// Fingerprint of this machine, part of every record.
    pub machine: &'a str,
    /// Trials that are recorded in another folder, and so need not run.
    pub merged: &'a [TrialRecord],
    /// Ends the run at the first failed trial.
    pub fail_fast: bool,
    /// Keeps the trained weights of each trial in the run folder.
    pub keep_weights: bool,
    /// Raised by a signal: the run stops after the current step.
    pub stop: &'a AtomicBool,
}

/// Runs every task that has no finished record of the same cell and build, and records it.
///
/// A trial that fails is recorded with its error and the others go on.
///
/// # Errors
/// [`TrialError`] when a record or checkpoint cannot be read or written; what was written before is kept.
pub fn run_trials(
    tasks: &[TrialTask<'_>],
    writer: &RunWriter,
    options: RunOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<RunOutcome, TrialError> {
    let recorded = writer.folder().trials()?;
    let is_done = |task: &TrialTask<'_>| {
        { recorded.iter() }
            .chain(options.merged)
            .any(|trial| trial.answers(task.id, task.cell_hash, options.build_id))
    };
    let todo: Vec<&TrialTask<'_>> = tasks.iter().filter(|task| !is_done(task)).collect();
    let mut outcome = RunOutcome {
        n_reused: tasks.len() - todo.len(),
        ..RunOutcome::default()
    };
    observer.on_event(&TrialEvent::RunStarted {
        n_trials: tasks.len(),
        n_reused: outcome.n_reused,
    });
    for task in todo {
        let start = Instant::now();
        match run_recorded(task, writer, options, observer) {
            Ok(record) => {
                outcome.n_ok += 1;
                let headline = headline(&record);
                observer.on_event(&TrialEvent::Finished {
                    name: task.name,
                    headline,
                    took: start.elapsed(),
                });
            }
            Err(TrialError::Stopped) => {
                outcome.stopped = true;
                break;
            }
            Err(error) if error.ends_run() => return Err(error),
            Err(error) => {
                outcome.n_failed += 1;
                let text = error.chain();
                writer.append_trial(&record(
                    task,
                    options,
                    TrialOutcome::Failed { error: text.clone() },
                ))?;
                observer.on_event(&TrialEvent::Failed {
                    name: task.name,
                    error: &text,
                });
                if options.fail_fast {
                    break;
                }
            }
        }
    }
    Ok(outcome)
}

/// R@K text to video at the cut-off of headlines.
fn headline(record: &TrialRecord) -> Option<(u64, f64)> {
    let recalls = &record.direction(ScoreKind::Combined, Direction::T2v)?.r_at;
    let k = headline_cutoff(recalls.keys().copied())?;
    Some((k, recalls[&k]))
}

fn record(task: &TrialTask<'_>, options: RunOptions<'_>, outcome: TrialOutcome) -> TrialRecord {
    TrialRecord {
        id: task.id.to_owned(),
        name: task.name.to_owned(),
        cell_hash: task.cell_hash.to_owned(),
        build_id: options.build_id.to_owned(),
        axis_values: task.axis_values.clone(),
        seed: task.seed,
        protocol: score::protocol_record(task.cell),
        outcome,
    }
}

/// Runs one trial and writes its files and its record.
fn run_recorded(
    task: &TrialTask<'_>,
    writer: &RunWriter,
    options: RunOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<TrialRecord, TrialError> {
    let checkpoints = checkpoint::folder_of(writer.folder().path(), task.id);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        run_one(task, &checkpoints, options, observer)
    }));
    let Ran {
        result,
        state,
        ranks,
        model,
    } = match ran {
        Ok(ran) => ran?,
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            return Err(TrialError::Panic(text.unwrap_or_else(|| "no message".to_owned())));
        }
    };
    writer.write_ranks(task.id, &ranks)?;
    writer.write_curves(task.id, &state.curves)?;
    let timing = TimingRow {
        trial: task.id.to_owned(),
        process: 0,
        what: "train".to_owned(),
        sample: 0,
        items: state.step * task.cell.train.batch as u64,
        time_ns: state.train_time_ns,
    };
    writer.replace_timing(task.id, &[timing])?;
    // The record is last: without it the trial goes on from its checkpoint, and keeps the weights then.
    if options.keep_weights {
        hit::keep_weights(&checkpoints, writer.folder().path(), task.id, &model)?;
    }
    let record = record(task, options, TrialOutcome::Ok(Box::new(result)));
    writer.append_trial(&record)?;
    checkpoints.clear()?;
    Ok(record)
}

/// What a trial leaves to be written.
struct Ran {
    result: TrialResult,
    state: TrainingState,
    ranks: Vec<RankRow>,
    model: SavedModel,
}

fn run_one(
    task: &TrialTask<'_>,
    checkpoints: &checkpoint::CheckpointFolder,
    options: RunOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<Ran, TrialError> {
    let counts_peak = memory::reset_peak();
    let loader = Loader::new(&task.dataset, task.cell, task.seed)?;
    let trained = hit::train(task, options, &loader, checkpoints, observer)?;
    let test = TestPairs::new(&task.dataset)?;
    let scored = score::score(task.cell, &test, &trained.texts, &trained.videos)?;
    Ok(Ran {
        result: TrialResult {
            data: score::data_record(&task.dataset),
            metrics: scored.metrics,
            baselines: score::baselines(&test, task.cell)?,
            training: Some(training_record(task.cell, loader.inputs(), &trained.state)),
            // The peak of the whole process would be that of another trial.
            peak_memory_bytes: counts_peak.then(memory::peak_bytes).flatten(),
        },
        model: hit::saved_model(task, options.build_id, &loader, trained.state.step),
        state: trained.state,
        ranks: scored.ranks,
    })
}

fn training_record(cell: &CellConfig, inputs: &InputSpec, state: &TrainingState) -> TrainingRecord {
    let counts = ParameterCounts::of(&cell.model, inputs);
    let parameters = BTreeMap::from([
        ("video".to_owned(), counts.video_tower()),
        ("text".to_owned(), counts.text_tower()),
        ("heads".to_owned(), counts.heads),
        ("total".to_owned(), counts.total()),
    ]);
    let batch = cell.train.batch as u64;
    let seconds = state.train_time_ns as f64 / 1e9;
    TrainingRecord {
        steps: state.step,
        batch,
        train_time_ns: state.train_time_ns,
        pairs_per_s: (state.step * batch) as f64 / seconds,
        machines: state.machines.clone(),
        final_loss: state.curves.last().map(|row| row.loss),
        same_video_rate: (cell.momentum.queue_len > 0).then(|| state.same_video_sum / state.step as f64),
        parameters,
    }
}
