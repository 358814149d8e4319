//! The back end: every operation on rows in host memory.

use std::sync::Arc;

use super::gpu::Gpu;
use super::rows::RowStore;
use super::{info_nce, rank, search, upkeep};
use crate::info_nce::{InfoNce, InfoNceJob, InfoNceOutput};
use crate::kernel::Kernel;
use crate::momentum::{EmaPair, EmaUpdate, Enqueue, EnqueueJob};
use crate::rank::{RankCounts, RankJob, RankOutput};
use crate::scores::{Hit, Scores, TopK};
use crate::{Dtype, HeldRows, KernelError, KernelId, Rows};

/// Our kernels on one CUDA device.
#[derive(Debug)]
pub(crate) struct CudaKernel {
    store: RowStore,
}

impl CudaKernel {
    /// The kernels on a device.
    pub(super) fn new(gpu: Arc<dyn Gpu>) -> Self {
        Self {
            store: RowStore::new(gpu),
        }
    }
}

impl Kernel for CudaKernel {
    fn id(&self) -> KernelId {
        KernelId::Cuda {
            arch: self.store.gpu.arch(),
            dtype: Dtype::F16,
        }
    }

    fn hold<'a>(&self, rows: Rows<'a>) -> Result<HeldRows<'a>, KernelError> {
        self.store.keep(rows)
    }
}

impl RankCounts for CudaKernel {
    fn rank_counts(&self, job: &RankJob<'_>) -> Result<RankOutput, KernelError> {
        rank::rank_counts(&self.store, job)
    }
}

impl Scores for CudaKernel {
    fn scores(&self, query: Rows<'_>, gallery: Rows<'_>, out: &mut [f32]) -> Result<(), KernelError> {
        search::scores(&self.store, query, gallery, out)
    }
}

impl TopK for CudaKernel {
    fn top_k(&self, query: Rows<'_>, gallery: Rows<'_>, k: usize) -> Result<Vec<Hit>, KernelError> {
        search::top_k(&self.store, query, gallery, k)
    }
}

impl InfoNce for CudaKernel {
    fn info_nce(&self, job: &InfoNceJob<'_>) -> Result<InfoNceOutput, KernelError> {
        info_nce::info_nce(&self.store, job)
    }
}

impl EmaUpdate for CudaKernel {
    fn ema_update(&self, momentum: f64, pairs: &mut [EmaPair<'_>]) -> Result<(), KernelError> {
        upkeep::ema_update(&self.store.gpu, momentum, pairs)
    }
}

impl Enqueue for CudaKernel {
    fn enqueue(&self, job: EnqueueJob<'_>) -> Result<usize, KernelError> {
        upkeep::enqueue(&self.store.gpu, job)
    }
}
