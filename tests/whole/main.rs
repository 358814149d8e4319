//! Whole-program tests: the command line, training and resumption, and the tidy rules.
#![forbid(unsafe_code)]

mod audit;
mod cli;
mod compare;
mod diff;
#[cfg(feature = "torch")]
mod embed;
mod errors;
mod eval;
mod exports;
mod files;
mod gate;
mod lists;
#[cfg(feature = "torch")]
mod real;
mod recipes;
mod shards;
#[cfg(unix)]
mod stop;
#[cfg(feature = "torch")]
mod sweeps;
mod throughput;
mod tidy;
#[cfg(feature = "torch")]
mod training;
