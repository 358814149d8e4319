//! Why a trial or a run of trials stopped.

use std::path::PathBuf;

use hitbench_reports::record::RecordError;

use crate::data::DataError;
use crate::metric::MetricError;

/// What can end a trial.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The process was asked to stop; a checkpoint holds everything up to then.
    #[error("stopped")]
    Stopped,
    /// Data that do not fit the cell.
    #[error("the data cannot be used")]
    Data(#[from] DataError),
    /// The test split could not be ranked.
    #[error("the test split could not be ranked")]
    Metric(#[from] MetricError),
    /// A file or folder of a checkpoint could not be read.
    #[error("cannot read `{}` of a checkpoint", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file or folder of a checkpoint could not be written or removed.
    #[error("cannot write `{}` of a checkpoint", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The run folder could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The model could not write its checkpoint.
    #[cfg(feature = "torch")]
    #[error("the model's checkpoint could not be written")]
    Save(#[source] hitbench_models::ModelError),
    /// The model refused or libtorch failed.
    #[cfg(feature = "torch")]
    #[error("the model failed")]
    Model(#[from] hitbench_models::ModelError),
    /// The weights to begin with could not be read.
    #[cfg(feature = "torch")]
    #[error("the weights to begin with cannot be used")]
    InitialWeights(#[from] super::weights::InitialWeightsError),
    /// The model gave no rows of the levels that its hierarchy scores by: a defect of this program.
    #[error("the model gave no rows to rank")]
    Untrained,
    /// The trial panicked: a defect of this program.
    #[error("panicked: {0}")]
    Panic(String),
}

impl TrialError {
    /// Whether the run as a whole must end: other trials would meet the same.
    pub fn ends_run(&self) -> bool {
        match self {
            Self::Stopped | Self::Read { .. } | Self::Write { .. } | Self::Record(_) => true,
            #[cfg(feature = "torch")]
            Self::Save(_) => true,
            _ => false,
        }
    }

    /// The error with all its causes on one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}
