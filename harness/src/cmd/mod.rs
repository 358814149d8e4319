//! The command line: one subcommand a file.

pub mod data;
pub mod doctor;
pub mod schema;
