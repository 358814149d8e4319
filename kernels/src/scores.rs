//! Blocks of scores, written out or reduced to the best few.

use crate::kernel::Kernel;
use crate::{KernelError, Rows};

/// Writes score matrices, for export and small sets.
pub trait Scores: Kernel {
    /// Writes `out[q * n_gallery + g] = <query[q, :], gallery[g, :]>`; rows are used as given, not normalised.
    ///
    /// Shapes: `query [n_queries, dim]`, `gallery [n_gallery, dim]`, `out [n_queries, n_gallery]`, row-major.
    /// Sums are in the kernel's score type, then rounded to `f32`.
    ///
    /// # Errors
    /// As [`crate::RankCounts::rank_counts`]; `out` is then untouched.
    fn scores(&self, query: Rows<'_>, gallery: Rows<'_>, out: &mut [f32]) -> Result<(), KernelError>;

    /// The same scores as [`crate::RankCounts`] compares them: in the kernel's score type, widened to `f64`.
    ///
    /// # Errors
    /// As [`Self::scores`].
    fn wide_scores(&self, query: Rows<'_>, gallery: Rows<'_>, out: &mut [f64]) -> Result<(), KernelError> {
        let mut scores = vec![0.0; out.len()];
        self.scores(query, gallery, &mut scores)?;
        for (wide, score) in out.iter_mut().zip(scores) {
            *wide = f64::from(score);
        }
        Ok(())
    }
}

/// A gallery item and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Gallery row.
    pub item: u32,
    /// Score, widened from the kernel's score type.
    pub score: f64,
}

/// Finds the best gallery items of each query without sorting rows of scores.
pub trait TopK: Kernel {
    /// The `min(k, n_gallery)` best items of each query, best first, equal scores by lower index:
    /// `[n_queries, min(k, n_gallery)]`, row-major.
    ///
    /// # Errors
    /// As [`crate::RankCounts::rank_counts`].
    fn top_k(&self, query: Rows<'_>, gallery: Rows<'_>, k: usize) -> Result<Vec<Hit>, KernelError>;
}

/// Checks that query and gallery rows are of one length.
pub(crate) fn check_dims(query: Rows<'_>, gallery: Rows<'_>) -> Result<(), KernelError> {
    if query.dim() == gallery.dim() {
        return Ok(());
    }
    Err(KernelError::DimMismatch {
        query: query.dim(),
        gallery: gallery.dim(),
    })
}

/// Checks that `buffer` of `found` elements has the `expected` ones.
pub(crate) fn check_len(what: &'static str, expected: usize, found: usize) -> Result<(), KernelError> {
    if expected == found {
        return Ok(());
    }
    Err(KernelError::Length {
        what,
        expected,
        found,
    })
}
