//! `bless`, `baseline`, `gate` and `calibrate`: what regressed is found, what does not compare is refused, and nothing is
//! overwritten.

use std::fs;
use std::path::Path;

use hitbench_tests::{Said, run};
use serde_json::{Value as Json, json};

use crate::diff::{evaluated, ranked};
use crate::eval::json;
use crate::files::Folder;

const POLICY: &str = "format: 1
rows:
  - {id: exact, kind: kernel, metric: t2v.counts}
  - {id: r1, kind: numeric, metric: t2v.r_at.1, margin: 20pt}
";

/// Rank of each text in the runs that are blessed.
fn rank(query: usize) -> usize {
    query % 3
}

pub(crate) fn bless(run_folder: &str, to: &str, reason: &str) -> Said {
    run(["bless", run_folder, "--to", to, "--reason", reason])
}

/// A run, its baseline and a policy.
pub(crate) fn blessed(folder: &Folder) -> [String; 3] {
    let before = evaluated(folder, "before", &ranked(rank), &[]);
    let baseline = folder.text("baseline.json");
    let said = bless(&before, &baseline, "the first");
    assert_eq!(said.code, Some(0), "{}", said.err);
    [before, baseline, folder.write("policy.yaml", POLICY)]
}

fn gate(baseline: &str, run_folder: &str, policy: &str, more: &[&str]) -> Said {
    let args = [
        "gate",
        "--baseline",
        baseline,
        "--run",
        run_folder,
        "--policy",
        policy,
    ];
    run([&args[..], more].concat())
}

/// The report and the exit code.
pub(crate) fn report(baseline: &str, run_folder: &str, policy: &str) -> (Json, i32) {
    let said = gate(baseline, run_folder, policy, &["--json"]);
    let code = said.code.expect("no signal");
    let report: Json =
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.err));
    assert_eq!(
        (&report["schema"], &report["code"]),
        (&json!("hitbench.gate/1"), &json!(code))
    );
    (report, code)
}

/// Checks the exit code of an error, its reason and a part of its message.
#[track_caller]
pub(crate) fn refused(said: &Said, code: i32, reason: &str, part: &str) {
    assert_eq!(said.code, Some(code), "{}{}", said.out, said.err);
    let error: Json = serde_json::from_str(&said.err).unwrap_or_else(|error| panic!("{error}: {}", said.err));
    assert_eq!(
        (&error["code"], &error["reason"]),
        (&json!(code), &json!(reason)),
        "{error}"
    );
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains(part), "{message}");
}

/// Checks the file of an error, and a part of what it says to do about it.
#[track_caller]
fn has_remedy(said: &Said, file: &str, part: &str) {
    let error: Json = serde_json::from_str(&said.err).expect("an error");
    let help = error["help"].as_str().expect("a remedy");
    assert!(error["file"] == json!(file) && help.contains(part), "{error}");
}

/// Changes a JSON file in place.
fn edit(path: &Path, change: impl FnOnce(&mut Json)) {
    let mut value: Json = serde_json::from_slice(&fs::read(path).expect("the file")).expect("JSON");
    change(&mut value);
    fs::write(path, value.to_string()).expect("the test's folder is writable");
}

#[test]
fn evaluations_are_blessed_and_gated() {
    let folder = Folder::new();
    let [before, baseline, policy] = blessed(&folder);
    let (same, code) = report(&baseline, &before, &policy);
    assert_eq!((code, &same["reason"]), (0, &json!("ok")));
    assert_eq!(same["baseline"]["blessed_for"], "the first");

    // One text at rank 4 instead of 2.
    let flipped = ranked(|query| if query == 7 { 3 } else { rank(query) });
    let after = evaluated(&folder, "after", &flipped, &[]);
    let (found, code) = report(&baseline, &after, &policy);
    assert_eq!((code, &found["reason"]), (1, &json!("regressed")));
    let rows = found["rows"].as_array().expect("rows");
    assert_eq!(
        (&rows[0]["verdict"], &rows[1]["verdict"]),
        (&json!("regressed"), &json!("equivalent"))
    );
    assert_eq!(rows[0]["counts"]["n_differ"], 1);
    assert_eq!(rows[0]["counts"]["first"]["query"], "clip7");
    assert_eq!(
        rows[0]["sentence"],
        "t2v.counts of the only cell: 1 of 60 queries differs, `clip7` from rank 2 to rank 4: regressed"
    );
    // A miss stays a miss.
    assert_eq!(rows[1]["difference"]["estimate"], 0.0);

    let said = gate(&baseline, &after, &policy, &["--explain"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.starts_with("regressed     exact  "), "{}", said.out);
    assert!(
        said.out.contains("2 rows: 1 regressed, 1 equivalent"),
        "{}",
        said.out
    );
    assert!(said.out.contains("four times in five"), "{}", said.out);
}

#[test]
fn a_baseline_remembers_what_it_was() {
    let folder = Folder::new();
    let [_, baseline, _] = blessed(&folder);
    let better = evaluated(&folder, "better", &ranked(|query| query % 2), &[]);
    let said = bless(&better, &baseline, "half of all at the top");
    assert_eq!(
        (said.code, said.out.contains("1 earlier")),
        (Some(0), true),
        "{}",
        said.out
    );
    let history = json(&run(["baseline", "history", &baseline, "--json"]));
    let found: Vec<(&str, f64)> = history["baselines"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|blessing| {
            let r1 = blessing["numbers"]["t2v.r_at.1 of the only cell"].as_f64();
            (
                blessing["reason"].as_str().expect("a reason"),
                r1.expect("a number"),
            )
        })
        .collect();
    assert_eq!(found, [("the first", 1.0 / 3.0), ("half of all at the top", 0.5)]);
    let shown = run(["baseline", "show", &baseline]);
    assert!(shown.out.contains("half of all at the top") && !shown.out.contains("the first"));
}

#[test]
fn baselines_that_cannot_be_trusted_are_refused_and_kept() {
    let folder = Folder::new();
    let [before, baseline, policy] = blessed(&folder);
    let good = fs::read_to_string(&baseline).expect("the baseline");
    let gate = |path: &str| gate(path, &before, &policy, &["--json"]);
    let edited = good.replacen("the first", "the best", 1);
    for (name, text, reason, part, remedy) in [
        (
            "torn",
            &good[..good.len() / 2],
            "torn-baseline",
            "is torn or not a baseline",
            "version control",
        ),
        (
            "other",
            "[1, 2]",
            "torn-baseline",
            "is torn or not a baseline",
            "version control",
        ),
        (
            "edited",
            &edited,
            "edited-baseline",
            "was edited: its checksum is blake3:",
            "version control",
        ),
        (
            "future",
            "{\"format\": 2, \"new\": true}",
            "future-format",
            "has format 2, but this hitbench reads format 1",
            "later version of hitbench",
        ),
    ] {
        let path = folder.write(&format!("{name}.json"), text);
        let said = gate(&path);
        refused(&said, 2, reason, part);
        has_remedy(&said, &path, remedy);
        // Nor is it taken for something to replace.
        let said = run(["bless", &before, "--to", &path, "--reason", "again", "--json"]);
        refused(&said, 2, reason, part);
        assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
    }
    let none = folder.text("none.json");
    let said = gate(&none);
    refused(&said, 2, "baseline-unreadable", "could not read the baseline");
    has_remedy(&said, &none, "hitbench bless");
    // Spaces may change.
    let value: Json = serde_json::from_str(&good).expect("JSON");
    let respaced = folder.write("respaced.json", value.to_string());
    assert_eq!(gate(&respaced).code, Some(0));
}

#[test]
fn only_finished_runs_are_blessed_and_for_a_reason() {
    let folder = Folder::new();
    let [before, baseline, _] = blessed(&folder);
    let good = fs::read(&baseline).expect("the baseline");
    let bless = |run_folder: &str, reason: &str| {
        run([
            "bless", run_folder, "--to", &baseline, "--reason", reason, "--json",
        ])
    };
    refused(&bless(&before, " "), 2, "no-reason", "needs a reason");
    refused(
        &bless(&folder.text("none"), "x"),
        2,
        "records",
        "is not a run folder",
    );
    let trials = folder.path("before").join("trials.jsonl");
    let line = fs::read_to_string(&trials).expect("trials");
    fs::write(&trials, "").expect("writable");
    refused(&bless(&before, "x"), 2, "no-trial", "nothing that has finished");
    fs::write(&trials, line).expect("writable");
    edit(&folder.path("before").join("run.json"), |run| {
        run["suite"]["name"] = json!("another");
    });
    refused(
        &bless(&before, "x"),
        3,
        "other-suite",
        "the suite differs: eval in the baseline, another in the run",
    );
    assert_eq!(fs::read(&baseline).expect("it is there"), good);
}

#[test]
fn a_part_of_a_suite_is_no_baseline() {
    let folder = Folder::new();
    let out = folder.text("part");
    let said = run([
        "run",
        "suites/ci/kernels.yaml",
        "--filter",
        "enqueue",
        "--out",
        &out,
    ]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let to = folder.text("part.json");
    let blessed = run(["bless", &out, "--to", &to, "--reason", "x", "--json"]);
    refused(&blessed, 2, "unfinished", "trials that failed or did not run");
    assert!(!folder.path("part.json").exists());
}

#[test]
fn builds_in_turns_need_something_to_compare() {
    let program = hitbench_tests::hitbench(["--version"]).get_program().to_owned();
    let program = program.to_str().expect("UTF-8");
    let said = |old: &str, policy: &str| {
        let suite = "suites/ci/kernels.yaml";
        run(["gate", "--ab", old, program, suite, "--policy", policy, "--json"])
    };
    let none = said(program, "suites/gates/exact.yaml");
    refused(&none, 2, "no-throughput-row", "no row about throughput");
    let policy = "suites/gates/kernels.yaml";
    refused(
        &said("no-such-program", policy),
        2,
        "cannot-start",
        "no-such-program",
    );
}

#[test]
fn what_does_not_compare_has_its_reason_and_exit_code() {
    let folder = Folder::new();
    let [_, baseline, policy] = blessed(&folder);
    let scores = ranked(rank);
    let ties = evaluated(&folder, "ties", &scores, &["--ties", "optimistic"]);
    let (found, code) = report(&baseline, &ties, &policy);
    assert_eq!((code, &found["reason"]), (3, &json!("other-ties")));
    assert_eq!(
        found["rows"][0]["why"],
        "the tie rule is `optimistic`, and `average` in the baseline"
    );
    // The rows of a named protocol are other rows than those of none.
    let fewer = evaluated(&folder, "fewer", &scores, &[]);
    let ranks = fs::read_dir(folder.path("fewer").join("ranks")).expect("ranks");
    let ranks = ranks.last().expect("a file").expect("readable").path();
    let rows = fs::read_to_string(&ranks).expect("rows");
    fs::write(&ranks, rows.replace("t2v,clip7,", "t2v,clip70,")).expect("writable");
    let (found, code) = report(&baseline, &fewer, &policy);
    assert_eq!((code, &found["reason"]), (3, &json!("other-queries")));
    let lost: Vec<&str> = rows
        .lines()
        .filter(|line| !line.starts_with("t2v,clip7,"))
        .collect();
    fs::write(&ranks, lost.join("\n")).expect("writable");
    let said = gate(&baseline, &fewer, &policy, &["--json"]);
    refused(&said, 2, "ranks", "59 queries of t2v instead of 60");

    let version = evaluated(&folder, "version", &scores, &[]);
    edit(&folder.path("version").join("run.json"), |run| {
        run["suite"]["version"] = json!(2)
    });
    let said = gate(&baseline, &version, &policy, &["--json"]);
    refused(
        &said,
        3,
        "other-suite-version",
        "the version of the suite differs: 1 in the baseline, 2 in the run",
    );

    let nowhere = "format: 1\nincomparable: warn\nrows:\n  \
                   - {id: a, kind: kernel, metric: t2v.counts, when: {model.hierarchy: both}}\n";
    let nowhere = folder.write("nowhere.yaml", nowhere);
    let said = gate(&baseline, &version_of(&folder), &nowhere, &["--json"]);
    refused(
        &said,
        2,
        "no-such-cell",
        "the suite has no axes, and so no `model.hierarchy`",
    );
    let error: Json = serde_json::from_str(&said.err).expect("JSON");
    assert_eq!(error["position"]["line"], json!(4));

    let wrong = folder.write("wrong.yaml", POLICY.replace("20pt", "20"));
    let said = gate(&baseline, &version_of(&folder), &wrong, &["--json"]);
    refused(&said, 2, "wrong-type", "rows.1.margin");
    let error: Json = serde_json::from_str(&said.err).expect("JSON");
    assert_eq!(error["position"], json!({"line": 4, "column": 57}));
    let missing = gate(
        &baseline,
        &version_of(&folder),
        &folder.text("none.yaml"),
        &["--json"],
    );
    refused(&missing, 2, "policy-unreadable", "cannot read the file");
    let said = run([
        "gate",
        "--baseline",
        &baseline,
        "--run",
        &version_of(&folder),
        "--json",
    ]);
    refused(&said, 2, "no-policy", "names no policy");
}

/// A run like the blessed one.
fn version_of(folder: &Folder) -> String {
    evaluated(folder, "like", &ranked(rank), &[])
}

/// A suite of one kernel that is measured in a moment, its policy, and a run of it.
pub(crate) fn measured(folder: &Folder) -> [String; 2] {
    let suite = "{format: 1, name: tiny, version: 1, about: A suite of the tests., kind: throughput, \
        operation: ema_update, shapes: [{tensors: 4, parameters: 20000}], axes: {kernel: [cpu/auto/f16]}, \
        measure: {processes: 3, samples: 3, min_time_ms: 3, cache: [warm], threads: 1}, gate: policy.yaml}";
    let policy = "format: 1\nbaseline: baseline.json\nrows:\n  \
                  - {id: speed, kind: throughput, metric: warm.items_per_s, margin: 90%}\n";
    folder.write("policy.yaml", policy);
    let suite = folder.write("tiny.yaml", suite);
    let out = folder.text("run");
    let said = run(["run", &suite, "--out", &out]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    [suite, out]
}

/// Makes the times of a run `factor` times as long.
pub(crate) fn slow_down(run_folder: &str, factor: f64) {
    let path = Path::new(run_folder).join("measurements.jsonl");
    let mut record: Json = serde_json::from_slice(&fs::read(&path).expect("records")).expect("one record");
    let medians = &mut record["outcome"]["result"]["times"][0]["process_medians_ns"];
    for median in medians.as_array_mut().expect("medians") {
        *median = json!(median.as_f64().expect("a time") * factor);
    }
    fs::write(&path, format!("{record}\n")).expect("writable");
}

#[test]
fn throughput_is_gated_on_its_own_machine_and_confirmed_by_new_samples() {
    let folder = Folder::new();
    let [suite, out] = measured(&folder);
    let baseline = folder.text("baseline.json");
    let unknown = run(["plan", &suite]);
    assert!(
        unknown.out.contains("power unknown: could not read the baseline"),
        "{}",
        unknown.out
    );
    assert_eq!(bless(&out, &baseline, "new").code, Some(0));
    let plan = json(&run(["plan", &suite, "--json"]));
    assert_eq!(plan["gate"]["power"][0]["id"], "speed");

    // Policy and baseline are those that the suite and the policy name.
    let found = json(&run(["gate", "--run", &out, "--json"]));
    assert_eq!(found["rows"][0]["difference"]["estimate"], 0.0);

    let genuine = fs::read(Path::new(&out).join("measurements.jsonl")).expect("records");
    slow_down(&out, 1e4);
    let slower = run(["gate", "--run", &out]);
    assert_eq!(slower.code, Some(1), "{}{}", slower.out, slower.err);
    // It was but the run.
    let cleared = json(&run(["gate", "--run", &out, "--confirm", &suite, "--json"]));
    assert_eq!(cleared["rows"][0]["reason"], "not-confirmed", "{cleared}");
    assert_eq!(
        cleared["rows"][0]["difference"]["confirmation"]["confirmed"],
        false
    );

    // Now it is the program: the baseline was faster than it will ever be.
    fs::write(Path::new(&out).join("measurements.jsonl"), &genuine).expect("writable");
    slow_down(&out, 1e-4);
    assert_eq!(bless(&out, &baseline, "too good").code, Some(0));
    fs::write(Path::new(&out).join("measurements.jsonl"), &genuine).expect("writable");
    let said = run(["gate", "--run", &out, "--confirm", &suite, "--json"]);
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    let confirmed: Json = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(
        confirmed["rows"][0]["difference"]["confirmation"]["confirmed"],
        true
    );

    edit(&Path::new(&out).join("run.json"), |run| {
        run["machine"]["cores"] = json!(4096)
    });
    let said = run(["gate", "--run", &out, "--json"]);
    assert_eq!(said.code, Some(3), "{}{}", said.out, said.err);
    let found: Json = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(
        (&found["reason"], &found["rows"][0]["verdict"]),
        (&json!("other-machine"), &json!("incomparable"))
    );
    fs::write(Path::new(&out).join("measurements.jsonl"), "").expect("writable");
    let said = run(["gate", "--run", &out, "--json"]);
    refused(&said, 2, "no-trial", "nothing that has finished");
}

#[test]
fn builds_are_compared_in_turns_and_runs_with_themselves() {
    let folder = Folder::new();
    let [suite, out] = measured(&folder);
    let program = hitbench_tests::hitbench(["--version"]).get_program().to_owned();
    let program = program.to_str().expect("UTF-8");
    let turns = folder.text("turns");
    let args = [
        "gate", "--ab", program, program, &suite, "--blocks", "3", "--out", &turns, "--json",
    ];
    let said = run(args);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let found: Json = serde_json::from_str(&said.out).expect("JSON");
    let row = &found["rows"][0];
    assert_eq!(row["difference"]["samples"], "3 blocks of old, new, new, old");
    assert_ne!(row["verdict"], "regressed");
    assert_eq!(fs::read_dir(&turns).expect("the runs are kept").count(), 12);
    // It goes on from what is there.
    assert_eq!(run(args).out, said.out);

    let runs = folder.text("runs");
    let to = folder.text("calibration.json");
    let args = ["calibrate", &suite, "--runs", "4", "--out", &runs, "--to", &to];
    let said = run(args);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(
        said.out
            .contains("false alarms under the policy's margins: 0 of 2 pairs"),
        "{}",
        said.out
    );
    let file: Json = serde_json::from_slice(&fs::read(&to).expect("a calibration")).expect("JSON");
    assert_eq!(
        (&file["n_runs"], &file["rows"][0]["id"]),
        (&json!(4), &json!("speed"))
    );

    // A margin below the noise is warned of.
    assert_eq!(bless(&out, &folder.text("baseline.json"), "new").code, Some(0));
    let narrow = "format: 1\nbaseline: baseline.json\ncalibration: calibration.json\nrows:\n  \
                  - {id: speed, kind: throughput, metric: warm.items_per_s, margin: 0.000001%}\n";
    let narrow = folder.write("narrow.yaml", narrow);
    let said = run(["gate", "--run", &out, "--policy", &narrow]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("is below the noise of"), "{}", said.out);
    let said = run(["calibrate", &suite, "--runs", "3", "--out", &runs, "--json"]);
    refused(&said, 2, "too-few-runs", "3 runs say little");
}
