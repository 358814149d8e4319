//! Running a suite in a process of its own, by this program or another build of it.

use std::path::Path;
use std::process::{Command, Stdio};

use super::failure::Failure;
use crate::exit_code::ExitCode;

/// One `hitbench run`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rerun<'a> {
    /// The program.
    pub(super) program: &'a Path,
    /// The suite.
    pub(super) suite: &'a Path,
    /// Its settings, `PATH=VALUE`.
    pub(super) sets: &'a [String],
    /// Only what has this in its name.
    pub(super) filter: Option<&'a str>,
    /// The run folder.
    pub(super) out: &'a Path,
}

impl Rerun<'_> {
    /// Runs it to its end; its progress goes to standard error, its result into the folder.
    ///
    /// # Errors
    /// [`Failure`] with exit code 2 when the program cannot be started, 75 when it was stopped, 5 when it fails
    /// otherwise.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut command = Command::new(self.program);
        command.arg("run").arg(self.suite).arg("--out").arg(self.out);
        for set in self.sets {
            command.arg("--set").arg(set);
        }
        if let Some(filter) = self.filter {
            command.arg("--filter").arg(filter);
        }
        let status = command
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(|source| {
                let program = self.program.display();
                Failure::message(
                    ExitCode::Input,
                    "cannot-start",
                    format!("could not start `{program}`: {source}"),
                    "give a program of hitbench",
                )
            })?;
        match status.code() {
            Some(0) => Ok(()),
            Some(75) => Err(Failure::message(
                ExitCode::Stopped,
                "stopped",
                "stopped while the suite ran".to_owned(),
                "run the same command again",
            )),
            _ => Err(Failure::message(
                ExitCode::TrialsFailed,
                "run-failed",
                format!(
                    "`{} run {}` failed: {status}",
                    self.program.display(),
                    self.suite.display()
                ),
                "what it said is above",
            )),
        }
    }
}
