//! Adapts the model crate: trains HiT for one trial and embeds the test split.
//!
//! The only module of trials that touches the trainer. Everything is a function of the cell and the
//! seed; a checkpoint carries the rest, so a stopped trial goes on to the same bytes.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use hitbench_models::trainer::Trainer;
use hitbench_models::{InputSpec, LevelRows, OptimizerConfig, OptimizerRule, StepStats, TrainerSpec};
use hitbench_reports::record::CurveRow;

use super::checkpoint::{CheckpointFolder, TrainingState};
use super::error::TrialError;
use super::event::{Observer, TrialEvent};
use super::run::{RunOptions, TrialTask};
use super::schedule::learning_rate;
use super::weights::{initial_weights, weights_file};
use crate::data::Loader;
use crate::embed::{SavedModel, in_order};
use crate::suite::CellConfig;
use crate::suite::config::Optimizer;

/// What training one trial gave.
pub(super) struct Trained {
    /// Steps, curves and times.
    pub(super) state: TrainingState,
    /// Test captions, in the order of the split.
    pub(super) texts: LevelRows,
    /// Test videos, in the order of the split.
    pub(super) videos: LevelRows,
}

/// Trains the task's cell with its seed, going on from its checkpoint if there is one, and embeds the test split.
///
/// # Errors
/// [`TrialError::Stopped`] when `stop` was raised (a checkpoint holds everything up to then); whatever the model,
/// the data or the disk refuses.
pub(super) fn train(
    task: &TrialTask<'_>,
    RunOptions {
        build_id,
        machine,
        stop,
        ..
    }: RunOptions<'_>,
    loader: &Loader<'_>,
    checkpoints: &CheckpointFolder,
    observer: &mut dyn Observer,
) -> Result<Trained, TrialError> {
    let cell = task.cell;
    let train = &cell.train;
    let name = task.name;
    let spec = trainer_spec(cell, task.seed, loader.inputs().clone());
    let (mut state, mut trainer) = match resume(&spec, build_id, checkpoints)? {
        Some(resumed) => resumed,
        None => {
            checkpoints.clear()?;
            let state = TrainingState {
                build_id: build_id.to_owned(),
                ..TrainingState::default()
            };
            let (trainer, drawn) = Trainer::with_weights(spec, &initial_weights(cell)?)?;
            if !drawn.is_empty() {
                observer.on_event(&TrialEvent::Drawn {
                    name,
                    tensors: &drawn,
                });
            }
            (state, trainer)
        }
    };
    observer.on_event(&TrialEvent::Started {
        name,
        steps: train.steps,
        resumed_at: state.step,
    });
    if state.step < train.steps {
        state.machines.insert(machine.to_owned());
    }
    loader.for_each_batch(state.step..train.steps, |step, batch| {
        if stop.load(Ordering::Relaxed) {
            save(checkpoints, &state, &trainer)?;
            return Err(TrialError::Stopped);
        }
        let lr = learning_rate(train, step);
        let start = Instant::now();
        let stats = trainer.step(step, lr, &batch)?;
        state.train_time_ns += u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        state.step = step + 1;
        state.same_video_sum += stats.same_video_rate;
        observer.on_event(&TrialEvent::Step {
            done: state.step,
            loss: stats.loss,
        });
        if step == 0 || state.step % train.log_every == 0 || state.step == train.steps {
            state.curves.push(curve_row(cell, state.step, lr, stats));
        }
        if state.step % train.checkpoint_every == 0 || state.step == train.steps {
            save(checkpoints, &state, &trainer)?;
        }
        Ok(())
    })?;
    observer.on_event(&TrialEvent::Evaluating);
    let texts = in_order::<_, TrialError>(loader.test().texts(), |batch| trainer.embed_texts(batch))?;
    let videos = in_order::<_, TrialError>(loader.test().videos(), |batch| trainer.embed_videos(batch))?;
    Ok(Trained { state, texts, videos })
}

/// The trial as its checkpoint has it, unless there is none, another build made it, or it is damaged: then the trial
/// begins anew.
fn resume(
    spec: &TrainerSpec,
    build_id: &str,
    checkpoints: &CheckpointFolder,
) -> Result<Option<(TrainingState, Trainer)>, TrialError> {
    let model = checkpoints.model();
    let Some(step) = Trainer::saved_step(&model)? else {
        return Ok(None);
    };
    let Some(state) = checkpoints.read(step, build_id)? else {
        return Ok(None);
    };
    match Trainer::load(spec.clone(), &model) {
        Ok((trainer, _)) => Ok(Some((state, trainer))),
        Err(error) if error.is_damaged_checkpoint() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What the weights of a trial say of their model.
pub(super) fn saved_model(
    task: &TrialTask<'_>,
    build_id: &str,
    loader: &Loader<'_>,
    steps: u64,
) -> SavedModel {
    let tokenizer = loader.test().tokenizer();
    SavedModel {
        trial: task.name.to_owned(),
        build_id: build_id.to_owned(),
        steps,
        model: task.cell.model.clone(),
        inputs: loader.inputs().clone(),
        lower_case: tokenizer.lower_case(),
        vocabulary: tokenizer.vocab_text(),
        threads: task.cell.train.threads,
        data: task.cell.data.clone(),
        content_hash: task.dataset.content_hash.clone(),
    }
}

/// Keeps the weights of a trial's last checkpoint as `weights/TRIAL.safetensors` of the run folder.
///
/// # Errors
/// [`TrialError::Model`] when checkpoints cannot be listed, [`TrialError::Write`].
pub(super) fn keep_weights(
    checkpoints: &CheckpointFolder,
    run: &Path,
    trial: &str,
    model: &SavedModel,
) -> Result<(), TrialError> {
    let Some(file) = Trainer::saved_weights(&checkpoints.model())? else {
        return Ok(());
    };
    let kept = weights_file(run, trial);
    let written =
        { kept.parent().map_or(Ok(()), fs::create_dir_all) }.and_then(|()| model.write(&file, &kept));
    written.map_err(|source| TrialError::Write { path: kept, source })
}

fn trainer_spec(cell: &CellConfig, seed: u64, inputs: InputSpec) -> TrainerSpec {
    TrainerSpec {
        model: cell.model.clone(),
        momentum: cell.momentum.clone(),
        inputs,
        optimizer: OptimizerConfig {
            rule: match cell.train.optimizer {
                Optimizer::Adam => OptimizerRule::Adam,
                Optimizer::Adamw => OptimizerRule::Adamw,
            },
            weight_decay: cell.train.weight_decay,
            clip_grad_norm: cell.train.clip_grad_norm,
            lr_factors: cell.train.lr_factors,
        },
        kernels: cell.train.kernels,
        device: cell.device.clone(),
        threads: cell.train.threads,
        seed,
    }
}

fn save(checkpoints: &CheckpointFolder, state: &TrainingState, trainer: &Trainer) -> Result<(), TrialError> {
    checkpoints.write(state)?;
    trainer
        .save(&checkpoints.model(), state.step)
        .map_err(TrialError::Save)?;
    checkpoints.keep_only(state.step)
}

fn curve_row(cell: &CellConfig, step: u64, lr: f64, stats: StepStats) -> CurveRow {
    CurveRow {
        step,
        loss: stats.loss,
        terms: stats
            .terms
            .into_iter()
            .map(|(name, loss)| (name.to_owned(), loss))
            .collect(),
        same_video_rate: (cell.momentum.queue_len > 0).then_some(stats.same_video_rate),
        queue_age_mean: stats.queue_age_mean,
        key_drift: stats.key_drift,
        grad_norm: Some(stats.grad_norm),
        positive_mean: Some(stats.positive_mean),
        negative_mean: stats.negative_mean,
        hit_rate: Some(stats.hit_rate),
        lr: Some(lr),
    }
}
