//! Trials: planned from a suite, run, recorded.

#[cfg(feature = "torch")]
mod checkpoint;
#[cfg(feature = "torch")]
pub mod differences;
pub mod error;
pub mod event;
#[cfg(feature = "torch")]
mod hit;
pub mod inputs;
pub mod plan;
#[cfg(feature = "torch")]
pub mod run;
pub mod schedule;
#[cfg(feature = "torch")]
mod score;
pub mod weights;

pub use error::TrialError;
pub use event::{Observer, TrialEvent};
pub use inputs::{CellInputs, InputCache, InputError};
pub use plan::{CellHash, NoTrial, Plan, PlannedCell, PlannedTrial, run_folder_name};
#[cfg(feature = "torch")]
pub use run::{RunOptions, RunOutcome, TrialTask, run_trials};
