//! The suite on real language, cut short; needs the annotations.

use std::fs;

use hitbench_tests::{run, test_data};
use serde_json::Value as Json;

#[test]
fn the_two_annotator_suite_runs_on_the_real_files() {
    let Some(annotations) = test_data("coot/annotations/activitynet") else {
        return;
    };
    let annotations = format!("data.two_annotators.annotations=[\"{}\"]", annotations.display());
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let said = run([
        "run",
        "suites/real/activitynet-two-annotators.yaml",
        "--set",
        &annotations,
        "--set",
        "train.steps=3",
        "--set",
        "train.warmup_steps=0",
        "--set",
        "train.threads=1",
        "--set",
        "seeds=[0]",
        "--filter",
        "queue_len=0/model.hierarchy=semantic",
        "--out",
        out.to_str().expect("UTF-8"),
    ]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let line = fs::read_to_string(out.join("trials.jsonl")).expect("one record");
    let record: Json = serde_json::from_str(line.trim()).expect("one record");
    let result = &record["result"];
    assert_eq!(result["data"]["n_test_videos"], 1000);
    assert_eq!(result["data"]["n_train_videos"], 3885);
    let lexical = result["baselines"]["tf_idf"]["t2v"]["10"]
        .as_f64()
        .expect("TF-IDF is there");
    assert!((0.68..0.78).contains(&lexical), "TF-IDF reached {lexical}");
    let report = fs::read_to_string(out.join("report.md")).expect("a report");
    assert!(
        report.contains("word identity"),
        "the report says what the model is denied"
    );
}
