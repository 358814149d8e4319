//! Learning rate as a function of the step.

use crate::suite::config::{Schedule, TrainConfig};

/// Pairs between two decays of [`Schedule::MmtDecay`] (MMT's "epoch").
const MMT_EPOCH_PAIRS: u64 = 32_000;
/// Factor of each decay of [`Schedule::MmtDecay`].
const MMT_DECAY: f64 = 0.95;

/// Learning rate of optimizer step `step`, counted from 0.
///
/// Linear warm-up over `warmup_steps` (the first step already moves), then the schedule. `Cosine` runs from
/// the end of the warm-up and would reach 0 at step `steps`; `MmtDecay` counts pairs from step 0.
pub fn learning_rate(train: &TrainConfig, step: u64) -> f64 {
    if step < train.warmup_steps {
        return train.lr * (step + 1) as f64 / train.warmup_steps as f64;
    }
    let factor = match train.schedule {
        Schedule::Constant => 1.0,
        Schedule::Cosine => {
            let span = train.steps.saturating_sub(train.warmup_steps).max(1);
            let done = (step - train.warmup_steps) as f64 / span as f64;
            0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
        }
        Schedule::MmtDecay => {
            let epochs = step * train.batch as u64 / MMT_EPOCH_PAIRS;
            MMT_DECAY.powi(i32::try_from(epochs).unwrap_or(i32::MAX))
        }
    };
    train.lr * factor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::config::{CaptionChoice, Optimizer, TrainKernels};

    fn train(schedule: Schedule, warmup_steps: u64) -> TrainConfig {
        TrainConfig {
            steps: 100,
            batch: 64,
            optimizer: Optimizer::Adam,
            lr: 2.0,
            weight_decay: 0.0,
            schedule,
            warmup_steps,
            clip_grad_norm: 0.0,
            kernels: TrainKernels::Libtorch,
            threads: 1,
            checkpoint_every: 10,
            log_every: 1,
            captions: CaptionChoice::Random,
            shuffle_pairs: false,
        }
    }

    #[test]
    fn warm_up_rises_in_equal_parts_to_the_peak() {
        let train = train(Schedule::Constant, 4);
        let rates: Vec<f64> = (0..6).map(|step| learning_rate(&train, step)).collect();
        assert_eq!(rates, [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn cosine_halves_in_the_middle_and_ends_near_zero() {
        let train = train(Schedule::Cosine, 20);
        assert_eq!(learning_rate(&train, 20), 2.0);
        assert!((learning_rate(&train, 60) - 1.0).abs() < 1e-12);
        assert!(learning_rate(&train, 99) < 0.001);
    }

    #[test]
    fn mmt_decays_every_32000_pairs() {
        let train = train(Schedule::MmtDecay, 0);
        assert_eq!(learning_rate(&train, 499), 2.0);
        assert_eq!(learning_rate(&train, 500), 2.0 * 0.95);
        assert_eq!(learning_rate(&train, 1000), 2.0 * 0.95 * 0.95);
    }
}
