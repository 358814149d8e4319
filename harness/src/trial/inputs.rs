//! What the cells of a plan read: data sets, each loaded once, and the identity that their contents give a cell.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hitbench_kernels::{KernelError, rank_counts_kernel};
use hitbench_models::{InputSpec, TokenizerError};

use super::plan::{CellHash, PlannedCell};
use super::weights::{self, InitialWeightsError};
use crate::data::{DataConfig, DataError, Dataset, Split, tokenizer};
use crate::format::{Location, open};
use crate::metric::Protocol;
use crate::suite::{Suite, SuiteError};

/// A cell's data and identity.
#[derive(Debug, Clone)]
pub struct CellInputs {
    /// The data set.
    pub dataset: Arc<Dataset>,
    /// What the data decide about the model.
    pub model_inputs: InputSpec,
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

/// Data sets loaded and vocabularies made so far, by their configurations.
#[derive(Debug, Default)]
pub struct InputCache {
    by_config: BTreeMap<String, Arc<Dataset>>,
    /// Sizes of vocabularies, by the configurations of data and text.
    vocab_sizes: BTreeMap<(String, String), usize>,
    /// Hashes of files of weights.
    hashes: BTreeMap<PathBuf, String>,
}

/// Finds the file of weights that a path means.
type FileOf = fn(&Path) -> Result<PathBuf, InitialWeightsError>;

impl InputCache {
    /// Loads what a cell reads, unless another cell has read it, and checks all of the cell that depends on data or
    /// machine, so that no trial trains in vain.
    ///
    /// # Errors
    /// [`InputError`]; what can be blamed on a value of the suite has that value's place.
    pub fn load(&mut self, suite: &Suite, planned: &PlannedCell<'_>) -> Result<CellInputs, InputError> {
        let config = &planned.cell.config;
        check_kernel(suite, planned)?;
        let key = serde_json::to_string(&config.data).expect("configurations are plain data");
        let dataset = match self.by_config.get(&key) {
            Some(dataset) => Arc::clone(dataset),
            None => {
                let dataset = Dataset::load(&config.data).map_err(|error| blame(error, suite, planned))?;
                dataset.check_experts(&[Split::Train, Split::Test])?;
                let dataset = Arc::new(dataset);
                self.by_config.insert(key.clone(), Arc::clone(&dataset));
                dataset
            }
        };
        check_batch(suite, planned, &dataset)?;
        check_protocol(suite, planned, &dataset)?;
        let mut contents = vec![dataset.content_hash.clone()];
        let vocabulary = match &config.text.vocab {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|source| InputError::Vocabulary {
                path: path.clone(),
                source,
            })?),
        };
        if let Some(bytes) = &vocabulary {
            check_capitals(suite, planned, bytes)?;
            contents.push(blake3::hash(bytes).to_hex().to_string());
        }
        let text = serde_json::to_string(&config.text).expect("configurations are plain data");
        let vocab_size = match self.vocab_sizes.entry((key, text)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let tokenizer = tokenizer(&dataset, &config.text)
                    .map_err(|error| blame_text(error, suite, planned, &dataset))?;
                *place.insert(tokenizer.vocab_size())
            }
        };
        if let (Some(path), Some(vocabulary)) = (&config.text.weights, &vocabulary) {
            let checked = weights::check_bert(config, path, vocabulary, vocab_size);
            checked.map_err(|error| blame_weights(error, suite, planned, "text.weights", path))?;
        }
        let files = [
            ("text.weights", &config.text.weights, weights::bert_file as FileOf),
            (
                "train.init_from",
                &config.train.init_from,
                weights::checkpoint_file,
            ),
        ];
        for (key, path, file_of) in files {
            if let Some(path) = path {
                let hash = file_of(path).and_then(|file| self.hash_of(&file));
                let hash = hash.map_err(|error| blame_weights(error, suite, planned, key, path))?;
                contents.push(format!("{key} {hash}"));
            }
        }
        let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
        let hash = planned.hash(suite.version, &contents);
        let model_inputs = InputSpec {
            experts: dataset.experts.clone(),
            vocab_size,
        };
        Ok(CellInputs {
            dataset,
            model_inputs,
            hash,
        })
    }
}

impl InputCache {
    /// BLAKE3 of a file, as hex; each file is read once.
    fn hash_of(&mut self, file: &Path) -> Result<String, InitialWeightsError> {
        if let Some(known) = self.hashes.get(file) {
            return Ok(known.clone());
        }
        let bytes = open(&Location::file(file))?;
        let hash = blake3::hash(&bytes).to_hex().to_string();
        self.hashes.insert(file.to_owned(), hash.clone());
        Ok(hash)
    }
}

/// Puts an error about weights where the suite chose them.
fn blame_weights(
    error: InitialWeightsError,
    suite: &Suite,
    planned: &PlannedCell<'_>,
    key: &str,
    path: &Path,
) -> SuiteError {
    let allowed = format!("weights of this model ({})", chain(&error));
    suite.error_at(planned.cell, key, &format!("`{}`", path.display()), &allowed)
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", chain(source)),
    }
}

/// Refuses a vocabulary without capitals for text with capitals, of which most words would be unknown.
fn check_capitals(suite: &Suite, planned: &PlannedCell<'_>, vocabulary: &[u8]) -> Result<(), SuiteError> {
    let config = &planned.cell.config.text;
    match weights::lacks_capitals(vocabulary, config.lower_case) {
        None => Ok(()),
        Some(name) => {
            let allowed = format!("true with the vocabulary of {name}, which has no capitals");
            Err(suite.error_at(planned.cell, "text.lower_case", "false", &allowed))
        }
    }
}

/// Refuses a kernel that exists, but not on this machine or in this build.
fn check_kernel(suite: &Suite, planned: &PlannedCell<'_>) -> Result<(), SuiteError> {
    let kernel = &planned.cell.config.eval.kernel;
    let reason = match rank_counts_kernel(kernel) {
        Ok(_) => return Ok(()),
        Err(KernelError::Unavailable { reason, .. }) => reason,
        Err(error) => error.to_string(),
    };
    let allowed = format!("a kernel that `hitbench doctor` lists as available ({reason})");
    Err(suite.error_at(planned.cell, "eval.kernel", kernel, &allowed))
}

/// Refuses a batch that the training videos do not fill.
fn check_batch(suite: &Suite, planned: &PlannedCell<'_>, data: &Dataset) -> Result<(), SuiteError> {
    let (batch, train) = (planned.cell.config.train.batch, data.training_videos().len());
    if batch <= train {
        return Ok(());
    }
    let allowed = format!(
        "at most {train}, the training videos of `{}` with a caption",
        data.name
    );
    Err(suite.error_at(planned.cell, "train.batch", &batch.to_string(), &allowed))
}

/// Refuses a protocol that stands for another test split.
fn check_protocol(suite: &Suite, planned: &PlannedCell<'_>, data: &Dataset) -> Result<(), SuiteError> {
    let id = &planned.cell.config.protocol;
    let n_captions = data.split_captions(Split::Test).len();
    let checked = Protocol::find(id).and_then(|found| found.check(n_captions, Some(data.splits.test.len())));
    checked.map_err(|error| {
        let allowed = format!(
            "custom, or a protocol of the test split of `{}` ({error})",
            data.name
        );
        suite.error_at(planned.cell, "protocol", &format!("`{id}`"), &allowed)
    })
}

/// Puts an error about the vocabulary where the suite chose it.
fn blame_text(error: TokenizerError, suite: &Suite, planned: &PlannedCell<'_>, data: &Dataset) -> InputError {
    let at =
        |path: &str, value: &str, allowed: &str| suite.error_at(planned.cell, path, value, allowed).into();
    match (&error, &planned.cell.config.text.vocab) {
        (TokenizerError::TooSmall { size, needed }, _) => {
            let allowed = format!(
                "at least {needed}, for the special tokens and the alphabet of the training captions of `{}`",
                data.name
            );
            at("text.vocab_size", &size.to_string(), &allowed)
        }
        (TokenizerError::MissingToken { .. } | TokenizerError::DuplicateToken { .. }, Some(path)) => {
            let allowed = format!("a file of distinct tokens, BERT's special ones among them ({error})");
            at("text.vocab", &format!("`{}`", path.display()), &allowed)
        }
        _ => InputError::Data(DataError::Tokenizer {
            name: data.name.clone(),
            source: error,
        }),
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
    use crate::data::config::SyntheticConfig;
    use crate::data::folder::write_folder;
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

    /// What is said about a suite whose data have 20 training videos and a test split of 10, and where.
    fn refused(rest: &str) -> (String, Option<(u64, u64)>) {
        let suite = suite(&format!(
            "data: {{synthetic: {{videos: 30, test_videos: 10}}}},\n{rest}"
        ));
        let plan = Plan::new(&suite, None).expect("no filter");
        match InputCache::default().load(&suite, &plan.cells[0]) {
            Err(InputError::Suite(error)) => (error.problem().to_string(), error.position()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_only_data_and_machine_refuse_has_its_place() {
        let small = "train: {batch: 8}, momentum: {queue_len: 0}";
        let (message, place) = refused(&format!("{small}, protocol: msrvtt-1ka"));
        assert_eq!(
            message,
            "impossible value for `protocol`: `msrvtt-1ka`; \
             allowed: custom, or a protocol of the test split of `synthetic` \
             (protocol `msrvtt-1ka` has 1000 captions, found 20)"
        );
        assert_eq!(place, Some((2, 56)));
        // No machine has all kernels.
        let (kernel, reason) = &hitbench_kernels::unavailable_kernels()[0];
        let (message, place) = refused(&format!("{small}, eval: {{kernel: {kernel}}}"));
        assert_eq!(
            message,
            format!(
                "impossible value for `eval.kernel`: {kernel}; \
                 allowed: a kernel that `hitbench doctor` lists as available ({reason})"
            )
        );
        assert_eq!(place, Some((2, 61)));
        let folder = tempfile::tempdir().expect("a folder for tests");
        let vocab = folder.path().join("vocab.txt");
        std::fs::write(&vocab, "[PAD]\n").expect("the file can be written");
        let (message, place) = refused(&format!("{small}, text: {{vocab: {}}}", vocab.display()));
        let message = message.replace(&vocab.display().to_string(), "vocab.txt");
        assert_eq!(
            message,
            "impossible value for `text.vocab`: `vocab.txt`; \
             allowed: a file of distinct tokens, BERT's special ones among them (the vocabulary has no `[CLS]`)"
        );
        assert_eq!(place, Some((2, 60)));
    }

    #[test]
    fn a_small_vocabulary_and_a_large_batch_have_their_place() {
        let config = SyntheticConfig {
            videos: 30,
            test_videos: 10,
            ..SyntheticConfig::default()
        };
        let mut data = Dataset::load(&DataConfig::Synthetic(config)).expect("the data can be made");
        let (without, wordy) = (data.splits.train[0], data.splits.train[1]);
        data.captions.retain(|caption| caption.video != without);
        let wordy = data.captions.iter_mut().find(|caption| caption.video == wordy);
        wordy.expect("every video has captions").text = ('α'..='ω').chain('а'..='я').collect();
        let folder = tempfile::tempdir().expect("a folder for tests");
        let path = folder.path().join("set");
        let data = data.finish().expect("a video may lack captions");
        write_folder(&data, &path).expect("the folder can be written");
        let refused = |rest: &str| {
            let suite = suite(&format!(
                "data: {{folder: {{path: {}}}}},\n{rest}",
                path.display()
            ));
            let plan = Plan::new(&suite, None).expect("no filter");
            match InputCache::default().load(&suite, &plan.cells[0]) {
                Err(InputError::Suite(error)) => (error.problem().to_string(), error.position()),
                other => panic!("{other:?}"),
            }
        };
        let (message, place) = refused("momentum: {queue_len: 0}, train: {batch: 20}");
        assert_eq!(
            message,
            "impossible value for `train.batch`: 20; \
             allowed: at most 19, the training videos of `synthetic` with a caption"
        );
        assert_eq!(place, Some((2, 42)));
        // Nobody wrote the batch; the data are what is too small for it.
        let (message, place) = refused("momentum: {queue_len: 512}");
        assert_eq!(
            message,
            "impossible value for `train.batch`: 64 (default); \
             allowed: at most 19, the training videos of `synthetic` with a caption"
        );
        assert_eq!(place, Some((1, 66)));
        let (message, place) =
            refused("momentum: {queue_len: 0}, train: {batch: 19}, text: {vocab_size: 70}");
        assert_eq!(
            message,
            "impossible value for `text.vocab_size`: 70; \
             allowed: at least 165, for the special tokens and the alphabet of the training captions of `synthetic`"
        );
        assert_eq!(place, Some((2, 66)));
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
        let (text, other) = (
            "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n",
            "[PAD]\n[UNK]\n[CLS]\n[SEP]\nb\n",
        );
        assert_eq!(load("one.txt", text), load("two.txt", text));
        assert_ne!(load("one.txt", text), load("two.txt", other));
    }
}
