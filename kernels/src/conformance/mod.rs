//! What it means for a kernel to be right.

pub mod compare;
pub mod inputs;
pub mod suite;

pub use compare::Deviation;
pub use suite::{Finding, OPERATIONS, Verdict, verify};
