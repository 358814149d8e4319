//! The exact scores of sampled queries against a whole gallery, a block of the gallery at a time.

use rayon::prelude::*;

use super::wider;
use crate::rank::Side;
use crate::reference::{BLOCK, dot, widened};
use crate::tolerance::score_bound;
use crate::{KernelId, Rows};

/// A gallery item as a sampled query sees it.
pub(super) struct Pair<'a> {
    pub(super) item: usize,
    /// The gallery row.
    pub(super) row: &'a [f64],
    /// In f64.
    pub(super) score: f64,
    /// By how much the kernel's score may differ.
    pub(super) bound: f64,
}

/// Euclidean norm.
pub(super) fn norm(row: &[f64]) -> f64 {
    dot(row, row).sqrt()
}

/// Shows each state its query's pairs, in the order of the gallery. `states` and `queries` are alike.
pub(super) fn each_pair<S: Send>(
    kernel: KernelId,
    query: Side<'_>,
    gallery: Side<'_>,
    queries: &[usize],
    states: &mut [S],
    visit: impl Fn(&mut S, &Pair<'_>) + Sync,
) {
    let (dtype, dim) = (wider(query.rows, gallery.rows), gallery.rows.dim());
    let with_norm = |side: Side<'_>, item| with_norm(side.rows, side.row(item));
    let queries: Vec<(Vec<f64>, f64)> = queries.iter().map(|&q| with_norm(query, q)).collect();
    for start in (0..gallery.len()).step_by(BLOCK) {
        let block: Vec<(Vec<f64>, f64)> = (start..gallery.len().min(start + BLOCK))
            .into_par_iter()
            .map(|g| with_norm(gallery, g))
            .collect();
        states.par_iter_mut().zip(&queries).for_each(|(state, query)| {
            for (item, row) in (start..).zip(&block) {
                let pair = Pair {
                    item,
                    row: &row.0,
                    score: dot(&query.0, &row.0),
                    bound: score_bound(kernel, dtype, dim, query.1, row.1),
                };
                visit(state, &pair);
            }
        });
    }
}

fn with_norm(rows: Rows<'_>, row: usize) -> (Vec<f64>, f64) {
    let row = widened(rows, row);
    let norm = norm(&row);
    (row, norm)
}
