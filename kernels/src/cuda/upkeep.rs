//! `ema_update` and `enqueue` on tensors that lie in host memory: copied there and back.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use super::gpu::Gpu;
use super::launch::{self, EMA_CHUNK, QueueView};
use super::memory::Buffer;
use crate::check::{self, KEY, load_row};
use crate::momentum::{EmaPair, EnqueueJob, QueueRows, check_ema};
use crate::{Dtype, KernelError};

/// Elements that the start of each tensor is aligned to: 256 bytes, as a device's allocations are.
const ALIGNMENT: usize = 64;

/// Two tensors, as `ema_update_f32_v1` reads them.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct TensorPair {
    /// Address of the first key element.
    key: u64,
    /// Address of the first query element.
    query: u64,
    /// Elements.
    n: u64,
    /// The block of its first chunk.
    first_block: u64,
}

/// Tensor pairs on the device, cut into chunks of one block each.
#[derive(Debug, Default)]
pub(super) struct TensorPairs {
    pairs: Vec<TensorPair>,
    n_chunks: usize,
}

impl TensorPairs {
    /// Adds `n` elements of f32 at the address `key`, and as many at `query`.
    pub(super) fn add(&mut self, key: u64, query: u64, n: usize) {
        if n == 0 {
            return;
        }
        self.pairs.push(TensorPair {
            key,
            query,
            n: n as u64,
            first_block: self.n_chunks as u64,
        });
        self.n_chunks += n.div_ceil(EMA_CHUNK);
    }

    /// Starts to move all keys.
    ///
    /// # Safety
    /// All elements may be read and, on the key side, written until the launch is done; no key element is in another
    /// tensor of the list too.
    ///
    /// # Errors
    /// [`KernelError::Cuda`] or [`KernelError::Compile`].
    pub(super) unsafe fn update(&self, gpu: &Arc<dyn Gpu>, weight: f32) -> Result<(), KernelError> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        let pairs = Buffer::of(gpu, &self.pairs)?;
        // SAFETY: the memory is the caller's promise; `add` gave each pair its own blocks, one after the other.
        unsafe { launch::ema_update(&**gpu, pairs.view(), self.n_chunks, weight) }
    }
}

pub(super) fn ema_update(
    gpu: &Arc<dyn Gpu>,
    momentum: f64,
    pairs: &mut [EmaPair<'_>],
) -> Result<(), KernelError> {
    let weight = check_ema(momentum, pairs)?;
    let mut places = Vec::with_capacity(pairs.len());
    let mut len = 0;
    for pair in pairs.iter() {
        places.push(len);
        len += pair.key.len().next_multiple_of(ALIGNMENT);
    }
    let mut keys: Buffer<f32> = Buffer::unspecified(gpu, len)?;
    let mut queries: Buffer<f32> = Buffer::unspecified(gpu, len)?;
    let mut on_device = TensorPairs::default();
    for (pair, &at) in pairs.iter().zip(&places) {
        keys.write(at, pair.key)?;
        queries.write(at, pair.query)?;
        let range = at..at + pair.key.len();
        let key = keys.part_mut(range.clone()).address();
        on_device.add(key, queries.view().part(range.clone()).address(), range.len());
    }
    // SAFETY: each tensor lies within its buffer (`part` checks it) and no element in two of them; the buffers live until
    // the results are read.
    unsafe { on_device.update(gpu, weight)? };
    for (pair, at) in pairs.iter_mut().zip(places) {
        keys.read_to(at, pair.key)?;
    }
    Ok(())
}

pub(super) fn enqueue(gpu: &Arc<dyn Gpu>, job: EnqueueJob<'_>) -> Result<usize, KernelError> {
    job.check()?;
    let norm = check::scan(KEY, job.keys, Dtype::F32)?;
    check::score_range(norm, norm, f64::from(f32::MAX))?;
    let (queue_len, n_keys, dim) = (job.queue_len(), job.keys.n_rows(), job.keys.dim());
    if n_keys == 0 {
        return Ok(job.pointer);
    }
    let mut keys = vec![0.0; n_keys * dim];
    for row in 0..n_keys {
        load_row(job.keys, row, Dtype::F32, &mut keys[row * dim..][..dim]);
    }
    let keys = Buffer::of(gpu, &keys)?;
    let ids = Buffer::of(gpu, job.ids)?;
    let mut queue_ids = Buffer::of(gpu, job.queue_ids)?;
    let mut write = |queue: &QueueView<'_>| {
        let ids = Some((ids.view(), &queue_ids.view_mut()));
        launch::enqueue(
            &**gpu,
            keys.view(),
            [n_keys, dim],
            queue,
            queue_len,
            ids,
            job.pointer,
        )
    };
    match job.queue {
        QueueRows::F16(rows) => {
            let mut queue = Buffer::of(gpu, rows)?;
            write(&QueueView::F16(queue.view_mut()))?;
            queue.read_to(0, rows)?;
        }
        QueueRows::F32(rows) => {
            let mut queue = Buffer::of(gpu, rows)?;
            write(&QueueView::F32(queue.view_mut()))?;
            queue.read_to(0, rows)?;
        }
    }
    queue_ids.read_to(0, job.queue_ids)?;
    Ok((job.pointer + n_keys) % queue_len)
}
