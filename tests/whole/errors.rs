//! What scripts get of an error beside its message: the file, the place in it, the remedy.

use std::fs;
use std::path::Path;

use hitbench_tests::{Said, run};
use serde_json::{Value as Json, json};

use crate::diff::{evaluated, ranked};
use crate::files::{Folder, npy};
use crate::gate::{bless, blessed, refused};

/// What an error with `--json` is.
struct Expected<'a> {
    code: i32,
    reason: &'a str,
    file: &'a str,
    line: Option<usize>,
    /// Part of the help.
    help: &'a str,
}

#[track_caller]
fn check(said: &Said, expected: Expected<'_>) -> Json {
    let Expected {
        code,
        reason,
        file,
        line,
        help,
    } = expected;
    // Warnings may come before it.
    let last = said.err.lines().last().unwrap_or_default();
    let error: Json = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", said.err));
    assert_eq!(
        (
            said.code,
            &error["reason"],
            &error["file"],
            &error["position"]["line"]
        ),
        (Some(code), &json!(reason), &json!(file), &json!(line)),
        "{error}"
    );
    let found = error["help"].as_str().unwrap_or_default();
    assert!(!help.is_empty() && found.contains(help), "no `{help}` in {error}");
    error
}

fn status(run_folder: &str) -> Said {
    run(["status", run_folder, "--json"])
}

fn scored(folder: &Folder) -> String {
    evaluated(folder, "scored", &ranked(|query| query % 3), &[])
}

#[test]
fn damaged_records_have_their_place_and_a_way_on() {
    let folder = Folder::new();
    let out = scored(&folder);
    let [trials, record] = ["trials.jsonl", "run.json"].map(|name| format!("{out}/{name}"));
    let whole = fs::read_to_string(&trials).expect("trials");
    let records = |file, line, help| Expected {
        code: 2,
        reason: "records",
        file,
        line: Some(line),
        help,
    };
    for (second, help) in [
        ("{\"format\": 1, \"id\":", "delete that line"),
        ("{\"format\": 9}", "later version of hitbench"),
    ] {
        fs::write(&trials, format!("{whole}{second}\n{whole}")).expect("writable");
        check(&status(&out), records(&trials, 2, help));
    }
    for (text, line, help) in [
        ("{\"format\": 1,\n\"tool\": 3", 2, "restore the file"),
        ("{\"format\": 9}", 1, "later version of hitbench"),
    ] {
        fs::write(&record, text).expect("writable");
        check(&status(&out), records(&record, line, help));
    }
    let nothing = folder.text("nothing");
    let not_a_run = Expected {
        code: 2,
        reason: "records",
        file: &nothing,
        line: None,
        help: "hitbench run --out",
    };
    check(&status(&nothing), not_a_run);
}

#[test]
fn a_run_goes_on_once_its_damaged_line_is_deleted() {
    let folder = Folder::new();
    let out = folder.text("run");
    let enqueue = || run_enqueue(&out, &[]);
    assert_eq!(enqueue().code, Some(0));
    let n_done = |said: &Said| serde_json::from_str::<Json>(&said.out).expect("JSON")["n_done"].clone();
    let before = n_done(&status(&out));
    let path = format!("{out}/measurements.jsonl");
    let lines = fs::read_to_string(&path).expect("measurements");
    let (first, rest) = lines.split_once('\n').expect("a line");
    fs::write(&path, format!("{}\n{rest}", &first[1..])).expect("writable");
    let damaged = Expected {
        code: 2,
        reason: "records",
        file: &path,
        line: Some(1),
        help: "the command that wrote it, with the same --out",
    };
    check(&enqueue(), damaged);
    fs::write(&path, rest).expect("writable");
    let said = enqueue();
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(n_done(&status(&out)), before);
}

fn run_enqueue(out: &str, more: &[&str]) -> Said {
    let suite = "suites/ci/kernels.yaml";
    run([
        &["run", suite, "--filter", "enqueue", "--out", out, "--json"],
        more,
    ]
    .concat())
}

#[test]
fn results_that_leave_a_report_are_counted() {
    let folder = Folder::new();
    let out = folder.text("run");
    let warned = |said: &Said| said.err.contains("leave its report");
    assert!(!warned(&run_enqueue(&out, &[])));
    assert!(!warned(&run_enqueue(&out, &[])));
    let said = run_enqueue(&out, &["--set", "measure.samples=4"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let measurements = fs::read_to_string(format!("{out}/measurements.jsonl")).expect("measurements");
    // Half of them are of the second run.
    let n = measurements.matches(r#""status":"ok""#).count() / 2;
    let part = format!("{n} of its {n} results stay in its records, but leave its report");
    assert!(n > 0 && said.err.contains(&part), "{}", said.err);
}

#[test]
fn folders_that_cannot_take_a_run_are_named() {
    let folder = Folder::new();
    let run_into = |out: &str| run_enqueue(out, &[]);
    let out = scored(&folder);
    let input = |reason, file, help| Expected {
        code: 2,
        reason,
        file,
        line: None,
        help,
    };
    check(&run_into(&out), input("other-suite", &out, "--out"));
    let mine = folder.text("mine");
    fs::create_dir(&mine).expect("a folder");
    folder.write("mine/notes.txt", "mine");
    check(&run_into(&mine), input("not-a-run", &mine, "--out"));
    let lock = fs::File::open(Path::new(&out).join(".lock")).expect("writers lock it");
    lock.try_lock().expect("nobody writes");
    check(&run_into(&out), input("locked", &out, "wait until"));
    let nowhere = format!("{}/run", folder.write("file", ""));
    let nowhere = Expected {
        code: 74,
        ..input("cannot-write", &nowhere, "can be written")
    };
    check(&run_into(nowhere.file), nowhere);
}

#[test]
fn text_has_the_remedy_too() {
    let folder = Folder::new();
    let [before, baseline, _] = blessed(&folder);
    for (said, parts) in [
        (bless(&before, &baseline, " "), ["needs a reason", "--reason"]),
        (
            run(["eval", "--sim", "x.npy", "--protocol", "msrvtt"]),
            ["unknown protocol", "`hitbench protocols` lists"],
        ),
    ] {
        for part in parts {
            assert!(said.err.contains(part), "{}", said.err);
        }
    }
}

#[test]
fn runs_of_other_suites_have_a_remedy() {
    let folder = Folder::new();
    let [before, baseline, policy] = blessed(&folder);
    let record = format!("{before}/run.json");
    let text = fs::read_to_string(&record).expect("the run");
    let others = [
        ("name", json!("another"), "other-suite"),
        ("version", json!(2), "other-suite-version"),
    ];
    for (key, value, reason) in others {
        let other = evaluated(&folder, key, &ranked(|query| query % 3), &[]);
        let mut changed: Json = serde_json::from_str(&text).expect("JSON");
        changed["suite"][key] = value;
        fs::write(format!("{other}/run.json"), changed.to_string()).expect("writable");
        let gate = [
            "gate",
            "--baseline",
            &baseline,
            "--run",
            &other,
            "--policy",
            &policy,
            "--json",
        ];
        for said in [run(gate), run(["compare", &before, &other, "--json"])] {
            let error: Json = serde_json::from_str(&said.err).expect("an error");
            assert_eq!(
                (said.code, &error["reason"]),
                (Some(3), &json!(reason)),
                "{error}"
            );
            assert!(error["help"].is_string(), "{error}");
        }
    }
}

#[test]
fn what_does_not_belong_together_is_refused_before_anything_runs() {
    let folder = Folder::new();
    let [before, baseline, policy] = blessed(&folder);
    let suite = "suites/ci/kernels.yaml";
    let sides = ["--baseline", &baseline, "--run", &before, "--policy", &policy];
    let said = run([&["gate", "--confirm", suite, "--json"], &sides[..]].concat());
    let error: Json = serde_json::from_str(&said.err).expect("an error");
    assert_eq!(
        (said.code, &error["reason"], &error["file"]),
        (Some(3), &json!("other-suite"), &json!(suite)),
        "{error}"
    );
    assert!(
        said.err
            .contains("is suite kernels, version 1; the run is of eval, version 1"),
        "{error}"
    );

    let said = run(["run", suite, "--shard", "1/2", "--json"]);
    let error: Json = serde_json::from_str(&said.err).expect("an error");
    assert_eq!(
        (said.code, &error["reason"]),
        (Some(2), &json!("usage")),
        "{error}"
    );

    let misspelled = folder.write(
        "misspelled.yaml",
        "format: 1\nrows:\n  - {id: fast, kind: throughput, metric: warm.items_per_s, margin: 10%, \
         when: {kernel: cpu.auto.f16}}\n",
    );
    let runs = folder.text("runs");
    let calibrate = ["calibrate", suite, "--out", &runs];
    let turns = ["gate", "--out", &runs, "--ab", "old", "new", suite];
    // Both values are in the suite, but not in one cell.
    let apart = folder.write(
        "apart.yaml",
        "format: 1\nrows:\n  - {id: fast, kind: throughput, metric: warm.items_per_s, margin: 10%, \
         when: {kernel: gemm/f32, shape: {operation: enqueue, batch: 32, queue_len: 100, dim: 64}}}\n",
    );
    let said = run([&calibrate[..], &["--policy", &apart, "--json"]].concat());
    refused(&said, 2, "no-such-cell", "none has all of its `when` together");
    for command in [&calibrate[..], &turns] {
        let said = run([command, &["--policy", &misspelled, "--json"]].concat());
        let help = "--json` lists them under `axes`";
        let error = check(
            &said,
            Expected {
                code: 2,
                reason: "no-such-cell",
                file: &misspelled,
                line: Some(3),
                help,
            },
        );
        let message = error["message"].as_str().expect("a message");
        let known =
            "none has kernel: \"cpu.auto.f16\", but \"cpu/auto/f16\", \"gemm/f32\", \"libtorch/cpu/f32\"";
        assert!(message.contains(known), "{message}");
        assert!(!Path::new(&runs).exists(), "nothing ran");
    }
}

#[test]
fn an_expert_whose_files_go_by_other_ids_is_found_before_training() {
    let folder = Folder::new();
    for name in ["set", "set/f"] {
        fs::create_dir(folder.path(name)).expect("writable");
    }
    let description = "format: 1\nname: mine\ncaptions: captions.csv\nsplits: splits.csv\n\
                       experts: [{name: e, dim: 2, features: f}]\n";
    folder.write("set/dataset.yaml", description);
    folder.write("set/captions.csv", "caption_id,video_id,text\n1,a,One\n2,c,Two\n");
    folder.write("set/splits.csv", "video_id,split\na,train\nc,test\n");
    let set = folder.text("set");
    let check = || run(["data", "check", &set]);
    for (names, split) in [
        (["video_a", "video_c"], "train"),
        (["a", "video_c"], "test"),
        (["video_a", "c"], "train"),
    ] {
        let files = names.map(|name| folder.write(&format!("set/f/{name}.npy"), npy([1, 2], &[1.0, 2.0])));
        let said = check();
        let part = format!("features on none of the 1 videos of the {split} split");
        assert!(said.code == Some(1) && said.out.contains(&part), "{}", said.out);
        // `plan` loads as a run does.
        let suite = format!(
            "format: 1\nname: t\nversion: 1\nabout: x\nkind: ablation\nprotocol: custom\ndata: {{folder: {{path: {set}}}}}\n"
        );
        let planned = run(["plan", &folder.write("suite.yaml", suite)]);
        assert!(planned.out.contains(&part), "{}", planned.out);
        for file in files {
            fs::remove_file(file).expect("writable");
        }
    }
    for name in ["a", "c"] {
        folder.write(&format!("set/f/{name}.npy"), npy([1, 2], &[1.0, 2.0]));
    }
    assert_eq!(check().code, Some(0));
}

#[test]
fn a_map_is_named_with_the_header_that_it_needs() {
    let folder = Folder::new();
    let sims = folder.write("sims.npy", npy([2, 2], &[0.9, 0.1, 0.2, 0.8]));
    let texts = folder.write("texts.txt", "t1\nt2\n");
    let videos = folder.write("videos.txt", "v1\nv2\n");
    let eval = |map: &str| {
        let ids = ["--text-ids", &texts, "--video-ids", &videos, "--map", map];
        run([&["eval", "--sim", &sims, "--json"], &ids[..]].concat())
    };
    let ids = |file, help| Expected {
        code: 2,
        reason: "ids",
        file,
        line: None,
        help,
    };
    let other = folder.write("other.csv", "a,b\nt1,v1\nt2,v2\n");
    let error = check(&eval(&other), ids(&other, "first line"));
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("needs a header text_id,video_id"), "{message}");
    assert!(!error["help"].to_string().contains("::"), "{error}");
    let short = folder.write("short.csv", "text_id,video_id\nt1,v1\n");
    check(&eval(&short), ids(&short, "--allow-missing"));
}

#[test]
fn json_has_the_column_of_its_message() {
    let folder = Folder::new();
    let file = folder.write("p.json", r#"{"VR": [{"desc_id": 1, "predictions": [3, 4, 3]}]}"#);
    let map = folder.write("map.csv", "text_id,video_id\n1,3\n");
    let said = run(["eval", "--predictions", &file, "--map", &map, "--json"]);
    let error: Json = serde_json::from_str(&said.err).expect("an error");
    let column = error["position"]["column"].as_u64().expect("a column");
    assert!(column > 1, "{error}");
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.contains(&format!("line 1: column {column}: ")),
        "{message}"
    );
    assert_eq!(error["file"], json!(file));
}

#[test]
fn recall_that_a_protocol_does_not_define_is_null() {
    let folder = Folder::new();
    let sims = folder.write("sims.npy", npy([3, 2], &[0.9, 0.1, 0.9, 0.1, 0.2, 0.8]));
    let texts = folder.write("texts.txt", "a\nb\nc\n");
    let videos = folder.write("videos.txt", "u\nv\n");
    let map = folder.write("map.csv", "text_id,video_id\na,u\nb,u\nc,v\n");
    let found = |ties: &str| -> Json {
        let ids = ["--text-ids", &texts, "--video-ids", &videos, "--map", &map];
        let said = run([&["eval", "--sim", &sims, "--ties", ties, "--json"], &ids[..]].concat());
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.err))
    };
    let of_clip4clip = found("clip4clip");
    let v2t = &of_clip4clip["directions"]["v2t"];
    for key in ["recall_at", "ndcg_at_10", "map"] {
        assert_eq!(v2t[key], Json::Null, "{key}");
    }
    assert!(found("expected")["directions"]["v2t"]["recall_at"].is_object());
}

#[test]
fn help_on_baselines_has_examples() {
    for what in ["show", "history"] {
        let said = run(["baseline", what, "--help"]);
        let example = format!("Example:\n  hitbench baseline {what} ");
        assert!(said.out.contains(&example), "{}", said.out);
    }
}
