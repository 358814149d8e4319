//! Runs of a made-up suite: videos vary in difficulty, seeds in skill, processes in luck.

use std::sync::Arc;

use hitbench::gate::Evidence;
use hitbench::gate::SuiteId;
use hitbench::gate::evidence::{
    CellEvidence, MeasuredEvidence, ProcessTimes, Queries, RankedEvidence, TrialEvidence,
};
use hitbench_kernels::RankCount;
use hitbench_reports::record::{CacheState, MachineRecord, ProtocolRecord, ToolRecord};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp, Normal};

const N_VIDEOS: usize = 200;
const CAPTIONS: usize = 2;
const N_SEEDS: u64 = 3;
const N_PROCESSES: usize = 8;
const N_RETRAIN: usize = 6;
/// The row of trainings in which nearly every query is a hit; nothing is planted in it alone.
const NEARLY_ALL: usize = N_RETRAIN - 1;
const N_NUMERIC: usize = 2;
const N_SPEED: usize = 4;
/// Margins of the policy, as fractions.
const RETRAIN_MARGIN: f64 = 0.05;
const NUMERIC_MARGIN: f64 = 0.02;
const SPEED_MARGIN: f64 = 0.05;
/// Seeds differ in skill by at most this share of hits, either way.
const SKILL: f64 = 0.02;
/// Share of queries that another numeric path turns into hits.
const FLIPS: f64 = 0.01;
/// Spread of the logarithm of a process's time.
const JITTER: f64 = 0.01;
/// Share of processes that something else on the machine slows down, and by how much on average.
const DISTURBED: f64 = 0.1;
const DISTURBANCE: f64 = 0.03;

/// What differs between the two sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Planted {
    /// Nothing but luck.
    Nothing,
    /// The run is worse by exactly the margin in every row.
    EveryMargin,
    /// The first row of throughput has lost this share.
    Slower(f64),
    /// The first row of trainings has lost this share of hits.
    Lost(f64),
}

impl Planted {
    fn retrain(self, row: usize) -> f64 {
        match self {
            Self::EveryMargin => RETRAIN_MARGIN,
            Self::Lost(share) if row == 0 => share,
            _ => 0.0,
        }
    }

    fn numeric(self) -> f64 {
        match self {
            Self::EveryMargin => NUMERIC_MARGIN,
            _ => 0.0,
        }
    }

    fn speed(self, row: usize) -> f64 {
        match self {
            Self::EveryMargin => SPEED_MARGIN,
            Self::Slower(share) if row == 0 => share,
            _ => 0.0,
        }
    }
}

/// Draws runs.
pub(crate) struct Simulation {
    rng: Xoshiro256PlusPlus,
    queries: Arc<Queries>,
    /// Chance of each query to be hit, by cell.
    ease: Vec<Vec<f64>>,
}

impl Simulation {
    pub(crate) fn new(seed: u64) -> Self {
        let n_queries = N_VIDEOS * CAPTIONS;
        Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            queries: Arc::new(Queries {
                hash: "made up".to_owned(),
                clusters: (0..n_queries).map(|query| (query / CAPTIONS) as u32).collect(),
                ids: (0..n_queries).map(|query| format!("q{query}")).collect(),
            }),
            ease: Vec::new(),
        }
    }

    pub(crate) fn n_rows(&self) -> usize {
        N_RETRAIN + N_NUMERIC + N_SPEED
    }

    /// A baseline and a run on test videos of their own.
    pub(crate) fn pair(&mut self, planted: Planted) -> [Evidence; 2] {
        let rng = &mut self.rng;
        let cell = |row| {
            // So that no planted drop meets an end.
            let (least, most) = if row == NEARLY_ALL {
                (0.97, 0.98)
            } else {
                (0.25, 0.75)
            };
            let mut ease = Vec::with_capacity(N_VIDEOS * CAPTIONS);
            for _ in 0..N_VIDEOS {
                let video: f64 = rng.random();
                let place = |_| 0.7 * video + 0.3 * rng.random::<f64>();
                ease.extend(
                    (0..CAPTIONS)
                        .map(place)
                        .map(|place| least + (most - least) * place),
                );
            }
            ease
        };
        self.ease = (0..N_RETRAIN + N_NUMERIC).map(cell).collect();
        let baseline = self.run(Planted::Nothing, None);
        let run = self.run(planted, Some(&baseline));
        [baseline, run]
    }

    /// Another run on the test videos of the last pair.
    pub(crate) fn again(&mut self, baseline: &Evidence, planted: Planted) -> Evidence {
        self.run(planted, Some(baseline))
    }

    fn run(&mut self, planted: Planted, baseline: Option<&Evidence>) -> Evidence {
        let mut cells = Vec::with_capacity(self.n_rows());
        for row in 0..N_RETRAIN {
            let trials = (0..N_SEEDS).map(|seed| {
                let skill = self.rng.random_range(-SKILL..SKILL) - planted.retrain(row);
                let draw = |ease: &f64| self.rng.random::<f64>() < ease + skill;
                let hits = self.ease[row].iter().map(draw).collect();
                trial(seed, &self.queries, hits)
            });
            cells.push(cell("retrain", row, trials.collect()));
        }
        for row in 0..N_NUMERIC {
            let at = N_RETRAIN + row;
            let hits = match baseline {
                None => {
                    let draw = |ease: &f64| self.rng.random::<f64>() < *ease;
                    self.ease[at].iter().map(draw).collect()
                }
                // Half of all queries are hits, so that these shares make a difference of the margin.
                Some(baseline) => hits_of(&baseline.cells[at].trials[0])
                    .map(|hit| match hit {
                        true => self.rng.random::<f64>() >= FLIPS + 2.0 * planted.numeric(),
                        false => self.rng.random::<f64>() < FLIPS,
                    })
                    .collect(),
            };
            cells.push(cell("numeric", row, vec![trial(0, &self.queries, hits)]));
        }
        let jitter = Normal::new(0.0, JITTER).expect("a spread");
        let disturbance = Exp::new(1.0 / DISTURBANCE).expect("a mean");
        for row in 0..N_SPEED {
            let slower = (1.0 - planted.speed(row)).ln();
            let process = |_| {
                let disturbed = self.rng.random::<f64>() < DISTURBED;
                let extra = f64::from(u8::from(disturbed)) * disturbance.sample(&mut self.rng);
                1e6 * (jitter.sample(&mut self.rng) + extra - slower).exp()
            };
            cells.push(CellEvidence {
                measured: Some(MeasuredEvidence {
                    kernel: "made/up".to_owned(),
                    threads: 1,
                    items: 1000,
                    item: "items".to_owned(),
                    flops: None,
                    bytes: None,
                    times: vec![ProcessTimes {
                        cache: CacheState::Warm,
                        median_ns: (0..N_PROCESSES).map(process).collect(),
                    }],
                }),
                ..cell("throughput", row, Vec::new())
            });
        }
        evidence(cells)
    }
}

/// A run that differs from `baseline` in the count of one query of one trial.
pub(crate) fn with_one_flip(baseline: &Evidence, draw: u64) -> Evidence {
    let mut run = baseline.clone();
    let row = draw as usize % N_RETRAIN;
    let trials = &mut run.cells[row].trials;
    let trial = draw as usize % trials.len();
    let ranked = trials[trial].t2v.as_mut().expect("it was ranked");
    let query = (draw as usize).wrapping_mul(7919) % ranked.counts.len();
    ranked.counts[query].greater += 1;
    run
}

fn hits_of(trial: &TrialEvidence) -> impl Iterator<Item = bool> {
    let ranked = trial.t2v.as_ref().expect("it was ranked");
    ranked.counts.iter().map(|count| count.greater == 0)
}

fn trial(seed: u64, queries: &Arc<Queries>, hits: Vec<bool>) -> TrialEvidence {
    let count = |hit: bool| RankCount {
        greater: if hit { 0 } else { 20 },
        equal: 1,
        own_equal: 1,
        score: 0.0,
    };
    TrialEvidence {
        seed,
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
            n_gallery: N_VIDEOS as u64,
            queries: Arc::clone(queries),
            counts: hits.into_iter().map(count).collect(),
        }),
        v2t: None,
        pairs_per_s: None,
        trained_elsewhere: false,
    }
}

fn cell(kind: &str, row: usize, trials: Vec<TrialEvidence>) -> CellEvidence {
    CellEvidence {
        name: format!("{kind}-{row}"),
        hash: String::new(),
        axis_values: serde_json::Map::from_iter([("kind".to_owned(), kind.into())]),
        n_planned: trials.len(),
        trials,
        measured: None,
    }
}

fn evidence(cells: Vec<CellEvidence>) -> Evidence {
    Evidence {
        suite: SuiteId {
            name: "made-up".to_owned(),
            version: 1,
            kind: "ablation".to_owned(),
        },
        tool: ToolRecord {
            version: "1".to_owned(),
            build_id: "1".to_owned(),
            git_revision: None,
            dirty: false,
            libraries: Default::default(),
        },
        machine: MachineRecord {
            os: "none".to_owned(),
            arch: "none".to_owned(),
            cpu_model: None,
            cpu_features: Vec::new(),
            cores: 1,
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
