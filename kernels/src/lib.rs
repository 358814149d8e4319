//! The operations of the benchmark: scores, rank counts, losses and momentum-queue updates.
//!
//! Every operation has one trait, a slow and obvious `reference/f64` back end that is the oracle, and fast
//! back ends that are proven against it. This crate is the only one with `unsafe` product code. It knows
//! nothing of suites, reports or clocks.

pub mod cache;
mod check;
pub mod conformance;
pub mod cpu;
pub mod cuda;
pub mod error;
mod held;
pub mod id;
pub mod info_nce;
pub mod kernel;
#[cfg(feature = "torch")]
pub mod libtorch;
pub mod map;
pub mod matrix;
pub mod momentum;
pub mod rank;
pub mod reference;
pub mod registry;
pub mod scores;
pub mod tolerance;

pub use error::KernelError;
pub use held::HeldRows;
pub use id::KernelId;
pub use info_nce::{ContrastIds, InfoNce, InfoNceJob, InfoNceOutput};
pub use kernel::Kernel;
pub use matrix::{Dtype, Rows, RowsData};
pub use momentum::{EmaPair, EmaUpdate, Enqueue, EnqueueJob, QueueCopy, QueueRows};
pub use rank::{PairIds, RankCount, RankCounts, RankJob, RankOutput, TrueItems};
pub use registry::{
    available_kernels, ema_update_kernel, enqueue_kernel, info_nce_kernel, rank_counts_kernel, scores_kernel,
    top_k_kernel, unavailable_kernels,
};
pub use scores::{Hit, Scores, TopK};
