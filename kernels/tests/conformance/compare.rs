//! The judge: right results pass, each wrong number is found.

use hitbench_kernels::conformance::compare::{self, Enqueued};
use hitbench_kernels::conformance::inputs::{Matrix, Random};
use hitbench_kernels::{
    ContrastIds, Dtype, EmaPair, EnqueueJob, InfoNceJob, InfoNceOutput, KernelId, PairIds, QueueRows,
    RankCount, RankJob, RankOutput, available_kernels, ema_update_kernel, enqueue_kernel, info_nce_kernel,
    rank_counts_kernel, scores_kernel, top_k_kernel,
};

const SCALAR: &str = "cpu/scalar/f32";

fn scalar() -> KernelId {
    SCALAR.parse().unwrap()
}

#[test]
fn a_wrong_count_or_score_is_found_in_either_direction() {
    let mut random = Random(51);
    let query = Matrix::real(9, 31, &mut random);
    let gallery = Matrix::real(14, 31, &mut random);
    let t2v = random.true_items(9, 14, 3);
    let v2t = random.true_items(14, 9, 1);
    let (query_ids, gallery_ids): (Vec<u64>, Vec<u64>) =
        ((0..9).map(|i| i % 3).collect(), (0..14).map(|i| i % 4).collect());
    let job = RankJob {
        v2t: Some(&v2t),
        ids: Some(PairIds {
            query: &query_ids,
            gallery: &gallery_ids,
        }),
        ..RankJob::new(query.rows(Dtype::F16), gallery.rows(Dtype::F32), &t2v)
    };
    let right = rank_counts_kernel(SCALAR).unwrap().rank_counts(&job).unwrap();
    let judge =
        |output: &RankOutput| compare::rank_counts(scalar(), &job, output, &[3, 8], &[0, 13, 5]).unwrap();
    let deviation = judge(&right);
    assert!(
        deviation.is_within() && deviation.n_compared == 10,
        "{deviation:?}"
    );
    let changes: [fn(&mut RankCount); 6] = [
        |count| count.greater += 1,
        |count| count.greater = count.greater.wrapping_sub(1),
        |count| count.equal += 1,
        |count| count.equal -= 1,
        |count| (count.equal, count.own_equal) = (count.equal + 1, count.own_equal + 1),
        |count| count.score += 1e-4,
    ];
    for (at, change) in changes.iter().enumerate() {
        for q in [3, 8] {
            let mut wrong = right.clone();
            change(&mut wrong.t2v[q]);
            let deviation = judge(&wrong);
            assert!(!deviation.is_within(), "change {at} of t2v {q}: {deviation:?}");
            assert!(
                deviation.worst.contains(&format!("t2v query {q}")),
                "{deviation:?}"
            );
        }
        let mut wrong = right.clone();
        change(&mut wrong.v2t.as_mut().unwrap()[5]);
        let deviation = judge(&wrong);
        assert!(
            deviation.worst.contains("v2t query 5"),
            "change {at}: {deviation:?}"
        );
        // Only the sample is judged.
        let mut elsewhere = right.clone();
        change(&mut elsewhere.t2v[0]);
        assert!(judge(&elsewhere).is_within());
    }
}

#[test]
fn a_count_of_an_item_outside_the_part_is_found() {
    // Items 0 and 2 are true, at the same score; item 1 ties with them, item 3 is above.
    let query = Matrix::new(1, 1, |_, _| 1.0);
    let gallery = Matrix::new(4, 1, |row, _| [1.0, 1.0, 1.0, 2.0][row]);
    let own = hitbench_kernels::TrueItems::from_lists(4, [[0, 2]]).unwrap();
    let judge = |part, (greater, equal)| {
        let job = RankJob {
            part,
            ..RankJob::new(query.rows(Dtype::F32), gallery.rows(Dtype::F32), &own)
        };
        let count = RankCount {
            greater,
            equal,
            own_equal: 2,
            score: 1.0,
        };
        let output = RankOutput {
            t2v: vec![count],
            v2t: None,
        };
        let deviation = compare::rank_counts(scalar(), &job, &output, &[0], &[]).unwrap();
        deviation.error
    };
    // Item 1 may be level or not: it could round either way, the true items of the part and item 3 could not.
    for (part, right, wrong) in [
        (0..2, [(0, 1), (0, 2)], [(0, 0), (0, 3), (1, 2)]),
        (2..4, [(1, 1), (1, 1)], [(0, 1), (1, 2), (1, 0)]),
        (3..4, [(1, 0), (1, 0)], [(0, 0), (1, 1), (2, 0)]),
        (1..1, [(0, 0), (0, 0)], [(0, 1), (1, 0), (0, 2)]),
        (0..4, [(1, 3), (1, 2)], [(1, 1), (1, 4), (0, 3)]),
    ] {
        assert_eq!(
            right.map(|counts| judge(part.clone(), counts)),
            [0.0; 2],
            "{part:?}"
        );
        assert!(
            wrong.iter().all(|&counts| judge(part.clone(), counts) > 0.0),
            "{part:?}"
        );
    }
}

#[test]
fn counts_within_reach_of_rounding_are_allowed_and_no_others() {
    // Item 1 scores 1e-7 above the true item, item 2 exactly as much as it, item 3 clearly less.
    let query = Matrix::new(1, 2, |_, column| [1.0, 1.0][column]);
    let gallery = Matrix::new(4, 2, |row, column| {
        [[0.5, 0.5], [0.5, 0.500_000_1], [0.5, 0.5], [0.2, 0.5]][row][column]
    });
    let own = hitbench_kernels::TrueItems::from_lists(4, [[0]]).unwrap();
    let job = RankJob::new(query.rows(Dtype::F32), gallery.rows(Dtype::F32), &own);
    let judge = |greater, equal| {
        let count = RankCount {
            greater,
            equal,
            own_equal: 1,
            score: 1.0,
        };
        let output = RankOutput {
            t2v: vec![count],
            v2t: None,
        };
        let deviation = compare::rank_counts(scalar(), &job, &output, &[0], &[]).unwrap();
        assert_eq!(
            compare::could_flip(scalar(), &job, &output, &[0], &[]).unwrap(),
            1
        );
        deviation.error
    };
    assert_eq!([judge(0, 2), judge(1, 2), judge(0, 3)], [0.0; 3]);
    // Item 2 above the true item makes two counts wrong.
    assert_eq!(
        [judge(2, 1), judge(0, 4), judge(0, 1), judge(1, 1)],
        [2.0, 1.0, 1.0, 1.0]
    );
}

#[test]
fn a_wrong_hit_is_found() {
    let mut random = Random(52);
    let query = Matrix::real(5, 31, &mut random);
    let gallery = Matrix::real(40, 31, &mut random);
    let rows = (query.rows(Dtype::F32), gallery.rows(Dtype::F32));
    let right = top_k_kernel(SCALAR).unwrap().top_k(rows.0, rows.1, 6).unwrap();
    let judge = |hits: &[_]| {
        compare::top_k(scalar(), rows.0, rows.1, 6, hits, &[1, 4])
            .unwrap()
            .is_within()
    };
    assert!(judge(&right));
    let best = right[6];
    let mut wrong = right.clone();
    wrong[7] = best;
    assert!(!judge(&wrong), "repeated");
    wrong = right.clone();
    wrong.swap(6, 7);
    assert!(!judge(&wrong), "order");
    wrong = right.clone();
    wrong[8].score += 1e-4;
    assert!(!judge(&wrong), "score");
    // The seventh best instead of the sixth, with its right score.
    let seventh = top_k_kernel(SCALAR).unwrap().top_k(rows.0, rows.1, 7).unwrap()[7 + 6];
    wrong = right.clone();
    wrong[11] = seventh;
    assert!(!judge(&wrong), "a better item left out");
}

#[test]
fn a_wrong_score_is_found() {
    let mut random = Random(53);
    let query = Matrix::real(5, 512, &mut random);
    let gallery = Matrix::real(20, 512, &mut random);
    let rows = (query.rows(Dtype::F16), gallery.rows(Dtype::F16));
    let mut out = vec![0.0; 100];
    scores_kernel(SCALAR)
        .unwrap()
        .scores(rows.0, rows.1, &mut out)
        .unwrap();
    let judge = |out: &[f32]| compare::scores(scalar(), rows.0, rows.1, out, &[2, 0]).unwrap();
    let deviation = judge(&out);
    assert!(
        deviation.is_within() && deviation.n_compared == 40 && deviation.tolerance < 0.1,
        "{deviation:?}"
    );
    for change in [0.1, f32::NAN] {
        let mut wrong = out.clone();
        wrong[2 * 20 + 7] += change;
        let deviation = judge(&wrong);
        assert!(
            !deviation.is_within() && deviation.worst.contains("query 2, item 7:"),
            "{deviation:?}"
        );
    }
    out[20] = f32::NAN;
    assert!(judge(&out).is_within(), "query 1 is not in the sample");
}

#[test]
fn a_wrong_loss_gradient_or_total_is_found() {
    let mut random = Random(54);
    let (batch, queue_len, dim) = (6, 30, 16);
    let query = Matrix::real(batch, dim, &mut random).unit();
    let positive = Matrix::real(batch, dim, &mut random).unit();
    let queue = Matrix::real(queue_len, dim, &mut random).unit();
    let (batch_ids, queue_ids): (Vec<i64>, Vec<i64>) = (
        (0..6).map(|i| i % 4).collect(),
        (0..30).map(|i| i % 5 - 1).collect(),
    );
    let everyone: Vec<usize> = (0..batch).collect();
    for (in_batch, positive_gradient) in [(false, false), (false, true), (true, false), (true, true)] {
        let job = InfoNceJob {
            query: query.rows(Dtype::F32),
            positive: positive.rows(Dtype::F32),
            queue: queue.rows(Dtype::F16),
            in_batch,
            positive_gradient,
            ids: Some(ContrastIds {
                batch: &batch_ids,
                queue: &queue_ids,
            }),
            temperature: 0.1,
        };
        let right = info_nce_kernel(SCALAR).unwrap().info_nce(&job).unwrap();
        let judge = |output: &InfoNceOutput, sample: &[usize]| {
            compare::info_nce(scalar(), &job, output, sample).unwrap()
        };
        for sample in [&[1, 4][..], &everyone] {
            let deviation = judge(&right, sample);
            assert!(deviation.is_within(), "{deviation:?}");
            let wrong = |change: &dyn Fn(&mut InfoNceOutput)| {
                let mut wrong = right.clone();
                change(&mut wrong);
                !judge(&wrong, sample).is_within()
            };
            assert!(wrong(&|output| output.losses[4] *= 1.001));
            assert!(wrong(&|output| output.query_gradient[4 * dim + 3] += 1e-3));
            if positive_gradient {
                assert!(wrong(
                    &|output| output.positive_gradient.as_mut().unwrap()[dim] += 1e-2
                ));
            }
            // Losses of queries outside the sample count only where all queries are needed.
            let all = sample.len() == batch || in_batch && positive_gradient;
            assert_eq!(wrong(&|output| output.losses[0] *= 1.001), all);
            assert_eq!(wrong(&|output| output.n_hits += 1), all);
            assert_eq!(wrong(&|output| output.n_negatives -= 1), all);
            assert_eq!(wrong(&|output| output.positive_sum += 1e-3), all);
            assert_eq!(wrong(&|output| output.negative_sum += 1e-1), all);
        }
    }
}

#[test]
fn a_wrong_element_of_a_moved_tensor_is_found() {
    let mut random = Random(55);
    let mut draw = || (0..1000).map(|_| random.real() as f32).collect::<Vec<f32>>();
    let (before, query) = (draw(), draw());
    let mut after = before.clone();
    ema_update_kernel(SCALAR)
        .unwrap()
        .ema_update(
            0.99,
            &mut [EmaPair {
                key: &mut after,
                query: &query,
            }],
        )
        .unwrap();
    let judge = |after: &[f32]| compare::ema_update(scalar(), 0.99, &before, &query, after).unwrap();
    assert!(judge(&after).is_within());
    for change in [1.000_01, f32::NAN] {
        let mut wrong = after.clone();
        wrong[999] *= change;
        assert!(judge(&wrong).worst.contains("element 999:"));
        assert!(!judge(&wrong).is_within());
    }
    assert!(!judge(&before).is_within(), "not moved at all");
}

#[test]
fn a_wrong_entry_id_or_pointer_of_a_queue_is_found() {
    let mut random = Random(56);
    let (queue_len, dim) = (5, 7);
    let keys = Matrix::real(3, dim, &mut random);
    let before = Matrix::real(queue_len, dim, &mut random);
    for id in available_kernels() {
        let (mut rows, mut ids) = (before.f16.clone(), vec![-1; queue_len]);
        let next = enqueue_kernel(&id.to_string())
            .unwrap()
            .enqueue(EnqueueJob {
                keys: keys.rows(Dtype::F32),
                ids: &[7, 8, 9],
                queue: QueueRows::F16(&mut rows),
                queue_ids: &mut ids,
                pointer: 3,
            })
            .unwrap();
        let judge = |rows: &[half::f16], ids: &[i64], next| {
            let after = hitbench_kernels::RowsData::F16(rows);
            let written = Enqueued {
                keys: keys.rows(Dtype::F32),
                ids: &[7, 8, 9],
                pointer: 3,
                before: before.rows(Dtype::F16),
                before_ids: &[-1; 5],
                after: hitbench_kernels::Rows::new(after, queue_len, dim).unwrap(),
                after_ids: ids,
                next,
            };
            compare::enqueue(id, &written).unwrap().is_within()
        };
        assert!(judge(&rows, &ids, next), "{id}");
        assert!(!judge(&rows, &ids, next + 1), "{id}");
        for entry in 0..queue_len {
            let mut wrong = ids.clone();
            wrong[entry] += 1;
            assert!(!judge(&rows, &wrong, next), "{id} id {entry}");
            let mut wrong = rows.clone();
            wrong[entry * dim + 2] = half::f16::from_f32(wrong[entry * dim + 2].to_f32() * 1.01);
            assert!(!judge(&wrong, &ids, next), "{id} entry {entry}");
        }
    }
}
