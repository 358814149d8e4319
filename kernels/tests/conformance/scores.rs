//! `scores` and `top_k`: purity and bad input.

use hitbench_kernels::conformance::inputs::{Matrix, Random};
use hitbench_kernels::{Dtype, KernelError, available_kernels, scores_kernel, top_k_kernel};

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
