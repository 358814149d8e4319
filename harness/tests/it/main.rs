//! Integration tests of the harness.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod audit_goldens;
mod corpus;
mod eval_goldens;
mod metric_goldens;
mod pickle_goldens;
mod trec_lists;
mod trec_measures;
