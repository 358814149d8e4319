//! Stopping by SIGINT and SIGTERM: exit code 75, and no process stays behind that holds a run folder.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use hitbench_tests::{Said, hitbench, run, signal};
use serde_json::{Value as Json, json};

use crate::files::Folder;
use crate::gate::{bless, measured, slow_down};

/// Said by `hitbench run` before it measures.
const MEASURES: &str = "cells to measure";

/// Starts a command in a group of its own, waits until lines with these parts have come, one after the other, on standard
/// error, calls `stop` with its id, and says how it ended.
fn stopped(command: &mut Command, parts: &[&str], stop: impl FnOnce(i64)) -> Said {
    let mut child = command
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("hitbench starts");
    let errors = child.stderr.take().expect("it is piped");
    let mut lines = BufReader::new(errors)
        .lines()
        .map(|line| line.expect("hitbench prints UTF-8"));
    for part in parts {
        assert!(lines.any(|line| line.contains(part)), "it never said {part}");
    }
    stop(child.id().into());
    let err = lines.collect::<Vec<_>>().join("\n");
    let code = child.wait().expect("a child of ours").code();
    Said {
        code,
        out: String::new(),
        err,
    }
}

#[track_caller]
fn says_stopped(said: &Said, message: &str) {
    assert_eq!(said.code, Some(75), "{}", said.err);
    let last = said.err.lines().last().expect("an error");
    let error: Json = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", said.err));
    assert_eq!(
        (&error["code"], &error["reason"], &error["message"]),
        (&json!(75), &json!("stopped"), &json!(message)),
        "{error}"
    );
}

/// The program with the signals ignored that scripts and `nohup` have ignored in jobs in the background.
fn in_the_background(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' INT HUP; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    shell
}

#[test]
fn a_stopped_calibration_goes_on_where_it_was() {
    let folder = Folder::new();
    let [suite, _] = measured(&folder);
    let runs = folder.text("runs");
    let args = ["calibrate", &suite, "--runs", "4", "--out", &runs, "--json"];
    let said = stopped(
        &mut in_the_background(&hitbench(args)),
        &["run 2 of 4", MEASURES],
        |id| signal("TERM", id),
    );
    says_stopped(&said, "stopped while the suite ran");
    let said = run(args);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("1 already recorded"), "{}", said.err);
}

#[test]
fn an_interrupted_group_of_builds_in_turns_leaves_no_lock() {
    let folder = Folder::new();
    let [suite, _] = measured(&folder);
    let program = hitbench(["--version"]).get_program().to_owned();
    let program = program.to_str().expect("UTF-8");
    let turns = folder.text("turns");
    let mut command = hitbench([
        "gate", "--ab", program, program, &suite, "--out", &turns, "--json",
    ]);
    let said = stopped(&mut command, &["block 1 of 8: new-1", MEASURES], |id| {
        signal("INT", -id)
    });
    says_stopped(&said, "stopped while the suite ran");
    let turn = format!("{turns}/block-1-new-1");
    let said = run(["run", &suite, "--set", "measure.processes=1", "--out", &turn]);
    assert_eq!(said.code, Some(0), "{}", said.err);
}

#[test]
fn a_stopped_confirmation_has_no_verdict() {
    let folder = Folder::new();
    let [suite, out] = measured(&folder);
    assert_eq!(bless(&out, &folder.text("baseline.json"), "new").code, Some(0));
    slow_down(&out, 1e4);
    let mut command = hitbench(["gate", "--run", &out, "--confirm", &suite, "--json"]);
    let said = stopped(&mut command, &[MEASURES], |id| signal("TERM", id));
    says_stopped(&said, "stopped while the suite ran");
}

/// Runs a suite that is stopped before it has read the suite's text, so that all that it loads comes after the signal.
fn stopped_at_the_start(folder: &Folder, text: &[u8], out: &Path) -> Said {
    let pipe = folder.path("suite.yaml");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    let mut command = hitbench([
        "run".as_ref(),
        pipe.as_path(),
        "--out".as_ref(),
        out,
        "--json".as_ref(),
    ]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("hitbench starts");
    // It opens once hitbench wants to read it.
    let mut suite = OpenOptions::new()
        .write(true)
        .open(&pipe)
        .expect("a pipe of ours");
    signal("TERM", child.id().into());
    suite.write_all(text).expect("hitbench reads the suite");
    drop(suite);
    let output = child.wait_with_output().expect("a child of ours");
    let text = |bytes| String::from_utf8(bytes).expect("hitbench prints UTF-8");
    Said {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

#[test]
fn measuring_that_is_stopped_at_the_start_measures_nothing() {
    let folder = Folder::new();
    let text = fs::read(hitbench_tests::workspace_root().join("suites/ci/kernels.yaml")).expect("a suite");
    let said = stopped_at_the_start(&folder, &text, &folder.path("run"));
    assert_eq!(said.code, Some(75), "{}", said.err);
    let outcome: Json = serde_json::from_str(&said.out).expect("one object");
    assert_eq!(
        (&outcome["reason"], &outcome["n_ok"]),
        (&json!("stopped"), &json!(0))
    );
}

#[cfg(feature = "torch")]
#[test]
fn training_that_is_stopped_while_data_load_writes_nothing() {
    let folder = Folder::new();
    let few = "train: {steps: 8, batch: 16, threads: 1}\nmomentum: {queue_len: 0}";
    let suite = tempfile::tempdir().expect("a folder");
    let text = fs::read(hitbench_tests::small_suite(suite.path(), few)).expect("a suite");
    let out = folder.path("run");
    let said = stopped_at_the_start(&folder, &text, &out);
    says_stopped(&said, "stopped while the data were loaded");
    assert!(!out.exists());
}
