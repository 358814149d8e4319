//! Checks of rows before any arithmetic: every element finite in the kernel's element type, no score that could
//! overflow.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use crate::info_nce::InfoNceJob;
use crate::matrix::RowsData;
use crate::rank::{Direction, RankJob};
use crate::{Dtype, KernelError, Rows};

/// Name of the query side in errors.
pub(crate) const QUERY: &str = "query";
/// Name of the gallery side in errors.
pub(crate) const GALLERY: &str = "gallery";

/// Name of keys to be written into a queue, in errors.
pub(crate) const KEY: &str = "key";

/// Rows looked at by one task.
const CHUNK: usize = 256;
/// Elements narrowed to f16 at a time.
const NARROWED: usize = 256;

/// The largest Euclidean norm among the rows of one side, 0 without rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RowNorm(pub(crate) f64);

impl RowNorm {
    /// The norm.
    pub(crate) fn get(self) -> f64 {
        self.0
    }

    /// That of the rows of both.
    fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}

/// Finds the longest row of `rows`, converted to `dtype`.
///
/// # Errors
/// [`KernelError::NotFinite`] or [`KernelError::Overflow`] for the first bad element in row-major order.
pub(crate) fn scan(side: &'static str, rows: Rows<'_>, dtype: Dtype) -> Result<RowNorm, KernelError> {
    scan_rows(side, rows, dtype, rows.n_rows(), |row| row)
}

/// Finds the longest query and the longest gallery row that `job` reads, converted to `dtype`.
///
/// # Errors
/// As [`scan`], which looks at the queries first, then at the part, then at true items elsewhere.
pub(crate) fn scan_job(job: &RankJob<'_>, dtype: Dtype) -> Result<[RowNorm; 2], KernelError> {
    let Direction { query, own, .. } = job.t2v_direction();
    let elsewhere = own.outside(&job.part);
    let (gallery, start) = (job.gallery, job.part.start);
    let queries = scan_rows(QUERY, query.rows, dtype, query.len(), |item| query.row(item))?;
    let part = scan_rows(GALLERY, gallery, dtype, job.part.len(), |item| start + item)?;
    let own = scan_rows(GALLERY, gallery, dtype, elsewhere.len(), |at| {
        elsewhere[at] as usize
    })?;
    Ok([queries, part.max(own)])
}

/// Finds the longest of `n` rows, which `row` numbers.
fn scan_rows(
    side: &'static str,
    rows: Rows<'_>,
    dtype: Dtype,
    n: usize,
    row: impl Fn(usize) -> usize + Sync,
) -> Result<RowNorm, KernelError> {
    let results: Vec<Result<f64, KernelError>> = (0..n.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let start = chunk * CHUNK;
            let end = n.min(start + CHUNK);
            let mut scratch = vec![0.0; rows.dim()];
            (start..end).try_fold(0.0_f64, |longest, at| {
                Ok(longest.max(squared_norm(side, rows, row(at), dtype, &mut scratch)?))
            })
        })
        .collect();
    let mut longest = 0.0_f64;
    for result in results {
        longest = longest.max(result?);
    }
    Ok(RowNorm(longest.sqrt()))
}

/// Refuses rows whose scores might leave the finite numbers of the score type, whose largest one is `largest`.
/// No partial sum of a dot product exceeds the product of the norms (Cauchy-Schwarz); the factor 2 covers
/// rounding.
pub(crate) fn score_range(query: RowNorm, gallery: RowNorm, largest: f64) -> Result<(), KernelError> {
    if query.0 * gallery.0 < largest / 2.0 {
        return Ok(());
    }
    Err(KernelError::ScoreRange {
        query: query.0,
        gallery: gallery.0,
    })
}

/// Checks all rows of an InfoNCE term, the batch converted to `batch_dtype` and the queue to `queue_dtype`, and that
/// every logit keeps fraction bits in f32: none may exceed 2^18.
pub(crate) fn logit_range(
    job: &InfoNceJob<'_>,
    batch_dtype: Dtype,
    queue_dtype: Dtype,
) -> Result<(), KernelError> {
    let norms = [
        scan(QUERY, job.query, batch_dtype)?,
        scan("positive", job.positive, batch_dtype)?,
        scan("queue", job.queue, queue_dtype)?,
    ];
    logit_norms(norms, job.temperature)
}

/// Checks that every logit of an InfoNCE term keeps fraction bits in f32, from the longest queries, positives and rows
/// of the queue.
pub(crate) fn logit_norms(
    [query, positive, queue]: [RowNorm; 3],
    temperature: f64,
) -> Result<(), KernelError> {
    let largest = f64::from(1 << 18) * temperature;
    for keys in [positive, queue] {
        score_range(query, keys, 2.0 * largest)?;
    }
    Ok(())
}

/// Writes `row` of `rows`, converted to `dtype`, to `out`, whose length is `dim`.
pub(crate) fn load_row(rows: Rows<'_>, row: usize, dtype: Dtype, out: &mut [f32]) {
    convert(rows, row * rows.dim()..(row + 1) * rows.dim(), dtype, out);
}

/// Writes the elements `range` of `rows`, counted through all rows and converted to `dtype`, to `out`, which has as
/// many.
pub(crate) fn convert(rows: Rows<'_>, range: Range<usize>, dtype: Dtype, out: &mut [f32]) {
    match (rows.data(), dtype) {
        (RowsData::F16(data), _) => data[range].convert_to_f32_slice(out),
        (RowsData::F32(data), Dtype::F16) => {
            // Whole pieces, for which the conversion looks once what the processor has.
            let mut narrow = [f16::ZERO; NARROWED];
            for (out, wide) in out.chunks_mut(NARROWED).zip(data[range].chunks(NARROWED)) {
                let narrow = &mut narrow[..wide.len()];
                narrow.convert_from_f32_slice(wide);
                narrow.convert_to_f32_slice(out);
            }
        }
        (RowsData::F64(data), Dtype::F16) => {
            for (out, &x) in out.iter_mut().zip(&data[range]) {
                *out = f16::from_f64(x).to_f32();
            }
        }
        (RowsData::F32(data), _) => out.copy_from_slice(&data[range]),
        (RowsData::F64(data), _) => {
            for (out, &x) in out.iter_mut().zip(&data[range]) {
                *out = x as f32;
            }
        }
    }
}

fn squared_norm(
    side: &'static str,
    rows: Rows<'_>,
    row: usize,
    dtype: Dtype,
    scratch: &mut [f32],
) -> Result<f64, KernelError> {
    load_row(rows, row, dtype, scratch);
    let mut sums = [0.0_f32; 16];
    let (chunks, rest) = scratch.as_chunks::<16>();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x * x;
        }
    }
    let quick: f32 = sums.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>();
    if quick.is_finite() {
        return Ok(f64::from(quick));
    }
    // Something is not finite, or only the f32 sum of squares is: look closely.
    let mut squares = 0.0;
    for (column, converted) in scratch.iter().enumerate() {
        let value = rows.get(row, column);
        if !value.is_finite() {
            return Err(KernelError::NotFinite {
                side,
                row,
                column,
                value,
            });
        }
        if dtype != Dtype::F64 && !converted.is_finite() {
            return Err(KernelError::Overflow {
                side,
                row,
                column,
                value,
                dtype,
            });
        }
        squares += value * value;
    }
    Ok(squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(data: &[f32]) -> Rows<'_> {
        Rows::new(RowsData::F32(data), 2, data.len() / 2).unwrap()
    }

    #[test]
    fn finds_the_longest_row_and_the_first_bad_element() {
        let norm = scan(QUERY, rows(&[3.0, 4.0, 1.0, 0.0]), Dtype::F32).unwrap();
        assert_eq!(norm, RowNorm(5.0));
        let error = scan(QUERY, rows(&[3.0, 4.0, f32::NAN, f32::INFINITY]), Dtype::F32).unwrap_err();
        assert!(matches!(
            error,
            KernelError::NotFinite {
                side: "query",
                row: 1,
                column: 0,
                ..
            }
        ));
        let error = scan(GALLERY, rows(&[3.0, -70000.0, 0.0, 0.0]), Dtype::F16).unwrap_err();
        assert!(matches!(
            error,
            KernelError::Overflow {
                side: "gallery",
                row: 0,
                column: 1,
                dtype: Dtype::F16,
                ..
            }
        ));
    }

    #[test]
    fn norms_beyond_f32_are_measured_and_judged() {
        let long = scan(QUERY, rows(&[3e30, 4e30, 0.0, 0.0]), Dtype::F32).unwrap();
        assert!((long.0 / 5e30 - 1.0).abs() < 1e-6);
        assert!(matches!(
            score_range(long, long, f64::from(f32::MAX)),
            Err(KernelError::ScoreRange { .. })
        ));
        assert!(score_range(long, long, f64::MAX).is_ok());
    }
}
