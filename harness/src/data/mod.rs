//! Data sets: one file a set or format; all give the same [`Dataset`].

mod activitynet;
pub mod config;
pub mod dataset;
mod draw;
pub mod error;
mod features;
pub mod folder;
pub mod loader;
pub mod synthetic;
pub mod tfidf;
mod two_annotators;
mod words;

pub use config::DataConfig;
pub use dataset::{Caption, Dataset, ExpertFeatures, Split, Video};
pub use error::DataError;
pub use loader::{EvalBatch, Loader, tokenizer};
pub use tfidf::{LexicalScores, lexical_scores};
