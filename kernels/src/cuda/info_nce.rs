//! `info_nce`: a survey of the scores, then weighted sums of keys; losses and gradients are made of both on the device too, so
//! that only what is told of the term is waited for.

use std::sync::Arc;

use super::gpu::Gpu;
use super::launch::{
    self, Chunks, Keys, QueryTerm, SURVEY_WARPS, Shares, WarpSurvey, Weights, score_tile, weigh_tile,
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

/// A term whose rows lie on the device, of one stride, finite, and so short that every logit keeps fraction bits.
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

/// What each query's term is made of, on the device.
pub(super) struct DeviceShares {
    pub(super) terms: Buffer<QueryTerm>,
    pub(super) sum_factors: Buffer<f32>,
    pub(super) own_factors: Buffer<f32>,
    pub(super) best_shares: Buffer<f32>,
}

impl DeviceShares {
    pub(super) fn unspecified(gpu: &Arc<dyn Gpu>, batch: usize) -> Result<Self, KernelError> {
        Ok(Self {
            terms: Buffer::unspecified(gpu, batch)?,
            sum_factors: Buffer::unspecified(gpu, batch)?,
            own_factors: Buffer::unspecified(gpu, batch)?,
            best_shares: Buffer::unspecified(gpu, batch)?,
        })
    }

    pub(super) fn view_mut(&mut self) -> Shares<'_> {
        Shares {
            terms: self.terms.view_mut(),
            sum_factors: self.sum_factors.view_mut(),
            own_factors: self.own_factors.view_mut(),
            best_shares: self.best_shares.view_mut(),
        }
    }
}

/// A survey of some keys: what each warp has seen, and the number of pairs.
struct DeviceSurvey {
    warps: Buffer<WarpSurvey>,
    n_pairs: u64,
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
        let surveys = self.survey(&mut best)?;
        let (key_sums, n_chunks, weight_sums) = self.weigh(&best)?;
        let mut shares = DeviceShares::unspecified(gpu, batch)?;
        launch::shares(
            &**gpu,
            own.view(),
            best.view(),
            weight_sums.view(),
            self.temperature,
            &shares.view_mut(),
        )?;
        launch::gradient(
            &**gpu,
            key_sums.view(),
            n_chunks,
            self.positive,
            self.dim,
            shares.sum_factors.view(),
            shares.own_factors.view(),
            by_query,
        )?;
        if let Some(by_positive) = by_positive {
            self.positive_gradient(&best, &shares, by_positive)?;
        }

        // All is asked for; what is read now is waited for.
        let terms = shares.terms.read(0..batch)?;
        let (mut negative_sum, mut n_negatives) = (0.0, 0);
        for survey in surveys {
            let warps = survey.warps.read(0..survey.warps.len())?;
            negative_sum += warps.iter().map(|warp| warp.sum).sum::<f64>();
            n_negatives += survey.n_pairs - warps.iter().map(|warp| warp.n_left_out).sum::<u64>();
        }
        let is_hit = |term: &&QueryTerm| term.own > from_ordered_bits(term.best);
        Ok(InfoNceOutput {
            losses: terms.iter().map(|term| term.loss).collect(),
            query_gradient: Vec::new(),
            positive_gradient: None,
            n_hits: terms.iter().filter(is_hit).count() as u64,
            positive_sum: terms.iter().map(|term| f64::from(term.own)).sum(),
            negative_sum,
            n_negatives,
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

    /// Finds the best negative of each query.
    fn survey(&self, best: &mut Buffer<u32>) -> Result<Vec<DeviceSurvey>, KernelError> {
        let (batch, dim) = (self.query.n_rows, self.dim);
        let tile = score_tile(&**self.gpu);
        let survey = |keys: Keys<'_>| {
            let n_keys = keys.rows.n_rows;
            let chunks = chunks(&**self.gpu, batch, n_keys, tile, dim);
            let n_warps = batch.div_ceil(tile.queries) * chunks.n * SURVEY_WARPS;
            let mut warps = Buffer::unspecified(self.gpu, n_warps)?;
            launch::survey(
                &**self.gpu,
                self.query,
                keys,
                chunks,
                &best.view_mut(),
                &warps.view_mut(),
            )?;
            let n_pairs = (batch * n_keys) as u64;
            Ok(DeviceSurvey { warps, n_pairs })
        };
        self.keys().into_iter().map(survey).collect()
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
        shares: &DeviceShares,
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
                factors: shares.best_shares.view(),
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
        let sum_factors = Buffer::of(self.gpu, &vec![slope as f32; batch])?;
        launch::gradient(
            &**self.gpu,
            key_sums.view(),
            n_chunks,
            self.query,
            self.dim,
            sum_factors.view(),
            shares.own_factors.view(),
            out,
        )
    }

    /// `log2(e) / T`.
    fn scale(&self) -> f32 {
        (std::f64::consts::LOG2_E / self.temperature) as f32
    }
}
