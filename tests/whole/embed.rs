//! Weights that a run kept, used without its suite.

use std::fs;
use std::path::{Path, PathBuf};

use hitbench_tests::{Said, run, small_suite};
use serde_json::Value as Json;

const TWO_HIERARCHIES: &str = "train: {steps: 20, batch: 16, lr: 1.0e-3, checkpoint_every: 7, log_every: 5, threads: 1}\n\
     momentum: {momentum: 0.9, queue_len: 32}\n\
     axes: {model.hierarchy: [both, feature]}\n\
     reference: {model.hierarchy: both}\n\
     seeds: [0]";

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// What a command prints with `--json`.
fn json(said: &Said) -> Json {
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).expect("one JSON object")
}

/// The kept weights of a run, each with the metrics of its record.
fn kept(folder: &Path) -> Vec<(PathBuf, Json)> {
    let records = fs::read_to_string(folder.join("trials.jsonl")).expect("the run has records");
    let record = |line: &str| -> (PathBuf, Json) {
        let record: Json = serde_json::from_str(line).expect("a record a line");
        let id = record["id"].as_str().expect("a trial has an id");
        let file = folder.join("weights").join(format!("{id}.safetensors"));
        (
            file,
            record["result"]["metrics"]["combined"]["directions"].clone(),
        )
    };
    records.lines().map(record).collect()
}

/// Runs a suite and keeps its weights.
fn train(suite: &Path, out: &Path, more: &[&str]) {
    let mut args = vec!["run", text(suite), "--out", text(out), "--keep-weights"];
    args.extend(more);
    let trained = run(args);
    assert_eq!(trained.code, Some(0), "{}", trained.err);
}

#[test]
fn kept_weights_give_the_recalls_of_their_trial_with_the_suite_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, data) = (folder.path().join("run"), folder.path().join("data"));
    let suite = small_suite(folder.path(), TWO_HIERARCHIES);
    train(&suite, &out, &[]);
    fs::remove_file(suite).expect("the suite was there");
    // The data of the suite, as a folder of their own.
    let written = run([
        "data",
        "synth",
        "--out",
        text(&data),
        "--videos",
        "160",
        "--captions",
        "1",
        "--test-videos",
        "40",
        "--seed",
        "3",
    ]);
    assert_eq!(written.code, Some(0), "{}", written.err);

    let trials = kept(&out);
    assert_eq!(trials.len(), 2);
    let feature = trials[1]
        .0
        .file_name()
        .expect("a file")
        .to_string_lossy()
        .into_owned();
    for (weights, recorded) in trials {
        let weights = text(&weights);
        let own = json(&run(["eval", "--checkpoint", weights, "--json", "--no-ci"]));
        for direction in ["t2v", "v2t"] {
            for metric in ["r_at", "mean_rank", "median_rank", "n_tied"] {
                let found = &own["directions"][direction][metric];
                assert!(!found.is_null(), "{metric}");
                assert_eq!(found, &recorded[direction][metric], "{direction} {metric}");
            }
        }
        let given = json(&run([
            "eval",
            "--checkpoint",
            weights,
            "--data",
            text(&data),
            "--json",
            "--no-ci",
        ]));
        assert_eq!(given, own);

        let files = folder.path().join("files");
        let exported = json(&run([
            "embed",
            "--checkpoint",
            weights,
            "--data",
            text(&data),
            "--out",
            text(&files),
            "--json",
        ]));
        assert_eq!(
            (&exported["n_texts"], &exported["n_videos"]),
            (&40.into(), &40.into())
        );
        let file = |name: &str| text(&files.join(name)).to_owned();
        let captions = file("captions.csv");
        let read = json(&run([
            "eval",
            "--text",
            &file("text.npy"),
            "--video",
            &file("video.npy"),
            "--text-ids",
            &format!("{captions}::text_id"),
            "--video-ids",
            &file("videos.txt"),
            "--map",
            &captions,
            "--json",
            "--no-ci",
        ]));
        assert_eq!(read, own);
        let one_level = fs::read_dir(&files).expect("written").count() == 5;
        assert_eq!(
            one_level,
            weights.contains(&feature),
            "files of the export before are gone"
        );

        let folder = folder.path().join(weights.replace('/', "-"));
        let shown = run(["eval", "--checkpoint", weights, "--no-ci", "--out", text(&folder)]);
        assert_eq!(shown.code, Some(0), "{}", shown.err);
        assert!(folder.join("report.md").is_file());
    }
}

#[test]
fn weights_that_do_not_say_whose_they_are_and_data_without_an_expert_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let suite = small_suite(folder.path(), TWO_HIERARCHIES);
    train(&suite, &out, &["--filter", "both"]);
    let (weights, _) = kept(&out).remove(0);
    let refused = |file: &Path, more: &[&str], said: &str| {
        let embedded = folder.path().join("files");
        let mut args = vec![
            "embed",
            "--checkpoint",
            text(file),
            "--out",
            text(&embedded),
            "--json",
        ];
        args.extend(more);
        let found = run(args);
        assert_eq!(found.code, Some(2), "{}", found.out);
        assert!(found.err.contains(said), "{}", found.err);
        let error: Json = serde_json::from_str(&found.err).expect("one JSON object");
        assert_eq!(error["code"], 2);
        assert!(!embedded.join("embed.json").exists());
    };
    // An export is left alone by one that fails, and goes with the next; other folders are not written to.
    let export = folder.path().join("export");
    let embed = |checkpoint: &Path| run(["embed", "--checkpoint", text(checkpoint), "--out", text(&export)]);
    let files = || {
        let names = fs::read_dir(&export)
            .expect("there")
            .map(|entry| entry.expect("readable").file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(embed(&weights).code, Some(0));
    let exported = files();
    assert_eq!(exported.len(), 9);
    assert_eq!(embed(&folder.path().join("absent")).code, Some(2));
    assert_eq!(files(), exported);
    fs::remove_file(export.join("text.npy")).expect("was there");
    fs::create_dir(export.join(".unfinished")).expect("writable");
    assert_eq!(embed(&weights).code, Some(0));
    assert_eq!(files(), exported);
    fs::write(
        export.join("embed.json"),
        r#"{"schema": "other/1", "files": ["text.npy"]}"#,
    )
    .expect("writable");
    let occupied = embed(&weights);
    assert_eq!(occupied.code, Some(2), "{}", occupied.err);
    assert!(
        occupied.err.contains("holds other files than an export"),
        "{}",
        occupied.err
    );
    assert_eq!(files(), exported);

    let bare = folder.path().join("bare.safetensors");
    let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
    fs::write(&bare, bytes).expect("writable");
    refused(&bare, &[], "does not say which model its weights are of");
    let torn = folder.path().join("torn.safetensors");
    let whole = fs::read(&weights).expect("kept");
    fs::write(&torn, &whole[..whole.len() / 2]).expect("writable");
    refused(&torn, &[], "is no whole safetensors file");
    refused(&folder.path().join("absent"), &[], "No such file");
    // The description is JSON within the JSON of the header; what replaces a part of it is as long.
    let edited = |from: &str, to: &str| {
        let at = whole
            .windows(from.len())
            .position(|bytes| bytes == from.as_bytes());
        let at = at.unwrap_or_else(|| panic!("the header has {from}"));
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        let path = folder.path().join("edited.safetensors");
        fs::write(&path, bytes).expect("writable");
        path
    };
    let later = edited(r#"\"format\":1"#, r#"\"format\":2"#);
    refused(&later, &[], "in format 2, and this build reads format 1");
    let other = edited(r#"\"vocab_size\":"#, r#"\"vocab_sizf\":"#);
    refused(&other, &[], "does not describe its model");
    refused(&weights, &["--device", "tpu"], "no device `tpu`");

    let data = folder.path().join("data");
    let written = run([
        "data",
        "synth",
        "--out",
        text(&data),
        "--videos",
        "20",
        "--test-videos",
        "5",
    ]);
    assert_eq!(written.code, Some(0), "{}", written.err);
    let description = data.join("dataset.yaml");
    let renamed = fs::read_to_string(&description)
        .expect("written")
        .replace("\"action\"", "\"smell\"");
    fs::write(&description, renamed).expect("writable");
    refused(&weights, &["--data", text(&data)], "has no such expert");
}

#[test]
fn data_that_changed_since_the_training_are_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, data) = (folder.path().join("run"), folder.path().join("data"));
    let written = run([
        "data",
        "synth",
        "--out",
        text(&data),
        "--videos",
        "60",
        "--test-videos",
        "20",
    ]);
    assert_eq!(written.code, Some(0), "{}", written.err);
    let suite = small_suite(folder.path(), TWO_HIERARCHIES);
    let source = format!("data={{folder: {{path: {}}}}}", text(&data));
    train(&suite, &out, &["--filter", "both", "--set", &source]);
    let (weights, _) = kept(&out).remove(0);
    let evaluate = || run(["eval", "--checkpoint", text(&weights), "--no-ci"]);
    let warning = "is no longer what the model was trained with";
    let same = evaluate();
    assert!(
        same.code == Some(0) && !same.err.contains(warning),
        "{}",
        same.err
    );
    let captions = data.join("captions.csv");
    let changed = fs::read_to_string(&captions)
        .expect("written")
        .trim_end()
        .to_owned()
        + " again\n";
    fs::write(&captions, changed).expect("writable");
    let other = evaluate();
    assert!(
        other.code == Some(0) && other.err.contains(warning),
        "{}",
        other.err
    );
    fs::remove_dir_all(&data).expect("was there");
    let gone = evaluate();
    assert_eq!(gone.code, Some(2), "{}", gone.err);
    assert!(
        gone.err.contains("cannot be loaded") && gone.err.contains("--data"),
        "{}",
        gone.err
    );
}
