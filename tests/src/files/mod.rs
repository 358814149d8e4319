//! Writers of file formats that the program only reads: enough of each for files as their real writers make them.

mod hdf5;
mod pickle;

pub use hdf5::Hdf5;
pub use pickle::Pickled;
