//! The files that `gate` writes for other tools, and what is left when they cannot be written.

use std::fs;

use serde_json::{Value as Json, json};

use crate::diff::{evaluated, ranked};
use crate::files::Folder;
use crate::gate::blessed;

#[test]
fn every_export_says_the_same() {
    let folder = Folder::new();
    let [_, baseline, policy] = blessed(&folder);
    let after = evaluated(
        &folder,
        "after",
        &ranked(|query| query % 3 + usize::from(query == 7)),
        &[],
    );
    let [junit, sarif, bencher, lines] =
        ["g.xml", "g.sarif", "g.bencher.json", "g.jsonl"].map(|name| folder.text(name));
    let charts = folder.text("charts");
    let summary = folder.write("summary.md", "before\n");
    let said = hitbench_tests::hitbench([
        "gate",
        "--baseline",
        &baseline,
        "--run",
        &after,
        "--policy",
        &policy,
        "--junit",
        &junit,
        "--sarif",
        &sarif,
        "--bencher",
        &bencher,
        "--json-lines",
        &lines,
        "--action-benchmark",
        &charts,
        "--github",
    ])
    .env("GITHUB_STEP_SUMMARY", &summary)
    .output()
    .expect("hitbench starts");
    let out = String::from_utf8(said.stdout).expect("text");
    assert_eq!(
        said.status.code(),
        Some(1),
        "{out}{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let read = |path: &str| fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(read(&junit).contains("failures=\"1\""));
    let log: Json = serde_json::from_str(&read(&sarif)).expect("JSON");
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "gate/kernel");
    let metrics: Json = serde_json::from_str(&read(&bencher)).expect("JSON");
    assert_eq!(metrics["eval/the only cell"]["t2v.r_at.1"]["value"], 1.0 / 3.0);
    let rows: Vec<Json> = read(&lines)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let verdicts: Vec<&Json> = rows.iter().map(|row| &row["verdict"]).collect();
    assert_eq!(verdicts, ["regressed", "equivalent"]);
    let bigger: Json = serde_json::from_str(&read(&format!("{charts}/bigger.json"))).expect("JSON");
    assert_eq!(bigger.as_array().map(Vec::len), Some(1));
    assert_eq!(read(&format!("{charts}/smaller.json")), "[]\n");
    let text = read(&summary);
    assert!(
        text.starts_with("before\n### Gate of eval") && text.contains("| regressed | exact |"),
        "{text}"
    );
    assert!(out.contains("::error file="), "{out}");
}

#[test]
fn a_verdict_is_printed_before_its_files_fail() {
    let folder = Folder::new();
    let [_, baseline, policy] = blessed(&folder);
    let after = evaluated(&folder, "after", &ranked(|query| query % 3 + 1), &[]);
    let nowhere = folder.text("no/such/file");
    let args = |more: &[&str]| {
        let inputs = ["--baseline", &baseline, "--run", &after, "--policy", &policy];
        hitbench_tests::hitbench([&["gate"], &inputs[..], more].concat())
    };
    for (option, what) in [
        ("--junit", "JUnit XML"),
        ("--sarif", "SARIF file"),
        ("--bencher", "file for Bencher"),
        ("--json-lines", "file of JSON lines"),
    ] {
        let said = args(&[option, &nowhere, "--json"])
            .output()
            .expect("hitbench starts");
        assert_eq!(said.status.code(), Some(74));
        let verdict: Json = serde_json::from_slice(&said.stdout).expect("the verdict");
        assert_eq!(verdict["code"], 1);
        let error: Json = serde_json::from_slice(&said.stderr).expect("the error");
        assert_eq!(
            (&error["reason"], &error["file"]),
            (&json!("cannot-write"), &json!(nowhere))
        );
        let message = error["message"].as_str().expect("a message");
        assert!(
            message.contains(&format!("there is no {what}: could not write `{nowhere}`")),
            "{message}"
        );
        assert!(error["help"].is_string(), "{error}");
    }
    let said = args(&["--github"])
        .env("GITHUB_STEP_SUMMARY", &nowhere)
        .output()
        .expect("hitbench starts");
    let [out, err] = [said.stdout, said.stderr].map(|text| String::from_utf8(text).expect("text"));
    assert_eq!(said.status.code(), Some(74), "{err}");
    assert!(
        out.contains("regressed") && out.contains("::error file="),
        "{out}"
    );
    assert!(
        err.contains("no summary on GitHub") && err.contains("no/such/file"),
        "{err}"
    );
}
