//! Every operation at the shapes of the targets, ours beside its opponents: libtorch (feature `torch`), the bare f32
//! product of the `gemm` crate, a plain copy.
//!
//! ```text
//! cargo bench -p hitbench-kernels [--features torch] [-- FILTER]
//! ```
//!
//! With `--test` after the `--`, and under `cargo test --benches`, every benchmark runs once, at a small shape.

mod ema_update;
mod enqueue;
mod info_nce;
mod inputs;
mod rank_counts;
mod top_k;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    operations,
    rank_counts::benches,
    top_k::benches,
    info_nce::benches,
    ema_update::benches,
    enqueue::benches
);
criterion_main!(operations);
