//! `top_k`, k = 10, of 10,000 queries over 10,000 gallery rows of 512 elements.

use criterion::{BenchmarkId, Criterion, Throughput};
use hitbench_kernels::conformance::compare;
use hitbench_kernels::top_k_kernel;

use crate::inputs::{concrete, expect_right, group, kernels, sample, timed, unit_rows};

pub(crate) fn benches(criterion: &mut Criterion) {
    let (n, dim) = if timed() { (10_000, 512) } else { (100, 31) };
    let (query, gallery) = (unit_rows(n, dim, 1), unit_rows(n, dim, 2));
    let mut group = group(criterion, "top_k");
    group.throughput(Throughput::Elements((n * n) as u64));
    for id in kernels() {
        let kernel = top_k_kernel(id).expect("an available kernel");
        let (query, gallery) = (
            query.rows(concrete(id).dtype()),
            gallery.rows(concrete(id).dtype()),
        );
        let hits = kernel.top_k(query, gallery, 10).expect("finite rows");
        expect_right(
            id,
            compare::top_k(concrete(id), query, gallery, 10, &hits, &sample(n)),
        );
        group.bench_function(BenchmarkId::new(id, format!("q{n}/g{n}/d{dim}/k10")), |bencher| {
            bencher.iter(|| kernel.top_k(query, gallery, 10).expect("finite rows"));
        });
    }
    group.finish();
}
