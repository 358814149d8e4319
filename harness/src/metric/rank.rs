//! From the counts of one query to its rank, its hits and its gains, under every tie rule.
//!
//! With `greater`, `equal` and `own_equal` as [`RankCount`] has them, ranks start at 1:
//!
//! | rule | rank | R@K counts |
//! |---|---|---|
//! | `average` | `greater + (equal + 1) / 2` | K = 1: `greater == 0 && equal == 1`; else `greater + (equal - 1) / 2 < K` |
//! | `optimistic` | `greater + 1` | `rank <= K` |
//! | `pessimistic` | `greater + equal - own_equal + 1` | `rank <= K` |
//! | `expected` | mean over random orders of the tied | chance that one of the own tied items is in the top K |
//! | `clip4clip` | `greater + 1, ..., greater + equal`: that many queries | how many of these are `<= K` |
//!
//! `average` is the rule of MMT and Collaborative Experts, their exception at K = 1 included: a two-way tie at the
//! top has rank 1.5 and misses R@1, while rank 5.5 still hits R@5. `average` and `clip4clip` count a video's own
//! duplicate captions as ties, as the originals do; hence their R@K may lie below the pessimistic one.

use hitbench_kernels::RankCount;

use super::TieRule;

impl TieRule {
    /// How many queries this one counts as: 1, or `equal` under `clip4clip`.
    pub fn weight(self, count: &RankCount) -> u64 {
        match self {
            Self::Clip4clip => count.equal,
            Self::Average | Self::Optimistic | Self::Pessimistic | Self::Expected => 1,
        }
    }

    /// What the query adds to the numerator of R@K, from 0 to its [`weight`](Self::weight); `k >= 1`.
    pub fn hits(self, count: &RankCount, k: u64) -> f64 {
        let RankCount { greater, equal, .. } = *count;
        let hit = match self {
            Self::Average if k == 1 => greater == 0 && equal == 1,
            Self::Average => 2 * greater + equal - 1 < 2 * k,
            Self::Optimistic => greater < k,
            Self::Pessimistic => worst_rank(count) <= k,
            Self::Expected => return chance_in_top(count, k),
            Self::Clip4clip => return k.saturating_sub(greater).min(equal) as f64,
        };
        f64::from(u8::from(hit))
    }

    /// The rank of the best true item; under `clip4clip` the mean of the ranks that the query counts as.
    pub fn rank(self, count: &RankCount) -> f64 {
        let RankCount {
            greater,
            equal,
            own_equal,
            ..
        } = *count;
        match self {
            Self::Average | Self::Clip4clip => greater as f64 + (equal + 1) as f64 / 2.0,
            Self::Optimistic => (greater + 1) as f64,
            Self::Pessimistic => worst_rank(count) as f64,
            // The smallest of `own_equal` places drawn from 1..=equal without replacement has this mean.
            Self::Expected => greater as f64 + (equal + 1) as f64 / (own_equal + 1) as f64,
        }
    }

    /// All ranks that enter the median: one, or the `equal` tied positions under `clip4clip`.
    pub fn ranks(self, count: &RankCount) -> impl Iterator<Item = f64> {
        let one = (self != Self::Clip4clip).then(|| self.rank(count));
        let positions = if one.is_some() { 0 } else { count.equal };
        let greater = count.greater;
        one.into_iter()
            .chain((1..=positions).map(move |place| (greater + place) as f64))
    }

    /// Sum of `gain(rank)` over what the query counts as; under `expected` its mean over random orders.
    ///
    /// With `gain = |r| 1.0 / r` this is the numerator of the mean reciprocal rank.
    pub fn gain(self, count: &RankCount, gain: impl Fn(f64) -> f64) -> f64 {
        let RankCount {
            greater,
            equal,
            own_equal,
            ..
        } = *count;
        match self {
            Self::Average | Self::Optimistic | Self::Pessimistic | Self::Clip4clip => {
                self.ranks(count).map(gain).sum()
            }
            Self::Expected => {
                // Chance that the first own item is at `place` of the tie: own / equal at place 1, then the
                // ratio of C(equal - place, own - 1) to its predecessor.
                let mut chance = own_equal as f64 / equal as f64;
                let mut sum = 0.0;
                for place in 1..=equal - own_equal + 1 {
                    sum += chance * gain((greater + place) as f64);
                    let left = equal - place;
                    if left > 0 {
                        chance *= (left - (own_equal - 1)) as f64 / left as f64;
                    }
                }
                sum
            }
        }
    }
}

/// Rank when all tied items that are not true come first.
fn worst_rank(count: &RankCount) -> u64 {
    count.greater + count.equal - count.own_equal + 1
}

/// Chance that at least one of the own tied items is among the first `k`, over random orders of the tied.
fn chance_in_top(count: &RankCount, k: u64) -> f64 {
    let RankCount {
        greater,
        equal,
        own_equal,
        ..
    } = *count;
    let places = k.saturating_sub(greater).min(equal);
    if places + own_equal > equal {
        return 1.0;
    }
    if own_equal == 1 {
        return places as f64 / equal as f64;
    }
    // None of them is: C(equal - own, places) / C(equal, places), as a product of `own` factors.
    let none: f64 = (0..own_equal)
        .map(|i| (equal - places - i) as f64 / (equal - i) as f64)
        .product();
    1.0 - none
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [TieRule; 5] = [
        TieRule::Average,
        TieRule::Optimistic,
        TieRule::Pessimistic,
        TieRule::Expected,
        TieRule::Clip4clip,
    ];

    fn count(greater: u64, equal: u64, own_equal: u64) -> RankCount {
        RankCount {
            greater,
            equal,
            own_equal,
            score: 0.5,
        }
    }

    fn hits(rule: TieRule, greater: u64, equal: u64, own_equal: u64, k: u64) -> f64 {
        rule.hits(&count(greater, equal, own_equal), k)
    }

    #[test]
    fn without_ties_all_rules_agree() {
        for rule in ALL {
            for greater in 0..12 {
                let alone = count(greater, 1, 1);
                assert_eq!(rule.rank(&alone), (greater + 1) as f64, "{rule:?}");
                assert_eq!(rule.ranks(&alone).collect::<Vec<_>>(), [(greater + 1) as f64]);
                assert_eq!(rule.weight(&alone), 1);
                assert_eq!(rule.gain(&alone, |r| 1.0 / r), 1.0 / (greater + 1) as f64);
                for k in [1, 5, 10] {
                    assert_eq!(
                        rule.hits(&alone, k),
                        f64::from(u8::from(greater < k)),
                        "{rule:?} {greater} {k}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_tie_at_the_edge_of_the_top() {
        // Two tied at the top: rank 1.5 misses R@1 under `average` and hits it half the time.
        assert_eq!(hits(TieRule::Average, 0, 2, 1, 1), 0.0);
        assert_eq!(hits(TieRule::Optimistic, 0, 2, 1, 1), 1.0);
        assert_eq!(hits(TieRule::Pessimistic, 0, 2, 1, 1), 0.0);
        assert_eq!(hits(TieRule::Expected, 0, 2, 1, 1), 0.5);
        assert_eq!(hits(TieRule::Clip4clip, 0, 2, 1, 1), 1.0);
        assert_eq!(TieRule::Clip4clip.weight(&count(0, 2, 1)), 2);
        // Rank 5.5 (0-based 4.5) hits R@5 under `average`, rank 6 does not.
        assert_eq!(hits(TieRule::Average, 4, 2, 1, 5), 1.0);
        assert_eq!(hits(TieRule::Average, 4, 3, 1, 5), 0.0);
        assert_eq!(hits(TieRule::Pessimistic, 4, 2, 1, 5), 0.0);
    }

    #[test]
    fn own_duplicates_are_ties_only_where_the_originals_count_them() {
        // Three own captions share the top score and nothing else does.
        assert_eq!(hits(TieRule::Average, 0, 3, 3, 1), 0.0);
        assert_eq!(TieRule::Average.rank(&count(0, 3, 3)), 2.0);
        assert_eq!(hits(TieRule::Pessimistic, 0, 3, 3, 1), 1.0);
        assert_eq!(hits(TieRule::Expected, 0, 3, 3, 1), 1.0);
        assert_eq!(TieRule::Expected.rank(&count(0, 3, 3)), 1.0);
    }

    /// All ways to choose `own` of the tied places, for small ties.
    fn first_places(equal: u64, own: u64) -> Vec<u64> {
        (0u32..1 << equal)
            .filter(|places| u64::from(places.count_ones()) == own)
            .map(|places| u64::from(places.trailing_zeros()) + 1)
            .collect()
    }

    proptest! {
        #[test]
        fn expected_is_the_mean_over_all_orders(greater in 0u64..6, equal in 1u64..9, own in 1u64..9, k in 1u64..14) {
            let own = own.min(equal);
            let tied = count(greater, equal, own);
            let ranks: Vec<f64> =
                first_places(equal, own).iter().map(|place| (greater + place) as f64).collect();
            let mean = |value: &dyn Fn(f64) -> f64| ranks.iter().map(|&r| value(r)).sum::<f64>() / ranks.len() as f64;
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * a.abs().max(b.abs()).max(1.0);
            let rule = TieRule::Expected;
            prop_assert!(close(rule.rank(&tied), mean(&|r| r)));
            prop_assert!(close(rule.hits(&tied, k), mean(&|r| f64::from(u8::from(r <= k as f64)))));
            prop_assert!(close(rule.gain(&tied, |r| 1.0 / r), mean(&|r| 1.0 / r)));
        }

        #[test]
        fn every_rank_lies_between_the_bounds_when_nothing_is_duplicated(greater in 0u64..50, equal in 1u64..20, k in 1u64..60) {
            let tied = count(greater, equal, 1);
            for rule in ALL {
                prop_assert!(TieRule::Optimistic.rank(&tied) <= rule.rank(&tied));
                prop_assert!(rule.rank(&tied) <= TieRule::Pessimistic.rank(&tied));
                let share = rule.hits(&tied, k) / rule.weight(&tied) as f64;
                prop_assert!(TieRule::Pessimistic.hits(&tied, k) <= share);
                prop_assert!(share <= TieRule::Optimistic.hits(&tied, k));
            }
        }
    }
}
