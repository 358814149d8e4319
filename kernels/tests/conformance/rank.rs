//! `rank_counts`: a score that depends on nothing but its two rows.

use hitbench_kernels::conformance::inputs::{Matrix, Random};
use hitbench_kernels::{
    Dtype, KernelError, KernelId, PairIds, RankCounts, RankJob, TrueItems, available_kernels,
    rank_counts_kernel,
};

fn kernels() -> impl Iterator<Item = Box<dyn RankCounts + Send + Sync>> {
    available_kernels()
        .into_iter()
        .map(|id| rank_counts_kernel(&id.to_string()).unwrap())
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
                v2t: Some(&v2t),
                ..RankJob::new(query.rows(dtype), gallery.rows(dtype), &t2v)
            };
            let moved = RankJob {
                v2t: Some(&permuted_v2t),
                ..RankJob::new(permuted.0.rows(dtype), permuted.1.rows(dtype), &permuted_t2v)
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

/// Ends of parts in the middle of tiles, tasks and regions of the CPU kernels.
#[test]
fn parts_of_a_large_gallery_add_up_to_the_whole() {
    let (n_queries, n_gallery, dim) = (19, 70_000, 2);
    let mut random = Random(5);
    let query = Matrix::real(n_queries, dim, &mut random);
    let gallery = Matrix::real(n_gallery, dim, &mut random);
    let t2v = random.true_items(n_queries, n_gallery, 3);
    let v2t = random.true_items(n_gallery, n_queries, 2);
    for kernel in kernels().filter(|kernel| kernel.id().has_pure_scores()) {
        let id = kernel.id();
        let whole = RankJob {
            v2t: Some(&v2t),
            ..RankJob::new(query.rows(Dtype::F32), gallery.rows(Dtype::F32), &t2v)
        };
        let expected = kernel.rank_counts(&whole).unwrap();
        let mut sums = vec![(0, 0); n_queries];
        let mut reverse = Vec::new();
        for part in [0..1, 1..12_300, 12_300..69_999, 69_999..n_gallery] {
            let job = RankJob {
                part,
                ..whole.clone()
            };
            let found = kernel.rank_counts(&job).unwrap();
            for ((sum, count), expected) in sums.iter_mut().zip(&found.t2v).zip(&expected.t2v) {
                *sum = (sum.0 + count.greater, sum.1 + count.equal);
                assert_eq!(
                    (count.own_equal, count.score),
                    (expected.own_equal, expected.score),
                    "{id}"
                );
            }
            reverse.extend(found.v2t.unwrap());
        }
        let of_whole = expected.t2v.iter().map(|count| (count.greater, count.equal));
        assert_eq!(sums, of_whole.collect::<Vec<_>>(), "{id}");
        assert_eq!(Some(reverse), expected.v2t, "{id}");
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
    let job = |query, gallery| RankJob::new(query, gallery, &own);
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
        let backwards = std::ops::Range { start: 2, end: 1 };
        for part in [0..4, 4..4, backwards] {
            let outside = RankJob {
                part,
                ..job(good.rows(f32), good.rows(f32))
            };
            assert!(matches!(
                kernel.rank_counts(&outside),
                Err(KernelError::Argument { name: "part", .. })
            ));
        }
        let outside = RankJob {
            chosen: Some(&[2, 1, 3]),
            ..job(good.rows(f32), good.rows(f32))
        };
        let error = kernel.rank_counts(&outside).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`chosen` holds row 3, the query side has 3 rows",
            "{id}"
        );
    }
}

/// Rows that no count needs may hold anything; those that one needs may not, wherever they lie.
#[test]
fn of_bad_rows_only_those_that_take_part_are_refused() {
    let good = Matrix::new(4, 5, |row, column| (row + column) as f64);
    let bad = Matrix::new(4, 5, |row, column| match (row, column) {
        (2, 1) => f64::NAN,
        _ => (row + column) as f64,
    });
    let own = TrueItems::from_lists(4, [[3], [0], [1]]).unwrap();
    let f32 = Dtype::F32;
    for kernel in kernels() {
        let id = kernel.id();
        let chosen = |query, chosen| RankJob {
            chosen: Some(chosen),
            ..RankJob::new(query, good.rows(f32), &own)
        };
        let expected = kernel.rank_counts(&chosen(good.rows(f32), &[3, 0, 1])).unwrap();
        let found = kernel.rank_counts(&chosen(bad.rows(f32), &[3, 0, 1])).unwrap();
        assert_eq!(found, expected, "{id}");
        let part = |gallery, own, part| RankJob {
            part,
            ..RankJob::new(good.rows(f32).slice(0..3), gallery, own)
        };
        for range in [0..2, 3..4] {
            let expected = kernel.rank_counts(&part(good.rows(f32), &own, range.clone()));
            let found = kernel.rank_counts(&part(bad.rows(f32), &own, range));
            assert_eq!(found.unwrap(), expected.unwrap(), "{id}");
        }
        let truly_bad = TrueItems::from_lists(4, [[3], [2], [1]]).unwrap();
        for (side, refused) in [
            ("query", chosen(bad.rows(f32), &[3, 2, 1])),
            ("gallery", part(bad.rows(f32), &own, 1..3)),
            ("gallery", part(bad.rows(f32), &truly_bad, 0..1)),
        ] {
            let error = kernel.rank_counts(&refused).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("{side} row 2, column 1 is NaN"),
                "{id}"
            );
        }
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
