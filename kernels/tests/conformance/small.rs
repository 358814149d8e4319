//! Every operation of the scalar kernels at sizes that an interpreter can do: `cargo xtask deep` runs this module
//! under Miri. Rows and columns are a few more than a tile or a piece has, tasks share two threads.

use hitbench_kernels::conformance::Deviation;
use hitbench_kernels::conformance::compare::{self, Enqueued};
use hitbench_kernels::conformance::inputs::{ContrastCase, Matrix, Random};
use hitbench_kernels::{
    Dtype, EmaPair, EnqueueJob, KernelId, PairIds, QueueRows, RankJob, Rows, RowsData, ema_update_kernel,
    enqueue_kernel, info_nce_kernel, rank_counts_kernel, scores_kernel, top_k_kernel,
};

/// Queries: more than the 8 of a tile. Gallery items: more than the 4 of a tile.
const SHAPE: (usize, usize) = (9, 5);

/// Calls `check` with each scalar kernel on two threads.
fn check(check: impl Fn(KernelId, &str) -> Deviation + Sync) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    for name in ["cpu/scalar/f16", "cpu/scalar/f32"] {
        let deviation = pool.install(|| check(name.parse().unwrap(), name));
        assert!(
            deviation.is_within() && deviation.n_compared > 0,
            "{name}: {deviation:?}"
        );
    }
}

fn all(n: usize) -> Vec<usize> {
    (0..n).collect()
}

fn rows(n_queries: usize, n_gallery: usize, dim: usize) -> (Matrix, Matrix) {
    let mut random = Random(61);
    (
        Matrix::real(n_queries, dim, &mut random),
        Matrix::real(n_gallery, dim, &mut random),
    )
}

fn count(n_queries: usize, n_gallery: usize, dim: usize) {
    let (query, gallery) = rows(n_queries, n_gallery, dim);
    let mut random = Random(62);
    let t2v = random.true_items(n_queries, n_gallery, 3);
    let v2t = random.true_items(n_gallery, n_queries, 3);
    let ids = PairIds {
        query: &[1, 2, 3, 1, 2, 3, 1, 2, 3][..n_queries],
        gallery: &[1, 4, 2, 5, 1][..n_gallery],
    };
    check(|kernel, name| {
        let job = RankJob {
            v2t: Some(&v2t),
            ids: Some(ids),
            ..RankJob::new(query.rows(Dtype::F16), gallery.rows(Dtype::F32), &t2v)
        };
        let output = rank_counts_kernel(name).unwrap().rank_counts(&job).unwrap();
        compare::rank_counts(kernel, &job, &output, &all(n_queries), &all(n_gallery)).unwrap()
    });
}

#[test]
fn counts() {
    for dim in [7, 31] {
        count(SHAPE.0, SHAPE.1, dim);
    }
}

#[test]
fn counts_over_two_pieces() {
    count(2, 2, 513);
}

#[test]
fn scores_and_hits() {
    for dim in [7, 31] {
        let (query, gallery) = rows(SHAPE.0, SHAPE.1, dim);
        let (query, gallery) = (query.rows(Dtype::F32), gallery.rows(Dtype::F16));
        check(|kernel, name| {
            let mut out = [0.0; SHAPE.0 * SHAPE.1];
            scores_kernel(name)
                .unwrap()
                .scores(query, gallery, &mut out)
                .unwrap();
            let hits = top_k_kernel(name).unwrap().top_k(query, gallery, 3).unwrap();
            compare::scores(kernel, query, gallery, &out, &all(SHAPE.0))
                .unwrap()
                .merge(compare::top_k(kernel, query, gallery, 3, &hits, &all(SHAPE.0)).unwrap())
        });
    }
}

#[test]
fn losses_and_gradients() {
    for (dim, options) in [(7, 7), (31, 4)] {
        let case = ContrastCase::new(9, 5, dim, &mut Random(64));
        check(|kernel, name| {
            let job = case.job(options, 0.07);
            let output = info_nce_kernel(name).unwrap().info_nce(&job).unwrap();
            compare::info_nce(kernel, &job, &output, &all(9)).unwrap()
        });
    }
}

#[test]
fn keys_that_follow_and_keys_that_are_stored() {
    let mut random = Random(65);
    let mut draw = |n: usize| (0..n).map(|_| random.real() as f32).collect::<Vec<f32>>();
    let (before, query) = (draw(31), draw(31));
    let keys = Matrix::real(3, 7, &mut random);
    let queue = Matrix::real(5, 7, &mut random);
    check(|kernel, name| {
        let mut moved = before.clone();
        let (head, tail) = moved.split_at_mut(7);
        let mut pairs = [
            EmaPair {
                key: head,
                query: &query[..7],
            },
            EmaPair {
                key: tail,
                query: &query[7..],
            },
        ];
        ema_update_kernel(name)
            .unwrap()
            .ema_update(0.9, &mut pairs)
            .unwrap();
        let (mut after, mut after_ids) = (queue.f16.clone(), [-1; 5]);
        let next = enqueue_kernel(name)
            .unwrap()
            .enqueue(EnqueueJob {
                keys: keys.rows(Dtype::F32),
                ids: &[7, 8, 9],
                queue: QueueRows::F16(&mut after),
                queue_ids: &mut after_ids,
                pointer: 3,
            })
            .unwrap();
        let written = Enqueued {
            keys: keys.rows(Dtype::F32),
            ids: &[7, 8, 9],
            pointer: 3,
            before: queue.rows(Dtype::F16),
            before_ids: &[-1; 5],
            after: Rows::new(RowsData::F16(&after), 5, 7).unwrap(),
            after_ids: &after_ids,
            next,
        };
        compare::ema_update(kernel, 0.9, &before, &query, &moved)
            .unwrap()
            .merge(compare::enqueue(kernel, &written).unwrap())
    });
}
