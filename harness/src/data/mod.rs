//! Data sets: one file a set or format; all give the same [`Dataset`].

mod activitynet;
mod annotations;
pub mod config;
pub mod dataset;
mod didemo;
mod draw;
pub mod error;
mod features;
pub mod folder;
pub mod loader;
mod lsmdc;
mod msrvtt;
mod msvd;
mod random_state;
pub mod summary;
pub mod synthetic;
pub mod tfidf;
mod two_annotators;
mod vatex;
mod words;
mod youcook2;

pub use config::DataConfig;
pub use dataset::{Caption, Dataset, ExpertFeatures, Split, Video};
pub use error::DataError;
pub use loader::{EvalBatch, Loader, TestLoader, tokenizer};
pub use summary::Summary;
pub use tfidf::{LexicalScores, lexical_scores};
