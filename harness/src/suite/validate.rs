//! Which cells are possible: the checks of `train`, `eval` and of sections against each other.

use std::fmt::Display;
use std::str::FromStr;

use hitbench_kernels::KernelId;
use hitbench_models::ConfigError;

use super::config::{CellConfig, EvalConfig, Optimizer, TrainConfig};
use crate::data::DataConfig;

/// Fewest bootstrap resamples from which a 95 % interval can be read.
const MIN_RESAMPLES: usize = 100;
/// Most bootstrap resamples.
const MAX_RESAMPLES: usize = 1_000_000;
/// Most threads of one trial.
const MAX_THREADS: usize = 1024;

fn refuse(path: &str, value: impl Display, allowed: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError {
        path: path.to_owned(),
        value: value.to_string(),
        allowed: allowed.into(),
    })
}

fn positive(path: &str, value: u64) -> Result<(), ConfigError> {
    if value >= 1 {
        Ok(())
    } else {
        refuse(path, value, "at least 1")
    }
}

impl CellConfig {
    /// Checks every section and the sections against each other; the first impossible value is the error.
    ///
    /// # Errors
    /// [`ConfigError`] with the full dotted path, such as `momentum.queue_len`. Other settings that its text names
    /// are in backticks, with paths that may be relative to a section around the value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !is_device(&self.device) {
            return refuse("device", format!("`{}`", self.device), "`cpu` or `cuda:N`");
        }
        self.data.validate().map_err(|error| within("data", error))?;
        self.text.validate().map_err(|error| within("text", error))?;
        self.model.validate().map_err(|error| within("model", error))?;
        self.train.validate().map_err(|error| within("train", error))?;
        let kernels = self.train.kernels.validate_device(&self.device);
        kernels.map_err(|error| within("train", error))?;
        self.momentum
            .validate()
            .map_err(|error| within("momentum", error))?;
        self.eval.validate().map_err(|error| within("eval", error))?;
        let batch = self.train.batch;
        if self.momentum.validate_batch(batch).is_err() {
            let allowed = format!("0, or at least {batch} (`train.batch`)");
            return refuse("momentum.queue_len", self.momentum.queue_len, allowed);
        }
        if let DataConfig::Synthetic(data) = &self.data {
            let train = data.videos - data.test_videos;
            if batch > train {
                let allowed =
                    format!("at most {train}, `data.synthetic.videos` less `data.synthetic.test_videos`");
                return refuse("train.batch", batch, allowed);
            }
        }
        if self.momentum.queue_len == 0 && self.train.batch < 2 {
            let allowed = "at least 2 where `momentum.queue_len` is 0, as negatives come from the batch";
            return refuse("train.batch", self.train.batch, allowed);
        }
        Ok(())
    }
}

/// Puts the section's name before the path.
fn within(section: &str, error: ConfigError) -> ConfigError {
    ConfigError {
        path: format!("{section}.{}", error.path),
        ..error
    }
}

fn is_device(device: &str) -> bool {
    let index = |text: &str| text.parse::<u32>().is_ok_and(|number| number.to_string() == text);
    device == "cpu" || device.strip_prefix("cuda:").is_some_and(index)
}

impl TrainConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ConfigError`] with a path relative to the section.
    pub fn validate(&self) -> Result<(), ConfigError> {
        positive("steps", self.steps)?;
        positive("batch", self.batch as u64)?;
        if !(self.lr.is_finite() && self.lr > 0.0) {
            return refuse("lr", self.lr, "above 0");
        }
        self.lr_factors.validate().map_err(|error| ConfigError {
            path: format!("lr_factors.{}", error.path),
            ..error
        })?;
        positive("epoch_pairs", self.epoch_pairs)?;
        if !(self.epoch_factor > 0.0 && self.epoch_factor <= 1.0) {
            return refuse("epoch_factor", self.epoch_factor, "above 0, at most 1");
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return refuse("weight_decay", self.weight_decay, "at least 0");
        }
        if self.weight_decay > 0.0 && self.optimizer != Optimizer::Adamw {
            return refuse(
                "weight_decay",
                self.weight_decay,
                "0, or another `optimizer`: adamw",
            );
        }
        if self.warmup_steps > self.steps {
            return refuse(
                "warmup_steps",
                self.warmup_steps,
                format!("0 to {} (`steps`)", self.steps),
            );
        }
        if !(self.clip_grad_norm.is_finite() && self.clip_grad_norm >= 0.0) {
            return refuse("clip_grad_norm", self.clip_grad_norm, "at least 0");
        }
        if !(1..=MAX_THREADS).contains(&self.threads) {
            return refuse("threads", self.threads, format!("1 to {MAX_THREADS}"));
        }
        positive("checkpoint_every", self.checkpoint_every)?;
        positive("log_every", self.log_every)
    }
}

impl EvalConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ConfigError`] with a path relative to the section.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if KernelId::from_str(&self.kernel).is_err() {
            return refuse("kernel", &self.kernel, "a kernel id that `hitbench doctor` lists");
        }
        let ascending = self.recall_at.windows(2).all(|pair| pair[0] < pair[1]);
        if self.recall_at.first().is_none_or(|&first| first == 0) || !ascending {
            let value = format!("{:?}", self.recall_at);
            return refuse(
                "recall_at",
                value,
                "ascending cut-offs of at least 1, without repetition",
            );
        }
        if !(MIN_RESAMPLES..=MAX_RESAMPLES).contains(&self.resamples) {
            return refuse(
                "resamples",
                self.resamples,
                format!("{MIN_RESAMPLES} to {MAX_RESAMPLES}"),
            );
        }
        Ok(())
    }
}
