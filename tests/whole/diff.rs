//! `diff`: two evaluations query by query, what they must share, and what is said about single queries.

use std::fs;
use std::path::Path;

use hitbench_tests::{Said, run};
use serde_json::Value as Json;

use crate::eval::json;
use crate::files::{Folder, npy};

/// Texts and videos of the pair of evaluations.
pub(crate) const N: usize = 60;

/// Scores of which text `q` finds its video at the 0-based rank `rank(q)`, the others by number.
pub(crate) fn ranked(rank: impl Fn(usize) -> usize) -> Vec<f32> {
    (0..N)
        .flat_map(|query| {
            let above = rank(query);
            (0..N).map(move |item| {
                let place = if item < query { item } else { item.wrapping_sub(1) };
                match item == query {
                    true => 0.5,
                    false if place < above => 0.9,
                    false => 0.1,
                }
            })
        })
        .collect()
}

fn write_ids(folder: &Folder) -> String {
    let ids: String = (0..N).map(|i| format!("clip{i}\n")).collect();
    folder.write("ids.txt", ids)
}

/// Writes the run folder of some scores.
pub(crate) fn evaluated(folder: &Folder, name: &str, scores: &[f32], more: &[&str]) -> String {
    let sims = folder.write(&format!("{name}.npy"), npy([N, N], scores));
    let ids = write_ids(folder);
    let out = folder.text(name);
    let args = [
        "eval",
        "--sim",
        &sims,
        "--text-ids",
        &ids,
        "--video-ids",
        &ids,
        "--out",
        &out,
    ];
    let said = run([&args[..], more].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    out
}

/// A: ranks 0 to 9 in turn. B: every third text is at the top, text 40 falls to the end.
fn pair(folder: &Folder) -> [String; 2] {
    let before = |query: usize| query % 10;
    let after = move |query: usize| match query {
        40 => N - 1,
        _ if query.is_multiple_of(3) => 0,
        _ => before(query),
    };
    [
        evaluated(folder, "before", &ranked(before), &[]),
        evaluated(folder, "after", &ranked(after), &[]),
    ]
}

fn diff(args: &[&str]) -> Said {
    run([&["diff"], args].concat())
}

#[track_caller]
fn refused(args: &[&str], code: i32, reason: &str, parts: &[&str]) {
    let said = diff(&[args, &["--json"]].concat());
    assert_eq!(said.code, Some(code), "{args:?}: {}{}", said.out, said.err);
    assert!(said.out.is_empty(), "{}", said.out);
    let error: Json = serde_json::from_str(&said.err).unwrap_or_else(|error| panic!("{error}: {}", said.err));
    assert_eq!(
        (&error["schema"], &error["code"], &error["reason"]),
        (
            &serde_json::json!("hitbench.error/1"),
            &serde_json::json!(code),
            &serde_json::json!(reason)
        ),
        "{error}"
    );
    let text = format!("{} {}", error["message"], error["help"]);
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn differences_with_intervals_tests_and_flips() {
    let folder = Folder::new();
    let [a, b] = pair(&folder);
    let said = diff(&[&a, &b, "--json"]);
    let found = json(&said);
    assert_eq!(
        (
            &found["schema"],
            &found["protocol"],
            &found["ties"],
            &found["n_tests"]
        ),
        (
            &serde_json::json!("hitbench.diff/1"),
            &serde_json::json!("custom"),
            &serde_json::json!("average"),
            &serde_json::json!(14)
        )
    );
    assert_eq!(found["a"]["name"], "eval/seed=0");
    assert_ne!(found["a"]["id"], found["b"]["id"]);
    let folders = Path::new(&a).parent().expect("a folder").display().to_string();
    assert!(!said.out.contains(&folders), "no paths in {}", said.out);

    let t2v = &found["directions"]["t2v"];
    // Every third text was at the top already where it ends on 0: 0, 30; and text 40 leaves it.
    assert_eq!(
        [
            &t2v["n_queries"],
            &t2v["n_videos"],
            &t2v["n_gallery"],
            &t2v["n_changed"],
            &t2v["n_better"],
            &t2v["n_worse"]
        ],
        [
            &serde_json::json!(60),
            &serde_json::json!(60),
            &serde_json::json!(60),
            &serde_json::json!(19),
            &serde_json::json!(18),
            &serde_json::json!(1)
        ]
    );
    let at_1 = &t2v["r_at"]["1"];
    assert_eq!(
        (&at_1["a"], &at_1["b"], &at_1["gained"], &at_1["lost"]),
        (
            &serde_json::json!(0.1),
            &serde_json::json!(23.0 / 60.0),
            &serde_json::json!(18),
            &serde_json::json!(1)
        )
    );
    let close = |found: &Json, expected: f64| (found.as_f64().expect("a number") - expected).abs() < 1e-12;
    assert!(close(&at_1["difference"], 17.0 / 60.0), "{at_1}");
    // 2 * (1 + 19) / 2^19
    assert!(close(&t2v["mcnemar_p_value"], 40.0 / f64::from(1 << 19)), "{t2v}");
    let ends = at_1["ci95"].as_array().expect("an interval");
    assert!(0.1 < ends[0].as_f64().expect("a number") && ends[1].as_f64().expect("a number") < 0.45);
    for direction in ["t2v", "v2t"] {
        let metrics = &found["directions"][direction];
        let recalls = metrics["r_at"].as_object().expect("recalls").values();
        for metric in recalls.chain([&metrics["median_rank"], &metrics["mean_rank"], &metrics["mrr"]]) {
            let p = |name: &str| metric[name].as_f64().expect("a p-value");
            assert!(0.0 < p("p_value") && p("p_value") <= p("p_holm") && p("p_holm") <= 1.0);
            let significant = p("p_holm") <= 0.05;
            assert_eq!(metric["better"].is_boolean(), significant, "{metric}");
        }
    }
    assert_eq!(at_1["better"], true);

    let moved = t2v["moved"].as_array().expect("a list");
    assert_eq!(moved.len(), 19);
    assert_eq!(
        moved[0],
        serde_json::json!({"query_id": "clip40", "true_id_a": "clip40", "true_id_b": "clip40", "rank_a": 1.0, "rank_b": 60.0,
               "caption": null})
    );
    assert_eq!(moved[1]["query_id"], "clip9");
    assert_eq!(
        json(&diff(&[&a, &b, "--json", "--most", "2"]))["directions"]["t2v"]["moved"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(
        said.out,
        diff(&[&a, &b, "--json"]).out,
        "equal work gives equal bytes"
    );

    let mirrored = json(&diff(&[&b, &a, "--json"]));
    let other = &mirrored["directions"]["t2v"]["r_at"]["1"];
    assert_eq!(
        (&other["gained"], &other["p_value"]),
        (&serde_json::json!(1), &at_1["p_value"])
    );
    assert_eq!(other["better"], false);
}

#[test]
fn people_get_a_sentence_a_table_and_the_queries_that_moved() {
    let folder = Folder::new();
    let [a, b] = pair(&folder);
    let captions: String = (0..N)
        .map(|i| format!("clip{i},{i},\"clip {i}, \u{1b}[31mred\"\n"))
        .collect();
    let captions = folder.write("captions.csv", format!("text_id,n,sentence\n{captions}"));
    let named = format!("{captions}::sentence");
    let said = diff(&[&a, &b, "--captions", &named, "--most", "3"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(
        said.out.starts_with(&format!(
            "protocol custom, ties: average, captions: min-rank, median: mean-of-middle\n\
             A: {a}, eval/seed=0, score: matrix\nB: {b}, eval/seed=0, score: matrix\n\nt2v: B is better in R@1"
        )),
        "{}",
        said.out
    );
    let line = |start: &str| -> Vec<&str> {
        let found = said.out.lines().find(|line| line.starts_with(start));
        found
            .unwrap_or_else(|| panic!("no {start} in {}", said.out))
            .split_whitespace()
            .collect()
    };
    let at_1 = line("R@1 ");
    assert_eq!(at_1[..4], ["R@1", "10.0", "38.3", "+28.3"]);
    assert_eq!(at_1[at_1.len() - 2..], ["18", "1"]);
    assert_eq!(
        line("clip40 "),
        ["clip40", "clip40", "1", "60", "clip", "40,", "[31mred"]
    );
    assert!(line("McNemar's").contains(&"0.0001"));
    assert!(!said.out.contains('\u{1b}'), "no control characters");
    assert!(
        said.out.lines().skip(3).all(|line| line.chars().count() <= 120),
        "{}",
        said.out
    );
    refused(
        &[&a, &b, "--captions", &captions],
        2,
        "ids",
        &["no column `caption`, its columns are `text_id`, `n`, `sentence`"],
    );
    let others = folder.write("others.csv", "text_id,caption\nx,y\n");
    refused(
        &[&a, &b, "--captions", &others],
        2,
        "ids",
        &["none of the 60 texts", "`clip0`"],
    );
    let twice = folder.write("twice.csv", "text_id,caption\nclip0,a\nclip0,b\n");
    refused(
        &[&a, &b, "--captions", &twice],
        2,
        "ids",
        &["two captions of text `clip0`"],
    );
    let one = folder.write("one.csv", "caption_id,video_id,text\nclip0,v,a\n");
    let said = diff(&[&a, &b, "--captions", &one]);
    assert!(said.err.contains("59 texts have no caption"), "{}", said.err);

    let itself = diff(&[&a, &a]);
    assert_eq!(itself.code, Some(0));
    assert!(
        itself.out.contains("\nt2v: no query changed.\n") && !itself.out.contains("moved most"),
        "{}",
        itself.out
    );
}

#[test]
fn all_changed_queries_are_written() {
    let folder = Folder::new();
    let [a, b] = pair(&folder);
    let captions = folder.write("captions.csv", "text_id,caption\nclip3,\"a dog, barking\"\n");
    let out = folder.text("changed.csv");
    let said = diff(&[&a, &b, "--write", &out, "--captions", &captions]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let text = fs::read_to_string(&out).expect("it is written");
    let t2v: Vec<&str> = text.lines().filter(|line| line.starts_with("t2v")).collect();
    assert!(
        text.starts_with(
            "direction,query_id,true_id_a,true_id_b,rank_a,rank_b,greater_a,equal_a,own_equal_a,greater_b,equal_b,\
             own_equal_b,caption\nt2v,clip3,clip3,clip3,4.0,1.0,3,1,1,0,1,1,\"a dog, barking\"\n"
        ),
        "{text}"
    );
    assert_eq!(t2v.len(), 19);
    assert_eq!(t2v[1], "t2v,clip6,clip6,clip6,7.0,1.0,6,1,1,0,1,1,");
    let nowhere = folder.text("absent/changed.csv");
    refused(
        &[&a, &b, "--write", &nowhere],
        74,
        "cannot-write",
        &["changed.csv"],
    );
    assert_eq!(diff(&[&a, &a, "--write", &out]).code, Some(0));
    let text = fs::read_to_string(&out).expect("it is written");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn what_differs_in_more_than_scores_does_not_compare() {
    let folder = Folder::new();
    let scores = ranked(|query| query % 10);
    let a = evaluated(&folder, "a", &scores, &[]);
    let optimistic = evaluated(
        &folder,
        "optimistic",
        &scores,
        &["--ties", "optimistic", "--median", "lower"],
    );
    refused(
        &[&a, &optimistic],
        3,
        "other-ties",
        &[
            "tie rule is `average` in A and `optimistic` in B",
            "median rule is `mean-of-middle` in A and `lower` in B",
        ],
    );
    let post = evaluated(&folder, "post", &scores, &["--post", "dsl"]);
    refused(
        &[&a, &post],
        3,
        "other-post-processing",
        &["is none in A and `dsl:temperature=1` in B"],
    );
    let maxed = evaluated(&folder, "maxed", &scores, &["--captions", "max-over-captions"]);
    refused(
        &[&a, &maxed],
        3,
        "other-caption-rule",
        &["`min-rank`", "`max-over-captions`"],
    );

    let sims = folder.write("small.npy", npy([7, 7], &[0.5; 49]));
    let ids = folder.write("small.txt", "clip0\nclip1\nx1\nx2\nx3\nx4\nx5\n");
    let small = folder.text("small");
    let said = run([
        "eval",
        "--sim",
        &sims,
        "--text-ids",
        &ids,
        "--video-ids",
        &ids,
        "--out",
        &small,
    ]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    refused(
        &[&a, &small],
        3,
        "other-gallery",
        &[
            "the gallery of t2v has 60 items in A and 7 in B",
            "58 queries of t2v are in A only (`clip2`, `clip3`, `clip4`, `clip5`, `clip6`, ...)",
            "5 queries of v2t are in B only (`x1`, `x2`, `x3`, `x4`, `x5`)",
        ],
    );
    // The same ids, but two texts with each other's video.
    let sims = folder.write("swapped.npy", npy([N, N], &scores));
    let ids = write_ids(&folder);
    let map: String = (0..N)
        .map(|i| {
            format!(
                "clip{i},clip{}\n",
                match i {
                    0 => 1,
                    1 => 0,
                    _ => i,
                }
            )
        })
        .collect();
    let map = folder.write("map.csv", format!("text_id,video_id\n{map}"));
    let swapped = folder.text("swapped");
    let args = [
        "--sim",
        &sims,
        "--text-ids",
        &ids,
        "--video-ids",
        &ids,
        "--map",
        &map,
        "--out",
        &swapped,
    ];
    assert_eq!(run([&["eval"], &args[..]].concat()).code, Some(0));
    refused(
        &[&a, &swapped],
        3,
        "other-pairs",
        &["2 texts belong to another video (`clip0`, `clip1`)"],
    );
    let said = diff(&[&a, &swapped]);
    assert_eq!(said.code, Some(3));
    assert!(said.err.contains("do not compare"), "{}", said.err);
}

#[test]
fn other_scores_and_kernels_compare_and_are_said() {
    let folder = Folder::new();
    let eye: Vec<f32> = (0..N * N)
        .map(|at| f32::from(u8::from(at / N == at % N)))
        .collect();
    let text = folder.write("text.npy", npy([N, N], &eye));
    let out = folder.text("dots");
    let ids = write_ids(&folder);
    let args = [
        "--text",
        &text,
        "--video",
        &text,
        "--text-ids",
        &ids,
        "--video-ids",
        &ids,
        "--out",
        &out,
    ];
    let said = run([&["eval", "--kernel", "reference/f64"], &args[..]].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    let matrix = evaluated(&folder, "matrix", &eye, &["--recall-at", "1,3"]);
    let said = diff(&[&matrix, &out]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for part in [
        "matrix, eval/seed=0, score: matrix\n",
        "dots, eval/seed=0, score: dot, kernel: reference/f64\n",
        "do not score pairs alike",
    ] {
        assert!(said.out.contains(part), "no {part} in {}", said.out);
    }
    let found = json(&diff(&[&matrix, &out, "--json"]));
    let recalls = found["directions"]["t2v"]["r_at"].as_object().expect("recalls");
    assert_eq!(
        recalls.keys().collect::<Vec<_>>(),
        ["1"],
        "cut-offs that both report"
    );
    assert_eq!(
        (&found["b"]["kernel"], &found["n_tests"]),
        (&serde_json::json!("reference/f64"), &serde_json::json!(8))
    );
}

#[test]
fn trials_on_other_data_are_told_to_be_so() {
    let folder = Folder::new();
    let sides = pair(&folder);
    let of_data = |side: &str, hash: &str| {
        let path = format!("{side}/trials.jsonl");
        let text = fs::read_to_string(&path).expect("trials");
        let mut trial: serde_json::Value = serde_json::from_str(&text).expect("one trial");
        trial["result"]["data"]["n_train_videos"] = 7.into();
        trial["result"]["data"]["content_hash"] = hash.into();
        fs::write(&path, format!("{trial}\n")).expect("writable");
    };
    let note = "The data differ in captions, features or splits";
    assert!(!diff(&[&sides[0], &sides[1]]).out.contains(note));
    of_data(&sides[0], "one");
    of_data(&sides[1], "one");
    assert!(!diff(&[&sides[0], &sides[1]]).out.contains(note));
    of_data(&sides[1], "another");
    let said = diff(&[&sides[0], &sides[1]]);
    assert!(said.code == Some(0) && said.out.contains(note), "{}", said.out);
    let found = json(&diff(&[&sides[0], &sides[1], "--json"]));
    assert_eq!(found["b"]["data"]["content_hash"], "another");
}

#[test]
fn folders_and_trials_that_are_not_there_are_named() {
    let folder = Folder::new();
    let a = evaluated(&folder, "a", &ranked(|query| query % 10), &[]);
    let id = json(&diff(&[&a, &a, "--json"]))["a"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for trial in [&id, "eval/seed=0"] {
        assert_eq!(diff(&[&format!("{a}::{trial}"), &a]).code, Some(0), "{trial}");
    }
    refused(
        &[&format!("{a}::nine"), &a],
        2,
        "trial",
        &["no finished evaluation `nine`", "`eval/seed=0`", "FOLDER::TRIAL"],
    );
    let empty = folder.text("empty");
    fs::create_dir(&empty).expect("the test's folder is writable");
    refused(&[&a, &empty], 2, "records", &["is not a run folder"]);

    let ranks = Path::new(&a).join("ranks").join(format!("{id}.csv"));
    let whole = fs::read_to_string(&ranks).expect("ranks are written");
    for (from, to, part) in [
        (
            "t2v,clip1,clip1,1,1,1,",
            "t2v,clip1,clip1,70,1,1,",
            "70 items above",
        ),
        (
            "t2v,clip1,clip1,1,1,1,",
            "t2v,clip2,clip2,1,1,1,",
            "query `clip2` of t2v is there twice",
        ),
        (
            "t2v,clip1,clip1,1,1,1,",
            "v2t,clip1,clip1,1,1,1,",
            "59 queries of t2v instead of 60",
        ),
        ("t2v,clip1,clip1,1,1,1,", "t2v,clip1,clip1,1,one,1,", "torn"),
    ] {
        assert!(whole.contains(from));
        fs::write(&ranks, whole.replacen(from, to, 1)).expect("the test's folder is writable");
        refused(&[&a, &a], 2, "records", &[part]);
    }
    for args in [&["diff"][..], &["diff", &a], &["diff", &a, &a, "--most", "-1"]] {
        assert_eq!(run(args).code, Some(2), "{args:?}");
    }
}
