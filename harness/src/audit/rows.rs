//! Findings about rows and columns as they are stored: values that are not finite, rows without information, equal
//! rows.

use std::collections::HashMap;

use hitbench_kernels::Rows;
use rayon::prelude::*;
use serde::Serialize;

use super::finding::{BadRows, BadValue, Finding, GroupFinding, NearFinding, first_of, share};
use crate::format::Matrix;
use crate::metric::Groups;

/// What was found in the embeddings of one side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowFindings {
    /// Values a row.
    pub dim: usize,
    /// Rows that hold NaN or infinity.
    pub not_finite: BadRows,
    /// Rows of zeros.
    pub zero: Finding,
    /// Rows of one value throughout, other than 0, where rows have several values.
    pub constant: Finding,
    /// Rows whose length is further than [`NORM_TOLERANCE`](crate::eval::NORM_TOLERANCE) from 1, unless all have one length.
    pub off_unit: Finding,
    /// Rows that are bit for bit that of another video.
    pub duplicates: GroupFinding,
    /// Rows that point in nearly the direction of another video's; equal ones are among them.
    pub near_duplicates: NearFinding,
}

/// What was found in a matrix of scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreFindings {
    /// Rows that hold NaN or infinity.
    pub not_finite: BadRows,
    /// Texts that score the same with all videos, where there are several.
    pub constant_rows: Finding,
    /// Videos that score the same with all texts, where there are several.
    pub constant_columns: Finding,
    /// Texts whose row is bit for bit that of another video's text.
    pub duplicate_rows: GroupFinding,
    /// Videos whose column is bit for bit that of another.
    pub duplicate_columns: GroupFinding,
}

/// What one row holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Facts {
    n_bad: usize,
    first_bad: Option<usize>,
    /// Its one value, where all are equal.
    only: Option<f64>,
}

impl Facts {
    /// Whether all values are 0.
    pub(super) fn is_zero(&self) -> bool {
        self.only == Some(0.0)
    }

    /// Whether the row is one value throughout and has several.
    pub(super) fn is_constant(&self, dim: usize) -> bool {
        self.only.is_some() && dim > 1
    }

    /// Whether NaN or infinity is in it.
    pub(super) fn is_bad(&self) -> bool {
        self.n_bad > 0
    }
}

/// Looks at the rows `chosen`, in their order.
pub(super) fn facts(rows: Rows<'_>, chosen: &[u32]) -> Vec<Facts> {
    let of = |&row: &u32| {
        let row = row as usize;
        let first = rows.get(row, 0);
        let (mut n_bad, mut first_bad, mut constant) = (0, None, first.is_finite());
        for column in 0..rows.dim() {
            let value = rows.get(row, column);
            constant &= value == first;
            if !value.is_finite() {
                n_bad += 1;
                first_bad = first_bad.or(Some(column));
            }
        }
        Facts {
            n_bad,
            first_bad,
            only: constant.then_some(first),
        }
    };
    chosen.par_iter().map(of).collect()
}

/// The rows with values that are not finite; `id` names the row at a place among `chosen`.
pub(super) fn bad_rows(
    rows: Rows<'_>,
    chosen: &[u32],
    facts: &[Facts],
    id: impl Fn(u32) -> String,
) -> BadRows {
    let bad = places(facts, Facts::is_bad);
    let example = |&place: &u32| {
        let column = facts[place as usize].first_bad?;
        let row = chosen[place as usize] as usize;
        Some(BadValue {
            id: id(place),
            row,
            column,
            value: rows.get(row, column).to_string(),
        })
    };
    BadRows {
        n: bad.len(),
        of: chosen.len(),
        share: share(bad.len(), chosen.len()),
        n_values: facts.iter().map(|facts| facts.n_bad).sum(),
        first: first_of(&bad).iter().filter_map(example).collect(),
    }
}

/// The places for which something is true.
pub(super) fn places<T>(all: &[T], is: impl Fn(&T) -> bool) -> Vec<u32> {
    (0u32..)
        .zip(all)
        .filter_map(|(place, item)| is(item).then_some(place))
        .collect()
}

/// Groups the rows `chosen`, by place, that are bit for bit the same: by hash, then by comparison.
pub(super) fn equal_rows(matrix: &Matrix, chosen: &[u32]) -> Groups {
    let row_bytes = matrix.bytes().len() / matrix.n_rows();
    let mut first: HashMap<&[u8], u32> = HashMap::with_capacity(chosen.len());
    let mut groups = Groups::new(chosen.len());
    for (place, &row) in (0u32..).zip(chosen) {
        let bytes = &matrix.bytes()[row as usize * row_bytes..][..row_bytes];
        let first = *first.entry(bytes).or_insert(place);
        groups.join(first, place);
    }
    groups
}

/// What the columns of a matrix hold in some of its rows.
pub(super) struct Columns {
    /// Columns that are bit for bit the same.
    pub(super) equal: Groups,
    /// Whether a column is one finite value throughout and has several.
    pub(super) constant: Vec<bool>,
}

/// Looks at all columns in the rows `chosen`, of which there must be one: in one pass by row that hashes them, and
/// then at columns of one hash.
pub(super) fn columns(rows: Rows<'_>, chosen: &[u32]) -> Columns {
    let at = |row: u32, column: usize| rows.get(row as usize, column);
    let first: Vec<f64> = (0..rows.dim()).map(|column| at(chosen[0], column)).collect();
    let mut constant: Vec<bool> = first
        .iter()
        .map(|value| value.is_finite() && chosen.len() > 1)
        .collect();
    let mut hashes = vec![0u64; rows.dim()];
    for &row in chosen {
        let each = hashes.iter_mut().zip(&mut constant).zip(&first).enumerate();
        for (column, ((hash, constant), first)) in each {
            let value = at(row, column);
            *constant &= value == *first;
            *hash = mixed(*hash, value.to_bits());
        }
    }
    let same = |a: usize, b: usize| {
        let mut rows = chosen.iter();
        rows.all(|&row| at(row, a).to_bits() == at(row, b).to_bits())
    };
    let mut equal = Groups::new(rows.dim());
    let mut of_hash: HashMap<u64, Vec<u32>> = HashMap::with_capacity(rows.dim());
    for (column, hash) in (0u32..).zip(hashes) {
        let others = of_hash.entry(hash).or_default();
        match others
            .iter()
            .find(|&&other| same(other as usize, column as usize))
        {
            Some(&other) => equal.join(other, column),
            None => others.push(column),
        }
    }
    Columns { equal, constant }
}

/// A hash with one value more: a step of a multiplicative hash with an odd constant from the golden ratio.
fn mixed(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The groups that hold items of several videos; `video_of` gives that of an item.
pub(super) fn across_videos(groups: &Groups, video_of: impl Fn(u32) -> u32) -> Vec<Vec<u32>> {
    let mut several = groups.several();
    several.retain(|group| group.iter().any(|&item| video_of(item) != video_of(group[0])));
    several
}

#[cfg(test)]
mod tests {
    use hitbench_kernels::RowsData;
    use proptest::prelude::*;

    use super::*;
    use crate::format::tests::matrix_f32;

    fn text(place: u32) -> String {
        format!("t{place}")
    }

    #[test]
    fn rows_without_information_are_told_apart() {
        let (_folder, matrix) = matrix_f32(&[
            &[0.0, -0.0],
            &[2.0, 2.0],
            &[1.0, 2.0],
            &[f32::NAN, f32::INFINITY],
            &[1.0, f32::NEG_INFINITY],
        ]);
        let chosen = [0, 1, 2, 3, 4];
        let found = facts(matrix.rows(), &chosen);
        assert_eq!(places(&found, Facts::is_zero), [0]);
        assert_eq!(places(&found, |facts| facts.is_constant(2)), [0, 1]);
        assert_eq!(places(&found, |facts| facts.is_constant(1)), [0; 0]);
        let bad = bad_rows(matrix.rows(), &chosen, &found, text);
        assert_eq!((bad.n, bad.of, bad.n_values), (2, 5, 3));
        let examples: Vec<(&str, usize, &str)> = (bad.first.iter())
            .map(|bad| (bad.id.as_str(), bad.column, bad.value.as_str()))
            .collect();
        assert_eq!(examples, [("t3", 0, "NaN"), ("t4", 1, "-inf")]);
        // The same rows in another order, with their numbers in the file.
        let bad = bad_rows(matrix.rows(), &[4, 2], &facts(matrix.rows(), &[4, 2]), text);
        assert_eq!((bad.n, bad.first[0].row, &bad.first[0].id), (1, 4, &text(0)));
    }

    #[test]
    fn equal_rows_are_equal_in_every_bit() {
        let (_folder, matrix) =
            matrix_f32(&[&[0.0, 1.0], &[-0.0, 1.0], &[0.0, 1.0], &[3.0, 1.0], &[-0.0, 1.0]]);
        let groups = equal_rows(&matrix, &[0, 1, 2, 3, 4]);
        assert_eq!(groups.several(), [[0, 2], [1, 4]]);
        assert_eq!(equal_rows(&matrix, &[1, 2, 4]).several(), [[0, 2]]);
        assert_eq!(across_videos(&groups, |item| item / 3), [[1, 4]]);
    }

    proptest! {
        #[test]
        fn columns_are_those_of_the_transpose(levels in prop::collection::vec(0u8..2, 1..60), n_columns in 1usize..8) {
            let n_rows = levels.len().div_ceil(n_columns);
            let values: Vec<f64> = (0..n_rows * n_columns).map(|at| f64::from(levels[at % levels.len()])).collect();
            let rows = Rows::new(RowsData::F64(&values), n_rows, n_columns).unwrap();
            let chosen: Vec<u32> = (0..n_rows as u32).filter(|row| row % 3 != 1).collect();
            let column = |column: usize| -> Vec<f64> { chosen.iter().map(|&row| rows.get(row as usize, column)).collect() };
            let found = columns(rows, &chosen);
            let firsts: Vec<u32> = (0..n_columns)
                .map(|a| (0..=a).find(|&b| column(a) == column(b)).unwrap() as u32)
                .collect();
            prop_assert_eq!(found.equal.firsts(), firsts);
            for (at, &constant) in found.constant.iter().enumerate() {
                let values = column(at);
                prop_assert_eq!(constant, values.len() > 1 && values.iter().all(|value| *value == values[0]));
            }
        }
    }
}
