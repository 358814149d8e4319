//! `info_nce`: a survey of the scores, then weighted sums of keys; losses and gradients are made of both on the device too, so
//! that nothing is waited for but what is told of the term, at its end.

use std::sync::Arc;

use super::gpu::Gpu;
use super::launch::{
    self, Chunks, Entry, Factors, Keys, QueryTerm, SURVEY_WARPS, Shares, WarpSurvey, Weights, score_tile,
    weigh_tile,
};
use super::memory::{Buffer, ViewMut};
use super::rank::chunks;
use super::rows::{DeviceView, RowNumbers, RowStore};
use super::same_ids::SameIds;
use super::search::from_ordered_bits;
use crate::KernelError;
use crate::check::{self, QUERY};
use crate::info_nce::{ContrastIds, InfoNceJob, InfoNceOutput};

/// What the kernel's sums of keys count.
const KEY_SUM_UNIT: f64 = 1.0 / (1_u64 << 15) as f64;

pub(super) fn info_nce(store: &RowStore, job: &InfoNceJob<'_>) -> Result<InfoNceOutput, KernelError> {
    job.check()?;
    let norms = [
        store.check(QUERY, job.query)?,
        store.check("positive", job.positive)?,
        store.check("queue", job.queue)?,
    ];
    check::logit_norms(norms, job.temperature)?;
    let gpu = &store.gpu;
    let (batch, dim) = (job.query.n_rows(), job.query.dim());
    let (query, positive, queue) = (
        store.load(job.query)?,
        store.load(job.positive)?,
        store.load(job.queue)?,
    );
    let term = DeviceTerm {
        gpu,
        query: query.view(),
        positive: positive.view(),
        queue: queue.view(),
        dim,
        in_batch: job.in_batch,
        ids: job.ids.map(|ids| DeviceIds::new(gpu, ids)).transpose()?,
        temperature: job.temperature,
    };
    let mut by_query = Buffer::unspecified(gpu, batch * dim)?;
    let mut by_positive = match job.positive_gradient {
        true => Some(Buffer::unspecified(gpu, batch * dim)?),
        false => None,
    };
    let found = term.compute(
        &by_query.view_mut(),
        by_positive.as_mut().map(Buffer::view_mut).as_ref(),
    )?;
    Ok(InfoNceOutput {
        query_gradient: by_query.read(0..batch * dim)?,
        positive_gradient: by_positive
            .map(|gradient| gradient.read(0..batch * dim))
            .transpose()?,
        ..found
    })
}

/// The ids of a term on the device: of the batch, then of the queue.
pub(super) struct DeviceIds([Buffer<u32>; 2]);

impl DeviceIds {
    /// Numbers the ids and copies them.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn new(gpu: &Arc<dyn Gpu>, ids: ContrastIds<'_>) -> Result<Self, KernelError> {
        let ids = SameIds::of_contrast(ids.batch, ids.queue);
        Ok(Self([Buffer::of(gpu, &ids.left)?, Buffer::of(gpu, &ids.right)?]))
    }
}

/// A term whose rows lie on the device, of one stride. What is computed is worth something if they are finite, and so short
/// that every logit keeps fraction bits; whatever they are, the kernels stay within their memory.
pub(super) struct DeviceTerm<'a> {
    pub(super) gpu: &'a Arc<dyn Gpu>,
    pub(super) query: DeviceView<'a>,
    pub(super) positive: DeviceView<'a>,
    pub(super) queue: DeviceView<'a>,
    /// Elements a row without the padding.
    pub(super) dim: usize,
    pub(super) in_batch: bool,
    pub(super) ids: Option<DeviceIds>,
    pub(super) temperature: f64,
}

/// The factors of the gradients, on the device, one of each a query.
pub(super) struct DeviceFactors {
    pub(super) sums: Buffer<f32>,
    pub(super) own: Buffer<f32>,
    pub(super) best_shares: Buffer<f32>,
}

impl DeviceFactors {
    pub(super) fn unspecified(gpu: &Arc<dyn Gpu>, batch: usize) -> Result<Self, KernelError> {
        Ok(Self {
            sums: Buffer::unspecified(gpu, batch)?,
            own: Buffer::unspecified(gpu, batch)?,
            best_shares: Buffer::unspecified(gpu, batch)?,
        })
    }

    /// Where they are written, and what is told of each query.
    pub(super) fn shares<'a>(&'a mut self, terms: ViewMut<'a, Entry>) -> Shares<'a> {
        Shares {
            terms,
            sum_factors: self.sums.view_mut(),
            own_factors: self.own.view_mut(),
            best_shares: self.best_shares.view_mut(),
        }
    }
}

impl DeviceTerm<'_> {
    /// Computes the term. The gradients `[batch, dim]` are written to the device; those of the output are empty.
    ///
    /// # Errors
    /// [`KernelError::Cuda`] or [`KernelError::Compile`].
    pub(super) fn compute(
        &self,
        by_query: &ViewMut<'_, f32>,
        by_positive: Option<&ViewMut<'_, f32>>,
    ) -> Result<InfoNceOutput, KernelError> {
        let (gpu, batch) = (self.gpu, self.query.n_rows);
        let mut own = Buffer::unspecified(gpu, batch)?;
        let rows = RowNumbers::first(batch);
        launch::pair_scores(&**gpu, [self.query, self.positive], [&rows; 2], &own.view_mut())?;
        let mut best = Buffer::zeroed(gpu, batch)?;
        let (keys, n_warps) = self.survey_chunks();
        // Of the queries, then of the warps that survey.
        let mut entries: Buffer<Entry> = Buffer::unspecified(gpu, batch + n_warps)?;
        self.survey(&keys, &mut best, &mut entries.part_mut(batch..batch + n_warps))?;
        let (key_sums, n_chunks, weight_sums) = self.weigh(&best)?;
        let mut factors = DeviceFactors::unspecified(gpu, batch)?;
        launch::shares(
            &**gpu,
            own.view(),
            best.view(),
            weight_sums.view(),
            self.temperature,
            &factors.shares(entries.part_mut(0..batch)),
        )?;
        launch::gradient(
            &**gpu,
            key_sums.view(),
            n_chunks,
            self.positive,
            self.dim,
            &Factors::OfRows(factors.sums.view()),
            factors.own.view(),
            by_query,
        )?;
        if let Some(by_positive) = by_positive {
            self.positive_gradient(&best, &factors, by_positive)?;
        }

        // All is asked for, and waited for here.
        let entries = entries.read(0..batch + n_warps)?;
        let (terms, warps) = entries.split_at(batch);
        let terms: Vec<QueryTerm> = terms.iter().map(|entry| bytemuck::cast(*entry)).collect();
        let (mut negative_sum, mut n_left_out) = (0.0, 0);
        for entry in warps {
            let warp: WarpSurvey = bytemuck::cast(*entry);
            negative_sum += warp.sum;
            n_left_out += warp.n_left_out;
        }
        let n_pairs: usize = keys.iter().map(|(keys, _)| batch * keys.rows.n_rows).sum();
        let is_hit = |term: &&QueryTerm| term.own > from_ordered_bits(term.best);
        Ok(InfoNceOutput {
            losses: terms.iter().map(|term| term.loss).collect(),
            query_gradient: Vec::new(),
            positive_gradient: None,
            n_hits: terms.iter().filter(is_hit).count() as u64,
            positive_sum: terms.iter().map(|term| f64::from(term.own)).sum(),
            negative_sum,
            n_negatives: n_pairs as u64 - n_left_out,
        })
    }

    /// The keys that are negatives: the other positives of the batch, if asked for, and the queue.
    fn keys(&self) -> Vec<Keys<'_>> {
        let mut keys = Vec::new();
        if self.in_batch {
            keys.push(self.batch_keys(self.positive));
        }
        if self.queue.n_rows > 0 {
            keys.push(Keys {
                rows: self.queue,
                ids: self
                    .ids
                    .as_ref()
                    .map(|DeviceIds([batch, queue])| [batch.view(), queue.view()]),
                in_batch: false,
            });
        }
        keys
    }

    /// Rows of one side of the batch as keys of the other.
    fn batch_keys<'a>(&'a self, rows: DeviceView<'a>) -> Keys<'a> {
        Keys {
            rows,
            ids: self
                .ids
                .as_ref()
                .map(|DeviceIds([batch, _])| [batch.view(), batch.view()]),
            in_batch: true,
        }
    }

    /// The keys and how they are cut for the survey, and how many warps it takes.
    fn survey_chunks(&self) -> (Vec<(Keys<'_>, Chunks)>, usize) {
        let (batch, tile) = (self.query.n_rows, score_tile(&**self.gpu));
        let cut = |keys: Keys<'_>| chunks(&**self.gpu, batch, keys.rows.n_rows, tile, self.dim);
        let keys: Vec<(Keys<'_>, Chunks)> = self.keys().into_iter().map(|keys| (keys, cut(keys))).collect();
        let n_chunks: usize = keys.iter().map(|(_, chunks)| chunks.n).sum();
        let n_warps = batch.div_ceil(tile.queries) * n_chunks * SURVEY_WARPS;
        (keys, n_warps)
    }

    /// Finds the best negative of each query.
    fn survey(
        &self,
        keys: &[(Keys<'_>, Chunks)],
        best: &mut Buffer<u32>,
        warps: &mut ViewMut<'_, Entry>,
    ) -> Result<(), KernelError> {
        let n_blocks = self.query.n_rows.div_ceil(score_tile(&**self.gpu).queries);
        let mut at = 0;
        for (keys, chunks) in keys {
            let end = at + n_blocks * chunks.n * SURVEY_WARPS;
            launch::survey(
                &**self.gpu,
                self.query,
                *keys,
                *chunks,
                &best.view_mut(),
                &warps.part(at..end),
            )?;
            at = end;
        }
        Ok(())
    }

    /// How many chunks sums may be cut into, one after the other for each of `n_sides` sides of keys.
    fn weigh_chunks(&self, keys: Keys<'_>, n_sides: usize) -> Chunks {
        let (batch, dim) = (self.query.n_rows, self.dim);
        let tile = weigh_tile(&**self.gpu, self.query.stride);
        let wanted = chunks(&**self.gpu, batch, keys.rows.n_rows, tile, dim);
        let most = (self.gpu.part_bytes() / 16 / (4 * batch * self.query.stride * n_sides)).max(1);
        let tiles = keys.rows.n_rows.div_ceil(tile.items).div_ceil(most);
        Chunks::new(keys.rows.n_rows, tile.items, wanted.tiles.max(tiles))
    }

    /// Sums of the keys by their weights `[n_chunks, batch, stride]`, the number of chunks, and the sums of the weights.
    fn weigh(&self, best: &Buffer<u32>) -> Result<(Buffer<f32>, usize, Buffer<u64>), KernelError> {
        let batch = self.query.n_rows;
        let chunk_len = batch * self.query.stride;
        let sides = self.keys();
        let sides: Vec<(Keys<'_>, Chunks)> = sides
            .iter()
            .map(|keys| (*keys, self.weigh_chunks(*keys, sides.len())))
            .collect();
        let n_chunks = sides.iter().map(|(_, chunks)| chunks.n).sum::<usize>();
        let mut key_sums = Buffer::unspecified(self.gpu, n_chunks * chunk_len)?;
        let mut weight_sums: Buffer<u64> = Buffer::zeroed(self.gpu, batch)?;
        let mut at = 0;
        for (keys, chunks) in sides {
            let weights = Weights::OfQueries {
                best: best.view(),
                sums: &weight_sums.view_mut(),
            };
            let range = at * chunk_len..(at + chunks.n) * chunk_len;
            let mut all = key_sums.view_mut();
            launch::weigh(
                &**self.gpu,
                self.query,
                keys,
                chunks,
                self.scale(),
                &weights,
                &all.part(range),
            )?;
            at += chunks.n;
        }
        Ok((key_sums, n_chunks, weight_sums))
    }

    /// By its positive a query's loss has the slope of its own share, and as a negative in the batch that of every other
    /// query's: the same sums with the sides of the batch swapped.
    fn positive_gradient(
        &self,
        best: &Buffer<u32>,
        factors: &DeviceFactors,
        out: &ViewMut<'_, f32>,
    ) -> Result<(), KernelError> {
        let batch = self.query.n_rows;
        let keys = self.batch_keys(self.query);
        let (mut key_sums, mut n_chunks) = (Buffer::unspecified(self.gpu, 0)?, 0);
        if self.in_batch {
            let chunks = self.weigh_chunks(keys, 1);
            key_sums = Buffer::unspecified(self.gpu, chunks.n * batch * self.query.stride)?;
            n_chunks = chunks.n;
            let weights = Weights::OfKeys {
                best: best.view(),
                factors: factors.best_shares.view(),
            };
            let sums = key_sums.view_mut();
            launch::weigh(
                &**self.gpu,
                self.positive,
                keys,
                chunks,
                self.scale(),
                &weights,
                &sums,
            )?;
        }
        let slope = KEY_SUM_UNIT / (batch as f64 * self.temperature);
        launch::gradient(
            &**self.gpu,
            key_sums.view(),
            n_chunks,
            self.query,
            self.dim,
            &Factors::OfAll(slope as f32),
            factors.own.view(),
            out,
        )
    }

    /// `log2(e) / T`.
    fn scale(&self) -> f32 {
        (std::f64::consts::LOG2_E / self.temperature) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::emulator::Emulator;
    use crate::cuda::rows::DeviceRows;
    use crate::id::CudaArch;
    use crate::{Rows, RowsData};

    /// Each weight is rounded to a multiple of 2^-40, half a multiple to the even one.
    #[test]
    fn weights_are_summed_as_whole_numbers() {
        // One query, and keys of the scores 0, -1/8, -2/8 ... -45, whose weights are 2 to that power.
        let query: Vec<f32> = (0..8).map(|column| f32::from(u8::from(column == 0))).collect();
        let scores: Vec<f32> = (0..=360_u16).map(|n| -f32::from(n) / 8.0).collect();
        let keys: Vec<f32> = scores
            .iter()
            .flat_map(|score| query.iter().map(move |x| x * score))
            .collect();
        let unit = (1_u64 << 40) as f64;
        let rounded = scores
            .iter()
            .map(|score| (f64::from(score.exp2()) * unit).round_ties_even());
        let expected = rounded.sum::<f64>() as u64;
        for arch in [CudaArch::Sm80, CudaArch::Sm90a] {
            let Ok(gpu) = Emulator::gpu(arch, 2, 1 << 24, 7) else {
                return;
            };
            let rows =
                |data, n| DeviceRows::all(&gpu, Rows::new(RowsData::F32(data), n, 8).unwrap()).unwrap();
            let (query, keys) = (rows(&query, 1), rows(&keys, scores.len()));
            let term = DeviceTerm {
                gpu: &gpu,
                query: query.view(),
                positive: query.view(),
                queue: keys.view(),
                dim: 8,
                in_batch: false,
                ids: None,
                temperature: std::f64::consts::LOG2_E,
            };
            let mut best = Buffer::zeroed(&gpu, 1).unwrap();
            let (keys, n_warps) = term.survey_chunks();
            let mut warps = Buffer::unspecified(&gpu, n_warps).unwrap();
            term.survey(&keys, &mut best, &mut warps.view_mut()).unwrap();
            let (_, _, sums) = term.weigh(&best).unwrap();
            assert_eq!(sums.read(0..1).unwrap(), [expected], "{arch:?}");
        }
    }
}
