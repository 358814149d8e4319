//! Throughput suites: plans them, verifies and times kernels in child processes, records samples.
//!
//! The parent ([`run`]) starts this program again for each process that the suite asks for (`process`); the child
//! ([`child`]) measures the machine's peaks and each cell once, and says so in the lines of [`protocol`].

mod bench;
mod cache;
pub mod child;
pub mod event;
mod gpu;
mod gpu_peak;
mod inputs;
mod judge;
mod opponent;
mod peak;
pub mod plan;
mod process;
pub mod protocol;
mod record;
pub mod run;
mod search;
mod timer;
#[cfg(feature = "torch")]
mod train_step;
mod unfinished;
mod upkeep;
pub mod work;

pub(crate) use opponent::MATMUL;
pub use opponent::OPPONENTS;
pub use plan::{MeasurePlan, PlannedMeasurement};
pub use run::{CellTask, MeasureError, MeasureOptions, MeasureOutcome, measure_cells};
