use proptest::prelude::*;

use super::*;

const RULES: [TieRule; 4] = [
    TieRule::Average,
    TieRule::Optimistic,
    TieRule::Pessimistic,
    TieRule::Expected,
];

fn group(greater: u64, equal: u64, own_equal: u64) -> OwnGroup {
    OwnGroup {
        greater,
        equal,
        own_equal,
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs()).max(1.0)
}

/// `1 / log2(1 + p)`, written another way.
fn gain(position: usize) -> f64 {
    std::f64::consts::LN_2 / (position as f64).ln_1p()
}

#[test]
fn without_ties_all_rules_are_the_textbook() {
    // True items on the positions 1, 3 and 11.
    let groups = [group(0, 1, 1), group(2, 1, 1), group(10, 1, 1)];
    for rule in RULES {
        let ap = rule.average_precision(&groups, n_own(&groups)).unwrap();
        assert!(close(ap, (1.0 + 2.0 / 3.0 + 3.0 / 11.0) / 3.0), "{rule:?}");
        let recalls = [1, 2, 3, 10, 11].map(|k| rule.recall(&groups, n_own(&groups), k).unwrap());
        assert_eq!(recalls, [1.0, 1.0, 2.0, 2.0, 3.0].map(|n| n / 3.0), "{rule:?}");
        let ideal = gain(1) + gain(2) + gain(3);
        assert!(
            close(
                rule.ndcg(&groups, n_own(&groups), 10).unwrap(),
                (gain(1) + gain(3)) / ideal
            ),
            "{rule:?}"
        );
    }
}

#[test]
fn a_tie_by_hand() {
    // One item above, then four tied of which two are true: positions 2 to 5, two true items in all.
    let tied = [group(1, 4, 2)];
    let of = |rule: TieRule| {
        let recall = |k| rule.recall(&tied, n_own(&tied), k).unwrap();
        (
            rule.average_precision(&tied, n_own(&tied)).unwrap(),
            recall(2),
            recall(3),
            recall(4),
        )
    };
    assert_eq!(
        of(TieRule::Optimistic),
        ((1.0 / 2.0 + 2.0 / 3.0) / 2.0, 0.5, 1.0, 1.0)
    );
    assert_eq!(
        of(TieRule::Pessimistic),
        ((1.0 / 4.0 + 2.0 / 5.0) / 2.0, 0.0, 0.0, 0.5)
    );
    // Rank 3.5: a miss of the top 2, a hit of the top 3, which has two positions for them.
    assert_eq!(of(TieRule::Average), (1.5 / 3.5, 0.0, 1.0, 1.0));
    // Half a true item a position, and before each a third of the one other for each position before.
    let ap = (1.0 / 2.0 + (4.0 / 3.0) / 3.0 + (5.0 / 3.0) / 4.0 + 2.0 / 5.0) / 4.0;
    let expected = of(TieRule::Expected);
    assert!(close(expected.0, ap));
    assert_eq!((expected.1, expected.2, expected.3), (0.25, 0.5, 0.75));

    let ideal = gain(1) + gain(2);
    let ndcg = |rule: TieRule| rule.ndcg(&tied, n_own(&tied), 3).unwrap() * ideal;
    assert!(close(ndcg(TieRule::Optimistic), gain(2) + gain(3)));
    assert_eq!(ndcg(TieRule::Pessimistic), 0.0);
    assert!(close(ndcg(TieRule::Average), 2.0 / 4.5f64.log2()));
    assert!(close(ndcg(TieRule::Expected), (gain(2) + gain(3)) / 2.0));
}

#[test]
fn no_more_items_count_than_there_are_positions() {
    // Twenty true items tied at the top have rank 10.5, which is a hit of the top 10; ten of them fit.
    let tied = [group(0, 20, 20)];
    assert_eq!(TieRule::Average.recall(&tied, n_own(&tied), 10), Some(0.5));
    assert!(TieRule::Average.ndcg(&tied, n_own(&tied), 10).unwrap() < 1.0);
    assert_eq!(TieRule::Average.recall(&tied, n_own(&tied), 1), Some(0.0));
}

#[test]
fn queries_that_share_their_true_items_have_no_value() {
    let groups = [group(0, 2, 1), group(4, 1, 1)];
    let rule = TieRule::Clip4clip;
    assert_eq!(
        (
            rule.recall(&groups, n_own(&groups), 5),
            rule.average_precision(&groups, n_own(&groups)),
            rule.ndcg(&groups, n_own(&groups), 10)
        ),
        (None, None, None)
    );
}

/// The measures of one order of the gallery, true where an item is: `(recall at k, average precision, nDCG)`.
fn of_order(order: &[bool], k: usize, depth: usize) -> [f64; 3] {
    let positions: Vec<usize> = (0..order.len()).filter(|&i| order[i]).map(|i| i + 1).collect();
    let n = positions.len() as f64;
    let precisions = (1..).zip(&positions).map(|(i, &p)| f64::from(i) / p as f64);
    let gains = positions.iter().filter(|&&p| p <= depth).map(|&p| gain(p));
    let ideal: f64 = (1..=positions.len().min(depth)).map(gain).sum();
    [
        positions.iter().filter(|&&p| p <= k).count() as f64 / n,
        precisions.sum::<f64>() / n,
        gains.sum::<f64>() / ideal,
    ]
}

fn of_rule(rule: TieRule, groups: &[OwnGroup], k: usize, depth: usize) -> [f64; 3] {
    [
        rule.recall(groups, n_own(groups), k as u64).unwrap(),
        rule.average_precision(groups, n_own(groups)).unwrap(),
        rule.ndcg(groups, n_own(groups), depth as u64).unwrap(),
    ]
}

/// Items of a gallery, each a score and whether it is true, to the groups of the true ones: by looking at all pairs.
fn groups_of(items: &[(u8, bool)]) -> Vec<OwnGroup> {
    let mut scores: Vec<u8> = items.iter().filter(|item| item.1).map(|item| item.0).collect();
    scores.sort_unstable_by(|a, b| b.cmp(a));
    scores.dedup();
    let n = |of: &dyn Fn(&(u8, bool)) -> bool| items.iter().filter(|item| of(item)).count() as u64;
    let of_score = |score: u8| {
        group(
            n(&|item| item.0 > score),
            n(&|item| item.0 == score),
            n(&|item| item.0 == score && item.1),
        )
    };
    scores.into_iter().map(of_score).collect()
}

/// All orders of a gallery that its scores allow, as far as they differ in where true items are.
fn orders(items: &[(u8, bool)]) -> Vec<Vec<bool>> {
    let mut levels: Vec<u8> = items.iter().map(|item| item.0).collect();
    levels.sort_unstable_by(|a, b| b.cmp(a));
    levels.dedup();
    let mut all = vec![Vec::new()];
    for level in levels {
        let tied: Vec<bool> = items
            .iter()
            .filter(|item| item.0 == level)
            .map(|item| item.1)
            .collect();
        let own = tied.iter().filter(|own| **own).count() as u32;
        let places = (0u32..1 << tied.len()).filter(|places| places.count_ones() == own);
        let ways: Vec<Vec<bool>> = places
            .map(|places| (0..tied.len()).map(|i| places >> i & 1 == 1).collect())
            .collect();
        all = all
            .iter()
            .flat_map(|order: &Vec<bool>| ways.iter().map(move |way| [&order[..], way].concat()))
            .collect();
    }
    all
}

fn gallery(max_level: u8, max: usize) -> impl Strategy<Value = Vec<(u8, bool)>> {
    let items = prop::collection::vec((0..=max_level, any::<bool>()), 1..max);
    items.prop_map(|mut items| {
        items[0].1 = true;
        items
    })
}

proptest! {
    #[test]
    fn bounds_are_those_of_sorting_with_true_items_first_or_last(
        items in gallery(12, 40), k in 1usize..45, depth in 1usize..45,
    ) {
        let groups = groups_of(&items);
        for (rule, first) in [(TieRule::Optimistic, true), (TieRule::Pessimistic, false)] {
            let mut sorted = items.clone();
            sorted.sort_by_key(|&(score, own)| (std::cmp::Reverse(score), own != first));
            let order: Vec<bool> = sorted.iter().map(|item| item.1).collect();
            for (found, expected) in of_rule(rule, &groups, k, depth).into_iter().zip(of_order(&order, k, depth)) {
                prop_assert!(close(found, expected), "{rule:?}: {found} {expected}");
            }
        }
    }

    #[test]
    fn expected_is_the_mean_over_all_orders(items in gallery(2, 11), k in 1usize..13, depth in 1usize..13) {
        let orders = orders(&items);
        let mut means = [0.0; 3];
        for order in &orders {
            for (mean, value) in means.iter_mut().zip(of_order(order, k, depth)) {
                *mean += value / orders.len() as f64;
            }
        }
        let found = of_rule(TieRule::Expected, &groups_of(&items), k, depth);
        for (found, mean) in found.into_iter().zip(means) {
            prop_assert!((found - mean).abs() < 1e-10, "{found} {mean}");
        }
    }

    #[test]
    fn nothing_leaves_its_range(items in gallery(4, 60), k in 1usize..70, depth in 1usize..70) {
        let groups = groups_of(&items);
        let [low, expected, high, average] =
            [TieRule::Pessimistic, TieRule::Expected, TieRule::Optimistic, TieRule::Average]
                .map(|rule| of_rule(rule, &groups, k, depth));
        for i in 0..3 {
            prop_assert!(low[i] <= expected[i] + 1e-12 && expected[i] <= high[i] + 1e-12);
            prop_assert!((0.0..=1.0 + 1e-12).contains(&average[i]) && high[i] <= 1.0 + 1e-12);
        }
    }

    #[test]
    fn one_true_item_has_the_numbers_of_its_rank(greater in 0u64..60, equal in 1u64..30, k in 1u64..80) {
        let one = [group(greater, equal, 1)];
        let count = alone(&one[0]);
        for rule in RULES {
            prop_assert_eq!(rule.recall(&one, n_own(&one), k), Some(rule.hits(&count, k)));
            prop_assert_eq!(rule.average_precision(&one, n_own(&one)), Some(rule.gain(&count, |rank| 1.0 / rank)));
            prop_assert_eq!(rule.ndcg(&one, n_own(&one), 10), Some(rule.gain(&count, |rank| discounted(rank, 10))));
        }
    }
}
