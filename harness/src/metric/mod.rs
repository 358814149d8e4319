//! Metrics and statistics: ranks, protocols, intervals. Does no I/O.

pub mod rules;

pub use rules::{CaptionRule, Direction, MedianRule, Rules, TieRule};
