use proptest::prelude::*;

use super::*;
use crate::metric::{Direction, DirectionCounts, MedianRule, summarize};

fn group(greater: u64, equal: u64, own_equal: u64) -> OwnGroup {
    OwnGroup {
        greater,
        equal,
        own_equal,
    }
}

/// A query with one true item at `rank` of a list of `depth`, or outside it.
fn single(rank: Option<u64>, depth: u64) -> ListedQuery {
    ListedQuery {
        found: rank.map(|rank| group(rank - 1, 1, 1)).into_iter().collect(),
        n_true: 1,
        depth,
        cluster: 0,
    }
}

/// Every query a cluster of its own.
fn lists(queries: impl IntoIterator<Item = ListedQuery>) -> ListCounts {
    let queries = queries
        .into_iter()
        .zip(0..)
        .map(|(query, cluster)| ListedQuery { cluster, ..query });
    ListCounts {
        queries: queries.collect(),
        n_gallery: None,
        n_masked: 0,
        n_without_caption: 0,
    }
}

fn summed(lists: &ListCounts) -> DirectionMetrics {
    summarize_lists(lists, &Rules::default(), None).unwrap()
}

const PLAN: Resampling = Resampling {
    seed: 1,
    resamples: 200,
};

#[test]
fn what_a_list_leaves_out_is_a_miss_within_its_depth_and_unknown_beyond() {
    // Ranks 1, 2, 10 and one outside lists of ten.
    let found = summed(&lists(
        [Some(1), Some(2), Some(10), None].map(|rank| single(rank, 10)),
    ));
    assert_eq!(found.r_at, BTreeMap::from([(1, 0.25), (5, 0.5), (10, 0.75)]));
    assert_eq!(found.recall_at.as_ref(), Some(&found.r_at));
    assert_eq!((found.median_rank, found.mean_rank), (Some(6.0), None));
    assert_eq!(found.mrr, (1.0 + 0.5 + 0.1) / 4.0);
    assert_eq!(found.map, Some(found.mrr));
    assert_eq!(
        found.ndcg_at_10,
        Some((1.0 + 1.0 / 3f64.log2() + 1.0 / 11f64.log2()) / 4.0)
    );
    assert_eq!((found.sum_r, found.n_gallery), (Some(1.5), None));

    // A shorter list takes R@10 and the sum with it, not nDCG@10, where it counts 0.
    let found = summed(&lists([single(Some(1), 10), single(None, 9)]));
    assert_eq!(found.r_at.keys().collect::<Vec<_>>(), [&1, &5]);
    assert_eq!(
        (found.sum_r, found.geometric_mean, found.ndcg_at_10),
        (None, None, Some(0.5))
    );
    let found = summed(&lists([single(Some(1), 10), single(None, 0)]));
    assert_eq!((found.r_at.len(), found.mrr), (0, 0.5));
}

#[test]
fn lists_of_the_whole_gallery_have_every_cut_off() {
    let mut complete = lists([single(Some(3), 4), single(Some(4), 4)]);
    complete.n_gallery = Some(4);
    let found = summed(&complete);
    assert_eq!(
        (found.r_at[&5], found.r_at[&50], found.sum_r),
        (1.0, 1.0, Some(2.0))
    );
    assert_eq!((found.mean_rank, found.n_gallery), (Some(3.5), Some(4)));
    complete.n_gallery = Some(5);
    assert_eq!(summed(&complete).r_at.len(), 1);
}

#[test]
fn the_median_is_known_where_unknown_ranks_cannot_move_it() {
    let median = |queries: &[(Option<u64>, u64)], rule| {
        let rules = Rules {
            median: rule,
            ..Rules::default()
        };
        let queries = queries.iter().map(|&(rank, depth)| single(rank, depth));
        summarize_lists(&lists(queries), &rules, None)
            .unwrap()
            .median_rank
    };
    let (mean, lower) = (MedianRule::MeanOfMiddle, MedianRule::Lower);
    let half = [(Some(1), 9), (Some(2), 9), (None, 9), (None, 9)];
    assert_eq!((median(&half, mean), median(&half, lower)), (None, Some(2.0)));
    let most = [(Some(1), 9), (Some(9), 9), (None, 9)];
    assert_eq!(median(&most, mean), Some(9.0));
    // The unknown rank is at least 5: it may be 5 or 100, and the median 5 or 8.
    let uneven = [(Some(1), 9), (Some(8), 9), (None, 4)];
    assert_eq!(median(&uneven, mean), None);
    // At least 9: it cannot be below 8.
    let uneven = [(Some(1), 9), (Some(8), 9), (None, 8)];
    assert_eq!(median(&uneven, mean), Some(8.0));
}

#[test]
fn intervals_are_left_out_with_what_they_are_of() {
    let queries = (1..=60).map(|i| single((i % 6 != 0).then_some(i % 6), 5));
    let found = summarize_lists(&lists(queries), &Rules::default(), Some(PLAN)).unwrap();
    assert_eq!(
        found
            .r_at_ci95
            .as_ref()
            .map(|by_k| by_k.keys().copied().collect()),
        Some(vec![1, 5])
    );
    let [low, high] = found.mrr_ci95.unwrap();
    assert!(low < found.mrr && found.mrr < high);
    assert_eq!((found.mean_rank, found.mean_rank_ci95), (None, None));
    // A sixth of the ranks is unknown: no resample has its median there.
    let [low, high] = found.median_rank_ci95.unwrap();
    assert!(
        (1.0..=3.0).contains(&low) && (3.0..=5.0).contains(&high),
        "{low} {high}"
    );
    // Nearly half are: some resamples do.
    let queries = (0..61).map(|i| single((i % 2 == 0).then_some(1), 5));
    let found = summarize_lists(&lists(queries), &Rules::default(), Some(PLAN)).unwrap();
    assert_eq!((found.median_rank, found.median_rank_ci95), (Some(1.0), None));
}

#[test]
fn several_true_items_count_whether_listed_or_not() {
    // True items at ranks 1 and 4 of a list that lacks the third; one query without any.
    let mut queries = lists([single(None, 10), single(None, 10)]);
    queries.queries[0].found = vec![group(0, 1, 1), group(3, 1, 1)];
    queries.queries[0].n_true = 3;
    let found = summed(&queries);
    assert_eq!((found.r_at[&1], found.mrr), (0.5, 0.5));
    let recall = found.recall_at.unwrap();
    assert!((recall[&1] - 1.0 / 6.0).abs() < 1e-15 && (recall[&5] - 1.0 / 3.0).abs() < 1e-15);
    assert!((found.map.unwrap() - (1.0 + 0.5) / 3.0 / 2.0).abs() < 1e-15);
    let gain = |rank: f64| 1.0 / (1.0 + rank).log2();
    let ndcg = (gain(1.0) + gain(4.0)) / (gain(1.0) + gain(2.0) + gain(3.0));
    assert!((found.ndcg_at_10.unwrap() - ndcg / 2.0).abs() < 1e-15);
    let rules = Rules {
        ties: TieRule::Clip4clip,
        ..Rules::default()
    };
    let found = summarize_lists(&queries, &rules, None).unwrap();
    assert_eq!((found.map, found.ndcg_at_10, found.recall_at), (None, None, None));
}

#[test]
fn what_cannot_be_is_an_error() {
    let refused = |query: ListedQuery| {
        let found = summarize_lists(&lists([single(Some(1), 3), query]), &Rules::default(), None);
        matches!(
            found,
            Err(MetricError::ImpossibleCounts { index: 1, .. } | MetricError::TrueItems { index: 1, .. })
        )
    };
    let with = |found: &[OwnGroup], n_true| ListedQuery {
        found: found.to_vec(),
        n_true,
        depth: 3,
        cluster: 0,
    };
    assert!(!refused(with(&[group(0, 1, 1), group(1, 2, 1)], 2)));
    assert!(refused(with(&[group(0, 1, 1), group(1, 2, 1)], 1)));
    assert!(refused(with(&[], 0)));
    assert!(refused(with(&[group(0, 1, 2)], 2)));
    assert!(refused(with(&[group(0, 1, 0)], 2)));
    assert!(refused(with(&[group(3, 1, 1)], 1)));
    assert!(refused(with(&[group(0, 2, 1), group(1, 1, 1)], 2)));
    let empty = summarize_lists(&lists([]), &Rules::default(), None);
    assert!(matches!(empty, Err(MetricError::Empty { .. })));
    let zero = Rules {
        recall_at: vec![0],
        ..Rules::default()
    };
    let found = summarize_lists(&lists([single(Some(1), 3)]), &zero, None);
    assert!(matches!(found, Err(MetricError::CutOff { k: 0 })));
}

/// `(greater, equal)` of a query in a gallery of 30.
fn ranks() -> impl Strategy<Value = Vec<(u64, u64)>> {
    proptest::collection::vec((0u64..27, 1u64..4), 1..40)
}

proptest! {
    /// Complete lists of single true items are what a matrix gives.
    #[test]
    fn whole_galleries_give_the_metrics_of_counts(ranks in ranks(), rule in 0usize..5) {
        let rules = Rules {
            ties: [TieRule::Average, TieRule::Optimistic, TieRule::Pessimistic, TieRule::Expected, TieRule::Clip4clip][rule],
            ..Rules::default()
        };
        let n = ranks.len() as u32;
        let counts: Vec<RankCount> = ranks.iter().map(|&(greater, equal)| alone(&group(greater, equal, 1))).collect();
        let counts = DirectionCounts {
            direction: Direction::T2v,
            counts,
            queries: (0..n).collect(),
            true_items: (0..n).collect(),
            clusters: (0..n).collect(),
            n_gallery: 30,
            n_masked: 0,
            n_without_caption: 0,
            gallery_of_videos: true,
            one_true_item: true,
            own: None,
        };
        let mut listed = lists(ranks.iter().map(|&(greater, equal)| ListedQuery {
            found: vec![group(greater, equal, 1)],
            ..single(None, 30)
        }));
        listed.n_gallery = Some(30);
        prop_assert_eq!(
            summarize_lists(&listed, &rules, Some(PLAN)).unwrap(),
            summarize(&counts, &rules, Some(PLAN)).unwrap()
        );
    }

    /// Whatever the unknown ranks are, a median that is given is the median.
    #[test]
    fn a_median_given_is_that_of_any_completion(
        queries in proptest::collection::vec((1u64..30, 1u64..20), 1..12),
        beyond in proptest::collection::vec(0u64..30, 12),
    ) {
        let listed = lists(queries.iter().map(|&(rank, depth)| single((rank <= depth).then_some(rank), depth)));
        let completed = queries.iter().zip(&beyond).map(|(&(rank, depth), more)| {
            if rank <= depth { rank } else { depth + 1 + more }
        });
        let mut full = lists(completed.map(|rank| single(Some(rank), 60)));
        full.n_gallery = Some(60);
        if let Some(median) = summed(&listed).median_rank {
            prop_assert_eq!(Some(median), summed(&full).median_rank);
        }
    }
}

#[test]
fn lists_without_a_true_item_give_zeros_that_are_not_negative() {
    let lists = |n_true| ListCounts {
        queries: vec![
            ListedQuery {
                found: Vec::new(),
                n_true,
                depth: 1,
                cluster: 0,
            };
            2
        ],
        n_gallery: None,
        n_masked: 0,
        n_without_caption: 0,
    };
    for n_true in [1, 3] {
        let found = summarize_lists(&lists(n_true), &Rules::default(), None).unwrap();
        let recall = found.recall_at.unwrap()[&1];
        let all = [
            found.r_at[&1],
            found.mrr,
            found.ndcg_at_10.unwrap(),
            found.map.unwrap(),
            recall,
        ];
        assert_eq!(all.map(f64::to_bits), [0; 5], "{n_true} true items: {all:?}");
        assert_eq!(found.r_at_interval[&1].map(f64::to_bits), [0; 2]);
    }
}
