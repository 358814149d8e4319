//! `data audit`: what it says of a small set, to people and to machines, and what it refuses.

use hitbench_tests::{Said, run};
use serde_json::Value as Json;

use crate::files::{Folder, npy};

impl Folder {
    /// Texts 0 and 2 are the same, videos 1 and 2 nearly, video 3 is too long.
    fn embeddings(&self) -> [String; 2] {
        let text = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let video = [0.8, 0.6, 0.0, 0.0, 0.8, 0.6, 0.01, 0.8, 0.6, 0.0, 0.0, 2.0];
        [("text.npy", text), ("video.npy", video)]
            .map(|(name, values)| self.write(name, npy([4, 3], &values)))
    }
}

fn audit(args: &[&str]) -> Said {
    run([&["data", "audit"], args].concat())
}

fn json(said: &Said) -> Json {
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out)
        .unwrap_or_else(|error| panic!("not one JSON value ({error}): {}", said.out))
}

#[test]
fn embeddings_and_captions_for_a_person() {
    let folder = Folder::new();
    let [text, video] = folder.embeddings();
    let table =
        "text_id,video_id,sentence\nt0,v0,a dog runs\nt1,v1,two cats\nt2,v2,a  dog runs\nt3,v3,Two cats.\n";
    let captions = format!("{}::sentence", folder.write("captions.csv", table));
    let said = audit(&[
        "--text",
        &text,
        "--video",
        &video,
        "--captions",
        &captions,
        "--kernel",
        "reference/f64",
    ]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.is_empty(), "{}", said.err);
    let expected = include_str!("audit.txt");
    assert_eq!(said.out, expected, "{}", said.out);
}

#[test]
fn embeddings_and_captions_for_a_machine() {
    let folder = Folder::new();
    let [text, video] = folder.embeddings();
    let words = folder.write("captions.txt", "a dog runs\ntwo cats\na dog runs\n\n");
    let args = [
        "--text",
        &text,
        "--video",
        &video,
        "--captions",
        &words,
        "--json",
        "--near",
        "0.9999",
    ];
    let said = audit(&args);
    let found = json(&said);
    assert_eq!(found["schema"], "hitbench.audit/1");
    assert_eq!((&found["n_texts"], &found["n_videos"]), (&4.into(), &4.into()));
    let captions = &found["captions"];
    assert_eq!(
        captions["across_videos"],
        serde_json::json!({
            "n": 2, "of": 4, "share": 0.5, "n_groups": 1,
            "first": [{"n": 2, "ids": ["0", "2"], "caption": "a dog runs"}],
        })
    );
    assert_eq!(
        captions["empty"],
        serde_json::json!({"n": 1, "of": 4, "share": 0.25, "first": ["3"]})
    );
    assert_eq!(captions["longest"], serde_json::json!({"n_words": 3, "id": "0"}));
    assert_eq!(
        found["video_rows"]["near_duplicates"],
        serde_json::json!({
            "cosine": 0.9999, "n_pairs": 1, "n": 2, "of": 4, "share": 0.5, "n_groups": 1,
            "first": [{"n": 2, "ids": ["1", "2"]}],
        })
    );
    assert_eq!(found["video_rows"]["off_unit"]["first"], serde_json::json!(["3"]));
    assert_eq!(
        (&found["ties"]["t2v"]["n"], &found["ties"]["v2t"]["first"]),
        (&1.into(), &serde_json::json!(["0", "2"]))
    );
    let cost = &found["cost"];
    assert_eq!(
        (&cost["texts_by"], &cost["videos_by"]),
        (&"captions".into(), &"near".into())
    );
    assert_eq!(
        (
            &cost["t2v"]["as_given"]["r_at"]["1"],
            &cost["t2v"]["duplicates_true"]["r_at"]["1"]
        ),
        (&0.5.into(), &1.0.into())
    );
    assert_eq!(
        (&found["scores"], &found["not_ranked"]),
        (&Json::Null, &Json::Null)
    );
    let verdicts = found["verdicts"].as_array().expect("a list");
    assert!(
        verdicts
            .iter()
            .all(|verdict| verdict["text"].as_str().is_some_and(|text| !text.is_empty()))
    );
    assert!(!said.out.contains(&text), "no paths");
    assert_eq!(said.out, audit(&args).out);
}

#[test]
fn findings_are_no_failure_and_bad_input_is() {
    let folder = Folder::new();
    let nan = folder.write("nan.npy", npy([2, 2], &[1.0, 0.0, f32::NAN, 1.0]));
    let found = json(&audit(&["--sim", &nan, "--json"]));
    assert_eq!(
        found["scores"]["not_finite"]["first"][0],
        serde_json::json!({"id": "1", "row": 1, "column": 0, "value": "NaN"})
    );
    assert_eq!(found["cost"], Json::Null);

    let [text, video] = folder.embeddings();
    let words = folder.write("captions.csv", "sentence,video_id\na,v1\n");
    let column = format!("{words}::sentence");
    for (args, reason, part) in [
        (&[][..], "usage", "--captions"),
        (&["--captions", &words], "ids", "FILE::COLUMN"),
        (&["--captions", &column, "--map", &words], "ids", "text_id"),
        (&["--captions", &column, "--mask", &text], "usage", "text_id"),
        (
            &["--captions", &column, "--video-ids", &column],
            "usage",
            "video_id",
        ),
        (
            &["--captions", &column, "--protocol", "msrvtt-1ka"],
            "protocol",
            "1000 captions",
        ),
        (
            &["--text", &text, "--video", &video, "--captions", &column],
            "ids",
            "1 captions for 4 rows",
        ),
        (&["--text", &text, "--video", &nan], "shape", "rows of 3 values"),
        (&["--sim", &nan, "--near", "0.9"], "usage", "--near"),
        (&["--captions", &column, "--near", "0.9"], "usage", "--text"),
        (&["--captions", &column, "--normalize"], "usage", "--text"),
        (
            &["--text", &text, "--video", &video, "--near", "1.5"],
            "usage",
            "at most 1",
        ),
        (
            &["--text", &text, "--video", &video, "--near", "nan"],
            "usage",
            "at most 1",
        ),
    ] {
        let said = audit(&[args, &["--json"]].concat());
        assert_eq!(said.code, Some(2), "{args:?}: {}{}", said.out, said.err);
        assert!(said.out.is_empty(), "{}", said.out);
        let error: Json =
            serde_json::from_str(&said.err).unwrap_or_else(|error| panic!("{error}: {}", said.err));
        assert_eq!(error["reason"], reason, "{args:?}: {error}");
        let text = format!("{} {}", error["message"], error["help"]);
        assert!(text.contains(part), "{args:?}: `{part}` is not in {text}");
    }
}

#[test]
fn help_has_an_example() {
    let said = audit(&["--help"]);
    assert_eq!(said.code, Some(0));
    assert!(
        said.out.contains("hitbench data audit --captions"),
        "{}",
        said.out
    );
}
