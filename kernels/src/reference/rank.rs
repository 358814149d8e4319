//! `rank_counts`: blocks of the gallery, every query against each.

use rayon::prelude::*;

use super::{BLOCK, Reference, dot, widened};
use crate::check;
use crate::rank::{Direction, RankCount, RankCounts, RankJob, RankOutput};
use crate::{Dtype, KernelError};

impl RankCounts for Reference {
    fn rank_counts(&self, job: &RankJob<'_>) -> Result<RankOutput, KernelError> {
        job.check_shapes()?;
        let [query, gallery] = check::scan_job(job, Dtype::F64)?;
        check::score_range(query, gallery, f64::MAX)?;
        Ok(RankOutput {
            t2v: count(&job.t2v_direction()),
            v2t: job.v2t_direction().map(|v2t| count(&v2t)),
        })
    }
}

fn count(direction: &Direction<'_>) -> Vec<RankCount> {
    let Direction {
        query, gallery, own, ..
    } = direction;
    let mut counts: Vec<(usize, RankCount)> = direction
        .asking
        .clone()
        .into_par_iter()
        .map(|q| (q, best_own(direction, q)))
        .collect();
    for start in direction.counted.clone().step_by(BLOCK) {
        let block: Vec<Vec<f64>> = (start..direction.counted.end.min(start + BLOCK))
            .map(|g| widened(gallery.rows, gallery.row(g)))
            .collect();
        counts.par_iter_mut().for_each(|(q, count)| {
            let query = widened(query.rows, query.row(*q));
            for (g, row) in (start..).zip(&block) {
                let is_own = u32::try_from(g).is_ok_and(|g| own.of(*q).binary_search(&g).is_ok());
                if !is_own && direction.same_id(*q, g) {
                    continue;
                }
                let score = dot(&query, row);
                count.greater += u64::from(score > count.score);
                count.equal += u64::from(score == count.score);
            }
        });
    }
    counts.into_iter().map(|(_, count)| count).collect()
}

/// The best score of a true item and how many true items have it, with nothing counted yet.
fn best_own(direction: &Direction<'_>, q: usize) -> RankCount {
    let Direction {
        query, gallery, own, ..
    } = direction;
    let row = widened(query.rows, query.row(q));
    let scores: Vec<f64> = own
        .of(q)
        .iter()
        .map(|&g| dot(&row, &widened(gallery.rows, gallery.row(g as usize))))
        .collect();
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    RankCount {
        greater: 0,
        equal: 0,
        own_equal: scores.iter().filter(|score| **score == best).count() as u64,
        score: best,
    }
}
