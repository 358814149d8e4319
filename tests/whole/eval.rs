//! `eval` and `protocols`: numbers, formats, ids, run folders, errors.

use std::fs;
use std::path::{Path, PathBuf};

use hitbench_tests::{Said, run};
use serde_json::Value as Json;

use crate::files::{Folder, npy};

impl Folder {
    /// Three texts, three videos: ranks 1, 2 and a tie for 1 in t2v.
    fn three(&self) -> String {
        let scores = [0.9, 0.1, 0.2, 0.8, 0.7, 0.1, 0.0, 0.5, 0.5];
        self.write("sims.npy", npy([3, 3], &scores))
    }
}

pub(crate) fn json(said: &Said) -> Json {
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out)
        .unwrap_or_else(|error| panic!("not one JSON value ({error}): {}", said.out))
}

pub(crate) fn eval(args: &[&str]) -> Said {
    run([&["eval"], args].concat())
}

/// Fails with exit code 2, and says all of `parts`.
#[track_caller]
pub(crate) fn refused(args: &[&str], reason: &str, parts: &[&str]) {
    let said = eval(args);
    assert_eq!(said.code, Some(2), "{args:?}: {}{}", said.out, said.err);
    assert!(said.out.is_empty(), "{}", said.out);
    let said = eval(&[args, &["--json"]].concat());
    assert_eq!(said.code, Some(2));
    let error: Json = serde_json::from_str(&said.err).unwrap_or_else(|error| panic!("{error}: {}", said.err));
    assert_eq!(
        (&error["schema"], &error["reason"]),
        (&"hitbench.error/1".into(), &reason.into()),
        "{error}"
    );
    let text = format!("{} {}", error["message"], error["help"]);
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn a_matrix_gives_the_numbers_of_its_ranks() {
    let folder = Folder::new();
    let sims = folder.three();
    let found = json(&eval(&["--sim", &sims, "--json", "--recall-at", "1,2,3"]));
    assert_eq!(found["schema"], "hitbench.eval/1");
    for (key, value) in [
        ("protocol", Json::from("custom")),
        ("ties", "average".into()),
        ("caption_rule", "min-rank".into()),
        ("median", "mean-of-middle".into()),
        ("score", "matrix".into()),
        ("kernel", Json::Null),
        ("post", Json::Null),
        ("joined_by", "position".into()),
    ] {
        assert_eq!(found[key], value, "{key}");
    }
    let t2v = &found["directions"]["t2v"];
    assert_eq!(
        (&t2v["n_queries"], &t2v["n_gallery"], &t2v["n_tied"]),
        (&3.into(), &3.into(), &1.into())
    );
    // Ranks 1, 2 and 1.5: the tie misses R@1 and has a place between the first and the second.
    assert_eq!(t2v["r_at"]["1"], 1.0 / 3.0);
    assert_eq!(t2v["r_at"]["2"], 1.0);
    assert_eq!(
        t2v["r_at_interval"]["1"],
        serde_json::json!([1.0 / 3.0, 2.0 / 3.0])
    );
    assert_eq!(
        (&t2v["median_rank"], &t2v["mean_rank"]),
        (&1.5.into(), &1.5.into())
    );
    for k in ["1", "2", "3"] {
        let ends = t2v["r_at_ci95"][k].as_array().expect("an interval");
        assert_eq!(ends.len(), 2, "R@{k}");
    }
    let fast = json(&eval(&[
        "--sim",
        &sims,
        "--json",
        "--no-ci",
        "--ties",
        "optimistic",
    ]));
    let t2v = &fast["directions"]["t2v"];
    assert_eq!(
        (&t2v["r_at"]["1"], &t2v["r_at_ci95"]["1"]),
        (&(2.0 / 3.0).into(), &Json::Null)
    );
    assert_eq!(
        eval(&["--sim", &sims, "--json"]).out,
        eval(&["--sim", &sims, "--json"]).out
    );
}

#[test]
fn the_table_says_what_decides_its_numbers() {
    let folder = Folder::new();
    let sims = folder.three();
    let said = eval(&["--sim", &sims, "--post", "dsl:temperature=0.5"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.out.starts_with(
            "protocol custom + dsl:temperature=0.5, ties: average, captions: min-rank, median: mean-of-middle, \
             score: matrix\n"
        ),
        "{}",
        said.out
    );
    for line in [
        "queries",
        "gallery",
        "tied queries",
        "R@1 ",
        "R@50",
        "MdR",
        "MnR",
        "MRR",
        "nDCG@10",
        "mAP",
    ] {
        assert!(
            said.out.lines().any(|found| found.starts_with(line)),
            "no {line} in {}",
            said.out
        );
    }
    assert!(
        said.out.lines().skip(1).all(|line| line.chars().count() <= 100),
        "{}",
        said.out
    );
}

#[test]
fn the_table_says_where_captions_of_one_video_are_rivals() {
    let folder = Folder::new();
    // Captions 0 and 1 are the same text of video 0, and score best for it.
    let sims = folder.write("sims.npy", npy([3, 2], &[0.9, 0.1, 0.9, 0.1, 0.2, 0.8]));
    let map = folder.write("map.csv", "text_id,video_id\na,u\nb,u\nc,v\n");
    let [texts, videos] = ["a\nb\nc\n", "u\nv\n"].map(str::to_owned);
    let texts = folder.write("texts.txt", texts);
    let videos = folder.write("videos.txt", videos);
    let input = [
        "--sim",
        &sims,
        "--text-ids",
        &texts,
        "--video-ids",
        &videos,
        "--map",
        &map,
    ];
    let rivals = "True items of one query tie with each other";
    for (ties, share, is_said) in [("average", 0.5, true), ("expected", 1.0, false)] {
        let found = json(&eval(&[&input[..], &["--ties", ties, "--json"]].concat()));
        assert_eq!(found["directions"]["v2t"]["r_at"]["1"], share);
        let table = eval(&[&input[..], &["--ties", ties]].concat());
        assert_eq!(table.out.contains(rivals), is_said, "{}", table.out);
    }
}

#[test]
fn embeddings_are_scored_by_the_kernel_named() {
    let folder = Folder::new();
    let text = folder.write("text.npy", npy([3, 2], &[3.0, 0.0, 0.0, 2.0, 1.0, 1.0]));
    let video = folder.write("video.npy", npy([3, 2], &[1.0, 0.0, 0.0, 1.0, 0.9, 0.9]));
    let given = ["--text", &text, "--video", &video, "--json", "--no-ci"];
    let said = eval(&given);
    let found = json(&said);
    assert_eq!(found["score"], "dot");
    assert!(
        found["kernel"]
            .as_str()
            .is_some_and(|kernel| kernel.starts_with("cpu/") && kernel.ends_with("/f32"))
    );
    assert!(
        said.err
            .contains("3 of 3 text rows have a length further than 0.001 from 1"),
        "{}",
        said.err
    );
    assert!(said.err.contains("1 of 3 video rows"), "{}", said.err);
    let unit = eval(&[&given[..], &["--normalize", "--kernel", "reference/f64"]].concat());
    let found = json(&unit);
    assert_eq!(
        (&found["score"], &found["kernel"]),
        (&"cosine".into(), &"reference/f64".into())
    );
    assert_eq!(found["directions"]["t2v"]["r_at"]["1"], 1.0);
    assert!(unit.err.is_empty(), "{}", unit.err);
    assert_eq!(found["narrowing"], Json::Null);
    let half = [&given[..], &["--kernel", "cpu/auto/f16"]].concat();
    let narrowing = &json(&eval(&half))["narrowing"];
    assert_eq!(
        narrowing["t2v"],
        serde_json::json!({"changed": 0, "could_change": 0})
    );
    let unknown = eval(&["--text", &text, "--video", &video, "--kernel", "cpu/none/f32"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.err.contains("unknown kernel `cpu/none/f32`"),
        "{}",
        unknown.err
    );
}

#[test]
fn ids_join_and_misfits_are_refused_or_counted() {
    let folder = Folder::new();
    let scores = [0.1, 0.9, 0.2, 0.8, 0.6, 0.2, 0.3, 0.3];
    let sims = folder.write("sims.npy", npy([4, 2], &scores));
    let texts = folder.write("texts.csv", "id,note\nt1,a\nt2,b\nt3,c\nt4,d\n");
    let texts = format!("{texts}::id");
    let videos = folder.write("videos.txt", "v1\r\nv2\r\n");
    let map = folder.write("map.csv", "text_id,video_id\nt4,v1\nt3,v1\nt2,v2\nt1,v2\n");
    refused(&["--sim", &sims], "ids", &["4 texts and 2 videos", "--map"]);
    refused(&["--sim", &sims, "--map", &map], "usage", &["--text-ids"]);
    let by_id = [
        "--sim",
        &sims,
        "--text-ids",
        &texts,
        "--video-ids",
        &videos,
        "--map",
    ];
    let found = json(&eval(&[&by_id[..], &[&map, "--json"]].concat()));
    assert_eq!(found["directions"]["t2v"]["r_at"]["1"], 0.75);
    assert_eq!(
        (&found["joined_by"], &found["left_out"]),
        (&"ids".into(), &serde_json::json!({}))
    );

    let short = folder.write("short.csv", "text_id,video_id\nt4,v1\nt9,v1\nt2,v2\nt1,v2\n");
    let short = [&by_id[..], &[&short]].concat();
    refused(
        &short,
        "ids",
        &[
            "1 texts belong to no known video (`t3`)",
            "(`t9`)",
            "--allow-missing",
        ],
    );
    let said = eval(&[&short[..], &["--allow-missing"]].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.out
            .contains("left out: 1 texts belong to no known video (`t3`)\n"),
        "{}",
        said.out
    );
    let found = json(&eval(&[&short[..], &["--allow-missing", "--json"]].concat()));
    assert_eq!(found["left_out"]["unknown_texts"], 1);
    assert_eq!(found["directions"]["t2v"]["n_queries"], 3);
}

#[test]
fn bad_inputs_are_errors_with_file_place_and_expectation() {
    let folder = Folder::new();
    let sims = folder.three();
    let bytes = fs::read(&sims).expect("just written");
    let cut = folder.write("cut.npy", &bytes[..bytes.len() - 1]);
    refused(
        &["--sim", &cut],
        "format",
        &["cut.npy", "byte 70", "expected 36 bytes", "found 35"],
    );
    refused(
        &["--sim", &folder.text("absent.npy")],
        "cannot-read",
        &["absent.npy"],
    );
    let nan = folder.write("nan.npy", npy([2, 2], &[1.0, 0.0, f32::NAN, 1.0]));
    refused(
        &["--sim", &nan],
        "values",
        &["nan.npy", "row 1, column 0 is NaN", "--mask"],
    );
    refused(
        &["--sim", &sims, "--protocol", "msrvtt-1ka"],
        "protocol",
        &["has 1000 captions, found 3", "hitbench protocols"],
    );
    refused(
        &["--sim", &sims, "--protocol", "msrvtt"],
        "protocol",
        &["unknown protocol `msrvtt`", "msrvtt-1ka"],
    );
    refused(&["--sim", &format!("{sims}::a")], "format", &["no member `a`"]);
    refused(&["--sim", &sims, "--post", "qbnorm"], "usage", &["--bank"]);
    for args in [
        &["eval"][..],
        &["eval", "--sim", &sims, "--text", &sims],
        &["eval", "--sim", &sims, "--normalize"],
        &["eval", "--sim", &sims, "--kernel", "reference/f64"],
        &["eval", "--text", &sims],
        &["eval", "--sim", &sims, "--recall-at", "0"],
        &["eval", "--sim", &sims, "--ties", "random"],
    ] {
        let said = run(args);
        assert_eq!(said.code, Some(2), "{args:?}: {}", said.out);
        assert!(!said.err.is_empty());
    }
}

#[test]
fn a_query_bank_answers_for_the_directions_it_has() {
    let folder = Folder::new();
    let sims = folder.three();
    let bank = folder.write("bank.npy", npy([2, 3], &[0.9, 0.1, 0.1, 0.1, 0.2, 0.8]));
    let one = json(&eval(&[
        "--sim",
        &sims,
        "--post",
        "qbnorm:beta=5",
        "--bank",
        &bank,
        "--json",
    ]));
    assert_eq!(one["post"], "qbnorm:beta=5,k=1");
    assert!(one["directions"]["t2v"].is_object() && one["directions"]["v2t"].is_null());
    let bank_v2t = folder.write("bank_v2t.npy", npy([3, 1], &[0.9, 0.1, 0.1]));
    let args = [
        "--sim",
        &sims,
        "--post",
        "qbnorm",
        "--bank",
        &bank,
        "--bank-v2t",
        &bank_v2t,
        "--json",
    ];
    assert!(json(&eval(&args))["directions"]["v2t"].is_object());
    let args = ["--sim", &sims, "--post", "qbnorm", "--bank", &bank_v2t];
    refused(&args, "shape", &["bank_v2t.npy", "(3, 1)", "3 columns"]);
    let out = folder.text("out");
    let args = ["--sim", &sims, "--post", "qbnorm", "--bank", &bank, "--out", &out];
    refused(&args, "usage", &["--bank-v2t"]);
    assert!(!Path::new(&out).exists());
}

#[test]
fn the_table_is_drawn_for_markdown_and_latex_too() {
    let folder = Folder::new();
    let sims = folder.three();
    let drawn = |format: &str| {
        let said = eval(&[
            "--sim",
            &sims,
            "--no-ci",
            "--recall-at",
            "1,2",
            "--format",
            format,
        ]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        said.out
    };
    let markdown = drawn("markdown");
    assert!(
        markdown.starts_with(
            "**protocol custom, ties: average, captions: min-rank, median: mean-of-middle, score: matrix**\n\n\
             |  | t2v | ties | v2t | ties |\n\
             | --- | ---: | ---: | ---: | ---: |\n\
             | queries | 3 |  | 3 |  |\n\
             | gallery | 3 |  | 3 |  |\n\
             | tied queries | 1 |  | 0 |  |\n\
             | R@1 | 33.3 | [33.3, 66.7] | 100.0 |  |\n"
        ),
        "{markdown}"
    );
    assert!(markdown.contains("\n\nR@K in per cent:"), "{markdown}");
    let latex = drawn("latex");
    for part in [
        "\\begin{tabular}{lrrrr}\n\\toprule\n",
        "\n\\midrule\n  queries & 3 &  & 3 &  \\\\\n",
        "\n  R@1 & 33.3 & [33.3, 66.7] & 100.0 &  \\\\\n",
        "\n\\bottomrule\n\\end{tabular}\n",
        "protocol custom, ties: average",
    ] {
        assert!(latex.contains(part), "no {part} in {latex}");
    }
    // The same rows and cells as the console's table, however they are drawn.
    let words = |text: &str| -> Vec<Vec<String>> {
        let rows = text
            .lines()
            .filter(|line| line.contains("R@") && !line.contains("per cent"));
        let cells = rows.map(|line| line.split([' ', '|', '&', '\\']).filter(|cell| !cell.is_empty()));
        cells.map(|cells| cells.map(str::to_owned).collect()).collect()
    };
    assert_eq!(words(&markdown), words(&drawn("table")));
    assert_eq!(words(&latex), words(&markdown));
    let both = eval(&["--sim", &sims, "--format", "latex", "--json"]);
    assert_eq!(both.code, Some(2));
}

#[test]
fn counts_and_trec_files_are_written_whole_or_not_at_all() {
    let folder = Folder::new();
    let sims = folder.three();
    let [ranks, run_file, qrels] = ["ranks.csv", "run.txt", "qrels.txt"].map(|name| folder.text(name));
    let out = folder.text("out");
    let said = eval(&[
        "--sim",
        &sims,
        "--json",
        "--out",
        &out,
        "--write-ranks",
        &ranks,
        "--write-trec",
        &run_file,
        "--trec-depth",
        "2",
        "--write-qrels",
        &qrels,
    ]);
    json(&said);
    let read = |path: &str| fs::read_to_string(path).expect("it is written");
    assert_eq!(
        read(&run_file),
        "0 Q0 0 1 0.9 hitbench\n0 Q0 2 2 0.2 hitbench\n1 Q0 0 1 0.8 hitbench\n1 Q0 1 2 0.7 hitbench\n\
         2 Q0 1 1 0.5 hitbench\n2 Q0 2 2 0.5 hitbench\n"
    );
    assert_eq!(read(&qrels), "0 0 0 1\n1 0 1 1\n2 0 2 1\n");
    let of_run = fs::read_dir(Path::new(&out).join("ranks")).expect("a run folder");
    let of_run: Vec<PathBuf> = of_run.map(|entry| entry.expect("a file").path()).collect();
    assert_eq!(
        read(&ranks),
        fs::read_to_string(&of_run[0]).expect("ranks of the run")
    );

    let nowhere = folder.text("absent/run.txt");
    let said = eval(&["--sim", &sims, "--json", "--write-trec", &nowhere]);
    assert_eq!(said.code, Some(74));
    assert!(
        said.out.is_empty() && said.err.contains("cannot-write"),
        "{}",
        said.err
    );
    let ids = folder.write("ids.txt", "a\nb c\nd\n");
    let args = [
        "--sim",
        &sims,
        "--text-ids",
        &ids,
        "--video-ids",
        &ids,
        "--write-qrels",
        &qrels,
    ];
    refused(&args, "ids", &["text id `b c`"]);
    assert_eq!(
        read(&qrels),
        "0 0 0 1\n1 0 1 1\n2 0 2 1\n",
        "what was there stays"
    );
    refused(&["--sim", &sims, "--trec-depth", "2"], "usage", &["--write-trec"]);
}

#[test]
fn a_run_folder_is_an_ordinary_one() {
    let folder = Folder::new();
    let sims = folder.three();
    let bytes = |out: &str| -> Vec<Vec<u8>> {
        let said = eval(&["--sim", &sims, "--out", out]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        let ranks = fs::read_dir(Path::new(out).join("ranks")).expect("ranks are written");
        let mut files: Vec<PathBuf> = ranks.map(|entry| entry.expect("a file").path()).collect();
        assert_eq!(files.len(), 1);
        files.push(Path::new(out).join("summary.csv"));
        files
            .iter()
            .map(|file| fs::read(file).expect("the run has it"))
            .collect()
    };
    let (first, second) = (folder.text("first"), folder.text("second"));
    let written = bytes(&first);
    assert_eq!(written, bytes(&second), "equal work gives equal bytes");
    assert_eq!(written, bytes(&first), "and again in the same folder");
    let ranks = String::from_utf8(written[0].clone()).expect("CSV");
    assert!(
        ranks.starts_with("direction,query_id,true_id,greater,equal,own_equal,score\nt2v,0,0,0,1,1,0.8999"),
        "{ranks}"
    );
    let status = run(["status", &first, "--json"]);
    assert_eq!(
        (json(&status)["n_done"].as_u64(), json(&status)["n_left"].as_u64()),
        (Some(1), Some(0))
    );
    let report = run(["report", &first]);
    assert_eq!(report.code, Some(0), "{}", report.err);
    let markdown = fs::read_to_string(Path::new(&first).join("report.md")).expect("a report");
    assert!(markdown.contains("hitbench eval --sim"), "{markdown}");
    refused(
        &["--sim", &sims, "--ties", "optimistic", "--out", &first],
        "other-run",
        &["first", "--out"],
    );
}

#[test]
fn protocols_are_listed_with_their_counts() {
    let found = json(&run(["protocols", "--json"]));
    assert_eq!(found["schema"], "hitbench.protocols/1");
    let protocols = found["protocols"].as_array().expect("a list");
    let of = |id: &str| {
        protocols
            .iter()
            .find(|protocol| protocol["id"] == id)
            .expect("it is listed")
    };
    assert_eq!(
        (&of("msvd-670")["n_captions"], &of("msvd-670")["n_videos"]),
        (&27_763.into(), &670.into())
    );
    assert_eq!(
        (&of("custom")["n_captions"], &of("custom")["source"]),
        (&Json::Null, &Json::Null)
    );
    let text = run(["protocols"]).out;
    for protocol in protocols {
        let id = protocol["id"].as_str().expect("a name");
        assert!(
            text.lines().any(|line| line.starts_with(id)),
            "{id} is not in\n{text}"
        );
    }
}
