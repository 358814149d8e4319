//! Where a running trial keeps what it needs to go on, beside the model's own checkpoint.
//!
//! The state of step `n` is written before the model's checkpoint of step `n`, each by temporary name and
//! rename, so that the newest model checkpoint always finds its state.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hitbench_reports::record::CurveRow;
use serde::{Deserialize, Serialize};

use super::error::TrialError;

/// What the harness itself must remember.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct TrainingState {
    /// The build that trained so far; another must begin anew.
    pub(super) build_id: String,
    /// Optimizer steps done.
    pub(super) step: u64,
    /// Rows of the curves so far.
    pub(super) curves: Vec<CurveRow>,
    /// Time in training steps so far.
    pub(super) train_time_ns: u64,
    /// Fingerprints of the machines that it was trained on so far.
    pub(super) machines: BTreeSet<String>,
    /// Sum over steps of the rate of same-video entries in the queue.
    pub(super) same_video_sum: f64,
}

/// The checkpoint folder of one trial.
#[derive(Debug)]
pub(super) struct CheckpointFolder {
    path: PathBuf,
}

impl CheckpointFolder {
    /// The folder at `path`, which need not exist yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where the model keeps its checkpoints.
    pub(super) fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// The state of `step` as `build_id` wrote it; none where it is missing, torn or of another build, whose fields may
    /// be others.
    ///
    /// # Errors
    /// [`TrialError::Read`] when a file is there that the system does not let read.
    pub(super) fn read(&self, step: u64, build_id: &str) -> Result<Option<TrainingState>, TrialError> {
        /// What the state of every build has.
        #[derive(Deserialize)]
        struct Build {
            build_id: String,
        }
        let path = self.state_file(step);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|source| TrialError::Read { path, source })?,
        };
        match serde_json::from_slice::<Build>(&bytes) {
            Ok(build) if build.build_id == build_id => Ok(serde_json::from_slice(&bytes).ok()),
            _ => Ok(None),
        }
    }

    /// Writes the state of `state.step`; call before the model's checkpoint of that step.
    ///
    /// # Errors
    /// [`TrialError::Write`].
    pub(super) fn write(&self, state: &TrainingState) -> Result<(), TrialError> {
        let target = self.state_file(state.step);
        let written = || {
            fs::create_dir_all(&self.path)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            serde_json::to_writer(&mut file, state)?;
            file.flush()?;
            file.as_file().sync_all()?;
            file.persist(&target)?;
            File::open(&self.path)?.sync_all()
        };
        written().map_err(write_error(&target))
    }

    /// Drops the states of other steps than `step`; call after the model's checkpoint of that step.
    ///
    /// # Errors
    /// [`TrialError::Read`] when the folder cannot be listed, [`TrialError::Write`] when a file cannot be removed.
    pub(super) fn keep_only(&self, step: u64) -> Result<(), TrialError> {
        let kept = self.state_file(step);
        let list_error = |source| TrialError::Read {
            path: self.path.clone(),
            source,
        };
        for entry in fs::read_dir(&self.path).map_err(list_error)? {
            let path = entry.map_err(list_error)?.path();
            if path.is_file() && path != kept {
                fs::remove_file(&path).map_err(write_error(&path))?;
            }
        }
        Ok(())
    }

    /// Drops everything; the trial is recorded.
    ///
    /// # Errors
    /// [`TrialError::Write`] when the folder cannot be removed.
    pub(super) fn clear(&self) -> Result<(), TrialError> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(write_error(&self.path)),
        }
    }

    fn state_file(&self, step: u64) -> PathBuf {
        self.path.join(format!("state-{step}.json"))
    }
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> TrialError {
    let path = path.to_owned();
    move |source| TrialError::Write { path, source }
}

/// The checkpoint folder of trial `id` in a run folder.
pub(super) fn folder_of(run: &Path, id: &str) -> CheckpointFolder {
    CheckpointFolder::new(run.join("checkpoints").join(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(step: u64) -> TrainingState {
        let row = CurveRow {
            step,
            loss: 0.1 + step as f64,
            ..CurveRow::default()
        };
        TrainingState {
            build_id: "b".to_owned(),
            step,
            curves: vec![row],
            train_time_ns: 7,
            machines: BTreeSet::from(["0123abcd".to_owned()]),
            same_video_sum: 0.1 + 0.2,
        }
    }

    #[test]
    fn a_state_survives_until_the_next_is_complete() {
        let run = tempfile::tempdir().expect("a folder");
        let folder = folder_of(run.path(), "abc-s0");
        folder.write(&state(90)).expect("writable");
        folder.write(&state(100)).expect("writable");
        let read = |step| folder.read(step, "b").expect("readable or not there");
        assert_eq!(read(90), Some(state(90)));
        folder.keep_only(100).expect("removable");
        assert_eq!(read(90), None);
        assert_eq!(read(100), Some(state(100)));
        folder.clear().expect("removable");
        assert_eq!(read(100), None);
        folder.clear().expect("nothing to remove is fine");
    }

    #[test]
    fn only_a_whole_state_of_the_same_build_is_gone_on_from() {
        let run = tempfile::tempdir().expect("a folder");
        let folder = folder_of(run.path(), "abc-s0");
        folder.write(&state(1)).expect("writable");
        let whole = fs::read_to_string(folder.state_file(1)).expect("written");
        let later = whole.replace("\"build_id\":\"b\"", "\"build_id\":\"c\",\"new\":1");
        for (text, build, found) in [
            (&*whole, "b", Some(state(1))),
            (&*whole, "c", None),
            (r#"{"build_id": "b", "of": "an older form"}"#, "c", None),
            (&*later.replace("train_time_ns", "renamed"), "b", None),
            (&whole[..whole.len() / 2], "b", None),
            ("", "b", None),
        ] {
            fs::write(folder.state_file(1), text).expect("writable");
            assert_eq!(folder.read(1, build).expect("readable"), found, "{text} {build}");
        }
        fs::create_dir(folder.state_file(2)).expect("writable");
        let error = folder.read(2, "b").expect_err("a folder is no file");
        assert!(error.to_string().contains("state-2.json"), "{error}");
    }
}
