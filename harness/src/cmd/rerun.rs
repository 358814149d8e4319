//! Running a suite in a process of its own, by this program or another build of it.

use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, Signal, System};

use super::failure::Failure;
use super::stop;
use crate::exit_code::ExitCode;

/// How long to sleep before looking at the process and the stop flag again.
const LOOK: Duration = Duration::from_millis(20);
/// What was going on when it was stopped.
const DURING: &str = "while the suite ran";

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
    /// Raised by a signal: the process is asked to stop, and no other one is started.
    pub(super) stop: &'a AtomicBool,
}

impl Rerun<'_> {
    /// Runs it to its end; its progress goes to standard error, its result into the folder.
    ///
    /// # Errors
    /// [`Failure`] with exit code 2 when the program cannot be started, with that of the program when it fails by 2, 3, 74
    /// or 75, with 5 when it fails otherwise; with 75, however the program ended, when `stop` was raised.
    pub(super) fn run(&self) -> Result<(), Failure> {
        stop::check(self.stop, DURING)?;
        let mut child = self
            .command()
            .spawn()
            .map_err(|source| cannot_start(self.program, &source))?;
        let status = wait(&mut child, self.stop)?;
        // A program that has not got to its handlers yet, or an older one, ends by the signal itself.
        stop::check(self.stop, DURING)?;
        match status.code() {
            Some(0) => Ok(()),
            Some(75) => Err(stop::stopped(DURING)),
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

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.arg("run").arg(self.suite).arg("--out").arg(self.out);
        for set in self.sets {
            command.arg("--set").arg(set);
        }
        if let Some(filter) = self.filter {
            command.arg("--filter").arg(filter);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

/// Waits for the end of a process, which it asks to stop once `stop` is raised.
fn wait(child: &mut Child, stop: &AtomicBool) -> io::Result<ExitStatus> {
    let mut was_asked = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if !was_asked && stop.load(Ordering::Relaxed) {
            terminate(child);
            was_asked = true;
        }
        thread::sleep(LOOK);
    }
}

/// Sends SIGTERM, on which a run records where it is; `Child::kill` would leave it no time, and leave its own child alone.
fn terminate(child: &Child) {
    let pid = Pid::from_u32(child.id());
    let mut system = System::new();
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        false,
        ProcessRefreshKind::nothing(),
    );
    if let Some(process) = system.process(pid) {
        // It fails only if the process has ended already.
        process.kill_with(Signal::Term);
    }
}

pub(super) fn cannot_start(program: &Path, source: &io::Error) -> Failure {
    Failure::message(
        ExitCode::Input,
        "cannot-start",
        format!("could not start `{}`: {source}", program.display()),
        "give a program of hitbench",
    )
}
