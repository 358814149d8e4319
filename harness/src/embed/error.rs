//! Why a data set could not be embedded.

use std::io;
use std::path::PathBuf;

use hitbench_models::{ModelError, TokenizerError};

use crate::data::DataError;
use crate::format::FormatError;
use crate::metric::MetricError;
use crate::trial::weights::InitialWeightsError;

/// Why there are no embeddings.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum EmbedError {
    /// The file of weights cannot be read.
    #[error(transparent)]
    Weights(#[from] InitialWeightsError),
    /// A file of weights that says nothing of its model.
    #[error("`{}` does not say which model its weights are of", .path.display())]
    #[diagnostic(help(
        "give `weights/TRIAL.safetensors` of a run with --keep-weights; runs of older builds kept the weights alone"
    ))]
    NoModel {
        /// The file.
        path: PathBuf,
    },
    /// The description of the model is not one that this build reads.
    #[error("`{}` does not describe its model as this build of hitbench does", .path.display())]
    #[diagnostic(help("use the build that wrote it, or train again with --keep-weights"))]
    Model {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The description has another format.
    #[error("`{}` describes its model in format {found}, and this build reads format {known}", .path.display())]
    #[diagnostic(help("use the build that wrote it, or train again with --keep-weights"))]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// What can be read.
        known: u32,
    },
    /// A vocabulary that is not the one that the weights have rows for.
    #[error("`{}` has a vocabulary of {found} tokens for a model of {expected}", .path.display())]
    VocabularySize {
        /// The file.
        path: PathBuf,
        /// Tokens of the vocabulary.
        found: usize,
        /// Tokens of the model.
        expected: usize,
    },
    /// The file's vocabulary is damaged.
    #[error("the vocabulary in `{}` cannot be used", .path.display())]
    Vocabulary {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: TokenizerError,
    },
    /// The data set could not be loaded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// What the model was trained with could not be loaded.
    #[error("the data that the model was trained with cannot be loaded")]
    #[diagnostic(help("name data with --data; relative paths of the suite hold from where it was run"))]
    OwnData(#[source] DataError),
    /// The data set has other experts than the model.
    #[error(
        "the model was trained with expert `{expert}` of {dim} values a row; data set {data} has {found}"
    )]
    Expert {
        /// The data set.
        data: String,
        /// The expert.
        expert: String,
        /// Length of its rows.
        dim: usize,
        /// What there is instead.
        found: String,
    },
    /// The test split has no pairs.
    #[error("the test split of data set {data} cannot be evaluated")]
    Split {
        /// The data set.
        data: String,
        /// The cause.
        #[source]
        source: MetricError,
    },
    /// A device that does not exist here.
    #[error("no device `{name}`: {reason}")]
    Device {
        /// As asked for.
        name: String,
        /// Why not.
        reason: String,
    },
    /// libtorch or the model failed.
    #[error("the model failed")]
    Torch(#[source] ModelError),
    /// Too little memory for the rows.
    #[error(transparent)]
    Memory(FormatError),
    /// A folder for files that holds others.
    #[error("`{}` holds other files than an export", .path.display())]
    #[diagnostic(help("choose another folder with --out"))]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// A file of the export could not be written.
    #[error("cannot write `{}`", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl From<ModelError> for EmbedError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Device { name, reason } => Self::Device { name, reason },
            error => Self::Torch(error),
        }
    }
}
