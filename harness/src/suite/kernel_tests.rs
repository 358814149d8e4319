//! What throughput suites come to, and what their authors read when something is wrong.

use serde_json::json;

use super::kernel_cell::{Cache, Operation, RankCountsShape};
use super::{AnySuite, ThroughputSuite, Work};

const SUITE: &str = "\
format: 1
name: sample
version: 1
about: A sample.
kind: throughput
operation: rank_counts
shapes:
  - {queries: 100, gallery: 200, dim: 64}
  - {operation: top_k, queries: 10, gallery: 20, dim: 8, k: 5}
axes: {kernel: [cpu/auto/f16, gemm/f32]}
reference: {kernel: gemm/f32}
measure: {processes: 2, threads: 1}
";

fn parse(old: &str, new: &str, sets: &[&str]) -> Result<AnySuite, super::SuiteError> {
    assert!(SUITE.contains(old), "{old}");
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    AnySuite::parse("sample.yaml", &SUITE.replacen(old, new, 1), &sets)
}

fn valid(old: &str, new: &str, sets: &[&str]) -> ThroughputSuite {
    match parse(old, new, sets) {
        Ok(AnySuite::Throughput(suite)) => suite,
        Ok(AnySuite::Ablation(_)) => panic!("an ablation"),
        Err(error) => panic!("{error}"),
    }
}

/// The error on one line, and its hint.
fn refused(old: &str, new: &str, sets: &[&str]) -> (String, String) {
    let error = parse(old, new, sets).expect_err(new);
    (error.to_string(), error.problem().hint().unwrap_or_default())
}

#[test]
fn shapes_are_crossed_with_axes_and_take_the_default_operation() {
    let suite = valid("", "", &[]);
    let cells: Vec<(Operation, &str)> = suite
        .cells
        .iter()
        .map(|cell| (cell.config.work.operation(), cell.config.kernel.as_str()))
        .collect();
    assert_eq!(
        cells,
        [
            (Operation::RankCounts, "cpu/auto/f16"),
            (Operation::RankCounts, "gemm/f32"),
            (Operation::TopK, "cpu/auto/f16"),
            (Operation::TopK, "gemm/f32"),
        ]
    );
    let measure = &suite.cells[0].config.measure;
    assert_eq!((measure.processes, measure.samples, measure.threads), (2, 20, 1));
    assert_eq!(measure.cache, [Cache::Warm, Cache::Cold]);
    assert_eq!(
        suite.cells[0].config.work,
        Work::RankCounts(RankCountsShape {
            queries: 100,
            gallery: 200,
            dim: 64,
            directions: 1
        })
    );
    assert_eq!(
        suite.reference.as_ref().map(|values| values[0].value.clone()),
        Some(json!("gemm/f32"))
    );
}

#[test]
fn settings_are_laid_over_all_shapes() {
    let suite = valid(
        "",
        "",
        &["kernel=[reference/f64]", "measure.samples=5", "shape.dim=7"],
    );
    assert_eq!(suite.cells.len(), 2);
    assert_eq!(
        suite.notes,
        ["no reference: `kernel` is never \"gemm/f32\" with --set kernel"]
    );
    for cell in &suite.cells {
        assert_eq!(
            (cell.config.measure.samples, &cell.config.work.sizes()["dim"]),
            (5, &json!(7))
        );
    }
    let suite = valid(
        "axes: {",
        "axes: {shape.dim: [3, 4], measure.threads: [1, 2], ",
        &[],
    );
    assert_eq!(suite.cells.len(), 16);
    let suite = valid(
        "",
        "",
        &["shapes=[{operation: enqueue, batch: 2, queue_len: 3, dim: 4}]"],
    );
    assert_eq!(suite.cells[0].config.work.operation(), Operation::Enqueue);
}

#[test]
fn on_a_gpu_calls_are_timed_with_the_copies_to_it_and_back_or_without() {
    let of = |cache: &str| {
        let new = format!(
            "device: cuda:0\naxes: {{kernel: [cuda/sm80/f16, libtorch/cuda/f32]}}\nmeasure: {{{cache}}}\n"
        );
        let from = SUITE.find("axes").expect("the sample has axes");
        AnySuite::parse("sample.yaml", &(SUITE[..from].to_owned() + &new), &[])
    };
    let Ok(AnySuite::Throughput(suite)) = of("cache: [transfer]") else {
        panic!("{:?}", of("cache: [transfer]"));
    };
    assert_eq!(suite.cells.len(), 4);
    assert!(
        suite
            .cells
            .iter()
            .all(|cell| cell.config.measure.cache == [Cache::Transfer])
    );
    of("cache: [cold, transfer, warm]").expect("rows can be held on a device");
    for refused in ["cache: [transfer, transfer]", "cache: []"] {
        let error = of(refused).expect_err(refused).to_string();
        assert!(
            error.ends_with("allowed: `warm`, `cold`, `transfer` or some of them, each once"),
            "{error}"
        );
    }
}

#[test]
fn exclusions_match_operations_and_kernels() {
    let rule = "exclude: [{when: {operation: top_k, kernel: gemm/f32}, reason: slow}, {when: {shape.k: 6}, reason: no}]\n\
        measure:";
    let suite = valid("measure:", rule, &[]);
    assert_eq!((suite.cells.len(), suite.excluded.len()), (3, 1));
    assert_eq!(suite.notes, ["exclusion `{\"shape.k\":6}` matches no cell"]);
    let (error, _) = refused(
        "measure:",
        "exclude: [{when: {operation: topk}, reason: a}]\nmeasure:",
        &[],
    );
    assert_eq!(error, "sample.yaml:12:30: unknown value `topk` for `operation`");
}

#[test]
fn impossible_values_are_named_with_place_and_range() {
    for (old, new, expected) in [
        (
            "k: 5",
            "k: 21",
            "sample.yaml:9:61: impossible value for `shape.k`: 21; allowed: 1 to 20 (`shape.gallery`)",
        ),
        (
            "processes: 2",
            "processes: 0",
            "sample.yaml:12:22: impossible value for `measure.processes`: 0; allowed: 1 to 1000",
        ),
        (
            "threads: 1",
            "cache: []",
            "sample.yaml:12:32: impossible value for `measure.cache`: []; allowed: `warm`, `cold` or both, each once",
        ),
        (
            "operation: top_k, queries: 10, gallery: 20, dim: 8, k: 5",
            "operation: enqueue, batch: 5, queue_len: 4, dim: 8",
            "sample.yaml:9:47: impossible value for `shape.queue_len`: 4; allowed: at least 5 (`shape.batch`)",
        ),
        (
            "operation: top_k, queries: 10, gallery: 20, dim: 8, k: 5",
            "operation: ema_update, tensors: 5, parameters: 4",
            "sample.yaml:9:53: impossible value for `shape.parameters`: 4; allowed: 5 (`shape.tensors`) to 17179869184",
        ),
        (
            "kernel: [cpu/auto/f16",
            "kernel: [libtorch/cuda/f16",
            "sample.yaml:10:17: impossible value for `kernel`: libtorch/cuda/f16; allowed: a kernel of the CPU, as `device` is \
             cpu",
        ),
        (
            "kind: throughput",
            "kind: throughput\ndevice: cuda:0",
            "sample.yaml:11:17: impossible value for `kernel`: cpu/auto/f16; allowed: a kernel of the GPU, as `device` is \
             cuda:0",
        ),
        (
            "kind: throughput",
            "kind: throughput\ndevice: cuda:1",
            "sample.yaml:6:9: impossible value for `device`: `cuda:1`; allowed: `cpu` or `cuda:0`",
        ),
        (
            "threads: 1",
            "cache: [warm, transfer]",
            "sample.yaml:12:32: impossible value for `measure.cache`: [\"warm\",\"transfer\"]; allowed: `warm`, `cold`",
        ),
        (
            "shapes:\n  - {queries: 100, gallery: 200, dim: 64}\n  - {operation: top_k, queries: 10, gallery: 20, \
             dim: 8, k: 5}",
            "shapes: []",
            "sample.yaml:7:9: impossible value for `shapes`: []; allowed: at least one shape",
        ),
    ] {
        let (error, _) = refused(old, new, &[]);
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
}

#[test]
fn keys_and_types_are_checked_where_they_stand() {
    for (old, new, expected, hint) in [
        (
            "k: 5",
            "kk: 5",
            "sample.yaml:9:58: unknown key `shape.kk`",
            "did you mean `k`?",
        ),
        (
            ", k: 5",
            "",
            "sample.yaml:9:5: `shape.k` is missing",
            "add `k: ...`",
        ),
        (
            "k: 5",
            "k: five",
            "sample.yaml:9:61: wrong type for `shape.k`: expected a whole number",
            "`shape.k`: Hits a query",
        ),
        (
            "processes: 2",
            "procs: 2",
            "sample.yaml:12:11: unknown key `measure.procs`",
            "did you mean",
        ),
        (
            "measure:",
            "seeds: [0]\nmeasure:",
            "sample.yaml:12:1: suites of kind `throughput` have no `seeds`",
            "inputs have a fixed seed",
        ),
        (
            "measure:",
            "train: {steps: 3}\nmeasure:",
            "sample.yaml:12:1: suites of kind `throughput` have no `train`",
            "`train` belongs to suites of kind `ablation`",
        ),
        (
            "operation: rank_counts\n",
            "",
            "sample.yaml:",
            "add `operation: rank_counts`",
        ),
        (
            "rank_counts",
            "rank_count",
            "sample.yaml:6:12: unknown value `rank_count` for `operation`",
            "did you mean",
        ),
        (
            "cpu/auto/f16",
            "cpu/auto/f61",
            "sample.yaml:10:17: unknown value `cpu/auto/f61` for `kernel`",
            "did you mean",
        ),
        (
            "axes: {",
            "axes: {kernle: [1], ",
            "sample.yaml:10:8: unknown key `kernle`",
            "did you mean `kernel`?",
        ),
        (
            "dim: 64}",
            "dim: 64}\n  - {queries: 100, gallery: 200, dim: 64}",
            "sample.yaml:9:5: axis `shape` has",
            "remove",
        ),
        (
            "kind: throughput",
            "kind: ablation",
            "sample.yaml:6:1: suites of kind `ablation` have no `operation`",
            "belongs to suites of kind `throughput`",
        ),
        (
            "kind: throughput",
            "kind: speed",
            "sample.yaml:5:7: unknown value `speed` for `kind`",
            "values: ",
        ),
        (
            "gemm/f32}",
            "gemm/f16}",
            "sample.yaml:11:21: unknown value `gemm/f16` for `reference.kernel`",
            "did you mean",
        ),
    ] {
        let (error, found) = refused(old, new, &[]);
        assert!(error.starts_with(expected), "{error}\n{expected}");
        assert!(found.contains(hint), "{error}\n{found}\n{hint}");
    }
}

#[test]
fn set_arguments_are_checked_as_the_file_is() {
    for (set, expected) in [
        (
            "measure.processes=0",
            "--set measure.processes: impossible value for `measure.processes`: 0",
        ),
        (
            "measure.procs=0",
            "--set measure.procs: unknown key `measure.procs`",
        ),
        ("kernel=cpu/auto/f16", "--set kernel: wrong type for `kernel`"),
        (
            "seeds=[1]",
            "--set seeds: suites of kind `throughput` have no `seeds`",
        ),
        ("kind=ablation", "--set kind: `kind` cannot be set"),
        (
            "shape=3",
            "--set shape: wrong type for `shape`: expected a map of sizes",
        ),
        ("nonsense=3", "--set nonsense: `nonsense` names no setting"),
    ] {
        let (error, _) = refused("", "", &[set]);
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
}
