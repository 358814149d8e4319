//! The operations of the benchmark: scores, rank counts, losses and momentum-queue updates.
//!
//! Every operation has one trait, a slow and obvious `reference/f64` back end that is the oracle, and fast
//! back ends that are proven against it. This crate is the only one with `unsafe` product code. It knows
//! nothing of suites, reports or clocks.

pub mod cache;
mod check;
pub mod cpu;
pub mod cuda;
pub mod error;
pub mod id;
pub mod map;
pub mod matrix;
pub mod rank;
pub mod reference;
pub mod registry;

pub use error::KernelError;
pub use id::KernelId;
pub use matrix::{Dtype, Rows, RowsData};
pub use rank::{PairIds, RankCount, RankCounts, RankJob, RankOutput, TrueItems};
pub use registry::{available_kernels, rank_counts_kernel};
