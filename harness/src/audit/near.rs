//! Rows that point in nearly the same direction: all pairs above a cosine, without a matrix of all cosines.
//!
//! Blocks of rows, scaled to length 1 in f32, are scored against each other by the `scores` kernel. Its error
//! bound decides every pair but those next to the threshold, which are computed again in f64 from the stored
//! values.

use hitbench_kernels::tolerance::score_bound;
use hitbench_kernels::{Dtype, KernelError, Rows, RowsData, scores_kernel};
use rayon::prelude::*;

use crate::eval::{EvalError, F32_KERNEL};
use crate::format::Matrix;
use crate::metric::{Groups, MetricError};

/// Least cosine of near-duplicates where none is named.
pub const NEAR: f64 = 0.999;
/// Rows of a block: two blocks have 16 MiB of cosines.
const BLOCK_ROWS: usize = 2048;
/// Most bytes of the scaled rows of a block.
const BLOCK_BYTES: usize = 32 << 20;
/// Bound of the length of a scaled row, which is 1 but for rounding.
const UNIT_LENGTH: f64 = 1.0 + 1e-6;

/// Pairs of rows that are near, and what they chain together.
#[derive(Debug)]
pub(super) struct Near {
    /// Number of pairs.
    pub(super) n_pairs: u64,
    /// The rows at their place among those that were looked at.
    pub(super) groups: Groups,
}

/// Rows that are compared.
#[derive(Clone, Copy)]
pub(super) struct Directions<'a> {
    /// Where the rows are.
    pub(super) matrix: &'a Matrix,
    /// Which of them are compared.
    pub(super) chosen: &'a [u32],
    /// Euclidean length of every row of the matrix; rows whose length is 0 or not finite are near to none.
    pub(super) lengths: &'a [f64],
}

/// Finds every pair of places `a < b` among `chosen` with a cosine of at least `least` (above 0) that `counts`.
/// The cosine is that of the stored values, computed in f64; its rounding there is in the pair's favour.
///
/// # Errors
/// [`EvalError::Metric`] when the kernel refuses the rows.
pub(super) fn near(
    rows: Directions<'_>,
    least: f64,
    counts: impl Fn(u32, u32) -> bool,
) -> Result<Near, EvalError> {
    let Directions {
        matrix,
        chosen,
        lengths,
    } = rows;
    let length = |place: u32| lengths[chosen[place as usize] as usize];
    let usable: Vec<u32> = (0..chosen.len() as u32)
        .filter(|&place| length(place) > 0.0 && length(place).is_finite())
        .collect();
    let mut found = Near {
        n_pairs: 0,
        groups: Groups::new(chosen.len()),
    };
    if usable.len() < 2 {
        return Ok(found);
    }
    let dim = matrix.n_columns();
    let per_block = BLOCK_ROWS
        .min(BLOCK_BYTES / size_of::<f32>() / dim)
        .clamp(1, usable.len());
    let kernel = scores_kernel(&F32_KERNEL.to_string()).map_err(MetricError::from)?;
    // Scaled rows are rounded from f64 to f32, which the bound for rows of f64 covers.
    let bound = score_bound(F32_KERNEL, Dtype::F64, dim, UNIT_LENGTH, UNIT_LENGTH);
    let [mut a_values, mut b_values] = [vec![0f32; per_block * dim], vec![0f32; per_block * dim]];
    let mut cosines = vec![0f32; per_block * per_block];
    for (a_block, a) in usable.chunks(per_block).enumerate() {
        let a_rows = scaled(rows, a, &mut a_values).map_err(MetricError::from)?;
        for (b_block, b) in usable.chunks(per_block).enumerate().skip(a_block) {
            let b_rows = scaled(rows, b, &mut b_values).map_err(MetricError::from)?;
            let cosines = &mut cosines[..a.len() * b.len()];
            kernel
                .scores(a_rows, b_rows, cosines)
                .map_err(MetricError::from)?;
            for (at, (&a, cosines)) in a.iter().zip(cosines.chunks(b.len())).enumerate() {
                let behind = if a_block == b_block { at + 1 } else { 0 };
                for (&b, &cosine) in b.iter().zip(cosines).skip(behind) {
                    let above = f64::from(cosine) - least;
                    if above < -bound || !counts(a, b) {
                        continue;
                    }
                    if above >= bound || is_near(rows, a, b, least) {
                        found.n_pairs += 1;
                        found.groups.join(a, b);
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Writes the rows at `places`, scaled to length 1, and views them.
fn scaled<'a>(rows: Directions<'_>, places: &[u32], out: &'a mut [f32]) -> Result<Rows<'a>, KernelError> {
    let dim = rows.matrix.n_columns();
    let stored = rows.matrix.rows();
    let out = &mut out[..places.len() * dim];
    let each = out.par_chunks_exact_mut(dim).zip(places);
    each.for_each(|(out, &place)| {
        let row = rows.chosen[place as usize] as usize;
        for (column, out) in out.iter_mut().enumerate() {
            *out = (stored.get(row, column) / rows.lengths[row]) as f32;
        }
    });
    Rows::new(RowsData::F32(out), places.len(), dim)
}

/// Whether two rows are near, in f64: the sum has `dim` roundings, a factor two, each length half of `dim`.
fn is_near(rows: Directions<'_>, a: u32, b: u32, least: f64) -> bool {
    let stored = rows.matrix.rows();
    let [a, b] = [a, b].map(|place| rows.chosen[place as usize] as usize);
    let product =
        |column| (stored.get(a, column) / rows.lengths[a]) * (stored.get(b, column) / rows.lengths[b]);
    let cosine: f64 = (0..stored.dim()).map(product).sum();
    let rounding = (2 * stored.dim() + 16) as f64 * (f64::EPSILON / 2.0);
    cosine >= least - rounding
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::eval::lengths;
    use crate::format::tests::matrix_f32;

    fn near_in(matrix: &Matrix, chosen: &[u32], least: f64) -> Near {
        let rows = Directions {
            matrix,
            chosen,
            lengths: &lengths(matrix),
        };
        near(rows, least, |_, _| true).unwrap()
    }

    #[test]
    fn direction_counts_and_length_does_not() {
        // Cosines with the first row: 1, 1, 0.8, 0; the zero row and the one with NaN have no direction.
        let (_folder, matrix) = matrix_f32(&[
            &[1.0, 0.0],
            &[3e30, 0.0],
            &[1e-30, 0.0],
            &[0.8, 0.6],
            &[0.0, 5.0],
            &[0.0, 0.0],
            &[f32::NAN, 0.0],
            &[-1.0, 0.0],
        ]);
        let all: Vec<u32> = (0..8).collect();
        let found = near_in(&matrix, &all, 1.0);
        assert_eq!((found.n_pairs, found.groups.several()), (3, vec![vec![0, 1, 2]]));
        let found = near_in(&matrix, &all, 0.79);
        assert_eq!(
            (found.n_pairs, found.groups.several()),
            (6, vec![vec![0, 1, 2, 3]])
        );
        let found = near_in(&matrix, &all, 0.5);
        assert_eq!(found.groups.several(), [[0, 1, 2, 3, 4]]);
        // Places are those among the chosen rows.
        assert_eq!(near_in(&matrix, &[4, 2, 0], 0.9).groups.several(), [[1, 2]]);
        let rows = Directions {
            matrix: &matrix,
            chosen: &all,
            lengths: &lengths(&matrix),
        };
        let found = near(rows, 1.0, |a, b| a + b != 1).unwrap();
        assert_eq!((found.n_pairs, found.groups.several()), (2, vec![vec![0, 1, 2]]));
    }

    #[test]
    fn more_rows_than_a_block() {
        // Row i points at i / 5000 of a quarter turn, so that its 9 next ones are within 10 steps.
        let n = 2 * BLOCK_ROWS + 100;
        let step = std::f64::consts::FRAC_PI_2 / 5000.0;
        let values: Vec<[f32; 2]> = (0..n)
            .map(|i| [(i as f64 * step).cos() as f32, (i as f64 * step).sin() as f32])
            .collect();
        let rows: Vec<&[f32]> = values.iter().map(|row| &row[..]).collect();
        let (_folder, matrix) = matrix_f32(&rows);
        let all: Vec<u32> = (0..n as u32).collect();
        let found = near_in(&matrix, &all, (9.5 * step).cos());
        assert_eq!(found.n_pairs, (9 * n - (1..=9).sum::<usize>()) as u64);
        assert_eq!(found.groups.several(), [all]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pairs_are_those_of_brute_force(
            levels in prop::collection::vec(-3i8..4, 3..120),
            jitter in prop::collection::vec(-1e-3f32..1e-3, 120),
            least in prop::sample::select(vec![0.9, 0.99, 0.999, 0.999_999, 1.0]),
        ) {
            let values: Vec<f32> = levels.iter().zip(&jitter).map(|(&level, jitter)| f32::from(level) + jitter).collect();
            let rows: Vec<&[f32]> = values.chunks_exact(3).collect();
            let (_folder, matrix) = matrix_f32(&rows);
            let length = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            let mut n_pairs = 0;
            let mut groups = Groups::new(rows.len());
            for (a, left) in rows.iter().enumerate() {
                for (b, right) in rows.iter().enumerate().skip(a + 1) {
                    let dot: f64 = left.iter().zip(*right).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
                    if dot / (length(left) * length(right)) >= least - 1e-14 {
                        n_pairs += 1;
                        groups.join(a as u32, b as u32);
                    }
                }
            }
            let all: Vec<u32> = (0..rows.len() as u32).collect();
            let found = near_in(&matrix, &all, least);
            prop_assert_eq!((found.n_pairs, found.groups.several()), (n_pairs, groups.several()));
        }
    }
}
