//! A sweep in shards: where each lies, and the whole run out of all of them.
//!
//! A shard is a run folder of its own, `shards/I-of-N` in that of the whole, so that processes on several machines need
//! nothing of each other. Its plan is that of the whole suite, and it holds the trials that were dealt to it. A trial has
//! one result wherever it ran, so that merging takes each where it is, in any order and as often as wanted.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hitbench_reports::record::{
    CurveRow, RankRow, RecordError, RunFolder, RunRecord, RunWriter, SHARDS, TimingRow, TrialRecord,
};

use super::weights::weights_file;
use crate::machine::fingerprint;
use crate::part::Part;

/// Folder of a shard of the run in `run`.
pub fn shard_folder(run: &Path, part: Part) -> PathBuf {
    run.join(SHARDS).join(part.file_stem())
}

/// The run folder that a folder belongs to: of `X/shards` and `X/shards/I-of-N` it is `X`.
pub fn whole_of(folder: &Path) -> &Path {
    let is_shards = |path: &&Path| path.file_name().is_some_and(|name| name == SHARDS);
    let mut own_and_parent = folder.ancestors().take(2);
    match own_and_parent.find(is_shards).and_then(Path::parent) {
        Some(whole) if whole.as_os_str().is_empty() => Path::new("."),
        Some(whole) => whole,
        None => folder,
    }
}

/// The runs in a folder: the folder itself, if it has a `run.json`, and its shards by name.
///
/// # Errors
/// [`RecordError::Read`] for a folder that cannot be listed.
pub fn find_runs(folder: &Path) -> Result<Vec<RunFolder>, RecordError> {
    let own = RunFolder::new(folder);
    let mut found = find_shards(folder)?;
    if has_run(folder) {
        found.insert(0, own);
    }
    Ok(found)
}

/// The runs that are shards of a folder, by name.
///
/// # Errors
/// [`RecordError::Read`] for a folder that cannot be listed.
pub fn find_shards(folder: &Path) -> Result<Vec<RunFolder>, RecordError> {
    let mut paths = entries(&folder.join(SHARDS))?;
    paths.retain(|path| has_run(path));
    Ok(paths.into_iter().map(RunFolder::new).collect())
}

fn has_run(folder: &Path) -> bool {
    folder.join("run.json").is_file()
}

/// What a folder holds, by name; nothing where there is no such folder.
fn entries(folder: &Path) -> Result<BTreeSet<PathBuf>, RecordError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(BTreeSet::new());
        }
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
    /// Recorded trials in the order of the plan.
    trials: Vec<MergedTrial>,
}

#[derive(Debug, Clone, PartialEq)]
struct MergedTrial {
    record: TrialRecord,
    /// The folders that have it, with this result; the one of the record comes first.
    folders: Vec<RunFolder>,
}

impl MergedRun {
    /// Puts runs of one sweep together, at least one. Of a trial that several have, a finished record goes before a failed
    /// one.
    ///
    /// # Errors
    /// [`MergeError`], by what is wrong.
    pub fn new(folders: &[RunFolder]) -> Result<Self, MergeError> {
        let mut runs = Vec::with_capacity(folders.len());
        for folder in folders {
            runs.push((folder.run()?, folder.trials()?, folder));
        }
        let (first, _, first_folder) = runs.first().expect("a run at least");
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
                trials.extend(merged(recorded.collect())?);
            }
        }
        // Machines may differ: that of most trials, and of equals the first by its text, whatever the order of the folders.
        let on_machine = |run: &RunRecord| {
            let machine = fingerprint(&run.machine);
            let trained = { trials.iter() }.filter_map(|trial| trial.record.result()?.training.as_ref());
            trained
                .filter(|training| training.machines.contains(&machine))
                .count()
        };
        let run =
            { runs.iter().map(|(run, ..)| run) }.min_by_key(|run| (Reverse(on_machine(run)), text(run)));
        let mut run = run.unwrap_or(first).clone();
        // What made a part does not make the whole.
        if let Some(at) = run.command.iter().position(|word| word == "--filter") {
            run.command.drain(at..run.command.len().min(at + 2));
        }
        Ok(Self { run, trials })
    }

    /// Trials that came to their end.
    pub fn n_finished(&self) -> usize {
        let finished = self.trials.iter().filter(|trial| trial.record.result().is_some());
        finished.count()
    }

    /// Trials that failed, wherever they ran.
    pub fn n_failed(&self) -> usize {
        self.trials.len() - self.n_finished()
    }

    /// Writes the whole, each trial's files before its record. What is there already stays.
    ///
    /// # Errors
    /// [`RecordError`] for a file that cannot be read, before anything is written, or that cannot be written.
    pub fn write(&self, writer: &RunWriter) -> Result<(), RecordError> {
        let there = writer.folder().trials()?;
        let is_new = |trial: &&MergedTrial| !there.contains(&trial.record);
        let new: Vec<&MergedTrial> = self.trials.iter().filter(is_new).collect();
        for trial in &new {
            trial.read()?;
        }
        writer.write_run(&self.run)?;
        for trial in new {
            let id = &trial.record.id;
            if let Some(files) = trial.read()? {
                writer.write_ranks(id, &files.ranks)?;
                writer.write_curves(id, &files.curves)?;
                writer.replace_timing(id, &files.timing)?;
            }
            writer.append_trial(&trial.record)?;
        }
        { self.trials.iter() }.try_for_each(|trial| trial.copy_weights(writer.folder().path()))
    }
}

/// What a run folder holds of a finished trial beside its record.
struct TrialFiles {
    ranks: Vec<RankRow>,
    curves: Vec<CurveRow>,
    timing: Vec<TimingRow>,
}

impl MergedTrial {
    /// What its folder holds of a finished trial.
    fn read(&self) -> Result<Option<TrialFiles>, RecordError> {
        let (folder, id) = (&self.folders[0], &self.record.id);
        if self.record.result().is_none() {
            return Ok(None);
        }
        let mut timing = folder.timing()?;
        timing.retain(|row| row.trial == *id);
        Ok(Some(TrialFiles {
            ranks: folder.ranks(id)?,
            curves: folder.curves(id)?,
            timing,
        }))
    }

    /// Copies its weights from whichever folder has kept them, unless they are there.
    fn copy_weights(&self, run: &Path) -> Result<(), RecordError> {
        let file = |run: &Path| weights_file(run, &self.record.id);
        let to = file(run);
        let mut kept = self.folders.iter().map(|folder| file(folder.path()));
        let Some(from) = kept.find(|from| from.is_file()).filter(|_| !to.is_file()) else {
            return Ok(());
        };
        let temporary = to.with_file_name(format!(".{}.safetensors.tmp", self.record.id));
        let copied = { to.parent().map_or(Ok(()), fs::create_dir_all) }
            .and_then(|()| fs::copy(&from, &temporary))
            .and_then(|_| File::open(&temporary)?.sync_all())
            .and_then(|()| fs::rename(&temporary, &to));
        copied.map_err(|source| RecordError::Write { path: to, source })
    }
}

/// What differs between two runs, in a word or two; `None` for parts of one sweep.
pub fn difference(a: &RunRecord, b: &RunRecord) -> Option<&'static str> {
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

/// The record to take of a trial: a finished one if there is one, and of equal results always the same.
fn merged<'a>(
    mut recorded: Vec<(&'a TrialRecord, &'a RunFolder)>,
) -> Result<Option<MergedTrial>, MergeError> {
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
    recorded.sort_by_key(|(trial, _)| text(trial));
    let folders = recorded.iter().map(|(_, folder)| (*folder).clone()).collect();
    Ok(recorded.first().map(|(record, _)| MergedTrial {
        record: (*record).clone(),
        folders,
    }))
}

/// A record as it is written.
fn text(record: &impl serde::Serialize) -> String {
    serde_json::to_string(record).expect("a record has string keys only")
}

#[cfg(test)]
mod tests;
