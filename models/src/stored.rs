//! Weights out of a file, whatever its format, on their way into a model.

use std::path::PathBuf;

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTensor {
    /// Its name there.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values in row-major order; `None` where they are no floats.
    pub values: Option<Vec<f32>>,
}

/// All tensors of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTensors {
    /// The file, for messages.
    pub path: PathBuf,
    /// Its tensors.
    pub tensors: Vec<StoredTensor>,
}

/// Weights that a model begins with instead of drawn ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InitialWeights {
    /// Of the whole model, as one of this program saved them.
    pub model: Option<StoredTensors>,
    /// Of the text tower: a published BERT. Wins over `model`.
    pub text: Option<StoredTensors>,
}
