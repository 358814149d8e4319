//! A part of the gallery: counts of parts add up to those of the whole, wherever each was counted.

use std::collections::BTreeMap;

use super::{Counts, DirectionCounts, MetricError, OwnCounts};
use crate::part::Part;

/// Counts over one part of the videos.
///
/// `t2v` has all queries, with `greater` and `equal` of the videos of the part only; all else in it, the scores too, is
/// that of the whole. `v2t` has the queries of the part only, and these are complete.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialCounts {
    /// Which part.
    pub part: Part,
    /// Its counts.
    pub counts: Counts,
}

impl PartialCounts {
    /// Puts all parts of one evaluation together, in whatever order they come: the counts are those of the whole,
    /// exactly. One part is looked at after the other.
    ///
    /// # Errors
    /// [`MetricError::MissingPart`], [`MetricError::RepeatedPart`], [`MetricError::OtherParts`] for another number of
    /// parts, and [`MetricError::PartsDisagree`] for parts of different evaluations.
    pub fn merge(parts: impl IntoIterator<Item = Self>) -> Result<Counts, MetricError> {
        let mut parts = parts.into_iter();
        let Some(first) = parts.next() else {
            return Err(MetricError::MissingPart { part: Part::WHOLE });
        };
        let of = first.part.of();
        let Counts { mut t2v, v2t } = first.counts;
        let mut joined = DirectionCounts {
            counts: Vec::new(),
            queries: Vec::new(),
            true_items: Vec::new(),
            clusters: Vec::new(),
            own: v2t.own.as_ref().map(|_| OwnCounts::default()),
            ..v2t
        };
        let mut by_part = BTreeMap::from([(first.part.index(), v2t)]);
        for Self { part, counts } in parts {
            if part.of() != of {
                return Err(MetricError::OtherParts {
                    expected: of,
                    found: part.of(),
                });
            }
            if by_part.insert(part.index(), counts.v2t).is_some() {
                return Err(MetricError::RepeatedPart { part });
            }
            add(&mut t2v, &counts.t2v)?;
        }
        for part in Part::all(of) {
            let next = by_part
                .remove(&part.index())
                .ok_or(MetricError::MissingPart { part })?;
            append(&mut joined, next)?;
        }
        Ok(Counts { t2v, v2t: joined })
    }
}

/// Adds the counts of the same queries over other videos.
fn add(sum: &mut DirectionCounts, more: &DirectionCounts) -> Result<(), MetricError> {
    same_evaluation(sum, more)?;
    let same_queries =
        sum.queries == more.queries && sum.true_items == more.true_items && sum.clusters == more.clusters;
    let pairs = sum.counts.iter().zip(&more.counts);
    let same_scores = sum.counts.len() == more.counts.len() && { pairs }
        .all(|(a, b)| a.score == b.score && a.own_equal == b.own_equal);
    for (same, what) in [
        (same_queries, "queries of t2v"),
        (same_scores, "true scores of t2v"),
    ] {
        if !same {
            return Err(MetricError::PartsDisagree { what });
        }
    }
    for (sum, count) in sum.counts.iter_mut().zip(&more.counts) {
        // Sums that no gallery has are found where counts are read.
        sum.greater = sum.greater.saturating_add(count.greater);
        sum.equal = sum.equal.saturating_add(count.equal);
    }
    Ok(())
}

/// Appends the queries of the part that follows.
fn append(joined: &mut DirectionCounts, next: DirectionCounts) -> Result<(), MetricError> {
    same_evaluation(joined, &next)?;
    if let (Some(last), Some(first)) = (joined.queries.last(), next.queries.first())
        && last >= first
    {
        return Err(MetricError::PartsDisagree {
            what: "places of the videos",
        });
    }
    joined.counts.extend(next.counts);
    joined.queries.extend(next.queries);
    joined.true_items.extend(next.true_items);
    joined.clusters.extend(next.clusters);
    if let (Some(joined), Some(next)) = (&mut joined.own, next.own) {
        joined.append(&next);
    }
    Ok(())
}

/// Whether what the parts of a direction have in common is the same.
fn same_evaluation(a: &DirectionCounts, b: &DirectionCounts) -> Result<(), MetricError> {
    let sizes = |counts: &DirectionCounts| (counts.n_gallery, counts.n_masked, counts.n_without_caption);
    let kind = |counts: &DirectionCounts| (counts.direction, counts.gallery_of_videos, counts.one_true_item);
    for (same, what) in [
        (sizes(a) == sizes(b), "sizes"),
        (kind(a) == kind(b), "directions or caption rules"),
        (a.own.is_some() == b.own.is_some(), "counts of all true items"),
    ] {
        if !same {
            return Err(MetricError::PartsDisagree { what });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hitbench_kernels::{Rows, RowsData};

    use super::super::{CaptionRule, Pairing, count_matrix, count_matrix_part};
    use super::*;

    const CAPTIONS: CaptionRule = CaptionRule::MinRank;

    fn scores(n: usize) -> Vec<f64> {
        (0..n * n).map(|at| (at * 7 % 11) as f64).collect()
    }

    fn parts(scores: &[f64], n: u32, of: usize) -> Vec<PartialCounts> {
        let matrix = Rows::new(RowsData::F64(scores), n as usize, n as usize).unwrap();
        let pairing = Pairing::one_to_one(n).unwrap();
        let part = |index| Part::new(index, of).unwrap();
        (1..=of)
            .map(|index| count_matrix_part(matrix, &pairing, CAPTIONS, part(index)).unwrap())
            .collect()
    }

    #[test]
    fn a_part_counts_its_own_videos_and_knows_the_scores_of_all() {
        // Captions are rows: the true scores are 0, 4 and 8, those of caption 1 are 5 4 4.
        let scores = [0.0, 1.0, 0.0, 5.0, 4.0, 4.0, 9.0, 7.0, 8.0];
        let [first, second] = parts(&scores, 3, 2).try_into().unwrap();
        let of = |counts: &DirectionCounts| -> Vec<(u64, u64, u64, f64)> {
            let counts = counts.counts.iter();
            counts
                .map(|c| (c.greater, c.equal, c.own_equal, c.score))
                .collect()
        };
        assert_eq!(
            of(&first.counts.t2v),
            [(0, 1, 1, 0.0), (1, 0, 1, 4.0), (1, 0, 1, 8.0)]
        );
        assert_eq!(
            of(&second.counts.t2v),
            [(1, 1, 1, 0.0), (0, 2, 1, 4.0), (0, 1, 1, 8.0)]
        );
        assert_eq!(
            (of(&first.counts.v2t), first.counts.v2t.queries),
            (vec![(2, 1, 1, 0.0)], vec![0])
        );
        assert_eq!(of(&second.counts.v2t), [(1, 1, 1, 4.0), (0, 1, 1, 8.0)]);
    }

    #[test]
    fn parts_are_merged_in_any_order_and_none_may_lack_or_repeat() {
        let scores = scores(5);
        let matrix = Rows::new(RowsData::F64(&scores), 5, 5).unwrap();
        let whole = count_matrix(matrix, &Pairing::one_to_one(5).unwrap(), CAPTIONS).unwrap();
        let all = parts(&scores, 5, 3);
        let pick = |order: &[usize]| PartialCounts::merge(order.iter().map(|&at| all[at].clone()));
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            assert_eq!(pick(&order).unwrap(), whole);
        }
        for (order, message) in [
            (&[1, 2][..], "part 1/3 is missing"),
            (&[2, 0], "part 2/3 is missing"),
            (&[0, 1], "part 3/3 is missing"),
            (&[], "part 1/1 is missing"),
            (&[0, 1, 1, 2], "part 2/3 is there twice"),
        ] {
            assert_eq!(pick(order).unwrap_err().to_string(), message);
        }
        let mixed = [all[0].clone(), parts(&scores, 5, 2).remove(1)];
        assert_eq!(
            PartialCounts::merge(mixed).unwrap_err().to_string(),
            "parts of 3 and parts of 2 are not parts of one evaluation"
        );
    }

    #[test]
    fn parts_of_other_evaluations_are_refused() {
        let scores = scores(5);
        let merged = |change: &dyn Fn(&mut Counts)| {
            let mut parts = parts(&scores, 5, 2);
            change(&mut parts[1].counts);
            PartialCounts::merge(parts).map_err(|error| error.to_string())
        };
        assert!(merged(&|_| ()).is_ok());
        type Change<'a> = &'a dyn Fn(&mut Counts);
        let changes: [(Change<'_>, &str); 7] = [
            (&|counts| counts.t2v.counts[3].score += 1.0, "true scores of t2v"),
            (&|counts| counts.t2v.counts.truncate(1), "true scores of t2v"),
            (&|counts| counts.t2v.true_items[0] = 1, "queries of t2v"),
            (&|counts| counts.t2v.n_gallery += 1, "sizes"),
            (
                &|counts| counts.v2t.gallery_of_videos = true,
                "directions or caption rules",
            ),
            (&|counts| counts.v2t.queries[0] = 1, "places of the videos"),
            (
                &|counts| counts.v2t.own = Some(OwnCounts::default()),
                "counts of all true items",
            ),
        ];
        for (change, what) in changes {
            let message = format!("parts are not of one evaluation: their {what} differ");
            assert_eq!(merged(change), Err(message));
        }
    }
}
