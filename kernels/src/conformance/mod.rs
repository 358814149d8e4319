//! What it means for a kernel to be right.

pub mod compare;
pub mod inputs;

pub use compare::Deviation;
