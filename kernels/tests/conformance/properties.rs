//! Random jobs: what must hold for any rows.

use hitbench_kernels::conformance::inputs::{Matrix, Random};
use hitbench_kernels::tolerance::score_tolerance;
use hitbench_kernels::{
    Dtype, KernelId, RankJob, available_kernels, rank_counts_kernel, scores_kernel, top_k_kernel,
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Counts lie between what the reference's scores allow with and without the tolerance, and the true item itself
    /// is among the equal ones.
    #[test]
    fn counts_follow_the_scores(
        n_queries in 1_usize..70,
        n_gallery in 1_usize..70,
        dim in 0_usize..80,
        duplicates in 1_usize..4,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let query = Matrix::real(n_queries, dim, &mut random);
        let once = Matrix::real(n_gallery, dim, &mut random);
        let gallery = Matrix::new(n_gallery, dim, |row, column| once.f64[row / duplicates * dim + column]);
        let t2v = random.true_items(n_queries, n_gallery, 3);
        let mut exact = vec![0.0; n_queries * n_gallery];
        scores_kernel("reference/f64")
            .unwrap()
            .scores(query.rows(Dtype::F64), gallery.rows(Dtype::F64), &mut exact)
            .unwrap();
        for id in available_kernels() {
            let kernel = rank_counts_kernel(&id.to_string()).unwrap();
            let job = RankJob::new(query.rows(Dtype::F16), gallery.rows(Dtype::F32), &t2v);
            let counts = kernel.rank_counts(&job).unwrap().t2v;
            for (q, count) in counts.iter().enumerate() {
                let row = &exact[q * n_gallery..][..n_gallery];
                let best = t2v.of(q).iter().map(|&g| row[g as usize]).fold(f32::NEG_INFINITY, f32::max);
                let longest = (0..n_gallery).map(|g| gallery.norm(g)).fold(0.0, f64::max);
                // Two scores of the kernel and two of the f32 output that they are held against.
                // (an f16 score below 2^-14 is off by as much as one just above).
                let gap = (2.0 * score_tolerance(id, Dtype::F16, dim) + 2.0_f64.powi(-22))
                    * (query.norm(q) * longest).max(2.0_f64.powi(-13));
                let above = |gap: f64| {
                    row.iter().filter(|score| f64::from(**score) > f64::from(best) + gap).count() as u64
                };
                prop_assert!((f64::from(best) - count.score).abs() <= gap);
                prop_assert!(above(gap) <= count.greater && count.greater <= above(-gap), "{}", id);
                prop_assert!(count.greater + count.equal <= above(-gap - f64::MIN_POSITIVE).max(n_gallery as u64));
                prop_assert!(1 <= count.own_equal && count.own_equal <= count.equal, "{}", id);
                prop_assert!(count.own_equal <= t2v.of(q).len() as u64);
            }
        }
    }

    /// The best `k` are the first `k` of the scores sorted, and rank counts agree with them.
    #[test]
    fn the_best_agree_with_scores_and_counts(
        n_queries in 1_usize..40,
        n_gallery in 1_usize..90,
        dim in 1_usize..40,
        k in 1_usize..12,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let query = Matrix::real(n_queries, dim, &mut random);
        let gallery = Matrix::real(n_gallery, dim, &mut random);
        let t2v = random.true_items(n_queries, n_gallery, 1);
        for id in available_kernels().into_iter().filter(|id| *id != KernelId::Reference && id.has_pure_scores()) {
            let name = id.to_string();
            let rows = (query.rows(Dtype::F16), gallery.rows(Dtype::F16));
            let mut scores = vec![0.0; n_queries * n_gallery];
            scores_kernel(&name).unwrap().scores(rows.0, rows.1, &mut scores).unwrap();
            let hits = top_k_kernel(&name).unwrap().top_k(rows.0, rows.1, k).unwrap();
            let job = RankJob::new(rows.0, rows.1, &t2v);
            let counts = rank_counts_kernel(&name).unwrap().rank_counts(&job).unwrap().t2v;
            for q in 0..n_queries {
                let row = &scores[q * n_gallery..][..n_gallery];
                let mut sorted: Vec<usize> = (0..n_gallery).collect();
                sorted.sort_by(|a, b| row[*b].total_cmp(&row[*a]).then(a.cmp(b)));
                let own = t2v.of(q)[0] as usize;
                for (hit, expected) in hits[q * k.min(n_gallery)..].iter().zip(&sorted).take(k) {
                    prop_assert_eq!(hit.item as usize, *expected);
                    prop_assert_eq!(hit.score, f64::from(row[*expected]));
                }
                let greater = row.iter().filter(|score| **score > row[own]).count() as u64;
                let equal = row.iter().filter(|score| **score == row[own]).count() as u64;
                prop_assert_eq!((counts[q].greater, counts[q].equal), (greater, equal));
                prop_assert_eq!(counts[q].score, f64::from(row[own]));
            }
        }
    }
}
