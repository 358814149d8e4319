//! From names to kernels.

use crate::cpu::{CpuKernel, dispatch};
use crate::rank::RankCounts;
use crate::reference::Reference;
use crate::{Dtype, KernelError, KernelId};

/// The concrete kernels that can run on this machine, the reference first.
pub fn available_kernels() -> Vec<KernelId> {
    let mut ids = vec![KernelId::Reference];
    for isa in dispatch::available_isas() {
        for dtype in [Dtype::F16, Dtype::F32] {
            ids.push(KernelId::Cpu { isa, dtype });
        }
    }
    ids
}

/// The `rank_counts` of kernel `id`, such as `cpu/auto/f32`.
///
/// # Errors
/// [`KernelError::UnknownKernel`] for a name that no kernel has, [`KernelError::Unavailable`] for one that this
/// machine or this build cannot run.
pub fn rank_counts_kernel(id: &str) -> Result<Box<dyn RankCounts + Send + Sync>, KernelError> {
    let id: KernelId = id.parse()?;
    match id {
        KernelId::Reference => Ok(Box::new(Reference)),
        KernelId::Cpu { isa, dtype } => Ok(Box::new(CpuKernel::new(isa, dtype)?)),
        KernelId::Cuda { .. } | KernelId::Libtorch { .. } => Err(unavailable(id)),
    }
}

fn unavailable(id: KernelId) -> KernelError {
    KernelError::Unavailable {
        id: id.to_string(),
        reason: "this build has no such back end".to_owned(),
    }
}
