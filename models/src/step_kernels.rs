//! The parts of a training step that a back end is chosen for: InfoNCE terms, momentum update, queue writes.
//!
//! One file a back end. Neither draws random numbers, so dropout is the same under both.

use std::fmt::Debug;

use tch::{Device, Tensor};

use crate::config::{QueueDtype, TrainKernels};
use crate::error::ModelError;
use crate::loss::{Negatives, Term, TermRows};

mod custom;
mod libtorch;
#[cfg(test)]
mod tests;

/// Keys that go over the oldest entries of every bank.
#[derive(Debug)]
pub struct KeyWrite<'a> {
    /// Each bank `[queue_len, dim]` with its new keys `[batch, dim]`, unit rows in `f32`; `batch` is at most
    /// `queue_len`.
    pub banks: &'a [(&'a Tensor, &'a Tensor)],
    /// One id a key.
    pub video_ids: &'a [i64],
    /// The ids of the banks' entries `[queue_len]`.
    pub queue_ids: &'a mut [i64],
    /// Entry that the first key goes to, below `queue_len`.
    pub pointer: usize,
}

/// What a back end computes of a training step.
pub trait StepKernels: Debug + Send {
    /// Computes InfoNCE terms that share their negatives, one [`Term`] for each of `terms`.
    ///
    /// # Errors
    /// [`ModelError`] when shapes disagree or the back end fails. Ours refuses rows that are not finite with
    /// [`hitbench_kernels::KernelError::NotFinite`]; with libtorch the loss is then not finite either.
    fn info_nce(
        &self,
        terms: &[TermRows<'_>],
        negatives: &Negatives<'_>,
        temperature: f64,
    ) -> Result<Vec<Term>, ModelError>;

    /// `key = momentum * key + (1 - momentum) * query` for every element of two buffers of one length.
    ///
    /// # Errors
    /// [`ModelError`] when the lengths differ or the back end fails.
    fn follow(&self, momentum: f64, key: &Tensor, query: &Tensor) -> Result<(), ModelError>;

    /// Writes keys in the banks' storage type from the pointer on, wrapping at the end, and their ids. Returns the
    /// next pointer.
    ///
    /// libtorch writes the rows as they are, ours divides each by its norm first. The rows come from the heads as
    /// unit rows, so the norm differs from 1 by rounding only: entries may differ in their last bit.
    ///
    /// # Errors
    /// [`ModelError`] when the back end fails.
    fn enqueue(&self, keys: KeyWrite<'_>) -> Result<usize, ModelError>;
}

/// The back end that `choice` names for tensors on `device`; on the CPU for banks of `dtype` and `threads` threads. On a
/// GPU ours compute in f16, into which banks of another type are converted at every step.
///
/// # Errors
/// [`ModelError::Threads`] when threads cannot be started, [`ModelError::Kernel`] when the machine lacks a kernel.
pub fn step_kernels(
    choice: TrainKernels,
    dtype: QueueDtype,
    threads: usize,
    device: Device,
) -> Result<Box<dyn StepKernels>, ModelError> {
    Ok(match (choice, device) {
        (TrainKernels::Libtorch, _) => Box::new(libtorch::Libtorch),
        (TrainKernels::Custom, Device::Cpu) => Box::new(custom::Custom::on_cpu(dtype, threads)?),
        (TrainKernels::Custom, _) => Box::new(custom::Custom::on_gpu()?),
    })
}
