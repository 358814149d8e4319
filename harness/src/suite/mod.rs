//! Suites: the YAML as written, and the checked [`CellConfig`]s that it means.
//!
//! [`AnySuite::load`] reads a file and the `--set` arguments into a tree in which every value knows its place, lays
//! defaults, preset, suite, axes and `--set` over each other, and checks every cell. It leaves to `trial::plan` which
//! cells are the same work, and to `data` what lies in files.

pub mod config;
pub mod cross;
pub(crate) mod de;
pub mod error;
pub mod expect;
pub mod kernel_cell;
mod kernel_layer;
mod kernel_schema;
mod kernel_validate;
mod layer;
pub mod load;
pub(crate) mod locate;
mod open;
mod reference;
pub mod schema;
mod set;
pub mod source;
#[expect(
    clippy::module_inception,
    reason = "the type `Suite` has a file with its name"
)]
pub mod suite;
pub mod throughput;
pub(crate) mod tree;
mod validate;
mod vocabulary;
mod wire;

#[cfg(test)]
mod folder_tests;
#[cfg(test)]
mod kernel_tests;
#[cfg(test)]
mod message_tests;

pub use config::CellConfig;
pub(crate) use cross::axis_values;
pub use cross::{Axis, AxisValue, ExcludedCell, SuiteCell};
pub use error::{Problem, SuiteError};
pub use expect::Expectation;
pub use kernel_cell::{KernelCell, MeasureConfig, Operation, Work};
pub use load::AnySuite;
pub use suite::Suite;
pub use throughput::ThroughputSuite;
pub use wire::Kind;
