//! libtorch: the reference back end that ours are measured against, and the bridge that lets our kernels work on
//! tensors in place.

pub mod bridge;
mod device;
mod heap;
mod in_place;
mod kernel;
mod memory;
mod operations;
mod product;
mod script;
mod search;
mod threads;

pub(crate) use device::available_devices;
pub use heap::keep_freed_memory;
pub use in_place::{EmaInPlace, EnqueueInPlace, InfoNceInPlace};
pub use kernel::LibtorchKernel;
pub use product::Product;
pub use threads::use_threads;
