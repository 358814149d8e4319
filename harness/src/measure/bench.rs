//! From a cell and its inputs to something that can be called again and again.

use hitbench_kernels::conformance::compare::Deviation;
use hitbench_kernels::{
    Dtype, KernelError, KernelId, ema_update_kernel, enqueue_kernel, info_nce_kernel, rank_counts_kernel,
    top_k_kernel,
};
#[cfg(feature = "torch")]
use hitbench_models::ModelError;

use super::inputs::Inputs;
use super::opponent::{GEMM, GemmBench, MATMUL, OPPONENTS};
use super::search::{RankBench, TopKBench};
use super::upkeep::{ContrastBench, EmaBench, EnqueueBench};
use crate::suite::{KernelCell, Operation, Work};

/// Queries whose results are compared with the reference.
const SAMPLE: usize = 16;

/// How far results are from the reference; none where there is nothing to compare.
pub(super) type Judged = Option<Deviation>;

/// An operation at a shape by one kernel.
pub(super) trait Bench {
    /// One call: what is timed.
    fn call(&mut self) -> Result<(), BenchError>;

    /// One call whose results are compared with the reference.
    fn verify(&mut self) -> Result<Judged, BenchError>;

    /// Brings the inputs to the memory of the device, where calls find them from now on. On a CPU they are there.
    fn hold(&mut self) -> Result<(), BenchError> {
        Ok(())
    }

    /// Ends what [`Self::hold`] began.
    fn release(&mut self) {}
}

/// Why a cell cannot be measured.
#[derive(Debug, thiserror::Error)]
pub(super) enum BenchError {
    /// There is no such implementation.
    #[error("has no {0}")]
    Lacks(Operation),
    /// This build cannot train.
    #[cfg(not(feature = "torch"))]
    #[error("built without the feature `torch`")]
    NeedsTorch,
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The model refused.
    #[cfg(feature = "torch")]
    #[error("the model failed")]
    Model(#[from] ModelError),
}

impl BenchError {
    /// Why the cell is unavailable here; `None` if it should have worked.
    pub(super) fn unavailable(&self) -> Option<String> {
        match self {
            Self::Lacks(_) => Some(self.to_string()),
            #[cfg(not(feature = "torch"))]
            Self::NeedsTorch => Some(self.to_string()),
            Self::Kernel(KernelError::Unavailable { reason, .. }) => Some(reason.clone()),
            #[cfg(feature = "torch")]
            Self::Model(
                ModelError::Device { reason, .. }
                | ModelError::Kernel(KernelError::Unavailable { reason, .. }),
            ) => Some(reason.clone()),
            _ => None,
        }
    }
}

/// The concrete name of a cell's kernel, and the element type of its rows.
pub(super) fn concrete(kernel: &str) -> Result<(String, Dtype), KernelError> {
    if kernel == GEMM {
        return Ok((GEMM.to_owned(), Dtype::F32));
    }
    if kernel == MATMUL {
        return Ok((MATMUL.to_owned(), Dtype::F16));
    }
    let id = kernel.parse::<KernelId>()?.resolve();
    Ok((id.to_string(), id.dtype()))
}

/// Refuses a kernel that this machine or build lacks, before inputs are made, which may take long.
pub(super) fn is_here(cell: &KernelCell) -> Result<(), BenchError> {
    if cell.kernel == MATMUL {
        rank_counts_kernel("libtorch/cuda/f16")?;
    }
    // Every kernel has every operation; an opponent is none, and a step of training says by itself what it lacks.
    if !OPPONENTS.contains(&&*cell.kernel) && cell.work.operation() != Operation::TrainStep {
        rank_counts_kernel(&cell.kernel)?;
    }
    // What trains works on the tensors of libtorch.
    #[cfg(not(feature = "torch"))]
    if cell.is_ever_held()
        && matches!(
            cell.work.operation(),
            Operation::InfoNce | Operation::EmaUpdate | Operation::Enqueue
        )
    {
        return Err(BenchError::NeedsTorch);
    }
    Ok(())
}

/// Makes a cell callable; `inputs` are those of its work.
pub(super) fn bench<'a>(
    cell: &KernelCell,
    inputs: &'a mut Inputs,
) -> Result<Box<dyn Bench + 'a>, BenchError> {
    let kernel = cell.kernel.as_str();
    let lacks = || Err(BenchError::Lacks(cell.work.operation()));
    if kernel == GEMM {
        return match inputs {
            Inputs::Search(inputs) => Ok(Box::new(GemmBench::new(inputs, cell.measure.threads as usize))),
            _ => lacks(),
        };
    }
    if kernel == MATMUL {
        return match inputs {
            #[cfg(feature = "torch")]
            Inputs::Search(inputs) => Ok(Box::new(super::opponent::MatmulBench::new(inputs)?)),
            #[cfg(not(feature = "torch"))]
            Inputs::Search(_) => Err(BenchError::NeedsTorch),
            _ => lacks(),
        };
    }
    Ok(match (&cell.work, inputs) {
        (Work::RankCounts(shape), Inputs::Search(inputs)) => Box::new(RankBench::new(
            inputs,
            shape.directions == 2,
            rank_counts_kernel(kernel)?,
        )?),
        (Work::TopK(shape), Inputs::Search(inputs)) => {
            Box::new(TopKBench::new(inputs, shape.k as usize, top_k_kernel(kernel)?)?)
        }
        (Work::InfoNce(_), Inputs::Contrast(inputs)) => {
            Box::new(ContrastBench::new(inputs, info_nce_kernel(kernel)?)?)
        }
        (Work::EmaUpdate(_), Inputs::Ema(inputs)) => {
            Box::new(EmaBench::new(inputs, ema_update_kernel(kernel)?))
        }
        (Work::Enqueue(_), Inputs::Queue(inputs)) => {
            Box::new(EnqueueBench::new(inputs, enqueue_kernel(kernel)?)?)
        }
        #[cfg(feature = "torch")]
        (Work::TrainStep(shape), _) => match super::train_step::TrainStepBench::new(shape, cell)? {
            Some(bench) => Box::new(bench),
            None => return lacks(),
        },
        #[cfg(not(feature = "torch"))]
        (Work::TrainStep(_), _) => return Err(BenchError::NeedsTorch),
        _ => return lacks(),
    })
}

/// Indices spread over `0..n`.
pub(super) fn sample(n: usize) -> Vec<usize> {
    let count = n.min(SAMPLE);
    (0..count).map(|index| index * n / count).collect()
}
