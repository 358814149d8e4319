//! Files that hold arrays, tables and ranked lists, one file a format.
//!
//! Files are found by [`Location`], read into an array in row-major order that stays in the file's own pages where
//! it can, and checked against the file's length before anything is allocated. A new format gets a file beside
//! `npy`, `npz`, `safetensors`, `hdf5`, `bigfile` and `pickle` and a variant in `array::Format`. What the values mean is for
//! others to say.

mod array;
mod bigfile;
mod buffer;
mod error;
mod flaw;
mod hdf5;
mod ids;
mod layout;
mod lines;
mod location;
mod matrix;
mod npy;
mod npz;
mod pickle;
mod predictions;
mod safetensors;
mod table;
mod trec;

pub(crate) use array::{Array, Format, open};
pub(crate) use buffer::{Aligned, OutOfMemory};
pub use error::FormatError;
pub(crate) use hdf5::DataSets;
pub(crate) use ids::read_ids;
pub(crate) use layout::Element;
pub use layout::Shape;
pub use location::Location;
pub use matrix::Matrix;
pub(crate) use matrix::Values;
pub(crate) use pickle::Handle;
pub use pickle::{Entries, Items, Key, Pickle, PickledArray, Value, View};
pub use predictions::{Entry, Predictions};
pub(crate) use table::{FreeColumn, read_columns, read_free_column, read_free_lines, read_text};
pub use trec::{Qrels, TrecEntries, TrecRun};

#[cfg(test)]
pub(crate) mod tests;
