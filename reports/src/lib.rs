//! The records of a run, their files, and everything drawn from them: tables, CSV, Markdown, plots.
//! Measures nothing and reads no clock.
#![forbid(unsafe_code)]

mod ablation;
pub mod compare;
mod grid;
mod html;
mod markdown;
mod plot;
pub mod record;
mod render;
pub mod tensorboard;
mod throughput;

pub use ablation::{console_differences, console_table, summary_csv};
pub use markdown::escaped as escaped_markdown;
pub use record::{RecordError, RunFolder, RunRecord, RunWriter, TrialRecord};
pub use render::{Rendered, render_all, tables};
pub use throughput::throughput_table;

#[cfg(test)]
mod fixture;
