//! Trials: planned from a suite, run, recorded; sweeps in shards, put together.

#[cfg(feature = "torch")]
mod checkpoint;
pub mod differences;
pub mod error;
pub mod event;
#[cfg(test)]
mod fixture;
#[cfg(feature = "torch")]
mod hit;
pub mod inputs;
pub mod merge;
pub mod plan;
#[cfg(feature = "torch")]
pub mod run;
pub mod schedule;
#[cfg(feature = "torch")]
mod score;
pub mod weights;

pub use error::TrialError;
pub use event::{Observer, RunOutcome, TrialEvent};
pub use inputs::{CellInputs, InputCache, InputError};
pub use plan::{CellHash, NoTrial, Plan, PlannedCell, PlannedTrial, run_folder_name};
#[cfg(feature = "torch")]
pub use run::{RunOptions, TrialTask, run_trials};
