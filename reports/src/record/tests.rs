//! Files written and read back, torn, from the future, locked, and in folders that cannot be written.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use serde_json::{Value, json};

use super::*;
use crate::fixture;

fn written() -> (tempfile::TempDir, RunRecord, Vec<TrialRecord>) {
    let dir = tempfile::tempdir().unwrap();
    let run = fixture::queue_by_hierarchy(&[0, 1]);
    let trials = fixture::trials(&run);
    let writer = RunWriter::open(dir.path()).unwrap();
    writer.write_run(&run).unwrap();
    for trial in &trials {
        writer.append_trial(trial).unwrap();
    }
    (dir, run, trials)
}

fn append(dir: &tempfile::TempDir, bytes: &[u8]) {
    let path = dir.path().join("trials.jsonl");
    fs::OpenOptions::new()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

#[test]
fn what_was_written_is_read_back() {
    let (dir, run, trials) = written();
    let writer = RunWriter::open(dir.path()).unwrap();
    let rank = RankRow {
        direction: Direction::V2t,
        query_id: "v, \"1\"".to_owned(),
        true_id: "c1".to_owned(),
        greater: 3,
        equal: 2,
        own_equal: 1,
        score: 0.1 + 0.2,
    };
    let timing = |trial: &str, time_ns| TimingRow {
        trial: trial.to_owned(),
        process: 0,
        what: "train_step".to_owned(),
        sample: 0,
        items: 64,
        time_ns,
    };
    let curve = fixture::curve(50, true, 0);
    let comparisons = fixture::comparisons(&run);
    writer.write_ranks("a-s0", std::slice::from_ref(&rank)).unwrap();
    writer.write_curves("a-s0", &curve).unwrap();
    writer.write_comparisons(&comparisons).unwrap();
    writer.replace_timing("a-s0", &[timing("a-s0", 5)]).unwrap();
    writer.replace_timing("b-s0", &[timing("b-s0", 6)]).unwrap();
    writer.replace_timing("a-s0", &[timing("a-s0", 7)]).unwrap();

    let folder = RunFolder::new(dir.path());
    assert_eq!(folder.run().unwrap(), run);
    assert_eq!(folder.trials().unwrap(), trials);
    assert_eq!(folder.ranks("a-s0").unwrap(), [rank]);
    assert_eq!(folder.curves("a-s0").unwrap(), curve);
    assert_eq!(folder.curves("b-s0").unwrap(), []);
    assert_eq!(folder.comparisons().unwrap(), Some(comparisons));
    assert_eq!(folder.timing().unwrap(), [timing("b-s0", 6), timing("a-s0", 7)]);
}

#[test]
fn a_trial_line_has_the_fields_of_the_design() {
    let run = fixture::run(
        &[
            (fixture::QUEUE, vec![json!(256)]),
            (fixture::HIERARCHY, vec![json!("feature")]),
        ],
        &[3],
    );
    let line = serde_json::to_value(&fixture::trials(&run)[0]).unwrap();
    assert_eq!(line["format"], 1);
    assert_eq!(line["status"], "ok");
    assert_eq!(line["error"], Value::Null);
    assert_eq!(
        line["axis_values"],
        json!({"momentum.queue_len": 256, "model.hierarchy": "feature"})
    );
    let metrics = &line["result"]["metrics"];
    assert_eq!(metrics["semantic"], "untrained");
    let t2v = &metrics["feature"]["directions"]["t2v"];
    let fields: Vec<&str> = t2v.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "n_queries",
            "denominator",
            "n_gallery",
            "n_masked",
            "n_tied",
            "r_at",
            "r_at_interval",
            "r_at_ci95",
            "median_rank",
            "median_rank_ci95",
            "mean_rank",
            "mean_rank_ci95",
            "sum_r",
            "geometric_mean",
            "mrr",
            "mrr_ci95",
            "ndcg_at_10",
            "map",
            "recall_at",
        ]
    );
    assert!(t2v["r_at"]["10"].is_f64());
    assert_eq!(t2v["r_at_interval"]["50"].as_array().unwrap().len(), 2);
    assert_eq!((&t2v["map"], &t2v["recall_at"]), (&Value::Null, &Value::Null));
}

#[test]
fn records_of_before_a_field_was_kept_stay_readable() {
    let record = fixture::direction(0.2, 400);
    let mut old = serde_json::to_value(&record).unwrap();
    for field in ["denominator", "median_rank_ci95", "mean_rank_ci95", "mrr_ci95"] {
        old.as_object_mut().unwrap().remove(field).unwrap();
    }
    let read: DirectionRecord = serde_json::from_value(old).unwrap();
    let expected = DirectionRecord {
        denominator: None,
        median_rank_ci95: None,
        mean_rank_ci95: None,
        mrr_ci95: None,
        ..record
    };
    assert_eq!(read, expected);
}

#[test]
fn unknown_recall_is_null_and_was_an_empty_object() {
    let mut file = serde_json::to_value(fixture::direction(0.2, 400)).unwrap();
    assert_eq!(file["recall_at"], Value::Null);
    let mut read = |recall_at| {
        file["recall_at"] = recall_at;
        let record: DirectionRecord = serde_json::from_value(file.clone()).unwrap();
        record.recall_at
    };
    assert_eq!(read(Value::Null), None);
    assert_eq!(read(json!({})), Some(BTreeMap::new()));
    assert_eq!(read(json!({"5": 0.25})), Some(BTreeMap::from([(5, 0.25)])));
}

#[test]
fn the_latest_line_of_a_trial_wins_in_its_first_place() {
    let (dir, _, trials) = written();
    let failed = TrialRecord {
        outcome: TrialOutcome::Failed {
            error: "loss is NaN at step 3".to_owned(),
        },
        ..trials[1].clone()
    };
    RunWriter::open(dir.path())
        .unwrap()
        .append_trial(&failed)
        .unwrap();
    let read = RunFolder::new(dir.path()).trials().unwrap();
    assert_eq!(read.len(), trials.len());
    assert_eq!(read[1], failed);
    assert_eq!(read[2], trials[2]);
}

#[test]
fn a_torn_last_line_is_passed_over_and_replaced() {
    let (dir, _, trials) = written();
    let line = serde_json::to_string(&trials[0]).unwrap();
    append(&dir, &line.as_bytes()[..line.len() / 2]);
    let folder = RunFolder::new(dir.path());
    assert_eq!(folder.trials().unwrap(), trials);
    let again = TrialRecord {
        seed: 99,
        id: "again".to_owned(),
        ..trials[0].clone()
    };
    RunWriter::open(dir.path()).unwrap().append_trial(&again).unwrap();
    let read = folder.trials().unwrap();
    assert_eq!(read[..trials.len()], trials);
    assert_eq!(read[trials.len()..], [again]);
}

#[test]
fn a_whole_last_line_without_its_end_is_kept() {
    let (dir, _, trials) = written();
    let whole = TrialRecord {
        id: "whole".to_owned(),
        ..trials[0].clone()
    };
    append(&dir, serde_json::to_string(&whole).unwrap().as_bytes());
    let later = TrialRecord {
        id: "later".to_owned(),
        ..trials[0].clone()
    };
    RunWriter::open(dir.path()).unwrap().append_trial(&later).unwrap();
    assert_eq!(
        RunFolder::new(dir.path()).trials().unwrap()[trials.len()..],
        [whole, later]
    );
}

#[test]
fn a_torn_line_in_the_middle_is_an_error_with_its_number() {
    let (dir, _, trials) = written();
    append(&dir, b"{\"format\":1,\"id\":\n");
    let error = RunFolder::new(dir.path()).trials().unwrap_err();
    let RecordError::Torn { line, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(line, trials.len() + 1);
}

#[test]
fn a_contradictory_line_is_an_error() {
    let (dir, _, trials) = written();
    let mut line = serde_json::to_value(&trials[0]).unwrap();
    line["status"] = json!("failed");
    append(&dir, format!("{line}\n").as_bytes());
    let error = RunFolder::new(dir.path()).trials().unwrap_err();
    assert!(matches!(error, RecordError::Torn { .. }), "{error:?}");
}

#[test]
fn a_newer_format_is_refused_whatever_else_the_file_says() {
    let (dir, ..) = written();
    fs::write(dir.path().join("run.json"), "{\"format\": 2, \"new\": []}").unwrap();
    append(&dir, b"{\"format\":7}\n");
    let folder = RunFolder::new(dir.path());
    let error = folder.run().unwrap_err();
    assert!(
        matches!(
            error,
            RecordError::FutureFormat {
                found: 2,
                supported: FORMAT,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(!error.is_write());
    let error = folder.trials().unwrap_err();
    assert!(
        matches!(error, RecordError::FutureFormat { found: 7, .. }),
        "{error:?}"
    );
}

#[test]
fn a_torn_run_json_and_a_missing_one_are_told_apart() {
    let (dir, ..) = written();
    fs::write(dir.path().join("run.json"), "{\"format\": 1,\n \"suite\": {").unwrap();
    let error = RunFolder::new(dir.path()).run().unwrap_err();
    assert!(matches!(error, RecordError::Torn { line: 2, .. }), "{error:?}");
    let empty = tempfile::tempdir().unwrap();
    let error = RunFolder::new(empty.path()).run().unwrap_err();
    assert!(matches!(error, RecordError::NotARun { .. }), "{error:?}");
}

#[test]
fn a_folder_of_other_files_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("report.md", "# Mine"), (".mine.tmp", "")] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let names = || {
        let entries = fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let error = RunWriter::open(dir.path()).unwrap_err();
    assert!(matches!(error, RecordError::Occupied { .. }), "{error:?}");
    assert!(!error.is_write());
    fs::write(
        dir.path().join("run.json"),
        r#"{"format": 1, "of": "another program"}"#,
    )
    .unwrap();
    assert!(matches!(
        RunWriter::open(dir.path()),
        Err(RecordError::Torn { .. })
    ));
    fs::remove_file(dir.path().join("run.json")).unwrap();
    assert_eq!(names(), before);

    // What a process leaves that is killed before it writes `run.json` is no obstacle.
    let dir = tempfile::tempdir().unwrap();
    drop(RunWriter::open(dir.path()).unwrap());
    fs::write(dir.path().join(".run.json.12.tmp"), "{").unwrap();
    RunWriter::open(dir.path()).unwrap();
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = RunWriter::open(dir.path()).unwrap();
    let error = RunWriter::open(dir.path()).unwrap_err();
    assert!(matches!(error, RecordError::Locked { .. }), "{error:?}");
    assert!(!error.is_write());
    drop(first);
    RunWriter::open(dir.path()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_or_written_is_a_write_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let error = RunWriter::open(file.join("run")).unwrap_err();
    assert!(error.is_write(), "{error:?}");

    let (dir, run, trials) = written();
    let writer = RunWriter::open(dir.path()).unwrap();
    for name in ["run.json", "trials.jsonl"] {
        fs::remove_file(dir.path().join(name)).unwrap();
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    assert!(writer.write_run(&run).unwrap_err().is_write());
    assert!(writer.append_trial(&trials[0]).unwrap_err().is_write());
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        left.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")),
        "{left:?}"
    );
}

#[test]
fn half_written_files_of_a_killed_process_are_removed() {
    let (dir, ..) = written();
    let half = dir.path().join("plots").join(".recall.svg.123.tmp");
    fs::write(&half, "<svg").unwrap();
    RunWriter::open(dir.path()).unwrap();
    assert!(!half.exists());
}

#[test]
fn curves_keep_absent_values_apart_from_zero_and_equal_rows_give_equal_bytes() {
    let rows = [
        CurveRow {
            step: 1,
            loss: 2.5,
            terms: vec![("t2v".to_owned(), 2.5)],
            lr: Some(1e-7),
            ..CurveRow::default()
        },
        CurveRow {
            step: 2,
            loss: 0.1,
            terms: vec![("t2v".to_owned(), 0.1)],
            same_video_rate: Some(0.0),
            ..CurveRow::default()
        },
    ];
    let dir = tempfile::tempdir().unwrap();
    let writer = RunWriter::open(dir.path()).unwrap();
    writer.write_curves("a", &rows).unwrap();
    assert_eq!(writer.folder().curves("a").unwrap(), rows);
    insta::assert_snapshot!(fs::read_to_string(dir.path().join("curves/a.csv")).unwrap(), @"
    step,loss,t2v,same_video_rate,queue_age_mean,key_drift,grad_norm,positive_mean,negative_mean,hit_rate,lr
    1,2.5,2.5,,,,,,,,0.0000001
    2,0.1,0.1,0,,,,,,,
    ");
}

#[test]
fn a_record_that_could_not_be_read_again_is_refused() {
    let (dir, _, trials) = written();
    let mut broken = trials[0].clone();
    let TrialOutcome::Ok(result) = &mut broken.outcome else {
        panic!("the fixture's trials are fine")
    };
    result.training.as_mut().unwrap().pairs_per_s = f64::NAN;
    let error = RunWriter::open(dir.path())
        .unwrap()
        .append_trial(&broken)
        .unwrap_err();
    assert!(matches!(error, RecordError::NotANumber { .. }), "{error:?}");
    assert_eq!(RunFolder::new(dir.path()).trials().unwrap(), trials);
}

#[test]
fn measurements_and_peaks_come_back_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let writer = RunWriter::open(dir.path()).unwrap();
    let times = TimesRecord {
        cache: CacheState::Cold,
        median_ns: 1500.5,
        mad_ns: 10.0,
        n_samples: 40,
        process_medians_ns: vec![1490.0, 1511.0],
    };
    let accuracy = AccuracyRecord {
        error: 1e-7,
        tolerance: 2e-6,
        worst: "query 3".to_owned(),
        n_compared: 320,
    };
    let result = MeasurementResult {
        work: WorkRecord {
            flops: Some(102),
            bytes: None,
            items: 51,
            item: "pairs".to_owned(),
        },
        accuracy: Some(accuracy.clone()),
        times: vec![times],
        peak_memory_bytes: None,
        gpu: vec![
            None,
            Some(GpuStateRecord {
                clock_hz: Some([1_980_000_000, 1_755_000_000]),
                memory_clock_hz: None,
                power_w: Some(512.5),
                temperature_c: Some(61),
                throttled_by: Some(vec!["sw_power_cap".to_owned()]),
            }),
        ],
    };
    let record = |id: &str, outcome| MeasurementRecord {
        format: FORMAT,
        id: id.to_owned(),
        name: format!("similarity/{id}"),
        cell_hash: "ab".repeat(32),
        build_id: "0.1.0+ab".to_owned(),
        axis_values: AxisValues::default(),
        operation: "rank_counts".to_owned(),
        shape: serde_json::from_str(r#"{"queries": 17, "gallery": 3, "dim": 1}"#).unwrap(),
        kernel: "cpu/scalar/f16".to_owned(),
        threads: 2,
        outcome,
    };
    let ok = MeasurementOutcome::Ok {
        result: Box::new(result),
    };
    let records = [
        record("a", ok),
        record("b", MeasurementOutcome::Wrong { accuracy }),
        record(
            "c",
            MeasurementOutcome::Unavailable {
                reason: "built without libtorch".to_owned(),
            },
        ),
    ];
    for record in &records {
        writer.append_measurement(record).unwrap();
    }
    let peaks = PeaksRecord {
        format: FORMAT,
        threads: 2,
        processes: vec![ProcessRecord {
            fma_flops_per_s: 4e11,
            copy_bytes_per_s: 6.5e10,
            cpu_clock_hz: Some([3_000_000_000, 2_900_000_000]),
            load_average: None,
        }],
        gpu: vec![GpuPeaksRecord {
            product_flops_per_s: None,
            copy_bytes_per_s: 4e12,
        }],
    };
    writer.write_peaks(&peaks).unwrap();
    let folder = RunFolder::new(dir.path());
    assert_eq!(folder.measurements().unwrap(), records);
    assert_eq!(folder.peaks().unwrap(), Some(peaks));
}
