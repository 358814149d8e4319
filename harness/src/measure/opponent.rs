//! What is measured beside kernels of this program although it computes only part of an operation.

use std::hint::black_box;

use hitbench_kernels::cpu::Product;

use super::bench::{Bench, BenchError, Judged};
use super::inputs::SearchInputs;

/// The `gemm` crate's plain product in f32.
pub(super) const GEMM: &str = "gemm/f32";

/// Names of all opponents.
pub const OPPONENTS: [&str; 1] = [GEMM];

/// The product of `rank_counts` and `top_k`, and nothing done with it.
pub(super) struct GemmBench<'a> {
    inputs: &'a SearchInputs,
    product: Product,
}

impl<'a> GemmBench<'a> {
    pub(super) fn new(inputs: &'a SearchInputs, threads: usize) -> Self {
        let (query, gallery) = (&inputs.query, &inputs.gallery);
        Self {
            inputs,
            product: Product::new(query.n_rows, gallery.n_rows, query.dim, threads),
        }
    }
}

impl Bench for GemmBench<'_> {
    fn call(&mut self) -> Result<(), BenchError> {
        black_box(
            self.product
                .multiply(&self.inputs.query.f32, &self.inputs.gallery.f32),
        );
        Ok(())
    }

    fn verify(&mut self) -> Result<Judged, BenchError> {
        self.call()?;
        Ok(None)
    }
}
