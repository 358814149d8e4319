//! Inputs of every operation: generated, always the same for a shape.

use half::f16;
use half::slice::HalfFloatSliceExt;
use hitbench_kernels::{Dtype, KernelError, Rows, RowsData, TrueItems};
use rayon::prelude::*;

use crate::suite::Work;
use crate::suite::kernel_cell::{EmaUpdateShape, EnqueueShape, InfoNceShape};

/// Seeds of the matrices, one a role.
const QUERY: u64 = 1;
const GALLERY: u64 = 2;
const QUEUE: u64 = 3;
/// How much of a query is its true item; the rest is random, so that true items rank high but not first.
const SHARE_OF_TRUE: f32 = 0.1;
/// Elements that one task draws.
const CHUNK: usize = 1 << 14;

/// Inputs of one operation at one shape, shared by all kernels.
pub(super) enum Inputs {
    /// Of `rank_counts` and `top_k`.
    Search(SearchInputs),
    /// Of `info_nce`.
    Contrast(ContrastInputs),
    /// Of `ema_update`.
    Ema(EmaInputs),
    /// Of `enqueue`.
    Queue(QueueInputs),
    /// A training step makes its own.
    None,
}

impl Inputs {
    /// Draws the inputs.
    pub(super) fn of(work: &Work) -> Result<Self, KernelError> {
        Ok(match work {
            Work::RankCounts(shape) => {
                Self::Search(SearchInputs::new(shape.queries, shape.gallery, shape.dim)?)
            }
            Work::TopK(shape) => Self::Search(SearchInputs::new(shape.queries, shape.gallery, shape.dim)?),
            Work::InfoNce(shape) => Self::Contrast(ContrastInputs::new(shape)),
            Work::EmaUpdate(shape) => Self::Ema(EmaInputs::new(shape)),
            Work::Enqueue(shape) => Self::Queue(QueueInputs::new(shape)),
            Work::TrainStep(_) => Self::None,
        })
    }
}

/// Rows that f16 holds exactly, in both element types.
pub(super) struct Matrix {
    pub(super) n_rows: usize,
    pub(super) dim: usize,
    f16: Vec<f16>,
    pub(super) f32: Vec<f32>,
}

impl Matrix {
    /// Unit rows, uniform before they are normalised.
    pub(super) fn unit(n_rows: usize, dim: usize, seed: u64) -> Self {
        Self::with(n_rows, dim, seed, |_, row| normalize(row))
    }

    /// Random rows, which `finish` may change.
    fn with(n_rows: usize, dim: usize, seed: u64, finish: impl Fn(usize, &mut [f32]) + Sync) -> Self {
        let mut f32 = vec![0.0; n_rows * dim];
        let mut f16 = vec![f16::ZERO; n_rows * dim];
        f32.par_chunks_mut(dim)
            .zip(f16.par_chunks_mut(dim))
            .enumerate()
            .for_each(|(index, (row, narrow))| {
                fill(row, seed, (index * dim) as u64);
                finish(index, row);
                narrow.convert_from_f32_slice(row);
                narrow.convert_to_f32_slice(row);
            });
        Self {
            n_rows,
            dim,
            f16,
            f32,
        }
    }

    /// The rows in an element type; those of f64 are f32, of which the reference loses nothing.
    pub(super) fn rows(&self, dtype: Dtype) -> Result<Rows<'_>, KernelError> {
        let data = match dtype {
            Dtype::F16 => RowsData::F16(&self.f16),
            Dtype::F32 | Dtype::F64 => RowsData::F32(&self.f32),
        };
        Rows::new(data, self.n_rows, self.dim)
    }

    fn row(&self, index: usize) -> &[f32] {
        &self.f32[index * self.dim..(index + 1) * self.dim]
    }
}

/// Queries, a gallery and which belong together.
pub(super) struct SearchInputs {
    pub(super) query: Matrix,
    pub(super) gallery: Matrix,
    pub(super) t2v: TrueItems,
    pub(super) v2t: TrueItems,
}

impl SearchInputs {
    fn new(n_queries: u64, n_gallery: u64, dim: u64) -> Result<Self, KernelError> {
        let (n_queries, n_gallery, dim) = (n_queries as usize, n_gallery as usize, dim as usize);
        let gallery = Matrix::unit(n_gallery, dim, GALLERY);
        let query = Matrix::with(n_queries, dim, QUERY, |index, row| {
            normalize(row);
            for (x, own) in row.iter_mut().zip(gallery.row(index % n_gallery)) {
                *x += SHARE_OF_TRUE * own;
            }
            normalize(row);
        });
        let own = |n: usize, others: usize| (0..n).map(move |index| [(index % others) as u32]);
        Ok(Self {
            t2v: TrueItems::from_lists(n_gallery, own(n_queries, n_gallery))?,
            v2t: TrueItems::from_lists(n_queries, own(n_gallery, n_queries))?,
            query,
            gallery,
        })
    }
}

/// A batch and a queue.
pub(super) struct ContrastInputs {
    pub(super) query: Matrix,
    pub(super) positive: Matrix,
    pub(super) queue: Matrix,
}

impl ContrastInputs {
    fn new(shape: &InfoNceShape) -> Self {
        let (batch, dim) = (shape.batch as usize, shape.dim as usize);
        Self {
            query: Matrix::unit(batch, dim, QUERY),
            positive: Matrix::unit(batch, dim, GALLERY),
            queue: Matrix::unit(shape.queue_len as usize, dim, QUEUE),
        }
    }
}

/// Tensors of two encoders.
pub(super) struct EmaInputs {
    pub(super) key: Vec<Vec<f32>>,
    pub(super) query: Vec<Vec<f32>>,
}

impl EmaInputs {
    fn new(shape: &EmaUpdateShape) -> Self {
        let tensors = |seed: u64| -> Vec<Vec<f32>> {
            let tensor = |(index, len): (usize, usize)| {
                let mut values = vec![0.0; len];
                let start = (index as u64) << 40;
                values
                    .par_chunks_mut(CHUNK)
                    .enumerate()
                    .for_each(|(chunk, values)| fill(values, seed, start + (chunk * CHUNK) as u64));
                values
            };
            tensor_sizes(shape).into_iter().enumerate().map(tensor).collect()
        };
        Self {
            key: tensors(GALLERY),
            query: tensors(QUERY),
        }
    }
}

/// Sizes as in BERT: a table of embeddings, then layer after layer four square matrices, two of four times the size,
/// and vectors between them.
fn tensor_sizes(shape: &EmaUpdateShape) -> Vec<usize> {
    const TABLE: f64 = 40.0;
    const VECTOR: f64 = 1.0 / 768.0;
    const LAYER: [f64; 16] = [
        1.0, VECTOR, 1.0, VECTOR, 1.0, VECTOR, 1.0, VECTOR, VECTOR, VECTOR, 4.0, VECTOR, 4.0, VECTOR, VECTOR,
        VECTOR,
    ];
    let (n, spare) = (shape.tensors as usize, shape.parameters - shape.tensors);
    let weights: Vec<f64> = std::iter::once(TABLE)
        .chain(LAYER.into_iter().cycle())
        .take(n)
        .collect();
    let total: f64 = weights.iter().sum();
    let mut sizes: Vec<usize> = weights
        .iter()
        .map(|weight| 1 + (spare as f64 * weight / total) as usize)
        .collect();
    // What rounding down left over.
    sizes[0] += shape.parameters as usize - sizes.iter().sum::<usize>();
    sizes
}

/// Keys and a queue in both element types.
pub(super) struct QueueInputs {
    pub(super) keys: Vec<f32>,
    pub(super) ids: Vec<i64>,
    pub(super) batch: usize,
    pub(super) dim: usize,
    pub(super) f16: Vec<f16>,
    pub(super) f32: Vec<f32>,
    pub(super) queue_ids: Vec<i64>,
}

impl QueueInputs {
    fn new(shape: &EnqueueShape) -> Self {
        let (batch, queue_len, dim) = (shape.batch as usize, shape.queue_len as usize, shape.dim as usize);
        let mut keys = vec![0.0; batch * dim];
        fill(&mut keys, QUERY, 0);
        let Matrix { f16, f32, .. } = Matrix::unit(queue_len, dim, QUEUE);
        Self {
            keys,
            ids: (0..batch as i64).collect(),
            batch,
            dim,
            f16,
            f32,
            queue_ids: vec![-1; queue_len],
        }
    }
}

/// Uniform numbers in `[-1, 1)`, each a function of the seed and its place (SplitMix64).
fn fill(values: &mut [f32], seed: u64, start: u64) {
    for (x, place) in values.iter_mut().zip(start..) {
        let mut z = (place ^ (seed << 56))
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        *x = (z >> 40) as f32 / (1 << 23) as f32 - 1.0;
    }
}

fn normalize(row: &mut [f32]) {
    let norm = row
        .iter()
        .map(|x| x * x)
        .sum::<f32>()
        .sqrt()
        .max(f32::MIN_POSITIVE);
    row.iter_mut().for_each(|x| *x /= norm);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_unit_and_equal_in_both_types() {
        let inputs = SearchInputs::new(7, 5, 64).unwrap();
        for matrix in [&inputs.query, &inputs.gallery] {
            for row in 0..matrix.n_rows {
                let norm: f32 = matrix.row(row).iter().map(|x| x * x).sum();
                assert!((norm - 1.0).abs() < 2e-3, "{norm}");
            }
            let (wide, narrow) = (matrix.rows(Dtype::F32).unwrap(), matrix.rows(Dtype::F16).unwrap());
            assert!((0..64).all(|column| wide.get(3, column) == narrow.get(3, column)));
        }
        assert_eq!((inputs.t2v.of(6), inputs.v2t.of(4)), (&[1][..], &[4][..]));
        let again = SearchInputs::new(7, 5, 64).unwrap();
        assert_eq!(inputs.query.f32, again.query.f32);
        assert_ne!(inputs.query.row(0), inputs.query.row(5));
    }

    #[test]
    fn tensors_add_up_and_differ_in_size() {
        for (tensors, parameters) in [(1, 1), (3, 3), (110, 110_000_000), (20, 12_345)] {
            let sizes = tensor_sizes(&EmaUpdateShape { tensors, parameters });
            assert_eq!(sizes.len() as u64, tensors);
            assert_eq!(sizes.iter().sum::<usize>() as u64, parameters);
            assert!(sizes.iter().all(|size| *size > 0));
        }
        let sizes = tensor_sizes(&EmaUpdateShape {
            tensors: 110,
            parameters: 110_000_000,
        });
        assert!(
            sizes[0] > sizes[11] && sizes[11] > sizes[1] && sizes[1] > sizes[2],
            "{sizes:?}"
        );
    }
}
