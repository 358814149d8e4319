//! Made-up runs for tests: smooth functions of cell and seed, so that every number has a reason.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::record::{
    AxisRecord, AxisValues, BaselineRecord, BaselinesRecord, ComparisonRecord, ComparisonsFile, CurveRow,
    DataRecord, DirectionPair, DirectionRecord, FORMAT, GpuRecord, MachineRecord, PlannedCell, PlannedTrial,
    ProtocolRecord, RunRecord, ScoreKind, ScoreRecord, SuiteRecord, ToolRecord, TrainingRecord, TrialOutcome,
    TrialRecord, TrialResult, Verdict,
};

pub(crate) const QUEUE: &str = "momentum.queue_len";
pub(crate) const HIERARCHY: &str = "model.hierarchy";

/// A run over these axes and seeds; the first value of each axis makes the reference cell.
pub(crate) fn run(axes: &[(&str, Vec<Value>)], seeds: &[u64]) -> RunRecord {
    let mut cells: Vec<AxisValues> = vec![AxisValues::new()];
    for (path, values) in axes {
        cells = cells
            .iter()
            .flat_map(|cell| {
                values.iter().map(|value| {
                    let mut cell = cell.clone();
                    cell.insert((*path).to_owned(), value.clone());
                    cell
                })
            })
            .collect();
    }
    let plan = cells
        .iter()
        .enumerate()
        .map(|(index, values)| planned_cell(index, values, seeds))
        .collect();
    let name = "queue-by-hierarchy";
    RunRecord {
        format: FORMAT,
        suite: SuiteRecord {
            name: name.to_owned(),
            version: 1,
            about: "Does a longer queue help each level of the hierarchy?".to_owned(),
            kind: "ablation".to_owned(),
            axes: axes
                .iter()
                .map(|(path, values)| AxisRecord {
                    path: (*path).to_owned(),
                    values: values.clone(),
                })
                .collect(),
            reference: cells.first().filter(|cell| !cell.is_empty()).cloned(),
            seeds: seeds.to_vec(),
            gate: None,
            resolved: json!({"format": 1, "name": name, "train": {"steps": 300, "batch": 64}}),
        },
        plan,
        tool: ToolRecord {
            version: "0.1.0".to_owned(),
            build_id: "0.1.0+1f75977".to_owned(),
            git_revision: Some("1f75977".to_owned()),
            dirty: false,
            libraries: [("libtorch".to_owned(), "2.11.0".to_owned())].into(),
        },
        machine: MachineRecord {
            os: "Linux 6.8".to_owned(),
            arch: "x86_64".to_owned(),
            cpu_model: Some("Example CPU 3000".to_owned()),
            cpu_features: vec!["avx2".to_owned(), "avx512f".to_owned()],
            cores: 2,
            memory_bytes: Some(8 << 30),
            cpu_clock_hz: Some(2_600_000_000),
            cpu_governor: None,
            gpus: vec![GpuRecord {
                name: "Example GPU".to_owned(),
                memory_bytes: Some(80 << 30),
                driver: Some("580.1".to_owned()),
                compute_capability: Some("9.0".to_owned()),
                clock_hz: None,
            }],
        },
        command: ["hitbench", "run", "suites/ablation/queue-by-hierarchy.yaml"]
            .map(str::to_owned)
            .to_vec(),
    }
}

/// Queue length by hierarchy, as the quickstart has it.
pub(crate) fn queue_by_hierarchy(seeds: &[u64]) -> RunRecord {
    run(
        &[
            (QUEUE, vec![json!(0), json!(256), json!(1024)]),
            (
                HIERARCHY,
                vec![json!("semantic"), json!("feature"), json!("both")],
            ),
        ],
        seeds,
    )
}

fn planned_cell(index: usize, values: &AxisValues, seeds: &[u64]) -> PlannedCell {
    let label: Vec<String> = values
        .iter()
        .map(|(path, value)| format!("{path}={}", crate::record::value_text(value)))
        .collect();
    let hash = format!("{:012x}", 0x1000 + index);
    let trials = seeds
        .iter()
        .map(|&seed| PlannedTrial {
            id: format!("{hash}-s{seed}"),
            name: format!("queue-by-hierarchy/{}/seed={seed}", label.join("/")),
            seed,
        })
        .collect();
    PlannedCell {
        hash: format!("{hash}0000"),
        axis_values: values.clone(),
        merged: Vec::new(),
        trials,
    }
}

/// Every trial of the plan, finished.
pub(crate) fn trials(run: &RunRecord) -> Vec<TrialRecord> {
    run.plan
        .iter()
        .enumerate()
        .flat_map(|(index, cell)| {
            cell.trials
                .iter()
                .map(move |planned| trial(run, index, cell, planned))
        })
        .collect()
}

fn trial(run: &RunRecord, index: usize, cell: &PlannedCell, planned: &PlannedTrial) -> TrialRecord {
    let hierarchy = cell
        .axis_values
        .get(HIERARCHY)
        .and_then(Value::as_str)
        .unwrap_or("both");
    let quality = 0.18 + 0.012 * index as f64 + 0.004 * planned.seed as f64;
    let level = |name: &str, factor: f64| {
        if name == "combined" || hierarchy == "both" || hierarchy == name {
            let (t2v, v2t) = (
                direction(quality * factor, 400),
                direction(quality * factor * 1.05, 200),
            );
            ScoreRecord::Directions(Box::new(DirectionPair { t2v, v2t }))
        } else {
            ScoreRecord::Untrained
        }
    };
    let queue_len = cell
        .axis_values
        .get(QUEUE)
        .and_then(Value::as_u64)
        .unwrap_or(1024);
    let pairs_per_s = 900.0 / (1.0 + queue_len as f64 / 2048.0) - 20.0 * planned.seed as f64;
    let chance = |n: f64| [1, 5, 10, 50].map(|k| (k, (k as f64 / n).min(1.0))).into();
    TrialRecord {
        id: planned.id.clone(),
        name: planned.name.clone(),
        cell_hash: cell.hash.clone(),
        build_id: run.tool.build_id.clone(),
        axis_values: cell.axis_values.clone(),
        seed: planned.seed,
        protocol: ProtocolRecord {
            protocol: "custom".to_owned(),
            ties: "average".to_owned(),
            captions: "min-rank".to_owned(),
            median: "mean-of-middle".to_owned(),
            score: "cosine".to_owned(),
            kernel: Some("cpu/avx512/f32".to_owned()),
            post: None,
        },
        outcome: TrialOutcome::Ok(Box::new(TrialResult {
            data: DataRecord {
                name: "synthetic".to_owned(),
                about: "Generated videos with latent objects, actions and scenes. Nothing in it is real."
                    .to_owned(),
                content_hash: "c0ffee".to_owned(),
                n_train_videos: 1000,
                n_train_captions: 2000,
                n_test_videos: 200,
                n_test_captions: 400,
            },
            metrics: [
                (ScoreKind::Combined, level("combined", 1.0)),
                (ScoreKind::Semantic, level("semantic", 0.95)),
                (ScoreKind::Feature, level("feature", 0.7)),
            ]
            .into(),
            baselines: BaselinesRecord {
                chance: BaselineRecord {
                    t2v: chance(200.0),
                    v2t: chance(200.0),
                },
                tf_idf: Some(BaselineRecord {
                    t2v: chance(14.0),
                    v2t: chance(15.0),
                }),
            },
            training: Some(TrainingRecord {
                steps: 300,
                batch: 64,
                train_time_ns: (300.0 * 64.0 / pairs_per_s * 1e9) as u64,
                pairs_per_s,
                machines: BTreeSet::from(["0123456789ab".to_owned()]),
                final_loss: Some(1.25 + 0.01 * planned.seed as f64),
                same_video_rate: (queue_len > 0).then_some(0.0021),
                parameters: [("text", 900_000_u64), ("total", 1_500_000), ("video", 600_000)]
                    .map(|(name, n)| (name.to_owned(), n))
                    .into(),
            }),
            peak_memory_bytes: Some(700 << 20),
        })),
    }
}

/// Metrics of a direction whose R@1 is `r1`, capped at 1.
pub(crate) fn direction(r1: f64, n_queries: u64) -> DirectionRecord {
    let r_at: BTreeMap<u64, f64> = [(1, 1.0), (5, 2.0), (10, 2.6), (50, 3.6)]
        .map(|(k, gain)| (k, (r1 * gain).min(1.0)))
        .into();
    let around = |half: f64| move |(&k, &r): (&u64, &f64)| (k, [(r - half).max(0.0), (r + half).min(1.0)]);
    DirectionRecord {
        n_queries,
        denominator: Some(n_queries),
        n_gallery: Some(200),
        n_masked: 0,
        n_tied: 2,
        r_at_interval: r_at.iter().map(around(0.0025)).collect(),
        r_at_ci95: r_at
            .iter()
            .map(around(0.03))
            .map(|(k, ci)| (k, Some(ci)))
            .collect(),
        median_rank: Some(9.0),
        median_rank_ci95: Some([8.0, 10.5]),
        mean_rank: Some(21.125),
        mean_rank_ci95: Some([18.25, 24.5]),
        sum_r: Some(r_at[&1] + r_at[&5] + r_at[&10]),
        geometric_mean: Some((r_at[&1] * r_at[&5] * r_at[&10]).cbrt()),
        mrr: Some(0.3),
        mrr_ci95: Some([0.27, 0.33]),
        ndcg_at_10: None,
        map: None,
        recall_at: None,
        r_at,
    }
}

/// Every cell but the reference against it in t2v R@10.
pub(crate) fn comparisons(run: &RunRecord) -> ComparisonsFile {
    let reference = run.reference_cell().expect("the fixture has a reference");
    let others = run
        .plan
        .iter()
        .enumerate()
        .filter(|(_, cell)| cell.hash != reference.hash);
    ComparisonsFile {
        format: FORMAT,
        method: "Two-level bootstrap over seeds and test videos, 2000 resamples.".to_owned(),
        comparisons: others
            .map(|(index, cell)| {
                let estimate = 0.0312 * index as f64 - 0.08;
                let verdict = match estimate {
                    x if x > 0.04 => Verdict::Improved,
                    x if x < -0.04 => Verdict::Regressed,
                    _ => Verdict::Inconclusive,
                };
                ComparisonRecord {
                    candidates: vec![cell.hash.clone()],
                    references: vec![reference.hash.clone()],
                    score: ScoreKind::Combined,
                    metric: "t2v.r_at.10".to_owned(),
                    estimate,
                    low: estimate - 0.04,
                    high: estimate + 0.04,
                    level: 0.95,
                    p_value: None,
                    verdict,
                    n_seeds: run.suite.seeds.len() as u64,
                }
            })
            .collect(),
    }
}

/// A loss that falls, a queue that fills.
pub(crate) fn curve(steps: u64, with_queue: bool, seed: u64) -> Vec<CurveRow> {
    (1..=steps / 10)
        .map(|row| {
            let step = row * 10;
            let wave = ((step + 37 * seed) as f64 * 0.9).sin() * 0.15;
            let loss = 1.2 + 4.0 * (-(step as f64) / 80.0).exp() + wave;
            CurveRow {
                step,
                loss,
                terms: vec![
                    ("t2v_semantic".to_owned(), loss / 2.0),
                    ("v2t_semantic".to_owned(), loss / 2.0),
                ],
                same_video_rate: with_queue.then_some(0.002 * (1.0 - (-(step as f64) / 40.0).exp())),
                lr: Some(3e-4),
                ..CurveRow::default()
            }
        })
        .collect()
}
