//! The harness: suites, data sets, trials, metrics and the command line of `hitbench`.
#![forbid(unsafe_code)]

pub mod audit;
pub mod cmd;
pub mod compare;
pub mod data;
pub mod diff;
#[cfg(feature = "torch")]
pub mod embed;
pub mod eval;
pub mod exit_code;
pub mod format;
pub mod gate;
pub mod machine;
pub mod measure;
mod memory;
pub mod metric;
pub mod part;
pub mod suite;
pub mod trial;
