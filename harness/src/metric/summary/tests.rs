use hitbench_kernels::RankCount;

use super::*;
use crate::metric::{Direction, OwnCounts};

/// One query a cluster from `(greater, equal, own_equal)`.
fn counts(n_gallery: usize, of: &[(u64, u64, u64)]) -> DirectionCounts {
    let counts = of.iter().map(|&(greater, equal, own_equal)| RankCount {
        greater,
        equal,
        own_equal,
        score: 0.0,
    });
    let n = of.len() as u32;
    DirectionCounts {
        direction: Direction::T2v,
        counts: counts.collect(),
        queries: (0..n).collect(),
        true_items: (0..n).collect(),
        clusters: (0..n).collect(),
        n_gallery,
        n_masked: 0,
        n_without_caption: 0,
        gallery_of_videos: true,
        one_true_item: true,
        own: None,
    }
}

#[test]
fn hand_computed_summaries() {
    let perfect = summarize(&counts(4, &[(0, 1, 1); 4]), &Rules::default(), None).unwrap();
    assert_eq!(
        (perfect.r_at[&1], perfect.median_rank, perfect.mean_rank),
        (1.0, Some(1.0), Some(1.0))
    );
    assert_eq!(
        (perfect.sum_r, perfect.geometric_mean, perfect.mrr),
        (Some(3.0), Some(1.0), 1.0)
    );
    assert_eq!((perfect.ndcg_at_10, perfect.r_at_ci95), (Some(1.0), None));

    let reversed = summarize(&counts(20, &[(19, 1, 1); 20]), &Rules::default(), None).unwrap();
    assert_eq!(
        (reversed.r_at[&10], reversed.r_at[&50], reversed.mean_rank),
        (0.0, 1.0, Some(20.0))
    );
    assert_eq!(
        (reversed.geometric_mean, reversed.ndcg_at_10),
        (Some(0.0), Some(0.0))
    );

    // Ranks 1, 2, 3 and 11 of 20: MRR (1 + 1/2 + 1/3 + 1/11) / 4, nDCG (1 + 1/log2(3) + 1/2 + 0) / 4.
    let mixed = counts(20, &[(0, 1, 1), (1, 1, 1), (2, 1, 1), (10, 1, 1)]);
    let mixed = summarize(&mixed, &Rules::default(), None).unwrap();
    assert_eq!(mixed.mrr, (1.0 + 0.5 + 1.0 / 3.0 + 1.0 / 11.0) / 4.0);
    assert_eq!(mixed.ndcg_at_10, Some((1.0 + 1.0 / 3f64.log2() + 0.5) / 4.0));
    assert_eq!((mixed.median_rank, mixed.mean_rank), (Some(2.5), Some(4.25)));
    assert_eq!(
        (mixed.r_at[&1], mixed.r_at[&5], mixed.r_at[&10]),
        (0.25, 0.75, 0.75)
    );
    assert!((mixed.geometric_mean.unwrap() - (0.25f64 * 0.75 * 0.75).cbrt()).abs() < 1e-15);
}

#[test]
fn ties_are_counted_and_bound_the_recall() {
    // The first query ties with another item, the second only with its own second caption.
    // Nothing is known about other true items, if there are any.
    let mut tied = counts(9, &[(0, 2, 1), (0, 2, 2), (3, 1, 1)]);
    tied.one_true_item = false;
    let found = summarize(&tied, &Rules::default(), None).unwrap();
    assert_eq!(found.n_tied, 1);
    assert_eq!(found.r_at_interval[&1], [1.0 / 3.0, 2.0 / 3.0]);
    assert_eq!((found.ndcg_at_10, found.map, found.recall_at), (None, None, None));
}

fn group(greater: u64, equal: u64, own_equal: u64) -> OwnGroup {
    OwnGroup {
        greater,
        equal,
        own_equal,
    }
}

/// Two queries: one with true items on the positions 1 and 4, one with a single true item on position 2.
fn several() -> DirectionCounts {
    let mut several = counts(12, &[(0, 1, 1), (1, 1, 1)]);
    several.one_true_item = false;
    let own = several.own.insert(OwnCounts::default());
    own.push([group(0, 1, 1), group(3, 1, 1)]);
    own.push([group(1, 1, 1)]);
    several
}

#[test]
fn all_true_items_enter_recall_precision_and_gain() {
    let found = summarize(&several(), &Rules::default(), None).unwrap();
    // Success is something else than recall.
    assert_eq!((found.r_at[&1], found.r_at[&5]), (0.5, 1.0));
    let recall = found.recall_at.unwrap();
    assert_eq!([1, 5, 10, 50].map(|k| recall[&k]), [0.25, 1.0, 1.0, 1.0]);
    assert_eq!((found.map, found.mrr), (Some((0.75 + 0.5) / 2.0), 0.75));
    let gain = |rank: f64| 1.0 / (1.0 + rank).log2();
    let ndcg = (1.0 + gain(4.0)) / (1.0 + gain(2.0)) + gain(2.0);
    assert!((found.ndcg_at_10.unwrap() - ndcg / 2.0).abs() < 1e-15);

    let clip4clip = Rules {
        ties: TieRule::Clip4clip,
        ..Rules::default()
    };
    let found = summarize(&several(), &clip4clip, None).unwrap();
    assert_eq!((found.ndcg_at_10, found.map, found.recall_at), (None, None, None));
}

#[test]
fn groups_of_true_items_that_cannot_be_are_an_error() {
    let index = |groups: &[OwnGroup]| {
        let mut several = several();
        let own = several.own.insert(OwnCounts::default());
        own.push([group(0, 1, 1), group(3, 1, 1)]);
        own.push(groups.iter().copied());
        match summarize(&several, &Rules::default(), None) {
            Ok(_) => None,
            Err(MetricError::ImpossibleCounts { index, .. }) => Some(index),
            Err(other) => panic!("{other}"),
        }
    };
    let best = group(1, 1, 1);
    assert_eq!(index(&[best, group(2, 10, 1)]), None);
    for impossible in [
        &[][..],
        &[group(0, 1, 1)],
        &[best, group(1, 1, 1)],
        &[best, group(2, 2, 0)],
        &[best, group(2, 2, 3)],
        &[best, group(2, 11, 1)],
    ] {
        assert_eq!(index(impossible), Some(1), "{impossible:?}");
    }
    let mut short = several();
    short.own = Some(OwnCounts::default());
    assert!(matches!(
        summarize(&short, &Rules::default(), None),
        Err(MetricError::Length {
            expected: 2,
            found: 0,
            ..
        })
    ));
}

#[test]
fn what_cannot_be_is_an_error() {
    let rules = Rules::default();
    assert!(matches!(
        summarize(&counts(3, &[]), &rules, None),
        Err(MetricError::Empty { .. })
    ));
    for impossible in [(0, 0, 0), (0, 1, 0), (0, 1, 2), (3, 1, 1)] {
        let found = summarize(&counts(3, &[(0, 1, 1), impossible]), &rules, None);
        assert!(
            matches!(found, Err(MetricError::ImpossibleCounts { index: 1, .. })),
            "{impossible:?}"
        );
    }
    let zero = Rules {
        recall_at: vec![1, 0],
        ..rules
    };
    assert!(matches!(
        summarize(&counts(3, &[(0, 1, 1)]), &zero, None),
        Err(MetricError::CutOff { k: 0 })
    ));
}

#[test]
fn intervals_hold_the_estimate_and_are_written_by_k() {
    let of: Vec<_> = (0..200).map(|query| (query % 40, 1, 1)).collect();
    let plan = Resampling {
        seed: 3,
        resamples: 500,
    };
    let found = summarize(&counts(40, &of), &Rules::default(), Some(plan)).unwrap();
    let holds = |[low, high]: [f64; 2], estimate: f64| low < estimate && estimate < high;
    let ci95 = found.r_at_ci95.as_ref().unwrap();
    for k in [1, 5, 10] {
        assert!(holds(ci95[&k], found.r_at[&k]), "R@{k}");
    }
    assert_eq!(ci95[&50], [1.0, 1.0]);
    assert!(holds(found.median_rank_ci95.unwrap(), found.median_rank.unwrap()));
    assert!(holds(found.mean_rank_ci95.unwrap(), found.mean_rank.unwrap()));
    assert!(holds(found.mrr_ci95.unwrap(), found.mrr));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["r_at"]["5"], 0.125);
    assert_eq!(serde_json::from_value::<DirectionMetrics>(json).unwrap(), found);
}
