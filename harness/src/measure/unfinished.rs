//! What the processes of a run have measured of the cells that are not recorded yet, so that a run that is stopped goes on
//! with the process that it was at.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use hitbench_reports::RunFolder;
use hitbench_reports::record::{RecordError, replace_file};
use serde::{Deserialize, Serialize};

use super::record::Collected;

/// The cells of one build that are under way, by id.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Unfinished {
    /// The build that measured; another begins anew.
    pub(super) build_id: String,
    cells: BTreeMap<String, UnfinishedCell>,
}

#[derive(Debug, Serialize, Deserialize)]
struct UnfinishedCell {
    cell_hash: String,
    collected: Collected,
}

impl Unfinished {
    /// What a run left; nothing where it left nothing, or the file is torn or of another build, whose fields may be others.
    ///
    /// # Errors
    /// [`RecordError::Read`] when a file is there that the system does not let read.
    pub(super) fn read(folder: &RunFolder, build_id: &str) -> Result<Self, RecordError> {
        let path = path(folder);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|source| RecordError::Read { path, source })?,
        };
        let found = serde_json::from_slice(&bytes).ok();
        Ok(found
            .filter(|found: &Self| found.build_id == build_id)
            .unwrap_or_else(|| Self {
                build_id: build_id.to_owned(),
                ..Self::default()
            }))
    }

    /// Takes out what is known of a cell; nothing, if it was measured under another hash.
    pub(super) fn take(&mut self, id: &str, cell_hash: &str) -> Collected {
        let found = self.cells.remove(id);
        found
            .filter(|found| found.cell_hash == cell_hash)
            .map(|found| found.collected)
            .unwrap_or_default()
    }

    /// Puts in what is known of a cell.
    pub(super) fn keep(&mut self, id: &str, cell_hash: &str, collected: &Collected) {
        if !collected.processes.is_empty() {
            let cell = UnfinishedCell {
                cell_hash: cell_hash.to_owned(),
                collected: collected.clone(),
            };
            self.cells.insert(id.to_owned(), cell);
        }
    }

    /// Whether there is nothing to keep.
    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Writes the file, or removes it when there is nothing to keep.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub(super) fn write(&self, folder: &RunFolder) -> Result<(), RecordError> {
        let path = path(folder);
        if !self.is_empty() {
            return replace_file(
                &path,
                &serde_json::to_vec(self).expect("plain data with string keys"),
            );
        }
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(RecordError::Write { path, source }),
            _ => Ok(()),
        }
    }
}

fn path(folder: &RunFolder) -> PathBuf {
    folder.path().join("unfinished.json")
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{Sample, Timed};
    use super::*;
    use crate::suite::kernel_cell::Cache;

    fn collected() -> Collected {
        let mut collected = Collected::default();
        collected.add(Timed {
            accuracy: None,
            samples: vec![(Cache::Warm, vec![Sample { calls: 2, time_ns: 7 }])],
            peak_memory_bytes: Some(5),
            gpu: None,
        });
        collected
    }

    #[test]
    fn what_was_measured_is_kept_for_the_same_cell_and_build() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(dir.path());
        let read = |build: &str| Unfinished::read(&folder, build).unwrap();
        let mut unfinished = read("a");
        unfinished.keep("one", "hash", &collected());
        unfinished.keep("none", "hash", &Collected::default());
        unfinished.write(&folder).unwrap();

        let mut found = read("a");
        assert_eq!(found.take("one", "hash"), collected());
        assert!(found.is_empty());
        assert_eq!(read("a").take("one", "other"), Collected::default());
        assert!(read("b").is_empty());
        fs::write(path(&folder), b"{\"build_id\": \"a\", \"ce").unwrap();
        assert!(read("a").is_empty());
        // Without anything to keep there is no file.
        read("a").write(&folder).unwrap();
        read("a").write(&folder).unwrap();
        assert!(!path(&folder).exists());
    }
}
