//! The records of a run, their files, and everything drawn from them: tables, CSV, Markdown, plots.
//! Measures nothing and reads no clock.
#![forbid(unsafe_code)]

pub mod record;

pub use record::{RecordError, RunFolder, RunRecord, RunWriter, TrialRecord};

#[cfg(test)]
mod fixture;
