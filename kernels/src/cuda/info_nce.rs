//! `info_nce`: a survey of the scores, then weighted sums of keys; losses and the factors of the gradients are made of
//! both here, in f64.

use std::sync::Arc;

use super::gpu::Gpu;
use super::launch::{self, Chunks, Keys, SURVEY_WARPS, Survey, Weights, score_tile, weigh_tile};
use super::memory::{Buffer, ViewMut};
use super::rank::chunks;
use super::rows::{DeviceView, RowNumbers, RowStore};
use super::same_ids::SameIds;
use super::search::from_ordered_bits;
use crate::KernelError;
use crate::check::{self, QUERY};
use crate::info_nce::{ContrastIds, InfoNceJob, InfoNceOutput};

/// What the kernel's sums of weights count.
const WEIGHT_SUM_UNIT: f64 = 1.0 / (1_u64 << 40) as f64;
/// What its sums of keys count.
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

/// What the losses are made of.
struct Known {
    own: Vec<f32>,
    best: Vec<f32>,
    weight_sums: Vec<f64>,
}

/// A query's loss, and the factors of its gradients: of the sum of the keys by their weights, which is the share of the
/// best negative, and of its positive, which is the share of all negatives.
struct Shares {
    loss: f64,
    best_share: f64,
    negative_share: f64,
}

impl Shares {
    /// Of a positive with score `own`, and negatives of which the best has score `best` and whose weights, relative to
    /// that one's, sum to `weight_sum`, which is then at least 1.
    fn new(own: f32, best: f32, weight_sum: f64, temperature: f64) -> Self {
        if best == f32::NEG_INFINITY {
            return Self {
                loss: 0.0,
                best_share: 0.0,
                negative_share: 0.0,
            };
        }
        // The weight of the positive relative to the best negative is exp(-lead).
        let lead = (f64::from(best) - f64::from(own)) / temperature;
        let loss = if lead > 0.0 {
            lead + weight_sum.ln() + ((-lead).exp() / weight_sum).ln_1p()
        } else {
            (weight_sum * lead.exp()).ln_1p()
        };
        let best_share = 1.0 / ((-lead).exp() + weight_sum);
        Self {
            loss,
            best_share,
            negative_share: best_share * weight_sum,
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
        let batch = self.query.n_rows;
        let own = self.own_scores()?;
        let mut best = Buffer::zeroed(self.gpu, batch)?;
        let (negative_sum, n_negatives) = self.survey(&mut best)?;
        let (key_sums, n_chunks, weight_sums) = self.weigh(&best)?;
        let known = Known {
            own,
            best: best.read(0..batch)?.into_iter().map(from_ordered_bits).collect(),
            weight_sums,
        };
        let shares: Vec<Shares> = (0..batch)
            .map(|i| {
                Shares::new(
                    known.own[i],
                    known.best[i],
                    known.weight_sums[i],
                    self.temperature,
                )
            })
            .collect();

        // Gradients are of the mean loss, by scores that were divided by T.
        let slope = 1.0 / (batch as f64 * self.temperature);
        let key_factors = shares
            .iter()
            .map(|shares| KEY_SUM_UNIT * slope * shares.best_share);
        let own_factors: Vec<f32> = shares
            .iter()
            .map(|shares| (slope * shares.negative_share) as f32)
            .collect();
        let own_factors = Buffer::of(self.gpu, &own_factors)?;
        let key_factors: Vec<f32> = key_factors.map(|factor| factor as f32).collect();
        let key_factors = Buffer::of(self.gpu, &key_factors)?;
        launch::gradient(
            &**self.gpu,
            key_sums.view(),
            n_chunks,
            self.positive,
            self.dim,
            key_factors.view(),
            own_factors.view(),
            by_query,
        )?;
        if let Some(by_positive) = by_positive {
            self.positive_gradient(&best, &shares, &own_factors, by_positive)?;
        }
        Ok(InfoNceOutput {
            losses: shares.iter().map(|shares| shares.loss).collect(),
            query_gradient: Vec::new(),
            positive_gradient: None,
            n_hits: known
                .own
                .iter()
                .zip(&known.best)
                .filter(|(own, best)| own > best)
                .count() as u64,
            positive_sum: known.own.iter().map(|score| f64::from(*score)).sum(),
            negative_sum,
            n_negatives,
        })
    }

    fn own_scores(&self) -> Result<Vec<f32>, KernelError> {
        let batch = self.query.n_rows;
        let mut scores = Buffer::unspecified(self.gpu, batch)?;
        let numbers = RowNumbers::new(self.gpu, (0..batch as u32).collect())?;
        launch::pair_scores(
            &**self.gpu,
            [self.query, self.positive],
            [&numbers; 2],
            &scores.view_mut(),
        )?;
        scores.read(0..batch)
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

    /// Finds the best negative of each query; returns the sum of all negatives' scores, and their number.
    fn survey(&self, best: &mut Buffer<u32>) -> Result<(f64, u64), KernelError> {
        let (batch, dim) = (self.query.n_rows, self.dim);
        let (mut sum, mut n_negatives) = (0.0, 0);
        for keys in self.keys() {
            let tile = score_tile(&**self.gpu);
            let chunks = chunks(&**self.gpu, batch, keys.rows.n_rows, tile, dim);
            let n_warps = batch.div_ceil(tile.queries) * chunks.n * SURVEY_WARPS;
            let mut sums: Buffer<f64> = Buffer::unspecified(self.gpu, n_warps)?;
            let mut left_out: Buffer<u32> = Buffer::unspecified(self.gpu, n_warps)?;
            let survey = Survey {
                best: best.view_mut(),
                sums: sums.view_mut(),
                left_out: left_out.view_mut(),
            };
            launch::survey(&**self.gpu, self.query, keys, chunks, &survey)?;
            sum += sums.read(0..n_warps)?.into_iter().sum::<f64>();
            let left_out: u64 = left_out.read(0..n_warps)?.into_iter().map(u64::from).sum();
            n_negatives += (batch * keys.rows.n_rows) as u64 - left_out;
        }
        Ok((sum, n_negatives))
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
    fn weigh(&self, best: &Buffer<u32>) -> Result<(Buffer<f32>, usize, Vec<f64>), KernelError> {
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
        let sums = weight_sums.read(0..batch)?;
        let sums = sums.into_iter().map(|sum| sum as f64 * WEIGHT_SUM_UNIT).collect();
        Ok((key_sums, n_chunks, sums))
    }

    /// By its positive a query's loss has the slope of its own share, and as a negative in the batch that of every other
    /// query's: the same sums with the sides of the batch swapped.
    fn positive_gradient(
        &self,
        best: &Buffer<u32>,
        shares: &[Shares],
        own_factors: &Buffer<f32>,
        out: &ViewMut<'_, f32>,
    ) -> Result<(), KernelError> {
        let batch = self.query.n_rows;
        let keys = self.batch_keys(self.query);
        let (mut key_sums, mut n_chunks) = (Buffer::unspecified(self.gpu, 0)?, 0);
        if self.in_batch {
            let chunks = self.weigh_chunks(keys, 1);
            let factors: Vec<f32> = shares.iter().map(|shares| shares.best_share as f32).collect();
            let factors = Buffer::of(self.gpu, &factors)?;
            key_sums = Buffer::unspecified(self.gpu, chunks.n * batch * self.query.stride)?;
            n_chunks = chunks.n;
            let weights = Weights::OfKeys {
                best: best.view(),
                factors: factors.view(),
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
            own_factors.view(),
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

    #[test]
    fn shares_keep_their_digits_however_far_apart_the_scores_are() {
        // (own - best) / T, and the sum of the weights: exp(-lead) + sum is not computed from either alone.
        for (own, best, sum) in [
            (0.0, 0.0, 1.0),
            (1.0, -1.0, 3.5),
            (-1.0, 1.0, 2.0),
            (10.0, -10.0, 1e4),
        ] {
            let shares = Shares::new(own, best, sum, 0.05);
            let lead = (f64::from(best) - f64::from(own)) / 0.05;
            let negative = 1.0 / (1.0 + (-lead).exp() / sum);
            assert!((shares.negative_share / negative - 1.0).abs() < 1e-14);
            assert!((shares.best_share / (negative / sum) - 1.0).abs() < 1e-14);
            let loss = -(-negative).ln_1p();
            // Where the share rounds to 1, its logarithm is lost and the loss is not.
            if negative < 0.999 {
                assert!((shares.loss / loss - 1.0).abs() < 1e-12, "{} {loss}", shares.loss);
            } else {
                assert!((shares.loss - (lead + sum.ln())).abs() < 1e-3);
            }
        }
        let none = Shares::new(0.3, f32::NEG_INFINITY, 0.0, 0.05);
        assert_eq!((none.loss, none.negative_share), (0.0, 0.0));
        let far = Shares::new(1.0, -1.0, 1.0, 1e-3);
        assert!(
            far.loss == 0.0 && far.negative_share == 0.0,
            "2^-2885 is below f64"
        );
    }
}
