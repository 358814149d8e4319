//! Seeded inputs, the same on every machine.

use half::f16;

use crate::{ContrastIds, Dtype, InfoNceJob, Rows, RowsData, TrueItems};

/// SplitMix64: enough randomness for rows to compare kernels on.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0..n`.
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// In `[-1, 1)`.
    pub fn real(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// A random order of `0..n`.
    pub fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }

    /// One to `most` true items for each of `n_queries` queries.
    ///
    /// # Panics
    /// When there are queries and `n_gallery` or `most` is 0.
    pub fn true_items(&mut self, n_queries: usize, n_gallery: usize, most: usize) -> TrueItems {
        let lists: Vec<Vec<u32>> = (0..n_queries)
            .map(|_| {
                let mut list: Vec<u32> = (0..=self.below(most))
                    .map(|_| self.below(n_gallery) as u32)
                    .collect();
                list.sort_unstable();
                list.dedup();
                list
            })
            .collect();
        TrueItems::from_lists(n_gallery, lists).expect("lists hold different items of the gallery")
    }
}

/// An owned matrix in every element type; the narrower ones are rounded from f64.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// Rows.
    pub n_rows: usize,
    /// Columns.
    pub dim: usize,
    /// `[n_rows, dim]`.
    pub f16: Vec<f16>,
    /// `[n_rows, dim]`.
    pub f32: Vec<f32>,
    /// `[n_rows, dim]`.
    pub f64: Vec<f64>,
}

impl Matrix {
    /// `element` is given row and column.
    pub fn new(n_rows: usize, dim: usize, mut element: impl FnMut(usize, usize) -> f64) -> Self {
        let f64: Vec<f64> = (0..n_rows * dim)
            .map(|at| element(at / dim.max(1), at % dim.max(1)))
            .collect();
        Self {
            n_rows,
            dim,
            f16: f64.iter().map(|&x| f16::from_f64(x)).collect(),
            f32: f64.iter().map(|&x| x as f32).collect(),
            f64,
        }
    }

    /// -1, 0 and 1: every sum of up to 2048 products is exact even in f16, ties abound.
    pub fn whole(n_rows: usize, dim: usize, random: &mut Random) -> Self {
        Self::new(n_rows, dim, |_, _| random.below(3) as f64 - 1.0)
    }

    /// Real numbers in `[-1, 1)` that f16 holds exactly.
    pub fn real(n_rows: usize, dim: usize, random: &mut Random) -> Self {
        Self::new(n_rows, dim, |_, _| f16::from_f64(random.real()).to_f64())
    }

    /// The rows in one of the element types.
    pub fn rows(&self, dtype: Dtype) -> Rows<'_> {
        let data = match dtype {
            Dtype::F16 => RowsData::F16(&self.f16),
            Dtype::F32 => RowsData::F32(&self.f32),
            Dtype::F64 => RowsData::F64(&self.f64),
        };
        Rows::new(data, self.n_rows, self.dim).expect("every element type has all elements")
    }

    /// Rounded to f16.
    #[must_use]
    pub fn through_f16(&self) -> Self {
        Self::new(self.n_rows, self.dim, |row, column| {
            self.f16[row * self.dim + column].to_f64()
        })
    }

    /// Rows divided by their norms, then rounded to f16.
    #[must_use]
    pub fn unit(&self) -> Self {
        Self::new(self.n_rows, self.dim, |row, column| {
            f16::from_f64(self.f64[row * self.dim + column] / self.norm(row)).to_f64()
        })
    }

    /// Euclidean norm of a row.
    pub fn norm(&self, row: usize) -> f64 {
        let row = &self.f64[row * self.dim..][..self.dim];
        row.iter().map(|x| x * x).sum::<f64>().sqrt()
    }

    /// Row `i` of the result is row `order[i]` of this.
    #[must_use]
    pub fn permuted(&self, order: &[usize]) -> Self {
        Self::new(order.len(), self.dim, |row, column| {
            self.f64[order[row] * self.dim + column]
        })
    }
}

/// A batch whose positives lie near their queries, and a queue; unit rows that f16 holds exactly to 1e-3.
#[derive(Debug, Clone)]
pub struct ContrastCase {
    /// `[batch, dim]`.
    pub query: Matrix,
    /// `[batch, dim]`.
    pub positive: Matrix,
    /// `[queue_len, dim]`.
    pub queue: Matrix,
    /// `[batch]`.
    pub batch_ids: Vec<i64>,
    /// `[queue_len]`.
    pub queue_ids: Vec<i64>,
}

impl ContrastCase {
    /// Random rows and ids; several rows of the queue share the id of a query, others have none.
    pub fn new(batch: usize, queue_len: usize, dim: usize, random: &mut Random) -> Self {
        let query = Matrix::real(batch, dim, random).unit();
        let noise = Matrix::real(batch, dim, random).unit();
        let positive = Matrix::new(batch, dim, |row, column| {
            query.f64[row * dim + column] + 0.9 * noise.f64[row * dim + column]
        });
        let mut id = |least: i64| random.below(9) as i64 + least;
        let batch_ids = (0..batch).map(|_| id(0)).collect();
        let queue_ids = (0..queue_len).map(|_| id(-1)).collect();
        Self {
            query,
            positive: positive.unit(),
            queue: Matrix::real(queue_len, dim, random).unit(),
            batch_ids,
            queue_ids,
        }
    }

    /// The job with an f32 batch and an f16 queue. `options` are bits: in-batch negatives, ids, gradient by
    /// positives.
    pub fn job(&self, options: usize, temperature: f64) -> InfoNceJob<'_> {
        InfoNceJob {
            query: self.query.rows(Dtype::F32),
            positive: self.positive.rows(Dtype::F32),
            queue: self.queue.rows(Dtype::F16),
            in_batch: options & 1 != 0,
            ids: (options & 2 != 0).then_some(ContrastIds {
                batch: &self.batch_ids,
                queue: &self.queue_ids,
            }),
            positive_gradient: options & 4 != 0,
            temperature,
        }
    }
}
