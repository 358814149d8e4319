//! `rank_counts` of 10,000 queries over 10,000 gallery rows of 512 elements, one direction and both.

use criterion::{BenchmarkId, Criterion, Throughput};
use hitbench_kernels::conformance::compare;
use hitbench_kernels::cpu::Product;
use hitbench_kernels::{RankJob, TrueItems, rank_counts_kernel};

use crate::inputs::{concrete, expect_right, group, kernels, sample, timed, unit_rows};

pub(crate) fn benches(criterion: &mut Criterion) {
    let (n, dim) = if timed() { (10_000, 512) } else { (100, 31) };
    let (query, gallery) = (unit_rows(n, dim, 1), unit_rows(n, dim, 2));
    let own = TrueItems::from_lists(n, (0..n).map(|i| [i as u32])).expect("one true item a query");
    let shape = format!("q{n}/g{n}/d{dim}");
    let mut group = group(criterion, "rank_counts");
    group.throughput(Throughput::Elements((n * n) as u64));
    for (directions, v2t) in [("one", None), ("both", Some(&own))] {
        for id in kernels() {
            let kernel = rank_counts_kernel(id).expect("an available kernel");
            let dtype = concrete(id).dtype();
            let job = RankJob {
                v2t,
                ..RankJob::new(query.rows(dtype), gallery.rows(dtype), &own)
            };
            let output = kernel.rank_counts(&job).expect("finite rows");
            let queries = sample(n);
            let reverse = if v2t.is_some() { &queries[..] } else { &[] };
            let deviation = compare::rank_counts(concrete(id), &job, &output, &queries, reverse);
            expect_right(id, deviation);
            group.bench_function(
                BenchmarkId::new(format!("{id}/{directions}"), &shape),
                |bencher| {
                    bencher.iter(|| kernel.rank_counts(&job).expect("finite rows"));
                },
            );
        }
    }
    let mut product = Product::new(n, n, dim, rayon::current_num_threads());
    group.bench_function(BenchmarkId::new("gemm/f32", &shape), |bencher| {
        bencher.iter(|| product.multiply(&query.f32, &gallery.f32)[0]);
    });
    group.finish();
}
