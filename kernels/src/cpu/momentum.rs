//! `ema_update` and `enqueue`.

use rayon::prelude::*;

use super::isa::{Body, Isa, multiply_add};
use crate::check::{self, load_row};
use crate::matrix::RowsData;
use crate::momentum::{EmaPair, EnqueueJob, MIN_NORM, QueueRows, check_ema};
use crate::{Dtype, KernelError, Rows};

/// Elements that one task moves.
const EMA_CHUNK: usize = 1 << 16;
/// Keys that one task writes.
const ENQUEUE_ROWS: usize = 1024;
/// Bytes of a queue from which on rows are written past the caches: between two writes to one place all of it is read, which
/// leaves none of the place there, so that to write it by way of the caches would be to read it first.
const LARGE_QUEUE: usize = 8 << 20;

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
    let (queue_len, n_keys) = (job.queue_len(), job.keys.n_rows());
    let inverses = inverse_norms(isa, job.keys)?;
    if n_keys == 0 {
        return Ok(job.pointer);
    }
    let until_end = n_keys.min(queue_len - job.pointer);
    job.queue_ids[job.pointer..job.pointer + until_end].copy_from_slice(&job.ids[..until_end]);
    job.queue_ids[..n_keys - until_end].copy_from_slice(&job.ids[until_end..]);
    let keys = Keys {
        rows: job.keys,
        inverses: &inverses,
        until_end,
        start: job.pointer * job.keys.dim(),
    };
    match job.queue {
        QueueRows::F16(rows) => {
            let is_large = size_of_val(rows) >= LARGE_QUEUE;
            keys.write(isa, rows, |key, factor, row| {
                if is_large && row.as_ptr().addr().is_multiple_of(16) {
                    // SAFETY: the row begins so, and `write` finishes the stores before it gives the rows back.
                    unsafe { isa.scale_and_narrow_past_caches(key, factor, row) }
                } else {
                    isa.scale_and_narrow(key, factor, row);
                }
            });
        }
        QueueRows::F32(rows) => {
            keys.write(isa, rows, |key, factor, row| {
                isa.vectorize(Scale { key, factor, row })
            });
        }
    }
    Ok((job.pointer + n_keys) % queue_len)
}

/// One over the norm of each key.
///
/// # Errors
/// What is wrong with the first bad key.
fn inverse_norms<I: Isa<MR, NR>, const MR: usize, const NR: usize>(
    isa: I,
    keys: Rows<'_>,
) -> Result<Vec<f32>, KernelError> {
    let mut scratch = vec![0.0; keys.dim()];
    let mut is_short = true;
    let inverses = (0..keys.n_rows())
        .map(|key| {
            let row = f32_row(keys, key, &mut scratch);
            // Squares of finite f32 are finite in f64, so what is not finite shows in the sum.
            let squares = isa.vectorize(SquaredNorm { row });
            is_short &= squares < f64::from(f32::MAX) / 2.0;
            (1.0 / squares.sqrt().max(MIN_NORM)) as f32
        })
        .collect();
    if !is_short {
        let norm = check::scan(check::KEY, keys, Dtype::F32)?;
        check::score_range(norm, norm, f64::from(f32::MAX))?;
    }
    Ok(inverses)
}

/// A key in f32: as it lies, or converted into `scratch`.
fn f32_row<'a>(keys: Rows<'a>, key: usize, scratch: &'a mut [f32]) -> &'a [f32] {
    match keys.data() {
        RowsData::F32(data) => &data[key * keys.dim()..(key + 1) * keys.dim()],
        _ => {
            load_row(keys, key, Dtype::F32, scratch);
            scratch
        }
    }
}

/// Keys on their way into a queue.
struct Keys<'a> {
    rows: Rows<'a>,
    inverses: &'a [f32],
    /// Keys before the end of the queue; the others go to its beginning.
    until_end: usize,
    /// Element of the queue that the first key goes to.
    start: usize,
}

impl Keys<'_> {
    /// Writes all keys, each by `scale` with its factor.
    fn write<T: Send, I: Isa<MR, NR>, const MR: usize, const NR: usize>(
        &self,
        isa: I,
        queue: &mut [T],
        scale: impl Fn(&[f32], f32, &mut [T]) + Sync,
    ) {
        let dim = self.rows.dim();
        let (wrapped, ahead) = queue.split_at_mut(self.start);
        let n_wrapped = self.rows.n_rows() - self.until_end;
        for (first, out) in [
            (0, &mut ahead[..self.until_end * dim]),
            (self.until_end, &mut wrapped[..n_wrapped * dim]),
        ] {
            let write = |chunk: usize, out: &mut [T]| {
                let mut scratch = vec![0.0; dim];
                for (i, out) in out.chunks_mut(dim.max(1)).enumerate() {
                    let key = first + chunk * ENQUEUE_ROWS + i;
                    scale(f32_row(self.rows, key, &mut scratch), self.inverses[key], out);
                }
                isa.finish_stores();
            };
            // Waking other threads takes longer than writing a few keys.
            if out.len() <= ENQUEUE_ROWS * dim {
                write(0, out);
            } else {
                let chunks = out.par_chunks_mut((ENQUEUE_ROWS * dim).max(1)).enumerate();
                chunks.for_each(|(chunk, out)| write(chunk, out));
            }
        }
    }
}

/// Sum of the squares of a row.
struct SquaredNorm<'a> {
    row: &'a [f32],
}

impl Body for SquaredNorm<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        // Pairs of squares are added in f32, one rounding more than none, which halves the conversions.
        let mut sums = [0.0_f64; 16];
        let (chunks, rest) = self.row.as_chunks::<32>();
        for chunk in chunks {
            for (i, sum) in sums.iter_mut().enumerate() {
                let (a, b) = (chunk[i], chunk[i + 16]);
                let pair = multiply_add::<FMA>(a, a, b * b);
                *sum += f64::from(pair);
            }
        }
        let quick: f64 = sums.iter().sum();
        // Where squares leave the range of f32 or lose bits below it, f64 has them all.
        let in_range = quick.is_finite() && quick > 1e-30;
        let head: f64 = if in_range {
            quick
        } else {
            chunks
                .as_flattened()
                .iter()
                .map(|x| f64::from(*x) * f64::from(*x))
                .sum()
        };
        head + rest.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>()
    }
}

/// Multiplies a key by a factor.
struct Scale<'a> {
    key: &'a [f32],
    factor: f32,
    row: &'a mut [f32],
}

impl Body for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (x, key) in self.row.iter_mut().zip(self.key) {
            *x = key * self.factor;
        }
    }
}
