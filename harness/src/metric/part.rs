//! A part of the gallery: counts of parts add up to those of the whole, wherever each was counted.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::{Counts, DirectionCounts, MetricError, OwnCounts};

/// One of several parts of the videos, numbered from 1. Parts are contiguous; their sizes differ by one at most, and
/// are 0 for some where there are more parts than videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    index: usize,
    of: usize,
}

impl Part {
    /// The only part of one.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// Part `index`, in `1..=of`, of `of` parts.
    ///
    /// # Errors
    /// [`MetricError::NoSuchPart`].
    pub fn new(index: usize, of: usize) -> Result<Self, MetricError> {
        if index == 0 || index > of {
            return Err(MetricError::NoSuchPart { index, of });
        }
        Ok(Self { index, of })
    }

    /// Which part this is, from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// How many parts there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// The videos of this part.
    pub fn videos(self, n_videos: usize) -> Range<usize> {
        let end = |index: usize| (index as u128 * n_videos as u128 / self.of as u128) as usize;
        end(self.index - 1)..end(self.index)
    }
}

impl FromStr for Part {
    type Err = MetricError;

    /// `I/N`, as it is displayed.
    fn from_str(text: &str) -> Result<Self, MetricError> {
        let numbers = text
            .split_once('/')
            .map(|(index, of)| (index.parse(), of.parse()));
        match numbers {
            Some((Ok(index), Ok(of))) => Self::new(index, of),
            _ => Err(MetricError::NotAPart {
                text: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

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
        let of = first.part.of;
        let Counts { mut t2v, v2t } = first.counts;
        let mut joined = DirectionCounts {
            counts: Vec::new(),
            queries: Vec::new(),
            true_items: Vec::new(),
            clusters: Vec::new(),
            own: v2t.own.as_ref().map(|_| OwnCounts::default()),
            ..v2t
        };
        let mut by_part = BTreeMap::from([(first.part.index, v2t)]);
        for Self { part, counts } in parts {
            if part.of != of {
                return Err(MetricError::OtherParts {
                    expected: of,
                    found: part.of,
                });
            }
            if by_part.insert(part.index, counts.v2t).is_some() {
                return Err(MetricError::RepeatedPart { part });
            }
            add(&mut t2v, &counts.t2v)?;
        }
        for index in 1..=of {
            let part = Part { index, of };
            let next = by_part.remove(&index).ok_or(MetricError::MissingPart { part })?;
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
    fn parts_cut_the_videos_into_even_ranges() {
        let ranges = |n, of| -> Vec<Range<usize>> {
            (1..=of)
                .map(|index| Part::new(index, of).unwrap().videos(n))
                .collect()
        };
        assert_eq!(ranges(10, 4), [0..2, 2..5, 5..7, 7..10]);
        assert_eq!(ranges(2, 3), [0..0, 0..1, 1..2]);
        assert_eq!(Part::WHOLE.videos(7), 0..7);
        let last = Part::new(usize::MAX, usize::MAX).unwrap();
        assert_eq!(last.videos(usize::MAX), usize::MAX - 1..usize::MAX);
        for (index, of) in [(0, 3), (4, 3), (0, 0)] {
            let error = Part::new(index, of).unwrap_err();
            assert!(matches!(error, MetricError::NoSuchPart { .. }), "{error}");
        }
    }

    #[test]
    fn parts_are_written_as_they_are_read() {
        let part: Part = "2/7".parse().unwrap();
        assert_eq!(
            (part.index(), part.of(), part.to_string()),
            (2, 7, "2/7".to_owned())
        );
        for text in ["", "2", "2/", "/7", "2/7/1", "-1/7", "a/b"] {
            let error = text.parse::<Part>().unwrap_err();
            assert!(matches!(error, MetricError::NotAPart { .. }), "{text}");
        }
        assert!(matches!(
            "8/7".parse::<Part>(),
            Err(MetricError::NoSuchPart { .. })
        ));
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
