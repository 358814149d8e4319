//! The records of a run, their files, and everything drawn from them: tables, CSV, Markdown, plots.
//! Measures nothing and reads no clock.
#![forbid(unsafe_code)]

mod ablation;
mod csv;
mod grid;
mod markdown;
mod plot;
pub mod record;
mod render;
mod table;
mod view;

pub use csv::summary_csv;
pub use record::{RecordError, RunFolder, RunRecord, RunWriter, TrialRecord};
pub use render::{Rendered, render_all};
pub use table::console_table;

#[cfg(test)]
mod fixture;
