//! The step by our kernels on libtorch's tensors, in place: the fused InfoNCE kernel whose gradient enters
//! libtorch's backward pass, the momentum update on the parameters' own memory, the queue writes.

use std::fmt::Debug;

use hitbench_kernels::cpu::CpuKernel;
use hitbench_kernels::cuda::TensorKernels;
use hitbench_kernels::id::CpuIsa;
use hitbench_kernels::libtorch::bridge::{self, InfoNceTensors};
use hitbench_kernels::{
    Dtype, EmaPair, EmaUpdate, Enqueue, EnqueueJob, InfoNce, InfoNceJob, InfoNceOutput, Kernel, KernelError,
    KernelId,
};
use rayon::ThreadPool;
use tch::Tensor;

use super::{KeyWrite, StepKernels};
use crate::config::QueueDtype;
use crate::error::ModelError;
use crate::loss::{Negatives, Term, TermRows};

/// Our kernels for the tensors of one device.
#[derive(Debug)]
pub(super) struct Custom {
    kernels: Box<dyn InPlace>,
}

impl Custom {
    /// The best kernels of this machine's CPU for queues of `dtype`, which they read without a copy, on `threads` threads
    /// of their own.
    pub(super) fn on_cpu(dtype: QueueDtype, threads: usize) -> Result<Self, ModelError> {
        let dtype = match dtype {
            QueueDtype::F16 => Dtype::F16,
            QueueDtype::F32 => Dtype::F32,
        };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|index| format!("train-kernel-{index}"))
            .build()?;
        let kernel = CpuKernel::new(CpuIsa::Auto, dtype)?;
        Ok(Self {
            kernels: Box::new(Bounded { kernel, pool }),
        })
    }

    /// The kernels of the first GPU.
    pub(super) fn on_gpu() -> Result<Self, ModelError> {
        Ok(Self {
            kernels: Box::new(TensorKernels::new()?),
        })
    }
}

impl StepKernels for Custom {
    fn info_nce(
        &self,
        terms: &[TermRows<'_>],
        negatives: &Negatives<'_>,
        temperature: f64,
    ) -> Result<Vec<Term>, ModelError> {
        let term = |rows: &TermRows<'_>| {
            let (loss, output) = self.kernels.info_nce(&InfoNceTensors {
                query: rows.query,
                positive: rows.keys,
                queue: rows.bank,
                in_batch: negatives.in_batch(),
                ids: negatives.ids(),
                temperature,
            })?;
            let summary = [
                output.loss(),
                output.hit_rate(),
                output.positive_mean(),
                output.negative_mean().unwrap_or(0.0),
            ];
            let summary = Tensor::f_from_slice(&summary.map(|value| value as f32))?;
            Ok(Term {
                summary: summary.f_to_device(loss.device())?,
                loss,
            })
        };
        terms.iter().map(term).collect()
    }

    fn follow(&self, momentum: f64, key: &Tensor, query: &Tensor) -> Result<(), ModelError> {
        Ok(self.kernels.ema_update(momentum, &[(key, query)])?)
    }

    fn enqueue(&self, keys: KeyWrite<'_>) -> Result<usize, ModelError> {
        let mut next = keys.pointer;
        for (bank, rows) in keys.banks {
            // Ids are the banks' in common: each write puts the same ones there.
            let (ids, pointer) = (keys.video_ids, keys.pointer);
            next = self.kernels.enqueue(rows, ids, bank, keys.queue_ids, pointer)?;
        }
        Ok(next)
    }
}

/// What both devices' kernels do on tensors in place; the functions of the bridge say more.
trait InPlace: Debug + Send {
    fn info_nce(&self, term: &InfoNceTensors<'_>) -> Result<(Tensor, InfoNceOutput), KernelError>;

    fn ema_update(&self, momentum: f64, pairs: &[(&Tensor, &Tensor)]) -> Result<(), KernelError>;

    fn enqueue(
        &self,
        keys: &Tensor,
        ids: &[i64],
        queue: &Tensor,
        queue_ids: &mut [i64],
        pointer: usize,
    ) -> Result<usize, KernelError>;
}

impl InPlace for TensorKernels {
    fn info_nce(&self, term: &InfoNceTensors<'_>) -> Result<(Tensor, InfoNceOutput), KernelError> {
        Self::info_nce(self, term)
    }

    fn ema_update(&self, momentum: f64, pairs: &[(&Tensor, &Tensor)]) -> Result<(), KernelError> {
        Self::ema_update(self, momentum, pairs)
    }

    fn enqueue(
        &self,
        keys: &Tensor,
        ids: &[i64],
        queue: &Tensor,
        queue_ids: &mut [i64],
        pointer: usize,
    ) -> Result<usize, KernelError> {
        Self::enqueue(self, keys, ids, queue, queue_ids, pointer)
    }
}

impl InPlace for Bounded {
    fn info_nce(&self, term: &InfoNceTensors<'_>) -> Result<(Tensor, InfoNceOutput), KernelError> {
        bridge::info_nce(self, term)
    }

    fn ema_update(&self, momentum: f64, pairs: &[(&Tensor, &Tensor)]) -> Result<(), KernelError> {
        bridge::ema_update(self, momentum, pairs)
    }

    fn enqueue(
        &self,
        keys: &Tensor,
        ids: &[i64],
        queue: &Tensor,
        queue_ids: &mut [i64],
        pointer: usize,
    ) -> Result<usize, KernelError> {
        bridge::enqueue(self, keys, ids, queue, queue_ids, pointer)
    }
}

/// A kernel on threads of its own, since those of the process may be more than a trial is given.
#[derive(Debug)]
struct Bounded {
    kernel: CpuKernel,
    pool: ThreadPool,
}

impl Kernel for Bounded {
    fn id(&self) -> KernelId {
        self.kernel.id()
    }
}

impl InfoNce for Bounded {
    fn info_nce(&self, job: &InfoNceJob<'_>) -> Result<InfoNceOutput, KernelError> {
        self.pool.install(|| self.kernel.info_nce(job))
    }
}

impl EmaUpdate for Bounded {
    fn ema_update(&self, momentum: f64, pairs: &mut [EmaPair<'_>]) -> Result<(), KernelError> {
        self.pool.install(|| self.kernel.ema_update(momentum, pairs))
    }
}

impl Enqueue for Bounded {
    fn enqueue(&self, job: EnqueueJob<'_>) -> Result<usize, KernelError> {
        self.pool.install(|| self.kernel.enqueue(job))
    }
}
