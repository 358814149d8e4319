//! The command line: help, exit codes, errors for people and for machines.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use hitbench_tests::{run, small_suite, workspace_root};
use serde_json::Value as Json;

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("not one JSON value ({error}): {text}"))
}

#[test]
fn every_command_has_an_example() {
    for command in [
        "plan",
        "run",
        "status",
        "report",
        "verify",
        "eval",
        "embed",
        "merge",
        "diff",
        "bless",
        "baseline",
        "gate",
        "calibrate",
        "compare",
        "protocols",
        "data",
        "schema",
        "doctor",
        "completions",
    ] {
        let said = run([command, "--help"]);
        assert_eq!(said.code, Some(0), "{command}: {}", said.err);
        let needed = if command == "data" { "Usage" } else { "Example" };
        assert!(
            said.out.contains(needed),
            "{command} --help has no `{needed}`:\n{}",
            said.out
        );
    }
}

#[test]
fn doctor_answers_whatever_is_missing() {
    let said = run(["doctor", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let report = json(&said.out);
    assert_eq!(report["schema"], "hitbench.doctor/1");
    let names: Vec<&str> = report["checks"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|check| check["name"].as_str())
        .collect();
    assert!(names.len() >= 3, "{names:?}");
    for check in report["checks"].as_array().expect("a list") {
        let why = check["detail"].as_str().unwrap_or_default();
        assert!(!why.is_empty(), "{check} says nothing");
    }
}

#[test]
fn verify_finds_the_scalar_kernel_right() {
    let said = run(["verify", "--kernel", "cpu/scalar/f32", "--json"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let report = json(&said.out);
    assert_eq!(report["schema"], "hitbench.verify/1");
    assert_eq!(report["reason"], "ok");
    let rows = report["rows"].as_array().expect("a list");
    assert_eq!(rows.len(), 6, "{report}");
    for row in rows {
        assert_eq!(row["kernel"], "cpu/scalar/f32");
        assert_eq!(row["verdict"], "passed", "{row}");
        let share = row["error"].as_f64().zip(row["tolerance"].as_f64());
        assert!(
            share.is_some_and(|(error, tolerance)| error <= tolerance),
            "{row}"
        );
    }
}

#[test]
fn verify_refuses_kernels_that_are_not_here() {
    // No processor has both.
    let absent = if cfg!(target_arch = "aarch64") {
        "cpu/avx2/f32"
    } else {
        "cpu/neon/f32"
    };
    for (kernel, reason) in [(absent, "unavailable-kernel"), ("cpu/f32", "unknown-kernel")] {
        let said = run(["verify", "--kernel", kernel, "--json"]);
        assert_eq!(said.code, Some(2), "{kernel}: {}", said.out);
        let error = json(&said.err);
        assert_eq!(error["reason"], reason, "{error}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| text.contains(kernel)),
            "{error}"
        );
        assert!(said.out.is_empty(), "nothing but errors: {}", said.out);
    }
}

#[test]
fn plan_counts_cells_trials_and_parameters() {
    let said = run(["plan", "suites/quickstart.yaml", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let text = said.out;
    let plan = json(&text);
    assert_eq!(plan["cells"].as_array().map(Vec::len), Some(9), "{plan}");
    let names = text.matches("/seed=").count();
    assert_eq!(names, 18, "nine cells with two seeds");
}

#[test]
fn usage_errors_exit_with_2() {
    for args in [
        &["run"][..],
        &["nonsense"],
        &["plan", "no-such-suite.yaml"],
        &["report", "suites"],
        &["status", "suites"],
    ] {
        let said = run(args);
        assert_eq!(said.code, Some(2), "{args:?}: {}", said.err);
        assert!(!said.err.is_empty(), "{args:?} says nothing");
    }
}

#[test]
fn usage_errors_are_one_object_where_json_is_asked_for() {
    for args in [&["run", "--json", "--nope"][..], &["plan", "--json"]] {
        let said = run(args);
        assert_eq!(said.code, Some(2), "{args:?}: {}", said.err);
        let error = json(&said.err);
        assert_eq!(error["schema"], "hitbench.error/1");
        assert_eq!(error["reason"], "usage", "{error}");
    }
}

#[test]
fn a_wrong_suite_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    for (more, path, line) in [
        ("train: {stepz: 3}", "train.stepz", 14),
        ("train: {batch: 0}", "train.batch", 14),
        ("momentum: {queue_len: -1}", "momentum.queue_len", 14),
        ("train: {steps: many}", "train.steps", 14),
        ("seeds: []", "seeds", 14),
        (
            "axes: {model.video.feature_tap: [1, 3]}",
            "model.video.feature_tap",
            14,
        ),
    ] {
        let suite = small_suite(folder.path(), more);
        for command in ["plan", "run"] {
            let said = run([command, suite.to_str().expect("UTF-8")]);
            assert_eq!(said.code, Some(2), "{command} with {more}: {}", said.err);
            assert!(
                said.err.contains(path),
                "`{path}` is not named for {more}: {}",
                said.err
            );
            assert!(
                said.err.contains(&format!("small.yaml:{line}:")),
                "no line {line} for {more}: {}",
                said.err
            );
        }
        let said = run(["plan", suite.to_str().expect("UTF-8"), "--json"]);
        let error = json(&said.err);
        assert_eq!(error["schema"], "hitbench.error/1");
        assert_eq!(error["code"], 2);
        assert_eq!(error["position"]["line"], line, "{error}");
        assert!(said.out.is_empty(), "nothing but errors: {}", said.out);
    }
}

#[test]
fn a_wrong_set_argument_is_named_as_such() {
    let said = run(["plan", "suites/quickstart.yaml", "--set", "train.batch=0"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("--set train.batch"), "{}", said.err);
}

#[cfg(not(feature = "torch"))]
#[test]
fn run_without_libtorch_names_the_build_command() {
    let said = run(["run", "suites/quickstart.yaml"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("--features torch"), "{}", said.err);
}

#[cfg(not(feature = "torch"))]
#[test]
fn a_model_without_libtorch_names_the_build_command() {
    let embed = ["embed", "--checkpoint", "a.safetensors", "--out", "target/none"];
    for args in [&embed[..], &["eval", "--checkpoint", "a.safetensors"]] {
        let said = run(args);
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains("--features torch"), "{}", said.err);
    }
}

#[test]
fn completions_are_scripts_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = run(["completions", shell]);
        assert_eq!((said.code, &*said.err), (Some(0), ""));
        assert!(
            said.out.contains("checkpoint") && said.out.contains("calibrate"),
            "{shell}"
        );
        assert!(!said.out.contains("measure-cells"), "{shell}: a hidden command");
    }
    let script = run(["completions", "bash"]).out;
    let mut bash = match Command::new("bash")
        .args(["-n", "/dev/stdin"])
        .stdin(Stdio::piped())
        .spawn()
    {
        Ok(bash) => bash,
        Err(error) => return println!("skipped: no bash: {error}"),
    };
    let mut input = bash.stdin.take().expect("piped");
    input.write_all(script.as_bytes()).expect("bash reads it all");
    drop(input);
    assert!(bash.wait().expect("bash ends").success());
    assert_eq!(run(["completions", "csh"]).code, Some(2));
}

#[test]
fn a_folder_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("run.json"), r#"{"format": 999}"#).expect("writable");
    for command in ["report", "status"] {
        let said = run([command, folder.path().to_str().expect("UTF-8"), "--json"]);
        assert_eq!(said.code, Some(2), "{command}: {}", said.err);
        let error = json(&said.err);
        assert!(
            error["message"].as_str().is_some_and(|text| text.contains("999")),
            "{error}"
        );
    }
}

#[test]
fn the_schema_names_every_section() {
    let said = run(["schema", "suite"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let schema = json(&said.out);
    for section in ["data", "model", "train", "momentum", "eval", "axes", "seeds"] {
        assert!(
            schema["properties"][section].is_object(),
            "no `{section}` in the schema"
        );
    }
}

#[test]
fn a_written_data_set_is_a_valid_example() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("example");
    let out = out.to_str().expect("UTF-8");
    let said = run(["data", "synth", "--out", out]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(folder.path().join("example/dataset.yaml").is_file());
    let set = format!("data={{folder: {{path: {out}}}}}");
    let said = run(["plan", "suites/ci/smoke.yaml", "--set", &set]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        workspace_root().join("harness/src/data/FORMAT.md").is_file(),
        "the format is documented"
    );
}
