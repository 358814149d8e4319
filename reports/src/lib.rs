//! The records of a run, their files, and everything drawn from them: tables, CSV, Markdown, plots.
//! Measures nothing and reads no clock.
#![forbid(unsafe_code)]
