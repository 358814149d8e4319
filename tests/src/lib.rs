//! Whole-program tests; the crate itself holds what they share.
