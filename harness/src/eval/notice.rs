//! What a user should know beside the numbers.

use std::borrow::Cow;
use std::fmt;

use hitbench_kernels::Rows;

use serde::{Deserialize, Serialize};

use super::join::{Joined, JoinedBy};
use super::norms::NORM_TOLERANCE;
use crate::metric::DirectionMetrics;

/// Fewest texts whose order is judged by their scores.
const FEWEST_JUDGED: usize = 20;
/// Share of texts that must score higher by position than by id before the order is doubted.
const DOUBTFUL_SHARE: f64 = 0.75;
/// Cut-off at which a ranking is held against chance.
pub(super) const CHANCE_CUT: u64 = 10;
/// Standard deviations above chance below which a ranking is taken for chance.
const CHANCE_DEVIATIONS: f64 = 4.0;

/// Something that may be wrong with what was given, though it can be evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Notice {
    /// Embeddings that are not of unit length, so that dot products are no cosines.
    Norms {
        /// `text` or `video`.
        side: Cow<'static, str>,
        /// Rows of another length.
        n: usize,
        /// Rows.
        of: usize,
    },
    /// The ids of both sides are the same in different orders.
    Reordered {
        /// Number of ids.
        n: usize,
    },
    /// Scores say that rows and columns lie in one order, and the ids say otherwise.
    DiagonalWins {
        /// Texts that score higher with the video of their position than with that of their id.
        n: usize,
        /// Texts for which position and id differ.
        of: usize,
    },
    /// Queries whose lists hold no true item.
    NotListed {
        /// How many.
        n: usize,
        /// Queries.
        of: usize,
    },
    /// Queries whose lists hold some of their true items and not all.
    PartlyListed {
        /// How many.
        n: usize,
        /// Queries.
        of: usize,
    },
    /// Cut-offs beyond the end of the shortest list.
    CutOffs {
        /// The cut-offs, ascending.
        cuts: Vec<u64>,
        /// Items in the shortest list.
        shortest: u64,
    },
    /// Queries with true items of several grades, which all count alike.
    Grades {
        /// How many.
        n: usize,
    },
    /// Keys of a predictions file that were not looked at.
    PassedOver {
        /// The first of them.
        keys: Vec<String>,
    },
    /// Rows paired by position are ranked as by chance.
    LikeChance {
        /// Texts whose video is among the ten best.
        hits: u64,
        /// Texts.
        of: u64,
        /// Videos.
        n_gallery: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Norms { side, n, of } => write!(
                f,
                "{n} of {of} {side} rows have a length further than {NORM_TOLERANCE} from 1: scores are dot \
                 products, and --normalize makes them cosines"
            ),
            Self::Reordered { n } => write!(
                f,
                "texts and videos have the same {n} ids in different orders: joined by id, not by position"
            ),
            Self::DiagonalWins { n, of } => write!(
                f,
                "{n} of {of} texts score higher with the video of their row number than with the video of their \
                 id: the matrix seems to have both sides in one order and the id files two (as \
                 MSRVTT_JSFUSION_test.csv and val_list_jsfusion.txt have)"
            ),
            Self::NotListed { n, of } => write!(
                f,
                "{n} of {of} queries have no true item in their list: a miss at every K, and 0 in MRR, mAP and \
                 nDCG@10, as in trec_eval; MnR is unknown"
            ),
            Self::PartlyListed { n, of } => write!(
                f,
                "{n} of {of} queries lack some of their true items in their list: these add 0 to mAP, nDCG@10 and \
                 true recall, as in trec_eval"
            ),
            Self::CutOffs { cuts, shortest } => {
                let cuts: Vec<String> = cuts.iter().map(|k| format!("R@{k}")).collect();
                write!(
                    f,
                    "{} left out: the shortest list has {shortest} items",
                    cuts.join(", ")
                )
            }
            Self::Grades { n } => write!(
                f,
                "{n} queries have true items of several grades: all count alike, so that nDCG@10 is not the graded \
                 one of trec_eval"
            ),
            Self::PassedOver { keys } => write!(f, "only `VR` is evaluated, and not `{}`", keys.join("`, `")),
            Self::LikeChance { hits, of, n_gallery } => write!(
                f,
                "paired by position, {hits} of {of} texts have their video among the {CHANCE_CUT} best of \
                 {n_gallery}, as a random order would: are rows and columns in the same order? --text-ids and \
                 --video-ids join them by id"
            ),
        }
    }
}

/// What the ids say about order, held against the scores: the trap of one list in the order of a CSV file and
/// the other sorted. `scored` gives the score of a row and a column.
pub(super) fn of_order(joined: &Joined, scored: impl Fn(usize, usize) -> f64) -> Vec<Notice> {
    if joined.by != JoinedBy::ReorderedIds {
        return Vec::new();
    }
    let pairing = &joined.pairing;
    let moved = pairing.kept_captions().into_iter().filter_map(|text| {
        let (row, video) = (text as usize, pairing.video_of(text) as usize);
        (row != video && row < pairing.n_videos()).then(|| scored(row, row) > scored(row, video))
    });
    let wins: Vec<bool> = moved.collect();
    let n = wins.iter().filter(|&&wins| wins).count();
    let mut notices = vec![Notice::Reordered {
        n: pairing.n_videos(),
    }];
    if wins.len() >= FEWEST_JUDGED && n as f64 > DOUBTFUL_SHARE * wins.len() as f64 {
        notices.push(Notice::DiagonalWins { n, of: wins.len() });
    }
    notices
}

/// Whether a ranking of rows paired by position is no better than a random one; `hits` of its texts have their
/// video among the ten best.
pub(super) fn of_chance(joined: &Joined, t2v: &DirectionMetrics, hits: f64) -> Option<Notice> {
    let (of, n_gallery) = (t2v.n_queries, t2v.n_gallery?);
    let share = CHANCE_CUT as f64 / n_gallery as f64;
    let expected = share * of as f64;
    let deviation = (expected * (1.0 - share)).max(0.0).sqrt();
    // In a gallery that small, chance is a good score.
    let judged = joined.by == JoinedBy::Position && n_gallery >= 10 * CHANCE_CUT;
    (judged && hits <= expected + CHANCE_DEVIATIONS * deviation).then_some(Notice::LikeChance {
        hits: hits.round() as u64,
        of,
        n_gallery,
    })
}

/// The dot product of two rows in f64.
pub(super) fn dot(a: Rows<'_>, row: usize, b: Rows<'_>, column: usize) -> f64 {
    (0..a.dim()).map(|i| a.get(row, i) * b.get(column, i)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Pairing;

    fn joined(order: &[u32], by: JoinedBy) -> Joined {
        let n = order.len();
        Joined {
            pairing: Pairing::new(order.to_vec(), n).unwrap(),
            text_ids: (0..n).map(|i| i.to_string()).collect(),
            video_ids: order.iter().map(ToString::to_string).collect(),
            kept_videos: None,
            problems: Vec::new(),
            by,
        }
    }

    #[test]
    fn ids_in_two_orders_are_said_and_doubted_where_scores_deny_them() {
        let reversed: Vec<u32> = (0..40).rev().collect();
        let given = joined(&reversed, JoinedBy::ReorderedIds);
        let diagonal = |row: usize, column: usize| f64::from(u8::from(row == column));
        let by_id = |row: usize, column: usize| f64::from(u8::from(row + column == 39));
        assert_eq!(of_order(&given, by_id), [Notice::Reordered { n: 40 }]);
        assert_eq!(
            of_order(&given, diagonal),
            [
                Notice::Reordered { n: 40 },
                Notice::DiagonalWins { n: 40, of: 40 }
            ]
        );
        assert_eq!(of_order(&joined(&reversed, JoinedBy::Ids), diagonal), []);
    }

    #[test]
    fn chance_is_told_from_skill() {
        let metrics = |n_queries, n_gallery| DirectionMetrics {
            n_queries,
            n_gallery: Some(n_gallery),
            ..crate::eval::tests::some_metrics()
        };
        let given = joined(&[0, 1], JoinedBy::Position);
        // Ten hits of a thousand are expected, with a standard deviation of 3.1.
        assert!(of_chance(&given, &metrics(1000, 1000), 22.0).is_some());
        assert!(of_chance(&given, &metrics(1000, 1000), 23.0).is_none());
        assert!(of_chance(&given, &metrics(24, 24), 10.0).is_none());
        assert!(of_chance(&joined(&[0, 1], JoinedBy::Ids), &metrics(1000, 1000), 10.0).is_none());
    }
}
