//! `ema_update` of 110 million parameters in 110 tensors, beside a plain copy of as many floats.

use criterion::{BenchmarkId, Criterion, Throughput};
use hitbench_kernels::conformance::compare;
use hitbench_kernels::{EmaPair, ema_update_kernel};
use rayon::prelude::*;

use crate::inputs::{concrete, expect_right, group, kernels, timed};

const MOMENTUM: f64 = 0.999;

/// Floats that one task copies.
const COPY_CHUNK: usize = 1 << 16;

pub(crate) fn benches(criterion: &mut Criterion) {
    let (tensors, len) = if timed() { (110, 1_000_000) } else { (3, 1000) };
    let query = vec![0.5_f32; tensors * len];
    let mut key = vec![0.25_f32; tensors * len];
    let shape = format!("t{tensors}/p{}", tensors * len);
    let mut group = group(criterion, "ema_update");
    group.throughput(Throughput::Bytes((12 * tensors * len) as u64));
    // Parameters are f32 in every kernel; ids that differ in the element type alone would run the same code.
    for id in kernels().filter(|id| id.ends_with("f32")) {
        let kernel = ema_update_kernel(id).expect("an available kernel");
        let (before, mut after) = (vec![0.25; 1000], vec![0.25; 1000]);
        let mut pair = [EmaPair {
            key: &mut after,
            query: &query[..1000],
        }];
        kernel.ema_update(MOMENTUM, &mut pair).expect("equal lengths");
        expect_right(
            id,
            compare::ema_update(concrete(id), MOMENTUM, &before, &query[..1000], &after),
        );
        let mut pairs: Vec<EmaPair<'_>> = key
            .chunks_mut(len)
            .zip(query.chunks(len))
            .map(|(key, query)| EmaPair { key, query })
            .collect();
        group.bench_function(BenchmarkId::new(id, &shape), |bencher| {
            bencher.iter(|| kernel.ema_update(MOMENTUM, &mut pairs).expect("equal lengths"));
        });
    }
    group.throughput(Throughput::Bytes((8 * tensors * len) as u64));
    group.bench_function(BenchmarkId::new("copy", &shape), |bencher| {
        bencher.iter(|| {
            key.par_chunks_mut(COPY_CHUNK)
                .zip(query.par_chunks(COPY_CHUNK))
                .for_each(|(to, from)| to.copy_from_slice(from));
        });
    });
    group.finish();
}
