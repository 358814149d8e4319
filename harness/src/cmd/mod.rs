//! The command line: one subcommand a file.

pub mod data;
pub mod doctor;
pub mod plan;
pub mod schema;
