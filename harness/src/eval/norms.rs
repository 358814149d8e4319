//! Lengths of embeddings: how many are not 1, and rows scaled to 1.

use half::f16;
use hitbench_kernels::{Dtype, RowsData};
use rayon::prelude::*;

use super::error::EvalError;
use crate::format::Aligned;
use crate::format::{Matrix, Values};

/// How far from 1 the length of a row may lie before it is counted.
pub const NORM_TOLERANCE: f64 = 1e-3;

/// A stored value that widens exactly.
trait Value: Copy + Sync {
    fn widen(self) -> f64;
}

impl Value for f16 {
    fn widen(self) -> f64 {
        self.to_f64()
    }
}

impl Value for f32 {
    fn widen(self) -> f64 {
        self.into()
    }
}

impl Value for f64 {
    fn widen(self) -> f64 {
        self
    }
}

/// Places of the lengths that are further than [`NORM_TOLERANCE`] from 1; of those that are not finite nothing is said.
/// Unless `scale_counts`, none where all have one length to within as much: dot products rank such rows as cosines do.
pub(crate) fn off_unit(lengths: &[f64], scale_counts: bool) -> Vec<u32> {
    let finite = || lengths.iter().copied().filter(|length| length.is_finite());
    let (smallest, largest) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(0.0, f64::max),
    );
    if !scale_counts && largest > 0.0 && largest - smallest <= NORM_TOLERANCE * largest {
        return Vec::new();
    }
    let is_off = |length: f64| length.is_finite() && (length - 1.0).abs() > NORM_TOLERANCE;
    (0..)
        .zip(lengths)
        .filter_map(|(place, length)| is_off(*length).then_some(place))
        .collect()
}

/// Euclidean length of every row; of a row with NaN it is NaN.
pub(crate) fn lengths(matrix: &Matrix) -> Vec<f64> {
    fn of<T: Value>(values: &[T], dim: usize) -> Vec<f64> {
        values.par_chunks_exact(dim).map(norm).collect()
    }
    let dim = matrix.n_columns();
    match matrix.rows().data() {
        RowsData::F16(values) => of(values, dim),
        RowsData::F32(values) => of(values, dim),
        RowsData::F64(values) => of(values, dim),
    }
}

/// The rows `chosen` scaled to length 1, other rows zero: in f64 for f64, else in f32. Each value is rounded once.
///
/// # Errors
/// [`EvalError::ZeroRow`] and [`EvalError::NotFinite`] for the first row among `chosen` that has no length, and
/// [`EvalError::Memory`].
pub(super) fn normalised(matrix: Matrix, chosen: &[u32]) -> Result<Matrix, EvalError> {
    let wide = matrix.dtype() == Dtype::F64;
    let n_bytes =
        matrix.n_rows() * matrix.n_columns() * if wide { size_of::<f64>() } else { size_of::<f32>() };
    let mut out = Aligned::zeros(n_bytes).map_err(|error| EvalError::memory(matrix.location(), error))?;
    let mut taking_part = vec![false; matrix.n_rows()];
    for &row in chosen {
        taking_part[row as usize] = true;
    }
    let bytes = out.bytes_mut();
    let bad = match matrix.rows().data() {
        RowsData::F16(values) => scale(values, bytemuck::cast_slice_mut(bytes), &taking_part, |x| {
            x as f32
        }),
        RowsData::F32(values) => scale(values, bytemuck::cast_slice_mut(bytes), &taking_part, |x| {
            x as f32
        }),
        RowsData::F64(values) => scale(values, bytemuck::cast_slice_mut(bytes), &taking_part, |x| x),
    };
    if let Some((row, column)) = bad {
        let location = matrix.location().clone();
        return Err(match column {
            None => EvalError::ZeroRow { location, row },
            Some(column) => EvalError::NotFinite {
                location,
                row,
                column,
                value: matrix.rows().get(row, column),
            },
        });
    }
    Ok(matrix.with_values(if wide { Values::F64(out) } else { Values::F32(out) }))
}

/// Writes scaled rows; the first row without a length, with the column of a value that is not finite.
fn scale<T: Value, U: Send>(
    values: &[T],
    out: &mut [U],
    taking_part: &[bool],
    narrow: impl Fn(f64) -> U + Sync,
) -> Option<(usize, Option<usize>)> {
    let dim = values.len() / taking_part.len();
    let rows = out.par_chunks_exact_mut(dim).zip(values.par_chunks_exact(dim));
    rows.enumerate()
        .filter(|(row, _)| taking_part[*row])
        .filter_map(|(row, (out, values))| {
            let norm = norm(values);
            if norm == 0.0 || !norm.is_finite() {
                return Some((row, values.iter().position(|value| !value.widen().is_finite())));
            }
            for (out, value) in out.iter_mut().zip(values) {
                *out = narrow(value.widen() / norm);
            }
            None
        })
        .min()
}

/// Euclidean length, safe from overflow and underflow of the squares.
fn norm<T: Value>(row: &[T]) -> f64 {
    let largest = row.iter().map(|value| value.widen().abs()).fold(0.0, f64::max);
    if row.iter().any(|value| value.widen().is_nan()) {
        return f64::NAN;
    }
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let squares: f64 = row.iter().map(|value| (value.widen() / largest).powi(2)).sum();
    largest * squares.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::matrix_f32;

    #[test]
    fn rows_become_unit_whatever_their_size() {
        let (_folder, matrix) = matrix_f32(&[&[3e30, 4e30], &[-0.6, 0.8], &[0.0, 1e-30], &[f32::NAN, 0.0]]);
        assert_eq!(off_unit(&lengths(&matrix), false), [0, 2]);
        let unit = normalised(matrix, &[0, 1, 2]).unwrap();
        let RowsData::F32(values) = unit.rows().data() else {
            panic!("f32 stays f32")
        };
        for (found, expected) in values.iter().zip([0.6, 0.8, -0.6, 0.8, 0.0, 1.0, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-7, "{values:?}");
        }
        assert_eq!(off_unit(&lengths(&unit)[..3], true), [0; 0]);
    }

    #[test]
    fn rows_of_one_length_are_as_good_as_unit_rows() {
        assert_eq!(off_unit(&[5.0, 5.001, f64::NAN], false), [0; 0]);
        assert_eq!(off_unit(&[5.0, 5.001, f64::NAN], true), [0, 1]);
        assert_eq!(off_unit(&[5.0, 5.1], false), [0, 1]);
        assert_eq!(off_unit(&[0.0, 0.0], false), [0, 1]);
        assert_eq!(
            off_unit(&[1.0, 1.0009, 0.998, f64::NAN, 0.0, f64::INFINITY], false),
            [2, 4]
        );
    }

    #[test]
    fn rows_without_a_length_are_named() {
        let rows: [&[f32]; 3] = [&[1.0, 0.0], &[0.0, 0.0], &[0.0, f32::INFINITY]];
        let (_folder, matrix) = matrix_f32(&rows);
        assert!(matches!(
            normalised(matrix, &[0, 1, 2]),
            Err(EvalError::ZeroRow { row: 1, .. })
        ));
        let (_folder, matrix) = matrix_f32(&rows);
        assert!(matches!(
            normalised(matrix, &[0, 2]),
            Err(EvalError::NotFinite {
                row: 2,
                column: 1,
                value: f64::INFINITY,
                ..
            })
        ));
    }
}
