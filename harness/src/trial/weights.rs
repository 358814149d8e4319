//! Weights that a model begins with: published BERT files and checkpoints, read by name out of safetensors or PyTorch
//! files, and whether they belong to the cell's model and vocabulary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hitbench_models::{InitialWeights, StoredTensor, StoredTensors};
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::format::{Array, FormatError, Key, Location, Pickle, View, open};
use crate::suite::CellConfig;

/// Files with weights in the folder of a published model, the first that is there.
const BERT_FILES: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
/// What a published folder says of its model.
const BERT_CONFIG: &str = "config.json";
/// The file of a checkpoint with the query encoders.
const CHECKPOINT: &str = "query.safetensors";
/// The matrix whose rows are the vocabulary's tokens.
const WORDS: &str = "embeddings.word_embeddings.weight";
/// Epsilon of BERT's layer norms, which the text tower has.
const EPSILON: f64 = 1e-12;

/// BLAKE3 of well-known vocabulary files, their names, and whether they have capitals.
const VOCABULARIES: [(&str, &str, bool); 2] = [
    (
        "29a772c92cf4b7bc8f4c52d801f03d36ad8528ef964f856dadc4c4e7cb14e451",
        "bert-base-uncased",
        false,
    ),
    (
        "b1e1c114c3a87fe1361cfe1cce1cce18dd89d9ee301d093b60b615b7026084c7",
        "bert-base-cased",
        true,
    ),
];

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InitialWeightsError {
    /// A folder without a file of weights.
    #[error("`{}` has neither {}", .path.display(), .files.join(" nor "))]
    NoFile {
        /// The folder.
        path: PathBuf,
        /// Files that would do.
        files: &'static [&'static str],
    },
    /// A file cannot be read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A file with something else than tensors by name.
    #[error("`{}`: expected tensors by name, found {found}", .path.display())]
    NoTensors {
        /// The file.
        path: PathBuf,
        /// What came.
        found: String,
    },
    /// A safetensors file that is damaged.
    #[error("`{}` is no whole safetensors file", .path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: safetensors::SafeTensorError,
    },
    /// A description of a model that cannot be read.
    #[error("`{}` is no description of a BERT model", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// Weights of another model than the suite's.
    #[error("{what} is {found} in `{}` and {expected} in the suite (`{key}`)", .path.display())]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// As the file has it.
        found: String,
        /// As the suite has it.
        expected: String,
        /// The suite's key.
        key: &'static str,
    },
    /// A vocabulary that is not that of the weights.
    #[error(
        "`{}` has rows for {rows} tokens and the vocabulary{} has {tokens}: give the vocab.txt that was published with \
         these weights", .path.display(), named(.vocabulary)
    )]
    OtherVocabulary {
        /// The weights.
        path: PathBuf,
        /// Rows of their word embeddings.
        rows: usize,
        /// Tokens of the vocabulary.
        tokens: usize,
        /// The vocabulary's name, if it is well known.
        vocabulary: Option<&'static str>,
    },
}

impl InitialWeightsError {
    /// The file or folder at fault.
    pub fn file(&self) -> &Path {
        match self {
            Self::Format(error) => error.file(),
            Self::NoFile { path, .. }
            | Self::NoTensors { path, .. }
            | Self::Safetensors { path, .. }
            | Self::Config { path, .. }
            | Self::OtherModel { path, .. }
            | Self::OtherVocabulary { path, .. } => path,
        }
    }
}

fn named(vocabulary: &Option<&'static str>) -> String {
    vocabulary.map(|name| format!(" of {name}")).unwrap_or_default()
}

/// The file of `path` itself, or the first of `files` in it.
fn file_in(path: &Path, files: &'static [&'static str]) -> Result<PathBuf, InitialWeightsError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let mut paths = files.iter().map(|file| path.join(file));
    paths
        .find(|path| path.is_file())
        .ok_or_else(|| InitialWeightsError::NoFile {
            path: path.to_owned(),
            files,
        })
}

/// Where a run keeps the weights of a trial, if it does.
pub(super) fn weights_file(run: &Path, trial: &str) -> PathBuf {
    run.join("weights").join(format!("{trial}.safetensors"))
}

/// The file with published BERT weights.
///
/// # Errors
/// [`InitialWeightsError::NoFile`].
pub fn bert_file(path: &Path) -> Result<PathBuf, InitialWeightsError> {
    file_in(path, &BERT_FILES)
}

/// The file with the weights of a checkpoint.
///
/// # Errors
/// [`InitialWeightsError::NoFile`].
pub fn checkpoint_file(path: &Path) -> Result<PathBuf, InitialWeightsError> {
    file_in(path, &[CHECKPOINT])
}

/// Name of a well-known vocabulary by its bytes.
fn known_vocabulary(bytes: &[u8]) -> Option<(&'static str, bool)> {
    let hash = blake3::hash(bytes).to_hex();
    let known = VOCABULARIES
        .into_iter()
        .find(|(known, ..)| *known == hash.as_str());
    known.map(|(_, name, has_capitals)| (name, has_capitals))
}

/// The name of a vocabulary without capitals that would be asked for words with capitals.
pub fn lacks_capitals(vocabulary: &[u8], lower_case: bool) -> Option<&'static str> {
    known_vocabulary(vocabulary)
        .filter(|&(_, has_capitals)| !has_capitals && !lower_case)
        .map(|(name, _)| name)
}

/// Checks that published weights are those of the cell's text tower and vocabulary, as far as their folder and the shape
/// of their first matrix tell; names and shapes of all others are checked when they are loaded.
///
/// # Errors
/// [`InitialWeightsError`].
pub fn check_bert(
    config: &CellConfig,
    weights: &Path,
    vocabulary: &[u8],
    tokens: usize,
) -> Result<(), InitialWeightsError> {
    let file = bert_file(weights)?;
    let description = file.with_file_name(BERT_CONFIG);
    if description.is_file() {
        check_description(config, &description)?;
    }
    let shapes = read(&file, |name| name.ends_with(WORDS))?;
    let words = shapes.tensors.iter().find(|tensor| tensor.name.ends_with(WORDS));
    let Some(&[rows, hidden]) = words.map(|words| &words.shape[..]) else {
        return Err(InitialWeightsError::NoTensors {
            path: file,
            found: format!("none that ends in `{WORDS}`"),
        });
    };
    if hidden != config.model.text.hidden {
        return Err(InitialWeightsError::OtherModel {
            path: file,
            what: "the hidden size",
            found: hidden.to_string(),
            expected: config.model.text.hidden.to_string(),
            key: "model.text.hidden",
        });
    }
    if rows != tokens {
        return Err(InitialWeightsError::OtherVocabulary {
            path: file,
            rows,
            tokens,
            vocabulary: known_vocabulary(vocabulary).map(|(name, _)| name),
        });
    }
    Ok(())
}

/// What a published folder says of its model; older ones leave out what BERT always has.
#[derive(Deserialize)]
#[serde(expecting = "an object with `hidden_size` and the other sizes of a BERT model")]
struct WireConfig {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    layer_norm_eps: Option<f64>,
}

fn check_description(config: &CellConfig, path: &Path) -> Result<(), InitialWeightsError> {
    let text = crate::format::read_text(&Location::file(path))?;
    let wire: WireConfig = serde_json::from_str(&text).map_err(|source| InitialWeightsError::Config {
        path: path.to_owned(),
        source,
    })?;
    let tower = &config.model.text;
    let sizes = [
        (
            "the hidden size",
            wire.hidden_size,
            tower.hidden,
            "model.text.hidden",
        ),
        (
            "the number of layers",
            wire.num_hidden_layers,
            tower.layers,
            "model.text.layers",
        ),
        (
            "the number of heads",
            wire.num_attention_heads,
            tower.heads,
            "model.text.heads",
        ),
        (
            "the inner size",
            wire.intermediate_size,
            tower.ffn,
            "model.text.ffn",
        ),
        (
            "the number of positions",
            wire.max_position_embeddings,
            tower.max_positions,
            "model.text.max_positions",
        ),
    ];
    let other = |what, found: String, expected: String, key| InitialWeightsError::OtherModel {
        path: path.to_owned(),
        what,
        found,
        expected,
        key,
    };
    if let Some((what, found, expected, key)) = sizes
        .into_iter()
        .find(|(_, found, expected, _)| found != expected)
    {
        return Err(other(what, found.to_string(), expected.to_string(), key));
    }
    match wire.layer_norm_eps {
        Some(epsilon) if epsilon != EPSILON => {
            let expected = format!("always {EPSILON:e}");
            Err(other(
                "the epsilon of layer norms",
                format!("{epsilon:e}"),
                expected,
                "model.text",
            ))
        }
        _ => Ok(()),
    }
}

/// The weights that a cell's model begins with.
///
/// # Errors
/// [`InitialWeightsError`] for files that cannot be read.
pub fn initial_weights(config: &CellConfig) -> Result<InitialWeights, InitialWeightsError> {
    let all = |file: PathBuf| read_all(&file);
    let model = config
        .train
        .init_from
        .as_deref()
        .map(|path| all(checkpoint_file(path)?))
        .transpose()?;
    let text = config
        .text
        .weights
        .as_deref()
        .map(|path| all(bert_file(path)?))
        .transpose()?;
    Ok(InitialWeights { model, text })
}

/// All tensors of a file.
///
/// # Errors
/// [`InitialWeightsError`] for a file that cannot be read.
pub(crate) fn read_all(path: &Path) -> Result<StoredTensors, InitialWeightsError> {
    read(path, |_| true)
}

/// Tensors of a file whose names are wanted.
fn read(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<StoredTensors, InitialWeightsError> {
    let location = Location::file(path);
    let map = open(&location)?;
    let tensors = match SafeTensors::read_metadata(&map) {
        Ok(_) => read_safetensors(path, &map, wanted)?,
        // A file that is called so and is none is damaged.
        Err(source)
            if path
                .extension()
                .is_some_and(|extension| extension == "safetensors") =>
        {
            return Err(InitialWeightsError::Safetensors {
                path: path.to_owned(),
                source,
            });
        }
        Err(_) => read_torch(path, wanted)?,
    };
    Ok(StoredTensors {
        path: path.to_owned(),
        tensors,
    })
}

fn read_safetensors(
    path: &Path,
    bytes: &[u8],
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<StoredTensor>, InitialWeightsError> {
    let file = SafeTensors::deserialize(bytes).map_err(|source| InitialWeightsError::Safetensors {
        path: path.to_owned(),
        source,
    })?;
    let names: BTreeMap<&str, _> = file.iter().filter(|(name, _)| wanted(name)).collect();
    let tensors = names.into_iter().map(|(name, view)| {
        let member = Location {
            path: path.to_owned(),
            member: Some(name.to_owned()),
        };
        Ok(StoredTensor {
            name: name.to_owned(),
            shape: view.shape().to_vec(),
            values: Array::floats_of(&member, view.dtype(), view.data())?,
        })
    });
    tensors.collect()
}

fn read_torch(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<StoredTensor>, InitialWeightsError> {
    let pickle = Pickle::read(path)?;
    let root = pickle.root();
    // Training programs keep the weights beside other things.
    let root = root.get("state_dict").unwrap_or(root);
    let no_tensors = |found: String| InitialWeightsError::NoTensors {
        path: path.to_owned(),
        found,
    };
    let View::Dict(entries) = root.view() else {
        return Err(no_tensors(root.describe()));
    };
    let mut tensors = Vec::new();
    for (key, value) in entries {
        let name = match key {
            Key::Text(name) => name.into_owned(),
            Key::Int(number) => number.to_string(),
        };
        if !wanted(&name) {
            continue;
        }
        let View::Array(array) = value.view() else {
            return Err(no_tensors(format!("{} at `{name}`", value.describe())));
        };
        let (shape, values) = array.values()?;
        tensors.push(StoredTensor { name, shape, values });
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests;
