//! A gate in the formats of the tools around it; pure functions of the report.

mod action_benchmark;
mod bencher;
mod github;
mod json_lines;
mod junit;
mod sarif;
mod severity;

pub use action_benchmark::{ActionBenchmark, action_benchmark};
pub use bencher::bencher;
pub use github::{SUMMARY_LIMIT, annotations, summary};
pub use json_lines::json_lines;
pub use junit::junit;
pub use sarif::sarif;
pub use severity::Severity;

#[cfg(test)]
mod tests;
