//! Seeded inputs and the kernels that meet.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use hitbench_kernels::conformance::Deviation;
use hitbench_kernels::conformance::inputs::{Matrix, Random};
use hitbench_kernels::{KernelError, KernelId};

/// Whether times are taken; in test mode everything runs once and small.
pub(crate) fn timed() -> bool {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    has("--bench") && !has("--test")
}

/// The ids that are compared: ours on this machine's best instruction set, and libtorch where it is built in.
pub(crate) fn kernels() -> impl Iterator<Item = &'static str> {
    let libtorch = cfg!(feature = "torch").then_some(["libtorch/cpu/f32", "libtorch/cpu/f16"]);
    ["cpu/auto/f16", "cpu/auto/f32"]
        .into_iter()
        .chain(libtorch.into_iter().flatten())
}

/// A group for calls that take milliseconds to seconds.
pub(crate) fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5));
    group
}

/// Random unit rows, rounded to f16 so that all element types hold the same values.
pub(crate) fn unit_rows(n_rows: usize, dim: usize, seed: u64) -> Matrix {
    Matrix::real(n_rows, dim, &mut Random(seed)).unit()
}

/// Stops the benchmark of a kernel that is wrong: a wrong answer gets no time.
pub(crate) fn expect_right(kernel: &str, deviation: Result<Deviation, KernelError>) {
    let deviation = deviation.expect("the sample lies within the results");
    assert!(deviation.is_within(), "{kernel}: {deviation:?}");
}

/// The concrete id that a name stands for.
pub(crate) fn concrete(kernel: &str) -> KernelId {
    kernel.parse::<KernelId>().expect("a known name").resolve()
}

/// A few of `n` queries: the first, the last and some between.
pub(crate) fn sample(n: usize) -> Vec<usize> {
    (0..5).map(|i| i * (n - 1) / 4).collect()
}
