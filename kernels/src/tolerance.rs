//! How far a kernel may be from exact arithmetic: bounds from the usual rounding analysis (Higham, Accuracy and
//! Stability of Numerical Algorithms, section 3.1), as functions of element type and dimension.

use crate::{Dtype, KernelId};

/// Columns that CPU kernels sum in one chain.
const PIECE: usize = 512;

/// Half a unit in the last place of 1.
fn unit(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F16 => 2.0_f64.powi(-11),
        Dtype::F32 => 2.0_f64.powi(-24),
        Dtype::F64 => 2.0_f64.powi(-53),
    }
}

/// Relative error that `n` roundings of size `unit` in a row can add up to.
fn gamma(n: usize, unit: f64) -> f64 {
    let error = n as f64 * unit;
    error / (1.0 - error)
}

/// Bound of the error that summing adds to a dot product, as a share of the product of the norms of its two rows.
///
/// Sums are f32 except in the reference. CPU kernels sum `min(dim, 512)` products a chain, then one addition a
/// chain. CUDA kernels use tensor cores, which align the products of a step of 16 columns, and what was summed before,
/// to the largest of them and cut each off at 24 digits (Fasi, Higham, Mikaitis and Pranesh, Numerical behavior of
/// NVIDIA tensor cores, PeerJ Computer Science 7, 2021); an older generation takes a step in two halves of 9 terms, and
/// cuts off each half's sum: 20 errors a step. Of libtorch only the number of additions is known.
#[must_use]
pub fn sum_tolerance(kernel: KernelId, dim: usize) -> f64 {
    match kernel {
        KernelId::Reference => gamma(dim + 1, unit(Dtype::F64)),
        KernelId::Cpu { .. } => gamma(dim.min(PIECE) + dim.div_ceil(PIECE) + 1, unit(Dtype::F32)),
        KernelId::Cuda { .. } => gamma(20 * dim.div_ceil(16), 2.0 * unit(Dtype::F32)),
        KernelId::Libtorch { .. } => gamma(dim + 1, unit(Dtype::F32)),
    }
}

/// Bound of the error that converting the elements of rows stored as `rows` to the kernel's type adds to a dot
/// product, as a share of the product of the norms of its two rows.
#[must_use]
pub fn narrowing_tolerance(kernel: KernelId, rows: Dtype) -> f64 {
    narrowing(kernel.dtype(), rows)
}

fn narrowing(to: Dtype, from: Dtype) -> f64 {
    if unit(to) > unit(from) {
        gamma(2, unit(to))
    } else {
        0.0
    }
}

/// As [`narrowing_tolerance`], for the scores of an InfoNCE term whose batch is stored as `batch` and whose queue as
/// `queue`: kernels may use the batch in a wider type than their own.
#[must_use]
pub fn contrast_narrowing_tolerance(kernel: KernelId, batch: Dtype, queue: Dtype) -> f64 {
    narrowing(kernel.batch_dtype(), batch).max(narrowing(kernel.dtype(), queue))
}

/// Bound of the error of a key's share of the softmax as a factor of that key, as a share of all of them: CUDA kernels
/// round it to f16 for the tensor cores, and what is below 2^-40 of the largest one away.
#[must_use]
pub fn weight_tolerance(kernel: KernelId, n_keys: usize) -> f64 {
    match kernel {
        KernelId::Cuda { .. } => unit(Dtype::F16) + n_keys as f64 * 2.0_f64.powi(-40),
        _ => 0.0,
    }
}

/// Bound of the error of a score, as a share of the product of the norms of its two rows, which are stored as `rows`.
///
/// Beside [`sum_tolerance`]: rows of a wider type than the kernel's have each element rounded first, which for f16 is
/// most of the error, and libtorch rounds scores to the kernel's type. Elements and such scores below 2^-14 have a
/// larger relative error in f16 and are not covered; [`score_bound`] covers them.
#[must_use]
pub fn score_tolerance(kernel: KernelId, rows: Dtype, dim: usize) -> f64 {
    let rounded = if matches!(kernel, KernelId::Libtorch { .. }) {
        unit(kernel.dtype())
    } else {
        0.0
    };
    sum_tolerance(kernel, dim) + narrowing_tolerance(kernel, rows) + rounded
}

/// Half the distance between subnormal numbers.
fn half_step(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F16 => 2.0_f64.powi(-25),
        Dtype::F32 => 2.0_f64.powi(-150),
        Dtype::F64 => 0.0,
    }
}

/// Bound of the error of the score of two rows with the norms `query` and `gallery`, stored as `rows`:
/// [`score_tolerance`] as a share of the product of the norms, and what the subnormal numbers add: half their
/// distance for each element that is converted (in all at most `sqrt(dim)` times the other row's norm), for each
/// product, and in libtorch for the score.
#[must_use]
pub fn score_bound(kernel: KernelId, rows: Dtype, dim: usize, query: f64, gallery: f64) -> f64 {
    let step = half_step(kernel.dtype());
    let converted = if unit(kernel.dtype()) > unit(rows) {
        step * ((dim as f64).sqrt() * (query + gallery) + dim as f64 * step)
    } else {
        0.0
    };
    let products = match kernel {
        KernelId::Reference => 0.0,
        _ => dim as f64 * half_step(Dtype::F32),
    };
    let rounded = match kernel {
        KernelId::Libtorch { .. } => step,
        _ => 0.0,
    };
    score_tolerance(kernel, rows, dim) * query * gallery + converted + products + rounded
}

/// Bound of the error of the sum of `n` scores with the tolerance `sum_tolerance`, none of them above `largest` in
/// size: a block of at most 512 is summed in f32, the rest in f64.
#[must_use]
pub fn score_sum_tolerance(sum_tolerance: f64, largest: f64, n: u64) -> f64 {
    n as f64 * largest * (sum_tolerance + gamma(PIECE, unit(Dtype::F32)))
}

/// Bound of the error of an InfoNCE loss.
///
/// `largest` bounds the product of a query's norm and a key's. A logit has the error of its score, of which only
/// summing is inexact, and of its scaling by `1 / T`; loss and every share of the softmax change by at most twice
/// that; weights and their sum add parts in a million.
#[must_use]
pub fn loss_tolerance(sum_tolerance: f64, largest: f64, temperature: f64) -> f64 {
    let logit = (sum_tolerance + 4.0 * unit(Dtype::F32)) * largest / temperature;
    2.0 * logit + 1e-6
}

/// Bound of the error of an element of a gradient of the mean InfoNCE loss, by queries or by positives.
///
/// Beside [`loss_tolerance`] as an error of the shares, the weighted sums of at most 512 keys a chain count, and
/// what joins their `n_keys / 500` results. `largest_key` bounds the norms of what is summed.
#[must_use]
pub fn gradient_tolerance(
    loss_tolerance: f64,
    largest_key: f64,
    temperature: f64,
    batch: usize,
    n_keys: usize,
) -> f64 {
    let sums = gamma(PIECE + n_keys.div_ceil(500) + 4, unit(Dtype::F32));
    2.0 * (2.0 * loss_tolerance + sums) * largest_key / (batch as f64 * temperature)
}

/// Bound of the error of `ema_update`, as a share of the larger of the two elements: three roundings, and none
/// grows by more than the difference of two elements can.
#[must_use]
pub fn ema_tolerance() -> f64 {
    4.0 * unit(Dtype::F32)
}

/// Bound of the error of an element of a normalised key in a queue of type `queue`: the rounding to that type, of a
/// value that the f32 division left four f32 roundings off. Where f16 is subnormal its spacing is 2^-24.
#[must_use]
pub fn enqueue_tolerance(queue: Dtype, element: f64) -> f64 {
    let rounded = match queue {
        Dtype::F16 => (unit(Dtype::F16) * element.abs()).max(2.0_f64.powi(-25)),
        Dtype::F32 | Dtype::F64 => 0.0,
    };
    rounded + 4.0 * unit(Dtype::F32) * element.abs()
}
