//! `info_nce`: one query at a time, all of its logits in a row.

use rayon::prelude::*;

use super::{BLOCK, Reference, dot, widened};
use crate::check;
use crate::info_nce::{InfoNce, InfoNceJob, InfoNceOutput};
use crate::{Dtype, KernelError};

/// A negative of some query.
#[derive(Debug, Clone, Copy)]
enum Negative {
    /// Row of the positives.
    Batch(usize),
    /// Row of the queue.
    Queue(usize),
}

impl Negative {
    fn row(self, job: &InfoNceJob<'_>) -> Vec<f64> {
        match self {
            Self::Batch(j) => widened(job.positive, j),
            Self::Queue(j) => widened(job.queue, j),
        }
    }
}

/// What one query adds to the loss and to the gradients.
#[derive(Debug)]
pub(crate) struct Term {
    /// Its loss.
    pub(crate) loss: f64,
    /// Score of its positive.
    pub(crate) own: f64,
    /// Best score of a negative; minus infinity without one.
    pub(crate) best: f64,
    /// Sum of the negatives' scores.
    pub(crate) negative_sum: f64,
    /// Negatives that took part.
    pub(crate) n_negatives: u64,
    /// Gradient of the mean loss by this query.
    pub(crate) by_query: Vec<f64>,
    /// Rows of the positives, and by how much of this query the gradient by each grows.
    pub(crate) shares: Vec<(usize, f64)>,
}

impl InfoNce for Reference {
    fn info_nce(&self, job: &InfoNceJob<'_>) -> Result<InfoNceOutput, KernelError> {
        job.check()?;
        check::logit_range(job, Dtype::F64, Dtype::F64)?;
        let (batch, dim) = (job.query.n_rows(), job.query.dim());
        let mut positive_gradient = vec![0.0; batch * dim];
        let mut output = InfoNceOutput {
            losses: Vec::with_capacity(batch),
            query_gradient: Vec::with_capacity(batch * dim),
            positive_gradient: None,
            n_hits: 0,
            positive_sum: 0.0,
            negative_sum: 0.0,
            n_negatives: 0,
        };
        for i in 0..batch {
            let term = term(job, i);
            output.losses.push(term.loss);
            output.query_gradient.extend(narrowed(&term.by_query));
            output.n_hits += u64::from(term.own > term.best);
            output.positive_sum += term.own;
            output.negative_sum += term.negative_sum;
            output.n_negatives += term.n_negatives;
            term.add_to(&widened(job.query, i), &mut positive_gradient);
        }
        output.positive_gradient = job
            .positive_gradient
            .then(|| narrowed(&positive_gradient).collect());
        Ok(output)
    }
}

impl Term {
    /// Adds this query's part to the gradient by the positives.
    pub(crate) fn add_to(&self, query: &[f64], positive_gradient: &mut [f64]) {
        for &(j, share) in &self.shares {
            add(
                &mut positive_gradient[j * query.len()..][..query.len()],
                share,
                query,
            );
        }
    }
}

/// The term of query `i` of a job that was checked.
pub(crate) fn term(job: &InfoNceJob<'_>, i: usize) -> Term {
    let query = widened(job.query, i);
    let positive = widened(job.positive, i);
    let own = dot(&query, &positive);
    let negatives = negatives(job, i);
    let scores: Vec<f64> = negatives
        .par_iter()
        .with_min_len(BLOCK)
        .map(|negative| dot(&query, &negative.row(job)))
        .collect();
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let largest = best.max(own);
    let weight = |score: f64| ((score - largest) / job.temperature).exp();
    // Sorted, so that the order of the keys does not matter.
    let mut ascending = scores.clone();
    ascending.sort_by(f64::total_cmp);
    let sum = ascending.iter().map(|score| weight(*score)).sum::<f64>() + weight(own);

    let scale = 1.0 / (job.query.n_rows() as f64 * job.temperature);
    let own_share = scale * (weight(own) / sum - 1.0);
    let mut by_query = vec![0.0; query.len()];
    add(&mut by_query, own_share, &positive);
    let blocks: Vec<Vec<f64>> = negatives
        .par_chunks(BLOCK)
        .zip(scores.par_chunks(BLOCK))
        .map(|(negatives, scores)| {
            let mut total = vec![0.0; query.len()];
            for (negative, score) in negatives.iter().zip(scores) {
                add(&mut total, scale * weight(*score) / sum, &negative.row(job));
            }
            total
        })
        .collect();
    for block in &blocks {
        add(&mut by_query, 1.0, block);
    }
    let mut shares = vec![(i, own_share)];
    for (negative, score) in negatives.iter().zip(&scores) {
        if let Negative::Batch(j) = *negative {
            shares.push((j, scale * weight(*score) / sum));
        }
    }
    Term {
        loss: sum.ln() - (own - largest) / job.temperature,
        own,
        best,
        negative_sum: scores.iter().sum(),
        n_negatives: negatives.len() as u64,
        by_query,
        shares,
    }
}

fn negatives(job: &InfoNceJob<'_>, i: usize) -> Vec<Negative> {
    let keep_in_batch =
        |j: &usize| job.in_batch && *j != i && job.ids.is_none_or(|ids| ids.batch[*j] != ids.batch[i]);
    let keep_in_queue = |j: &usize| job.ids.is_none_or(|ids| ids.queue[*j] != ids.batch[i]);
    let in_batch = (0..job.positive.n_rows()).filter(keep_in_batch);
    let in_queue = (0..job.queue.n_rows()).filter(keep_in_queue);
    in_batch
        .map(Negative::Batch)
        .chain(in_queue.map(Negative::Queue))
        .collect()
}

fn add(to: &mut [f64], factor: f64, row: &[f64]) {
    for (to, x) in to.iter_mut().zip(row) {
        *to += factor * x;
    }
}

fn narrowed(values: &[f64]) -> impl Iterator<Item = f32> + '_ {
    values.iter().map(|x| *x as f32)
}
