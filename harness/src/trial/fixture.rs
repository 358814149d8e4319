//! A small run for tests: two axes, two seeds, forty queries.

use std::collections::BTreeMap;

use hitbench_reports::record::{
    AxisRecord, AxisValues, BaselineRecord, BaselinesRecord, DataRecord, Direction, DirectionPair,
    DirectionRecord, FORMAT, MachineRecord, PlannedCell, PlannedTrial, ProtocolRecord, RankRow, RunRecord,
    ScoreKind, ScoreRecord, SuiteRecord, ToolRecord, TrialOutcome, TrialRecord, TrialResult,
};
use serde_json::{Value as Json, json};

const QUEUE: &str = "momentum.queue_len";
const MOMENTUM: &str = "momentum.momentum";
pub(super) const N_QUERIES: usize = 40;

/// What one cell of a run is: its own and its merged axis values, and how many of the 40 queries it hits.
pub(super) struct Cell {
    pub(super) values: Vec<AxisValues>,
    pub(super) n_hits: usize,
}

fn values(queue: u64, momentum: f64) -> AxisValues {
    AxisValues::from_iter([
        (QUEUE.to_owned(), json!(queue)),
        (MOMENTUM.to_owned(), json!(momentum)),
    ])
}

/// Queues 0 and 256, momenta 0.9 and 0.99; without a queue the momenta are one cell.
pub(super) fn queue_by_momentum() -> Vec<Cell> {
    let cell = |values: Vec<AxisValues>, n_hits| Cell { values, n_hits };
    vec![
        cell(vec![values(0, 0.9), values(0, 0.99)], 10),
        cell(vec![values(256, 0.9)], 14),
        cell(vec![values(256, 0.99)], 22),
        cell(vec![values(1024, 0.9)], 18),
        cell(vec![values(1024, 0.99)], 30),
    ]
}

pub(super) fn run_of(cells: &[Cell]) -> RunRecord {
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
pub(super) fn ranks(n_hits: usize, equal: u64) -> Vec<RankRow> {
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

pub(super) fn trial(cell: &PlannedCell, seed: usize, ties: &str) -> TrialRecord {
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
