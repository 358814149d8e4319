//! Where a running trial keeps what it needs to go on, beside the model's own checkpoint.
//!
//! The state of step `n` is written before the model's checkpoint of step `n`, each by temporary name and
//! rename, so that the newest model checkpoint always finds its state.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hitbench_reports::record::CurveRow;
use serde::{Deserialize, Serialize};

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

    /// The state of `step`.
    ///
    /// # Errors
    /// When the file is missing or damaged.
    pub(super) fn read(&self, step: u64) -> io::Result<TrainingState> {
        Ok(serde_json::from_slice(&fs::read(self.state_file(step))?)?)
    }

    /// Writes the state of `state.step`; call before the model's checkpoint of that step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, state: &TrainingState) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        serde_json::to_writer(&mut file, state)?;
        file.flush()?;
        file.as_file().sync_all()?;
        file.persist(self.state_file(state.step))?;
        File::open(&self.path)?.sync_all()
    }

    /// Drops the states of other steps than `step`; call after the model's checkpoint of that step.
    ///
    /// # Errors
    /// When the folder cannot be read or a file cannot be removed.
    pub(super) fn keep_only(&self, step: u64) -> io::Result<()> {
        let kept = self.state_file(step);
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path.is_file() && path != kept {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Drops everything; the trial is recorded.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub(super) fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn state_file(&self, step: u64) -> PathBuf {
        self.path.join(format!("state-{step}.json"))
    }
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
            same_video_sum: 0.1 + 0.2,
        }
    }

    #[test]
    fn a_state_survives_until_the_next_is_complete() {
        let run = tempfile::tempdir().expect("a folder");
        let folder = folder_of(run.path(), "abc-s0");
        folder.write(&state(90)).expect("writable");
        folder.write(&state(100)).expect("writable");
        assert_eq!(folder.read(90).expect("still there"), state(90));
        folder.keep_only(100).expect("removable");
        assert!(folder.read(90).is_err());
        assert_eq!(folder.read(100).expect("kept"), state(100));
        folder.clear().expect("removable");
        assert!(folder.read(100).is_err());
        folder.clear().expect("nothing to remove is fine");
    }
}
