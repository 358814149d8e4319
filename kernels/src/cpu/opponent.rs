//! The plain matrix product that fused kernels are measured against: the `gemm` crate's, in f32.

use gemm::Parallelism;

/// Queries multiplied at a time.
const CHUNK: usize = 1024;

/// `<query, gallery>` for every pair by the `gemm` crate, a chunk of queries after another into a buffer that is kept
/// from call to call. The scores are computed and then overwritten: it does less than any operation does.
#[derive(Debug)]
pub struct Product {
    scores: Vec<f32>,
    n_gallery: usize,
    dim: usize,
    threads: usize,
}

impl Product {
    /// Room for chunks of at most `n_queries` rows times `n_gallery` rows of `dim` elements, on `threads` threads.
    #[must_use]
    pub fn new(n_queries: usize, n_gallery: usize, dim: usize, threads: usize) -> Self {
        Self {
            scores: vec![0.0; n_queries.min(CHUNK) * n_gallery],
            n_gallery,
            dim,
            threads,
        }
    }

    /// Multiplies `query [n_queries, dim]` by the transpose of `gallery [n_gallery, dim]`, both row-major. Returns the
    /// scores of the last chunk, `[rows, n_gallery]`, row-major.
    ///
    /// # Panics
    /// When the rows are not those that [`Self::new`] was told of.
    pub fn multiply(&mut self, query: &[f32], gallery: &[f32]) -> &[f32] {
        let (n_gallery, dim) = (self.n_gallery, self.dim);
        assert_eq!(gallery.len(), n_gallery * dim, "the gallery has another shape");
        let mut n_rows = 0;
        for chunk in query.chunks(CHUNK * dim) {
            n_rows = chunk.len() / dim;
            assert_eq!(chunk.len(), n_rows * dim, "queries are whole rows");
            let out = &mut self.scores[..n_rows * n_gallery];
            // SAFETY: strides are those of row-major matrices whose sizes were checked: `out` by the slicing above,
            // `chunk` and `gallery` by the assertions. `out` is borrowed mutably, so nothing overlaps it; with
            // `read_dst` false it is only written.
            unsafe {
                gemm::gemm(
                    n_rows,
                    n_gallery,
                    dim,
                    out.as_mut_ptr(),
                    1,
                    n_gallery as isize,
                    false,
                    chunk.as_ptr(),
                    1,
                    dim as isize,
                    gallery.as_ptr(),
                    dim as isize,
                    1,
                    0.0_f32,
                    1.0_f32,
                    false,
                    false,
                    false,
                    if self.threads > 1 {
                        Parallelism::Rayon(self.threads)
                    } else {
                        Parallelism::None
                    },
                );
            }
        }
        &self.scores[..n_rows * n_gallery]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_the_product() {
        let (n_queries, n_gallery, dim) = (CHUNK + 3, 5, 7);
        let rows = |n: usize, step: usize| -> Vec<f32> {
            (0..n * dim).map(|i| (i * step % 11) as f32 - 5.0).collect()
        };
        let (query, gallery) = (rows(n_queries, 3), rows(n_gallery, 7));
        let expected =
            |q: usize, g: usize| -> f32 { (0..dim).map(|k| query[q * dim + k] * gallery[g * dim + k]).sum() };
        for threads in [1, 2] {
            let mut product = Product::new(n_queries, n_gallery, dim, threads);
            let last = product.multiply(&query, &gallery).to_vec();
            let expected: Vec<f32> = (0..3 * n_gallery)
                .map(|i| expected(CHUNK + i / n_gallery, i % n_gallery))
                .collect();
            assert_eq!(last, expected);
            let first = &query[..2 * dim];
            assert_eq!(product.multiply(first, &gallery).len(), 2 * n_gallery);
        }
    }
}
