//! `info_nce` in one pass over the keys: blocks of scores become weights, and these weighted sums of keys, while
//! they are in cache.
//!
//! A task meets one block of queries with one range of keys; its result is a softmax state and a weighted sum of
//! keys for each query. The results of the ranges are merged in their order, so that threads change nothing.

use std::ops::Range;

use rayon::prelude::*;

use super::isa::{Isa, Lanes, Tile};
use super::negatives::{Keys, LeaveOut, keys};
use super::pack::{KeyBlock, Panels};
use super::softmax::{Known, Share, Softmax, Survey, Weigh};
use crate::check;
use crate::info_nce::{InfoNceJob, InfoNceOutput};
use crate::{Dtype, KernelError};

/// Queries of a task, as far as the results of all ranges stay within [`RESULT_BYTES`].
const TASK_QUERIES: usize = 256;
/// Results that exist at one time, unless the smallest task has more.
const RESULT_BYTES: usize = 16 << 20;

/// What the queries of one panel found in some keys.
struct Found<const MR: usize, const NR: usize> {
    softmax: Softmax<MR>,
    /// Weighted sums of keys, `sums[c / NR][c % NR][lane]`.
    sums: Vec<Tile<MR, NR>>,
    n_negatives: u64,
}

/// A query's positive.
#[derive(Clone, Copy)]
struct Own {
    score: f32,
    /// Logit to base 2.
    logit: f32,
}

pub(super) fn info_nce<I: Isa<MR, NR>, const MR: usize, const NR: usize>(
    isa: I,
    dtype: Dtype,
    job: &InfoNceJob<'_>,
) -> Result<InfoNceOutput, KernelError> {
    job.check()?;
    check::logit_range(job, Dtype::F32, dtype)?;
    let term = Term {
        isa,
        job,
        keys: keys::<NR>(job, dtype),
        scale: (std::f64::consts::LOG2_E / job.temperature) as f32,
    };
    Ok(term.compute())
}

struct Term<'a, I, const MR: usize, const NR: usize> {
    isa: I,
    job: &'a InfoNceJob<'a>,
    keys: Vec<Keys<'a>>,
    /// `log2(e) / T`.
    scale: f32,
}

impl<I: Isa<MR, NR>, const MR: usize, const NR: usize> Term<'_, I, MR, NR> {
    fn compute(&self) -> InfoNceOutput {
        let (batch, dim) = (self.job.query.n_rows(), self.job.query.dim());
        let mut output = InfoNceOutput {
            losses: Vec::with_capacity(batch),
            query_gradient: vec![0.0; batch * dim],
            positive_gradient: None,
            n_hits: 0,
            positive_sum: 0.0,
            negative_sum: 0.0,
            n_negatives: 0,
        };
        let mut known = Vec::with_capacity(batch);
        let own = self.own();
        let query_bytes = size_of::<f32>() * (dim + NR) * self.keys.len().max(1);
        let task_queries = MR * (RESULT_BYTES / query_bytes / MR).clamp(1, TASK_QUERIES / MR);
        let tasks_at_once = (RESULT_BYTES / (query_bytes * task_queries)).max(1);
        let starts: Vec<usize> = (0..batch).step_by(task_queries).collect();
        for starts in starts.chunks(tasks_at_once) {
            let results: Vec<Vec<Found<MR, NR>>> = (0..starts.len() * self.keys.len())
                .into_par_iter()
                .with_max_len(1)
                .map(|task| {
                    let start = starts[task / self.keys.len()];
                    let queries = start..batch.min(start + task_queries);
                    self.meet(queries, &own, &self.keys[task % self.keys.len()])
                })
                .collect();
            let mut results = results.into_iter();
            for &start in starts {
                let queries = start..batch.min(start + task_queries);
                let merged = self.merged(queries.clone(), &own, results.by_ref().take(self.keys.len()));
                for (found, first) in merged.iter().zip(queries.clone().step_by(MR)) {
                    let own = &own[first..queries.end.min(first + MR)];
                    self.finish(found, first, own, &mut output, &mut known);
                }
            }
        }
        if self.job.positive_gradient {
            output.positive_gradient = Some(self.positive_gradient(&known));
        }
        output
    }

    /// Scores of the positives.
    fn own(&self) -> Vec<Own> {
        let (batch, dim) = (self.job.query.n_rows(), self.job.query.dim());
        let (mut left, mut right) = (Panels::<MR>::new(dim), Panels::<MR>::new(dim));
        let mut own = Vec::with_capacity(batch);
        for start in (0..batch).step_by(MR) {
            let rows = start..batch.min(start + MR);
            left.fill(self.isa, self.job.query, Dtype::F32, rows.clone());
            right.fill(self.isa, self.job.positive, Dtype::F32, rows.clone());
            let mut scores = [0.0; MR];
            for (left, right) in left.pieces(0).zip(right.pieces(0)) {
                self.isa.multiply_pairs(left, right, &mut scores);
            }
            own.extend(scores[..rows.len()].iter().map(|&score| Own {
                score,
                logit: score * self.scale,
            }));
        }
        own
    }

    /// The state of a panel before any key: `queries` are those of the panel.
    fn nothing(&self, queries: Range<usize>, own: &[Own]) -> Found<MR, NR> {
        let mut logits = [0.0; MR];
        for (logit, own) in logits.iter_mut().zip(&own[queries]) {
            *logit = own.logit;
        }
        Found {
            softmax: Softmax::new(&logits),
            sums: vec![[[0.0; MR]; NR]; self.job.query.dim().div_ceil(NR)],
            n_negatives: 0,
        }
    }

    /// One task.
    fn meet(&self, queries: Range<usize>, own: &[Own], keys: &Keys<'_>) -> Vec<Found<MR, NR>> {
        let dim = self.job.query.dim();
        let mut panels = Panels::<MR>::new(dim);
        panels.fill(self.isa, self.job.query, Dtype::F32, queries.clone());
        let panel_queries = |panel: usize| {
            let start = queries.start + panel * MR;
            start..queries.end.min(start + MR)
        };
        let mut found: Vec<Found<MR, NR>> = (0..queries.len().div_ceil(MR))
            .map(|panel| self.nothing(panel_queries(panel), own))
            .collect();
        KeyBlock::<NR>::with(dim, |block| {
            let mut rows: Vec<Lanes<MR>> = vec![[0.0; MR]; KeyBlock::<NR>::ROWS];
            for start in keys.range.clone().step_by(KeyBlock::<NR>::ROWS) {
                let range = start..keys.range.end.min(start + KeyBlock::<NR>::ROWS);
                block.fill(self.isa, keys.rows.slice(range.clone()), keys.dtype);
                for (panel, found) in found.iter_mut().enumerate() {
                    let rows = multiply(self.isa, &panels, panel, block, &mut rows);
                    let queries = panel_queries(panel);
                    let left_out = self.isa.vectorize(LeaveOut {
                        rows,
                        lane_ids: self.job.ids.map(|ids| &ids.batch[queries.clone()]),
                        row_ids: keys.ids.map(|ids| &ids[range.clone()]),
                        diagonal: keys.in_batch.then_some((range.start, queries.start)),
                    });
                    found.n_negatives += (queries.len() * range.len()) as u64 - left_out;
                    let softmax = &mut found.softmax;
                    self.isa.vectorize(Survey { rows, softmax });
                    if let Some(factors) = softmax.raise(self.scale) {
                        rescale(&mut found.sums, &factors);
                    }
                    self.isa.vectorize(Weigh {
                        rows,
                        softmax,
                        scale: self.scale,
                    });
                    for (columns, sums) in block.transposed().iter().zip(&mut found.sums) {
                        self.isa.multiply(rows, columns, sums);
                    }
                }
            }
        });
        found
    }

    /// Merges what the ranges gave, in their order.
    fn merged(
        &self,
        queries: Range<usize>,
        own: &[Own],
        ranges: impl Iterator<Item = Vec<Found<MR, NR>>>,
    ) -> Vec<Found<MR, NR>> {
        let mut merged: Vec<Found<MR, NR>> = queries
            .clone()
            .step_by(MR)
            .map(|start| self.nothing(start..queries.end.min(start + MR), own))
            .collect();
        for range in ranges {
            merged.par_iter_mut().zip(range).for_each(|(merged, mut found)| {
                let (factors, other_factors) = merged.softmax.merge(found.softmax);
                rescale(&mut merged.sums, &factors);
                rescale(&mut found.sums, &other_factors);
                for (to, from) in merged
                    .sums
                    .as_flattened_mut()
                    .iter_mut()
                    .zip(found.sums.as_flattened())
                {
                    for (to, from) in to.iter_mut().zip(from) {
                        *to += from;
                    }
                }
                merged.n_negatives += found.n_negatives;
            });
        }
        merged
    }

    /// Adds the panel of queries from `first` on to the output.
    fn finish(
        &self,
        found: &Found<MR, NR>,
        first: usize,
        own: &[Own],
        output: &mut InfoNceOutput,
        known: &mut Vec<Known>,
    ) {
        let (batch, dim) = (self.job.query.n_rows(), self.job.query.dim());
        let scale = 1.0 / (batch as f64 * self.job.temperature);
        let softmax = &found.softmax;
        let sums = found.sums.as_flattened();
        let mut positive = vec![0.0; dim];
        output.n_negatives += found.n_negatives;
        for (m, own) in own.iter().enumerate() {
            let negatives = softmax.sum(m);
            let ahead = f64::from(own.logit) - f64::from(softmax.exponent[m]);
            let total = negatives + ahead.exp2();
            output.losses.push(loss(negatives, ahead));
            output.n_hits += u64::from(own.score > softmax.best[m]);
            output.positive_sum += f64::from(own.score);
            output.negative_sum += softmax.score_sum[m];
            known.push(Known {
                exponent: softmax.exponent[m],
                inverse: (1.0 / total) as f32,
                negative_share: negatives / total,
            });
            check::load_row(self.job.positive, first + m, Dtype::F32, &mut positive);
            let by_key = (scale / total) as f32;
            let by_positive = (scale * negatives / total) as f32;
            let gradient = &mut output.query_gradient[(first + m) * dim..][..dim];
            for ((gradient, positive), sum) in gradient.iter_mut().zip(&positive).zip(sums) {
                *gradient = by_key * sum[m] - by_positive * positive;
            }
        }
    }

    /// The gradient by the positives: each is the positive of one query and, if asked for, a negative of the others.
    fn positive_gradient(&self, known: &[Known]) -> Vec<f32> {
        let (batch, dim) = (self.job.query.n_rows(), self.job.query.dim());
        let scale = 1.0 / (batch as f64 * self.job.temperature);
        let mut gradient = vec![0.0_f32; batch * dim];
        gradient
            .par_chunks_mut((TASK_QUERIES * dim).max(1))
            .enumerate()
            .for_each(|(chunk, gradient)| {
                let start = chunk * TASK_QUERIES;
                let keys = start..batch.min(start + TASK_QUERIES);
                let sums = if self.job.in_batch {
                    self.shares_of_queries(keys.clone(), known)
                } else {
                    Vec::new()
                };
                let mut query = vec![0.0; dim];
                for (i, gradient) in gradient.chunks_mut(dim.max(1)).enumerate() {
                    check::load_row(self.job.query, start + i, Dtype::F32, &mut query);
                    let by_query = (scale * known[start + i].negative_share) as f32;
                    let sums = sums.get(i / MR).map(|sums| sums.as_flattened());
                    for (column, gradient) in gradient.iter_mut().enumerate() {
                        let sum = sums.map_or(0.0, |sums| sums[column][i % MR]);
                        *gradient = scale as f32 * sum - by_query * query[column];
                    }
                }
            });
        gradient
    }

    /// For each of the positives `keys`, as a negative, the sum of the queries by its share in their softmax.
    fn shares_of_queries(&self, keys: Range<usize>, known: &[Known]) -> Vec<Vec<Tile<MR, NR>>> {
        let (batch, dim) = (self.job.query.n_rows(), self.job.query.dim());
        let mut panels = Panels::<MR>::new(dim);
        panels.fill(self.isa, self.job.positive, Dtype::F32, keys.clone());
        let mut sums = vec![vec![[[0.0; MR]; NR]; dim.div_ceil(NR)]; keys.len().div_ceil(MR)];
        KeyBlock::<NR>::with(dim, |block| {
            let mut rows: Vec<Lanes<MR>> = vec![[0.0; MR]; KeyBlock::<NR>::ROWS];
            let ids = self.job.ids.map(|ids| ids.batch);
            for start in (0..batch).step_by(KeyBlock::<NR>::ROWS) {
                let range = start..batch.min(start + KeyBlock::<NR>::ROWS);
                block.fill(self.isa, self.job.query.slice(range.clone()), Dtype::F32);
                for (panel, sums) in sums.iter_mut().enumerate() {
                    let rows = multiply(self.isa, &panels, panel, block, &mut rows);
                    let first = keys.start + panel * MR;
                    let lanes = first..keys.end.min(first + MR);
                    self.isa.vectorize(LeaveOut {
                        rows,
                        lane_ids: ids.map(|ids| &ids[lanes]),
                        row_ids: ids.map(|ids| &ids[range.clone()]),
                        diagonal: Some((range.start, first)),
                    });
                    self.isa.vectorize(Share {
                        rows,
                        known: &known[range.clone()],
                        scale: self.scale,
                    });
                    for (columns, sums) in block.transposed().iter().zip(sums) {
                        self.isa.multiply(rows, columns, sums);
                    }
                }
            }
        });
        sums
    }
}

/// `-log(p)` with `p` the share of a weight of `2^ahead` beside `negatives`.
fn loss(negatives: f64, ahead: f64) -> f64 {
    if ahead > -1000.0 {
        (negatives / ahead.exp2()).ln_1p()
    } else {
        negatives.ln() - ahead * std::f64::consts::LN_2
    }
}

/// Scores of a panel of queries against the keys of a block: one row a key.
fn multiply<'a, I: Isa<MR, NR>, const MR: usize, const NR: usize>(
    isa: I,
    panels: &Panels<MR>,
    panel: usize,
    block: &KeyBlock<NR>,
    rows: &'a mut [Lanes<MR>],
) -> &'a mut [Lanes<MR>] {
    let (tiles, _) = rows.as_chunks_mut::<NR>();
    for (group, tile) in block.groups().zip(tiles) {
        *tile = [[0.0; MR]; NR];
        for (query, keys) in panels.pieces(panel).zip(group.pieces()) {
            isa.multiply(query, keys, tile);
        }
    }
    &mut rows[..block.n_rows()]
}

fn rescale<const MR: usize, const NR: usize>(sums: &mut [Tile<MR, NR>], factors: &[f32; MR]) {
    for row in sums.as_flattened_mut() {
        for (sum, factor) in row.iter_mut().zip(factors) {
            *sum *= factor;
        }
    }
}
