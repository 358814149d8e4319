//! `ema_update` and `enqueue`.

use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::isa::{Body, Isa, multiply_add};
use crate::check::{self, load_row};
use crate::momentum::{EmaPair, EnqueueJob, MIN_NORM, QueueRows, check_ema};
use crate::{Dtype, KernelError, Rows};

/// Elements that one task moves.
const EMA_CHUNK: usize = 1 << 16;
/// Keys that one task writes.
const ENQUEUE_ROWS: usize = 32;

pub(super) fn ema_update<I: Isa<MR, NR>, const MR: usize, const NR: usize>(
    isa: I,
    momentum: f64,
    pairs: &mut [EmaPair<'_>],
) -> Result<(), KernelError> {
    let weight = check_ema(momentum, pairs)?;
    pairs
        .iter_mut()
        .flat_map(|pair| pair.key.chunks_mut(EMA_CHUNK).zip(pair.query.chunks(EMA_CHUNK)))
        .collect::<Vec<_>>()
        .into_par_iter()
        .for_each(|(key, query)| isa.vectorize(Lerp { key, query, weight }));
    Ok(())
}

/// Moves `key` towards `query`.
struct Lerp<'a> {
    key: &'a mut [f32],
    query: &'a [f32],
    weight: f32,
}

impl Body for Lerp<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        if self.weight < 0.5 {
            for (key, query) in self.key.iter_mut().zip(self.query) {
                *key = multiply_add::<FMA>(self.weight, query - *key, *key);
            }
        } else {
            for (key, query) in self.key.iter_mut().zip(self.query) {
                *key = multiply_add::<FMA>(self.weight - 1.0, query - *key, *query);
            }
        }
    }
}

pub(super) fn enqueue<I: Isa<MR, NR>, const MR: usize, const NR: usize>(
    isa: I,
    job: EnqueueJob<'_>,
) -> Result<usize, KernelError> {
    job.check()?;
    let norm = check::scan(check::KEY, job.keys, Dtype::F32)?;
    check::score_range(norm, norm, f64::from(f32::MAX))?;
    let (queue_len, n_keys) = (job.queue_len(), job.keys.n_rows());
    if n_keys == 0 {
        return Ok(job.pointer);
    }
    let until_end = n_keys.min(queue_len - job.pointer);
    let (first, second) = (job.keys.slice(0..until_end), job.keys.slice(until_end..n_keys));
    job.queue_ids[job.pointer..job.pointer + until_end].copy_from_slice(&job.ids[..until_end]);
    job.queue_ids[..n_keys - until_end].copy_from_slice(&job.ids[until_end..]);
    let dim = job.keys.dim().max(1);
    match job.queue {
        QueueRows::F16(rows) => {
            let write = |key: &[f32], row: &mut [half::f16]| row.convert_from_f32_slice(key);
            let (wrapped, ahead) = rows.split_at_mut(job.pointer * job.keys.dim());
            write_rows(isa, first, ahead, dim, write);
            write_rows(isa, second, wrapped, dim, write);
        }
        QueueRows::F32(rows) => {
            let write = |key: &[f32], row: &mut [f32]| row.copy_from_slice(key);
            let (wrapped, ahead) = rows.split_at_mut(job.pointer * job.keys.dim());
            write_rows(isa, first, ahead, dim, write);
            write_rows(isa, second, wrapped, dim, write);
        }
    }
    Ok((job.pointer + n_keys) % queue_len)
}

/// Writes all of `keys`, normalised, to the first rows of `out`.
fn write_rows<I: Isa<MR, NR>, T: Send, const MR: usize, const NR: usize>(
    isa: I,
    keys: Rows<'_>,
    out: &mut [T],
    dim: usize,
    write: impl Fn(&[f32], &mut [T]) + Sync,
) {
    let out = &mut out[..keys.n_rows() * keys.dim()];
    out.par_chunks_mut(ENQUEUE_ROWS * dim)
        .enumerate()
        .for_each(|(chunk, out)| {
            let mut key = vec![0.0; dim];
            for (i, row) in out.chunks_mut(dim).enumerate() {
                load_row(keys, chunk * ENQUEUE_ROWS + i, Dtype::F32, &mut key);
                isa.vectorize(Normalize { row: &mut key });
                write(&key, row);
            }
        });
}

/// Divides a row by its norm.
struct Normalize<'a> {
    row: &'a mut [f32],
}

impl Body for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut sums = [0.0_f64; 8];
        let (chunks, rest) = self.row.as_chunks::<8>();
        for chunk in chunks {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *sum += f64::from(*x) * f64::from(*x);
            }
        }
        for (sum, x) in sums.iter_mut().zip(rest) {
            *sum += f64::from(*x) * f64::from(*x);
        }
        let norm = sums.iter().sum::<f64>().sqrt().max(MIN_NORM) as f32;
        for x in self.row {
            *x /= norm;
        }
    }
}
