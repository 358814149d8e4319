//! `scores` and `top_k`: one query at a time.

use rayon::prelude::*;

use super::{BLOCK, Reference, dot, widened};
use crate::check;
use crate::scores::{Hit, Scores, TopK, check_dims, check_len};
use crate::{Dtype, KernelError, Rows};

fn check_rows(query: Rows<'_>, gallery: Rows<'_>) -> Result<(), KernelError> {
    check_dims(query, gallery)?;
    let query = check::scan(check::QUERY, query, Dtype::F64)?;
    let gallery = check::scan(check::GALLERY, gallery, Dtype::F64)?;
    check::score_range(query, gallery, f64::MAX)
}

impl Scores for Reference {
    fn scores(&self, query: Rows<'_>, gallery: Rows<'_>, out: &mut [f32]) -> Result<(), KernelError> {
        write(query, gallery, out, |score| score as f32)
    }

    fn wide_scores(&self, query: Rows<'_>, gallery: Rows<'_>, out: &mut [f64]) -> Result<(), KernelError> {
        write(query, gallery, out, |score| score)
    }
}

/// Writes every score as `convert` makes it.
fn write<T: Send>(
    query: Rows<'_>,
    gallery: Rows<'_>,
    out: &mut [T],
    convert: impl Fn(f64) -> T + Sync,
) -> Result<(), KernelError> {
    check_len("out", query.n_rows() * gallery.n_rows(), out.len())?;
    check_rows(query, gallery)?;
    out.par_chunks_mut(gallery.n_rows().max(1))
        .enumerate()
        .for_each(|(q, out)| {
            let query = widened(query, q);
            for (g, out) in out.iter_mut().enumerate() {
                *out = convert(dot(&query, &widened(gallery, g)));
            }
        });
    Ok(())
}

impl TopK for Reference {
    fn top_k(&self, query: Rows<'_>, gallery: Rows<'_>, k: usize) -> Result<Vec<Hit>, KernelError> {
        check_rows(query, gallery)?;
        let best: Vec<Vec<Hit>> = (0..query.n_rows())
            .into_par_iter()
            .map(|q| {
                let query = widened(query, q);
                let mut best: Vec<Hit> = Vec::new();
                for start in (0..gallery.n_rows()).step_by(BLOCK) {
                    let block = start..gallery.n_rows().min(start + BLOCK);
                    best.extend(block.map(|g| Hit {
                        item: g as u32,
                        score: dot(&query, &widened(gallery, g)),
                    }));
                    // Stable: among equal scores the lower index stays first.
                    best.sort_by(|a, b| b.score.total_cmp(&a.score));
                    best.truncate(k);
                }
                best
            })
            .collect();
        Ok(best.concat())
    }
}
