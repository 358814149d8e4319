//! `scores` and `top_k`: purity and bad input.

use hitbench_kernels::conformance::inputs::{Matrix, Random};
use hitbench_kernels::{
    Dtype, KernelError, RankJob, TrueItems, available_kernels, rank_counts_kernel, scores_kernel,
    top_k_kernel,
};

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
fn wide_scores_are_those_that_counts_compare() {
    let mut random = Random(13);
    let (n_queries, n_gallery) = (30, 90);
    let query = Matrix::real(n_queries, 200, &mut random);
    let gallery = Matrix::real(n_gallery, 200, &mut random);
    let own = TrueItems::from_lists(n_gallery, (0..n_queries as u32).map(|q| [2 * q])).unwrap();
    for id in exact_ids() {
        let mut wide = vec![f64::NAN; n_queries * n_gallery];
        let (query_rows, gallery_rows) = (query.rows(Dtype::F64), gallery.rows(Dtype::F64));
        let kernel = scores_kernel(&id).unwrap();
        kernel.wide_scores(query_rows, gallery_rows, &mut wide).unwrap();
        let narrow: Vec<f32> = wide.iter().map(|&score| score as f32).collect();
        assert_eq!(narrow, scores(&id, &query, &gallery, Dtype::F64), "{id}");
        let counted =
            rank_counts_kernel(&id)
                .unwrap()
                .rank_counts(&RankJob::new(query_rows, gallery_rows, &own));
        for (q, (count, row)) in counted
            .unwrap()
            .t2v
            .iter()
            .zip(wide.chunks(n_gallery))
            .enumerate()
        {
            assert_eq!(count.score.to_bits(), row[2 * q].to_bits(), "{id}");
            let greater = row.iter().filter(|&&score| score > count.score).count();
            assert_eq!(count.greater, greater as u64, "{id}");
        }
        let error = kernel
            .wide_scores(query_rows, gallery_rows, &mut wide[1..])
            .unwrap_err();
        assert!(
            matches!(error, KernelError::Length { what: "out", .. }),
            "{id}: {error}"
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
