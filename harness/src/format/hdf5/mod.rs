//! HDF5: data sets in groups.
//!
//! The crate `hdf5-reader` parses headers, trees, heaps and packed values. What it is fed is watched over here, since
//! a file of a few bytes can ask for endless work: names are looked up here, and no link is followed into another place
//! or file; every byte that the crate reads is charged to the file's length; sizes are compared with what the file can
//! hold before they become memory; values that lie in one piece stay in the file.

mod dataset;
mod datatype;
mod file;
mod links;
mod read;

pub(crate) use file::MAGIC;
pub(crate) use read::{DataSets, read, read_texts};

#[cfg(test)]
mod tests;
