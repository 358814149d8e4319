//! Every available kernel against the reference.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail by panicking")]

#[cfg(feature = "torch")]
mod bridge;
mod compare;
mod info_nce;
mod momentum;
mod properties;
mod rank;
mod scores;
