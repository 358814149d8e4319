//! How much heap the kernels take beside their inputs, at sizes where a score matrix would show and where work is
//! split into many tasks; what they give is compared on a sample. One test, because the heap counted is that of the
//! process.

mod counting;

use counting::{Counting, peak_above_now};
use half::f16;
use hitbench_kernels::conformance::compare;
use hitbench_kernels::{
    InfoNceJob, KernelId, RankCount, RankJob, Rows, RowsData, TrueItems, info_nce_kernel, rank_counts_kernel,
    top_k_kernel,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

/// Elements in `[-1, 1)` that f16 holds, the same in every run.
fn elements(len: usize, scale: f32) -> Vec<f16> {
    let mut state = len as u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        f16::from_f32(((state >> 33) as i32 as f32 / (1 << 30) as f32 - 1.0) * scale)
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn rows(data: &[f16], dim: usize) -> Rows<'_> {
    Rows::new(RowsData::F16(data), data.len() / dim, dim).expect("whole rows")
}

/// The kernel under test.
fn concrete() -> KernelId {
    let id: KernelId = "cpu/auto/f16".parse().expect("a known name");
    id.resolve()
}

#[test]
fn heap_stays_within_what_the_design_allows() {
    rank_counts_and_top_k();
    info_nce();
}

/// 5,000 queries over 400,000 rows of 64: a score matrix would take 7.5 GiB.
fn rank_counts_and_top_k() {
    const QUERIES: usize = 5_000;
    const GALLERY: usize = 400_000;
    const DIM: usize = 64;
    let (query, gallery) = (elements(QUERIES * DIM, 0.1), elements(GALLERY * DIM, 0.1));
    let (query, gallery) = (rows(&query, DIM), rows(&gallery, DIM));
    let t2v = TrueItems::from_lists(GALLERY, (0..QUERIES).map(|q| [q as u32 * 80])).expect("one a query");
    let v2t = TrueItems::from_lists(QUERIES, (0..GALLERY).map(|g| [(g / 80) as u32])).expect("one a row");
    let kernel = rank_counts_kernel("cpu/auto/f16").expect("a CPU kernel");
    for both in [false, true] {
        let job = RankJob {
            v2t: both.then_some(&v2t),
            ..RankJob::new(query, gallery, &t2v)
        };
        let (output, peak) = peak_above_now(|| kernel.rank_counts(&job).expect("finite rows"));
        let reverse: &[usize] = if both { &[0, 77_777, GALLERY - 1] } else { &[] };
        let sample = [0, 1234, QUERIES - 1];
        let right = compare::rank_counts(concrete(), &job, &output, &sample, reverse).expect("a sample");
        assert!(right.is_within(), "{right:?}");
        let counts = output.t2v.len() + output.v2t.map_or(0, |v2t| v2t.len());
        assert_eq!(counts, if both { QUERIES + GALLERY } else { QUERIES });
        let allowed = counts * size_of::<RankCount>() + 64 * MIB;
        assert!(
            peak <= allowed,
            "rank_counts took {peak} bytes, {allowed} are allowed"
        );
    }

    let kernel = top_k_kernel("cpu/auto/f16").expect("a CPU kernel");
    let (hits, peak) = peak_above_now(|| kernel.top_k(query, gallery, 10).expect("finite rows"));
    assert_eq!(hits.len(), 10 * QUERIES);
    let right = compare::top_k(concrete(), query, gallery, 10, &hits, &[0, 1234, QUERIES - 1]);
    assert!(
        right.as_ref().is_ok_and(compare::Deviation::is_within),
        "{right:?}"
    );
    let allowed = size_of_val(&hits[..]) + 64 * MIB;
    assert!(peak <= allowed, "top_k took {peak} bytes, {allowed} are allowed");
}

/// 256 queries against 65,536 keys of 256: the logits alone would take 64 MiB in f32, the queue in f32 as much again.
fn info_nce() {
    const BATCH: usize = 256;
    const QUEUE: usize = 65_536;
    const DIM: usize = 256;
    let (query, positive) = (elements(BATCH * DIM, 0.1), elements(BATCH * DIM, 0.1));
    let queue = elements(QUEUE * DIM, 0.1);
    let kernel = info_nce_kernel("cpu/auto/f16").expect("a CPU kernel");
    let job = InfoNceJob {
        query: rows(&query, DIM),
        positive: rows(&positive, DIM),
        queue: rows(&queue, DIM),
        in_batch: false,
        positive_gradient: false,
        ids: None,
        temperature: 0.07,
    };
    let (output, peak) = peak_above_now(|| kernel.info_nce(&job).expect("short rows"));
    assert_eq!(output.n_negatives, (BATCH * QUEUE) as u64);
    let outputs = size_of_val(&output.losses[..]) + size_of_val(&output.query_gradient[..]);
    let allowed = outputs + 32 * MIB;
    assert!(
        peak <= allowed,
        "info_nce took {peak} bytes, {allowed} are allowed"
    );
}
