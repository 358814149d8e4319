//! Names of kernels: who computes, with which instructions, on which element type.

use std::fmt;
use std::str::FromStr;

use crate::cpu::dispatch;
use crate::{Dtype, KernelError};

/// Instruction set of a CPU kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CpuIsa {
    /// The best one of this machine; [`KernelId::resolve`] says which.
    Auto,
    /// Plain Rust, no fused multiply-add.
    Scalar,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512F.
    Avx512,
    /// NEON on aarch64.
    Neon,
}

/// Code path of a CUDA kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CudaArch {
    /// Portable tensor cores (`mma.sync`), compute capability 8.0 and later.
    Sm80,
    /// Hopper (TMA and `wgmma`), compute capability 9.0 only.
    Sm90a,
}

/// Where libtorch computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LibtorchDevice {
    /// The CPU.
    Cpu,
    /// The current CUDA device.
    Cuda,
}

/// A kernel's name, such as `reference/f64`, `cpu/avx512/f16` or `libtorch/cpu/f32`.
///
/// The element type is the one that rows are stored in: other rows are converted to it first (each element
/// rounded to nearest), except that `f64` rows never meet an f64 kernel but the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KernelId {
    /// The oracle: plain loops in f64.
    Reference,
    /// SIMD on the CPU, sums in f32.
    Cpu {
        /// Instruction set.
        isa: CpuIsa,
        /// [`Dtype::F16`] or [`Dtype::F32`].
        dtype: Dtype,
    },
    /// Our CUDA kernels, sums in f32.
    Cuda {
        /// Code path.
        arch: CudaArch,
        /// [`Dtype::F16`].
        dtype: Dtype,
    },
    /// libtorch's operators.
    Libtorch {
        /// Where it computes.
        device: LibtorchDevice,
        /// [`Dtype::F16`] or [`Dtype::F32`].
        dtype: Dtype,
    },
}

/// Every id there is, in the order in which they are listed.
const NAMES: [(&str, KernelId); 17] = [
    ("reference/f64", KernelId::Reference),
    ("cpu/auto/f16", cpu(CpuIsa::Auto, Dtype::F16)),
    ("cpu/auto/f32", cpu(CpuIsa::Auto, Dtype::F32)),
    ("cpu/scalar/f16", cpu(CpuIsa::Scalar, Dtype::F16)),
    ("cpu/scalar/f32", cpu(CpuIsa::Scalar, Dtype::F32)),
    ("cpu/avx2/f16", cpu(CpuIsa::Avx2, Dtype::F16)),
    ("cpu/avx2/f32", cpu(CpuIsa::Avx2, Dtype::F32)),
    ("cpu/avx512/f16", cpu(CpuIsa::Avx512, Dtype::F16)),
    ("cpu/avx512/f32", cpu(CpuIsa::Avx512, Dtype::F32)),
    ("cpu/neon/f16", cpu(CpuIsa::Neon, Dtype::F16)),
    ("cpu/neon/f32", cpu(CpuIsa::Neon, Dtype::F32)),
    ("cuda/sm80/f16", cuda(CudaArch::Sm80)),
    ("cuda/sm90a/f16", cuda(CudaArch::Sm90a)),
    ("libtorch/cpu/f16", libtorch(LibtorchDevice::Cpu, Dtype::F16)),
    ("libtorch/cpu/f32", libtorch(LibtorchDevice::Cpu, Dtype::F32)),
    ("libtorch/cuda/f16", libtorch(LibtorchDevice::Cuda, Dtype::F16)),
    ("libtorch/cuda/f32", libtorch(LibtorchDevice::Cuda, Dtype::F32)),
];

const fn cpu(isa: CpuIsa, dtype: Dtype) -> KernelId {
    KernelId::Cpu { isa, dtype }
}

const fn cuda(arch: CudaArch) -> KernelId {
    KernelId::Cuda {
        arch,
        dtype: Dtype::F16,
    }
}

const fn libtorch(device: LibtorchDevice, dtype: Dtype) -> KernelId {
    KernelId::Libtorch { device, dtype }
}

impl KernelId {
    /// Every id that [`KernelId::from_str`] accepts, `auto` ones included.
    pub fn all() -> impl Iterator<Item = KernelId> {
        NAMES.iter().map(|&(_, id)| id)
    }

    /// Replaces `auto` by the best instruction set of this machine; other ids stay as they are.
    #[must_use]
    pub fn resolve(self) -> Self {
        match self {
            Self::Cpu {
                isa: CpuIsa::Auto,
                dtype,
            } => cpu(dispatch::best_isa(), dtype),
            other => other,
        }
    }

    /// Whether this kernel promises that a pair's score depends on nothing but its two rows, and that equal scores
    /// are ordered by index. libtorch cannot.
    pub fn has_pure_scores(self) -> bool {
        !matches!(self, Self::Libtorch { .. })
    }

    /// Element type that the batch of an InfoNCE term is converted to; the queue has [`Self::dtype`].
    pub(crate) fn batch_dtype(self) -> Dtype {
        match self {
            Self::Reference => Dtype::F64,
            Self::Cpu { .. } | Self::Libtorch { .. } => Dtype::F32,
            Self::Cuda { .. } => Dtype::F16,
        }
    }

    /// Element type that rows are converted to.
    pub fn dtype(self) -> Dtype {
        match self {
            Self::Reference => Dtype::F64,
            Self::Cpu { dtype, .. } | Self::Cuda { dtype, .. } | Self::Libtorch { dtype, .. } => dtype,
        }
    }
}

impl fmt::Display for KernelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backend = match self {
            Self::Reference => "reference",
            Self::Cpu { isa, .. } => match isa {
                CpuIsa::Auto => "cpu/auto",
                CpuIsa::Scalar => "cpu/scalar",
                CpuIsa::Avx2 => "cpu/avx2",
                CpuIsa::Avx512 => "cpu/avx512",
                CpuIsa::Neon => "cpu/neon",
            },
            Self::Cuda { arch, .. } => match arch {
                CudaArch::Sm80 => "cuda/sm80",
                CudaArch::Sm90a => "cuda/sm90a",
            },
            Self::Libtorch { device, .. } => match device {
                LibtorchDevice::Cpu => "libtorch/cpu",
                LibtorchDevice::Cuda => "libtorch/cuda",
            },
        };
        write!(f, "{backend}/{}", self.dtype())
    }
}

impl FromStr for KernelId {
    type Err = KernelError;

    fn from_str(text: &str) -> Result<Self, KernelError> {
        NAMES
            .iter()
            .find_map(|&(name, id)| (name == text).then_some(id))
            .ok_or_else(|| KernelError::UnknownKernel { id: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_its_id_and_back() {
        for (name, id) in NAMES {
            assert_eq!(id.to_string(), name);
            assert_eq!(name.parse::<KernelId>().unwrap(), id);
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        for name in [
            "",
            "cpu",
            "cpu/auto",
            "cpu/auto/f64",
            "CPU/auto/f32",
            "cuda/sm80/f32",
            "reference/f32",
        ] {
            let error = name.parse::<KernelId>().unwrap_err();
            assert!(matches!(error, KernelError::UnknownKernel { id } if id == name));
        }
    }

    #[test]
    fn only_auto_is_resolved() {
        for id in KernelId::all() {
            let resolved = id.resolve();
            assert_eq!(resolved.dtype(), id.dtype());
            if matches!(
                id,
                KernelId::Cpu {
                    isa: CpuIsa::Auto,
                    ..
                }
            ) {
                assert_ne!(resolved, id);
            } else {
                assert_eq!(resolved, id);
            }
        }
    }
}
