//! `info_nce` of 256 queries against 65,536 queued keys of 256 elements, loss and query gradient.

use criterion::{BenchmarkId, Criterion, Throughput};
use hitbench_kernels::conformance::compare;
use hitbench_kernels::{Dtype, InfoNceJob, info_nce_kernel};

use crate::inputs::{concrete, expect_right, group, kernels, sample, timed, unit_rows};

pub(crate) fn benches(criterion: &mut Criterion) {
    let (batch, queue_len, dim) = if timed() {
        (256, 65_536, 256)
    } else {
        (16, 100, 31)
    };
    let (query, positive) = (unit_rows(batch, dim, 1), unit_rows(batch, dim, 2));
    let queue = unit_rows(queue_len, dim, 3);
    let mut group = group(criterion, "info_nce");
    group.throughput(Throughput::Elements((batch * queue_len) as u64));
    for id in kernels() {
        let kernel = info_nce_kernel(id).expect("an available kernel");
        let job = InfoNceJob {
            query: query.rows(Dtype::F32),
            positive: positive.rows(Dtype::F32),
            queue: queue.rows(concrete(id).dtype()),
            in_batch: false,
            positive_gradient: false,
            ids: None,
            temperature: 0.07,
        };
        let output = kernel.info_nce(&job).expect("unit rows");
        expect_right(id, compare::info_nce(concrete(id), &job, &output, &sample(batch)));
        let shape = format!("b{batch}/k{queue_len}/d{dim}");
        group.bench_function(BenchmarkId::new(id, shape), |bencher| {
            bencher.iter(|| kernel.info_nce(&job).expect("unit rows"));
        });
    }
    group.finish();
}
