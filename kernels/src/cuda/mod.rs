//! CUDA: what this machine offers.

pub mod probe;

pub use probe::{Device, Driver, Nvrtc, Unavailable};
