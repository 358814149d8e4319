//! The suites of the project: all plan, all fit the schema, and their format is documented as it is.

use std::path::{Path, PathBuf};

use super::schema::{json_schema, key_table};
use super::tree::Node;
use super::{AnySuite, Problem, Suite, SuiteError};
use crate::measure::MeasurePlan;
use crate::trial::Plan;

fn suites_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites")
}

/// All suite files, sorted.
fn suite_files() -> Vec<PathBuf> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("the folder exists") {
            let path = entry.expect("the entry is readable").path();
            // Policies are no suites.
            if path.ends_with("gates") {
                continue;
            }
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                out.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&suites_folder(), &mut files);
    files.sort();
    files
}

fn load(path: &Path) -> AnySuite {
    AnySuite::load(path, &[]).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> SuiteError {
    AnySuite::parse("a.yaml", text, &[]).expect_err(text)
}

#[test]
fn every_suite_plans_to_the_documented_size() {
    let mut sizes = Vec::new();
    for path in suite_files() {
        let suite = match load(&path) {
            AnySuite::Ablation(suite) => suite,
            AnySuite::Throughput(suite) => {
                let plan = MeasurePlan::new(&suite, None).expect("no filter");
                assert!(suite.notes.is_empty(), "{}: {:?}", suite.name, suite.notes);
                assert!(suite.reference.is_some(), "{}", suite.name);
                sizes.push((suite.name.clone(), plan.cells.len(), plan.cells.len()));
                continue;
            }
        };
        let plan = Plan::new(&suite, None).expect("no filter");
        assert!(suite.notes.is_empty(), "{}: {:?}", suite.name, suite.notes);
        assert_eq!(
            path.file_stem().and_then(|stem| stem.to_str()),
            Some(suite.name.as_str())
        );
        assert_eq!(
            plan.cells.iter().filter(|cell| cell.is_reference).count(),
            1,
            "{}",
            suite.name
        );
        sizes.push((suite.name.clone(), plan.cells.len(), plan.n_trials()));
    }
    let expected = [
        ("kernels", 2, 6),
        ("momentum", 7, 21),
        ("queue-by-hierarchy", 12, 36),
        ("kernels", 15, 15),
        ("noise", 3, 3),
        ("smoke", 4, 12),
        ("quickstart", 9, 18),
        ("activitynet-two-annotators", 4, 12),
        ("activitynet", 4, 12),
        ("lsmdc", 4, 12),
        ("msrvtt-1ka", 4, 12),
        ("gpu-momentum-queue", 15, 15),
        ("gpu-train-step", 6, 6),
        ("gpu", 23, 23),
        ("momentum-queue", 9, 9),
        ("similarity", 16, 16),
        ("train-step", 8, 8),
    ];
    assert_eq!(
        sizes,
        expected.map(|(name, cells, trials)| (name.to_owned(), cells, trials))
    );
}

#[test]
fn every_suite_fits_the_schema() {
    let schema = jsonschema::validator_for(json_schema()).expect("the schema is a schema");
    for path in suite_files() {
        let text = std::fs::read_to_string(&path).expect("the file is readable");
        let json = Node::from_yaml(&text).expect("valid YAML").to_json();
        let errors: Vec<String> = schema
            .iter_errors(&json)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let schema = jsonschema::validator_for(json_schema()).expect("the schema is a schema");
    let good = "{format: 1, name: a, version: 1, about: a, kind: ablation, data: {synthetic: {}}}";
    let json = |text: &str| Node::from_yaml(text).expect("valid YAML").to_json();
    assert!(schema.is_valid(&json(good)));
    for (old, new) in [
        ("name: a", "nam: a"),
        ("version: 1, ", ""),
        ("data: {synthetic: {}}", "data: {}"),
        ("data: {synthetic: {}}", "data: {folder: {}}"),
        ("data: {synthetic: {}}", "data: {synthetic: {vidoes: 3}}"),
        ("data: {synthetic: {}}", "data: {synthetic: {videos: -3}}"),
        (
            "data: {synthetic: {}}",
            "data: {synthetic: {}}, train: {optimizer: sgd}",
        ),
        (
            "data: {synthetic: {}}",
            "data: {synthetic: {}}, axes: {train.lrr: [1]}",
        ),
        (
            "data: {synthetic: {}}",
            "data: {synthetic: {}}, axes: {train.lr: 0.5}",
        ),
        (
            "data: {synthetic: {}}",
            "data: {synthetic: {}}, axes: {train.lr: [fast]}",
        ),
        (
            "data: {synthetic: {}}",
            "data: {synthetic: {}}, expect: {t2v.r_ta.1: 0.5}",
        ),
        (
            "data: {synthetic: {}}",
            "data: {synthetic: {}}, differences: [t2v.mrr]",
        ),
        ("kind: ablation", "kind: throughput"),
    ] {
        let text = good.replacen(old, new, 1);
        assert!(!schema.is_valid(&json(&text)), "{text}");
        refused(&text);
    }
}

#[test]
fn the_schema_of_throughput_suites_refuses_what_the_reader_refuses() {
    let schema = jsonschema::validator_for(json_schema()).expect("the schema is a schema");
    let good = "{format: 1, name: a, version: 1, about: a, kind: throughput, kernel: cpu/auto/f16, \
        shapes: [{operation: top_k, queries: 8, gallery: 9, dim: 4, k: 2}]}";
    let json = |text: &str| Node::from_yaml(text).expect("valid YAML").to_json();
    assert!(schema.is_valid(&json(good)));
    assert!(AnySuite::parse("a.yaml", good, &[]).is_ok());
    for (old, new) in [
        ("k: 2}", "kk: 2}"),
        ("k: 2}", "k: two}"),
        ("operation: top_k", "operation: top_kk"),
        ("shapes: [", "shape: ["),
        ("kernel: cpu/auto/f16", "kernel: cpu/auto/f16, seeds: [0]"),
        (
            "kernel: cpu/auto/f16",
            "kernel: cpu/auto/f16, data: {synthetic: {}}",
        ),
        ("kernel: cpu/auto/f16", "axes: {kernel: cpu/auto/f16}"),
        ("kernel: cpu/auto/f16", "axes: {train.lr: [0.5]}"),
        (
            "kernel: cpu/auto/f16",
            "kernel: cpu/auto/f16, measure: {processes: -1}",
        ),
        (
            "kernel: cpu/auto/f16",
            "kernel: cpu/auto/f16, measure: {cache: [tepid]}",
        ),
        ("kind: throughput", "kind: ablation"),
    ] {
        let text = good.replacen(old, new, 1);
        assert!(!schema.is_valid(&json(&text)), "{text}");
        refused(&text);
    }
}

#[test]
fn the_format_is_documented_as_it_is() {
    let path = suites_folder().join("FORMAT.md");
    let text = std::fs::read_to_string(&path).expect("the file is readable");
    let (_, rest) = text
        .split_once("<!-- hitbench schema keys -->\n\n")
        .expect("the table has a start");
    let (table, _) = rest.split_once("\n<!-- end -->").expect("the table has an end");
    assert!(
        table == key_table(),
        "write this into {}:\n{}",
        path.display(),
        key_table()
    );
}

#[test]
fn the_example_of_the_format_is_a_suite() {
    let text = std::fs::read_to_string(suites_folder().join("FORMAT.md")).expect("the file is readable");
    let (_, rest) = text.split_once("```yaml\n").expect("there is an example");
    let (example, _) = rest.split_once("```").expect("it ends");
    let (_, rest) = rest.split_once("```yaml\n").expect("there is a second example");
    let (measured, _) = rest.split_once("```").expect("it ends");
    match AnySuite::parse("measured.yaml", measured, &[]) {
        Ok(AnySuite::Throughput(suite)) => assert_eq!(suite.cells.len(), 6),
        other => panic!("{other:?}"),
    }
    let suite = Suite::parse("example.yaml", example, &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(Plan::new(&suite, None).expect("no filter").n_trials(), 9);
    assert_eq!(suite.excluded.len(), 1);
    let error =
        Suite::parse("example.yaml", example, &["train.btach=3".to_owned()]).expect_err("no such key");
    assert!(matches!(error.problem(), Problem::UnknownKey { path, .. } if path == "train.btach"));
}

#[test]
fn every_policy_is_valid_and_has_its_suite() {
    let mut gated = Vec::new();
    for path in suite_files() {
        if let Some(policy) = load(&path).gate() {
            crate::gate::Policy::load(policy).unwrap_or_else(|error| panic!("{error}"));
            gated.push(policy.file_name().expect("a file").to_owned());
        }
    }
    // Runs of outside embeddings have no suite.
    let exact = suites_folder().join("gates/exact.yaml");
    crate::gate::Policy::load(&exact).unwrap_or_else(|error| panic!("{error}"));
    gated.push("exact.yaml".into());
    gated.sort();
    let gates = std::fs::read_dir(suites_folder().join("gates")).expect("the folder exists");
    let policies = gates.map(|entry| entry.expect("the entry is readable").file_name());
    let mut policies: Vec<_> = policies
        .filter(|name| name.to_string_lossy().ends_with(".yaml"))
        .collect();
    policies.sort();
    assert_eq!(policies, gated);
}
