//! Suites: the YAML as written, and the checked [`CellConfig`]s that it means.
//!
//! [`Suite::load`] reads a file and the `--set` arguments into a tree in which every value knows its place, lays
//! defaults, preset, suite, axes and `--set` over each other, and checks every cell. It leaves to `trial::plan` which
//! cells are the same work, and to `data` what lies in files.

pub mod config;
pub mod cross;
mod de;
pub mod error;
pub mod expect;
mod layer;
mod locate;
pub mod schema;
mod set;
pub mod source;
#[expect(
    clippy::module_inception,
    reason = "the type `Suite` has a file with its name"
)]
pub mod suite;
mod tree;
mod validate;
mod wire;

#[cfg(test)]
mod folder_tests;
#[cfg(test)]
mod message_tests;

pub use config::CellConfig;
pub use cross::{Axis, AxisValue, ExcludedCell, SuiteCell};
pub use error::{Problem, SuiteError};
pub use expect::Expectation;
pub use suite::Suite;
pub use wire::Kind;
