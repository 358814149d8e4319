//! `rank_counts` and `top_k`.

use std::hint::black_box;

use hitbench_kernels::conformance::compare;
use hitbench_kernels::{HeldRows, KernelError, RankCounts, RankJob, Rows, TopK};

use super::bench::{Bench, BenchError, Judged, sample};
use super::inputs::SearchInputs;

/// Counts ranks.
pub(super) struct RankBench<'a> {
    job: RankJob<'a>,
    kernel: Box<dyn RankCounts + Send + Sync>,
    held: Vec<HeldRows<'a>>,
}

impl<'a> RankBench<'a> {
    pub(super) fn new(
        inputs: &'a SearchInputs,
        both: bool,
        kernel: Box<dyn RankCounts + Send + Sync>,
    ) -> Result<Self, KernelError> {
        let dtype = kernel.id().dtype();
        let (query, gallery) = (inputs.query.rows(dtype)?, inputs.gallery.rows(dtype)?);
        let job = RankJob {
            v2t: both.then_some(&inputs.v2t),
            ..RankJob::new(query, gallery, &inputs.t2v)
        };
        Ok(Self {
            job,
            kernel,
            held: Vec::new(),
        })
    }
}

impl Bench for RankBench<'_> {
    fn call(&mut self) -> Result<(), BenchError> {
        black_box(self.kernel.rank_counts(&self.job)?);
        Ok(())
    }

    fn verify(&mut self) -> Result<Judged, BenchError> {
        let output = self.kernel.rank_counts(&self.job)?;
        let v2t = self.job.v2t.map_or(Vec::new(), |own| sample(own.n_queries()));
        let t2v = sample(self.job.query.n_rows());
        Ok(Some(compare::rank_counts(
            self.kernel.id(),
            &self.job,
            &output,
            &t2v,
            &v2t,
        )?))
    }

    fn hold(&mut self) -> Result<(), BenchError> {
        self.held = vec![
            self.kernel.hold(self.job.query)?,
            self.kernel.hold(self.job.gallery)?,
        ];
        Ok(())
    }

    fn release(&mut self) {
        self.held.clear();
    }
}

/// Finds the best items.
pub(super) struct TopKBench<'a> {
    query: Rows<'a>,
    gallery: Rows<'a>,
    k: usize,
    kernel: Box<dyn TopK + Send + Sync>,
    held: Vec<HeldRows<'a>>,
}

impl<'a> TopKBench<'a> {
    pub(super) fn new(
        inputs: &'a SearchInputs,
        k: usize,
        kernel: Box<dyn TopK + Send + Sync>,
    ) -> Result<Self, KernelError> {
        let dtype = kernel.id().dtype();
        Ok(Self {
            query: inputs.query.rows(dtype)?,
            gallery: inputs.gallery.rows(dtype)?,
            k,
            kernel,
            held: Vec::new(),
        })
    }
}

impl Bench for TopKBench<'_> {
    fn call(&mut self) -> Result<(), BenchError> {
        black_box(self.kernel.top_k(self.query, self.gallery, self.k)?);
        Ok(())
    }

    fn verify(&mut self) -> Result<Judged, BenchError> {
        let hits = self.kernel.top_k(self.query, self.gallery, self.k)?;
        let queries = sample(self.query.n_rows());
        let id = self.kernel.id();
        Ok(Some(compare::top_k(
            id,
            self.query,
            self.gallery,
            self.k,
            &hits,
            &queries,
        )?))
    }

    fn hold(&mut self) -> Result<(), BenchError> {
        self.held = vec![self.kernel.hold(self.query)?, self.kernel.hold(self.gallery)?];
        Ok(())
    }

    fn release(&mut self) {
        self.held.clear();
    }
}
