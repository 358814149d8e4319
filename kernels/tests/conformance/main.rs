//! Every available kernel against the reference: the shared suite, and what only tests can vary: order, tiles,
//! threads, random cases and bad input.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail by panicking")]

#[cfg(feature = "torch")]
mod bridge;
mod compare;
mod info_nce;
mod momentum;
mod properties;
mod rank;
mod scores;
mod small;
mod suite;
