//! What can go wrong in the model.

use std::fmt::Display;

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
    /// libtorch failed.
    #[error("libtorch failed")]
    Torch(#[from] tch::TchError),
}

impl ModelError {
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
