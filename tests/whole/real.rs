//! The suites on real data, cut short: on the real annotations where they are, and on small data sets in the layouts of
//! their publishers.

use std::fs;
use std::path::Path;

use hitbench_tests::{Said, hitbench, layouts, run, said, test_data, workspace_root};
use serde_json::Value as Json;

/// Settings that make a trial of the `paper` preset a matter of seconds.
const SMALL: [&str; 14] = [
    "protocol=custom",
    "text={vocab: null, vocab_size: 400, weights: null}",
    "model.preset=tiny",
    "model.embed_dim=32",
    "model.video={layers: 2, hidden: 32, heads: 2, ffn: 64, semantic_tap: 2}",
    "model.text={layers: 2, hidden: 32, heads: 2, ffn: 64, semantic_tap: 2}",
    "model.video_input.max_expert_tokens=3",
    "train.steps=120",
    "train.batch=16",
    "train.lr=2.0e-3",
    "train.threads=1",
    "train.log_every=10",
    "eval.resamples=100",
    "momentum.queue_len=[0]",
];

/// Runs `hitbench` on a data set in `folder`, whose packed features go to a cache of their own.
fn on(folder: &Path, args: &[&str], source: &str) -> Said {
    let mut command = hitbench(args);
    let data = folder.display();
    for set in [
        format!("data.{source}.annotations=[\"{data}\"]"),
        format!("data.{source}.features=\"{data}\""),
    ] {
        command.args(["--set", &set]);
    }
    said(command.env("HITBENCH_CACHE", folder.join("cache")))
}

/// Runs a suite from files to report; the record of its only trial.
fn trained(folder: &Path, suite: &str, source: &str, more: &[&str]) -> Json {
    let out = folder.join("run");
    let mut args = vec!["run", suite, "--out", out.to_str().expect("UTF-8")];
    args.extend(["--set", "seeds=[0]", "--set", "model.hierarchy=[both]"]);
    args.extend(SMALL.iter().chain(more).flat_map(|set| ["--set", set]));
    let said = on(folder, &args, source);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let line = fs::read_to_string(out.join("trials.jsonl")).expect("one record");
    assert!(out.join("report.md").is_file() && out.join("summary.csv").is_file());
    let record: Json = serde_json::from_str(line.trim()).expect("one record");
    let result = record["result"].clone();
    let r_at_10 = result["metrics"]["combined"]["directions"]["t2v"]["r_at"]["10"].as_f64();
    // Chance is 25 %: captions that belonged to other features, or rows to other times, would end there.
    assert!(
        r_at_10.is_some_and(|recall| recall > 0.5),
        "{suite}: R@10 {r_at_10:?}"
    );
    result
}

fn sizes(result: &Json) -> [u64; 4] {
    let names = [
        "n_train_videos",
        "n_test_videos",
        "n_train_captions",
        "n_test_captions",
    ];
    names.map(|name| {
        result["data"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {}", result["data"]))
    })
}

#[test]
fn msr_vtt_runs_from_the_files_of_mmt_to_the_report() {
    let folder = tempfile::tempdir().expect("a folder");
    layouts::msrvtt_mmt(folder.path(), 200, 40);
    let suite = "suites/real/msrvtt-1ka.yaml";
    let result = trained(folder.path(), suite, "msrvtt", &[]);
    assert_eq!(sizes(&result), [160, 40, 480, 40]);
    let checked = on(folder.path(), &["data", "check", suite, "--json"], "msrvtt");
    assert_eq!(checked.code, Some(1), "{}", checked.err);
    let view: Json = serde_json::from_str(&checked.out).expect("one object");
    assert_eq!(
        view["problem"],
        "protocol `msrvtt-1ka` has 1000 captions, found 40"
    );
    assert_eq!(view["experts"][6]["name"], "vggish");
    let cached = on(folder.path(), &["data", "cache", suite], "msrvtt");
    assert!(
        cached.out.contains(".pack: ") && cached.out.contains(" of 200 videos"),
        "{}",
        cached.out
    );
}

#[test]
fn activity_net_runs_from_the_files_of_mmt_to_the_report() {
    let folder = tempfile::tempdir().expect("a folder");
    layouts::activitynet_mmt(folder.path(), 200, 40);
    let more = ["model.video.max_positions=102", "model.max_text_tokens=60"];
    let result = trained(
        folder.path(),
        "suites/real/activitynet.yaml",
        "activitynet",
        &more,
    );
    assert_eq!(sizes(&result), [160, 40, 160, 40]);
}

#[test]
fn published_bert_and_pretrained_weights_begin_a_trial() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    // Pretraining knows two experts, fine-tuning seven.
    layouts::activitynet_mmt(&root.join("a"), 200, 40);
    layouts::msrvtt_mmt(&root.join("b"), 200, 40);
    let bert = workspace_root().join("models/goldens/bert");
    let text = format!(
        "text={{vocab: \"{0}/vocab.txt\", weights: \"{0}\"}}",
        bert.display()
    );
    let tower = "model.text={layers: 3, hidden: 16, heads: 2, ffn: 32, max_positions: 12, semantic_tap: 3}";
    let common = [
        text.as_str(),
        tower,
        "model.max_text_tokens=12",
        "model.video.max_positions=32",
    ];
    let run = |name: &str, suite: &str, source: &str, more: &[&str]| {
        let out = root.join(name).join("run");
        let mut args = vec![
            "run",
            suite,
            "--keep-weights",
            "--out",
            out.to_str().expect("UTF-8"),
        ];
        args.extend(["--set", "seeds=[0]", "--set", "model.hierarchy=[both]"]);
        args.extend(
            SMALL
                .iter()
                .chain(&common)
                .chain(more)
                .flat_map(|set| ["--set", set]),
        );
        on(&root.join(name), &args, source)
    };
    let first = run("a", "suites/real/activitynet.yaml", "activitynet", &[]);
    assert_eq!(first.code, Some(0), "{}", first.err);
    let mut kept = fs::read_dir(root.join("a/run/weights")).expect("weights are kept");
    let kept = kept.next().expect("one file").expect("readable").path();
    let from = format!("train.init_from={}", kept.display());
    let second = run("b", "suites/real/msrvtt-1ka.yaml", "msrvtt", &[&from]);
    assert_eq!(second.code, Some(0), "{}", second.err);
    let said = "begins as drawn what `train.init_from` lacks: video.";
    assert!(
        second.err.contains(said) && second.err.contains("projections.rgb.weight"),
        "{}",
        second.err
    );
    // The weights of another model are refused before anything trains, those of another vocabulary too.
    let other = run(
        "b",
        "suites/real/msrvtt-1ka.yaml",
        "msrvtt",
        &["model.text.heads=4"],
    );
    assert_eq!(other.code, Some(2), "{}", other.err);
    assert!(other.err.contains("the number of heads is 2"), "{}", other.err);
}

#[test]
fn lsmdc_runs_from_the_files_of_mmt_to_the_report() {
    let folder = tempfile::tempdir().expect("a folder");
    layouts::lsmdc_mmt(folder.path(), 200, 40);
    let result = trained(
        folder.path(),
        "suites/real/lsmdc.yaml",
        "lsmdc",
        &["train.captions=joined"],
    );
    assert_eq!(sizes(&result), [160, 40, 192, 40]);
}

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
