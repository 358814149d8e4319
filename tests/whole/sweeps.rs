//! `run --shard` and `merge`: the sweep of one process, to the byte.

use std::fs;
use std::path::Path;
use std::process::Command;

use hitbench_tests::{Said, hitbench, run, said, small_suite, workspace_root};
use serde_json::{Value as Json, json};

use crate::files::{Folder, npy};
use crate::gate::{bless, report};
use crate::training::{results, trials};

const SIX_TRIALS: &str = "train: {steps: 6, batch: 16, lr: 1.0e-3, threads: 1}\n\
    momentum: {momentum: 0.9}\n\
    axes: {momentum.queue_len: [0, 40]}\n\
    reference: {momentum.queue_len: 0}\n\
    seeds: [0, 1, 2]";

fn train(suite: &Path, out: &str, more: &[&str]) -> Said {
    let suite = suite.to_str().expect("UTF-8");
    run([&["run", suite, "--out", out], more].concat())
}

fn parsed(said: &Said) -> Json {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}{}", said.out, said.err))
}

#[test]
fn a_sweep_in_shards_is_that_of_one_process_to_the_byte() {
    let folder = Folder::new();
    let suite = small_suite(&folder.path("."), SIX_TRIALS);
    let (one, here, there) = (folder.text("one"), folder.text("here"), folder.text("there"));
    assert_eq!(train(&suite, &one, &[]).code, Some(0));
    for (shard, out) in [("1/3", &here), ("3/3", &there)] {
        let said = train(&suite, out, &["--shard", shard]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.err.starts_with("2 trials to run\n"), "{}", said.err);
        let last = format!("when all parts are done: hitbench merge {out}\n");
        assert!(said.out.ends_with(&last), "{}", said.out);
    }
    let status = run(["status", &here]);
    let counted =
        "small: 2 done, 0 stale, 0 failed, 4 left\n2 of those done are only in shards: hitbench merge ";
    assert!(status.out.contains(counted), "{}", status.out);

    // What is there can be merged at any time; the exit code says that some is missing.
    let partly = run(["merge", &here, &there]);
    assert_eq!(partly.code, Some(5), "{}", partly.err);
    assert!(
        partly.err.contains("2 of 6 trials have no record yet"),
        "{}",
        partly.err
    );
    // Another number of shards makes what is missing, and nothing again.
    let said = train(&suite, &here, &["--shard", "1/1"]);
    assert!(
        said.err.starts_with("2 of 6 trials to run, 4 already recorded\n"),
        "{}",
        said.err
    );
    let merged = parsed(&run(["merge", &here, "--json"]));
    let counts = ["n_trials", "n_ok", "n_failed", "n_left"].map(|field| merged[field].as_u64().unwrap());
    assert_eq!(
        (merged["reason"].as_str(), counts),
        (Some("ok"), [6, 6, 0, 0]),
        "{merged}"
    );
    assert_eq!(results(Path::new(&one)), results(Path::new(&here)));
    let read = |run: &str, name: &str| fs::read(Path::new(run).join(name)).unwrap();
    assert_eq!(read(&one, "comparisons.json"), read(&here, "comparisons.json"));

    // Again, in another order and into another folder, gives the same; nothing is left to run.
    let again = folder.text("again");
    assert_eq!(run(["merge", &there, &here, "--out", &again]).code, Some(0));
    for name in ["run.json", "report.md"] {
        assert_eq!(read(&here, name), read(&again, name), "{name}");
    }
    // Lines stand in the order in which they came.
    let lines = |run: &str, name: &str| {
        let text = fs::read_to_string(Path::new(run).join(name)).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for name in ["trials.jsonl", "timing.csv"] {
        assert_eq!(lines(&here, name), lines(&again, name), "{name}");
    }
    let rest = train(&suite, &again, &[]);
    assert!(
        rest.err.starts_with("0 of 6 trials to run, 6 already recorded\n"),
        "{}",
        rest.err
    );
}

#[test]
fn what_is_no_part_of_one_sweep_is_refused() {
    let folder = Folder::new();
    let suite = small_suite(&folder.path("."), SIX_TRIALS);
    let (here, there) = (folder.text("here"), folder.text("there"));
    assert_eq!(train(&suite, &here, &["--shard", "1/6"]).code, Some(0));
    let other = ["--shard", "2/6", "--set", "train.steps=7", "--json"];
    assert_eq!(train(&suite, &there, &other).code, Some(0));
    let refused = |said: Said, code: i32, reason: &str| {
        assert_eq!(said.code, Some(code), "{}{}", said.out, said.err);
        let last = said.err.lines().last().unwrap_or_default();
        let error: Json = serde_json::from_str(last).unwrap();
        assert_eq!(error["reason"], reason, "{error}");
    };
    refused(run(["merge", &here, &there, "--json"]), 3, "other-sweep");
    // Such a part is refused before it is trained, and not counted where it is there.
    refused(train(&suite, &here, &other), 3, "other-sweep");
    fs::rename(
        folder.path("there/shards/2-of-6"),
        folder.path("here/shards/2-of-6"),
    )
    .unwrap();
    let status = run(["status", &here]);
    assert!(
        status.out.contains("small: 1 done, 0 stale, 0 failed, 5 left"),
        "{}",
        status.out
    );
    assert!(
        status
            .err
            .contains("2-of-6 is a part of another sweep (other settings), and is not counted"),
        "{}",
        status.err
    );
    let unmerged = run(["report", &here]);
    assert_eq!(unmerged.code, Some(2));
    assert!(
        unmerged.err.contains("its parts are not merged yet"),
        "{}",
        unmerged.err
    );

    folder.write("file", "no folder");
    for named in ["none", "there", "file"] {
        refused(run(["merge", &here, &folder.text(named), "--json"]), 2, "shard");
    }
    let foreign = folder.text("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(Path::new(&foreign).join("notes.txt"), "mine").unwrap();
    refused(
        train(&suite, &foreign, &["--shard", "1/2", "--json"]),
        2,
        "not-a-run",
    );
    let latex = run(["merge", &here, "--format", "latex"]);
    assert_eq!(latex.code, Some(2));
    assert!(latex.err.contains("these are parts of a sweep"), "{}", latex.err);
}

#[test]
fn parts_of_an_evaluation_and_of_a_sweep_keep_apart() {
    let folder = Folder::new();
    let suite = small_suite(&folder.path("."), SIX_TRIALS);
    let rows = folder.write("rows.npy", npy([3, 2], &[1.0, 0.0, 0.0, 1.0, 0.6, 0.8]));
    let eval = |out: &str| {
        run([
            "eval", "--text", &rows, "--video", &rows, "--shard", "1/1", "--out", out,
        ])
    };
    let (sweep, evaluation) = (folder.text("sweep"), folder.text("evaluation"));
    assert_eq!(train(&suite, &sweep, &["--shard", "1/6"]).code, Some(0));
    assert_eq!(eval(&evaluation).code, Some(0));
    for said in [eval(&sweep), train(&suite, &evaluation, &["--shard", "1/6"])] {
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains("parts of a"), "{}", said.err);
    }
    assert_eq!(run(["merge", &sweep, &evaluation]).code, Some(3));
}

#[test]
fn weights_and_expectations_outlast_a_merge() {
    let folder = Folder::new();
    let suite = small_suite(&folder.path("."), SIX_TRIALS);
    let out = folder.text("run");
    let more = [
        "--set",
        "seeds=[0]",
        "--set",
        "expect.t2v.r_at.1=[0.99, 1]",
        "--keep-weights",
    ];
    // An older run of the suite makes way, with a word on its results.
    let older = ["--set", "seeds=[0]", "--set", "train.steps=5"];
    assert_eq!(train(&suite, &out, &older).code, Some(0));
    for shard in ["1/2", "2/2"] {
        let said = train(&suite, &out, &[&more[..], &["--shard", shard]].concat());
        assert_eq!(said.code, Some(1), "{}", said.err);
    }
    // The folder of a shard stands for the run that it is of.
    let shards = ["1-of-2", "2-of-2"].map(|name| folder.text(&format!("run/shards/{name}")));
    let merged = run(["merge", &shards[0], &shards[1]]);
    assert_eq!(merged.code, Some(1), "{}", merged.err);
    assert!(
        merged.err.contains("2 of its 2 results stay in its records"),
        "{}",
        merged.err
    );
    assert!(
        merged.out.contains("expected `t2v.r_at.1`") || merged.out.contains("expected t2v.r_at.1"),
        "{}",
        merged.out
    );
    assert_eq!(fs::read_dir(folder.path("run/weights")).unwrap().count(), 2);
    let whole = train(&suite, &out, &more);
    assert!(
        whole.err.contains("0 of 2 trials to run, 2 already recorded"),
        "{}",
        whole.err
    );
    assert!(whole.err.contains("has 2 parts of a sweep"), "{}", whole.err);
}

#[test]
fn the_rate_of_a_training_on_another_machine_is_not_gated() {
    let folder = Folder::new();
    let suite = small_suite(
        &folder.path("."),
        &SIX_TRIALS
            .replace("[0, 40]", "[40]")
            .replace("_len: 0}", "_len: 40}"),
    );
    let (out, baseline) = (folder.text("run"), folder.text("baseline.json"));
    assert_eq!(train(&suite, &out, &[]).code, Some(0));
    assert_eq!(bless(&out, &baseline, "first").code, Some(0));
    let policy = folder.write(
        "policy.yaml",
        "format: 1\nalpha: 0.05\ninconclusive: warn\nincomparable: fail\nrows:\n  \
         - {id: speed, kind: throughput, metric: train.pairs_per_s, margin: 50%}\n",
    );
    let gate = || {
        let (report, code) = report(&baseline, &out, &policy);
        (report["rows"][0]["reason"].clone(), code)
    };
    assert_eq!(gate(), (Json::Null, 0));
    let records = Path::new(&out).join("trials.jsonl");
    let mut lines = trials(Path::new(&out));
    let first = lines[1].clone();
    lines[1]["result"]["training"]["machines"] = json!(["feedfacecafe"]);
    let write = |lines: &[Json]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&records, text).unwrap();
    };
    write(&lines);
    assert_eq!(gate(), (json!("other-machine"), 3));

    // A baseline remembers it.
    let elsewhere = folder.text("elsewhere.json");
    assert_eq!(bless(&out, &elsewhere, "second").code, Some(0));
    lines[1] = first;
    write(&lines);
    let (found, code) = report(&elsewhere, &out, &policy);
    assert_eq!((&found["rows"][0]["reason"], code), (&json!("other-machine"), 3));
    assert_eq!(gate(), (Json::Null, 0));
}

/// The recipes of `docs/sweeps.md` with a small suite in two parts, and in folders of the test.
#[cfg(unix)]
#[test]
fn the_recipes_train_a_sweep_in_parts() {
    let folder = Folder::new();
    let suite = small_suite(&folder.path("."), SIX_TRIALS);
    let page = fs::read_to_string(workspace_root().join("docs/sweeps.md")).expect("the page");
    let page = page
        .replace(
            "suites/ablation/queue-by-hierarchy.yaml",
            suite.to_str().expect("UTF-8"),
        )
        .replace("/runs/sweep", &folder.text("kubernetes"))
        .replace("/8\"", "/2\"");
    let block = |begin: &str, end: &str| {
        let (_, rest) = page.split_once(begin).expect("the recipe is there");
        rest.split(end).next().expect("the rest").to_owned()
    };
    std::os::unix::fs::symlink(hitbench([""]).get_program(), folder.path("hitbench")).expect("a link");
    let shell = |script: &str, variables: &[(&str, &str)]| {
        let path = format!("{}:{}", folder.text("."), std::env::var("PATH").expect("a path"));
        let mut command = Command::new("bash");
        command
            .args(["-c", script])
            .current_dir(folder.path("."))
            .env("PATH", path);
        said(command.envs(variables.iter().copied()))
    };
    let slurm = block("```sh\n#!/bin/bash\n", "```");
    let kubernetes = block("- |\n", "```");
    for task in ["1", "2"] {
        let place = [("SLURM_ARRAY_TASK_ID", task)];
        let done = shell(&slurm, &place);
        assert_eq!(done.code, Some(0), "{}", done.err);
    }
    for index in ["0", "1"] {
        let done = shell(&kubernetes, &[("JOB_COMPLETION_INDEX", index)]);
        assert_eq!(done.code, Some(0), "{}", done.err);
    }
    for whole in ["runs/sweep", "kubernetes"] {
        let merged = run(["merge", &folder.text(whole)]);
        assert_eq!(merged.code, Some(0), "{}", merged.err);
    }
    assert_eq!(
        results(&folder.path("runs/sweep")),
        results(&folder.path("kubernetes"))
    );
}
