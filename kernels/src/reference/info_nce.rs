//! `info_nce`: one query at a time, all of its logits in a row.

use rayon::prelude::*;

use super::{Reference, dot, widened};
use crate::check;
use crate::info_nce::{InfoNce, InfoNceJob, InfoNceOutput};
use crate::{Dtype, KernelError};

/// A negative of some query.
struct Negative {
    row: Vec<f64>,
    /// Which positive of the batch it is, if it is one.
    in_batch: Option<usize>,
    score: f64,
}

impl InfoNce for Reference {
    fn info_nce(&self, job: &InfoNceJob<'_>) -> Result<InfoNceOutput, KernelError> {
        job.check()?;
        check::logit_range(job, Dtype::F64)?;
        let (batch, dim) = (job.query.n_rows(), job.query.dim());
        let mut query_gradient = vec![0.0; batch * dim];
        let mut positive_gradient = vec![0.0; batch * dim];
        let mut output = InfoNceOutput {
            losses: Vec::with_capacity(batch),
            query_gradient: Vec::new(),
            positive_gradient: None,
            n_hits: 0,
            positive_sum: 0.0,
            negative_sum: 0.0,
            n_negatives: 0,
        };
        let scale = 1.0 / (batch as f64 * job.temperature);
        for i in 0..batch {
            let query = widened(job.query, i);
            let positive = widened(job.positive, i);
            let own = dot(&query, &positive);
            let negatives = negatives(job, i, &query);
            let best = negatives
                .iter()
                .map(|negative| negative.score)
                .fold(f64::NEG_INFINITY, f64::max);
            let largest = best.max(own);
            let weight = |score: f64| ((score - largest) / job.temperature).exp();
            let sum = negatives
                .iter()
                .fold(weight(own), |sum, negative| sum + weight(negative.score));

            output.losses.push(sum.ln() - (own - largest) / job.temperature);
            output.n_hits += u64::from(own > best);
            output.positive_sum += own;
            output.negative_sum += negatives.iter().map(|negative| negative.score).sum::<f64>();
            output.n_negatives += negatives.len() as u64;

            let own_share = weight(own) / sum - 1.0;
            let by_query = &mut query_gradient[i * dim..][..dim];
            add(by_query, scale * own_share, &positive);
            add(
                &mut positive_gradient[i * dim..][..dim],
                scale * own_share,
                &query,
            );
            for negative in &negatives {
                let share = scale * weight(negative.score) / sum;
                add(by_query, share, &negative.row);
                if let Some(j) = negative.in_batch {
                    add(&mut positive_gradient[j * dim..][..dim], share, &query);
                }
            }
        }
        output.query_gradient = narrowed(&query_gradient);
        output.positive_gradient = job.positive_gradient.then(|| narrowed(&positive_gradient));
        Ok(output)
    }
}

fn negatives(job: &InfoNceJob<'_>, i: usize, query: &[f64]) -> Vec<Negative> {
    let keep_in_batch =
        |j: &usize| job.in_batch && *j != i && job.ids.is_none_or(|ids| ids.batch[*j] != ids.batch[i]);
    let keep_in_queue = |j: &usize| job.ids.is_none_or(|ids| ids.queue[*j] != ids.batch[i]);
    let negative = |row: Vec<f64>, in_batch| Negative {
        score: dot(query, &row),
        row,
        in_batch,
    };
    let mut negatives: Vec<Negative> = (0..job.positive.n_rows())
        .filter(keep_in_batch)
        .map(|j| negative(widened(job.positive, j), Some(j)))
        .collect();
    negatives.par_extend(
        (0..job.queue.n_rows())
            .into_par_iter()
            .filter(keep_in_queue)
            .map(|j| negative(widened(job.queue, j), None)),
    );
    negatives
}

fn add(to: &mut [f64], factor: f64, row: &[f64]) {
    for (to, x) in to.iter_mut().zip(row) {
        *to += factor * x;
    }
}

fn narrowed(values: &[f64]) -> Vec<f32> {
    values.iter().map(|x| *x as f32).collect()
}
