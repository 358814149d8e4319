//! Reading a run folder: `run.json`, `trials.jsonl`, `measurements.jsonl`, `peaks.json`, `ranks/`, `curves/`,
//! `timing.csv`, `comparisons.json`.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::rows::{CurveRow, RankRow, TimingRow, curve_rows};
use super::{ComparisonsFile, FORMAT, MeasurementRecord, PeaksRecord, RecordError, RunRecord, TrialRecord};

/// A run folder, read only; safe to use while another process writes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// A folder that holds a run, or will.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// [`RecordError::NotARun`] without the file, [`RecordError::FutureFormat`] from a newer hitbench,
    /// [`RecordError::Torn`] when it is no run record.
    pub fn run(&self) -> Result<RunRecord, RecordError> {
        let path = self.file("run.json");
        match read_optional(&path)? {
            Some(bytes) => parse(&path, 1, &bytes),
            None => Err(RecordError::NotARun {
                path: self.path.clone(),
            }),
        }
    }

    /// Reads `trials.jsonl`: the latest record of each trial, in the order of their first lines. Empty
    /// without the file. A last line without its end is what a killed process leaves; unless it is whole, it
    /// is passed over.
    ///
    /// # Errors
    /// [`RecordError::Torn`] for any other line that is no trial record, [`RecordError::FutureFormat`] for a
    /// line of a newer hitbench.
    pub fn trials(&self) -> Result<Vec<TrialRecord>, RecordError> {
        self.latest("trials.jsonl", |trial: &TrialRecord| &trial.id)
    }

    /// Reads `measurements.jsonl` as [`trials`](Self::trials) reads `trials.jsonl`.
    ///
    /// # Errors
    /// As [`trials`](Self::trials).
    pub fn measurements(&self) -> Result<Vec<MeasurementRecord>, RecordError> {
        self.latest("measurements.jsonl", |measurement: &MeasurementRecord| {
            &measurement.id
        })
    }

    /// Reads `peaks.json`; `None` without the file.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn peaks(&self) -> Result<Option<PeaksRecord>, RecordError> {
        let path = self.file("peaks.json");
        read_optional(&path)?
            .map(|bytes| parse(&path, 1, &bytes))
            .transpose()
    }

    /// The latest line of each id in a file of lines.
    fn latest<T: DeserializeOwned>(
        &self,
        name: &str,
        id: impl Fn(&T) -> &String,
    ) -> Result<Vec<T>, RecordError> {
        let path = self.file(name);
        let bytes = read_optional(&path)?.unwrap_or_default();
        let mut records: Vec<T> = Vec::new();
        let mut place: HashMap<String, usize> = HashMap::new();
        for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let whole = line.strip_suffix(b"\n");
            let record: T = match parse(&path, index + 1, whole.unwrap_or(line)) {
                Ok(record) => record,
                Err(RecordError::Torn { .. }) if whole.is_none() => break,
                Err(error) => return Err(error),
            };
            if let Some(&at) = place.get(id(&record)) {
                records[at] = record;
            } else {
                place.insert(id(&record).clone(), records.len());
                records.push(record);
            }
        }
        Ok(records)
    }

    /// Reads `comparisons.json`; `None` without the file.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn comparisons(&self) -> Result<Option<ComparisonsFile>, RecordError> {
        let path = self.file("comparisons.json");
        read_optional(&path)?
            .map(|bytes| parse(&path, 1, &bytes))
            .transpose()
    }

    /// Reads `ranks/TRIAL.csv`.
    ///
    /// # Errors
    /// [`RecordError::Read`] without the file, [`RecordError::TornCsv`] for rows that do not fit the header.
    pub fn ranks(&self, trial_id: &str) -> Result<Vec<RankRow>, RecordError> {
        let path = self.ranks_path(trial_id);
        let bytes = fs::read(&path).map_err(RecordError::read(&path))?;
        csv_rows(&path, &bytes)
    }

    /// Reads `curves/TRIAL.csv`; empty without the file.
    ///
    /// # Errors
    /// [`RecordError::TornCsv`] for rows that do not fit the header.
    pub fn curves(&self, trial_id: &str) -> Result<Vec<CurveRow>, RecordError> {
        let path = self.curves_path(trial_id);
        let bytes = read_optional(&path)?.unwrap_or_default();
        curve_rows(&bytes).map_err(|source| RecordError::TornCsv { path, source })
    }

    /// Reads `timing.csv`; empty without the file.
    ///
    /// # Errors
    /// [`RecordError::TornCsv`] for rows that do not fit the header.
    pub fn timing(&self) -> Result<Vec<TimingRow>, RecordError> {
        let path = self.file("timing.csv");
        csv_rows(&path, &read_optional(&path)?.unwrap_or_default())
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn plot_path(&self, stem: &str, extension: &str) -> PathBuf {
        self.path.join("plots").join(format!("{stem}.{extension}"))
    }

    pub(crate) fn ranks_path(&self, trial_id: &str) -> PathBuf {
        self.path.join("ranks").join(format!("{trial_id}.csv"))
    }

    pub(crate) fn curves_path(&self, trial_id: &str) -> PathBuf {
        self.path.join("curves").join(format!("{trial_id}.csv"))
    }
}

fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, RecordError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RecordError::read(path)(source)),
    }
}

/// Parses one JSON object that carries its format version; `first_line` is where `bytes` begins in the file.
fn parse<T: DeserializeOwned>(path: &Path, first_line: usize, bytes: &[u8]) -> Result<T, RecordError> {
    #[derive(Deserialize)]
    #[serde(expecting = "a record")]
    struct Probe {
        format: u32,
    }
    let torn = |source: serde_json::Error| RecordError::Torn {
        path: path.to_owned(),
        line: first_line + source.line().saturating_sub(1),
        source,
    };
    let Probe { format } = serde_json::from_slice(bytes).map_err(torn)?;
    if format > FORMAT {
        return Err(RecordError::FutureFormat {
            path: path.to_owned(),
            found: format,
            supported: FORMAT,
            line: first_line,
        });
    }
    serde_json::from_slice(bytes).map_err(torn)
}

fn csv_rows<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<Vec<T>, RecordError> {
    csv::Reader::from_reader(bytes)
        .into_deserialize()
        .collect::<Result<_, _>>()
        .map_err(|source| RecordError::TornCsv {
            path: path.to_owned(),
            source,
        })
}
