//! Embedding a data set with a trained model: `hitbench embed` and `hitbench eval --checkpoint`.
//!
//! A file of weights says which model they are of ([`SavedModel`]), so that no suite is needed to use it.

mod embedded;
mod error;
mod export;
mod rows;
mod saved_model;
mod test_pairs;

pub use embedded::{Embedded, embed};
pub use error::EmbedError;
pub use export::{Exported, export, prepare};
pub(crate) use rows::{in_order, side_by_side};
pub use saved_model::SavedModel;
pub(crate) use test_pairs::TestPairs;
