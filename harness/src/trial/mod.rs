//! Trials: planned from a suite, run, recorded.

pub mod plan;

pub use plan::{CellHash, NoTrial, Plan, PlannedCell, PlannedTrial, run_folder_name};
