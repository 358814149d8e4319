//! SIMD back ends, chosen at run time.

pub(crate) mod dispatch;
mod info_nce;
mod isa;
mod momentum;
mod negatives;
mod opponent;
mod pack;
pub(crate) mod peak;
mod rank;
mod scores;
mod softmax;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

pub use dispatch::CpuKernel;
pub use opponent::Product;
pub use peak::fma_burst;
