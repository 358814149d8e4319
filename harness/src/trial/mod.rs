//! Trials: planned from a suite, run, recorded.

pub mod inputs;
pub mod plan;

pub use inputs::{CellInputs, InputCache, InputError};
pub use plan::{CellHash, NoTrial, Plan, PlannedCell, PlannedTrial, run_folder_name};
