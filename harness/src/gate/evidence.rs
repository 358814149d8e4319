//! What a gate knows of one side: the counts of every query, the samples of every process. Read from a run folder, or
//! from a baseline, which keeps no more than this.

use std::collections::HashMap;
use std::sync::Arc;

use clap::ValueEnum;
use hitbench_kernels::RankCount;
use hitbench_reports::RunFolder;
use hitbench_reports::record::{
    AxisValues, CacheState, Direction, GpuPeaksRecord, MachineRecord, MeasurementRecord, PlannedCell,
    ProcessRecord, ProtocolRecord, RankRow, ScoreKind, ToolRecord, TrialRecord,
};
use serde::{Deserialize, Serialize};

use super::error::GateError;
use crate::machine::fingerprint;
use crate::metric::TieRule;
use crate::suite::{AnySuite, Kind};

/// Which suite was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteId {
    /// Its name; `eval` of a single evaluation.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// `ablation`, `throughput` or `eval`.
    pub kind: String,
}

impl From<&AnySuite> for SuiteId {
    fn from(suite: &AnySuite) -> Self {
        let (name, version, kind) = match suite {
            AnySuite::Ablation(suite) => (&suite.name, suite.version, Kind::Ablation),
            AnySuite::Throughput(suite) => (&suite.name, suite.version, Kind::Throughput),
        };
        Self {
            name: name.clone(),
            version,
            kind: kind.name().to_owned(),
        }
    }
}

/// One side of a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The suite.
    pub suite: SuiteId,
    /// The program.
    pub tool: ToolRecord,
    /// The machine.
    pub machine: MachineRecord,
    /// What the CPU could do at most, by process; empty where it was not measured.
    pub peaks: Vec<ProcessRecord>,
    /// What the GPU could do at most, by process; empty where it was not measured.
    pub gpu_peaks: Vec<GpuPeaksRecord>,
    /// The cells, in the order of the plan.
    pub cells: Vec<CellEvidence>,
}

/// What is known of one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct CellEvidence {
    /// Display name of its trials without suite and seed; empty for the only cell.
    pub name: String,
    /// Cell hash, hex.
    pub hash: String,
    /// Its axis values.
    pub axis_values: AxisValues,
    /// Seeds that should be there.
    pub n_planned: usize,
    /// Finished trials, by seed.
    pub trials: Vec<TrialEvidence>,
    /// Times, of a cell of a throughput suite.
    pub measured: Option<MeasuredEvidence>,
}

/// What is known of one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialEvidence {
    /// Seed.
    pub seed: u64,
    /// How ranks were made.
    pub protocol: ProtocolRecord,
    /// Text to video.
    pub t2v: Option<RankedEvidence>,
    /// Video to text.
    pub v2t: Option<RankedEvidence>,
    /// Training throughput, on the machine of the run.
    pub pairs_per_s: Option<f64>,
    /// Whether some of the training was done on another machine than the run's, so that it has no rate.
    pub trained_elsewhere: bool,
}

impl TrialEvidence {
    /// The ranks of `direction`.
    pub fn ranked(&self, direction: Direction) -> Option<&RankedEvidence> {
        match direction {
            Direction::T2v => self.t2v.as_ref(),
            Direction::V2t => self.v2t.as_ref(),
        }
    }

    /// The tie rule that its counts are read by; `None` for a word that is none.
    pub fn ties(&self) -> Option<TieRule> {
        TieRule::from_str(&self.protocol.ties, false).ok()
    }
}

/// Counts of the queries of one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedEvidence {
    /// Items that every query was ranked against.
    pub n_gallery: u64,
    /// Who asked.
    pub queries: Arc<Queries>,
    /// Counts in the order of `queries`; the score is 0, as it is kept nowhere.
    pub counts: Vec<RankCount>,
}

/// The queries of one direction, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queries {
    /// BLAKE3 of the ids in order, of `t2v` with those of their true videos, hex.
    pub hash: String,
    /// The video of each, numbered as they appear.
    pub clusters: Vec<u32>,
    /// Their ids; empty in a baseline, which keeps the hash.
    #[serde(skip)]
    pub ids: Vec<String>,
}

/// Times of one kernel at one shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredEvidence {
    /// Concrete id of the kernel.
    pub kernel: String,
    /// Threads it could use.
    pub threads: u64,
    /// Items of one call.
    pub items: u64,
    /// Their name, plural.
    pub item: String,
    /// Floating-point operations of one call, a multiply-add as two; `None` where they were not counted, as in baselines
    /// of old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flops: Option<u64>,
    /// Bytes that one call must at least read or write; `None` as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// By state of the caches.
    pub times: Vec<ProcessTimes>,
}

/// Median time of each process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessTimes {
    /// State of the caches.
    pub cache: CacheState,
    /// In the order in which they ran.
    pub median_ns: Vec<f64>,
}

impl Evidence {
    /// Reads a run folder: trials and measurements of its own build, planned ones only.
    ///
    /// # Errors
    /// [`GateError::Record`] when it cannot be read, [`GateError::Ranks`] when ranks are not those of their record,
    /// [`GateError::Times`] when times are none, [`GateError::Nothing`] when nothing has finished.
    pub fn read(folder: &RunFolder) -> Result<Self, GateError> {
        let run = folder.run()?;
        let trials = folder.trials()?;
        let measurements = folder.measurements()?;
        let mut reader = RankReader {
            folder,
            machine: fingerprint(&run.machine),
            known: HashMap::new(),
        };
        let mut cells = Vec::with_capacity(run.plan.len());
        for cell in &run.plan {
            let mut found = CellEvidence {
                name: cell_name(&run.suite.name, cell),
                hash: cell.hash.clone(),
                axis_values: cell.axis_values.clone(),
                n_planned: cell.trials.len(),
                trials: Vec::new(),
                measured: None,
            };
            for planned in &cell.trials {
                let ours = |trial: &&TrialRecord| {
                    trial.id == planned.id && trial.build_id == run.tool.build_id && trial.result().is_some()
                };
                if let Some(trial) = trials.iter().find(ours) {
                    found.trials.push(reader.trial(trial)?);
                }
                let measured = measurements
                    .iter()
                    .find(|record| record.id == planned.id && record.build_id == run.tool.build_id);
                found.measured = measured.and_then(measured_evidence);
            }
            found.trials.sort_by_key(|trial| trial.seed);
            cells.push(found);
        }
        if cells
            .iter()
            .all(|cell| cell.trials.is_empty() && cell.measured.is_none())
        {
            return Err(GateError::Nothing {
                folder: folder.path().to_owned(),
            });
        }
        let (peaks, gpu_peaks) = folder
            .peaks()?
            .map(|peaks| (peaks.processes, peaks.gpu))
            .unwrap_or_default();
        let evidence = Self {
            suite: SuiteId {
                name: run.suite.name,
                version: run.suite.version,
                kind: run.suite.kind,
            },
            tool: run.tool,
            machine: run.machine,
            peaks,
            gpu_peaks,
            cells,
        };
        evidence.check_times().map_err(|problem| GateError::Times {
            folder: folder.path().to_owned(),
            problem,
        })?;
        Ok(evidence)
    }

    /// Whether every time and rate is one that a clock can give.
    ///
    /// # Errors
    /// The first that is none, in words.
    pub(super) fn check_times(&self) -> Result<(), String> {
        for cell in &self.cells {
            let label = cell.label();
            let check = |what: &str, value: f64| match (1e-9..=1e18).contains(&value) {
                true => Ok(()),
                false => Err(format!("{what} of `{label}` is {value}")),
            };
            for trial in &cell.trials {
                trial.pairs_per_s.map_or(Ok(()), |rate| check("pairs/s", rate))?;
            }
            if let Some(measured) = &cell.measured {
                check("the number of items", measured.items as f64)?;
                let times = measured.times.iter().flat_map(|times| &times.median_ns);
                times
                    .copied()
                    .try_for_each(|time| check("a time in nanoseconds", time))?;
            }
        }
        let cpu = self
            .peaks
            .iter()
            .flat_map(|process| [Some(process.fma_flops_per_s), Some(process.copy_bytes_per_s)]);
        let gpu = self
            .gpu_peaks
            .iter()
            .flat_map(|process| [process.product_flops_per_s, Some(process.copy_bytes_per_s)]);
        match cpu
            .chain(gpu)
            .flatten()
            .find(|peak| !(peak.is_finite() && *peak > 0.0))
        {
            Some(peak) => Err(format!("a peak of the machine is {peak}")),
            None => Ok(()),
        }
    }
}

/// The median; `None` without values.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let (lower, upper) = (
        values.get(values.len().checked_sub(1)? / 2)?,
        values.get(values.len() / 2)?,
    );
    Some(f64::midpoint(*lower, *upper))
}

/// `SUITE/axis=value/seed=0` without suite and seed.
fn cell_name(suite: &str, cell: &PlannedCell) -> String {
    let Some(first) = cell.trials.first() else {
        return String::new();
    };
    let name = first.name.strip_prefix(suite).unwrap_or(&first.name);
    let seed = format!("/seed={}", first.seed);
    name.strip_suffix(&seed)
        .unwrap_or(name)
        .trim_start_matches('/')
        .to_owned()
}

fn measured_evidence(record: &MeasurementRecord) -> Option<MeasuredEvidence> {
    let result = record.result()?;
    Some(MeasuredEvidence {
        kernel: record.kernel.clone(),
        threads: record.threads,
        items: result.work.items,
        item: result.work.item.clone(),
        flops: result.work.flops,
        bytes: result.work.bytes,
        times: result
            .times
            .iter()
            .map(|times| ProcessTimes {
                cache: times.cache,
                median_ns: times.process_medians_ns.clone(),
            })
            .collect(),
    })
}

/// Reads ranks; trials with the same queries share them.
struct RankReader<'a> {
    folder: &'a RunFolder,
    /// Fingerprint of the run's machine.
    machine: String,
    known: HashMap<String, Arc<Queries>>,
}

impl RankReader<'_> {
    fn trial(&mut self, trial: &TrialRecord) -> Result<TrialEvidence, GateError> {
        let has_ranks = trial.directions(ScoreKind::Combined).is_some();
        let rows = match has_ranks {
            true => self.folder.ranks(&trial.id)?,
            false => Vec::new(),
        };
        let training = trial.result().and_then(|result| result.training.as_ref());
        let trained_elsewhere = training.is_some_and(|it| it.machines.iter().any(|at| *at != self.machine));
        Ok(TrialEvidence {
            seed: trial.seed,
            protocol: trial.protocol.clone(),
            t2v: self.ranked(trial, &rows, Direction::T2v)?,
            v2t: self.ranked(trial, &rows, Direction::V2t)?,
            pairs_per_s: training.filter(|_| !trained_elsewhere).map(|it| it.pairs_per_s),
            trained_elsewhere,
        })
    }

    /// The counts of one direction, in the order of the queries' ids; `None` where the gallery's size is not known.
    fn ranked(
        &mut self,
        trial: &TrialRecord,
        rows: &[RankRow],
        direction: Direction,
    ) -> Result<Option<RankedEvidence>, GateError> {
        let Some(record) = trial.direction(ScoreKind::Combined, direction) else {
            return Ok(None);
        };
        let Some(n_gallery) = record.n_gallery else {
            return Ok(None);
        };
        let wrong = |problem: String| GateError::Ranks {
            folder: self.folder.path().to_owned(),
            trial: trial.name.clone(),
            problem,
        };
        let mut rows: Vec<&RankRow> = rows.iter().filter(|row| row.direction == direction).collect();
        if rows.len() as u64 != record.n_queries {
            let (found, expected) = (rows.len(), record.n_queries);
            return Err(wrong(format!(
                "{found} queries of {direction} instead of {expected}"
            )));
        }
        rows.sort_unstable_by(|a, b| a.query_id.cmp(&b.query_id));
        if let Some(twice) = rows.windows(2).find(|pair| pair[0].query_id == pair[1].query_id) {
            let id = &twice[0].query_id;
            return Err(wrong(format!("query `{id}` of {direction} is there twice")));
        }
        let mut counts = Vec::with_capacity(rows.len());
        for row in &rows {
            let count = RankCount {
                greater: row.greater,
                equal: row.equal,
                own_equal: row.own_equal,
                score: 0.0,
            };
            possible(&count, n_gallery)
                .map_err(|problem| wrong(format!("query `{}` of {direction}: {problem}", row.query_id)))?;
            counts.push(count);
        }
        let queries = Queries::new(direction, &rows);
        let queries = match self.known.get(&queries.hash) {
            Some(known) => Arc::clone(known),
            None => {
                let queries = Arc::new(queries);
                self.known.insert(queries.hash.clone(), Arc::clone(&queries));
                queries
            }
        };
        Ok(Some(RankedEvidence {
            n_gallery,
            queries,
            counts,
        }))
    }
}

/// Whether some ranking gives such counts.
pub(super) fn possible(count: &RankCount, n_gallery: u64) -> Result<(), String> {
    let RankCount {
        greater,
        equal,
        own_equal,
        ..
    } = *count;
    match 1 <= own_equal
        && own_equal <= equal
        && greater.checked_add(equal).is_some_and(|sum| sum <= n_gallery)
    {
        true => Ok(()),
        false => Err(format!(
            "{greater} items above, {equal} level and {own_equal} own of {n_gallery}"
        )),
    }
}

impl Queries {
    /// Of rows in the order of their ids.
    fn new(direction: Direction, rows: &[&RankRow]) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut clusters = Vec::with_capacity(rows.len());
        for row in rows {
            let mut add = |id: &str| {
                hasher.update(&(id.len() as u64).to_le_bytes());
                hasher.update(id.as_bytes());
            };
            add(&row.query_id);
            // In v2t the best of several captions may be another one in another trial.
            let video = match direction {
                Direction::T2v => {
                    add(&row.true_id);
                    &row.true_id
                }
                Direction::V2t => &row.query_id,
            };
            let next = numbers.len() as u32;
            clusters.push(*numbers.entry(video).or_insert(next));
        }
        Self {
            hash: hasher.finalize().to_hex().to_string(),
            clusters,
            ids: rows.iter().map(|row| row.query_id.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }
}
