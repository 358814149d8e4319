//! One line of `trials.jsonl`: a finished or failed trial.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::metrics::{Direction, DirectionPair, DirectionRecord, ProtocolRecord, ScoreKind, ScoreRecord};
use super::run::AxisValues;

/// One trial. The latest line with an id wins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WireTrial", into = "WireTrial")]
pub struct TrialRecord {
    /// Id in file names.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Hash of the cell, hex.
    pub cell_hash: String,
    /// Build that ran it.
    pub build_id: String,
    /// Axis values of the cell.
    pub axis_values: AxisValues,
    /// Seed.
    pub seed: u64,
    /// How ranks were made.
    pub protocol: ProtocolRecord,
    /// What came of it.
    pub outcome: TrialOutcome,
}

impl TrialRecord {
    /// The result, unless the trial failed.
    pub fn result(&self) -> Option<&TrialResult> {
        match &self.outcome {
            TrialOutcome::Ok(result) => Some(result),
            TrialOutcome::Failed { .. } => None,
        }
    }

    /// Whether this is a finished trial of the same id, cell and build, so that a run need not make it again.
    pub fn answers(&self, id: &str, cell_hash: &str, build_id: &str) -> bool {
        self.id == id && self.cell_hash == cell_hash && self.build_id == build_id && self.result().is_some()
    }

    /// Metrics of both directions under `kind`, unless failed, absent or untrained.
    pub fn directions(&self, kind: ScoreKind) -> Option<&DirectionPair> {
        match self.result()?.metrics.get(&kind)? {
            ScoreRecord::Directions(pair) => Some(pair),
            ScoreRecord::Untrained => None,
        }
    }

    /// Metrics of one direction under `kind`, unless failed, absent or untrained.
    pub fn direction(&self, kind: ScoreKind, direction: Direction) -> Option<&DirectionRecord> {
        Some(self.directions(kind)?.of(direction))
    }
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TrialOutcome {
    /// It finished.
    Ok(Box<TrialResult>),
    /// It stopped with an error.
    Failed {
        /// The chain of causes, one line each.
        error: String,
    },
}

/// What a finished trial measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// The data it ran on.
    pub data: DataRecord,
    /// Metrics by score.
    pub metrics: BTreeMap<ScoreKind, ScoreRecord>,
    /// What needs no model.
    pub baselines: BaselinesRecord,
    /// The training; `None` when nothing was trained.
    pub training: Option<TrainingRecord>,
    /// Most memory the process held while it ran the trial.
    pub peak_memory_bytes: Option<u64>,
}

/// Facts about the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Short name.
    pub name: String,
    /// What it is and where it comes from, in full sentences.
    pub about: String,
    /// BLAKE3 of everything in it that can move a number, hex.
    pub content_hash: String,
    /// Training videos.
    pub n_train_videos: u64,
    /// Training captions.
    pub n_train_captions: u64,
    /// Test videos.
    pub n_test_videos: u64,
    /// Test captions.
    pub n_test_captions: u64,
}

/// Baselines of the same test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaselinesRecord {
    /// Expected R@K of a random order.
    pub chance: BaselineRecord,
    /// Word overlap by TF-IDF, where the video side was made of words.
    pub tf_idf: Option<BaselineRecord>,
}

/// R@K of a baseline, as fractions by K.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaselineRecord {
    /// Text to video.
    pub t2v: BTreeMap<u64, f64>,
    /// Video to text.
    pub v2t: BTreeMap<u64, f64>,
}

impl BaselineRecord {
    /// R@K of `direction`.
    pub fn of(&self, direction: Direction) -> &BTreeMap<u64, f64> {
        match direction {
            Direction::T2v => &self.t2v,
            Direction::V2t => &self.v2t,
        }
    }
}

/// Facts about the training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// Optimizer steps taken.
    pub steps: u64,
    /// Pairs a step.
    pub batch: u64,
    /// Time in training steps, all sessions of a resumed trial together; no loading, no evaluation.
    pub train_time_ns: u64,
    /// Pairs trained a second of that time.
    pub pairs_per_s: f64,
    /// Fingerprints of the machines that it was trained on, several where it was stopped and went on elsewhere; empty in
    /// records of before.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub machines: BTreeSet<String>,
    /// Loss of the last logged step.
    pub final_loss: Option<f64>,
    /// Share of queue entries of the query's own video, mean over all steps; `None` without a queue.
    pub same_video_rate: Option<f64>,
    /// Trainable parameters by part, such as `video`, `text`, `heads`, `total`.
    pub parameters: BTreeMap<String, u64>,
}

/// The line as written: `status` and `error` beside the rest, as a reader with `jq` expects them.
#[derive(Serialize, Deserialize)]
struct WireTrial {
    format: u32,
    id: String,
    name: String,
    cell_hash: String,
    build_id: String,
    axis_values: AxisValues,
    seed: u64,
    status: WireStatus,
    error: Option<String>,
    protocol: ProtocolRecord,
    result: Option<Box<TrialResult>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireStatus {
    Ok,
    Failed,
}

impl From<TrialRecord> for WireTrial {
    fn from(trial: TrialRecord) -> Self {
        let (status, error, result) = match trial.outcome {
            TrialOutcome::Ok(result) => (WireStatus::Ok, None, Some(result)),
            TrialOutcome::Failed { error } => (WireStatus::Failed, Some(error), None),
        };
        Self {
            format: super::FORMAT,
            id: trial.id,
            name: trial.name,
            cell_hash: trial.cell_hash,
            build_id: trial.build_id,
            axis_values: trial.axis_values,
            seed: trial.seed,
            status,
            error,
            protocol: trial.protocol,
            result,
        }
    }
}

impl TryFrom<WireTrial> for TrialRecord {
    type Error = &'static str;

    fn try_from(wire: WireTrial) -> Result<Self, Self::Error> {
        let outcome = match (wire.status, wire.error, wire.result) {
            (WireStatus::Ok, None, Some(result)) => TrialOutcome::Ok(result),
            (WireStatus::Failed, Some(error), None) => TrialOutcome::Failed { error },
            _ => return Err("`ok` needs a `result` and no `error`, `failed` an `error` and no `result`"),
        };
        Ok(Self {
            id: wire.id,
            name: wire.name,
            cell_hash: wire.cell_hash,
            build_id: wire.build_id,
            axis_values: wire.axis_values,
            seed: wire.seed,
            protocol: wire.protocol,
            outcome,
        })
    }
}
