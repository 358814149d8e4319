//! Training end to end on small data: records, resumption, failures, the control at chance.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hitbench_tests::{Said, hitbench, run, signal, small_suite};
use serde_json::{Value as Json, json};

const TWO_CELLS: &str = "train: {steps: 60, batch: 16, lr: 1.0e-3, checkpoint_every: 7, log_every: 5, threads: 1}\n\
    momentum: {momentum: 0.9}\n\
    axes: {momentum.queue_len: [0, 40]}\n\
    reference: {momentum.queue_len: 0}\n\
    seeds: [0]";

fn run_suite(suite: &Path, out: &Path, more: &[&str]) -> Said {
    let mut args = vec![
        "run",
        suite.to_str().expect("UTF-8"),
        "--out",
        out.to_str().expect("UTF-8"),
    ];
    args.extend(more);
    run(args)
}

/// The files of a run that hold no time and no machine: path below the folder, bytes.
pub(crate) fn results(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::from([(PathBuf::from("summary.csv"), read(&folder.join("summary.csv")))]);
    for below in ["ranks", "curves"] {
        for entry in fs::read_dir(folder.join(below)).expect("the folder is there") {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("a file has a name").to_owned();
            files.insert(Path::new(below).join(name), read(&path));
        }
    }
    files
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn trials(folder: &Path) -> Vec<Json> {
    String::from_utf8(read(&folder.join("trials.jsonl")))
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record a line"))
        .collect()
}

/// Whether any trial of the run has a checkpoint.
fn has_checkpoint(folder: &Path) -> bool {
    let Ok(trials) = fs::read_dir(folder.join("checkpoints")) else {
        return false;
    };
    trials
        .flatten()
        .any(|trial| fs::read_dir(trial.path().join("model")).is_ok_and(|mut steps| steps.next().is_some()))
}

/// Changes the state of every checkpoint, and says how many there were.
fn change_states(folder: &Path, change: impl Fn(&[u8]) -> Vec<u8>) -> usize {
    let trials = fs::read_dir(folder.join("checkpoints")).expect("the folder is there");
    let files = trials.flat_map(|trial| fs::read_dir(trial.expect("readable").path()).expect("a folder"));
    let states = files
        .map(|file| file.expect("readable").path())
        .filter(|path| path.is_file());
    let write = |path: PathBuf| fs::write(&path, change(&read(&path))).expect("writable");
    states.map(write).count()
}

fn start(suite: &Path, out: &Path) -> Child {
    hitbench([
        "run",
        suite.to_str().expect("UTF-8"),
        "--out",
        out.to_str().expect("UTF-8"),
    ])
    .stdout(Stdio::null())
    .stderr(Stdio::null())
    .spawn()
    .expect("hitbench starts")
}

/// Waits until the run has a checkpoint; false when it ended before.
fn await_checkpoint(child: &mut Child, out: &Path) -> bool {
    let end = Instant::now() + Duration::from_secs(120);
    while Instant::now() < end {
        if has_checkpoint(out) {
            return true;
        }
        if child.try_wait().expect("a child of ours").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("no checkpoint within two minutes");
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = small_suite(folder.path(), TWO_CELLS);
    let whole = folder.path().join("whole");
    let said = run_suite(&suite, &whole, &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);

    let killed = folder.path().join("killed");
    let mut kills = 0;
    for pause_ms in [0, 60, 150] {
        let mut child = start(&suite, &killed);
        if await_checkpoint(&mut child, &killed) {
            std::thread::sleep(Duration::from_millis(pause_ms));
        }
        if child.try_wait().expect("a child of ours").is_none() {
            child.kill().expect("a child of ours");
            kills += 1;
        }
        child.wait().expect("a child of ours");
    }
    assert!(kills > 0, "every run ended before it could be killed");
    let said = run_suite(&suite, &killed, &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let (expected, found) = (results(&whole), results(&killed));
    assert_eq!(
        expected.keys().collect::<Vec<_>>(),
        found.keys().collect::<Vec<_>>()
    );
    for (path, bytes) in &expected {
        assert!(
            bytes == &found[path],
            "{} differs after {kills} kills",
            path.display()
        );
    }
    assert!(
        !has_checkpoint(&killed),
        "checkpoints of recorded trials are gone"
    );
}

#[test]
fn an_interrupted_run_says_so_goes_on_whatever_its_state_and_a_finished_one_is_reused() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = small_suite(folder.path(), TWO_CELLS);
    let out = folder.path().join("run");
    let mut child = start(&suite, &out);
    assert!(await_checkpoint(&mut child, &out), "the run ended too early");
    signal("INT", child.id().into());
    let status = child.wait().expect("a child of ours");
    assert_eq!(status.code(), Some(75));
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    assert!(change_states(&out, half) > 0, "a stopped trial leaves a state");

    let said = run_suite(&suite, &out, &["--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let outcome: Json = serde_json::from_str(&said.out).expect("one JSON object");
    assert_eq!(
        (&outcome["reason"], &outcome["n_trials"]),
        (&Json::from("ok"), &Json::from(2))
    );

    let before = results(&out);
    let said = run_suite(&suite, &out, &["--json"]);
    let outcome: Json = serde_json::from_str(&said.out).expect("one JSON object");
    assert_eq!(outcome["n_reused"], 2, "{outcome}");
    assert_eq!(before, results(&out));
    let said = run(["status", out.to_str().expect("UTF-8"), "--json"]);
    let status: Json = serde_json::from_str(&said.out).expect("one JSON object");
    assert_eq!(
        (&status["n_done"], &status["n_left"]),
        (&Json::from(2), &Json::from(0)),
        "{status}"
    );
    let said = run(["report", out.to_str().expect("UTF-8")]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(before, results(&out), "a report drawn again is the same");
}

#[test]
fn a_training_that_goes_on_elsewhere_names_both_machines() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = small_suite(folder.path(), TWO_CELLS);
    let out = folder.path().join("run");
    let mut child = start(&suite, &out);
    assert!(await_checkpoint(&mut child, &out), "the run ended too early");
    signal("INT", child.id().into());
    assert_eq!(child.wait().expect("a child of ours").code(), Some(75));
    let moved = |bytes: &[u8]| {
        let mut state: Json = serde_json::from_slice(bytes).expect("a state");
        state["machines"] = json!(["feedfacecafe"]);
        state.to_string().into_bytes()
    };
    assert_eq!(change_states(&out, moved), 1);
    assert_eq!(run_suite(&suite, &out, &[]).code, Some(0));
    let machines: Vec<Vec<Json>> = trials(&out)
        .iter()
        .map(|trial| {
            trial["result"]["training"]["machines"]
                .as_array()
                .expect("a list")
                .clone()
        })
        .collect();
    let numbers = |n: usize| machines.iter().filter(|machines| machines.len() == n).count();
    assert_eq!((numbers(1), numbers(2)), (1, 1), "{machines:?}");
    let elsewhere = json!("feedfacecafe");
    assert!(
        machines.iter().any(|machines| machines.contains(&elsewhere)),
        "{machines:?}"
    );
}

#[test]
fn a_failing_trial_is_recorded_and_the_others_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = small_suite(
        folder.path(),
        "train: {steps: 8, batch: 16, threads: 1}\nmomentum: {queue_len: 0}\naxes: {train.lr: [1.0e+30, 1.0e-3]}",
    );
    let out = folder.path().join("run");
    let said = run_suite(&suite, &out, &[]);
    assert_eq!(said.code, Some(5), "{}", said.err);
    let records = trials(&out);
    let status: Vec<&str> = records
        .iter()
        .filter_map(|record| record["status"].as_str())
        .collect();
    assert_eq!(status, ["failed", "ok"]);
    assert!(
        records[0]["error"]
            .as_str()
            .is_some_and(|error| !error.is_empty())
    );

    let other = folder.path().join("fail-fast");
    let said = run_suite(&suite, &other, &["--fail-fast"]);
    assert_eq!(said.code, Some(5), "{}", said.err);
    assert_eq!(trials(&other).len(), 1);
}

#[test]
fn an_expectation_that_is_missed_fails_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = small_suite(
        folder.path(),
        "train: {steps: 2, batch: 16, threads: 1}\nmomentum: {queue_len: 0}\nexpect: {t2v.r_at.1: [0.99, 1.0]}",
    );
    let said = run_suite(&suite, &folder.path().join("run"), &[]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.out.contains("t2v.r_at.1"), "{}", said.out);
}

#[test]
fn pairs_shuffled_in_training_end_at_chance_and_true_pairs_above_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = small_suite(
        folder.path(),
        "train: {steps: 120, batch: 32, lr: 2.0e-3, warmup_steps: 10, threads: 1}\nmomentum: {queue_len: 0}\n\
         axes: {train.shuffle_pairs: [false, true]}\nseeds: [0, 1, 2]",
    );
    let out = folder.path().join("run");
    let said = run_suite(&suite, &out, &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let recall = |shuffled: bool| {
        let found: Vec<f64> = trials(&out)
            .iter()
            .filter(|record| record["axis_values"]["train.shuffle_pairs"] == shuffled)
            .map(|record| record["result"]["metrics"]["combined"]["directions"]["t2v"]["r_at"]["10"].as_f64())
            .map(|recall| recall.expect("a finished trial has R@10"))
            .collect();
        assert_eq!(found.len(), 3);
        found.iter().sum::<f64>() / 3.0
    };
    // 40 test videos: chance is 25 % R@10. The mean of three trials has a standard error of about
    // sqrt(0.25 * 0.75 / 120) = 4 points under independence; four of them either way.
    let control = recall(true);
    assert!(
        (0.09..0.41).contains(&control),
        "shuffled pairs reached {control}"
    );
    let trained = recall(false);
    assert!(
        trained > control + 0.2,
        "true pairs reached {trained}, shuffled ones {control}"
    );
}

#[test]
fn an_unwritable_folder_exits_with_74() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = small_suite(
        folder.path(),
        "train: {steps: 2, batch: 16, threads: 1}\nmomentum: {queue_len: 0}",
    );
    let file = folder.path().join("a-file");
    fs::write(&file, "not a folder").expect("writable");
    let said = run_suite(&suite, &file.join("run"), &[]);
    assert_eq!(said.code, Some(74), "{}", said.err);
}

/// Runs in a name space of its own, where it may mount: the first cell, then the second on a disk that has room for
/// records but not for checkpoints, then again with room. Copies the folder out after each run and prints their exit
/// codes.
const ON_A_SMALL_DISK: &str = r#"
    mount -t tmpfs -o size=32m tmpfs "$DISK" || exit 99
    "$@" --filter queue_len=0 >/dev/null; echo "first $?"
    head -c 32m /dev/zero >"$DISK/filler" 2>/dev/null
    truncate -s -131072 "$DISK/filler"
    "$@" >/dev/null; echo "full $?"
    cp -a "$DISK/run" "$COPIES/full"
    rm "$DISK/filler"
    "$@" >/dev/null; echo "again $?"
    cp -a "$DISK/run" "$COPIES/again"
"#;

#[test]
fn a_full_disk_exits_with_74_and_loses_nothing_already_written() {
    if !Command::new("unshare")
        .args(["-rm", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        println!("skipped: no name spaces to mount a small disk in");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let suite = small_suite(folder.path(), TWO_CELLS);
    let whole = folder.path().join("whole");
    let said = run_suite(&suite, &whole, &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);

    let (disk, copies) = (folder.path().join("disk"), folder.path().join("copies"));
    for path in [&disk, &copies] {
        fs::create_dir(path).expect("writable");
    }
    let out = disk.join("run");
    let program = hitbench([
        "run",
        suite.to_str().expect("UTF-8"),
        "--out",
        out.to_str().expect("UTF-8"),
    ]);
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", ON_A_SMALL_DISK, "sh"])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(hitbench_tests::workspace_root())
        .env("DISK", &disk)
        .env("COPIES", &copies)
        .output()
        .expect("unshare runs");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(out, "first 0\nfull 74\nagain 0\n", "{err}");
    assert!(err.contains("No space left"), "{err}");
    let full = copies.join("full");
    assert_eq!(trials(&full).len(), 1, "the first cell's record is there");
    let (expected, again) = (results(&whole), results(&copies.join("again")));
    for (path, bytes) in &results(&full) {
        let is_of_a_trial = path.components().count() > 1;
        assert!(
            !is_of_a_trial || bytes == &expected[path],
            "{} is torn",
            path.display()
        );
    }
    assert!(
        expected == again,
        "a run resumed on a disk with room ends in the same bytes"
    );
}
