//! `rank_counts`: exact agreement on whole numbers, bounded disagreement on real ones, and a score that depends
//! on nothing but its two rows.

use hitbench_kernels::{
    Dtype, KernelError, KernelId, PairIds, RankCounts, RankJob, RankOutput, TrueItems, available_kernels,
    rank_counts_kernel,
};

use hitbench_kernels::conformance::inputs::{Matrix, Random};

const DIMS: [usize; 6] = [0, 1, 7, 31, 512, 1023];

fn kernels() -> impl Iterator<Item = Box<dyn RankCounts + Send + Sync>> {
    available_kernels()
        .into_iter()
        .map(|id| rank_counts_kernel(&id.to_string()).unwrap())
}

fn reference(job: &RankJob<'_>) -> RankOutput {
    rank_counts_kernel("reference/f64")
        .unwrap()
        .rank_counts(job)
        .unwrap()
}

/// All kernels give the reference's output, whatever the element type of the rows.
fn check_exact(
    query: &Matrix,
    gallery: &Matrix,
    t2v: &TrueItems,
    v2t: Option<&TrueItems>,
    ids: Option<PairIds<'_>>,
) {
    let job = |dtype| RankJob {
        query: query.rows(dtype),
        gallery: gallery.rows(dtype),
        t2v,
        v2t,
        ids,
    };
    let expected = reference(&job(Dtype::F64));
    for kernel in kernels() {
        for dtype in [Dtype::F16, Dtype::F32, Dtype::F64] {
            let found = kernel.rank_counts(&job(dtype)).unwrap();
            assert_eq!(
                found,
                expected,
                "{} on {dtype} rows, {} x {} x {}",
                kernel.id(),
                query.n_rows,
                gallery.n_rows,
                query.dim
            );
        }
    }
}

#[test]
fn whole_numbers_are_counted_exactly() {
    let mut random = Random(1);
    for dim in DIMS {
        for (n_queries, n_gallery) in [(1, 1), (1, 40), (33, 1), (13, 25), (70, 101)] {
            let query = Matrix::whole(n_queries, dim, &mut random);
            let gallery = Matrix::whole(n_gallery, dim, &mut random);
            let t2v = random.true_items(n_queries, n_gallery, 3);
            let v2t = random.true_items(n_gallery, n_queries, 3);
            check_exact(&query, &gallery, &t2v, None, None);
            check_exact(&query, &gallery, &t2v, Some(&v2t), None);
        }
    }
}

#[test]
fn duplicates_zeros_and_equal_ids_are_counted_exactly() {
    let mut random = Random(2);
    for dim in [1, 31, 600] {
        let (n_queries, n_gallery) = (37, 53);
        let query = Matrix::whole(n_queries, dim, &mut random);
        let few = Matrix::whole(5, dim, &mut random);
        let gallery = Matrix::new(n_gallery, dim, |row, column| few.f64[row % 5 * dim + column]);
        let zeros = Matrix::new(n_gallery, dim, |_, _| 0.0);
        let t2v = random.true_items(n_queries, n_gallery, 4);
        let v2t = random.true_items(n_gallery, n_queries, 4);
        let query_ids: Vec<u64> = (0..n_queries).map(|_| random.below(6) as u64).collect();
        let gallery_ids: Vec<u64> = (0..n_gallery).map(|_| random.below(6) as u64).collect();
        let ids = PairIds {
            query: &query_ids,
            gallery: &gallery_ids,
        };
        for gallery in [&gallery, &zeros] {
            check_exact(&query, gallery, &t2v, Some(&v2t), None);
            check_exact(&query, gallery, &t2v, Some(&v2t), Some(ids));
            check_exact(&query, gallery, &t2v, None, Some(ids));
        }
    }
}

#[test]
fn several_tasks_are_counted_exactly() {
    let mut random = Random(3);
    let query = Matrix::whole(300, 33, &mut random);
    let gallery = Matrix::whole(3100, 33, &mut random);
    let t2v = random.true_items(300, 3100, 2);
    let v2t = random.true_items(3100, 300, 2);
    check_exact(&query, &gallery, &t2v, Some(&v2t), None);
}

#[test]
fn nothing_to_count_gives_nothing() {
    let empty = Matrix::new(0, 7, |_, _| 0.0);
    let some = Matrix::new(3, 7, |_, _| 1.0);
    let none = |n_gallery| TrueItems::from_lists::<[_; 0], [u32; 0]>(n_gallery, []).unwrap();
    check_exact(&empty, &empty, &none(0), Some(&none(0)), None);
    check_exact(&empty, &some, &none(3), None, None);
}

#[test]
fn a_score_depends_on_its_two_rows_only() {
    let mut random = Random(4);
    let (n_queries, n_gallery) = (67, 211);
    for dim in [7, 512, 1023] {
        let query = Matrix::real(n_queries, dim, &mut random);
        let gallery = Matrix::real(n_gallery, dim, &mut random);
        let t2v = random.true_items(n_queries, n_gallery, 3);
        let v2t = random.true_items(n_gallery, n_queries, 3);
        let query_order = random.order(n_queries);
        let gallery_order = random.order(n_gallery);
        let (query_rank, gallery_rank) = (inverse(&query_order), inverse(&gallery_order));
        let permuted = (query.permuted(&query_order), gallery.permuted(&gallery_order));
        let permuted_t2v = relabelled(&t2v, &query_order, &gallery_rank);
        let permuted_v2t = relabelled(&v2t, &gallery_order, &query_rank);
        for kernel in kernels().filter(|kernel| kernel.id().has_pure_scores()) {
            let dtype = kernel.id().dtype();
            let plain = RankJob {
                query: query.rows(dtype),
                gallery: gallery.rows(dtype),
                t2v: &t2v,
                v2t: Some(&v2t),
                ids: None,
            };
            let moved = RankJob {
                query: permuted.0.rows(dtype),
                gallery: permuted.1.rows(dtype),
                t2v: &permuted_t2v,
                v2t: Some(&permuted_v2t),
                ids: None,
            };
            let expected = kernel.rank_counts(&plain).unwrap();
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                let found = pool.install(|| kernel.rank_counts(&moved)).unwrap();
                for (at, &row) in query_order.iter().enumerate() {
                    assert_eq!(found.t2v[at], expected.t2v[row], "{} t2v {row}", kernel.id());
                }
                let (found, expected) = (found.v2t.unwrap(), expected.v2t.as_ref().unwrap());
                for (at, &row) in gallery_order.iter().enumerate() {
                    assert_eq!(found[at], expected[row], "{} v2t {row}", kernel.id());
                }
            }
        }
    }
}

fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    for (at, &row) in order.iter().enumerate() {
        inverse[row] = at;
    }
    inverse
}

/// The same pairs after rows of both sides moved: row `i` was `order[i]`, item `j` is now `rank[j]`.
fn relabelled(own: &TrueItems, order: &[usize], rank: &[usize]) -> TrueItems {
    let lists = order.iter().map(|&q| {
        own.of(q)
            .iter()
            .map(|&g| rank[g as usize] as u32)
            .collect::<Vec<u32>>()
    });
    TrueItems::from_lists(own.n_gallery(), lists).unwrap()
}

#[test]
fn bad_input_is_refused_with_its_place() {
    let good = Matrix::new(3, 4, |_, _| 1.0);
    let narrow = Matrix::new(3, 3, |_, _| 1.0);
    let nan = Matrix::new(
        3,
        4,
        |row, column| if (row, column) == (2, 1) { f64::NAN } else { 1.0 },
    );
    let large = Matrix::new(
        3,
        4,
        |row, column| if (row, column) == (1, 3) { 1e6 } else { 1.0 },
    );
    let huge = Matrix::new(3, 4, |_, _| 1e30);
    let own = TrueItems::from_lists(3, [[0], [1], [2]]).unwrap();
    let job = |query, gallery| RankJob {
        query,
        gallery,
        t2v: &own,
        v2t: None,
        ids: None,
    };
    for kernel in kernels() {
        let id = kernel.id();
        let run = |query, gallery| kernel.rank_counts(&job(query, gallery));
        let f32 = Dtype::F32;
        assert!(matches!(
            run(good.rows(f32), narrow.rows(f32)),
            Err(KernelError::DimMismatch { query: 4, gallery: 3 })
        ));
        assert!(matches!(
            run(good.rows(f32), nan.rows(f32)),
            Err(KernelError::NotFinite {
                side: "gallery",
                row: 2,
                column: 1,
                ..
            })
        ));
        let overflows = matches!(
            run(large.rows(f32), good.rows(f32)),
            Err(KernelError::Overflow {
                side: "query",
                row: 1,
                column: 3,
                ..
            })
        );
        assert_eq!(overflows, id.dtype() == Dtype::F16, "{id}");
        if id.dtype() == Dtype::F32 {
            assert!(matches!(
                run(huge.rows(f32), huge.rows(f32)),
                Err(KernelError::ScoreRange { .. })
            ));
        }
        let short = RankJob {
            ids: Some(PairIds {
                query: &[1, 2],
                gallery: &[1, 2, 3],
            }),
            ..job(good.rows(f32), good.rows(f32))
        };
        assert!(matches!(
            kernel.rank_counts(&short),
            Err(KernelError::Length {
                what: "query ids",
                ..
            })
        ));
    }
}

#[test]
fn ids_without_a_back_end_are_unavailable() {
    for id in KernelId::all() {
        let found = rank_counts_kernel(&id.to_string());
        match found {
            Ok(kernel) => assert!(available_kernels().contains(&kernel.id()) && kernel.id() == id.resolve()),
            Err(KernelError::Unavailable { .. }) => assert!(!available_kernels().contains(&id.resolve())),
            Err(other) => panic!("{id}: {other}"),
        }
    }
}
