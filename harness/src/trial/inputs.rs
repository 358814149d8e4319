//! What the cells of a plan read: data sets, each loaded once, and the identity that their contents give a cell.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::plan::{CellHash, PlannedCell};
use crate::data::{DataConfig, DataError, Dataset};
use crate::suite::{Suite, SuiteError};

/// A cell's data and identity.
#[derive(Debug, Clone)]
pub struct CellInputs {
    /// The data set.
    pub dataset: Arc<Dataset>,
    /// The cell's hash.
    pub hash: CellHash,
}

/// Why a cell's inputs could not be had.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The suite asks for what the data do not have.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// The data could not be loaded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The vocabulary file could not be read.
    #[error("cannot read vocabulary `{}`", .path.display())]
    Vocabulary {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// Data sets loaded so far, by their configuration.
#[derive(Debug, Default)]
pub struct InputCache {
    by_config: BTreeMap<String, Arc<Dataset>>,
}

impl InputCache {
    /// Loads what a cell reads, unless another cell has read it.
    ///
    /// # Errors
    /// [`InputError`]; what can be blamed on a value of the suite has that value's place.
    pub fn load(&mut self, suite: &Suite, planned: &PlannedCell<'_>) -> Result<CellInputs, InputError> {
        let config = &planned.cell.config;
        let key = serde_json::to_string(&config.data).expect("configurations are plain data");
        let dataset = match self.by_config.get(&key) {
            Some(dataset) => Arc::clone(dataset),
            None => {
                let dataset = Dataset::load(&config.data).map_err(|error| blame(error, suite, planned))?;
                let dataset = Arc::new(dataset);
                self.by_config.insert(key, Arc::clone(&dataset));
                dataset
            }
        };
        let train = dataset.splits.train.len();
        if config.train.batch > train {
            let value = config.train.batch.to_string();
            let allowed = format!("at most {train}, the training videos of `{}`", dataset.name);
            return Err(suite
                .error_at(planned.cell, "train.batch", &value, &allowed)
                .into());
        }
        let mut contents = vec![dataset.content_hash.clone()];
        if let Some(path) = &config.text.vocab {
            let bytes = std::fs::read(path).map_err(|source| InputError::Vocabulary {
                path: path.clone(),
                source,
            })?;
            contents.push(blake3::hash(&bytes).to_hex().to_string());
        }
        let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
        let hash = planned.hash(suite.version, &contents);
        Ok(CellInputs { dataset, hash })
    }
}

/// Puts an error about splits where the suite chose them.
fn blame(error: DataError, suite: &Suite, planned: &PlannedCell<'_>) -> InputError {
    let at =
        |path: &str, value: &str, allowed: &str| suite.error_at(planned.cell, path, value, allowed).into();
    match (&error, &planned.cell.config.data) {
        (
            DataError::TooFew {
                asked, have, name, ..
            },
            DataConfig::TwoAnnotators(_),
        ) => {
            let allowed = format!("1 to {}, as `{name}` has {have} videos", have.saturating_sub(1));
            at("data.two_annotators.test_videos", &asked.to_string(), &allowed)
        }
        (DataError::EmptySplit { split, .. }, DataConfig::Folder(folder)) => {
            let value = format!("`{}`, whose {split} split is empty", folder.path.display());
            at(
                "data.folder.path",
                &value,
                "a folder whose train and test splits have videos with captions",
            )
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Plan;

    fn suite(rest: &str) -> Suite {
        let text = format!("{{format: 1, name: a, version: 1, about: a, kind: ablation, {rest}}}");
        Suite::parse("a.yaml", &text, &[]).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn data_are_loaded_once_and_hashes_follow_them() {
        let suite = suite(
            "train: {batch: 8}, momentum: {queue_len: 0}, data: {synthetic: {videos: 30, test_videos: 10}}, \
             axes: {train.lr: [0.1, 0.2], data.synthetic.seed: [1, 2]}",
        );
        let plan = Plan::new(&suite, None).expect("no filter");
        let mut cache = InputCache::default();
        let inputs: Vec<CellInputs> = plan
            .cells
            .iter()
            .map(|cell| cache.load(&suite, cell).expect("generated data load"))
            .collect();
        assert!(Arc::ptr_eq(&inputs[0].dataset, &inputs[2].dataset));
        assert_ne!(inputs[0].dataset.content_hash, inputs[1].dataset.content_hash);
        let mut hashes: Vec<String> = inputs.iter().map(|inputs| inputs.hash.to_string()).collect();
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), 4);
    }

    #[test]
    fn a_vocabulary_counts_by_its_contents() {
        let folder = tempfile::tempdir().expect("a folder for tests");
        let load = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("the file can be written");
            let rest = format!(
                "train: {{batch: 8}}, momentum: {{queue_len: 0}}, text: {{vocab: {}}}, \
                 data: {{synthetic: {{videos: 30, test_videos: 10}}}}",
                path.display()
            );
            let suite = suite(&rest);
            let plan = Plan::new(&suite, None).expect("no filter");
            InputCache::default()
                .load(&suite, &plan.cells[0])
                .expect("inputs load")
                .hash
        };
        assert_eq!(load("one.txt", "[PAD]\n"), load("two.txt", "[PAD]\n"));
        assert_ne!(load("one.txt", "[PAD]\n"), load("two.txt", "[UNK]\n"));
    }
}
