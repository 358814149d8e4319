//! The kernels' own text against the reference, run on the CPU: what [`super::emulator`] can show without a GPU. Layouts
//! of fragments, tiles, borders, barriers and copies are those of the text; rounding in the tensor cores is a model.

use std::panic::{AssertUnwindSafe, catch_unwind};

use half::f16;

use super::emulator::Emulator;
use super::gpu::Mark;
use super::guarded::Guarded;
use super::info_nce::DeviceFactors;
use super::kernel::CudaKernel;
use super::launch::{self, Entry, QueryTerm, QueueView};
use super::memory::Buffer;
use super::upkeep::TensorPairs;
use crate::conformance::Verdict;
use crate::conformance::compare;
use crate::conformance::inputs::{ContrastCase, Matrix, Random};
use crate::conformance::suite::{OPERATIONS, verify_kernel};
use crate::id::CudaArch;
use crate::kernel::Kernel;
use crate::momentum::{EmaPair, EmaUpdate, Enqueue, EnqueueJob, QueueRows};
use crate::rank::{PairIds, RankCounts, RankJob, RankOutput, TrueItems};
use crate::scores::{Scores, TopK};
use crate::{Dtype, InfoNce, InfoNceJob, KernelError, Rows, RowsData};

/// So much of a side at a time that everything in these tests is one part.
const PART: usize = 16 << 20;
/// So little that a part is one tile.
const ONE_TILE: usize = 1;

/// Five tiles of rows of 8 elements.
const FIVE_TILES: usize = 5 * 128 * 8 * size_of::<f16>();

/// All kernels of one meaning.
const ARCHS: [CudaArch; 2] = [CudaArch::Sm80, CudaArch::Sm90a];

/// Every one of the first with every one of the second.
fn each_with<A: Copy, B: Copy, const N: usize, const M: usize>(
    first: [A; N],
    second: [B; M],
) -> impl Iterator<Item = (A, B)> {
    first
        .into_iter()
        .flat_map(move |a| second.into_iter().map(move |b| (a, b)))
}

/// A kernel on an emulated device, or none, with the reason told.
fn emulated(arch: CudaArch, n_processors: u32, seed: u64) -> Option<CudaKernel> {
    emulated_in_parts(arch, n_processors, PART, seed)
}

/// As [`emulated`], with `part_bytes` of rows of a side at a time.
fn emulated_in_parts(arch: CudaArch, n_processors: u32, part_bytes: usize, seed: u64) -> Option<CudaKernel> {
    let gpu = Emulator::gpu(arch, n_processors, part_bytes, seed);
    gpu.map(CudaKernel::new)
        .map_err(|reason| println!("skipped: {reason}"))
        .ok()
}

fn every_operation_passes_the_cases_of_every_kernel(arch: CudaArch) {
    let Ok(gpu) = Emulator::gpu(arch, 3, PART, 1).map_err(|reason| println!("skipped: {reason}")) else {
        return;
    };
    for finding in verify_kernel(&CudaKernel::new(Guarded::gpu(gpu)), &OPERATIONS, 0) {
        assert_eq!(finding.verdict, Verdict::Passed, "{finding:#?}");
        assert!(finding.n_cases > 5 && finding.deviation.n_compared > 1000);
    }
}

#[test]
fn every_operation_of_the_portable_kernels_passes_the_cases_of_every_kernel() {
    every_operation_passes_the_cases_of_every_kernel(CudaArch::Sm80);
}

#[test]
fn every_operation_of_the_kernels_for_hopper_passes_the_cases_of_every_kernel() {
    every_operation_passes_the_cases_of_every_kernel(CudaArch::Sm90a);
}

/// Rows of a few whole numbers, so that many scores are equal, and true items in both directions.
struct Tied {
    query: Matrix,
    gallery: Matrix,
    t2v: TrueItems,
    v2t: TrueItems,
    query_ids: Vec<u64>,
    gallery_ids: Vec<u64>,
}

impl Tied {
    fn new(n_queries: usize, n_gallery: usize, dim: usize, random: &mut Random) -> Self {
        Self {
            query: Matrix::whole(n_queries, dim, random),
            gallery: Matrix::whole(n_gallery, dim, random),
            t2v: random.true_items(n_queries, n_gallery, 3),
            v2t: random.true_items(n_gallery, n_queries, 3),
            query_ids: (0..n_queries).map(|_| random.below(40) as u64).collect(),
            gallery_ids: (0..n_gallery).map(|_| random.below(40) as u64).collect(),
        }
    }

    fn job(&self, with_ids: bool) -> RankJob<'_> {
        RankJob {
            v2t: Some(&self.v2t),
            ids: with_ids.then_some(PairIds {
                query: &self.query_ids,
                gallery: &self.gallery_ids,
            }),
            ..RankJob::new(
                self.query.rows(Dtype::F16),
                self.gallery.rows(Dtype::F16),
                &self.t2v,
            )
        }
    }
}

/// Scores of whole numbers are exact, so that every count must be the reference's.
#[test]
fn counts_of_whole_numbers_are_exact_around_the_borders_of_tiles() {
    let mut random = Random(71);
    for (n_queries, n_gallery, dim) in [
        (1, 1, 8),
        (1, 300, 3),
        (127, 128, 64),
        (128, 129, 65),
        (129, 127, 17),
        (255, 257, 8),
        (257, 383, 130),
        (3, 260, 260),
        (130, 5, 513),
        (2, 3, 580),
    ] {
        let case = Tied::new(n_queries, n_gallery, dim, &mut random);
        for with_ids in [false, true] {
            let job = case.job(with_ids);
            let expected = crate::reference::Reference.rank_counts(&job).unwrap();
            let devices = [(1, PART), (5, PART), (3, ONE_TILE)];
            for (arch, (n_processors, part_bytes)) in each_with(ARCHS, devices) {
                let Some(kernel) = emulated_in_parts(arch, n_processors, part_bytes, 7) else {
                    return;
                };
                let found = kernel.rank_counts(&job).unwrap();
                assert_eq!(
                    found, expected,
                    "{n_queries} x {n_gallery} x {dim}, ids {with_ids}"
                );
                let one_way = RankJob {
                    v2t: None,
                    ..job.clone()
                };
                assert_eq!(kernel.rank_counts(&one_way).unwrap().t2v, expected.t2v);
            }
        }
    }
}

/// A query and a tile of items at a time, so that the place of every block in the matrix counts.
#[test]
fn scores_in_parts_are_those_of_the_whole() {
    let mut random = Random(72);
    let case = Tied::new(3, 300, 17, &mut random);
    let (query, gallery) = (case.query.rows(Dtype::F16), case.gallery.rows(Dtype::F16));
    let mut expected = vec![0.0; 3 * 300];
    crate::reference::Reference
        .scores(query, gallery, &mut expected)
        .unwrap();
    for (arch, part_bytes) in each_with(ARCHS, [PART, ONE_TILE]) {
        let Some(kernel) = emulated_in_parts(arch, 2, part_bytes, 12) else {
            return;
        };
        let mut found = vec![f32::NAN; 3 * 300];
        kernel.scores(query, gallery, &mut found).unwrap();
        assert_eq!(found, expected);
    }
}

/// Real numbers, whose last digits would differ if a score depended on its place.
#[test]
fn a_score_depends_on_its_two_rows_only() {
    let (n_queries, n_gallery, dim) = (140, 270, 100);
    let mut random = Random(72);
    let query = Matrix::real(n_queries, dim, &mut random);
    let gallery = Matrix::real(n_gallery, dim, &mut random);
    // Every item is true for one query, so that every score is somebody's threshold.
    let t2v = random.true_items(n_queries, n_gallery, 3);
    let count = |kernel: &CudaKernel, gallery: &Matrix, t2v: &TrueItems| -> RankOutput {
        let job = RankJob::new(query.rows(Dtype::F16), gallery.rows(Dtype::F16), t2v);
        kernel.rank_counts(&job).unwrap()
    };
    for (arch, (seed, n_processors)) in each_with(ARCHS, [(4, 1), (5, 2), (6, 9)]) {
        let Some(kernel) = emulated(arch, 2, 3) else {
            return;
        };
        let expected = count(&kernel, &gallery, &t2v);
        let order = random.order(n_gallery);
        let mut place = vec![0_u32; n_gallery];
        for (at, &item) in order.iter().enumerate() {
            place[item] = at as u32;
        }
        let moved = (0..n_queries).map(|query| {
            t2v.of(query)
                .iter()
                .map(|item| place[*item as usize])
                .collect::<Vec<_>>()
        });
        let moved = TrueItems::from_lists(n_gallery, moved).unwrap();
        let Some(kernel) = emulated(arch, n_processors, seed) else {
            return;
        };
        assert_eq!(count(&kernel, &gallery.permuted(&order), &moved), expected);
    }
}

#[test]
fn the_best_are_the_same_however_the_gallery_is_cut() {
    let mut random = Random(73);
    for (n_queries, n_gallery, dim, k) in [
        (1, 700, 8, 10),
        (130, 500, 20, 1),
        (5, 300, 9, 100),
        (3, 33, 4, 40),
        (2, 1150, 8, 10),
        (2, 1150, 8, 70),
    ] {
        // Many equal scores: order by index decides.
        let query = Matrix::whole(n_queries, dim, &mut random);
        let gallery = Matrix::whole(n_gallery, dim, &mut random);
        let [query, gallery] = [query.rows(Dtype::F16), gallery.rows(Dtype::F16)];
        let expected = crate::reference::Reference.top_k(query, gallery, k).unwrap();
        let devices = [(1, PART, 8), (7, PART, 9), (2, ONE_TILE, 10), (4, FIVE_TILES, 11)];
        for (arch, (n_processors, part_bytes, seed)) in each_with(ARCHS, devices) {
            let Some(kernel) = emulated_in_parts(arch, n_processors, part_bytes, seed) else {
                return;
            };
            assert_eq!(
                kernel.top_k(query, gallery, k).unwrap(),
                expected,
                "{n_queries} x {n_gallery}, k {k}"
            );
        }
    }
}

/// Several blocks of queries, and rows that fill some of the boxes of 64 columns in which those of Hopper come.
#[test]
fn terms_of_many_queries_and_of_any_length_are_right() {
    let mut random = Random(76);
    for (batch, queue_len, dim, options) in [
        (300, 300, 40, 7),
        (140, 70, 264, 1),
        (9, 130, 330, 4),
        (20, 90, 520, 7),
    ] {
        let case = ContrastCase::new(batch, queue_len, dim, &mut random);
        let job = InfoNceJob {
            positive_gradient: true,
            ..case.job(options, 0.07)
        };
        for arch in ARCHS {
            let Some(kernel) = emulated(arch, 2, 6) else {
                return;
            };
            let output = kernel.info_nce(&job).unwrap();
            let all: Vec<usize> = (0..batch).collect();
            let deviation = compare::info_nce(kernel.id(), &job, &output, &all).unwrap();
            assert!(
                deviation.is_within(),
                "{arch:?}, {batch} x {queue_len} x {dim}: {deviation:?}"
            );
        }
    }
}

#[test]
fn rows_that_are_held_give_the_same_results() {
    let mut random = Random(75);
    let case = Tied::new(130, 300, 20, &mut random);
    let contrast = ContrastCase::new(70, 400, 40, &mut random);
    let (job, term) = (case.job(true), contrast.job(7, 0.05));
    for (arch, part_bytes) in each_with(ARCHS, [PART, ONE_TILE]) {
        let Some(kernel) = emulated_in_parts(arch, 3, part_bytes, 5) else {
            return;
        };
        let results = || {
            let mut scores = vec![f32::NAN; 130 * 300];
            kernel.scores(job.query, job.gallery, &mut scores).unwrap();
            (
                kernel.rank_counts(&job).unwrap(),
                kernel.top_k(job.query, job.gallery, 40).unwrap(),
                kernel.info_nce(&term).unwrap(),
                scores,
            )
        };
        let expected = results();
        let rows = [job.query, job.gallery, term.query, term.positive, term.queue];
        // One side alone, then all.
        for n_held in [1, rows.len()] {
            let held: Vec<_> = rows[..n_held]
                .iter()
                .map(|rows| kernel.hold(*rows).unwrap())
                .collect();
            assert_eq!(results(), expected, "{arch:?}, {n_held} held");
            drop(held);
        }
    }
    let Some(kernel) = emulated(CudaArch::Sm80, 1, 1) else {
        return;
    };
    let bad = [1.0, f32::NAN];
    let bad = Rows::new(RowsData::F32(&bad), 1, 2).unwrap();
    assert!(matches!(kernel.hold(bad), Err(KernelError::NotFinite { .. })));
}

#[test]
fn losses_do_not_depend_on_how_the_keys_are_cut() {
    let mut random = Random(74);
    let case = ContrastCase::new(70, 400, 40, &mut random);
    for options in [0, 7] {
        let job = case.job(options, 0.05);
        let mut bits = Vec::new();
        for (arch, (n_processors, seed)) in each_with(ARCHS, [(1, 1), (4, 2), (30, 3)]) {
            let Some(kernel) = emulated(arch, n_processors, seed) else {
                return;
            };
            let output = kernel.info_nce(&job).unwrap();
            let all: Vec<usize> = (0..70).collect();
            let deviation = compare::info_nce(kernel.id(), &job, &output, &all).unwrap();
            assert!(deviation.is_within(), "{deviation:?}");
            bits.push(
                output
                    .losses
                    .iter()
                    .map(|loss| loss.to_bits())
                    .collect::<Vec<_>>(),
            );
        }
        assert!(
            bits.windows(2).all(|pair| pair[0] == pair[1]),
            "options {options}"
        );
    }
}

/// The loss and the shares of a query, of the scores of its positive and its best negative and of the sum of the weights.
#[test]
fn shares_keep_their_digits_however_far_apart_the_scores_are() {
    let Ok(gpu) = Emulator::gpu(CudaArch::Sm80, 1, PART, 1) else {
        return;
    };
    let of = |own: f32, best: Option<f32>, sum: f64, temperature: f64| {
        // As the kernels order them: all bits of what is negative are turned, the sign of what is not.
        let best = best.map_or(0, |best| match best.to_bits() {
            bits if bits >> 31 == 1 => !bits,
            bits => bits | 1 << 31,
        });
        let own = Buffer::of(&gpu, &[own]).unwrap();
        let best = Buffer::of(&gpu, &[best]).unwrap();
        let sums = Buffer::of(&gpu, &[(sum * (1_u64 << 40) as f64) as u64]).unwrap();
        let mut factors = DeviceFactors::unspecified(&gpu, 1).unwrap();
        let mut terms: Buffer<Entry> = Buffer::unspecified(&gpu, 1).unwrap();
        launch::shares(
            &*gpu,
            own.view(),
            best.view(),
            sums.view(),
            temperature,
            &factors.shares(terms.view_mut()),
        )
        .unwrap();
        let factor = |buffer: &Buffer<f32>| f64::from(buffer.read(0..1).unwrap()[0]);
        // Factors without the slope 1 / T and the unit 2^-15.
        (
            bytemuck::cast::<Entry, QueryTerm>(terms.read(0..1).unwrap()[0]).loss,
            factor(&factors.own) * temperature,
            [
                factor(&factors.sums) * temperature * 32768.0,
                factor(&factors.best_shares),
            ],
        )
    };
    for (own, best, sum) in [
        (0.0, 0.0, 1.0),
        (1.0, -1.0, 3.5),
        (-1.0, 1.0, 2.0),
        (10.0, -10.0, 1e4),
    ] {
        let (loss, negative_share, best_shares) = of(own, Some(best), sum, 0.05);
        let lead = (f64::from(best) - f64::from(own)) / 0.05;
        let negative = 1.0 / (1.0 + (-lead).exp() / sum);
        // What is far below the least f32 becomes 0.
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-6 * expected + 1e-38;
        assert!(near(negative_share, negative), "{negative_share} {negative}");
        for best_share in best_shares {
            assert!(near(best_share, negative / sum), "{best_share} {negative}");
        }
        let expected = -(-negative).ln_1p();
        // Where the share rounds to 1, its logarithm is lost and the loss is not.
        if negative < 0.999 {
            assert!((loss / expected - 1.0).abs() < 1e-12, "{loss} {expected}");
        } else {
            assert!((loss - (lead + sum.ln())).abs() < 1e-3);
        }
    }
    assert_eq!(of(0.3, None, 0.0, 0.05), (0.0, 0.0, [0.0; 2]));
    // 2^-2885 is below f64.
    assert_eq!(of(1.0, Some(-1.0), 1.0, 1e-3), (0.0, 0.0, [0.0; 2]));
}

#[test]
fn tensors_at_any_place_move_alike() {
    let Ok(gpu) = Emulator::gpu(CudaArch::Sm80, 1, PART, 1) else {
        return;
    };
    // Three tensors, the second empty, the last of three chunks.
    let n = 40_000;
    let ends = |start: usize| [(start, 4999), (4999, 4999), (5000, n)];
    let mut random = Random(75);
    let mut draw = || (0..n).map(|_| random.real() as f32).collect::<Vec<f32>>();
    let (before, query) = (draw(), draw());
    let moved = |start: usize, weight: f32| -> Vec<f32> {
        let mut keys = Buffer::of(&gpu, &before).unwrap();
        let queries = Buffer::of(&gpu, &query).unwrap();
        let mut pairs = TensorPairs::default();
        for (start, end) in ends(start) {
            let key = keys.part_mut(start..end).address();
            pairs.add(key, queries.view().part(start..end).address(), end - start);
        }
        // SAFETY: the tensors lie within the two buffers, beside each other.
        unsafe { pairs.update(&gpu, weight) }.unwrap();
        keys.read(0..n).unwrap()
    };
    for weight in [0.001_f32, 0.5, 1.0] {
        for start in [0, 1, 4, 4998, 4999] {
            let found = moved(start, weight);
            for (at, found) in found.into_iter().enumerate() {
                let lerp = if weight < 0.5 {
                    weight.mul_add(query[at] - before[at], before[at])
                } else {
                    (weight - 1.0).mul_add(query[at] - before[at], query[at])
                };
                let expected = if ends(start).iter().any(|&(start, end)| (start..end).contains(&at)) {
                    lerp
                } else {
                    before[at]
                };
                assert_eq!(
                    found.to_bits(),
                    expected.to_bits(),
                    "weight {weight}, from {start}, element {at}"
                );
            }
        }
    }
}

#[test]
fn what_is_refused_is_left_untouched() {
    let Some(kernel) = emulated(CudaArch::Sm80, 1, 1) else {
        return;
    };
    let bad = Matrix::new(
        2,
        9,
        |row, column| if (row, column) == (1, 4) { 1e5 } else { 1.0 },
    );
    let rows = bad.rows(Dtype::F32);
    let mut out = [7.0; 4];
    let refused = kernel.scores(rows, rows, &mut out);
    assert!(
        matches!(
            refused,
            Err(KernelError::Overflow {
                row: 1,
                column: 4,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(out, [7.0; 4]);
    assert!(matches!(
        kernel.top_k(rows, rows, 1),
        Err(KernelError::Overflow { .. })
    ));

    let mut key = [1.0; 3];
    let mut pairs = [EmaPair {
        key: &mut key,
        query: &[0.0; 2],
    }];
    assert!(matches!(
        kernel.ema_update(0.5, &mut pairs),
        Err(KernelError::Length { .. })
    ));
    assert_eq!(key, [1.0; 3]);

    let keys = [f32::NAN; 4];
    let (mut queue, mut queue_ids) = ([f16::ONE; 8], [5; 4]);
    let refused = kernel.enqueue(EnqueueJob {
        keys: Rows::new(RowsData::F32(&keys), 2, 2).unwrap(),
        ids: &[1, 2],
        queue: QueueRows::F16(&mut queue),
        queue_ids: &mut queue_ids,
        pointer: 3,
    });
    assert!(
        matches!(refused, Err(KernelError::NotFinite { .. })),
        "{refused:?}"
    );
    assert_eq!((queue, queue_ids), ([f16::ONE; 8], [5; 4]));
}

/// Mistakes on our side stop at the launch.
#[test]
fn a_launch_that_would_leave_its_memory_is_not_made() {
    let Ok(gpu) = Emulator::gpu(CudaArch::Sm80, 1, PART, 1) else {
        return;
    };
    let keys = Buffer::of(&gpu, &[0.5_f32; 4]).unwrap();
    let ids = Buffer::of(&gpu, &[1_i64, 2]).unwrap();
    let mut queue = Buffer::of(&gpu, &[0.0_f32; 8]).unwrap();
    let mut queue_ids = Buffer::of(&gpu, &[0_i64; 4]).unwrap();
    let queue = QueueView::F32(queue.view_mut());
    let ids = Some((ids.view(), &queue_ids.view_mut()));
    let launched = catch_unwind(AssertUnwindSafe(|| {
        launch::enqueue(&*gpu, keys.view(), [2, 2], &queue, 4, ids, 4)
    }));
    let message = launched.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(*message, "2 keys at 4 of 4");
}

#[test]
fn a_write_beside_an_allocation_is_found_before_anything_is_read() {
    let Ok(gpu) = Emulator::gpu(CudaArch::Sm80, 1, PART, 1) else {
        return;
    };
    let gpu = Guarded::gpu(gpu);
    for (place, side, at) in [(-1_i64, "before", 255), (21, "beyond", 1)] {
        let other: Buffer<u8> = Buffer::of(&gpu, &[1; 3]).unwrap();
        let buffer: Buffer<u8> = Buffer::unspecified(&gpu, 20).unwrap();
        assert_eq!(buffer.read(0..20).unwrap(), [0xff; 20]);
        let address = buffer.view().address().checked_add_signed(place).unwrap();
        // SAFETY: the byte lies in a zone of this allocation, which the guard alone owns.
        unsafe { gpu.fill(address, 0, 1).unwrap() };
        let found = other.read(0..3);
        assert!(
            matches!(found, Err(KernelError::OutOfBounds { side: s, at: a, bytes: 20 }) if (s, a) == (side, at)),
            "{found:?}"
        );
        drop(buffer);
        assert_eq!(other.read(0..3).unwrap(), [1; 3]);
    }
}

/// The emulator would be no witness if nothing could fail in it.
#[test]
fn memory_is_guarded_and_poisoned() {
    let Ok(gpu) = Emulator::gpu(CudaArch::Sm80, 1, PART, 1) else {
        return;
    };
    let buffer: Buffer<f32> = Buffer::unspecified(&gpu, 5).unwrap();
    assert!(buffer.read(0..5).unwrap().iter().all(|x| x.is_nan()));
    drop(buffer);
    let beyond = catch_unwind(AssertUnwindSafe(|| {
        let address = gpu.allocate(20).unwrap();
        // SAFETY: the slack up to the next multiple of 16 is the allocation's own, and nobody else's.
        unsafe {
            gpu.fill(address + 20, 0, 1).unwrap();
            gpu.free(address);
        }
    }));
    assert!(beyond.is_err());
}

#[test]
fn nothing_is_copied_over_memory_that_work_may_still_read() {
    let Ok(gpu) = Emulator::gpu(CudaArch::Sm80, 1, 16 * 12, 1) else {
        return;
    };
    let mut buffer: Buffer<u32> = Buffer::unspecified(&gpu, 12).unwrap();
    let mark = gpu.mark().unwrap();
    let mut places = Vec::new();
    let count_up = |at: usize, piece: &mut [u32]| {
        places.push((at, piece.len()));
        for (own, x) in piece.iter_mut().enumerate() {
            *x = (at + own) as u32;
        }
    };
    // SAFETY: the mark was just made.
    unsafe { buffer.upload(12, 3, &mark, count_up).unwrap() };
    assert_eq!(places, [(0, 3), (3, 3), (6, 3), (9, 3)]);
    assert_eq!(buffer.read(0..12).unwrap(), (0..12).collect::<Vec<u32>>());
    // SAFETY: two of three break the promise, and the emulator, where everything is in order, says so.
    let upload = |buffer: &mut Buffer<u32>, mark: &Mark| unsafe {
        buffer.upload(12, 12, mark, |_, piece| piece.fill(7))
    };
    assert!(catch_unwind(AssertUnwindSafe(|| upload(&mut buffer, &mark))).is_err());
    let mark = gpu.mark().unwrap();
    buffer.fill(0).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| upload(&mut buffer, &mark))).is_err());
    upload(&mut buffer, &gpu.mark().unwrap()).unwrap();
    assert_eq!(buffer.read(0..12).unwrap(), [7; 12]);
}
