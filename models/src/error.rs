//! What can go wrong in the model.

use std::fmt::Display;
use std::io::ErrorKind;

use hitbench_kernels::KernelError;

use crate::checkpoint::CheckpointError;
use crate::config::ConfigError;
use crate::weights::WeightsError;

/// An error of the model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A configuration value out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something has not the expected size.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Of what.
        what: String,
        /// Expected.
        expected: String,
        /// Found.
        found: String,
    },
    /// Weights cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A device that does not exist here.
    #[error("no device `{name}`: {reason}")]
    Device {
        /// As asked for.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Training ran into infinity or NaN.
    #[error("step {step} diverged: loss {loss}, gradient norm {grad_norm}")]
    Diverged {
        /// The step.
        step: u64,
        /// Its loss.
        loss: f64,
        /// Its gradient norm.
        grad_norm: f64,
    },
    /// A kernel was given what is no number, as a training that runs into infinity or NaN does.
    #[error("step {step} diverged")]
    NotFinite {
        /// The step.
        step: u64,
        /// Where.
        source: KernelError,
    },
    /// A kernel refused its input.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The threads of the kernels cannot be started.
    #[error("the threads of the kernels cannot be started")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// libtorch failed.
    #[error("libtorch failed")]
    Torch(#[from] tch::TchError),
}

impl ModelError {
    /// Whether a checkpoint is there but holds no trainer of this configuration: torn, incomplete, or of
    /// another form.
    pub fn is_damaged_checkpoint(&self) -> bool {
        match self {
            Self::Checkpoint(CheckpointError::Io { source, .. })
            | Self::Weights(WeightsError::Io { source, .. }) => source.kind() == ErrorKind::NotFound,
            Self::Checkpoint(_) | Self::Weights(_) => true,
            _ => false,
        }
    }

    /// A [`ModelError::Shape`] when `found` is not `expected`.
    pub(crate) fn check_len(what: &str, expected: usize, found: usize) -> Result<(), Self> {
        if expected == found {
            return Ok(());
        }
        Err(Self::shape(what, expected, found))
    }

    pub(crate) fn shape(what: &str, expected: impl Display, found: impl Display) -> Self {
        Self::Shape {
            what: what.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}
