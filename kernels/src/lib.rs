//! The operations of the benchmark: scores, rank counts, losses and momentum-queue updates.
//!
//! Every operation has one trait, a slow and obvious `reference/f64` back end that is the oracle, and fast
//! back ends that are proven against it. This crate is the only one with `unsafe` product code. It knows
//! nothing of suites, reports or clocks.

pub mod error;
pub mod matrix;
pub mod rank;

pub use error::KernelError;
pub use matrix::{Dtype, Rows};
pub use rank::{RankCount, TrueItems};
