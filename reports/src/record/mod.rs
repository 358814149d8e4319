//! The records of a run and their files: what `run.json`, `trials.jsonl` and the CSV files mean.

mod comparison;
mod error;
mod folder;
mod measurement;
mod metrics;
mod rows;
mod run;
mod trial;
mod writer;

#[cfg(test)]
mod tests;

pub use comparison::{ComparisonRecord, ComparisonsFile, Verdict};
pub use error::RecordError;
pub use folder::RunFolder;
pub use measurement::{
    AccuracyRecord, CacheState, GpuPeaksRecord, GpuStateRecord, MeasurementOutcome, MeasurementRecord,
    MeasurementResult, PeaksRecord, ProcessRecord, TimesRecord, WorkRecord, is_on_gpu,
};
pub use metrics::{
    Direction, DirectionPair, DirectionRecord, ProtocolRecord, ScoreKind, ScoreRecord, headline_cutoff,
};
pub use rows::{CurveRow, RankRow, TimingRow};
pub(crate) use run::value_text;
pub use run::{
    AxisRecord, AxisValues, GpuRecord, MachineRecord, PlannedCell, PlannedTrial, RunRecord, SuiteRecord,
    ToolRecord,
};
pub use trial::{
    BaselineRecord, BaselinesRecord, DataRecord, TrainingRecord, TrialOutcome, TrialRecord, TrialResult,
};
pub use writer::{RunWriter, SHARDS, refuse_what_is_no_run, replace_file};

/// Format version of `run.json`, of each line of `trials.jsonl` and `measurements.jsonl`, of
/// `peaks.json` and of `comparisons.json`; raised when an
/// older reader could misread a newer file.
pub const FORMAT: u32 = 1;
