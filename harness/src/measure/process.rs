//! The parent's side of one child: starts it, hears it, ends it.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::protocol::{Event, Job};

/// The subcommand that a child runs.
pub(super) const COMMAND: &str = "measure-cells";
/// How long to listen before looking at the stop flag again.
const LISTEN: Duration = Duration::from_millis(100);
/// Lines of a dead child's standard error that are told.
const LAST_LINES: usize = 6;

/// How a child ended.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// It did its job.
    Finished,
    /// We ended it because the run was asked to stop.
    Stopped,
    /// It died; says how.
    Died(String),
}

/// Runs one child to its end and hands on what it says.
///
/// # Errors
/// When it cannot be started, or `on_event` fails; it is then ended.
pub(super) fn run_child<E: From<io::Error>>(
    job: &Job,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(Event) -> Result<(), E>,
) -> Result<End, E> {
    let mut child = Ended(start(job)?);
    let errors = last_lines(child.0.stderr.take());
    let lines = lines(child.0.stdout.take());
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(End::Stopped);
        }
        match lines.recv_timeout(LISTEN) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(event) => on_event(event)?,
                // What a library prints there is none of ours.
                Err(_) => tracing::warn!(line, "a child said what is no event"),
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.0.wait()?;
    if status.success() {
        return Ok(End::Finished);
    }
    // An interrupt from the terminal reaches the child too, which may be faster than we are.
    thread::sleep(LISTEN);
    if stop.load(Ordering::Relaxed) {
        return Ok(End::Stopped);
    }
    let said = errors.recv_timeout(LISTEN * 10).unwrap_or_default();
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    };
    Ok(End::Died(format!(
        "the measuring process ended by {status}{said}"
    )))
}

/// Ends the child when dropped, however that comes.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(job: &Job) -> io::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let written = match child.stdin.take() {
        Some(mut input) => input.write_all(&serde_json::to_vec(job)?),
        None => Ok(()),
    };
    // A child that died before it had read all is told by its exit status.
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            drop(Ended(child));
            Err(error)
        }
        _ => Ok(child),
    }
}

/// The lines of a stream as they come.
fn lines(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for line in stream
            .into_iter()
            .flat_map(|stream| BufReader::new(stream).lines())
        {
            let Ok(line) = line else { break };
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

/// The last lines of a stream, sent when it ends.
fn last_lines(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    let lines = lines(stream);
    thread::spawn(move || {
        let mut last: VecDeque<String> = VecDeque::new();
        for line in lines {
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
        let last: Vec<String> = last.into();
        // Nobody listens when the child was well.
        let _ = send.send(last.join("; "));
    });
    receive
}
