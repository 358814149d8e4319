//! `eval` of ranked lists: TREC runs with qrels, predictions without scores.

use serde_json::{Value as Json, json};

use crate::eval::{eval, json as parsed, refused};
use crate::files::{Folder, npy};

/// Three texts, three videos: ranks 1, 2 and a tie for 1 in t2v.
const SCORES: [[f32; 3]; 3] = [[0.9, 0.1, 0.2], [0.8, 0.7, 0.1], [0.0, 0.5, 0.5]];

/// The run of these scores, best first.
fn run() -> String {
    let mut text = String::new();
    for (row, scores) in SCORES.iter().enumerate() {
        let mut order = [0, 1, 2];
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        for (rank, column) in order.into_iter().enumerate() {
            text += &format!("t{row} Q0 v{column} {} {} ours\n", rank + 1, scores[column]);
        }
    }
    text
}

const QRELS: &str = "# qid 0 docid rel\nt0 0 v0 1\nt1 0 v1 1\nt2 0 v2 1\nt2 0 v0 0\n";

/// A line begins so, whatever the width of columns is.
#[track_caller]
fn in_table(table: &str, line: &str) {
    let narrow = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        table.lines().any(|found| narrow(found).starts_with(line)),
        "no `{line}` in {table}"
    );
}

#[test]
fn a_complete_run_is_evaluated_as_the_matrix_it_was() {
    let folder = Folder::new();
    let sims = folder.write("sims.npy", npy([3, 3], SCORES.as_flattened()));
    let (run, qrels) = (folder.write("run.txt", run()), folder.write("qrels.txt", QRELS));
    let given = ["--trec", &run, "--qrels", &qrels];
    for rest in [
        &["--json"][..],
        &["--json", "--ties", "expected", "--captions", "max-over-captions"],
    ] {
        let found = parsed(&eval(&[&given[..], rest].concat()));
        let expected = parsed(&eval(&[&["--sim", &sims], rest].concat()));
        assert_eq!(found["directions"], expected["directions"], "{rest:?}");
        assert_eq!(
            (&found["score"], &found["joined_by"], &found["notices"]),
            (&"matrix".into(), &"qrels".into(), &json!([]))
        );
    }
    // So is the run that we write of a matrix.
    let (ours, judged) = (folder.text("ours.txt"), folder.text("judged.txt"));
    let written = eval(&[
        "--sim",
        &sims,
        "--json",
        "--write-trec",
        &ours,
        "--write-qrels",
        &judged,
    ]);
    let read = eval(&["--trec", &ours, "--qrels", &judged, "--json"]);
    assert_eq!(parsed(&read)["directions"], parsed(&written)["directions"]);
    // And has a run folder.
    let out = folder.text("out");
    let said = eval(&[&given[..], &["--out", &out]].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    in_table(
        &said.out,
        "Every query of the run lists the same items, which are taken for the whole gallery.",
    );
    in_table(&said.out, "report:");
    let report = std::fs::read_to_string(folder.path("out").join("report.md")).expect("a report");
    assert!(report.contains("--trec run.txt --qrels qrels.txt"), "{report}");
}

#[test]
fn a_run_of_the_best_items_answers_texts_as_far_as_it_goes() {
    let folder = Folder::new();
    // Two items a query: ranks 1 and 2, and one outside.
    let run = "t0 Q0 v0 1 0.9 x\nt0 Q0 v2 2 0.2 x\nt1 Q0 v0 1 .8 x\nt1 Q0 v1 2 7e-1 x\nt2 Q0 v1 1 1 x\nt2 Q0 v0 2 0 x\n";
    let (run, qrels) = (folder.write("run.txt", run), folder.write("qrels.txt", QRELS));
    let given = ["--trec", &run, "--qrels", &qrels];
    let said = eval(&[&given[..], &["--json", "--recall-at", "1,2,3"]].concat());
    let found = parsed(&said);
    let t2v = &found["directions"]["t2v"];
    assert_eq!(
        (&found["score"], &found["caption_rule"]),
        (&"list".into(), &Json::Null)
    );
    assert_eq!(found["directions"]["v2t"], Json::Null);
    assert_eq!(t2v["r_at"], json!({"1": 1.0 / 3.0, "2": 2.0 / 3.0}));
    assert_eq!(t2v["r_at_ci95"]["2"].as_array().map(Vec::len), Some(2));
    for (key, value) in [
        ("n_queries", json!(3)),
        ("n_gallery", Json::Null),
        ("median_rank", json!(2.0)),
        ("mean_rank", Json::Null),
        ("mean_rank_ci95", Json::Null),
        ("sum_r", Json::Null),
        ("geometric_mean", Json::Null),
        ("mrr", json!(0.5)),
        ("map", json!(0.5)),
    ] {
        assert_eq!(t2v[key], value, "{key}");
    }
    for part in [
        "1 of 3 queries have no true item in their list: a miss at every K",
        "R@3 left out: the shortest list has 2 items",
    ] {
        assert!(said.err.contains(part), "`{part}` is not in {}", said.err);
        let notices = found["notices"].as_array().expect("a list");
        assert!(
            notices
                .iter()
                .any(|notice| notice.as_str().is_some_and(|text| text.starts_with(part)))
        );
    }

    let videos = folder.write("videos.txt", "v0\nv1\nv2\nv3\n");
    let said = eval(&[&given[..], &["--video-ids", &videos]].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.out
            .starts_with("protocol custom, ties: average, median: mean-of-middle, score: list\n"),
        "{}",
        said.out
    );
    for line in ["gallery 4", "R@1 33.3", "MdR 2.0", "MnR -", "MRR 0.500"] {
        in_table(&said.out, line);
    }
    in_table(&said.out, "v2t has no result: lists answer texts only.");
    assert!(
        !said.out.contains("R@5") && !said.out.contains("R@1 + R@5"),
        "{}",
        said.out
    );
    let said = eval(&given);
    in_table(&said.out, "gallery -");
    let latex = eval(&[&given[..], &["--format", "latex"]].concat());
    in_table(&latex.out, "MnR & - & ");

    for rest in [
        &["--out", "out"][..],
        &["--captions", "min-rank"],
        &["--post", "dsl"],
        &["--write-ranks", "out"],
    ] {
        refused(
            &[&given[..], rest].concat(),
            "usage",
            &["this run has t2v only", "every query lists every item"],
        );
    }
    assert!(!std::path::Path::new("out").exists());
}

#[test]
fn several_true_items_a_query() {
    let folder = Folder::new();
    let run = folder.write(
        "run.txt",
        "q Q0 a 0 3 x\nq Q0 b 0 2 x\nq Q0 c 0 1 x\nr Q0 a 0 1 x\n",
    );
    let qrels = folder.write("qrels.txt", "q 0 b 2\nq 0 c 1\nq 0 d 1\nr 0 a 1\n");
    let given = ["--trec", &run, "--qrels", &qrels, "--recall-at", "1"];
    let said = eval(&[&given[..], &["--json"]].concat());
    let t2v = &parsed(&said)["directions"]["t2v"];
    assert_eq!(
        (&t2v["r_at"]["1"], &t2v["recall_at"]["1"], &t2v["mrr"]),
        (&json!(0.5), &json!(0.5), &json!(0.75))
    );
    let map = (1.0 / 2.0 + 2.0 / 3.0) / 3.0;
    let found = t2v["map"].as_f64().expect("a number");
    assert!((found - (map + 1.0) / 2.0).abs() < 1e-15, "{found}");
    assert!(
        said.err.contains("1 of 2 queries lack some of their true items"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("1 queries have true items of several grades"),
        "{}",
        said.err
    );
}

#[test]
fn queries_of_one_file_only_are_refused_or_counted() {
    let folder = Folder::new();
    let run = folder.write("run.txt", "t0 Q0 v0 1 0.9 x\nt0 Q0 v1 1 0.8 x\nt9 Q0 v0 1 1 x\n");
    let qrels = folder.write("qrels.txt", QRELS);
    let given = ["--trec", &run, "--qrels", &qrels];
    refused(
        &given,
        "ids",
        &[
            "1 queries of the run are not in the qrels (`t9`)",
            "2 queries of the qrels are not in the run (`t1`, `t2`)",
            "--allow-missing",
            "trec_eval",
        ],
    );
    let allowed = [&given[..], &["--allow-missing"]].concat();
    let said = eval(&allowed);
    assert_eq!(said.code, Some(0), "{}", said.err);
    in_table(
        &said.out,
        "left out: 1 queries of the run are not in the qrels (`t9`)",
    );
    let found = parsed(&eval(&[&allowed[..], &["--json"]].concat()));
    assert_eq!(
        found["left_out"],
        json!({"queries_without_qrels": 1, "queries_without_run": 2})
    );
    assert_eq!(found["directions"]["t2v"]["n_queries"], 1);
}

#[test]
fn predictions_of_either_form() {
    let folder = Folder::new();
    let rows = folder.write("top.csv", "0,2\n0,1\n1,0\n");
    let found = parsed(&eval(&["--predictions", &rows, "--json", "--recall-at", "1,2"]));
    let t2v = &found["directions"]["t2v"];
    assert_eq!(t2v["r_at"], json!({"1": 1.0 / 3.0, "2": 2.0 / 3.0}));
    assert_eq!((&t2v["n_gallery"], &t2v["n_tied"]), (&Json::Null, &json!(0)));
    assert_eq!(
        (&found["score"], &found["joined_by"]),
        (&"list".into(), &"position".into())
    );

    // The same answers under ids: video `a` is index 0.
    let value = r#"{"VR": [{"desc_id": 7, "predictions": [0, 2]}, {"desc_id": "8", "predictions": [0, 1]},
        {"desc_id": "9", "predictions": [1, 0]}], "SVMR": []}"#;
    let value = folder.write("value.json", value);
    let map = folder.write("map.csv", "text_id,video_id\n7,a\n8,b\n9,c\n");
    let videos = folder.write("videos.txt", "a\nb\nc\n");
    let given = ["--predictions", &value, "--map", &map, "--video-ids", &videos];
    let said = eval(&[&given[..], &["--json", "--recall-at", "1,2"]].concat());
    let by_id = parsed(&said);
    let of_ids = &by_id["directions"]["t2v"];
    assert_eq!(
        (&of_ids["r_at"], &of_ids["r_at_ci95"]),
        (&t2v["r_at"], &t2v["r_at_ci95"])
    );
    assert_eq!(
        (&of_ids["n_gallery"], &by_id["joined_by"]),
        (&json!(3), &"ids".into())
    );
    assert!(
        said.err.contains("only `VR` is evaluated, and not `SVMR`"),
        "{}",
        said.err
    );
    let table = eval(&given).out;
    in_table(&table, "gallery 3");
    in_table(&table, "v2t has no result: lists answer texts only.");
    refused(
        &[&given[..], &["--protocol", "youcook2-val"]].concat(),
        "protocol",
        &["has 3492 captions, found 3"],
    );
}

#[test]
fn bad_lists_are_errors_with_file_line_and_expectation() {
    let folder = Folder::new();
    let qrels = folder.write("qrels.txt", QRELS);
    let with_run = |text: &str, reason: &str, parts: &[&str]| {
        let run = folder.write("run.txt", text);
        refused(&["--trec", &run, "--qrels", &qrels], reason, parts);
    };
    with_run(
        "t0 Q0 v0 1 0.9\n",
        "format",
        &["run.txt`, line 1", "`qid Q0 docid rank score tag`", "found 5"],
    );
    with_run(
        "t0 Q0 v0 1 nan x\n",
        "format",
        &["line 1: expected a finite score, found `nan`"],
    );
    with_run(
        "t0 Q0 v0 1 1 x\nt0 Q0 v0 2 0 x\n",
        "format",
        &["line 2: expected each item once a query", "line 1"],
    );
    with_run("", "format", &["line 1: expected a line of the form"]);
    let run = folder.write("run.txt", run());
    let with_qrels = |text: &str, parts: &[&str]| {
        let qrels = folder.write("other.txt", text);
        refused(&["--trec", &run, "--qrels", &qrels], "format", parts);
    };
    with_qrels(
        "t0 0 v0 yes\n",
        &["other.txt`, line 1: expected an integer relevance, found `yes`"],
    );
    with_qrels("t0 v0 1\n", &["`qid 0 docid rel`, found 3"]);
    refused(
        &["--trec", &folder.text("absent"), "--qrels", &qrels],
        "cannot-read",
        &["absent"],
    );

    let predictions = |text: &str, parts: &[&str]| {
        let file = folder.write("top", text);
        refused(&["--predictions", &file], "format", parts);
    };
    predictions(
        "0,1\n1,1\n",
        &["top`, line 2: expected each index once, found 1 as prediction 1 and 2"],
    );
    predictions("a,b\n", &["line 1: expected gallery indices from 0", "found `a`"]);
    predictions("{\"VR\": 1}", &["line 1: column 9: invalid type: integer `1`"]);
    predictions(
        "{\"VCMR\": []}",
        &["expected the key `VR`, found the keys `VCMR`"],
    );
    let rows = folder.write("rows.csv", "0,1\n1,5\n");
    let videos = folder.write("videos.txt", "a\nb\n");
    refused(
        &["--predictions", &rows, "--video-ids", &videos],
        "values",
        &["line 2: prediction 2 is 5, expected an index below 2"],
    );

    let sims = folder.write("sims.npy", npy([3, 3], SCORES.as_flattened()));
    let trec = ["--trec", &run, "--qrels", &qrels];
    let rows = ["--predictions", &rows];
    for args in [
        &["--trec", &run][..],
        &["--qrels", &qrels],
        &[&trec[..], &["--sim", &sims]].concat(),
        &[&trec[..], &rows].concat(),
        &[&trec[..], &["--normalize"]].concat(),
        &[&trec[..], &["--kernel", "reference/f64"]].concat(),
        &[&trec[..], &["--map", &qrels]].concat(),
        &[&rows[..], &["--text", &sims, "--video", &sims]].concat(),
        &[&rows[..], &["--ties", "average"]].concat(),
        &[&rows[..], &["--captions", "min-rank"]].concat(),
        &[&rows[..], &["--post", "dsl"]].concat(),
        &[&rows[..], &["--out", "out"]].concat(),
    ] {
        let said = eval(args);
        assert_eq!(said.code, Some(2), "{args:?}: {}", said.out);
        assert!(!said.err.is_empty());
    }
}
