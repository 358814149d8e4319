//! `compare`: runs of one suite side by side, what they must share, and what is said of their accuracy.

use std::fs;
use std::path::Path;

use hitbench_tests::{Said, run};
use serde_json::{Value as Json, json};

use crate::diff::{N, evaluated, ranked};
use crate::eval::json as said_json;
use crate::files::Folder;

fn compare(args: &[&str]) -> Said {
    run([&["compare"], args].concat())
}

fn found(args: &[&str]) -> Json {
    said_json(&compare(&[args, &["--json"]].concat()))
}

/// A run of the small throughput suite, of one operation with both states of the caches.
fn measured(folder: &Folder, name: &str) -> String {
    let out = folder.text(name);
    let said = run(["run", "suites/ci/kernels.yaml", "--out", &out]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    out
}

/// The same run as if another machine had made it, `speed` times as fast.
fn elsewhere(folder: &Folder, from: &str, name: &str, speed: f64) -> String {
    let out = copied(folder, from, name);
    edited(&out, |run| {
        run["machine"]["cpu_model"] = json!("another CPU");
        run["machine"]["cores"] = json!(64);
    });
    let path = Path::new(&out).join("measurements.jsonl");
    let mut lines = String::new();
    for line in fs::read_to_string(&path).expect("measurements").lines() {
        let mut record: Json = serde_json::from_str(line).expect("a record");
        let times = record["outcome"]["result"]["times"].as_array_mut();
        for times in times.into_iter().flatten() {
            for median in times["process_medians_ns"].as_array_mut().expect("medians") {
                *median = json!(median.as_f64().expect("a time") / speed);
            }
        }
        lines += &format!("{record}\n");
    }
    fs::write(&path, lines).expect("a writable folder");
    out
}

fn copied(folder: &Folder, from: &str, name: &str) -> String {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a new folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).expect("a copy");
            }
        }
    }
    copy(Path::new(from), &folder.path(name));
    folder.text(name)
}

/// Changes what a run folder says of itself.
fn edited(run_folder: &str, change: impl FnOnce(&mut Json)) {
    let path = Path::new(run_folder).join("run.json");
    let mut run: Json = serde_json::from_slice(&fs::read(&path).expect("a run")).expect("JSON");
    change(&mut run);
    fs::write(&path, run.to_string()).expect("a writable folder");
}

#[track_caller]
fn refused(args: &[&str], code: i32, reason: &str, part: &str) {
    let said = compare(&[args, &["--json"]].concat());
    assert_eq!(said.code, Some(code), "{args:?}: {}{}", said.out, said.err);
    let error: Json = serde_json::from_str(&said.err).unwrap_or_else(|error| panic!("{error}: {}", said.err));
    assert_eq!(error["reason"], reason, "{error}");
    assert!(
        said.out.is_empty() && error["message"].to_string().contains(part),
        "{error}"
    );
}

#[test]
fn machines_stand_side_by_side_with_ratios_and_peaks() {
    let folder = Folder::new();
    let here = measured(&folder, "here");
    let there = elsewhere(&folder, &here, "there", 2.0);
    let out = folder.text("compared");
    let said = compare(&[&here, &there, "--out", &out]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for part in [
        "another CPU",
        "Unlike machines: there ran on other hardware than here",
        "All runs are of one build.",
        "warm.items_per_s",
        "2.00x",
        "copy %",
    ] {
        assert!(said.out.contains(part), "`{part}` is not in {}", said.out);
    }
    for file in [
        "compare.md",
        "compare.csv",
        "plots/compare-warm-items-per-s.png",
        "plots/compare-cold-items-per-s.svg",
        "plots/compare-roofline.png",
    ] {
        assert!(Path::new(&out).join(file).is_file(), "{file}");
    }
    let markdown = compare(&[&here, &there, "--format", "markdown"]);
    assert!(
        markdown.out.starts_with("# kernels (suite version 1)"),
        "{}",
        markdown.out
    );

    let baseline = folder.text("there.json");
    let said = run(["bless", &there, "--to", &baseline, "--reason", "for a test"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let args = [&here, &there, &*baseline, "--labels", "a,b,c", "--reference", "b"];
    let found = found(&args);
    assert_eq!(
        [
            &found["schema"],
            &found["reference"],
            &found["columns"][2]["source"]
        ],
        [&json!("hitbench.compare/1"), &json!(1), &json!("baseline")]
    );
    for mean in found["geometric_means"].as_array().expect("two metrics") {
        let ratios: Vec<f64> = (0..3)
            .filter_map(|at| mean["ratios"][at]["value"].as_f64())
            .collect();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(
            close(ratios[0], 0.5) && close(ratios[1], 1.0) && close(ratios[2], 1.0),
            "{mean}"
        );
        assert_eq!(mean["n_cells"], mean["n_all_cells"]);
    }
    let row = &found["throughput"][0]["values"];
    // The work of a call travels in the baseline too.
    assert!(
        row[2]["fma_share"].as_f64().is_some_and(|share| share > 0.0),
        "{row}"
    );
    assert_eq!(row[1]["per_s"], row[2]["per_s"]);
    assert_eq!(found["columns"][0]["is_like_machine"], false);
    assert_eq!(found["statements"], json!([]));
}

#[test]
fn accuracy_is_equal_by_counts_or_tested() {
    let folder = Folder::new();
    let good = ranked(|query| query % 4);
    let a = evaluated(&folder, "a", &good, &[]);
    let same = copied(&folder, &a, "same");
    let one = evaluated(
        &folder,
        "one",
        &ranked(|query| if query == 8 { 1 } else { query % 4 }),
        &[],
    );
    let bad = evaluated(&folder, "bad", &ranked(|query| N - 1 - query % 4), &[]);
    let found = found(&[&a, &same, &one, &bad]);
    let kinds: Vec<&str> = (0..3)
        .filter_map(|at| found["statements"][at]["kind"].as_str())
        .collect();
    assert_eq!(
        kinds,
        ["equal_by_counts", "no_difference_shown", "differs"],
        "{found}"
    );
    let t2v = &found["accuracy"][0];
    assert_eq!((&t2v["direction"], &t2v["k"]), (&json!("t2v"), &json!(1)));
    assert_eq!(t2v["values"][0]["mean"], 0.25);
    let difference = t2v["values"][2]["difference"]["estimate"].as_f64();
    assert!(
        difference.is_some_and(|found| (found + 1.0 / 60.0).abs() < 1e-12),
        "{t2v}"
    );
    let said = compare(&[&a, &same, &one, &bad]);
    for part in [
        "same: accuracy is equal by counts",
        "one: no difference of accuracy is shown, which is not equality",
        "bad: accuracy differs in",
        "four times in five",
    ] {
        assert!(
            said.out.replace("\n  ", " ").contains(part),
            "`{part}` is not in {}",
            said.out
        );
    }
}

#[test]
fn what_means_something_else_is_refused() {
    let folder = Folder::new();
    let scores = ranked(|query| query % 4);
    let a = evaluated(&folder, "a", &scores, &[]);
    let optimistic = evaluated(&folder, "optimistic", &scores, &["--ties", "optimistic"]);
    refused(&[&a, &optimistic], 3, "other-ties", "optimistic in `optimistic`");
    let later = copied(&folder, &a, "later");
    edited(&later, |run| run["suite"]["version"] = json!(99));
    refused(&[&a, &later], 3, "other-suite-version", "99 in `later`");
    let other = copied(&folder, &a, "other");
    edited(&other, |run| run["suite"]["name"] = json!("another"));
    refused(&[&a, &other], 3, "other-suite", "another in `other`");
    let renamed = copied(&folder, &a, "renamed");
    let ranks = fs::read_dir(Path::new(&renamed).join("ranks")).expect("ranks");
    for file in ranks.flatten() {
        let text = fs::read_to_string(file.path())
            .expect("rows")
            .replace("clip7,", "clip07,");
        fs::write(file.path(), text).expect("a writable folder");
    }
    refused(&[&a, &renamed], 3, "other-queries", "the set of queries of t2v");

    refused(&[&a], 2, "usage", "2");
    refused(&[&a, &folder.text("absent")], 2, "records", "absent");
    let text = folder.write("no.json", "{}");
    refused(&[&a, &text], 2, "torn-baseline", "no.json");
    refused(&[&a, &later, "--labels", "x"], 2, "labels", "1 labels for 2 runs");
    refused(&[&a, &later, "--labels", "x,x"], 2, "labels", "`x`");
    refused(&[&a, &later, "--reference", "3"], 2, "reference", "3");
    refused(&[&a, &a, "--out", &a], 2, "occupied", "a run folder");
}
