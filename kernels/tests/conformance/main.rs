//! Every available kernel against the reference.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail by panicking")]

mod rank;
mod support;
