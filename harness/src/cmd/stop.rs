//! The wish to stop: a flag that SIGINT and SIGTERM raise, and how a command ends that has seen it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::failure::Failure;
use crate::exit_code::ExitCode;

/// The flag, which both signals raise from now on instead of ending the process.
///
/// They do so too where SIGINT was ignored at the start, as it is in jobs that a script leaves in the background: they too are
/// stopped by `kill -INT`, and lose nothing by it. SIGHUP is left as it was: `nohup` has it ignored.
pub(super) fn on_signals() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).expect("every process may catch both signals");
    }
    stop
}

/// Lets a command go on whose flag is down.
///
/// # Errors
/// [`Failure`] with exit code 75 when it is up; `during` says what was going on, as in "while the suite ran".
pub(super) fn check(stop: &AtomicBool, during: &str) -> Result<(), Failure> {
    if stop.load(Ordering::Relaxed) {
        return Err(stopped(during));
    }
    Ok(())
}

/// What a stopped command says.
pub(super) fn stopped(during: &str) -> Failure {
    Failure::message(
        ExitCode::Stopped,
        "stopped",
        format!("stopped {during}"),
        "run the same command again",
    )
}
