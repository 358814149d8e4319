//! What is wrong with a test set, or with embeddings or scores of it, before its R@K is believed: `hitbench data
//! audit`.
//!
//! Duplicates of captions and of rows, rows without information, ties, and what R@K would be if duplicates counted
//! as found. Findings are counted, exemplified by id and judged in a sentence each; none of them changes a result.

mod captions;
mod cost;
mod error;
mod examine;
mod finding;
mod near;
mod rows;
mod side;
mod table;
mod text;
mod verdict;

pub use captions::CaptionFindings;
pub use cost::{Cost, CostOfDirection, Recalls};
pub use error::AuditError;
pub use examine::{Audit, AuditRequest, Ties, audit};
pub use finding::{BadRows, BadValue, Finding, Group, GroupFinding, NearFinding};
pub use near::NEAR;
pub use rows::{RowFindings, ScoreFindings};
pub use table::CaptionTable;
pub use text::text;
pub use verdict::Verdict;

#[cfg(test)]
mod tests;
