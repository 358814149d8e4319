//! HiT: configuration, validation, tokenizer, tensor names and parameter counts; with the feature `torch`
//! the encoders, pooling, heads, losses, momentum encoders, optimizer and checkpoints.
//!
//! Knows nothing of suites, data sets on disk or reports. Sources and inferred defaults of the model are
//! marked in the doc comments of [`config`].
#![forbid(unsafe_code)]

pub mod batch;
#[cfg(feature = "torch")]
mod checkpoint;
pub mod config;
pub mod count;
#[cfg(feature = "torch")]
mod device;
#[cfg(feature = "torch")]
pub mod embedder;
#[cfg(feature = "torch")]
pub mod encoder;
#[cfg(feature = "torch")]
pub mod error;
#[cfg(feature = "torch")]
pub mod hcm;
#[cfg(feature = "torch")]
pub mod hierarchy;
#[cfg(feature = "torch")]
pub mod loss;
#[cfg(feature = "torch")]
pub mod momentum;
#[cfg(feature = "torch")]
pub mod optimizer;
#[cfg(feature = "torch")]
pub mod parameters;
#[cfg(feature = "torch")]
mod pooling;
#[cfg(feature = "torch")]
pub mod spec;
#[cfg(feature = "torch")]
pub mod step_kernels;
pub mod stored;
pub mod tokenizer;
#[cfg(feature = "torch")]
pub mod trainer;
#[cfg(feature = "torch")]
pub mod weights;

// Test data is made by one file for the tests in the crate and those outside.
#[cfg(all(test, feature = "torch"))]
extern crate self as hitbench_models;

pub use batch::{PairBatch, TextBatch, VideoBatch};
pub use config::{ConfigError, HitConfig, InputSpec, MomentumConfig, TrainKernels};
pub use count::{HeldCounts, ParameterCounts};
#[cfg(feature = "torch")]
pub use embedder::Embedder;
#[cfg(feature = "torch")]
pub use error::ModelError;
#[cfg(feature = "torch")]
pub use optimizer::{OptimizerConfig, OptimizerRule};
#[cfg(feature = "torch")]
pub use spec::{LevelRows, StepStats, TrainerSpec};
pub use stored::{InitialWeights, StoredTensor, StoredTensors};
pub use tokenizer::{TextConfig, Tokenizer, TokenizerError};
#[cfg(feature = "torch")]
pub use trainer::Trainer;
