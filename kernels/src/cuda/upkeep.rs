//! `ema_update` and `enqueue` on tensors that lie in host memory: copied there and back.

use std::ops::Range;
use std::sync::Arc;

use super::gpu::Gpu;
use super::launch::{self, QueueView};
use super::memory::{Buffer, Chunk};
use crate::check::{self, KEY, load_row};
use crate::momentum::{EmaPair, EnqueueJob, QueueRows, check_ema};
use crate::{Dtype, KernelError};

/// Elements of one chunk: so few that the last blocks to end leave little of the device idle.
const CHUNK: usize = 1 << 14;
/// Elements that the start of each tensor is aligned to: 256 bytes, as a device's allocations are.
const ALIGNMENT: usize = 64;

/// The parts of a tensor of `len` elements.
pub(super) fn chunks(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len)
        .step_by(CHUNK)
        .map(move |start| start..len.min(start + CHUNK))
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
    let mut chunks = Vec::new();
    for (pair, &at) in pairs.iter().zip(&places) {
        keys.write(at, pair.key)?;
        queries.write(at, pair.query)?;
        for range in self::chunks(pair.key.len()) {
            let range = at + range.start..at + range.end;
            chunks.push(Chunk {
                key: keys.view_mut().part(range.clone()).address(),
                query: queries.view().part(range.clone()).address(),
                n: range.len() as u64,
            });
        }
    }
    let chunks = Buffer::of(gpu, &chunks)?;
    // SAFETY: each chunk lies within both buffers (`part` checks it) and no element in two of them; the buffers live
    // until the results are read.
    unsafe { launch::ema_update(&**gpu, chunks.view(), weight)? };
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
        let all_ids = queue_ids.view_mut();
        launch::enqueue(&**gpu, keys.view(), ids.view(), queue, &all_ids, job.pointer)
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
