//! Suites: the YAML as written, and the checked [`CellConfig`]s that it means.

pub mod config;

pub use config::CellConfig;
