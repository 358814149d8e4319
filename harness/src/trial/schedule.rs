//! Learning rate as a function of the step.

use crate::suite::config::{Schedule, TrainConfig};

/// Learning rate of optimizer step `step`, counted from 0.
///
/// Linear warm-up over `warmup_steps` (the first step already moves), then the schedule. `Cosine` runs from
/// the end of the warm-up and would reach 0 at step `steps`; `EpochDecay` counts pairs from step 0.
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
        Schedule::EpochDecay => {
            let epochs = step * train.batch as u64 / train.epoch_pairs;
            train.epoch_factor.powi(i32::try_from(epochs).unwrap_or(i32::MAX))
        }
    };
    train.lr * factor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(schedule: Schedule, warmup_steps: u64) -> TrainConfig {
        TrainConfig {
            steps: 100,
            lr: 2.0,
            schedule,
            warmup_steps,
            ..TrainConfig::default()
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
    fn epochs_decay_every_32000_pairs_unless_said_otherwise() {
        let mut train = train(Schedule::EpochDecay, 0);
        assert_eq!(learning_rate(&train, 499), 2.0);
        assert_eq!(learning_rate(&train, 500), 2.0 * 0.95);
        assert_eq!(learning_rate(&train, 1000), 2.0 * 0.95 * 0.95);
        // HCQ on ActivityNet: 0.85 after two epochs.
        (train.epoch_pairs, train.epoch_factor) = (64_000, 0.85);
        assert_eq!(
            [999, 1000].map(|step| learning_rate(&train, step)),
            [2.0, 2.0 * 0.85]
        );
    }
}
