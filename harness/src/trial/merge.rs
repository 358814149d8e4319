//! A sweep in shards: where each lies, and the whole run out of all of them.
//!
//! A shard is a run folder of its own, `shards/I-of-N` in that of the whole, so that processes on several machines need
//! nothing of each other. Its plan is that of the whole suite, and it holds the trials that were dealt to it. A trial has
//! one result wherever it ran, so that merging takes each where it is, in any order and as often as wanted.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hitbench_reports::record::{RecordError, RunFolder, RunRecord, RunWriter, SHARDS, TrialRecord};

use super::weights::weights_file;
use crate::part::Part;

/// Folder of a shard of the run in `run`.
pub fn shard_folder(run: &Path, part: Part) -> PathBuf {
    run.join(SHARDS).join(part.file_stem())
}

/// The runs in some folders: for each the folder itself, if it has a `run.json`, and its shards by name.
///
/// # Errors
/// [`RecordError::Read`] for a folder that cannot be listed.
pub fn find_runs(folders: &[PathBuf]) -> Result<Vec<RunFolder>, RecordError> {
    let mut found = Vec::new();
    for folder in folders {
        let mut paths = vec![folder.clone()];
        paths.extend(subfolders(&folder.join(SHARDS))?);
        paths.retain(|path| path.join("run.json").is_file());
        found.extend(paths.into_iter().map(RunFolder::new));
    }
    Ok(found)
}

/// What a folder holds, by name; nothing where there is no such folder.
fn subfolders(folder: &Path) -> Result<BTreeSet<PathBuf>, RecordError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        read => read.map_err(|source| read_error(folder, source))?,
    };
    entries
        .map(|entry| Ok(entry.map_err(|source| read_error(folder, source))?.path()))
        .collect()
}

fn read_error(path: &Path, source: std::io::Error) -> RecordError {
    let path = path.to_owned();
    RecordError::Read { path, source }
}

/// Why runs do not merge.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A folder could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Times of kernels, which mean something beside those of the same session only.
    #[error("`{}` holds times of kernels, which are measured in one session", path.display())]
    Throughput {
        /// The run folder.
        path: PathBuf,
    },
    /// Runs of different sweeps.
    #[error("`{}` is a part of another sweep than `{}`: other {what}", other.display(), first.display())]
    OtherSweep {
        /// What differs.
        what: &'static str,
        /// A run folder.
        first: PathBuf,
        /// One that does not go with it.
        other: PathBuf,
    },
    /// A trial that ran twice, to different results.
    #[error("`{}` and `{}` have different results of trial {trial}", first.display(), other.display())]
    TwoResults {
        /// Its display name.
        trial: String,
        /// A run folder.
        first: PathBuf,
        /// Another one.
        other: PathBuf,
    },
}

/// A sweep put together.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedRun {
    /// The run.
    run: RunRecord,
    /// Recorded trials in the order of the plan, each with the folder that it comes from.
    trials: Vec<(TrialRecord, RunFolder)>,
}

impl MergedRun {
    /// Puts runs of one sweep together; none where there are no runs. Of a trial that several have, a finished record
    /// goes before a failed one.
    ///
    /// # Errors
    /// [`MergeError`], by what is wrong.
    pub fn new(folders: &[RunFolder]) -> Result<Option<Self>, MergeError> {
        let mut runs = Vec::with_capacity(folders.len());
        for folder in folders {
            runs.push((folder.run()?, folder.trials()?, folder));
        }
        let Some((first, _, first_folder)) = runs.first() else {
            return Ok(None);
        };
        for (run, _, folder) in &runs {
            if run.suite.is_throughput() {
                let path = folder.path().to_owned();
                return Err(MergeError::Throughput { path });
            }
            if let Some(what) = difference(first, run) {
                return Err(MergeError::OtherSweep {
                    what,
                    first: first_folder.path().to_owned(),
                    other: folder.path().to_owned(),
                });
            }
        }
        let mut trials = Vec::new();
        for cell in &first.plan {
            for planned in &cell.trials {
                let recorded = runs.iter().flat_map(|(_, trials, folder)| {
                    let ours = |trial: &&TrialRecord| {
                        trial.id == planned.id
                            && trial.cell_hash == cell.hash
                            && trial.build_id == first.tool.build_id
                    };
                    trials.iter().filter(ours).map(move |trial| (trial, *folder))
                });
                if let Some((trial, folder)) = best(recorded.collect())? {
                    trials.push((trial.clone(), folder.clone()));
                }
            }
        }
        // Machines and commands may differ: whichever comes first by its text, whatever the order of the folders.
        let run = runs.iter().map(|(run, ..)| run).min_by_key(text);
        Ok(Some(Self {
            run: run.unwrap_or(first).clone(),
            trials,
        }))
    }

    /// Trials that came to their end.
    pub fn n_finished(&self) -> usize {
        let finished = self.trials.iter().filter(|(trial, _)| trial.result().is_some());
        finished.count()
    }

    /// Trials that failed, wherever they ran.
    pub fn n_failed(&self) -> usize {
        self.trials.len() - self.n_finished()
    }

    /// Writes the whole, each trial's files before its record. What is there already stays.
    ///
    /// # Errors
    /// [`RecordError`] for a file that cannot be read or written.
    pub fn write(&self, writer: &RunWriter) -> Result<(), RecordError> {
        writer.write_run(&self.run)?;
        let there = writer.folder().trials()?;
        for (trial, folder) in &self.trials {
            if there.contains(trial) {
                continue;
            }
            if trial.result().is_some() {
                writer.write_ranks(&trial.id, &folder.ranks(&trial.id)?)?;
                writer.write_curves(&trial.id, &folder.curves(&trial.id)?)?;
                let mut timing = folder.timing()?;
                timing.retain(|row| row.trial == trial.id);
                writer.replace_timing(&trial.id, &timing)?;
                copy_weights(folder.path(), writer.folder().path(), &trial.id)?;
            }
            writer.append_trial(trial)?;
        }
        Ok(())
    }
}

/// What differs between the runs of two sweeps, in a word or two; `None` for parts of one sweep.
fn difference(a: &RunRecord, b: &RunRecord) -> Option<&'static str> {
    [
        (a.suite.name != b.suite.name, "suite"),
        (a.suite.version != b.suite.version, "version of the suite"),
        (a.suite.resolved != b.suite.resolved, "settings"),
        // The rest of a cell's hash.
        (a.plan != b.plan, "data"),
        (a.tool != b.tool, "build of hitbench"),
    ]
    .into_iter()
    .find_map(|(differs, what)| differs.then_some(what))
}

/// The record to take: a finished one if there is one, and of equal results always the same.
fn best<'a>(
    mut recorded: Vec<(&'a TrialRecord, &'a RunFolder)>,
) -> Result<Option<(&'a TrialRecord, &'a RunFolder)>, MergeError> {
    if recorded.iter().any(|(trial, _)| trial.result().is_some()) {
        recorded.retain(|(trial, _)| trial.result().is_some());
    }
    let metrics = |trial: &'a TrialRecord| trial.result().map(|result| &result.metrics);
    for pair in recorded.windows(2) {
        let [(a, first), (b, other)] = pair else { continue };
        if metrics(a) != metrics(b) {
            return Err(MergeError::TwoResults {
                trial: a.name.clone(),
                first: first.path().to_owned(),
                other: other.path().to_owned(),
            });
        }
    }
    Ok(recorded.into_iter().min_by_key(|(trial, _)| text(trial)))
}

/// A record as it is written.
fn text(record: &impl serde::Serialize) -> String {
    serde_json::to_string(record).expect("a record has string keys only")
}

/// Copies the weights of a trial, if they were kept, under a temporary name first.
fn copy_weights(from: &Path, to: &Path, trial: &str) -> Result<(), RecordError> {
    let (from, to) = (weights_file(from, trial), weights_file(to, trial));
    if !from.is_file() {
        return Ok(());
    }
    let temporary = to.with_extension("safetensors.tmp");
    let copied = { to.parent().map_or(Ok(()), fs::create_dir_all) }
        .and_then(|()| fs::copy(&from, &temporary))
        .and_then(|_| fs::rename(&temporary, &to));
    copied.map_err(|source| RecordError::Write { path: to, source })
}

#[cfg(test)]
mod tests;
