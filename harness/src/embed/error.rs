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
    /// libtorch or the model failed.
    #[error("the model failed")]
    Torch(#[from] ModelError),
    /// Too little memory for the rows.
    #[error(transparent)]
    Memory(#[from] FormatError),
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
