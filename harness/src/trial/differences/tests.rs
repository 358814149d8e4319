use std::collections::BTreeMap;

use hitbench_reports::RunWriter;
use hitbench_reports::record::{
    AxisRecord, BaselineRecord, BaselinesRecord, DataRecord, DirectionPair, DirectionRecord, MachineRecord,
    PlannedTrial, RankRow, ScoreRecord, SuiteRecord, ToolRecord, TrialOutcome, TrialResult,
};
use serde_json::json;

use super::*;

const QUEUE: &str = "momentum.queue_len";
const MOMENTUM: &str = "momentum.momentum";
const N_QUERIES: usize = 40;

/// What one cell of a run is: its own and its merged axis values, and how many of the 40 queries it hits.
struct Cell {
    values: Vec<AxisValues>,
    n_hits: usize,
}

fn values(queue: u64, momentum: f64) -> AxisValues {
    AxisValues::from_iter([
        (QUEUE.to_owned(), json!(queue)),
        (MOMENTUM.to_owned(), json!(momentum)),
    ])
}

/// Queues 0 and 256, momenta 0.9 and 0.99; without a queue the momenta are one cell.
fn queue_by_momentum() -> Vec<Cell> {
    let cell = |values: Vec<AxisValues>, n_hits| Cell { values, n_hits };
    vec![
        cell(vec![values(0, 0.9), values(0, 0.99)], 10),
        cell(vec![values(256, 0.9)], 14),
        cell(vec![values(256, 0.99)], 22),
        cell(vec![values(1024, 0.9)], 18),
        cell(vec![values(1024, 0.99)], 30),
    ]
}

fn run_of(cells: &[Cell]) -> RunRecord {
    let plan = cells.iter().enumerate().map(|(index, cell)| PlannedCell {
        hash: format!("hash{index}"),
        axis_values: cell.values[0].clone(),
        merged: cell.values[1..].to_vec(),
        trials: [0, 1]
            .map(|seed| PlannedTrial {
                id: format!("cell{index}-s{seed}"),
                name: format!("small/{index}/seed={seed}"),
                seed,
            })
            .to_vec(),
    });
    RunRecord {
        format: FORMAT,
        suite: SuiteRecord {
            name: "small".to_owned(),
            version: 1,
            about: String::new(),
            kind: "ablation".to_owned(),
            axes: vec![
                AxisRecord {
                    path: QUEUE.to_owned(),
                    values: vec![json!(0), json!(256), json!(1024)],
                },
                AxisRecord {
                    path: MOMENTUM.to_owned(),
                    values: vec![json!(0.9), json!(0.99)],
                },
            ],
            reference: Some(values(0, 0.99)),
            seeds: vec![0, 1],
            gate: None,
            resolved: Json::Null,
        },
        plan: plan.collect(),
        tool: ToolRecord {
            version: "0.1.0".to_owned(),
            build_id: "this".to_owned(),
            git_revision: None,
            dirty: false,
            libraries: BTreeMap::new(),
        },
        machine: MachineRecord {
            os: String::new(),
            arch: String::new(),
            cpu_model: None,
            cpu_features: Vec::new(),
            cores: 1,
            memory_bytes: None,
            cpu_clock_hz: None,
            cpu_governor: None,
            gpus: Vec::new(),
        },
        command: Vec::new(),
    }
}

/// The first `n_hits` queries rank first, the others twentieth; `equal` items tie with each true one.
fn ranks(n_hits: usize, equal: u64) -> Vec<RankRow> {
    (0..N_QUERIES)
        .map(|query| RankRow {
            direction: Direction::T2v,
            query_id: format!("c{query}"),
            true_id: format!("v{query}"),
            greater: if query < n_hits { 0 } else { 19 },
            equal,
            own_equal: 1,
            score: 0.5,
        })
        .collect()
}

fn direction() -> DirectionRecord {
    let by_k = |value: f64| BTreeMap::from([(1, value), (10, value)]);
    DirectionRecord {
        n_queries: N_QUERIES as u64,
        denominator: None,
        n_gallery: Some(N_QUERIES as u64),
        n_masked: 0,
        n_tied: 0,
        r_at: by_k(0.0),
        r_at_interval: BTreeMap::new(),
        r_at_ci95: BTreeMap::new(),
        median_rank: Some(1.0),
        median_rank_ci95: None,
        mean_rank: Some(1.0),
        mean_rank_ci95: None,
        sum_r: None,
        geometric_mean: None,
        mrr: None,
        mrr_ci95: None,
        ndcg_at_10: None,
        map: None,
        recall_at: None,
    }
}

fn trial(cell: &PlannedCell, seed: usize, ties: &str) -> TrialRecord {
    let none = || BaselineRecord {
        t2v: BTreeMap::new(),
        v2t: BTreeMap::new(),
    };
    let pair = DirectionPair {
        t2v: direction(),
        v2t: direction(),
    };
    TrialRecord {
        id: cell.trials[seed].id.clone(),
        name: cell.trials[seed].name.clone(),
        cell_hash: cell.hash.clone(),
        build_id: "this".to_owned(),
        axis_values: cell.axis_values.clone(),
        seed: seed as u64,
        protocol: ProtocolRecord {
            protocol: "custom".to_owned(),
            ties: ties.to_owned(),
            captions: "min-rank".to_owned(),
            median: "mean-of-middle".to_owned(),
            score: "cosine".to_owned(),
            kernel: Some("reference/f64".to_owned()),
            post: None,
        },
        outcome: TrialOutcome::Ok(Box::new(TrialResult {
            data: DataRecord {
                name: "generated".to_owned(),
                about: String::new(),
                content_hash: "same".to_owned(),
                n_train_videos: 1,
                n_train_captions: 1,
                n_test_videos: N_QUERIES as u64,
                n_test_captions: N_QUERIES as u64,
            },
            metrics: BTreeMap::from([(ScoreKind::Combined, ScoreRecord::Directions(Box::new(pair)))]),
            baselines: BaselinesRecord {
                chance: none(),
                tf_idf: None,
            },
            training: None,
            peak_memory_bytes: None,
        })),
    }
}

/// The differences of a run whose trials `change` may alter before they are recorded.
fn found(ties: &str, change: impl Fn(&mut TrialRecord)) -> ComparisonsFile {
    let cells = queue_by_momentum();
    let run = run_of(&cells);
    let dir = tempfile::tempdir().unwrap();
    let writer = RunWriter::open(dir.path()).unwrap();
    for (cell, planned) in cells.iter().zip(&run.plan) {
        for seed in 0..2 {
            let mut record = trial(planned, seed, ties);
            change(&mut record);
            let equal = if ties == "clip4clip" { 2 } else { 1 };
            writer
                .write_ranks(&record.id, &ranks(cell.n_hits, equal))
                .unwrap();
            writer.append_trial(&record).unwrap();
        }
    }
    differences(&run, writer.folder()).unwrap()
}

/// Candidates, references and estimate in queries of each comparison.
fn summary(file: &ComparisonsFile) -> Vec<(String, String, f64)> {
    let queries = |found: &ComparisonRecord| (found.estimate * N_QUERIES as f64 * 1e6).round() / 1e6;
    file.comparisons
        .iter()
        .map(|found| {
            (
                found.candidates.join(" "),
                found.references.join(" "),
                queries(found),
            )
        })
        .collect()
}

fn row(candidates: &str, references: &str, estimate: f64) -> (String, String, f64) {
    (candidates.to_owned(), references.to_owned(), estimate)
}

#[test]
fn a_cell_without_effect_of_an_axis_is_no_pair_with_itself() {
    let file = found("average", |_| {});
    assert_eq!(
        summary(&file),
        [
            // Queue 256 and 1024 against none, over both momenta; the one cell without a queue is partner of both.
            row("hash1 hash2", "hash0 hash0", 8.0),
            row("hash3 hash4", "hash0 hash0", 14.0),
            // Momentum 0.9 against 0.99 where there is a queue: (14 - 22 + 18 - 30) / 2.
            row("hash1 hash3", "hash2 hash4", -10.0),
            row("hash1", "hash0", 4.0),
            row("hash2", "hash0", 12.0),
            row("hash3", "hash0", 8.0),
            row("hash4", "hash0", 20.0),
        ]
    );
    assert_eq!(file.comparisons[0].metric, "t2v.r_at.10");
}

#[test]
fn cells_on_other_data_or_under_other_rules_are_left_out_and_said_to_be() {
    let other_data = |trial: &mut TrialRecord| {
        if let (true, TrialOutcome::Ok(result)) = (trial.cell_hash == "hash4", &mut trial.outcome) {
            result.data.content_hash = "other".to_owned();
        }
    };
    let other_rules = |trial: &mut TrialRecord| {
        if trial.cell_hash == "hash4" {
            trial.protocol.ties = "optimistic".to_owned();
        }
    };
    let expected = [
        row("hash1 hash2", "hash0 hash0", 8.0),
        row("hash1", "hash0", 4.0),
        row("hash2", "hash0", 12.0),
        row("hash3", "hash0", 8.0),
    ];
    for file in [found("average", other_data), found("average", other_rules)] {
        assert_eq!(summary(&file), expected);
        assert!(
            file.method.contains("Left out: 1 cells on other data"),
            "{}",
            file.method
        );
    }
    let other_kernel = |trial: &mut TrialRecord| trial.protocol.kernel = Some(trial.cell_hash.clone());
    assert_eq!(found("average", other_kernel).comparisons.len(), 7);
}

#[test]
fn records_of_another_build_say_nothing() {
    let file = found("average", |trial| {
        if trial.cell_hash != "hash0" {
            trial.build_id = "older".to_owned();
        }
    });
    assert!(file.comparisons.is_empty());
    assert!(!file.method.contains("Left out"), "{}", file.method);
}

#[test]
fn weighted_queries_differ_by_what_the_tables_differ_by() {
    // Each query is two, and each hit two: the shares are those without ties.
    let file = found("clip4clip", |_| {});
    assert_eq!(summary(&file)[3], row("hash1", "hash0", 4.0));
}
