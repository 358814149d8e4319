//! Data sets: one file a set or format; all give the same [`Dataset`].

pub mod config;
pub mod dataset;

pub use config::DataConfig;
pub use dataset::{Caption, Dataset, ExpertFeatures, Video};
