//! The command line: one subcommand a file.

mod audit;
pub mod baseline;
pub mod bless;
pub mod calibrate;
pub mod compare;
pub mod completions;
mod conclude;
pub mod data;
pub mod diff;
pub mod doctor;
pub mod embed;
pub mod eval;
pub mod failure;
mod folder;
pub mod gate;
mod inputs;
mod lists;
mod measure;
pub mod measure_cells;
pub mod merge;
pub mod plan;
pub mod progress;
pub mod protocols;
pub mod report;
mod rerun;
pub mod run;
pub mod schema;
pub mod status;
#[cfg(feature = "torch")]
mod train;
pub mod verify;

mod cli;
mod console;
mod output;
#[cfg(feature = "torch")]
mod shards;
mod show;
mod stop;

pub use cli::Cli;
