//! `ema_update` and `enqueue`, element by element.

use rayon::prelude::*;

use super::Deviation;
use super::pairs::norm;
use crate::momentum::{MIN_NORM, check_momentum};
use crate::reference::widened;
use crate::scores::{check_dims, check_len};
use crate::tolerance::{ema_tolerance, enqueue_tolerance};
use crate::{KernelError, KernelId, Rows};

/// Elements judged by one task.
const CHUNK: usize = 1 << 16;

/// Judges `after`, to which a tensor of the key encoder moved from `before`, by [`ema_tolerance`] as a share of the
/// larger of the two elements. Elements that are not finite must not become so.
///
/// # Errors
/// [`KernelError::Length`] when lengths differ, [`KernelError::Argument`] when `momentum` is outside `[0, 1]`.
pub fn ema_update(
    kernel: KernelId,
    momentum: f64,
    before: &[f32],
    query: &[f32],
    after: &[f32],
) -> Result<Deviation, KernelError> {
    let w = f64::from(check_momentum(momentum)?);
    check_len("query tensor", before.len(), query.len())?;
    check_len("moved tensor", before.len(), after.len())?;
    let chunks: Vec<Deviation> = (
        before.par_chunks(CHUNK),
        query.par_chunks(CHUNK),
        after.par_chunks(CHUNK),
    )
        .into_par_iter()
        .enumerate()
        .map(|(chunk, (before, query, after))| {
            let mut deviation = Deviation::default();
            for (at, ((before, query), after)) in before.iter().zip(query).zip(after).enumerate() {
                let (from, to, found) = (f64::from(*before), f64::from(*query), f64::from(*after));
                let expected = from + w * (to - from);
                let (error, bound) = if expected.is_finite() {
                    let bound = ema_tolerance() * from.abs().max(to.abs());
                    ((found - expected).abs(), bound)
                } else {
                    (f64::from(u8::from(found.is_finite())), 0.0)
                };
                deviation.record(error, bound, || {
                    let at = chunk * CHUNK + at;
                    format!("{kernel}, momentum {momentum}, element {at}: {found:e}, expected {expected:e}")
                });
            }
            deviation
        })
        .collect();
    Ok(chunks.into_iter().fold(Deviation::default(), Deviation::merge))
}

/// A queue before and after keys were written to it.
#[derive(Debug, Clone, Copy)]
pub struct Enqueued<'a> {
    /// Keys `[batch, dim]`.
    pub keys: Rows<'a>,
    /// One id a key.
    pub ids: &'a [i64],
    /// Queue row that the first key went to.
    pub pointer: usize,
    /// The queue `[queue_len, dim]` as it was.
    pub before: Rows<'a>,
    /// Its ids.
    pub before_ids: &'a [i64],
    /// The queue as it is.
    pub after: Rows<'a>,
    /// Its ids.
    pub after_ids: &'a [i64],
    /// The pointer that the kernel returned.
    pub next: usize,
}

/// Judges a written queue: new rows by [`enqueue_tolerance`], all others, the ids and the pointer exactly.
///
/// # Errors
/// [`KernelError::DimMismatch`] or [`KernelError::Length`] when shapes disagree, [`KernelError::Argument`] when the
/// pointer is outside the queue or the batch larger than it.
pub fn enqueue(kernel: KernelId, written: &Enqueued<'_>) -> Result<Deviation, KernelError> {
    let Enqueued {
        keys, before, after, ..
    } = *written;
    let (queue_len, batch) = (before.n_rows(), keys.n_rows());
    check_dims(keys, before)?;
    check_dims(keys, after)?;
    check_len("queue", queue_len, after.n_rows())?;
    check_len("ids of the keys", batch, written.ids.len())?;
    check_len("ids of the queue", queue_len, written.before_ids.len())?;
    check_len("new ids of the queue", queue_len, written.after_ids.len())?;
    if batch > queue_len || written.pointer >= queue_len.max(1) {
        return Err(KernelError::Argument {
            name: "pointer",
            problem: format!(
                "is {} for {batch} keys, the queue has {queue_len} rows",
                written.pointer
            ),
        });
    }
    let rows: Vec<Deviation> = (0..queue_len)
        .into_par_iter()
        .with_min_len(64)
        .map(|entry| {
            let key = (entry + queue_len - written.pointer) % queue_len;
            compare_entry(kernel, written, entry, (key < batch).then_some(key))
        })
        .collect();
    let mut deviation = rows.into_iter().fold(Deviation::default(), Deviation::merge);
    let expected = (written.pointer + batch) % queue_len.max(1);
    deviation.record(written.next.abs_diff(expected) as f64, 0.0, || {
        format!("{kernel}: next pointer {}, expected {expected}", written.next)
    });
    Ok(deviation)
}

/// `key` is the one that was written to the entry, if one was.
fn compare_entry(kernel: KernelId, written: &Enqueued<'_>, entry: usize, key: Option<usize>) -> Deviation {
    let mut deviation = Deviation::default();
    let (expected, id) = match key {
        None => (widened(written.before, entry), written.before_ids[entry]),
        Some(key) => {
            let row = widened(written.keys, key);
            let norm = norm(&row).max(MIN_NORM);
            (row.iter().map(|x| x / norm).collect(), written.ids[key])
        }
    };
    let found_id = written.after_ids[entry];
    deviation.record(f64::from(u8::from(found_id != id)), 0.0, || {
        format!("{kernel}, entry {entry}: id {found_id}, expected {id}")
    });
    for (column, (found, expected)) in widened(written.after, entry).iter().zip(expected).enumerate() {
        let bound = match key {
            None => 0.0,
            Some(_) => enqueue_tolerance(written.after.dtype(), expected),
        };
        // What was not written stays as it is, be it a number or not.
        let error = if key.is_none() && found.to_bits() == expected.to_bits() {
            0.0
        } else {
            (found - expected).abs()
        };
        deviation.record(error, bound, || {
            format!("{kernel}, entry {entry}, column {column}: {found:e}, expected {expected:e}")
        });
    }
    deviation
}
