//! From names to kernels.

use crate::cpu::{CpuKernel, dispatch};
use crate::cuda::{self, CudaKernel};
use crate::id::CudaArch;
use crate::info_nce::InfoNce;
#[cfg(feature = "torch")]
use crate::libtorch::{self, LibtorchKernel};
use crate::momentum::{EmaUpdate, Enqueue};
use crate::rank::RankCounts;
use crate::reference::Reference;
use crate::scores::{Scores, TopK};
use crate::{Dtype, KernelError, KernelId};

/// Every operation in one back end.
pub(crate) trait AllOperations: RankCounts + Scores + TopK + InfoNce + EmaUpdate + Enqueue {}

impl<T: RankCounts + Scores + TopK + InfoNce + EmaUpdate + Enqueue> AllOperations for T {}

/// The concrete kernels that can run on this machine, the reference first.
pub fn available_kernels() -> Vec<KernelId> {
    let mut ids = vec![KernelId::Reference];
    for isa in dispatch::available_isas() {
        for dtype in [Dtype::F16, Dtype::F32] {
            ids.push(KernelId::Cpu { isa, dtype });
        }
    }
    for arch in [CudaArch::Sm80, CudaArch::Sm90a] {
        if cuda::kernel(arch).is_ok() {
            ids.push(KernelId::Cuda {
                arch,
                dtype: Dtype::F16,
            });
        }
    }
    #[cfg(feature = "torch")]
    for device in libtorch::available_devices() {
        for dtype in [Dtype::F16, Dtype::F32] {
            ids.push(KernelId::Libtorch { device, dtype });
        }
    }
    ids
}

/// The concrete kernels that exist elsewhere, each with the reason why it cannot run here.
pub fn unavailable_kernels() -> Vec<(KernelId, String)> {
    let concrete = KernelId::all().filter(|id| id.resolve() == *id);
    concrete
        .filter_map(|id| match kernel(&id.to_string()) {
            Err(KernelError::Unavailable { reason, .. }) => Some((id, reason)),
            _ => None,
        })
        .collect()
}

/// The kernel `id`, all of its operations.
pub(crate) fn kernel(id: &str) -> Result<Box<dyn AllOperations>, KernelError> {
    let id: KernelId = id.parse()?;
    match id {
        KernelId::Reference => Ok(Box::new(Reference)),
        KernelId::Cpu { isa, dtype } => Ok(Box::new(CpuKernel::new(isa, dtype)?)),
        #[cfg(feature = "torch")]
        KernelId::Libtorch { device, dtype } => Ok(Box::new(LibtorchKernel::new(device, dtype)?)),
        #[cfg(not(feature = "torch"))]
        KernelId::Libtorch { .. } => unavailable(id, "built without the feature `torch`"),
        KernelId::Cuda { arch, .. } => of_device(id, cuda::kernel(arch)),
    }
}

/// As [`kernel`], with the memory of a device guarded.
pub(crate) fn guarded_kernel(id: KernelId) -> Result<Box<dyn AllOperations>, KernelError> {
    match id {
        KernelId::Cuda { arch, .. } => of_device(id, cuda::guarded_kernel(arch)),
        _ => kernel(&id.to_string()),
    }
}

fn of_device(id: KernelId, found: Result<CudaKernel, String>) -> Result<Box<dyn AllOperations>, KernelError> {
    match found {
        Ok(kernel) => Ok(Box::new(kernel)),
        Err(reason) => unavailable(id, &reason),
    }
}

fn unavailable(id: KernelId, reason: &str) -> Result<Box<dyn AllOperations>, KernelError> {
    Err(KernelError::Unavailable {
        id: id.to_string(),
        reason: reason.to_owned(),
    })
}

/// One function an operation: they differ in nothing but the trait.
macro_rules! by_name {
    ($($function:ident: $operation:ident, $name:literal;)*) => {$(
        #[doc = concat!("The `", $name, "` of kernel `id`, such as `cpu/auto/f32`.")]
        ///
        /// # Errors
        /// [`KernelError::UnknownKernel`] for a name that no kernel has, [`KernelError::Unavailable`] for one
        /// that this machine or this build cannot run.
        pub fn $function(id: &str) -> Result<Box<dyn $operation + Send + Sync>, KernelError> {
            Ok(kernel(id)?)
        }
    )*};
}

by_name! {
    rank_counts_kernel: RankCounts, "rank_counts";
    scores_kernel: Scores, "scores";
    top_k_kernel: TopK, "top_k";
    info_nce_kernel: InfoNce, "info_nce";
    ema_update_kernel: EmaUpdate, "ema_update";
    enqueue_kernel: Enqueue, "enqueue";
}
