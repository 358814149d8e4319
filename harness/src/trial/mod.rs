//! Trials: planned from a suite, run, recorded.
