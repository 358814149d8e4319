//! Runs of one suite on several machines or of several revisions, side by side: `hitbench compare`.
//!
//! `subject` is what a column is read from, `align` brings the cells of all columns together and refuses what means
//! something else, `throughput` and `accuracy` compute values, ratios and differences, `statement` says whether accuracy
//! is equal, `assemble` makes a record of all. Tables and plots are drawn by the crate of the reports.

mod accuracy;
mod align;
mod assemble;
mod error;
mod statement;
mod subject;
#[cfg(test)]
mod tests;
mod throughput;

pub use assemble::{ALPHA, LEVEL, SCHEMA, compare};
pub use error::{CompareError, Unlike};
pub use subject::Subject;
