//! `eval --shard` and `merge`: the result of one process, to the byte.

use std::fs;

use crate::eval::{eval, json, refused};
use crate::files::{Folder, npy};

/// `n` rows of three whole numbers.
fn rows(n: usize, seed: usize) -> Vec<f32> {
    (0..3 * n).map(|at| ((at * 31 + seed) % 7) as f32 - 3.0).collect()
}

#[test]
fn shards_merge_to_the_result_of_one_process() {
    let folder = Folder::new();
    let text = folder.write("text.npy", npy([40, 3], &rows(40, 1)));
    let video = folder.write("video.npy", npy([40, 3], &rows(40, 3)));
    let given = ["--text", &text, "--video", &video];
    let (one, here, there) = (folder.text("one"), folder.text("here"), folder.text("there"));
    let whole = eval(&[&given[..], &["--json", "--out", &one]].concat());
    for (shard, out) in [("2/3", &here), ("1/3", &there), ("3/3", &here)] {
        let said = eval(&[&given[..], &["--shard", shard, "--out", out]].concat());
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.out.starts_with(&format!("shard {shard}: ")), "{}", said.out);
    }
    let missing = hitbench_tests::run(["merge", &here, "--json"]);
    assert_eq!(missing.code, Some(2));
    assert!(
        missing.err.contains("\"reason\":\"missing-shard\"") && missing.err.contains("part 1/3 is missing")
    );
    // Twice gives the same.
    for _ in 0..2 {
        let merged = hitbench_tests::run(["merge", &here, &there, "--json"]);
        assert_eq!(
            (merged.code, &merged.out),
            (Some(0), &whole.out),
            "{}",
            merged.err
        );
    }
    let read = |run: &str, name: &str| fs::read(folder.path(run).join(name)).unwrap();
    let ranks = fs::read_dir(folder.path("one").join("ranks")).unwrap();
    let ranks = ranks.map(|entry| format!("ranks/{}", entry.unwrap().file_name().to_string_lossy()));
    for name in ranks.chain(["summary.csv".to_owned()]) {
        assert_eq!(read("one", &name), read("here", &name), "{name}");
    }
    assert_eq!(json(&whole)["directions"]["t2v"]["n_queries"], 40);
}

#[test]
fn shards_of_other_files_or_numbers_do_not_merge() {
    let folder = Folder::new();
    let video = folder.write("video.npy", npy([9, 3], &rows(9, 3)));
    let (first, second) = (
        folder.write("first.npy", npy([9, 3], &rows(9, 1))),
        folder.write("second.npy", npy([9, 3], &rows(9, 2))),
    );
    let run = folder.text("run");
    for (text, index) in [(&first, 1), (&second, 2)] {
        let shard = format!("{index}/2");
        let said = json(&eval(&[
            "--text", text, "--video", &video, "--shard", &shard, "--out", &run, "--json",
        ]));
        assert_eq!((&said["part"], &said["of"]), (&index.into(), &2.into()));
    }
    let said = hitbench_tests::run(["merge", &run, "--json"]);
    assert_eq!(said.code, Some(3));
    for part in [
        "\"reason\":\"other-shards\"",
        "2-of-2.json",
        "contents of the files",
    ] {
        assert!(said.err.contains(part), "{}", said.err);
    }
    refused(
        &[
            "--text", &first, "--video", &video, "--shard", "1/3", "--out", &run,
        ],
        "other-run",
        &["1-of-2.json"],
    );
    let said = hitbench_tests::run(["merge", &folder.text("absent")]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("no shard in"), "{}", said.err);
}
