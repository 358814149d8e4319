//! What is measured beside kernels of this program although it computes only part of an operation.

use std::hint::black_box;

use hitbench_kernels::cpu::Product;
#[cfg(feature = "torch")]
use hitbench_kernels::{Dtype, Rows, libtorch};

use super::bench::{Bench, BenchError, Judged};
use super::inputs::SearchInputs;

/// The `gemm` crate's plain product in f32.
pub(super) const GEMM: &str = "gemm/f32";

/// libtorch's plain product in f16 on a GPU, which is that of the vendor's library.
pub(crate) const MATMUL: &str = "matmul/cuda/f16";

/// Names of all opponents.
pub const OPPONENTS: [&str; 2] = [GEMM, MATMUL];

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

/// The product of `rank_counts` and `top_k` on a GPU, and nothing done with it.
#[cfg(feature = "torch")]
pub(super) struct MatmulBench<'a> {
    query: Rows<'a>,
    gallery: Rows<'a>,
    held: Option<libtorch::Product>,
}

#[cfg(feature = "torch")]
impl<'a> MatmulBench<'a> {
    pub(super) fn new(inputs: &'a SearchInputs) -> Result<Self, BenchError> {
        Ok(Self {
            query: inputs.query.rows(Dtype::F16)?,
            gallery: inputs.gallery.rows(Dtype::F16)?,
            held: None,
        })
    }
}

#[cfg(feature = "torch")]
impl Bench for MatmulBench<'_> {
    /// Without what is held, rows are copied, and the product is waited for; scores stay where they are.
    fn call(&mut self) -> Result<(), BenchError> {
        if let Some(product) = &self.held {
            return Ok(product.start()?);
        }
        let product = libtorch::Product::new(self.query, self.gallery)?;
        product.start()?;
        Ok(product.wait()?)
    }

    fn verify(&mut self) -> Result<Judged, BenchError> {
        self.call()?;
        Ok(None)
    }

    fn hold(&mut self) -> Result<(), BenchError> {
        self.held = Some(libtorch::Product::new(self.query, self.gallery)?);
        Ok(())
    }

    fn release(&mut self) {
        self.held = None;
    }
}
