//! What an earlier run says about the trials of a plan.

use std::path::PathBuf;

use hitbench_reports::RunFolder;
use hitbench_reports::record::{RecordError, RunRecord, TrialOutcome, TrialRecord};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::view::axes_json;
use crate::suite::Suite;
use crate::trial::{CellHash, PlannedCell, PlannedTrial};

/// What `run` will do with a trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum State {
    /// Nobody has run it.
    ToRun,
    /// Its record is reused.
    Done,
    /// Recorded as failed; it is run again.
    Failed,
    /// Recorded, but something is different now; it is run again.
    Stale {
        /// What is different.
        differs: String,
    },
}

/// Records of an earlier run, if there is one.
pub(super) struct Earlier {
    /// The run folder.
    pub(super) folder: PathBuf,
    run: Option<RunRecord>,
    trials: Vec<TrialRecord>,
}

impl Earlier {
    pub(super) fn read(folder: PathBuf) -> Result<Self, RecordError> {
        let records = RunFolder::new(&folder);
        match records.run() {
            Ok(run) => Ok(Self {
                trials: records.trials()?,
                folder,
                run: Some(run),
            }),
            Err(RecordError::NotARun { .. }) => Ok(Self {
                folder,
                run: None,
                trials: Vec::new(),
            }),
            Err(error) => Err(error),
        }
    }

    /// What `run` will do with a trial, and why. As in `run`, its id, cell and build decide.
    pub(super) fn state(
        &self,
        suite: &Suite,
        cell: &PlannedCell<'_>,
        trial: &PlannedTrial,
        hash: CellHash,
        build_id: &str,
    ) -> State {
        let (id, hash) = (hash.trial_id(trial.seed), hash.to_string());
        let mut newest = self.trials.iter().rev();
        if newest.clone().any(|record| record.answers(&id, &hash, build_id)) {
            return State::Done;
        }
        let same_work = |record: &&TrialRecord| record.id == id && record.cell_hash == hash;
        let Some(record) = newest.clone().find(same_work) else {
            // Another trial of this name only says what has changed.
            return match newest.any(|record| record.name == trial.name) {
                true => State::Stale {
                    differs: self.difference(suite, cell),
                },
                false => State::ToRun,
            };
        };
        match &record.outcome {
            TrialOutcome::Failed { .. } => State::Failed,
            TrialOutcome::Ok(_) => State::Stale {
                differs: format!("build {}, now {build_id}", record.build_id),
            },
        }
    }

    /// Which part of a cell's identity is not as it was when the run was recorded.
    fn difference(&self, suite: &Suite, planned: &PlannedCell<'_>) -> String {
        let Some(run) = &self.run else {
            return "data".to_owned();
        };
        if run.suite.version != suite.version {
            return format!("suite version {}, now {}", run.suite.version, suite.version);
        }
        let axes = axes_json(&planned.cell.axis_values);
        let cells = run.suite.resolved["cells"].as_array().into_iter().flatten();
        let then = cells
            .into_iter()
            .find(|cell| cell["axes"] == axes)
            .map(|cell| &cell["config"]);
        let now = serde_json::to_value(&planned.cell.config).expect("configurations are plain data");
        let mut paths = Vec::new();
        if let Some(then) = then {
            differing(then, &now, "", &mut paths);
        }
        if paths.is_empty() {
            "data".to_owned()
        } else {
            paths.join(", ")
        }
    }
}

/// Lists the dotted paths at which two configurations differ.
fn differing(then: &Json, now: &Json, path: &str, out: &mut Vec<String>) {
    match (then, now) {
        (Json::Object(then), Json::Object(now)) => {
            let keys = then
                .keys()
                .chain(now.keys().filter(|key| !then.contains_key(*key)));
            for key in keys {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let side = |map: &Map<String, Json>| map.get(key).cloned().unwrap_or_default();
                differing(&side(then), &side(now), &path, out);
            }
        }
        (then, now) if then == now => {}
        _ => out.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hitbench_reports::record::{
        BaselineRecord, BaselinesRecord, DataRecord, FORMAT, ProtocolRecord, SuiteRecord, TrialResult,
    };

    use super::*;
    use crate::machine;
    use crate::trial::Plan;

    fn suite(sets: &[&str]) -> Suite {
        let text = "{format: 1, name: a, version: 1, about: a, kind: ablation, data: {synthetic: {}}, \
            axes: {train.batch: [8, 16]}}";
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        Suite::parse("a.yaml", text, &sets).expect("the suite is valid")
    }

    /// A run of `suite` by build `b1` in which the first trial failed; `contents` stand for the data.
    fn earlier(suite: &Suite, contents: &str) -> Earlier {
        let plan = Plan::new(suite, None).expect("no filter");
        let planned = &plan.cells[0];
        let protocol = ProtocolRecord {
            protocol: "custom".to_owned(),
            ties: "average".to_owned(),
            captions: "min-rank".to_owned(),
            median: "mean-of-middle".to_owned(),
            score: "dot".to_owned(),
            kernel: None,
            post: None,
        };
        let hash = planned.hash(suite.version, &[contents]);
        let trial = TrialRecord {
            id: hash.trial_id(0),
            name: planned.trials[0].name.clone(),
            cell_hash: hash.to_string(),
            build_id: "b1".to_owned(),
            axis_values: Map::new(),
            seed: 0,
            protocol,
            outcome: TrialOutcome::Failed {
                error: "out of memory".to_owned(),
            },
        };
        let suite = SuiteRecord {
            name: suite.name.clone(),
            version: suite.version,
            about: suite.about.clone(),
            kind: "ablation".to_owned(),
            axes: Vec::new(),
            reference: None,
            seeds: suite.seeds.clone(),
            gate: None,
            resolved: suite.to_json(),
        };
        let run = RunRecord {
            format: FORMAT,
            suite,
            plan: Vec::new(),
            tool: machine::tool().expect("the program's file is readable"),
            machine: machine::machine(),
            command: Vec::new(),
        };
        Earlier {
            folder: PathBuf::from("runs/a"),
            run: Some(run),
            trials: vec![trial],
        }
    }

    /// State of the `index`-th cell's trial now, after `earlier`.
    fn state(earlier: &Earlier, suite: &Suite, index: usize, contents: &str) -> State {
        let plan = Plan::new(suite, None).expect("no filter");
        let planned = &plan.cells[index];
        let hash = planned.hash(suite.version, &[contents]);
        earlier.state(suite, planned, &planned.trials[0], hash, "b1")
    }

    fn result() -> TrialResult {
        let none = BaselineRecord {
            t2v: BTreeMap::new(),
            v2t: BTreeMap::new(),
        };
        TrialResult {
            data: DataRecord {
                name: "synthetic".to_owned(),
                about: String::new(),
                content_hash: String::new(),
                n_train_videos: 1,
                n_train_captions: 1,
                n_test_videos: 1,
                n_test_captions: 1,
            },
            metrics: BTreeMap::new(),
            baselines: BaselinesRecord {
                chance: none,
                tf_idf: None,
            },
            training: None,
            peak_memory_bytes: None,
        }
    }

    fn stale(differs: &str) -> State {
        State::Stale {
            differs: differs.to_owned(),
        }
    }

    #[test]
    fn a_trial_is_found_by_its_id_whatever_names_there_are() {
        let mut earlier = earlier(&suite(&[]), "data");
        earlier.trials[0].outcome = TrialOutcome::Ok(Box::new(result()));
        // A later record of the same name, but of other data, does not undo it; another name does not hide it.
        let other = TrialRecord {
            id: "0123456789ab-s0".to_owned(),
            cell_hash: "0123456789ab".to_owned(),
            ..earlier.trials[0].clone()
        };
        earlier.trials.push(other);
        assert_eq!(state(&earlier, &suite(&[]), 0, "data"), State::Done);
        earlier.trials[0].name = "renamed".to_owned();
        assert_eq!(state(&earlier, &suite(&[]), 0, "data"), State::Done);
        earlier.trials[0].build_id = "b0".to_owned();
        assert_eq!(state(&earlier, &suite(&[]), 0, "data"), stale("build b0, now b1"));
    }

    #[test]
    fn a_stale_trial_says_what_is_different() {
        let earlier = earlier(&suite(&[]), "data");
        assert_eq!(state(&earlier, &suite(&[]), 0, "data"), State::Failed);
        assert_eq!(state(&earlier, &suite(&[]), 1, "data"), State::ToRun);
        assert_eq!(state(&earlier, &suite(&[]), 0, "other data"), stale("data"));
        assert_eq!(
            state(&earlier, &suite(&["version=2"]), 0, "data"),
            stale("suite version 1, now 2")
        );
        let changed = suite(&["train.lr=0.5", "model.hierarchy=semantic"]);
        assert_eq!(
            state(&earlier, &changed, 0, "data"),
            stale("model.hierarchy, train.lr")
        );
        let loose = suite(&["model.video.layers=2"]);
        assert_eq!(
            state(&earlier, &loose, 0, "data"),
            stale("model.video.layers, model.video.semantic_tap")
        );
    }
}
