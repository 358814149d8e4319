//! The command line: one subcommand a file.

pub mod doctor;
pub mod schema;
