//! `rank_counts`: blocks of the gallery, every query against each.

use rayon::prelude::*;

use super::{BLOCK, Reference, dot, widened};
use crate::check;
use crate::rank::{RankCount, RankCounts, RankJob, RankOutput, TrueItems};
use crate::{Dtype, KernelError, Rows};

impl RankCounts for Reference {
    fn rank_counts(&self, job: &RankJob<'_>) -> Result<RankOutput, KernelError> {
        job.check_shapes()?;
        let query = check::scan(check::QUERY, job.query, Dtype::F64)?;
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
