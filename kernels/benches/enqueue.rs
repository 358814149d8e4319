//! `enqueue` of 256 keys of 512 elements into a queue of 65,536.

use criterion::{BenchmarkId, Criterion, Throughput};
use half::f16;
use hitbench_kernels::conformance::compare::{self, Enqueued};
use hitbench_kernels::{Dtype, EnqueueJob, QueueRows, Rows, RowsData, enqueue_kernel};

use crate::inputs::{concrete, expect_right, group, kernels, timed, unit_rows};

pub(crate) fn benches(criterion: &mut Criterion) {
    let (batch, queue_len, dim) = if timed() {
        (256, 65_536, 512)
    } else {
        (16, 100, 31)
    };
    let keys = unit_rows(batch, dim, 1);
    let ids: Vec<i64> = (0..batch as i64).collect();
    let mut queue = vec![f16::ZERO; queue_len * dim];
    let mut queue_ids = vec![-1; queue_len];
    let mut group = group(criterion, "enqueue");
    // Keys and ids read, rows and ids written.
    group.throughput(Throughput::Bytes((batch * (6 * dim + 16)) as u64));
    // The queue is f16 for every kernel; ids that differ in the element type alone would run the same code.
    for id in kernels().filter(|id| id.ends_with("f16")) {
        let kernel = enqueue_kernel(id).expect("an available kernel");
        let (before, before_ids) = (queue.clone(), queue_ids.clone());
        let mut pointer = queue_len - batch / 2;
        let job = EnqueueJob {
            keys: keys.rows(Dtype::F32),
            ids: &ids,
            queue: QueueRows::F16(&mut queue),
            queue_ids: &mut queue_ids,
            pointer,
        };
        let next = kernel.enqueue(job).expect("unit rows");
        let rows = |data| Rows::new(RowsData::F16(data), queue_len, dim).expect("the queue's shape");
        let written = Enqueued {
            keys: keys.rows(Dtype::F32),
            ids: &ids,
            pointer,
            before: rows(&before),
            before_ids: &before_ids,
            after: rows(&queue),
            after_ids: &queue_ids,
            next,
        };
        expect_right(id, compare::enqueue(concrete(id), &written));
        pointer = next;
        group.bench_function(
            BenchmarkId::new(id, format!("b{batch}/k{queue_len}/d{dim}")),
            |bencher| {
                bencher.iter(|| {
                    let job = EnqueueJob {
                        keys: keys.rows(Dtype::F32),
                        ids: &ids,
                        queue: QueueRows::F16(&mut queue),
                        queue_ids: &mut queue_ids,
                        pointer,
                    };
                    pointer = kernel.enqueue(job).expect("unit rows");
                });
            },
        );
    }
    group.finish();
}
