//! Data sets: one file a set or format; all give the same [`Dataset`].

pub mod config;
pub mod dataset;
mod draw;
pub mod error;
pub mod synthetic;

pub use config::DataConfig;
pub use dataset::{Caption, Dataset, ExpertFeatures, Split, Video};
pub use error::DataError;
