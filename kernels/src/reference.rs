//! The oracle, `reference/f64`: every operation as the plainest f64 loop, in blocks so that nothing large is
//! built. Other back ends are proven against it; it is never fast.

use rayon::prelude::*;

use crate::check::{self, RowNorm};
use crate::rank::{RankCount, RankCounts, RankJob, RankOutput, TrueItems};
use crate::{Dtype, KernelError, KernelId, Rows};

/// Gallery rows widened at a time.
const BLOCK: usize = 256;

/// The f64 back end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference;

/// `sum_k a[k] * b[k]`, from the first column to the last.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (x, y)| sum + x * y)
}

/// `row` of `rows` in f64.
pub(crate) fn widened(rows: Rows<'_>, row: usize) -> Vec<f64> {
    (0..rows.dim()).map(|column| rows.get(row, column)).collect()
}

impl RankCounts for Reference {
    fn id(&self) -> KernelId {
        KernelId::Reference
    }

    fn rank_counts(&self, job: &RankJob<'_>) -> Result<RankOutput, KernelError> {
        job.check_shapes()?;
        let query: RowNorm = check::scan(check::QUERY, job.query, Dtype::F64)?;
        let gallery = check::scan(check::GALLERY, job.gallery, Dtype::F64)?;
        check::score_range(query, gallery, f64::MAX)?;
        let ids = job.ids.map(|ids| (ids.query, ids.gallery));
        let swapped = ids.map(|(query, gallery)| (gallery, query));
        Ok(RankOutput {
            t2v: count(job.query, job.gallery, job.t2v, ids),
            v2t: job.v2t.map(|own| count(job.gallery, job.query, own, swapped)),
        })
    }
}

/// Counts one direction; `ids` are those of `query` and of `gallery`.
fn count(
    query: Rows<'_>,
    gallery: Rows<'_>,
    own: &TrueItems,
    ids: Option<(&[u64], &[u64])>,
) -> Vec<RankCount> {
    let mut counts: Vec<RankCount> = (0..query.n_rows())
        .into_par_iter()
        .map(|q| RankCount {
            greater: 0,
            equal: 0,
            own_equal: 0,
            score: best_own_score(query, gallery, own, q),
        })
        .collect();
    for start in (0..gallery.n_rows()).step_by(BLOCK) {
        let block: Vec<Vec<f64>> = (start..gallery.n_rows().min(start + BLOCK))
            .map(|g| widened(gallery, g))
            .collect();
        counts.par_iter_mut().enumerate().for_each(|(q, count)| {
            let query = widened(query, q);
            for (g, row) in (start..).zip(&block) {
                let is_own = u32::try_from(g).is_ok_and(|g| own.of(q).binary_search(&g).is_ok());
                if !is_own && ids.is_some_and(|(query_ids, gallery_ids)| query_ids[q] == gallery_ids[g]) {
                    continue;
                }
                let score = dot(&query, row);
                count.greater += u64::from(score > count.score);
                count.equal += u64::from(score == count.score);
                count.own_equal += u64::from(is_own && score == count.score);
            }
        });
    }
    counts
}

fn best_own_score(query: Rows<'_>, gallery: Rows<'_>, own: &TrueItems, q: usize) -> f64 {
    let query = widened(query, q);
    own.of(q)
        .iter()
        .map(|&g| dot(&query, &widened(gallery, g as usize)))
        .fold(f64::NEG_INFINITY, f64::max)
}
