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
    /// [`Failure`] with exit code 2 when the program cannot be started, with that of the program when it fails by 2, 3, 74
    /// or 75, with 5 when it fails otherwise.
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
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(|source| cannot_start(self.program, &source))?;
        match status.code() {
            Some(0) => Ok(()),
            Some(75) => Err(Failure::message(
                ExitCode::Stopped,
                "stopped",
                "stopped while the suite ran".to_owned(),
                "run the same command again",
            )),
            other => Err(Failure::message(
                match other {
                    Some(2) => ExitCode::Input,
                    Some(3) => ExitCode::NotComparable,
                    Some(74) => ExitCode::CannotWrite,
                    _ => ExitCode::TrialsFailed,
                },
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

pub(super) fn cannot_start(program: &Path, source: &std::io::Error) -> Failure {
    Failure::message(
        ExitCode::Input,
        "cannot-start",
        format!("could not start `{}`: {source}", program.display()),
        "give a program of hitbench",
    )
}
