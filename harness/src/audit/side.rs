//! The findings of one side's embeddings and of a matrix, called by the ids of its texts and videos.

use super::finding::{Finding, GroupFinding, NearFinding};
use super::near::{Directions, near};
use super::rows::{
    Facts, RowFindings, ScoreFindings, across_videos, bad_rows, columns, equal_rows, facts, places,
};
use crate::eval::{EvalError, lengths, off_unit};
use crate::format::Matrix;
use crate::metric::Groups;

/// The rows of one side that take part.
pub(super) struct Side<'a> {
    /// Which rows.
    pub(super) chosen: &'a [u32],
    /// Ids of all rows.
    pub(super) ids: &'a [String],
    /// The video of each chosen row.
    pub(super) video_of: Vec<u32>,
}

impl Side<'_> {
    /// The id of the row at a place among the chosen.
    pub(super) fn id(&self, place: u32) -> String {
        self.ids[self.chosen[place as usize] as usize].clone()
    }

    fn groups(&self, groups: &Groups) -> GroupFinding {
        let across = across_videos(groups, |place| self.video_of[place as usize]);
        GroupFinding::new(&across, self.chosen.len(), |place| self.id(place), |_| None)
    }

    fn finding(&self, places: &[u32]) -> Finding {
        Finding::new(places, self.chosen.len(), |place| self.id(place))
    }
}

/// Rows that are alike, by place.
pub(super) struct RowGroups {
    /// Those that are equal, and not constant.
    pub(super) equal: Groups,
    /// Those that are near.
    pub(super) near: Groups,
}

/// Findings of the embeddings of one side; `least` is the cosine of near-duplicates.
///
/// # Errors
/// [`EvalError::Metric`] when a kernel refuses the rows.
pub(super) fn row_findings(
    matrix: &Matrix,
    side: &Side<'_>,
    least: f64,
) -> Result<(RowFindings, RowGroups), EvalError> {
    let dim = matrix.n_columns();
    let facts = facts(matrix.rows(), side.chosen);
    let all_lengths = lengths(matrix);
    let of_chosen: Vec<f64> = (side.chosen.iter())
        .map(|&row| all_lengths[row as usize])
        .collect();
    let equal = equal_rows(matrix, side.chosen);
    let rows = Directions {
        matrix,
        chosen: side.chosen,
        lengths: &all_lengths,
    };
    let apart = |a: u32, b: u32| side.video_of[a as usize] != side.video_of[b as usize];
    let near = near(rows, least, apart)?;
    let constant = |facts: &Facts| facts.is_constant(dim) && !facts.is_zero();
    let findings = RowFindings {
        dim,
        not_finite: bad_rows(matrix.rows(), side.chosen, &facts, |place| side.id(place)),
        zero: side.finding(&places(&facts, Facts::is_zero)),
        constant: side.finding(&places(&facts, constant)),
        off_unit: side.finding(&off_unit(&of_chosen, false)),
        duplicates: side.groups(&equal),
        near_duplicates: NearFinding {
            cosine: least,
            n_pairs: near.n_pairs,
            groups: side.groups(&near.groups),
        },
    };
    let telling = |facts: &Facts| !facts.is_zero() && !facts.is_constant(dim);
    let groups = RowGroups {
        equal: only(&equal, |place| telling(&facts[place as usize])),
        near: near.groups,
    };
    Ok((findings, groups))
}

/// Findings of a matrix, and the texts and videos that it cannot tell apart though they have different scores.
pub(super) fn score_findings(
    scores: &Matrix,
    texts: &Side<'_>,
    video_ids: &[String],
) -> (ScoreFindings, Groups, Groups) {
    let n_videos = scores.n_columns();
    let facts = facts(scores.rows(), texts.chosen);
    let equal = equal_rows(scores, texts.chosen);
    let columns = columns(scores.rows(), texts.chosen);
    let video_id = |video: u32| video_ids[video as usize].clone();
    let findings = ScoreFindings {
        not_finite: bad_rows(scores.rows(), texts.chosen, &facts, |place| texts.id(place)),
        constant_rows: texts.finding(&places(&facts, |facts| facts.is_constant(n_videos))),
        constant_columns: Finding::new(
            &places(&columns.constant, |&constant| constant),
            n_videos,
            video_id,
        ),
        duplicate_rows: texts.groups(&equal),
        duplicate_columns: GroupFinding::new(&columns.equal.several(), n_videos, video_id, |_| None),
    };
    let rows = only(&equal, |place| !facts[place as usize].is_constant(n_videos));
    let columns = only(&columns.equal, |video| !columns.constant[video as usize]);
    (findings, rows, columns)
}

/// The groups for whose first member something is true; others fall apart.
fn only(groups: &Groups, holds: impl Fn(u32) -> bool) -> Groups {
    let mut left = Groups::new(groups.n_items());
    for group in groups.several().into_iter().filter(|group| holds(group[0])) {
        for &other in &group[1..] {
            left.join(group[0], other);
        }
    }
    left
}
