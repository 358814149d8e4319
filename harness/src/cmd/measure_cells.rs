//! `hitbench measure-cells`: the child of `run` that measures; not for people.

use std::io;

use super::failure::Failure;
use crate::exit_code::ExitCode;
use crate::measure::child::{ChildError, run_job};

/// Measures what standard input asks for; `hitbench run` starts it.
#[derive(Debug, clap::Args)]
pub struct MeasureCellsArgs {}

/// Runs the command.
///
/// # Errors
/// [`Failure`] when the job is none or nobody listens.
pub fn run() -> Result<ExitCode, Failure> {
    run_job(io::stdin().lock(), &mut io::stdout().lock())?;
    Ok(ExitCode::Fine)
}

impl From<ChildError> for Failure {
    fn from(error: ChildError) -> Self {
        Self::new(ExitCode::Input, "measure-cells", error)
    }
}
