//! Counts and metrics against what other programs and published tables give, on real and on small matrices.
//!
//! Programs print 0-based positions (`cols`) and per cent; ours are 1-based ranks and fractions.

use std::path::PathBuf;

use hitbench::metric::{
    CaptionRule, Counts, Direction, DirectionCounts, DirectionMetrics, MedianRule, Pairing, Resampling,
    Rules, TieRule, count_matrix, summarize,
};
use hitbench_kernels::Rows;
use hitbench_kernels::matrix::RowsData;
use serde_json::Value;

/// The folder of test data, or `None` after saying that it is absent.
pub(crate) fn data() -> Option<PathBuf> {
    hitbench_tests::test_data("")
}

pub(crate) fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A matrix as a `.npy` file stores it, in C order.
enum Stored {
    F16(Vec<half::f16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

struct Matrix {
    stored: Stored,
    shape: [usize; 2],
}

impl Matrix {
    fn f64(rows: &[&[f64]]) -> Self {
        Self {
            stored: Stored::F64(rows.concat()),
            shape: [rows.len(), rows[0].len()],
        }
    }

    fn read(path: PathBuf) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let file = npyz::NpyFile::new(&bytes[..]).unwrap();
        let shape = [file.shape()[0] as usize, file.shape()[1] as usize];
        let n_elements = shape[0] * shape[1];
        let stored = match file.dtype().descr().trim_matches('\'') {
            "<f2" => Stored::F16(
                bytes[bytes.len() - 2 * n_elements..]
                    .chunks_exact(2)
                    .map(|b| half::f16::from_le_bytes([b[0], b[1]]))
                    .collect(),
            ),
            "<f4" | ">f4" => Stored::F32(file.into_vec().unwrap()),
            "<f8" => Stored::F64(file.into_vec().unwrap()),
            other => panic!("unexpected dtype {other}"),
        };
        Self { stored, shape }
    }

    fn rows(&self) -> Rows<'_> {
        let data = match &self.stored {
            Stored::F16(data) => RowsData::F16(data),
            Stored::F32(data) => RowsData::F32(data),
            Stored::F64(data) => RowsData::F64(data),
        };
        Rows::new(data, self.shape[0], self.shape[1]).unwrap()
    }

    fn count(&self, pairing: &Pairing) -> Counts {
        count_matrix(self.rows(), pairing, CaptionRule::MinRank).unwrap()
    }

    fn count_diagonal(&self) -> Counts {
        self.count(&Pairing::one_to_one(self.shape[0] as u32).unwrap())
    }
}

fn metrics(counts: &DirectionCounts, ties: TieRule) -> DirectionMetrics {
    let rules = Rules {
        ties,
        ..Rules::default()
    };
    summarize(counts, &rules, None).unwrap()
}

/// Equal within 1e-12 relative.
#[track_caller]
pub(crate) fn assert_close(found: f64, expected: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(
        error <= 1e-12 * expected.abs(),
        "{what}: found {found}, expected {expected}"
    );
}

/// Compares everything that a golden block of MMT, CLIP4Clip or the tie policies has.
#[track_caller]
pub(crate) fn check(counts: &DirectionCounts, ties: TieRule, golden: &Value, what: &str) {
    let found = metrics(counts, ties);
    let mut compared = 0;
    for (key, value) in golden.as_object().unwrap() {
        let what = format!("{what} {key}");
        match key.as_str() {
            "R1" | "R5" | "R10" | "R50" => {
                let k: u64 = key[1..].parse().unwrap();
                assert_close(found.r_at[&k] * 100.0, value.as_f64().unwrap(), &what);
            }
            "MedR" | "MR" | "MedianR" => {
                assert_eq!(found.median_rank, value.as_f64(), "{what}");
            }
            "MeanR" => assert_close(found.mean_rank.unwrap(), value.as_f64().unwrap(), &what),
            "geometric_mean_R1-R5-R10" => {
                assert_close(
                    found.geometric_mean.unwrap() * 100.0,
                    value.as_f64().unwrap(),
                    &what,
                );
            }
            "cols" => {
                // MMT truncates half positions to integers.
                let ranks = counts.counts.iter().flat_map(|count| ties.ranks(count));
                let cols: Vec<u64> = ranks.map(|rank| (rank - 1.0) as u64).collect();
                let golden: Vec<u64> = value
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|col| col.as_u64().unwrap())
                    .collect();
                assert_eq!(cols, golden, "{what}");
            }
            "n" => assert_eq!(found.denominator, value.as_u64().unwrap(), "{what}"),
            // R@1 with "0-based rank < 1", without MMT's exception: a property of half ranks, not a metric of ours.
            "R1_lt1" => continue,
            other => panic!("{what}: no comparison for `{other}`"),
        }
        compared += 1;
    }
    assert!(compared >= 6, "{what}: only {compared} values compared");
}

#[test]
fn the_real_1ka_matrix_under_every_rule() {
    let Some(data) = data() else { return };
    let matrix = Matrix::read(data.join("cap4video/sim_matrix/msrvtt_video_matrix.npy"));
    assert_eq!(matrix.shape, [1000, 1000]);
    let counts = matrix.count_diagonal();

    let golden = json(data.join("derived/cap4video_expected_metrics.json"));
    let golden = &golden["msrvtt_video_matrix"];
    check(&counts.t2v, TieRule::Average, &golden["mmt_t2v"], "mmt t2v");
    check(&counts.v2t, TieRule::Average, &golden["mmt_v2t"], "mmt v2t");
    check(
        &counts.t2v,
        TieRule::Clip4clip,
        &golden["clip4clip_t2v"],
        "clip4clip t2v",
    );
    check(
        &counts.v2t,
        TieRule::Clip4clip,
        &golden["clip4clip_v2t"],
        "clip4clip v2t",
    );

    let golden = json(data.join("derived/cap4video_tie_policies.json"));
    for (direction, counts) in [("video/t2v", &counts.t2v), ("video/v2t", &counts.v2t)] {
        let golden = &golden[direction];
        for (name, ties) in [
            ("optimistic", TieRule::Optimistic),
            ("average", TieRule::Average),
            ("pessimistic", TieRule::Pessimistic),
            ("clip4clip", TieRule::Clip4clip),
        ] {
            check(counts, ties, &golden[name], &format!("{direction} {name}"));
        }
        let found = metrics(counts, TieRule::Average);
        assert_eq!(found.n_tied, golden["tied_rows"].as_u64().unwrap());
        let max_tie = counts.counts.iter().map(|count| count.equal).max();
        assert_eq!(max_tie, golden["max_tie"].as_u64());
        for k in [1, 5, 10, 50] {
            let bound = |rule: &str| golden[rule][format!("R{k}")].as_f64().unwrap() / 100.0;
            let [low, high] = found.r_at_interval[&k];
            assert_close(low, bound("pessimistic"), "lower bound");
            assert_close(high, bound("optimistic"), "upper bound");
        }
    }
}

#[test]
fn derived_metrics_and_intervals_of_the_real_matrix() {
    let Some(data) = data() else { return };
    let counts = Matrix::read(data.join("cap4video/sim_matrix/msrvtt_video_matrix.npy")).count_diagonal();
    let found = metrics(&counts.t2v, TieRule::Average);
    assert_close(found.sum_r.unwrap(), 2.039, "sum of R@1, R@5 and R@10");
    assert!((found.geometric_mean.unwrap() - 0.6623).abs() < 5e-5);
    assert_eq!(found.map, Some(found.mrr));
    assert_eq!(found.recall_at.as_ref(), Some(&found.r_at));

    let resampling = Resampling {
        seed: 1,
        resamples: 1999,
    };
    let found = summarize(&counts.t2v, &Rules::default(), Some(resampling)).unwrap();
    let [low, high] = found.r_at_ci95.unwrap()[&1];
    assert!(
        (low - 0.449).abs() < 0.004 && (high - 0.511).abs() < 0.004,
        "{low} {high}"
    );
}

/// R@1 in per cent, MdR and MnR as another program printed them.
#[track_caller]
fn check_line(counts: &DirectionCounts, ties: TieRule, r1: f64, median: f64, mean: f64) {
    let found = metrics(counts, ties);
    assert_close(found.r_at[&1] * 100.0, r1, "R@1");
    assert_eq!(found.median_rank, Some(median), "MdR");
    assert_close(found.mean_rank.unwrap(), mean, "MnR");
}

#[test]
fn small_matrices_under_the_rules_of_three_programs() {
    // Frozen in Time breaks ties of t2v optimistically and averages those of v2t.
    use TieRule::{Average, Clip4clip, Optimistic};

    let a = Matrix::f64(&[[0.0; 4].as_slice(); 4]).count_diagonal();
    for direction in [&a.t2v, &a.v2t] {
        check_line(direction, Average, 0.0, 2.5, 2.5);
        check_line(direction, Clip4clip, 25.0, 2.5, 2.5);
    }
    check_line(&a.t2v, Optimistic, 100.0, 1.0, 1.0);

    let b = Matrix::f64(&[
        &[0.9, 0.1, 0.2, 0.3],
        &[0.8, 0.7, 0.1, 0.0],
        &[0.1, 0.2, 0.3, 0.4],
        &[0.5, 0.6, 0.7, 0.1],
    ])
    .count_diagonal();
    for ties in [Average, Clip4clip, Optimistic] {
        check_line(&b.t2v, ties, 25.0, 2.0, 2.25);
        check_line(&b.v2t, ties, 50.0, 1.5, 1.75);
    }
    let ranks = |counts: &DirectionCounts, ties: TieRule| -> Vec<f64> {
        counts.counts.iter().map(|count| ties.rank(count)).collect()
    };
    assert_eq!(ranks(&b.t2v, Average), [1.0, 2.0, 2.0, 4.0]);
    assert_eq!(ranks(&b.v2t, Average), [1.0, 1.0, 2.0, 3.0]);

    let c = Matrix::f64(&[
        &[0.9, 0.9, 0.2, 0.3],
        &[0.8, 0.7, 0.1, 0.0],
        &[0.1, 0.2, 0.3, 0.4],
        &[0.5, 0.6, 0.7, 0.8],
    ])
    .count_diagonal();
    check_line(&c.t2v, Average, 25.0, 1.75, 1.625);
    check_line(&c.t2v, Optimistic, 50.0, 1.5, 1.5);
    check_line(&c.t2v, Clip4clip, 40.0, 2.0, 1.6);
    assert_eq!(ranks(&c.t2v, Average), [1.5, 2.0, 2.0, 1.0]);
    for ties in [Average, Clip4clip] {
        check_line(&c.v2t, ties, 50.0, 1.5, 1.5);
    }

    let d = Matrix::f64(&[&[0.9, 0.1], &[0.2, 0.3], &[0.8, 0.7], &[0.1, 0.6]]);
    let pairing = Pairing::new(vec![0, 0, 1, 1], 2).unwrap();
    let whole = d.count(&pairing);
    check_line(&whole.t2v, Average, 50.0, 1.5, 1.5);
    check_line(&whole.v2t, Average, 100.0, 1.0, 1.0);
    let masked = d.count(&pairing.with_mask(vec![true, true, true, false]).unwrap());
    check_line(&masked.t2v, Average, 100.0 / 3.0, 2.0, 5.0 / 3.0);
    check_line(&masked.v2t, Average, 100.0, 1.0, 1.0);
    assert_eq!(
        (masked.v2t.n_gallery, masked.v2t.n_masked, masked.t2v.n_masked),
        (3, 1, 1)
    );
}

#[test]
fn the_examples_of_clip4clip_issue_80() {
    let Some(data) = data() else { return };
    let golden = json(data.join("derived/clip4clip_issue80_examples.json"));
    for (name, example) in golden.as_object().unwrap() {
        let rows: Vec<Vec<f64>> = serde_json::from_value(example["x"].clone()).unwrap();
        let matrix = Matrix {
            shape: [rows.len(), rows[0].len()],
            stored: Stored::F64(rows.concat()),
        };
        let pairing = Pairing::new(vec![0, 1], 3).unwrap();
        let counts = matrix.count(&pairing);
        check(&counts.t2v, TieRule::Clip4clip, &example["clip4clip"], name);
        // The third video has no caption: it is searched and asks nothing.
        assert_eq!(
            (counts.v2t.queries.as_slice(), counts.v2t.n_without_caption),
            (&[0, 1][..], 1)
        );
    }
}

#[test]
fn constant_scores_as_other_programs_rank_them() {
    let Some(data) = data() else { return };
    let golden = json(data.join("derived/nan_inf_tie_behaviour.json"));
    let golden = &golden["all_zero"];
    let counts = Matrix::f64(&[[0.0; 4].as_slice(); 4]).count_diagonal();
    check(&counts.t2v, TieRule::Average, &golden["mmt_t2v"], "mmt t2v");
    check(&counts.v2t, TieRule::Average, &golden["mmt_v2t"], "mmt v2t");
    check(
        &counts.t2v,
        TieRule::Clip4clip,
        &golden["clip4clip_t2v"],
        "clip4clip",
    );
}

#[test]
fn one_caption_a_video_in_every_stored_form() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/eval/single");
    let golden = json(folder.join("expected.json"));
    for file in ["sims.npy", "sims_bigendian.npy", "sims_f64.npy"] {
        let counts = Matrix::read(folder.join(file)).count_diagonal();
        check(&counts.t2v, TieRule::Average, &golden["mmt_t2v"], file);
        check(&counts.v2t, TieRule::Average, &golden["mmt_v2t"], file);
        check(&counts.t2v, TieRule::Clip4clip, &golden["clip4clip_t2v"], file);
        check(&counts.v2t, TieRule::Clip4clip, &golden["clip4clip_v2t"], file);
        for (direction, counts) in [("t2v", &counts.t2v), ("v2t", &counts.v2t)] {
            let ranks: Vec<f64> = counts
                .counts
                .iter()
                .map(|count| TieRule::Average.rank(count) - 1.0)
                .collect();
            let fractional = &golden[format!("fractional_ranks_{direction}")];
            assert_eq!(
                ranks,
                serde_json::from_value::<Vec<f64>>(fractional.clone()).unwrap()
            );
        }
    }
    // Rounded to f16 the scores may tie differently; they are then ranked as they are stored.
    let half = Matrix::read(folder.join("sims_f16.npy"));
    let Stored::F16(scores) = &half.stored else {
        panic!("not f16")
    };
    let widened = Matrix {
        stored: Stored::F64(scores.iter().map(|score| score.to_f64()).collect()),
        shape: half.shape,
    };
    assert_eq!(half.count_diagonal(), widened.count_diagonal());
}

#[test]
fn several_captions_a_video_with_absent_ones() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/eval/multi");
    let golden = json(folder.join("expected.json"));
    let matrix = Matrix::read(folder.join("sims.npy"));
    let mask = Matrix::read(folder.join("query_masks.npy"));
    let [n_captions, n_videos] = matrix.shape;
    let slots = n_captions / n_videos;
    let video_of = (0..n_captions).map(|slot| (slot / slots) as u32).collect();
    let kept: Vec<bool> = match &mask.stored {
        Stored::F32(mask) => mask.iter().map(|&kept| kept != 0.0).collect(),
        Stored::F64(mask) => mask.iter().map(|&kept| kept != 0.0).collect(),
        Stored::F16(_) => panic!("unexpected dtype"),
    };
    let pairing = Pairing::new(video_of, n_videos).unwrap().with_mask(kept).unwrap();

    let counts = matrix.count(&pairing);
    check(&counts.t2v, TieRule::Average, &golden["mmt_t2v"], "mmt t2v");
    check(&counts.v2t, TieRule::Average, &golden["mmt_v2t"], "mmt v2t");
    assert_eq!(counts.v2t.direction, Direction::V2t);
    assert!(!counts.v2t.one_true_item);
    let [low, high] = [TieRule::Pessimistic, TieRule::Optimistic].map(|ties| metrics(&counts.v2t, ties));
    for ties in [TieRule::Average, TieRule::Expected] {
        let found = metrics(&counts.v2t, ties);
        // Recall is no hit rate: at 1 a video finds one of its several captions at most.
        assert!(found.recall_at.as_ref().unwrap()[&1] < found.r_at[&1]);
        assert!(low.map <= found.map && found.map <= high.map);
        assert!(low.ndcg_at_10 <= found.ndcg_at_10 && found.ndcg_at_10 <= high.ndcg_at_10);
    }
    let bounds: Vec<[u64; 2]> = serde_json::from_value(golden["t2v_rank_bounds"].clone()).unwrap();
    let found: Vec<[u64; 2]> = counts
        .t2v
        .counts
        .iter()
        .map(|count| [count.greater, count.greater + count.equal - count.own_equal])
        .collect();
    assert_eq!(found, bounds);

    let maxed = count_matrix(matrix.rows(), &pairing, CaptionRule::MaxOverCaptions).unwrap();
    assert_eq!(maxed.t2v, counts.t2v);
    check(
        &maxed.v2t,
        TieRule::Clip4clip,
        &golden["clip4clip_v2t_max_over_captions_then_compute_metrics"],
        "max over captions",
    );

    // The same scores without the absent slots, as a flat list.
    let flat = Matrix::read(folder.join("clip4clip_flat_sims.npy"));
    let cuts = json(folder.join("clip4clip_cut_off_points.json"));
    let cuts: Vec<u32> = serde_json::from_value(cuts["cut_off_points"].clone()).unwrap();
    let video_of = (0..*cuts.last().unwrap())
        .map(|caption| cuts.iter().filter(|&&cut| cut <= caption).count() as u32)
        .collect();
    let unmasked = flat.count(&Pairing::new(video_of, n_videos).unwrap());
    assert_eq!(unmasked.t2v.counts, counts.t2v.counts);
    assert_eq!(
        (&unmasked.v2t.counts, &unmasked.v2t.own),
        (&counts.v2t.counts, &counts.v2t.own)
    );
}

#[test]
fn the_lower_median_of_pytorch() {
    let b = Matrix::f64(&[&[1.0, 0.0], &[1.0, 0.0]]).count_diagonal();
    let median = |rule| {
        let rules = Rules {
            median: rule,
            ..Rules::default()
        };
        summarize(&b.t2v, &rules, None).unwrap().median_rank
    };
    assert_eq!(median(MedianRule::MeanOfMiddle), Some(1.5));
    assert_eq!(median(MedianRule::Lower), Some(1.0));
}
