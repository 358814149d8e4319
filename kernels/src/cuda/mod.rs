//! CUDA: what this machine offers, and our kernels on it.

mod compile;
mod device;
#[cfg(test)]
mod emulated_tests;
#[cfg(test)]
mod emulator;
mod gpu;
mod guarded;
mod info_nce;
mod kernel;
mod launch;
mod memory;
pub mod monitor;
pub mod probe;
mod rank;
mod rows;
mod same_ids;
mod search;
mod source;
mod staging;
mod stopwatch;
#[cfg(all(test, feature = "torch"))]
mod tensor_tests;
#[cfg(feature = "torch")]
mod tensors;
mod upkeep;

pub use compile::CompileError;
pub(crate) use device::{guarded_kernel, kernel};
pub(crate) use kernel::CudaKernel;
pub use probe::{Device, Driver, Nvrtc, Unavailable};
pub use stopwatch::{CacheFlush, DeviceCopy, Stopwatch};
#[cfg(all(test, feature = "torch"))]
pub(crate) use tensor_tests::kernels as emulated_tensor_kernels;
#[cfg(feature = "torch")]
pub use tensors::TensorKernels;
