//! The baseline file as written.

use std::collections::HashMap;
use std::sync::Arc;

use hitbench_kernels::RankCount;
use hitbench_reports::record::{
    AxisValues, Direction, GpuPeaksRecord, MachineRecord, ProcessRecord, ProtocolRecord, ToolRecord,
};
use serde::{Deserialize, Serialize};

use super::super::evidence::{
    CellEvidence, Evidence, MeasuredEvidence, Queries, RankedEvidence, SuiteId, TrialEvidence, possible,
};
use super::pack::{Budget, pack, unpack};
use super::{Baseline, Blessing};
use crate::machine::fingerprint;

/// Everything in the file but its format and checksum.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireBaseline {
    suite: SuiteId,
    reason: String,
    tool: ToolRecord,
    fingerprint: String,
    machine: MachineRecord,
    peaks: Vec<ProcessRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gpu_peaks: Vec<GpuPeaksRecord>,
    queries: Vec<WireQueries>,
    cells: Vec<WireCell>,
    history: Vec<Blessing>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireQueries {
    hash: String,
    n_queries: usize,
    /// The video of each query, packed.
    videos: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCell {
    name: String,
    hash: String,
    axis_values: AxisValues,
    trials: Vec<WireTrial>,
    measured: Option<MeasuredEvidence>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTrial {
    seed: u64,
    protocol: ProtocolRecord,
    pairs_per_s: Option<f64>,
    /// Left out where it is not so, which it is nearly always.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    trained_elsewhere: bool,
    t2v: Option<WireRanked>,
    v2t: Option<WireRanked>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRanked {
    n_gallery: u64,
    /// Index into the baseline's `queries`.
    queries: usize,
    /// `greater`, `equal` and `own_equal` of each query, packed.
    counts: String,
}

/// The lists of queries met so far.
#[derive(Default)]
struct Known {
    place: HashMap<String, usize>,
    lists: Vec<WireQueries>,
}

impl Known {
    fn ranked(&mut self, ranked: &RankedEvidence) -> WireRanked {
        let queries = &ranked.queries;
        let place = *self.place.entry(queries.hash.clone()).or_insert_with(|| {
            self.lists.push(WireQueries {
                hash: queries.hash.clone(),
                n_queries: queries.clusters.len(),
                videos: pack(queries.clusters.iter().map(|&video| u64::from(video))),
            });
            self.lists.len() - 1
        });
        WireRanked {
            n_gallery: ranked.n_gallery,
            queries: place,
            counts: pack(
                ranked
                    .counts
                    .iter()
                    .flat_map(|count| [count.greater, count.equal, count.own_equal]),
            ),
        }
    }
}

impl From<&Baseline> for WireBaseline {
    fn from(baseline: &Baseline) -> Self {
        let evidence = &baseline.evidence;
        let mut known = Known::default();
        let mut trial = |trial: &TrialEvidence| WireTrial {
            seed: trial.seed,
            protocol: trial.protocol.clone(),
            pairs_per_s: trial.pairs_per_s,
            trained_elsewhere: trial.trained_elsewhere,
            t2v: trial.t2v.as_ref().map(|ranked| known.ranked(ranked)),
            v2t: trial.v2t.as_ref().map(|ranked| known.ranked(ranked)),
        };
        let cells = evidence
            .cells
            .iter()
            .map(|cell| WireCell {
                name: cell.name.clone(),
                hash: cell.hash.clone(),
                axis_values: cell.axis_values.clone(),
                trials: cell.trials.iter().map(&mut trial).collect(),
                measured: cell.measured.clone(),
            })
            .collect();
        Self {
            suite: evidence.suite.clone(),
            reason: baseline.reason.clone(),
            tool: evidence.tool.clone(),
            fingerprint: fingerprint(&evidence.machine),
            machine: evidence.machine.clone(),
            peaks: evidence.peaks.clone(),
            gpu_peaks: evidence.gpu_peaks.clone(),
            queries: known.lists,
            cells,
            history: baseline.history.clone(),
        }
    }
}

impl TryFrom<WireBaseline> for Baseline {
    type Error = String;

    fn try_from(wire: WireBaseline) -> Result<Self, String> {
        let computed = fingerprint(&wire.machine);
        if wire.fingerprint != computed {
            let stated = &wire.fingerprint;
            return Err(format!("the machine's fingerprint is {computed}, not {stated}"));
        }
        let mut budget = Budget::of_file();
        let mut lists = Vec::with_capacity(wire.queries.len());
        for list in wire.queries {
            if list.n_queries == 0 {
                return Err("a list of no queries".to_owned());
            }
            let videos = unpack(&list.videos, list.n_queries, &mut budget)?;
            let clusters = videos.into_iter().map(u32::try_from).collect::<Result<_, _>>();
            lists.push(Arc::new(Queries {
                hash: list.hash,
                clusters: clusters.map_err(|_| "a video's number is beyond 32 bits".to_owned())?,
                ids: Vec::new(),
            }));
        }
        let mut ranked = |wire: Option<WireRanked>, direction: Direction| {
            wire.map(|wire| unpack_ranked(&wire, &lists, &mut budget))
                .transpose()
                .map_err(|problem| format!("{direction}: {problem}"))
        };
        let mut cells = Vec::with_capacity(wire.cells.len());
        for cell in wire.cells {
            let mut trials = Vec::with_capacity(cell.trials.len());
            for trial in cell.trials {
                trials.push(TrialEvidence {
                    seed: trial.seed,
                    protocol: trial.protocol,
                    t2v: ranked(trial.t2v, Direction::T2v)?,
                    v2t: ranked(trial.v2t, Direction::V2t)?,
                    pairs_per_s: trial.pairs_per_s,
                    trained_elsewhere: trial.trained_elsewhere,
                });
            }
            cells.push(CellEvidence {
                name: cell.name,
                hash: cell.hash,
                axis_values: cell.axis_values,
                n_planned: trials.len(),
                trials,
                measured: cell.measured,
            });
        }
        let evidence = Evidence {
            suite: wire.suite,
            tool: wire.tool,
            machine: wire.machine,
            peaks: wire.peaks,
            gpu_peaks: wire.gpu_peaks,
            cells,
        };
        evidence.check_times()?;
        Ok(Self {
            reason: wire.reason,
            evidence,
            history: wire.history,
        })
    }
}

fn unpack_ranked(
    wire: &WireRanked,
    lists: &[Arc<Queries>],
    budget: &mut Budget,
) -> Result<RankedEvidence, String> {
    let queries = lists
        .get(wire.queries)
        .ok_or_else(|| format!("there is no list {} of queries", wire.queries))?;
    let numbers = unpack(&wire.counts, 3 * queries.clusters.len(), budget)?;
    let mut counts = Vec::with_capacity(queries.clusters.len());
    for count in numbers.as_chunks::<3>().0 {
        let [greater, equal, own_equal] = *count;
        let count = RankCount {
            greater,
            equal,
            own_equal,
            score: 0.0,
        };
        possible(&count, wire.n_gallery)?;
        counts.push(count);
    }
    Ok(RankedEvidence {
        n_gallery: wire.n_gallery,
        queries: Arc::clone(queries),
        counts,
    })
}
