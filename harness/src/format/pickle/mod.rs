//! Python pickles of plain values and NumPy arrays, read without Python and without running anything.
//!
//! A pickle is a program for a stack machine. `machine` runs protocols 0 to 5 into an arena of nodes, in which
//! memo references share instead of copy; `numpy` holds the few functions that may be named, each for just the
//! arguments that NumPy writes; `check` then walks what the program left, once, and refuses what contains itself or
//! would be far larger written out than the file is. Every other function or class is refused by name.
//!
//! Files of PyTorch are pickles with values beside them, in a zip archive or behind the pickle: `torch` has the few functions
//! more that they name, and finds the values.
//!
//! Nothing recurses. A byte of the file makes at most one node, one cell of a list and one entry of the stack or
//! memo, less than 150 bytes together, and less than as many again while values are walked.

mod arena;
mod check;
mod cursor;
mod literal;
mod machine;
mod numpy;
mod read;
mod refused;
mod torch;
mod value;

pub(crate) use machine::PLAIN;
pub use read::Pickle;
pub(crate) use read::is_likely;
pub(crate) use torch::is_archive;
pub(crate) use value::Handle;
pub use value::{Entries, Items, Key, PickledArray, Value, View};

#[cfg(test)]
mod tests;
