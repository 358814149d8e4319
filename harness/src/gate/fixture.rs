//! Made-up evidence for tests.

use std::sync::Arc;

use hitbench_kernels::RankCount;
use hitbench_reports::record::{CacheState, MachineRecord, ProtocolRecord, ToolRecord};

use super::evidence::{
    CellEvidence, Evidence, MeasuredEvidence, ProcessTimes, Queries, RankedEvidence, SuiteId, TrialEvidence,
};

/// On which machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    Same,
    Other,
}

fn evidence(kind: &str, machine: Machine, cells: Vec<CellEvidence>) -> Evidence {
    Evidence {
        suite: SuiteId {
            name: "made-up".to_owned(),
            version: 1,
            kind: kind.to_owned(),
        },
        tool: ToolRecord {
            version: "1.0.0".to_owned(),
            build_id: "1.0.0+abc".to_owned(),
            git_revision: None,
            dirty: false,
            libraries: Default::default(),
        },
        machine: MachineRecord {
            os: "an OS".to_owned(),
            arch: "x86_64".to_owned(),
            cpu_model: Some("a CPU".to_owned()),
            cpu_features: Vec::new(),
            cores: if machine == Machine::Same { 2 } else { 4 },
            memory_bytes: None,
            cpu_clock_hz: None,
            cpu_governor: None,
            gpus: Vec::new(),
        },
        peaks: Vec::new(),
        gpu_peaks: Vec::new(),
        cells,
    }
}

fn cell(name: &str) -> CellEvidence {
    CellEvidence {
        name: name.to_owned(),
        hash: format!("hash of {name}"),
        axis_values: serde_json::Map::from_iter([("name".to_owned(), name.into())]),
        n_planned: 1,
        trials: Vec::new(),
        measured: None,
    }
}

/// Cells by name with the items a second of each process.
pub(crate) fn throughput(cells: &[(&str, &[f64])], machine: Machine) -> Evidence {
    let cells = cells.iter().map(|(name, items_per_s)| CellEvidence {
        measured: Some(MeasuredEvidence {
            kernel: "a/kernel".to_owned(),
            threads: 1,
            items: 1000,
            item: "pairs".to_owned(),
            flops: None,
            bytes: None,
            times: vec![ProcessTimes {
                cache: CacheState::Warm,
                median_ns: items_per_s.iter().map(|items| 1000.0 / items * 1e9).collect(),
            }],
        }),
        ..cell(name)
    });
    evidence("throughput", machine, cells.collect())
}

/// Cells by name with a list of hits for each seed: a hit has rank 1, a miss rank 20. Queries are `q0, q1, ...`, two a
/// video.
pub(crate) fn trained(cells: &[(&str, &[Vec<bool>])]) -> Evidence {
    let n_queries = cells[0].1[0].len();
    let queries = Arc::new(Queries {
        hash: format!("{n_queries} queries"),
        clusters: (0..n_queries as u32).map(|query| query / 2).collect(),
        ids: (0..n_queries).map(|query| format!("q{query}")).collect(),
    });
    let trial = |(seed, hits): (usize, &Vec<bool>)| TrialEvidence {
        seed: seed as u64,
        protocol: ProtocolRecord {
            protocol: "custom".to_owned(),
            ties: "average".to_owned(),
            captions: "min-rank".to_owned(),
            median: "mean-of-middle".to_owned(),
            score: "dot".to_owned(),
            kernel: None,
            post: None,
        },
        t2v: Some(RankedEvidence {
            n_gallery: 100,
            queries: Arc::clone(&queries),
            counts: hits
                .iter()
                .map(|hit| RankCount {
                    greater: if *hit { 0 } else { 19 },
                    equal: 1,
                    own_equal: 1,
                    score: 0.0,
                })
                .collect(),
        }),
        v2t: None,
        pairs_per_s: Some(100.0 + seed as f64),
        trained_elsewhere: false,
    };
    let cells = cells.iter().map(|(name, seeds)| CellEvidence {
        n_planned: seeds.len(),
        trials: seeds.iter().enumerate().map(trial).collect(),
        ..cell(name)
    });
    evidence("ablation", Machine::Same, cells.collect())
}
