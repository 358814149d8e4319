//! `rank_counts`, `scores` and `top_k` as one writes them with libtorch: chunks of queries multiplied by the whole
//! gallery, then element-wise operations and reductions over the chunk.

use tch::{Kind, Tensor};

use super::kernel::{CHUNK, LibtorchKernel};
use super::memory::BorrowedMut;
use crate::check;
use crate::rank::{Direction, PairIds, RankCount, RankCounts, RankJob, RankOutput};
use crate::scores::{Hit, Scores, TopK, check_len};
use crate::{KernelError, Rows};

impl RankCounts for LibtorchKernel {
    /// A part of the gallery costs the products of the whole in `t2v`: libtorch may round products of another shape
    /// otherwise, and counts of the parts would no longer add up.
    fn rank_counts(&self, job: &RankJob<'_>) -> Result<RankOutput, KernelError> {
        job.check_shapes()?;
        let longest = match (self.norm(job.query), self.norm(job.gallery)) {
            (Some(query), Some(gallery)) => [query, gallery],
            _ => check::scan_job(job, self.dtype)?,
        };
        self.check_range(longest)?;
        let all_rows = self.load(job.query, self.kind())?;
        let gallery = self.load(job.gallery, self.kind())?;
        let chosen = match job.chosen {
            Some(chosen) => {
                let rows: Vec<i64> = chosen.iter().copied().map(i64::from).collect();
                Some(all_rows.f_index_select(0, &self.load_ids(&rows)?)?)
            }
            None => None,
        };
        let query: &Tensor = chosen.as_ref().unwrap_or(&all_rows);
        let t2v = self.count(query, &gallery, &job.t2v_direction())?;
        let v2t = job.v2t_direction().map(|v2t| self.count(&gallery, query, &v2t));
        Ok(RankOutput {
            t2v,
            v2t: v2t.transpose()?,
        })
    }
}

impl LibtorchKernel {
    /// Counts one direction; the tensors hold the items of its sides.
    fn count(
        &self,
        query: &Tensor,
        gallery: &Tensor,
        direction: &Direction<'_>,
    ) -> Result<Vec<RankCount>, KernelError> {
        let Direction {
            own, asking, counted, ..
        } = direction;
        let gallery = gallery.f_tr()?;
        let mut counts = Vec::with_capacity(asking.len());
        // The same chunks whoever asks, so that every product has the same shape.
        for start in (asking.start / CHUNK * CHUNK..asking.end).step_by(CHUNK) {
            let chunk = start..own.n_queries().min(start + CHUNK);
            let scores = query
                .f_narrow(0, start as i64, chunk.len() as i64)?
                .f_matmul(&gallery)?;
            // True items beside each other, short lists filled up with their first.
            let width = chunk.clone().map(|q| own.of(q).len()).max().unwrap_or(1);
            let mut items = Vec::with_capacity(chunk.len() * width);
            for q in chunk.clone() {
                let list = own.of(q);
                items.extend((0..width).map(|i| i64::from(*list.get(i).unwrap_or(&list[0]))));
            }
            let items = self
                .load_ids(&items)?
                .f_view([chunk.len() as i64, width as i64])?;
            let own_scores = scores.f_gather(1, &items, false)?;
            let best = own_scores.f_amax([1], true)?;
            let scores = match direction.ids {
                Some(ids) => scores.f_masked_fill(&self.same(ids, chunk.clone())?, f64::NEG_INFINITY)?,
                None => scores,
            };
            let scores = scores.f_narrow(1, counted.start as i64, counted.len() as i64)?;
            let count = |mask: Tensor| -> Result<Vec<i64>, KernelError> {
                Ok(Vec::try_from(mask.f_sum_dim_intlist(1, false, Kind::Int64)?)?)
            };
            let greater = count(scores.f_gt_tensor(&best)?)?;
            let equal = count(scores.f_eq_tensor(&best)?)?;
            let best: Vec<f64> = Vec::try_from(best.f_reshape([-1])?.f_to_kind(Kind::Double)?)?;
            let own_scores: Vec<f64> = Vec::try_from(own_scores.f_reshape([-1])?.f_to_kind(Kind::Double)?)?;
            for (i, q) in chunk.enumerate().filter(|(_, q)| asking.contains(q)) {
                let list = own.of(q).iter().zip(&own_scores[i * width..]);
                let tied = list
                    .filter(|(_, score)| **score == best[i])
                    .map(|(g, _)| *g as usize);
                let left_out = |g: &usize| counted.contains(g) && direction.same_id(q, *g);
                counts.push(RankCount {
                    greater: greater[i] as u64,
                    equal: equal[i] as u64 + tied.clone().filter(left_out).count() as u64,
                    own_equal: tied.count() as u64,
                    score: best[i],
                });
            }
        }
        Ok(counts)
    }

    /// True where the ids of a chunk's queries agree with those of the gallery, `[chunk, n_gallery]`.
    fn same(&self, ids: PairIds<'_>, chunk: std::ops::Range<usize>) -> Result<Tensor, KernelError> {
        // libtorch has no unsigned 64-bit comparison; equality survives the change of sign.
        let query = self.load_ids(bytemuck::cast_slice(&ids.query[chunk]))?;
        let gallery = self.load_ids(bytemuck::cast_slice(ids.gallery))?;
        Ok(query.f_unsqueeze(1)?.f_eq_tensor(&gallery)?)
    }
}

impl Scores for LibtorchKernel {
    fn scores(&self, query: Rows<'_>, gallery: Rows<'_>, out: &mut [f32]) -> Result<(), KernelError> {
        let (n_queries, n_gallery) = (query.n_rows(), gallery.n_rows());
        check_len("out", n_queries * n_gallery, out.len())?;
        let (query, gallery) = self.load_pair(query, gallery)?;
        let scores = query.f_matmul(&gallery.f_tr()?)?;
        BorrowedMut::new(out, &[n_queries as i64, n_gallery as i64])?.f_copy_(&scores)?;
        Ok(())
    }
}

impl TopK for LibtorchKernel {
    fn top_k(&self, query: Rows<'_>, gallery: Rows<'_>, k: usize) -> Result<Vec<Hit>, KernelError> {
        let (n_queries, k) = (query.n_rows(), k.min(gallery.n_rows()));
        let (query, gallery) = self.load_pair(query, gallery)?;
        let gallery = gallery.f_tr()?;
        let mut hits = Vec::with_capacity(n_queries * k);
        if k == 0 {
            return Ok(hits);
        }
        for start in (0..n_queries).step_by(CHUNK) {
            let len = CHUNK.min(n_queries - start);
            let scores = query.f_narrow(0, start as i64, len as i64)?.f_matmul(&gallery)?;
            let (scores, items) = scores.f_topk(k as i64, 1, true, true)?;
            let scores: Vec<f64> = Vec::try_from(scores.f_reshape([-1])?.f_to_kind(Kind::Double)?)?;
            let items: Vec<i64> = Vec::try_from(items.f_reshape([-1])?)?;
            hits.extend(items.into_iter().zip(scores).map(|(item, score)| Hit {
                item: item as u32,
                score,
            }));
        }
        Ok(hits)
    }
}
