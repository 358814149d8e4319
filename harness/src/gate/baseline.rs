//! Baseline files: what a run gave, kept under version control with the reason why it is what later runs are held to.
//!
//! A file is one JSON object: `format`, `checksum` and the contents. The checksum is BLAKE3 of the contents as compact
//! JSON, so that spaces and line ends may change, and nothing else. Whoever wants other numbers blesses another run.

mod pack;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use hitbench_reports::RunFolder;
use hitbench_reports::record::{Direction, MeasurementOutcome};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use self::wire::WireBaseline;
use super::error::GateError;
use super::evidence::Evidence;
use super::metric::GateMetric;
use super::sides::values;
use crate::machine::fingerprint;

/// Version of the file format.
pub const FORMAT: u64 = 1;

/// What runs are held against.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// Why this run was chosen.
    pub reason: String,
    /// What the run gave.
    pub evidence: Evidence,
    /// The baselines that this file held before, oldest first.
    pub history: Vec<Blessing>,
}

/// A baseline of the past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blessing {
    /// Why it was chosen.
    pub reason: String,
    /// Version of the suite.
    pub suite_version: u32,
    /// Build that ran it.
    pub build_id: String,
    /// Fingerprint of its machine.
    pub fingerprint: String,
    /// Its headlines by metric and cell, means over seeds and processes.
    pub numbers: BTreeMap<String, f64>,
}

impl Baseline {
    /// Takes a finished run as the successor of `earlier`, the baseline that the file holds now.
    ///
    /// # Errors
    /// [`GateError::NoReason`] for a reason that is empty or not one line, [`GateError::Unfinished`] when trials are missing or a kernel was
    /// wrong or not measured, [`GateError::NotComparable`] when `earlier` is of another suite, and those of [`Evidence::read`].
    pub fn of_run(folder: &RunFolder, reason: &str, earlier: Option<Self>) -> Result<Self, GateError> {
        if reason.trim().is_empty() || reason.trim().contains(char::is_control) {
            return Err(GateError::NoReason);
        }
        let evidence = Evidence::read(folder)?;
        let missing = unfinished(folder)?;
        if let Some(first) = missing.first() {
            return Err(GateError::Unfinished {
                folder: folder.path().to_owned(),
                n_missing: missing.len(),
                first: first.clone(),
            });
        }
        let mut history = Vec::new();
        if let Some(earlier) = earlier {
            if earlier.evidence.suite.name != evidence.suite.name {
                return Err(GateError::NotComparable {
                    reason: "other-suite",
                    what: "suite",
                    baseline: earlier.evidence.suite.name,
                    run: evidence.suite.name,
                });
            }
            let last = earlier.blessing();
            history = earlier.history;
            history.push(last);
        }
        Ok(Self {
            reason: reason.trim().to_owned(),
            evidence,
            history,
        })
    }

    /// Reads a baseline.
    ///
    /// # Errors
    /// [`GateError::Read`], [`GateError::Torn`], [`GateError::FutureFormat`], [`GateError::Edited`],
    /// [`GateError::Packed`].
    pub fn load(path: &Path) -> Result<Self, GateError> {
        #[derive(Deserialize)]
        struct Probe {
            format: u64,
        }
        #[derive(Deserialize)]
        struct Sealed {
            checksum: String,
        }
        let torn = |source| GateError::Torn {
            path: path.to_owned(),
            source,
        };
        let bytes = fs::read(path).map_err(|source| GateError::Read {
            path: path.to_owned(),
            source,
        })?;
        // A later format may have other keys, and says so before they are missed.
        let Probe { format } = serde_json::from_slice(&bytes).map_err(torn)?;
        if format > FORMAT {
            return Err(GateError::FutureFormat {
                path: path.to_owned(),
                found: format,
                supported: FORMAT,
            });
        }
        let Sealed { checksum } = serde_json::from_slice(&bytes).map_err(torn)?;
        let mut file: Map<String, Json> = serde_json::from_slice(&bytes).map_err(torn)?;
        file.retain(|key, _| key != "format" && key != "checksum");
        let contents = Json::Object(file);
        let computed = checksum_of(&contents);
        if checksum != computed {
            return Err(GateError::Edited {
                path: path.to_owned(),
                found: checksum,
                computed,
            });
        }
        let impossible = |problem: String| GateError::Packed {
            path: path.to_owned(),
            problem,
        };
        if format < FORMAT {
            return Err(impossible(format!("there was no format {format}")));
        }
        if has_control_characters(&contents) {
            return Err(impossible("a text of more than one line".to_owned()));
        }
        let wire: WireBaseline = serde_json::from_value(contents).map_err(torn)?;
        wire.try_into().map_err(impossible)
    }

    /// The file's text: JSON, indented, with a line end.
    pub fn to_text(&self) -> String {
        let contents = serde_json::to_value(WireBaseline::from(self)).expect("a baseline is plain data");
        let mut file = Map::new();
        file.insert("format".to_owned(), FORMAT.into());
        file.insert("checksum".to_owned(), checksum_of(&contents).into());
        if let Json::Object(contents) = contents {
            file.extend(contents);
        }
        let text = serde_json::to_string_pretty(&Json::Object(file)).expect("JSON is text");
        text + "\n"
    }

    /// This baseline as it is remembered.
    pub fn blessing(&self) -> Blessing {
        let evidence = &self.evidence;
        Blessing {
            reason: self.reason.clone(),
            suite_version: evidence.suite.version,
            build_id: evidence.tool.build_id.clone(),
            fingerprint: fingerprint(&evidence.machine),
            numbers: headlines(evidence),
        }
    }
}

/// Whether any text in a file would move the cursor of a terminal, or begin a line in a log: files may come from anyone.
pub(super) fn has_control_characters(json: &Json) -> bool {
    let is_bad = |text: &str| text.contains(char::is_control);
    match json {
        Json::String(text) => is_bad(text),
        Json::Array(items) => items.iter().any(has_control_characters),
        Json::Object(map) => map
            .iter()
            .any(|(key, value)| is_bad(key) || has_control_characters(value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Names of the trials and kernels of a run that have no result. A kernel that the machine or the build has not needs
/// none.
fn unfinished(folder: &RunFolder) -> Result<Vec<String>, GateError> {
    let run = folder.run()?;
    let build = &run.tool.build_id;
    let trials = folder.trials()?;
    let measurements = folder.measurements()?;
    let mut finished: BTreeSet<&str> = BTreeSet::new();
    let of_build = trials
        .iter()
        .filter(|trial| trial.build_id == *build && trial.result().is_some());
    finished.extend(of_build.map(|trial| trial.id.as_str()));
    let of_build = measurements.iter().filter(|record| record.build_id == *build);
    let answered = of_build.filter(|record| {
        matches!(
            record.outcome,
            MeasurementOutcome::Ok { .. } | MeasurementOutcome::Unavailable { .. }
        )
    });
    finished.extend(answered.map(|record| record.id.as_str()));
    let planned = run.plan.iter().flat_map(|cell| &cell.trials);
    let missing = planned.filter(|trial| !finished.contains(trial.id.as_str()));
    Ok(missing.map(|trial| trial.name.clone()).collect())
}

/// Checksum of the contents, with the name of its algorithm.
fn checksum_of(contents: &Json) -> String {
    format!(
        "blake3:{}",
        blake3::hash(contents.to_string().as_bytes()).to_hex()
    )
}

/// What a person looks at first, by metric and cell.
fn headlines(evidence: &Evidence) -> BTreeMap<String, f64> {
    use hitbench_reports::record::CacheState;
    let metrics = [
        GateMetric::RAt(Direction::T2v, 1),
        GateMetric::RAt(Direction::V2t, 1),
        GateMetric::PairsPerS,
        GateMetric::ItemsPerS(CacheState::Warm),
    ];
    let mut numbers = BTreeMap::new();
    for cell in &evidence.cells {
        for metric in metrics {
            let values = values(cell, metric);
            if !values.is_empty() {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                numbers.insert(format!("{metric} of {}", cell.label()), mean);
            }
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Machine, throughput, trained};
    use super::*;

    /// A file with the right checksum after `change`.
    fn resealed(evidence: Evidence, change: impl FnOnce(&mut Json)) -> Result<Baseline, GateError> {
        let baseline = Baseline {
            reason: "a reason".to_owned(),
            evidence,
            history: Vec::new(),
        };
        let mut file: Map<String, Json> = serde_json::from_str(&baseline.to_text()).unwrap();
        let format = file.remove("format");
        file.remove("checksum");
        let mut contents = Json::Object(file);
        change(&mut contents);
        let changed = contents.as_object_mut().unwrap().remove("format");
        let checksum = checksum_of(&contents);
        contents["checksum"] = checksum.into();
        contents["format"] = changed.or(format).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.json");
        fs::write(&path, contents.to_string()).unwrap();
        Baseline::load(&path)
    }

    #[test]
    fn what_no_run_gives_is_refused_under_the_right_checksum() {
        let times = || throughput(&[("k", &[1e6, 1.1e6])], Machine::Same);
        let ranks = || trained(&[("a", &[vec![true, false, true, true]])]);
        assert!(resealed(times(), |_| {}).is_ok() && resealed(ranks(), |_| {}).is_ok());
        type Change = fn(&mut Json);
        let of_times: [(Change, &str); 5] = [
            (
                |file| file["cells"][0]["measured"]["times"][0]["median_ns"][1] = 0.0.into(),
                "a time in nanoseconds of `k` is 0",
            ),
            (
                |file| file["cells"][0]["measured"]["times"][0]["median_ns"][1] = (-5.0).into(),
                "a time in nanoseconds of `k` is -5",
            ),
            (
                |file| file["reason"] = "a\n::error::b".into(),
                "more than one line",
            ),
            (|file| file["fingerprint"] = "hello".into(), "not hello"),
            (|file| file["format"] = 0.into(), "there was no format 0"),
        ];
        let of_ranks: [(Change, &str); 3] = [
            (|file| file["queries"][0]["n_queries"] = 0.into(), "no queries"),
            (
                |file| file["queries"][0]["n_queries"] = 300_000_000.into(),
                "more than 36000000 numbers",
            ),
            (
                |file| file["cells"][0]["trials"][0]["t2v"]["n_gallery"] = 10.into(),
                "t2v: ",
            ),
        ];
        let cases = of_times.map(|case| (times(), case)).into_iter();
        for (evidence, (change, part)) in cases.chain(of_ranks.map(|case| (ranks(), case))) {
            let error = resealed(evidence, change).unwrap_err();
            assert_eq!(error.reason(), "edited-baseline", "{error}");
            assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
        }
    }
}
