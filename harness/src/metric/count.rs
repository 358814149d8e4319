//! Counts from a stored similarity matrix.
//!
//! Scores are compared in the type they are stored in and never converted, so that two scores tie exactly when
//! the file says so. The matrix is read row by row; nothing of its size is ever allocated, and no row is sorted.

use std::ops::Range;

use half::f16;
use hitbench_kernels::matrix::RowsData;
use hitbench_kernels::{RankCount, Rows};
use rayon::prelude::*;

use super::{CaptionRule, Counts, DirectionCounts, MetricError, Pairing, PartialCounts, own};
use crate::part::Part;

/// Gallery items that one task adds to the counts of all videos before it takes the next.
const GROUPS_PER_TASK: usize = 64;

/// Counts both directions of a stored matrix: `similarities[c, v]` scores caption `c` against video `v`.
///
/// Shape `[n_captions, n_videos]`, masked captions included; their rows are not read. `t2v` ranks the video of
/// each caption among all videos. `v2t` with [`CaptionRule::MinRank`] ranks a video's best own caption among all
/// captions, own ones included; with [`CaptionRule::MaxOverCaptions`] it ranks the video among all videos that
/// have captions, each scored by its best caption.
///
/// The best own caption is the one whose rank MMT and Collaborative Experts report: they take the smallest
/// tie-averaged rank over the own captions, and an own caption with a lower score has at least all the items of
/// the best one's tie before it. Its `equal` counts the video's other captions at the same score, so `average`
/// treats own duplicates as ties, as those programs do.
///
/// # Errors
/// [`MetricError::Length`] when the shape is not the pairing's, [`MetricError::NotFinite`] for the first NaN or
/// infinity in a row that takes part.
pub fn count_matrix(
    similarities: Rows<'_>,
    pairing: &Pairing,
    captions: CaptionRule,
) -> Result<Counts, MetricError> {
    let whole = count_matrix_part(similarities, pairing, captions, Part::WHOLE)?;
    Ok(whole.counts)
}

/// Counts both directions of a stored matrix over one part of its columns, the videos. Of other columns only the
/// scores of true pairs are read.
///
/// # Errors
/// As [`count_matrix`], for the scores that are read.
pub fn count_matrix_part(
    similarities: Rows<'_>,
    pairing: &Pairing,
    captions: CaptionRule,
    part: Part,
) -> Result<PartialCounts, MetricError> {
    for (what, expected, found) in [
        ("similarity rows", pairing.n_captions(), similarities.n_rows()),
        ("similarity columns", pairing.n_videos(), similarities.dim()),
    ] {
        if expected != found {
            return Err(MetricError::Length {
                what,
                expected,
                found,
            });
        }
    }
    let videos = part.block(pairing.n_videos());
    let counts = match similarities.data() {
        RowsData::F16(scores) => count_scores(scores, pairing, captions, videos),
        RowsData::F32(scores) => count_scores(scores, pairing, captions, videos),
        RowsData::F64(scores) => count_scores(scores, pairing, captions, videos),
    };
    Ok(PartialCounts {
        part,
        counts: counts?,
    })
}

/// A stored score type.
trait Score: Copy + PartialOrd + Send + Sync {
    fn is_finite(self) -> bool;
    fn widen(self) -> f64;
}

impl Score for f16 {
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    fn widen(self) -> f64 {
        self.to_f64()
    }
}

impl Score for f32 {
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Score for f64 {
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    fn widen(self) -> f64 {
        self
    }
}

fn count_scores<T: Score>(
    scores: &[T],
    pairing: &Pairing,
    captions: CaptionRule,
    videos: Range<usize>,
) -> Result<Counts, MetricError> {
    let matrix = Matrix {
        scores,
        n_videos: pairing.n_videos(),
        videos: videos.clone(),
    };
    let kept = pairing.kept_captions();
    let bad = |&caption: &u32| matrix.first_bad(caption, pairing.video_of(caption));
    if let Some(bad) = kept.par_iter().find_map_first(bad) {
        return Err(bad);
    }
    let t2v = DirectionCounts::text_to_video(pairing, count_rows(&matrix, pairing, &kept));
    let counts = count_best_captions(&matrix, pairing, &kept, captions);
    let mut v2t = DirectionCounts::video_to_text(pairing, captions, &t2v, videos.clone(), counts);
    if !v2t.one_true_item {
        let score = |caption, video| matrix.at(caption, video).widen();
        v2t.own = Some(own::of_matrix(score, pairing, &v2t.counts, videos));
    }
    Ok(Counts { t2v, v2t })
}

/// The matrix with the row length it is read by.
struct Matrix<'a, T> {
    scores: &'a [T],
    n_videos: usize,
    /// Columns that are counted.
    videos: Range<usize>,
}

impl<'a, T: Score> Matrix<'a, T> {
    /// The columns of a row that are counted.
    fn row(&self, caption: u32) -> &'a [T] {
        let start = caption as usize * self.n_videos;
        &self.scores[start + self.videos.start..start + self.videos.end]
    }

    fn at(&self, caption: u32, video: u32) -> T {
        self.scores[caption as usize * self.n_videos + video as usize]
    }

    /// The first score of a row that cannot be ranked, among those of the counted columns and of the row's own video.
    fn first_bad(&self, row: u32, own: u32) -> Option<MetricError> {
        let counted = self.row(row).iter().position(|score| !score.is_finite());
        let counted = counted.map(|column| self.videos.start + column);
        let own = (!self.at(row, own).is_finite()).then_some(own as usize);
        let column = counted.into_iter().chain(own).min()?;
        Some(MetricError::NotFinite {
            row: row as usize,
            column,
            value: self.at(row, column as u32).widen(),
        })
    }
}

/// Every caption's video among all videos that are counted.
fn count_rows<T: Score>(matrix: &Matrix<'_, T>, pairing: &Pairing, kept: &[u32]) -> Vec<RankCount> {
    let counts = kept.par_iter().map(|&caption| {
        let row = matrix.row(caption);
        let best = matrix.at(caption, pairing.video_of(caption));
        RankCount {
            greater: row.iter().map(|&score| u64::from(score > best)).sum(),
            equal: row.iter().map(|&score| u64::from(score == best)).sum(),
            own_equal: 1,
            score: best.widen(),
        }
    });
    counts.collect()
}

/// The best own caption of every counted video among all captions, or among the best captions of all videos.
fn count_best_captions<T: Score>(
    matrix: &Matrix<'_, T>,
    pairing: &Pairing,
    kept: &[u32],
    captions: CaptionRule,
) -> Vec<RankCount> {
    let own = pairing.captions_by_video();
    let counted = || (matrix.videos.start as u32..).zip(&own[matrix.videos.clone()]);
    // A video without captions asks nothing; its threshold is any score, and its counts are dropped below.
    let best: Vec<T> = counted()
        .map(|(video, own)| {
            let scores = own.iter().map(|&caption| matrix.at(caption, video));
            scores.reduce(larger).unwrap_or(matrix.scores[0])
        })
        .collect();
    let groups: Vec<&[u32]> = match captions {
        CaptionRule::MinRank => kept.chunks(1).collect(),
        CaptionRule::MaxOverCaptions => {
            let lists = own.iter().filter(|list| !list.is_empty());
            lists.map(Vec::as_slice).collect()
        }
    };
    let (greater, equal) = count_columns(matrix, &groups, &best);
    let asking = counted().enumerate().filter(|(_, (_, own))| !own.is_empty());
    let counts = asking.map(|(column, (video, own))| {
        let level = own
            .iter()
            .filter(|&&caption| matrix.at(caption, video) == best[column]);
        RankCount {
            greater: greater[column],
            equal: equal[column],
            own_equal: match captions {
                CaptionRule::MinRank => level.count() as u64,
                CaptionRule::MaxOverCaptions => 1,
            },
            score: best[column].widen(),
        }
    });
    counts.collect()
}

/// For every counted column, how many groups of rows score above `best[column]` and how many exactly that; a group scores
/// the largest of its rows.
fn count_columns<T: Score>(matrix: &Matrix<'_, T>, groups: &[&[u32]], best: &[T]) -> (Vec<u64>, Vec<u64>) {
    let zeros = || (vec![0u64; best.len()], vec![0u64; best.len()]);
    groups
        .par_chunks(GROUPS_PER_TASK)
        .fold(zeros, |(mut greater, mut equal), groups| {
            let mut maxima: Vec<T> = Vec::new();
            for group in groups {
                let scores = match group {
                    [caption] => matrix.row(*caption),
                    several => {
                        maxima.clear();
                        maxima.extend_from_slice(matrix.row(several[0]));
                        for &caption in &several[1..] {
                            for (max, &score) in maxima.iter_mut().zip(matrix.row(caption)) {
                                *max = larger(*max, score);
                            }
                        }
                        &maxima
                    }
                };
                for (column, (&score, &best)) in scores.iter().zip(best).enumerate() {
                    greater[column] += u64::from(score > best);
                    equal[column] += u64::from(score == best);
                }
            }
            (greater, equal)
        })
        .reduce(zeros, |(mut greater, mut equal), (more_greater, more_equal)| {
            for (sum, more) in greater.iter_mut().zip(more_greater) {
                *sum += more;
            }
            for (sum, more) in equal.iter_mut().zip(more_equal) {
                *sum += more;
            }
            (greater, equal)
        })
}

fn larger<T: Score>(a: T, b: T) -> T {
    if b > a { b } else { a }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(scores: &[f64], pairing: &Pairing, captions: CaptionRule) -> Result<Counts, MetricError> {
        let rows = Rows::new(RowsData::F64(scores), pairing.n_captions(), pairing.n_videos()).unwrap();
        count_matrix(rows, pairing, captions)
    }

    fn of(counts: &DirectionCounts) -> Vec<(u64, u64, u64)> {
        let counts = counts.counts.iter();
        counts
            .map(|count| (count.greater, count.equal, count.own_equal))
            .collect()
    }

    #[test]
    fn hand_computed_matrices() {
        let three = Pairing::one_to_one(3).unwrap();
        let perfect = [9.0, 1.0, 2.0, 1.0, 9.0, 2.0, 1.0, 2.0, 9.0];
        let reversed = perfect.map(|score| -score);
        let constant = [7.0; 9];
        for (scores, expected) in [(perfect, (0, 1, 1)), (reversed, (2, 1, 1)), (constant, (0, 3, 1))] {
            let counts = count(&scores, &three, CaptionRule::MinRank).unwrap();
            assert_eq!(of(&counts.t2v), [expected; 3]);
            assert_eq!(of(&counts.v2t), [expected; 3]);
        }
        let one = count(&[-0.5], &Pairing::one_to_one(1).unwrap(), CaptionRule::MinRank).unwrap();
        assert_eq!(of(&one.v2t), [(0, 1, 1)]);
        assert_eq!(one.v2t.counts[0].score, -0.5);
    }

    #[test]
    fn zeros_of_either_sign_tie() {
        let two = Pairing::one_to_one(2).unwrap();
        let counts = count(&[0.0, -0.0, -0.0, 0.0], &two, CaptionRule::MinRank).unwrap();
        assert_eq!(of(&counts.t2v), [(0, 2, 1); 2]);
        assert_eq!(of(&counts.v2t), [(0, 2, 1); 2]);
    }

    #[test]
    fn several_captions_a_video_under_both_rules() {
        // Captions 0 and 1 of video 0 tie at the top of its column with caption 3, which is video 1's.
        let pairing = Pairing::new(vec![0, 0, 1, 1], 2).unwrap();
        let scores = [0.5, 0.1, 0.5, 0.9, 0.2, 0.3, 0.5, 0.4];
        let min_rank = count(&scores, &pairing, CaptionRule::MinRank).unwrap();
        assert_eq!(of(&min_rank.v2t), [(0, 3, 2), (1, 1, 1)]);
        assert_eq!(
            (min_rank.v2t.n_gallery, &min_rank.v2t.true_items[..]),
            (4, &[0, 3][..])
        );
        assert!(!min_rank.v2t.one_true_item && min_rank.t2v.one_true_item);
        let maxed = count(&scores, &pairing, CaptionRule::MaxOverCaptions).unwrap();
        assert_eq!(of(&maxed.v2t), [(0, 2, 1), (1, 1, 1)]);
        assert_eq!((maxed.v2t.n_gallery, &maxed.v2t.true_items[..]), (2, &[0, 1][..]));
        assert_eq!(of(&maxed.t2v), [(0, 1, 1), (1, 1, 1), (0, 1, 1), (1, 1, 1)]);
        assert_eq!(
            (&maxed.t2v.clusters[..], &maxed.t2v.true_items[..]),
            (&[0, 0, 1, 1][..], &[0, 0, 1, 1][..])
        );
    }

    #[test]
    fn bad_scores_are_errors_unless_masked() {
        let three = Pairing::one_to_one(3).unwrap();
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut scores = [1.0; 9];
            scores[5] = bad;
            scores[7] = f64::NAN;
            let error = count(&scores, &three, CaptionRule::MinRank).unwrap_err();
            assert!(
                matches!(
                    error,
                    MetricError::NotFinite {
                        row: 1,
                        column: 2,
                        ..
                    }
                ),
                "{error}"
            );
            let masked = three.clone().with_mask(vec![true, false, false]).unwrap();
            let counts = count(&scores, &masked, CaptionRule::MinRank).unwrap();
            assert_eq!(of(&counts.t2v), [(0, 3, 1)]);
            assert_eq!(of(&counts.v2t), [(0, 1, 1)]);
            assert_eq!(
                (
                    counts.v2t.n_gallery,
                    counts.v2t.n_masked,
                    counts.v2t.n_without_caption
                ),
                (1, 2, 2)
            );
        }
    }

    #[test]
    fn a_matrix_of_another_shape_is_refused() {
        let rows = Rows::new(RowsData::F32(&[0.0; 6]), 2, 3).unwrap();
        let error = count_matrix(rows, &Pairing::one_to_one(2).unwrap(), CaptionRule::MinRank).unwrap_err();
        assert!(matches!(
            error,
            MetricError::Length {
                expected: 2,
                found: 3,
                ..
            }
        ));
    }

    /// Zero-based tie-averaged position of item `own` in a list, found by sorting: MMT's way.
    fn sorted_position(scores: &[f64], own: usize) -> f64 {
        let mut sorted = scores.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let places = (0..sorted.len()).filter(|&place| sorted[place] == scores[own]);
        let places: Vec<f64> = places.map(|place| place as f64).collect();
        places.iter().sum::<f64>() / places.len() as f64
    }

    #[test]
    fn a_part_reads_its_columns_and_true_scores_only() {
        let three = Pairing::one_to_one(3).unwrap();
        let of = |scores: &[f64], index| {
            let rows = Rows::new(RowsData::F64(scores), 3, 3).unwrap();
            count_matrix_part(rows, &three, CaptionRule::MinRank, Part::new(index, 3).unwrap())
        };
        let good = [5.0, 1.0, 2.0, 3.0, 5.0, 2.0, 1.0, 2.0, 5.0];
        for (at, refusing) in [(1, vec![2]), (4, vec![1, 2, 3])] {
            let mut bad = good;
            bad[at] = f64::NAN;
            for index in 1..=3 {
                let expected = of(&good, index).map_err(|error| error.to_string());
                let found = of(&bad, index).map_err(|error| error.to_string());
                if refusing.contains(&index) {
                    let message = format!("score at row {}, column {} is NaN", at / 3, at % 3);
                    assert_eq!(found, Err(message));
                } else {
                    assert_eq!(found, expected);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn counts_of_parts_add_up(
            video_of in prop::collection::vec(0u32..9, 1..60),
            levels in prop::collection::vec(-3i8..3, 60 * 9),
            masked in prop::collection::vec(prop::bool::weighted(0.2), 60),
            order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle(),
        ) {
            let n_captions = video_of.len();
            let mut kept: Vec<bool> = masked[..n_captions].iter().map(|masked| !masked).collect();
            kept[0] = true;
            let scores: Vec<f32> = levels[..n_captions * 9].iter().map(|&level| f32::from(level)).collect();
            let matrix = Rows::new(RowsData::F32(&scores), n_captions, 9).unwrap();
            let pairing = Pairing::new(video_of, 9).unwrap().with_mask(kept).unwrap();
            for captions in [CaptionRule::MinRank, CaptionRule::MaxOverCaptions] {
                let whole = count_matrix(matrix, &pairing, captions).unwrap();
                for of in 1..=8 {
                    let parts = order.iter().filter(|at| **at < of).map(|at| {
                        count_matrix_part(matrix, &pairing, captions, Part::new(at + 1, of).unwrap()).unwrap()
                    });
                    prop_assert_eq!(&PartialCounts::merge(parts).unwrap(), &whole);
                }
            }
        }

        #[test]
        fn counts_give_the_ranks_that_sorting_gives(
            video_of in prop::collection::vec(0u32..5, 1..140),
            levels in prop::collection::vec(-3i8..3, 140 * 5),
            masked in prop::collection::vec(prop::bool::weighted(0.2), 140),
        ) {
            let n_captions = video_of.len();
            let mut kept: Vec<bool> = masked[..n_captions].iter().map(|masked| !masked).collect();
            kept[0] = true;
            let scores: Vec<f64> = levels[..n_captions * 5].iter().map(|&level| f64::from(level)).collect();
            let pairing = Pairing::new(video_of.clone(), 5).unwrap().with_mask(kept.clone()).unwrap();
            let counts = count(&scores, &pairing, CaptionRule::MinRank).unwrap();
            let rank = |count| crate::metric::TieRule::Average.rank(count) - 1.0;

            for (count, &caption) in counts.t2v.counts.iter().zip(&counts.t2v.queries) {
                let row = &scores[caption as usize * 5..][..5];
                prop_assert_eq!(rank(count), sorted_position(row, video_of[caption as usize] as usize));
            }
            let asking: Vec<usize> = (0..n_captions).filter(|&caption| kept[caption]).collect();
            for (count, &video) in counts.v2t.counts.iter().zip(&counts.v2t.queries) {
                let column: Vec<f64> = asking.iter().map(|caption| scores[caption * 5 + video as usize]).collect();
                let own = (0..asking.len()).filter(|&place| video_of[asking[place]] == video);
                let best = own.map(|place| sorted_position(&column, place)).min_by(f64::total_cmp);
                prop_assert_eq!(Some(rank(count)), best);
            }
        }
    }
}
