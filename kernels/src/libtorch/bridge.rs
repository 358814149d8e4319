//! Our kernels on libtorch's tensors, in place and without copies, so that training can use them.
//!
//! Tensors are handles: as with libtorch's own operations, no other thread may write to the memory of a tensor
//! while a function here works on it. What is written is checked not to overlap what is read.

use tch::{Kind, Tensor};

use super::memory::{address_range, slice, slice_mut};
use crate::info_nce::{ContrastIds, InfoNce, InfoNceJob, InfoNceOutput};
use crate::matrix::RowsData;
use crate::momentum::{EmaPair, EmaUpdate, Enqueue, EnqueueJob, QueueRows};
use crate::{KernelError, Rows};

/// One InfoNCE term of tensors, all on one device.
#[derive(Debug, Clone, Copy)]
pub struct InfoNceTensors<'a> {
    /// Query rows `[batch, dim]`, f32, with their graph.
    pub query: &'a Tensor,
    /// Row `i` is the positive key of query `i`, `[batch, dim]`, f32; gradient flows to it where it has a graph.
    pub positive: &'a Tensor,
    /// Negatives `[queue_len, dim]`, f16 or f32, contiguous.
    pub queue: Option<&'a Tensor>,
    /// Whether the other positives of the batch are negatives too.
    pub in_batch: bool,
    /// Negatives to leave out.
    pub ids: Option<ContrastIds<'a>>,
    /// `T > 0` in `logits = <query, key> / T`.
    pub temperature: f64,
}

/// Computes an InfoNCE term with a kernel of ours. The loss, a scalar, carries a graph: its backward pass hands the
/// kernel's gradient on to `query` and, where it has a graph, to `positive`.
///
/// # Errors
/// As [`InfoNce::info_nce`]; [`KernelError::Argument`] for tensors of another kind or device.
pub fn info_nce(
    kernel: &(impl InfoNce + ?Sized),
    term: &InfoNceTensors<'_>,
) -> Result<(Tensor, InfoNceOutput), KernelError> {
    let query = term.query.f_detach()?.f_contiguous()?;
    let positive = term.positive.f_detach()?.f_contiguous()?;
    let (batch, dim) = size2("query", &query)?;
    // SAFETY: `query` and `positive` are only read while their slices live, here and by the kernel; no handle to
    // their memory is written by this function, and other threads must not, as the module says.
    let (query_rows, positive_rows) = unsafe { (slice("query", &query)?, slice("positive", &positive)?) };
    let (n_positives, positive_dim) = size2("positive", &positive)?;
    let queue = match term.queue {
        Some(queue) => tensor_rows("queue", queue)?,
        None => Rows::new(RowsData::F32(&[]), 0, dim)?,
    };
    let job = InfoNceJob {
        query: Rows::new(RowsData::F32(query_rows), batch, dim)?,
        positive: Rows::new(RowsData::F32(positive_rows), n_positives, positive_dim)?,
        queue,
        in_batch: term.in_batch,
        positive_gradient: term.positive.requires_grad(),
        ids: term.ids,
        temperature: term.temperature,
    };
    let output = kernel.info_nce(&job)?;
    let size = [batch as i64, dim as i64];
    let by_query = Tensor::f_from_slice(&output.query_gradient)?.f_view(size)?;
    let by_positive = match &output.positive_gradient {
        Some(gradient) => Some(Tensor::f_from_slice(gradient)?.f_view(size)?),
        None => None,
    };
    let loss = with_slopes(term, &by_query, by_positive.as_ref(), output.loss())?;
    Ok((loss, output))
}

/// A scalar of value `loss` whose backward pass hands the gradients on to the term's query and positive.
pub(crate) fn with_slopes(
    term: &InfoNceTensors<'_>,
    by_query: &Tensor,
    by_positive: Option<&Tensor>,
    loss: f64,
) -> Result<Tensor, KernelError> {
    let mut linear = term.query.f_mul(by_query)?.f_sum(Kind::Float)?;
    if let Some(by_positive) = by_positive {
        linear = linear.f_add(&term.positive.f_mul(by_positive)?.f_sum(Kind::Float)?)?;
    }
    Ok(linear.f_sub(&linear.f_detach()?)?.f_add_scalar(loss)?)
}

/// Moves key tensors towards query tensors with a kernel of ours: pairs `(key, query)` of f32 tensors on the CPU, all
/// contiguous.
///
/// # Errors
/// As [`EmaUpdate::ema_update`]; [`KernelError::Argument`] for tensors of another kind, layout or device, for a key
/// that requires a gradient, and for a key whose memory is also another tensor's. Nothing is then written.
pub fn ema_update(
    kernel: &(impl EmaUpdate + ?Sized),
    momentum: f64,
    pairs: &[(&Tensor, &Tensor)],
) -> Result<(), KernelError> {
    if pairs.iter().any(|(key, _)| key.requires_grad()) {
        return Err(KernelError::Argument {
            name: "key tensor",
            problem: "requires a gradient, which this update would not see".to_owned(),
        });
    }
    check_disjoint(
        pairs.iter().map(|(key, _)| *key),
        pairs.iter().map(|(_, query)| *query),
    )?;
    let mut handles: Vec<Tensor> = pairs.iter().map(|(key, _)| key.shallow_clone()).collect();
    let mut borrowed = Vec::with_capacity(pairs.len());
    for (handle, (_, query)) in handles.iter_mut().zip(pairs) {
        // SAFETY: the memory of a key overlaps that of no other key and of no query (`check_disjoint`), so that each
        // slice is the only way to it used here; other threads must not, as the module says.
        let (key, query) = unsafe { (slice_mut("key tensor", handle)?, slice("query tensor", query)?) };
        borrowed.push(EmaPair { key, query });
    }
    kernel.ema_update(momentum, &mut borrowed)
}

/// Writes keys `[batch, dim]` (f32, with or without graph) into a queue tensor `[queue_len, dim]` (f16 or f32,
/// contiguous) with a kernel of ours, as [`Enqueue::enqueue`] does. Returns the next pointer.
///
/// # Errors
/// As [`Enqueue::enqueue`]; [`KernelError::Argument`] for tensors of another kind, layout or device, or keys that lie
/// in the queue. Nothing is then written.
pub fn enqueue(
    kernel: &(impl Enqueue + ?Sized),
    keys: &Tensor,
    ids: &[i64],
    queue: &Tensor,
    queue_ids: &mut [i64],
    pointer: usize,
) -> Result<usize, KernelError> {
    let keys = keys.f_detach()?.f_contiguous()?;
    size2("queue", queue)?;
    check_disjoint([queue].into_iter(), [&keys].into_iter())?;
    let mut handle = queue.shallow_clone();
    let rows = match queue.f_kind()? {
        // SAFETY: the queue's memory does not overlap the keys' (`check_disjoint`) and is used through this slice only;
        // other threads must not use it, as the module says.
        Kind::Half => QueueRows::F16(unsafe { slice_mut("queue", &mut handle)? }),
        // SAFETY: as for f16.
        _ => QueueRows::F32(unsafe { slice_mut("queue", &mut handle)? }),
    };
    kernel.enqueue(EnqueueJob {
        keys: tensor_rows("keys", &keys)?,
        ids,
        queue: rows,
        queue_ids,
        pointer,
    })
}

/// Views a contiguous f16 or f32 tensor on the CPU as rows.
fn tensor_rows<'a>(name: &'static str, tensor: &'a Tensor) -> Result<Rows<'a>, KernelError> {
    let (n_rows, dim) = size2(name, tensor)?;
    let data = match tensor.f_kind()? {
        // SAFETY: the callers only read the rows, and write to no memory that overlaps them; other threads must not, as
        // the module says.
        Kind::Half => RowsData::F16(unsafe { slice(name, tensor)? }),
        // SAFETY: as for f16.
        _ => RowsData::F32(unsafe { slice(name, tensor)? }),
    };
    Rows::new(data, n_rows, dim)
}

pub(crate) fn size2(name: &'static str, tensor: &Tensor) -> Result<(usize, usize), KernelError> {
    match tensor.size()[..] {
        [n_rows, dim] => Ok((n_rows as usize, dim as usize)),
        ref size => Err(KernelError::Argument {
            name,
            problem: format!("has shape {size:?}, must have two dimensions"),
        }),
    }
}

/// Checks that no written tensor shares memory with another written or read one.
pub(crate) fn check_disjoint<'a>(
    written: impl Iterator<Item = &'a Tensor>,
    read: impl Iterator<Item = &'a Tensor>,
) -> Result<(), KernelError> {
    let mut ranges: Vec<(std::ops::Range<usize>, bool)> = written
        .map(|tensor| (address_range(tensor), true))
        .chain(read.map(|tensor| (address_range(tensor), false)))
        .filter(|(range, _)| !range.is_empty())
        .collect();
    ranges.sort_by_key(|(range, _)| range.start);
    // The furthest ends so far, of all and of the written ones.
    let (mut all, mut writes) = (0, 0);
    for (range, is_written) in ranges {
        if range.start < if is_written { all } else { writes } {
            return Err(KernelError::Argument {
                name: "tensor to write",
                problem: "shares memory with another one".to_owned(),
            });
        }
        all = all.max(range.end);
        if is_written {
            writes = writes.max(range.end);
        }
    }
    Ok(())
}
