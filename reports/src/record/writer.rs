//! Writing a run folder, by one process at a time.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::iter;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::rows::{curve_csv, row_csv};
use super::{
    ComparisonsFile, CurveRow, MeasurementRecord, PeaksRecord, RankRow, RecordError, RunFolder, RunRecord,
    TimingRow, TrialRecord,
};

/// Where parts of an evaluation or of a sweep wait in a run folder for the others, before there is a `run.json`.
pub const SHARDS: &str = "shards";

/// Folders in a run folder.
const SUBFOLDERS: [&str; 3] = ["ranks", "curves", "plots"];

/// The one writer of a run folder: holds its lock until dropped.
///
/// A trial line is appended whole and synced; every other file is written beside its place, synced, and
/// renamed. So nothing already written is lost, whatever stops the process.
#[derive(Debug)]
pub struct RunWriter {
    folder: RunFolder,
    _lock: File,
}

impl RunWriter {
    /// Creates the folder where needed, locks it, and removes what a killed process left half written.
    ///
    /// # Errors
    /// [`RecordError::Occupied`] for a folder with files but without `run.json`, [`RecordError::Torn`] or
    /// [`RecordError::FutureFormat`] for a `run.json` that is none of this program's: nothing in it is touched;
    /// [`RecordError::Locked`] while another writer has it, [`RecordError::Write`] when it cannot be written.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RecordError> {
        let folder = RunFolder::new(path);
        refuse_what_is_no_run(&folder)?;
        let folders = SUBFOLDERS.map(|sub| folder.file(sub));
        for path in iter::once(folder.path().to_owned()).chain(folders) {
            fs::create_dir_all(&path).map_err(RecordError::write(&path))?;
        }
        let lock_path = folder.file(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(RecordError::write(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RecordError::Locked {
                    path: folder.path().to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(RecordError::write(&lock_path)(source)),
        }
        for sub in iter::once("").chain(SUBFOLDERS) {
            remove_half_written(&folder.file(sub))?;
        }
        Ok(Self { folder, _lock: lock })
    }

    /// The folder, for reading.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn write_run(&self, run: &RunRecord) -> Result<(), RecordError> {
        self.write_json("run.json", run)
    }

    /// Writes `comparisons.json`.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn write_comparisons(&self, comparisons: &ComparisonsFile) -> Result<(), RecordError> {
        self.write_json("comparisons.json", comparisons)
    }

    /// Appends one line to `trials.jsonl`, whole and synced, in place of a torn last line if there is one.
    /// Write the trial's ranks and curves first: the line says that they are there.
    ///
    /// # Errors
    /// [`RecordError::Write`]; [`RecordError::NotANumber`] for NaN where there must be a number. The file then
    /// is as it was.
    pub fn append_trial(&self, trial: &TrialRecord) -> Result<(), RecordError> {
        self.append("trials.jsonl", &trial.id, trial)
    }

    /// Appends one line to `measurements.jsonl` as [`append_trial`](Self::append_trial) does to `trials.jsonl`. Write
    /// its samples first.
    ///
    /// # Errors
    /// As [`append_trial`](Self::append_trial).
    pub fn append_measurement(&self, measurement: &MeasurementRecord) -> Result<(), RecordError> {
        self.append("measurements.jsonl", &measurement.id, measurement)
    }

    fn append<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        id: &str,
        record: &T,
    ) -> Result<(), RecordError> {
        let path = self.folder.file(name);
        let mut line = serde_json::to_vec(record).expect("a record has string keys only");
        // NaN is written as `null`, which would make the whole file unreadable later.
        if let Err(source) = serde_json::from_slice::<T>(&line) {
            return Err(RecordError::NotANumber {
                trial: id.to_owned(),
                source,
            });
        }
        line.push(b'\n');
        append_line::<T>(&path, &line).map_err(RecordError::write(&path))
    }

    /// Writes `peaks.json`.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn write_peaks(&self, peaks: &PeaksRecord) -> Result<(), RecordError> {
        self.write_json("peaks.json", peaks)
    }

    /// Writes `ranks/TRIAL.csv`.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn write_ranks(&self, trial_id: &str, rows: &[RankRow]) -> Result<(), RecordError> {
        replace_file(&self.folder.ranks_path(trial_id), &row_csv(rows))
    }

    /// Writes `curves/TRIAL.csv`; the terms of the first row name the columns.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn write_curves(&self, trial_id: &str, rows: &[CurveRow]) -> Result<(), RecordError> {
        replace_file(&self.folder.curves_path(trial_id), &curve_csv(rows))
    }

    /// Puts `rows` in place of the trial's rows in `timing.csv`, and keeps those of other trials.
    ///
    /// # Errors
    /// [`RecordError::Write`]; [`RecordError::TornCsv`] when the file that is there cannot be understood.
    pub fn replace_timing(&self, trial_id: &str, rows: &[TimingRow]) -> Result<(), RecordError> {
        let mut all = self.folder.timing()?;
        all.retain(|row| row.trial != trial_id);
        all.extend_from_slice(rows);
        replace_file(&self.folder.file("timing.csv"), &row_csv(&all))
    }

    fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), RecordError> {
        let mut bytes = serde_json::to_vec_pretty(value).expect("a record has string keys only");
        bytes.push(b'\n');
        replace_file(&self.folder.file(name), &bytes)
    }
}

/// Refuses a folder that somebody else's files are in.
///
/// # Errors
/// [`RecordError::Occupied`], and for a `run.json` that is none of this program's as [`RunFolder::run`].
pub fn refuse_what_is_no_run(folder: &RunFolder) -> Result<(), RecordError> {
    match folder.run() {
        Err(RecordError::NotARun { path }) => match foreign_entry(&path) {
            Some(entry) => Err(RecordError::Occupied { path, entry }),
            None => Ok(()),
        },
        // What cannot be read cannot be written either, which comes next.
        Ok(_) | Err(RecordError::Read { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The first name in `folder` that a process killed before it wrote `run.json` did not leave; none where there is no
/// such folder.
fn foreign_entry(folder: &Path) -> Option<String> {
    let is_empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    let names = fs::read_dir(folder).ok()?.flatten().filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = [".lock", SHARDS].contains(&&*name)
            || (name.starts_with(".run.json.") && name.ends_with(".tmp"))
            || (SUBFOLDERS.contains(&&*name) && is_empty(&entry.path()));
        (!ours).then_some(name)
    });
    names.min()
}

/// Writes `bytes` beside `path`, syncs, and renames, so that a reader sees the old file or the new one.
///
/// # Errors
/// [`RecordError::Write`].
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let name = path.file_name().unwrap_or(OsStr::new("file")).to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = written {
        // The cause is reported; a temporary file that cannot be removed adds nothing to it.
        drop(fs::remove_file(&temporary));
        return Err(RecordError::write(path)(source));
    }
    Ok(())
}

fn append_line<T: DeserializeOwned>(path: &Path, line: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    // What follows the last line end was never acknowledged, unless it is a whole record without its end.
    let whole_lines = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let tail = &bytes[whole_lines..];
    let (end, separator): (usize, &[u8]) = match serde_json::from_slice::<T>(tail) {
        Ok(_) => (bytes.len(), b"\n"),
        Err(_) => (whole_lines, b""),
    };
    file.set_len(end as u64)?;
    file.seek(SeekFrom::End(0))?;
    let written = file
        .write_all(&[separator, line].concat())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // Leaves no half line before a later one; if this fails too, readers and the next append cope.
        drop(file.set_len(end as u64));
    }
    written
}

fn remove_half_written(folder: &Path) -> Result<(), RecordError> {
    let entries = fs::read_dir(folder).map_err(RecordError::read(folder))?;
    for entry in entries {
        let path = entry.map_err(RecordError::read(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && name.ends_with(".tmp") {
            fs::remove_file(&path).map_err(RecordError::write(&path))?;
        }
    }
    Ok(())
}
