//! `scores` and `top_k`.

use hitbench_kernels::tolerance::score_tolerance;
use hitbench_kernels::{Dtype, Hit, KernelError, KernelId, available_kernels, scores_kernel, top_k_kernel};

use hitbench_kernels::conformance::inputs::{Matrix, Random};

const DIMS: [usize; 6] = [0, 1, 7, 31, 512, 1023];

fn ids() -> impl Iterator<Item = String> {
    available_kernels().into_iter().map(|id| id.to_string())
}

fn exact_ids() -> impl Iterator<Item = String> {
    let ids = available_kernels().into_iter().filter(|id| id.has_pure_scores());
    ids.map(|id| id.to_string())
}

fn scores(id: &str, query: &Matrix, gallery: &Matrix, dtype: Dtype) -> Vec<f32> {
    let mut out = vec![f32::NAN; query.n_rows * gallery.n_rows];
    let kernel = scores_kernel(id).unwrap();
    kernel
        .scores(query.rows(dtype), gallery.rows(dtype), &mut out)
        .unwrap();
    out
}

#[test]
fn scores_lie_within_the_tolerance() {
    let mut random = Random(11);
    for dim in DIMS {
        for (n_queries, n_gallery) in [(1, 1), (3, 0), (0, 3), (1, 90), (90, 1), (67, 45)] {
            for size in [1.0, 1e-6, 200.0] {
                // Exact numbers of f16, some of them subnormal; numbers of f64 otherwise.
                let narrow = |_, _| half::f16::from_f64(size * random.real()).to_f64();
                let query = Matrix::new(n_queries, dim, narrow);
                // No smaller than the normal numbers of f16: the tolerance does not cover those.
                let wide = Matrix::new(n_gallery, dim, |_, _| {
                    let x = random.real();
                    size.max(1e-3) * (x + x.signum()) / 2.0
                });
                let gallery = Matrix::new(n_gallery, dim, |row, column| {
                    half::f16::from_f64(wide.f64[row * dim + column]).to_f64()
                });
                for id in ids() {
                    let kernel = scores_kernel(&id).unwrap().id();
                    // Scores that are f16 themselves neither hold 200^2 a column nor 1e-9 with full precision.
                    let narrow = !kernel.has_pure_scores() && kernel.dtype() == Dtype::F16;
                    if narrow && size != 1.0 {
                        continue;
                    }
                    for (gallery, dtype) in [
                        (&gallery, Dtype::F16),
                        (&gallery, Dtype::F32),
                        (&wide, Dtype::F32),
                        (&wide, Dtype::F64),
                    ] {
                        let rows = if std::ptr::eq(gallery, &wide) {
                            dtype
                        } else {
                            Dtype::F16
                        };
                        let share = score_tolerance(kernel, rows, dim);
                        let found = scores(&id, &query, gallery, dtype);
                        for q in 0..n_queries {
                            for g in 0..n_gallery {
                                let given = gallery.rows(dtype);
                                let exact: f64 = (0..dim)
                                    .map(|column| query.f64[q * dim + column] * given.get(g, column))
                                    .sum();
                                let bound = share * query.norm(q) * gallery.norm(g)
                                    + exact.abs() * 2.0_f64.powi(-24)
                                    + if narrow { 2.0_f64.powi(-25) } else { 1e-45 };
                                let error = (f64::from(found[q * n_gallery + g]) - exact).abs();
                                assert!(
                                    error <= bound,
                                    "{id}, {dtype} rows, dim {dim}, pair ({q}, {g}): error {error:e} above {bound:e}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_score_is_the_same_alone_and_in_a_crowd() {
    let mut random = Random(12);
    for dim in [7, 512, 1023] {
        let query = Matrix::real(70, dim, &mut random);
        let gallery = Matrix::real(130, dim, &mut random);
        for id in exact_ids() {
            let all = scores(&id, &query, &gallery, Dtype::F32);
            for (q, g) in [(0, 0), (5, 11), (33, 47), (69, 129)] {
                let alone = scores(&id, &query.permuted(&[q]), &gallery.permuted(&[g]), Dtype::F32);
                assert_eq!(alone[0].to_bits(), all[q * 130 + g].to_bits(), "{id} ({q}, {g})");
                let swapped = scores(&id, &gallery.permuted(&[g]), &query.permuted(&[q]), Dtype::F32);
                assert_eq!(alone[0].to_bits(), swapped[0].to_bits(), "{id} ({g}, {q})");
            }
        }
    }
}

/// Items as well as scores, where the kernel promises an order among equal scores.
fn check_hits(id: &str, found: &[Hit], expected: &[Hit]) {
    assert_eq!(found.len(), expected.len(), "{id}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.score, expected.score, "{id}");
        if id.parse::<KernelId>().unwrap().has_pure_scores() {
            assert_eq!(found.item, expected.item, "{id}");
        }
    }
}

#[test]
fn the_best_are_found_with_ties_by_lower_index() {
    let mut random = Random(13);
    for dim in [0, 1, 7, 31, 600] {
        for (n_queries, n_gallery) in [(1, 1), (1, 40), (0, 4), (4, 0), (35, 127)] {
            let query = Matrix::whole(n_queries, dim, &mut random);
            let gallery = Matrix::whole(n_gallery, dim, &mut random);
            for k in [0, 1, 3, 10, 126, 500] {
                let reference = top_k_kernel("reference/f64").unwrap();
                let expected = reference
                    .top_k(query.rows(Dtype::F64), gallery.rows(Dtype::F64), k)
                    .unwrap();
                assert_eq!(expected.len(), n_queries * k.min(n_gallery));
                for id in ids() {
                    let kernel = top_k_kernel(&id).unwrap();
                    let found = kernel.top_k(query.rows(Dtype::F16), gallery.rows(Dtype::F32), k);
                    check_hits(&id, &found.unwrap(), &expected);
                }
            }
        }
    }
}

#[test]
fn the_best_of_a_long_gallery_come_from_all_tasks() {
    let mut random = Random(14);
    let query = Matrix::whole(3, 5, &mut random);
    let gallery = Matrix::whole(26_000, 5, &mut random);
    let reference = top_k_kernel("reference/f64").unwrap();
    let rows = (query.rows(Dtype::F32), gallery.rows(Dtype::F32));
    let expected = reference.top_k(rows.0, rows.1, 40).unwrap();
    for id in ids() {
        check_hits(
            &id,
            &top_k_kernel(&id).unwrap().top_k(rows.0, rows.1, 40).unwrap(),
            &expected,
        );
    }
}

#[test]
fn the_best_do_not_depend_on_place_or_threads() {
    let mut random = Random(15);
    let query = Matrix::real(40, 100, &mut random);
    let gallery = Matrix::real(300, 100, &mut random);
    let order = random.order(300);
    let moved = gallery.permuted(&order);
    for id in exact_ids() {
        let kernel = top_k_kernel(&id).unwrap();
        let expected = kernel
            .top_k(query.rows(Dtype::F32), gallery.rows(Dtype::F32), 10)
            .unwrap();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let found = pool
                .install(|| kernel.top_k(query.rows(Dtype::F32), moved.rows(Dtype::F32), 10))
                .unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(order[found.item as usize], expected.item as usize, "{id}");
                assert_eq!(found.score.to_bits(), expected.score.to_bits(), "{id}");
            }
        }
    }
}

#[test]
fn wrong_shapes_leave_the_output_untouched() {
    let rows = Matrix::new(2, 3, |_, _| 1.0);
    let other = Matrix::new(2, 4, |_, _| 1.0);
    for id in ids() {
        let kernel = scores_kernel(&id).unwrap();
        let mut out = [7.0; 4];
        let (rows, other) = (rows.rows(Dtype::F32), other.rows(Dtype::F32));
        let error = kernel.scores(rows, other, &mut out).unwrap_err();
        assert!(matches!(error, KernelError::DimMismatch { query: 3, gallery: 4 }));
        let error = kernel.scores(rows, rows, &mut out[..3]).unwrap_err();
        assert!(matches!(
            error,
            KernelError::Length {
                what: "out",
                expected: 4,
                found: 3
            }
        ));
        assert_eq!(out, [7.0; 4]);
    }
}
