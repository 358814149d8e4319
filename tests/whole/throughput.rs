//! Measuring end to end on small shapes: verified, timed in processes of their own, recorded, resumed.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use hitbench_tests::{Said, hitbench, run, signal};
use serde_json::Value as Json;

fn measure(out: &Path, more: &[&str]) -> Said {
    let mut args = vec![
        "run",
        "suites/ci/kernels.yaml",
        "--out",
        out.to_str().expect("UTF-8"),
    ];
    args.extend(more);
    run(args)
}

fn measurements(folder: &Path) -> Vec<Json> {
    fs::read_to_string(folder.join("measurements.jsonl"))
        .unwrap_or_default()
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record a line"))
        .collect()
}

#[test]
fn kernels_are_verified_timed_and_recorded_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let said = measure(&out, &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("rank_counts"), "{}", said.out);
    let records = measurements(&out);
    assert_eq!(records.len(), 15, "{}", said.err);
    for record in &records {
        let kernel = record["kernel"].as_str().expect("a kernel");
        assert!(!kernel.contains("auto"), "{kernel}");
        let outcome = &record["outcome"];
        if kernel.starts_with("libtorch") && !cfg!(feature = "torch") {
            assert_eq!(outcome["status"], "unavailable");
            continue;
        }
        assert_eq!(outcome["status"], "ok", "{record}");
        let result = &outcome["result"];
        assert_eq!(result["accuracy"].is_null(), kernel == "gemm/f32", "{record}");
        let caches: Vec<&str> = result["times"]
            .as_array()
            .expect("times")
            .iter()
            .map(|times| {
                assert_eq!(
                    times["process_medians_ns"].as_array().map(Vec::len),
                    Some(2),
                    "{times}"
                );
                assert_eq!(times["n_samples"], 6, "{times}");
                assert!(
                    times["median_ns"].as_f64().is_some_and(|median| median > 0.0),
                    "{times}"
                );
                times["cache"].as_str().expect("a state")
            })
            .collect();
        assert_eq!(caches, ["warm", "cold"]);
    }
    let peaks: Json =
        serde_json::from_str(&fs::read_to_string(out.join("peaks.json")).expect("peaks")).expect("JSON");
    assert_eq!(peaks["processes"].as_array().map(Vec::len), Some(2));
    let timed = records
        .iter()
        .filter(|record| record["outcome"]["status"] == "ok")
        .count();
    let timing = fs::read_to_string(out.join("timing.csv")).expect("samples");
    // Two processes, two states of the caches, three samples each; and a header.
    assert_eq!(timing.lines().count(), 1 + timed * 12);

    let said = run(["status", out.to_str().expect("UTF-8")]);
    assert!(
        said.out.contains("15 done, 0 stale, 0 failed, 0 left"),
        "{}",
        said.out
    );
    let said = run(["report", out.to_str().expect("UTF-8"), "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let said = measure(&out, &["--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let outcome: Json = serde_json::from_str(&said.out).expect("one object");
    assert_eq!(
        (&outcome["n_reused"], &outcome["n_ok"]),
        (&Json::from(15), &Json::from(0)),
        "{outcome}"
    );
    assert_eq!(measurements(&out).len(), 15, "nothing is recorded twice");
    let said = run([
        "plan",
        "suites/ci/kernels.yaml",
        "--out",
        out.to_str().expect("UTF-8"),
        "--json",
    ]);
    let plan: Json = serde_json::from_str(&said.out).expect("one object");
    assert_eq!(plan["cells"][0]["state"], "done", "{plan}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_with_the_process_that_it_was_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let many = ["--set", "measure.processes=8", "--filter", "enqueue"];
    let unfinished = out.join("unfinished.json");
    let mut args = vec![
        "run",
        "suites/ci/kernels.yaml",
        "--out",
        out.to_str().expect("UTF-8"),
    ];
    args.extend(many);
    let mut child = hitbench(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("hitbench starts");
    let end = Instant::now() + Duration::from_secs(60);
    while !unfinished.is_file() {
        assert!(Instant::now() < end, "no process was done within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal("INT", child.id().into());
    let status = child.wait().expect("a child of ours");
    assert_eq!(status.code(), Some(75));

    let kept: Json = serde_json::from_slice(&fs::read(&unfinished).expect("readable")).expect("an object");
    let cells = kept["cells"].as_object().expect("cells by id");
    let processes = |cell: &Json| cell["collected"]["processes"].as_array().expect("a list").clone();
    let n_kept: usize = cells.values().map(|cell| processes(cell).len()).sum();
    assert!(n_kept >= cells.len() && !cells.is_empty(), "{kept}");
    let said = measure(&out, &many);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let goes_on = format!(
        "; {n_kept} of {} measurements are there from before",
        8 * cells.len()
    );
    assert!(said.err.contains(&goes_on), "{goes_on}: {}", said.err);
    assert!(!unfinished.exists());
    // The peaks of the processes before the stop are there too.
    let peaks: Json =
        serde_json::from_slice(&fs::read(out.join("peaks.json")).expect("peaks")).expect("an object");
    let n_peaks = peaks["processes"].as_array().map_or(0, Vec::len);
    assert!(n_peaks >= 8, "{peaks}");
    let timing = fs::read_to_string(out.join("timing.csv")).expect("times");
    for record in measurements(&out) {
        if record["outcome"]["status"] != "ok" {
            continue;
        }
        let id = record["id"].as_str().expect("an id");
        let medians = &record["outcome"]["result"]["times"][0]["process_medians_ns"];
        assert_eq!(medians.as_array().map(Vec::len), Some(8), "{record}");
        // What was measured before the stop is what is recorded after it.
        let first = &processes(&cells[id])[0][0][1][0];
        let items = timing
            .lines()
            .find(|line| line.starts_with(&format!("{id},0,")))
            .expect("a row");
        assert!(
            items.ends_with(&format!(",{}", first["time_ns"])),
            "{items}: {first}"
        );
    }
}

#[test]
fn a_wrong_throughput_suite_is_an_error_with_its_place() {
    for (set, named) in [
        ("measure.processes=0", "measure.processes"),
        ("seeds=[1]", "seeds"),
        (
            "shapes=[{operation: top_k, queries: 2, gallery: 3, dim: 4, k: 5}]",
            "shape.k",
        ),
    ] {
        let said = run(["run", "suites/ci/kernels.yaml", "--set", set]);
        assert_eq!(said.code, Some(2), "{set}: {}", said.err);
        assert!(said.err.contains(named), "{set}: {}", said.err);
    }
}
