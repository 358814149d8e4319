//! What a suite's author reads when something is wrong.

use miette::{GraphicalReportHandler, GraphicalTheme};

use super::{AnySuite, Suite};

const SUITE: &str = "\
format: 1
name: sample
version: 1
about: A sample.
kind: ablation
data: {synthetic: {videos: 100, test_videos: 20}}
model: {preset: tiny}
train: {steps: 10, batch: 32}
momentum:
  queue_len: 64
  temperature: 0.07
axes:
  model.hierarchy: [semantic, both]
";

/// The sample with a part replaced, read with `--set` arguments; renders the error.
fn message(old: &str, new: &str, sets: &[&str]) -> String {
    assert!(SUITE.contains(old), "{old}");
    let text = SUITE.replacen(old, new, 1);
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    let error = Suite::parse("suites/sample.yaml", &text, &sets).expect_err("the suite is wrong");
    let mut out = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut out, &error)
        .expect("a string takes all text");
    out
}

#[test]
fn unknown_key() {
    insta::assert_snapshot!(message("queue_len", "queue_length", &[]), @r"
     × suites/sample.yaml:10:3: unknown key `momentum.queue_length`
       ╭─[10:3]
     9 │ momentum:
    10 │   queue_length: 64
       ·   ──────┬─────
       ·         ╰── no such key
    11 │   temperature: 0.07
       ╰────
     help: did you mean `queue_len`? keys here: `queue_len`, `momentum`, `temperature`,
           `in_batch_negatives`, `mask_same_video`, `queue_dtype`
    ");
}

#[test]
fn unknown_top_level_key() {
    insta::assert_snapshot!(message("axes:", "sedes: [1]\naxes:", &[]), @r"
     × suites/sample.yaml:12:1: unknown key `sedes`
       ╭─[12:1]
    11 │   temperature: 0.07
    12 │ sedes: [1]
       · ──┬──
       ·   ╰── no such key
    13 │ axes:
       ╰────
     help: did you mean `seeds`?
    ");
}

#[test]
fn wrong_type() {
    insta::assert_snapshot!(message("batch: 32", "batch: many", &[]), @r"
     × suites/sample.yaml:8:27: wrong type for `train.batch`: expected a whole number of at least 0,
     │ found text `many`
      ╭─[8:27]
    7 │ model: {preset: tiny}
    8 │ train: {steps: 10, batch: many}
      ·                           ──┬─
      ·                             ╰── wrong type
    9 │ momentum:
      ╰────
     help: `train.batch`: Pairs a step.
    ");
}

#[test]
fn fraction_for_a_count() {
    insta::assert_snapshot!(message("steps: 10", "steps: 1.5", &[]), @r"
     × suites/sample.yaml:8:16: wrong type for `train.steps`: expected a whole number of at least 0,
     │ found the number 1.5
      ╭─[8:16]
    7 │ model: {preset: tiny}
    8 │ train: {steps: 1.5, batch: 32}
      ·                ─┬─
      ·                 ╰── wrong type
    9 │ momentum:
      ╰────
     help: `train.steps`: Optimizer steps.
    ");
}

#[test]
fn section_that_is_no_map() {
    insta::assert_snapshot!(message("{preset: tiny}", "tiny", &[]), @r"
     × suites/sample.yaml:7:8: wrong type for `model`: expected a map of settings, found `tiny`
      ╭─[7:8]
    6 │ data: {synthetic: {videos: 100, test_videos: 20}}
    7 │ model: tiny
      ·        ──┬─
      ·          ╰── wrong type
    8 │ train: {steps: 10, batch: 32}
      ╰────
    ");
}

#[test]
fn unknown_preset() {
    insta::assert_snapshot!(message("preset: tiny", "preset: tny", &[]), @r"
     × suites/sample.yaml:7:17: unknown value `tny` for `model.preset`
      ╭─[7:17]
    6 │ data: {synthetic: {videos: 100, test_videos: 20}}
    7 │ model: {preset: tny}
      ·                 ─┬─
      ·                  ╰── no such value
    8 │ train: {steps: 10, batch: 32}
      ╰────
     help: did you mean `tiny`? values: `tiny`, `paper`
    ");
}

#[test]
fn batch_of_zero() {
    insta::assert_snapshot!(message("batch: 32", "batch: 0", &[]), @r"
     × suites/sample.yaml:8:27: impossible value for `train.batch`: 0; allowed: at least 1
      ╭─[8:27]
    7 │ model: {preset: tiny}
    8 │ train: {steps: 10, batch: 0}
      ·                           ┬
      ·                           ╰── impossible
    9 │ momentum:
      ╰────
     help: `train.batch`: Pairs a step.
    ");
}

#[test]
fn negative_queue() {
    insta::assert_snapshot!(message("queue_len: 64", "queue_len: -64", &[]), @r"
     × suites/sample.yaml:10:14: impossible value for `momentum.queue_len`: -64; allowed: a whole
     │ number of at least 0
       ╭─[10:14]
     9 │ momentum:
    10 │   queue_len: -64
       ·              ─┬─
       ·               ╰── impossible
    11 │   temperature: 0.07
       ╰────
     help: `momentum.queue_len`: Keys kept as negatives, `K` in the papers; 0 is the end-to-end
           baseline without key encoders.
    ");
}

#[test]
fn queue_shorter_than_the_batch() {
    insta::assert_snapshot!(message("queue_len: 64", "queue_len: 16", &[]), @r"
     × suites/sample.yaml:10:14: impossible value for `momentum.queue_len`: 16; allowed: 0, or at
     │ least 32 (`train.batch`)
       ╭─[10:14]
     7 │ model: {preset: tiny}
     8 │ train: {steps: 10, batch: 32}
       ·                           ─┬
       ·                            ╰── `train.batch` is 32
     9 │ momentum:
    10 │   queue_len: 16
       ·              ─┬
       ·               ╰── impossible
    11 │   temperature: 0.07
       ╰────
     help: `momentum.queue_len`: Keys kept as negatives, `K` in the papers; 0 is the end-to-end
           baseline without key encoders.
    ");
}

#[test]
fn kernels_that_the_device_has_not() {
    insta::assert_snapshot!(message("batch: 32}", "batch: 32, kernels: custom}\ndevice: cuda:1", &[]), @r#"
     × suites/sample.yaml:8:40: impossible value for `train.kernels`: `custom`; allowed: `libtorch`,
     │ as `device` is neither `cpu` nor `cuda:0`
       ╭─[8:40]
     7 │ model: {preset: tiny}
     8 │ train: {steps: 10, batch: 32, kernels: custom}
       ·                                        ───┬──
       ·                                           ╰── impossible
     9 │ device: cuda:1
       ·         ───┬──
       ·            ╰── `device` is "cuda:1"
    10 │ momentum:
       ╰────
     help: `train.kernels`: Who computes the InfoNCE terms, the momentum update and the queue writes:
           libtorch, or the kernels of this program (on `cpu` and `cuda:0`).
    "#);
}

#[test]
fn tap_beyond_depth() {
    insta::assert_snapshot!(message("{preset: tiny}", "{preset: tiny, video: {layers: 2, semantic_tap: 3}}", &[]), @r"
     × suites/sample.yaml:7:56: impossible value for `model.video.semantic_tap`: 3; allowed: 1 to 2
     │ (`model.video.layers`)
      ╭─[7:56]
    6 │ data: {synthetic: {videos: 100, test_videos: 20}}
    7 │ model: {preset: tiny, video: {layers: 2, semantic_tap: 3}}
      ·                                       ┬                ┬
      ·                                       │                ╰── impossible
      ·                                       ╰── `model.video.layers` is 2
    8 │ train: {steps: 10, batch: 32}
      ╰────
     help: `model.video.semantic_tap`: Tap of the semantic level: output of this layer, counted from
           1.
    ");
}

#[test]
fn default_that_does_not_fit_what_is_written() {
    insta::assert_snapshot!(message("{preset: tiny}", "{preset: tiny, text: {hidden: 90}}", &[]), @r"
     × suites/sample.yaml:7:38: impossible value for `model.text.heads`: 4 (from preset `tiny`);
     │ allowed: a divisor of 90 (`model.text.hidden`)
      ╭─[7:38]
    6 │ data: {synthetic: {videos: 100, test_videos: 20}}
    7 │ model: {preset: tiny, text: {hidden: 90}}
      ·                                      ─┬
      ·                                       ╰── set here
    8 │ train: {steps: 10, batch: 32}
      ╰────
     help: set `model.text.heads` as well: its value (from preset `tiny`) does not fit what is set
           here
    ");
}

#[test]
fn empty_test_split() {
    insta::assert_snapshot!(message("test_videos: 20", "test_videos: 0", &[]), @r"
     × suites/sample.yaml:6:46: impossible value for `data.synthetic.test_videos`: 0; allowed: 1 to
     │ 99 (one less than `data.synthetic.videos`)
      ╭─[6:46]
    5 │ kind: ablation
    6 │ data: {synthetic: {videos: 100, test_videos: 0}}
      ·                            ─┬─               ┬
      ·                             │                ╰── impossible
      ·                             ╰── `data.synthetic.videos` is 100
    7 │ model: {preset: tiny}
      ╰────
     help: `data.synthetic.test_videos`: Test videos; the rest train.
    ");
}

#[test]
fn unknown_kernel() {
    insta::assert_snapshot!(message("kind: ablation", "kind: ablation\neval: {kernel: cpu/auto/f23}", &[]), @r"
     × suites/sample.yaml:6:16: unknown value `cpu/auto/f23` for `eval.kernel`
      ╭─[6:16]
    5 │ kind: ablation
    6 │ eval: {kernel: cpu/auto/f23}
      ·                ──────┬─────
      ·                      ╰── no such value
    7 │ data: {synthetic: {videos: 100, test_videos: 20}}
      ╰────
     help: did you mean `cpu/auto/f32`?
    ");
}

#[test]
fn unknown_kind() {
    insta::assert_snapshot!(message("kind: ablation", "kind: speed", &[]), @r"
     × suites/sample.yaml:5:7: unknown value `speed` for `kind`
      ╭─[5:7]
    4 │ about: A sample.
    5 │ kind: speed
      ·       ──┬──
      ·         ╰── no such value
    6 │ data: {synthetic: {videos: 100, test_videos: 20}}
      ╰────
     help: values: `ablation`, `throughput`
    ");
}

#[test]
fn duplicate_key() {
    insta::assert_snapshot!(message("  temperature", "  queue_len", &[]), @r"
     × suites/sample.yaml:11:3: not valid YAML: key `queue_len` stands twice
       ╭─[11:3]
    10 │   queue_len: 64
    11 │   queue_len: 0.07
       ·   ────┬────
       ·       ╰── here
    12 │ axes:
       ╰────
     help: keep one of the two
    ");
}

#[test]
fn broken_yaml() {
    insta::assert_snapshot!(message("tiny}", "tiny", &[]), @r"
     × suites/sample.yaml:8:6: not valid YAML: while parsing a flow mapping, did not find expected
     │ ',' or '}'
      ╭─[8:6]
    7 │ model: {preset: tiny
    8 │ train: {steps: 10, batch: 32}
      ·      ▲
      ·      ╰── here
    9 │ momentum:
      ╰────
     help: look for a missing bracket, quote or colon at or above this place
    ");
}

#[test]
fn axis_over_an_unknown_path() {
    insta::assert_snapshot!(message("model.hierarchy", "model.hierachy", &[]), @r"
     × suites/sample.yaml:13:3: unknown key `model.hierachy`
       ╭─[13:3]
    12 │ axes:
    13 │   model.hierachy: [semantic, both]
       ·   ───────┬──────
       ·          ╰── no such key
       ╰────
     help: did you mean `hierarchy`? keys here: `preset`, `hierarchy`, `embed_dim`, `pooling`,
           `video`, `text`, `video_input`, `max_text_tokens`, `level_weights`, `key_dropout`
    ");
}

#[test]
fn axis_without_its_section() {
    insta::assert_snapshot!(message("model.hierarchy: [semantic, both]", "queue_len: [0, 64]", &[]), @r"
     × suites/sample.yaml:13:3: unknown key `queue_len`
       ╭─[13:3]
    12 │ axes:
    13 │   queue_len: [0, 64]
       ·   ────┬────
       ·       ╰── no such key
       ╰────
     help: did you mean `momentum.queue_len`?
    ");
}

#[test]
fn axis_value_that_is_impossible_in_one_cell() {
    insta::assert_snapshot!(message("model.hierarchy: [semantic, both]", "momentum.queue_len: [0, 8, 64]", &[]), @r"
     × suites/sample.yaml:13:27: impossible value for `momentum.queue_len`: 8; allowed: 0, or at
     │ least 32 (`train.batch`); in cell momentum.queue_len=8
       ╭─[13:27]
     7 │ model: {preset: tiny}
     8 │ train: {steps: 10, batch: 32}
       ·                           ─┬
       ·                            ╰── `train.batch` is 32
     9 │ momentum:
    10 │   queue_len: 64
    11 │   temperature: 0.07
    12 │ axes:
    13 │   momentum.queue_len: [0, 8, 64]
       ·                           ┬
       ·                           ╰── impossible
       ╰────
     help: `momentum.queue_len`: Keys kept as negatives, `K` in the papers; 0 is the end-to-end
           baseline without key encoders.
    ");
}

#[test]
fn axis_of_another_data_source() {
    insta::assert_snapshot!(message("model.hierarchy: [semantic, both]", "data.folder.path: [a, b]", &[]), @r"
     × suites/sample.yaml:13:3: axis `data.folder.path` is of another source than `data.synthetic`
       ╭─[13:3]
    12 │ axes:
    13 │   data.folder.path: [a, b]
       ·   ────────┬───────
       ·           ╰── here
       ╰────
     help: sweep settings of the source that `data` names, or make `data` itself the axis
    ");
}

#[test]
fn axis_value_twice() {
    insta::assert_snapshot!(message("[semantic, both]", "[both, both]", &[]), @r"
     × suites/sample.yaml:13:27: axis `model.hierarchy` has `both` twice
       ╭─[13:27]
    12 │ axes:
    13 │   model.hierarchy: [both, both]
       ·                           ──┬─
       ·                             ╰── here
       ╰────
     help: remove one; replicates are made by `seeds`
    ");
}

#[test]
fn missing_data() {
    insta::assert_snapshot!(message("data: {synthetic: {videos: 100, test_videos: 20}}\n", "", &[]), @r"
     × suites/sample.yaml:1:1: `data` is missing
      ╭─[1:1]
    1 │ format: 1
      · ▲
      · ╰── missing in this map
    2 │ name: sample
      ╰────
     help: add `data: {synthetic: {}}`
    ");
}

#[test]
fn missing_path_of_a_folder() {
    insta::assert_snapshot!(message("{synthetic: {videos: 100, test_videos: 20}}", "{folder: {}}", &[]), @r"
     × suites/sample.yaml:6:16: `data.folder.path` is missing
      ╭─[6:16]
    5 │ kind: ablation
    6 │ data: {folder: {}}
      ·                ┬
      ·                ╰── missing in this map
    7 │ model: {preset: tiny}
      ╰────
     help: add `path: text`
    ");
}

#[test]
fn missing_header_key() {
    insta::assert_snapshot!(message("version: 1\n", "", &[]), @r"
     × suites/sample.yaml:1:1: `version` is missing
      ╭─[1:1]
    1 │ format: 1
      · ▲
      · ╰── missing in this map
    2 │ name: sample
      ╰────
     help: add `version: 1`
    ");
}

#[test]
fn set_without_value() {
    insta::assert_snapshot!(message("", "", &["momentum.queue_len"]), @r"
     × --set momentum.queue_len: `momentum.queue_len` is not of the form PATH=VALUE
      ╭────
    1 │ momentum.queue_len
      · ─────────┬────────
      ·          ╰── no `=` with a path before it
      ╰────
     help: for example `--set momentum.queue_len=[0, 256]`
    ");
}

#[test]
fn set_of_an_impossible_value() {
    insta::assert_snapshot!(message("", "", &["train.lr=0.1", "momentum.queue_len=-1"]), @r"
     × --set momentum.queue_len: impossible value for `momentum.queue_len`: -1; allowed: a whole
     │ number of at least 0
      ╭────
    1 │ momentum.queue_len=-1
      ·                    ─┬
      ·                     ╰── impossible
      ╰────
     help: `momentum.queue_len`: Keys kept as negatives, `K` in the papers; 0 is the end-to-end
           baseline without key encoders.
    ");
}

#[test]
fn set_of_an_unknown_path() {
    insta::assert_snapshot!(message("", "", &["momentum.quelen=3"]), @r"
     × --set momentum.quelen: unknown key `momentum.quelen`
      ╭────
    1 │ momentum.quelen=3
      · ───────┬───────
      ·        ╰── no such key
      ╰────
     help: did you mean `queue_len`? keys here: `queue_len`, `momentum`, `temperature`,
           `in_batch_negatives`, `mask_same_video`, `queue_dtype`
    ");
}

#[test]
fn set_of_a_path_without_its_section() {
    insta::assert_snapshot!(message("", "", &["queue_len=3"]), @r"
     × --set queue_len: `queue_len` names no setting
      ╭────
    1 │ queue_len=3
      · ────┬────
      ·     ╰── no such path
      ╰────
     help: did you mean `momentum.queue_len`?
    ");
}

#[test]
fn set_of_a_scalar_on_an_axis() {
    insta::assert_snapshot!(message("", "", &["model.hierarchy=both"]), @r"
     × --set model.hierarchy: wrong type for `model.hierarchy`: expected a list of values, as this is
     │ an axis, found `both`
      ╭────
    1 │ model.hierarchy=both
      ·                 ──┬─
      ·                   ╰── wrong type
      ╰────
     help: `model.hierarchy`: an axis has one cell a value; for one value write a list of one
    ");
}

#[test]
fn set_of_a_list_on_a_single_value() {
    insta::assert_snapshot!(message("", "", &["train.lr=[0.1, 0.2]"]), @r"
     × --set train.lr: wrong type for `train.lr`: expected a number, found a list
      ╭────
    1 │ train.lr=[0.1, 0.2]
      ·          ┬
      ·          ╰── wrong type
      ╰────
     help: to sweep over several values make `train.lr` an axis: `axes: {train.lr: [...]}`
    ");
}

#[test]
fn set_of_broken_yaml() {
    insta::assert_snapshot!(message("", "", &["seeds=[0, 1"]), @r"
     × --set seeds: not valid YAML: unclosed bracket '['
      ╭────
    1 │ seeds=[0, 1
      ·       ▲
      ·       ╰── here
      ╰────
     help: look for a missing bracket, quote or colon at or above this place
    ");
}

#[test]
fn reference_outside_the_axis() {
    insta::assert_snapshot!(message("axes:", "reference: {model.hierarchy: feature}\naxes:", &[]), @r"
     × suites/sample.yaml:12:30: unknown value `feature` for `reference.model.hierarchy`
       ╭─[12:30]
    11 │   temperature: 0.07
    12 │ reference: {model.hierarchy: feature}
       ·                              ───┬───
       ·                                 ╰── no such value
    13 │ axes:
       ╰────
     help: values: `semantic`, `both`
    ");
}

#[test]
fn differences_in_what_no_cell_reports() {
    insta::assert_snapshot!(message("axes:", "differences: [t2v.r_at.1, t2v.r_at.7]\naxes:", &[]), @r"
     × suites/sample.yaml:12:27: unknown value `t2v.r_at.7` for `differences.1`
       ╭─[12:27]
    11 │   temperature: 0.07
    12 │ differences: [t2v.r_at.1, t2v.r_at.7]
       ·                           ─────┬────
       ·                                ╰── no such value
    13 │ axes:
       ╰────
     help: did you mean `t2v.r_at.5`? values: `t2v.r_at.1`, `t2v.r_at.5`, `t2v.r_at.10`,
           `t2v.r_at.50`, `v2t.r_at.1`, `v2t.r_at.5`, `v2t.r_at.10`, `v2t.r_at.50`
    ");
}

#[test]
fn differences_in_one_metric_twice() {
    insta::assert_snapshot!(message("axes:", "differences: [v2t.r_at.1, v2t.r_at.1]\naxes:", &[]), @r"
     × suites/sample.yaml:12:27: impossible value for `differences.1`: `v2t.r_at.1`; allowed: metrics
     │ that differ
       ╭─[12:27]
    11 │   temperature: 0.07
    12 │ differences: [v2t.r_at.1, v2t.r_at.1]
       ·                           ─────┬────
       ·                                ╰── impossible
    13 │ axes:
       ╰────
    ");
}

#[test]
fn exclusion_of_a_value_that_cannot_be() {
    let exclude = "exclude: [{when: {model.hierarchy: semantics}, reason: typo}]\naxes:";
    insta::assert_snapshot!(message("axes:", exclude, &[]), @r"
     × suites/sample.yaml:12:36: unknown value `semantics` for `model.hierarchy`
       ╭─[12:36]
    11 │   temperature: 0.07
    12 │ exclude: [{when: {model.hierarchy: semantics}, reason: typo}]
       ·                                    ────┬────
       ·                                        ╰── no such value
    13 │ axes:
       ╰────
     help: did you mean `semantic`? values: `semantic`, `feature`, `both`
    ");
}

#[test]
fn unknown_metric() {
    insta::assert_snapshot!(message("axes:", "expect: {t2v.r_at.7: 0.5}\naxes:", &[]), @r"
     × suites/sample.yaml:12:10: unknown key `expect.t2v.r_at.7`
       ╭─[12:10]
    11 │   temperature: 0.07
    12 │ expect: {t2v.r_at.7: 0.5}
       ·          ─────┬────
       ·               ╰── no such key
    13 │ axes:
       ╰────
     help: did you mean `t2v.r_at.5`?
    ");
}

#[test]
fn unreadable_file() {
    let error = AnySuite::load(std::path::Path::new("no/such.yaml"), &[]).expect_err("no such file");
    assert_eq!(error.to_string(), "no/such.yaml: cannot read the file");
    assert!(std::error::Error::source(&error).is_some());
}
