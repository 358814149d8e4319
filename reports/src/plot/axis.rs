//! The axis along which bars lie: linear from 0 for differences, logarithmic around 1 for ratios.

use super::figure::BarScale;
use super::scale::{LogTicks, RoundTicks};

/// The axis along which bars lie.
pub(super) enum Axis {
    Linear(RoundTicks),
    Log(LogTicks),
}

impl Axis {
    /// Long enough for every end of a bar or an interval, with about `n` ticks.
    pub(super) fn covering(scale: BarScale, ends: impl Iterator<Item = f64>, n: usize) -> Self {
        let range = |start: f64| ends.fold((start, start), |(low, high), end| (low.min(end), high.max(end)));
        match scale {
            BarScale::Difference => {
                let (low, high) = range(0.0);
                Self::Linear(RoundTicks::covering(low, high, n))
            }
            BarScale::Ratio => {
                let (low, high) = range(1.0);
                Self::Log(LogTicks::covering(low, high, n))
            }
        }
    }

    /// Where every bar begins.
    pub(super) fn start(&self) -> f64 {
        match self {
            Self::Linear(_) => 0.0,
            Self::Log(_) => 1.0,
        }
    }

    /// From 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        match self {
            Self::Linear(ticks) => (value - ticks.low) / (ticks.high - ticks.low),
            Self::Log(ticks) => ticks.place(value),
        }
    }

    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        match self {
            Self::Linear(ticks) => ticks
                .values
                .iter()
                .map(|&value| (value, ticks.label(value)))
                .collect(),
            Self::Log(ticks) => ticks
                .values
                .iter()
                .map(|&value| (value, format!("{}x", LogTicks::label(value))))
                .collect(),
        }
    }
}
