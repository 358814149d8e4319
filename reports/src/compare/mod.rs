//! Runs of one suite side by side, as `hitbench compare` found them: tables, Markdown, CSV and plots. What is in the
//! records was computed elsewhere; nothing is estimated here.

mod accuracy;
mod csv;
mod files;
#[cfg(test)]
mod fixture;
mod machines;
mod markdown;
mod plots;
mod record;
mod rooflines;
mod table;
#[cfg(test)]
mod tests;
mod throughput;

pub use files::{CompareFiles, write_files};
pub use markdown::compare_md;
pub use record::{
    AccuracyRow, AccuracyStatement, AccuracyValue, Column, ColumnSource, CompareRecord, ComparedSuite,
    DifferenceFound, GeometricMean, GpuPeakRates, PeakRates, RatioFound, StatementKind, ThroughputRow,
    ThroughputValue,
};
pub use table::compare_table;
