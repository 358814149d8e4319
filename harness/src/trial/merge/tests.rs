use std::collections::BTreeMap;

use hitbench_reports::record::{TimingRow, TrainingRecord, TrialOutcome};
use tempfile::TempDir;

use super::super::fixture::{queue_by_momentum, ranks, run_of, trial};
use super::*;

/// The run of a sweep of ten trials.
fn run() -> RunRecord {
    run_of(&queue_by_momentum())
}

/// All trials of [`run`], finished; the `at`-th took `at` nanoseconds.
fn trials() -> Vec<TrialRecord> {
    let mut trials = Vec::new();
    for cell in &run().plan {
        for seed in 0..2 {
            let mut record = trial(cell, seed, "average");
            took(&mut record, trials.len() as u64);
            trials.push(record);
        }
    }
    trials
}

fn took(trial: &mut TrialRecord, train_time_ns: u64) {
    if let TrialOutcome::Ok(result) = &mut trial.outcome {
        result.training = Some(TrainingRecord {
            steps: 1,
            batch: 1,
            train_time_ns,
            pairs_per_s: 1.0,
            machines: BTreeSet::new(),
            final_loss: None,
            same_video_rate: None,
            parameters: BTreeMap::new(),
        });
    }
}

fn failed(mut trial: TrialRecord, error: &str) -> TrialRecord {
    let error = error.to_owned();
    trial.outcome = TrialOutcome::Failed { error };
    trial
}

/// Writes a run with some of its trials, the ranks of `n_hits` hits each.
fn write(path: &Path, run: &RunRecord, trials: &[TrialRecord]) {
    let writer = RunWriter::open(path).unwrap();
    writer.write_run(run).unwrap();
    for trial in trials {
        if let Some(result) = trial.result() {
            writer.write_ranks(&trial.id, &ranks(3, 1)).unwrap();
            writer.write_curves(&trial.id, &[]).unwrap();
            let timing = TimingRow {
                trial: trial.id.clone(),
                process: 0,
                what: "train".to_owned(),
                sample: 0,
                items: 1,
                time_ns: result.training.as_ref().unwrap().train_time_ns,
            };
            writer.replace_timing(&trial.id, &[timing]).unwrap();
        }
        writer.append_trial(trial).unwrap();
    }
}

/// Every file below a folder, but for locks.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with(".lock") {
                found.insert(
                    path.strip_prefix(folder).unwrap().to_owned(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

/// What comes of merging runs, given by their folders.
fn merged(folders: &[&Path]) -> Result<MergedRun, String> {
    let folders: Vec<RunFolder> = folders.iter().map(|&folder| RunFolder::new(folder)).collect();
    MergedRun::new(&folders).map_err(|error| error.to_string())
}

/// What merging leaves in a new folder.
fn written(merged: &MergedRun) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = TempDir::new().unwrap();
    merged
        .write(&RunWriter::open(folder.path().join("whole")).unwrap())
        .unwrap();
    files(folder.path())
}

#[test]
fn parts_make_the_whole_in_any_order_and_as_often_as_wanted() {
    let (run, trials) = (run(), trials());
    let folder = TempDir::new().unwrap();
    let whole = folder.path().join("whole");
    write(&whole, &run, &trials);
    for part in Part::all(3) {
        let mut at = 0..;
        let mut dealt = trials.clone();
        dealt.retain(|_| part.is_dealt(at.next().unwrap()));
        write(&shard_folder(&folder.path().join("big"), part), &run, &dealt);
    }
    let mut found = find_runs(&folder.path().join("big")).unwrap();
    assert_eq!(found.len(), 3);
    let merged = MergedRun::new(&found).unwrap();
    assert_eq!((merged.n_finished(), merged.n_failed()), (10, 0));

    let target = folder.path().join("target");
    let writer = RunWriter::open(&target).unwrap();
    merged.write(&writer).unwrap();
    assert_eq!(files(&target), files(&whole));
    found.reverse();
    found.push(RunFolder::new(&target));
    let again = MergedRun::new(&found).unwrap();
    again.write(&writer).unwrap();
    assert_eq!(files(&target), files(&whole));
}

#[test]
fn weights_that_were_kept_come_along() {
    let (run, trials) = (run(), trials());
    let folder = TempDir::new().unwrap();
    write(folder.path(), &run, &trials[..2]);
    let kept = weights_file(folder.path(), &trials[1].id);
    fs::create_dir(kept.parent().unwrap()).unwrap();
    fs::write(&kept, b"weights").unwrap();
    let found = written(&merged(&[folder.path()]).unwrap());
    let weights: Vec<_> = found
        .iter()
        .filter(|(path, _)| path.starts_with("whole/weights"))
        .collect();
    let name = weights_file(Path::new("whole"), &trials[1].id);
    assert_eq!(weights, [(&name, &b"weights".to_vec())]);
}

#[test]
fn of_two_records_of_a_trial_a_finished_one_is_taken_and_of_equal_ones_always_the_same() {
    let (run, trials) = (run(), trials());
    let folder = TempDir::new().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let mut slower = trials[2].clone();
    took(&mut slower, 999);
    write(
        &a,
        &run,
        &[
            failed(trials[0].clone(), "disk full"),
            failed(trials[1].clone(), "x"),
            slower,
        ],
    );
    let mut elsewhere = run.clone();
    elsewhere.machine.cores = 2;
    write(
        &b,
        &elsewhere,
        &[
            trials[0].clone(),
            failed(trials[1].clone(), "y"),
            trials[2].clone(),
        ],
    );
    let both = merged(&[&a, &b]).unwrap();
    assert_eq!((both.n_finished(), both.n_failed()), (2, 1));
    let of = |at: usize| &both.trials[at].record;
    assert_eq!(of(0), &trials[0]);
    assert!(matches!(&of(1).outcome, TrialOutcome::Failed { error } if error == "x"));
    assert_eq!(written(&both), written(&merged(&[&b, &a]).unwrap()));
}

#[test]
fn two_results_of_one_trial_are_refused() {
    let (run, trials) = (run(), trials());
    let folder = TempDir::new().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    write(&a, &run, &trials[..3]);
    let mut other = trials[2].clone();
    if let TrialOutcome::Ok(result) = &mut other.outcome {
        result.metrics.clear();
    }
    write(&b, &run, &[other]);
    let expected = format!(
        "`{}` and `{}` have different results of trial {}",
        a.display(),
        b.display(),
        trials[2].name
    );
    assert_eq!(merged(&[&a, &b]), Err(expected));
}

#[test]
fn runs_of_other_sweeps_are_refused_and_what_differs_is_named() {
    let folder = TempDir::new().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    write(&a, &run(), &[]);
    type Change = fn(&mut RunRecord);
    let changes: [(Change, Option<&str>); 6] = [
        (|run| run.suite.name.push('x'), Some("suite")),
        (|run| run.suite.version += 1, Some("version of the suite")),
        (|run| run.suite.resolved = 7.into(), Some("settings")),
        (|run| run.plan[1].hash.push('0'), Some("data")),
        (|run| run.tool.build_id.push('0'), Some("build of hitbench")),
        (|run| run.command.push("--filter".to_owned()), None),
    ];
    for (change, what) in changes {
        let mut other = run();
        change(&mut other);
        write(&b, &other, &[]);
        let expected = what.map(|what| {
            format!(
                "`{}` is a part of another sweep than `{}`: other {what}",
                b.display(),
                a.display()
            )
        });
        assert_eq!(merged(&[&a, &b]).err(), expected);
    }
}

#[test]
fn times_of_kernels_are_no_sweep_and_folders_without_runs_hold_nothing() {
    let folder = TempDir::new().unwrap();
    let mut times = run();
    times.suite.kind = "throughput".to_owned();
    let path = folder.path().join("times");
    write(&path, &times, &[]);
    let expected = format!(
        "`{}` holds times of kernels, which are measured in one session",
        path.display()
    );
    assert_eq!(merged(&[&path]), Err(expected));
    assert_eq!(find_runs(&path.join("none")).unwrap(), []);
}

#[test]
fn a_folder_of_shards_belongs_to_its_run() {
    for path in ["a/b", "a/b/shards", "a/b/shards/1-of-2"] {
        assert_eq!(whole_of(Path::new(path)), Path::new("a/b"));
    }
    assert_eq!(whole_of(Path::new("shards/1-of-2")), Path::new("."));
}

#[test]
fn the_whole_has_the_machine_of_most_trials_and_the_command_of_none_of_its_parts() {
    let (mut run, mut trials) = (run(), trials());
    let folder = TempDir::new().unwrap();
    let mut names = Vec::new();
    for (cores, dealt) in [(1, 0..3), (2, 3..10)] {
        run.machine.cores = cores;
        run.command = ["run", "a.yaml", "--filter", "x=1"].map(str::to_owned).to_vec();
        let machine = fingerprint(&run.machine);
        for trial in &mut trials[dealt.clone()] {
            if let TrialOutcome::Ok(result) = &mut trial.outcome {
                let machines = BTreeSet::from([machine.clone()]);
                result.training.as_mut().unwrap().machines = machines;
            }
        }
        let path = folder.path().join(cores.to_string());
        write(&path, &run, &trials[dealt]);
        names.push(path);
    }
    let whole = merged(&[&names[0], &names[1]]).unwrap();
    assert_eq!(whole.run.machine.cores, 2);
    assert_eq!(whole.run.command, ["run", "a.yaml"]);
    assert_eq!(whole, merged(&[&names[1], &names[0]]).unwrap());
}

#[test]
fn nothing_is_written_when_a_part_lacks_a_file() {
    let (run, trials) = (run(), trials());
    let folder = TempDir::new().unwrap();
    let (part, whole) = (folder.path().join("part"), folder.path().join("whole"));
    write(&part, &run, &trials);
    fs::remove_file(part.join(format!("ranks/{}.csv", trials[4].id))).unwrap();
    let writer = RunWriter::open(&whole).unwrap();
    assert!(merged(&[&part]).unwrap().write(&writer).is_err());
    assert!(files(&whole).is_empty());
}
