//! `info_nce`: losses and gradients of sampled queries, totals where all were computed.

use super::{Deviation, check_sample};
use crate::check::{GALLERY, QUERY, scan};
use crate::info_nce::{InfoNceJob, InfoNceOutput};
use crate::reference::info_nce::{Term, term};
use crate::reference::widened;
use crate::scores::check_len;
use crate::tolerance::{
    contrast_narrowing_tolerance, gradient_tolerance, loss_tolerance, score_sum_tolerance, sum_tolerance,
    weight_tolerance,
};
use crate::{Dtype, KernelError, KernelId};

/// Judges the loss of each sampled query and its rows of the gradients, by [`loss_tolerance`] and
/// [`gradient_tolerance`].
///
/// With in-batch negatives every query takes part in the gradient by each positive: all queries are then compared
/// if that gradient was asked for. Where all are compared, so are the totals: hits (up to queries whose positive
/// lies within the tolerance of the best negative), number of negatives, and both sums of scores.
///
/// # Errors
/// As [`InfoNceJob::check`] and for rows that are not finite; [`KernelError::Length`] for an output of another
/// shape, [`KernelError::Argument`] for a sample outside the batch.
pub fn info_nce(
    kernel: KernelId,
    job: &InfoNceJob<'_>,
    output: &InfoNceOutput,
    queries: &[usize],
) -> Result<Deviation, KernelError> {
    job.check()?;
    let (batch, dim) = (job.query.n_rows(), job.query.dim());
    check_sample("sample of queries", queries, batch)?;
    check_len("losses", batch, output.losses.len())?;
    check_len("query gradient", batch * dim, output.query_gradient.len())?;
    let wanted = if job.positive_gradient { batch * dim } else { 0 };
    let by_positive = output.positive_gradient.as_deref().unwrap_or_default();
    check_len("positive gradient", wanted, by_positive.len())?;

    let all: Vec<usize> = (0..batch).collect();
    let queries = if job.in_batch && job.positive_gradient {
        &all
    } else {
        queries
    };
    let bounds = Bounds::new(kernel, job)?;
    let mut deviation = Deviation::default();
    let mut positive_gradient = vec![0.0; wanted];
    let mut terms = Vec::with_capacity(queries.len());
    for &i in queries {
        let term = term(job, i);
        let (found, expected) = (output.losses[i], term.loss);
        deviation.record((found - expected).abs(), bounds.loss, || {
            format!("loss {i}: {found}, expected {expected}")
        });
        let found = &output.query_gradient[i * dim..][..dim];
        compare_gradient("query", i, found, &term.by_query, bounds.query, &mut deviation);
        if job.positive_gradient {
            term.add_to(&widened(job.query, i), &mut positive_gradient);
        }
        terms.push(term);
    }
    if job.positive_gradient {
        for &i in queries {
            let row = i * dim..(i + 1) * dim;
            let (found, expected) = (&by_positive[row.clone()], &positive_gradient[row]);
            compare_gradient("positive", i, found, expected, bounds.positive, &mut deviation);
        }
    }
    if queries == all {
        bounds.compare_totals(output, &terms, &mut deviation);
    }
    Ok(deviation)
}

fn compare_gradient(
    side: &str,
    i: usize,
    found: &[f32],
    expected: &[f64],
    bound: f64,
    deviation: &mut Deviation,
) {
    for (column, (found, expected)) in found.iter().zip(expected).enumerate() {
        deviation.record((f64::from(*found) - expected).abs(), bound, || {
            format!("gradient of {side} {i}, column {column}: {found:e}, expected {expected:e}")
        });
    }
}

/// What may differ, from the longest rows of each side.
struct Bounds {
    /// A score's summing, as a share of `largest`.
    share: f64,
    /// No score is larger.
    largest: f64,
    loss: f64,
    query: f64,
    positive: f64,
}

impl Bounds {
    fn new(kernel: KernelId, job: &InfoNceJob<'_>) -> Result<Self, KernelError> {
        let (batch, dim, temperature) = (job.query.n_rows(), job.query.dim(), job.temperature);
        let query = scan(QUERY, job.query, Dtype::F64)?.get();
        let positive = scan("positive", job.positive, Dtype::F64)?.get();
        let queue = scan(GALLERY, job.queue, Dtype::F64)?.get();
        let batch_dtype = job.query.dtype().max(job.positive.dtype());
        let narrowed = contrast_narrowing_tolerance(kernel, batch_dtype, job.queue.dtype());
        let share = sum_tolerance(kernel, dim) + narrowed;
        let key = positive.max(queue);
        let largest = query * key;
        let loss = loss_tolerance(share, largest, temperature);
        let n_keys = job.queue.n_rows() + batch;
        let gradient = |longest| {
            gradient_tolerance(loss, longest, temperature, batch, n_keys)
                + (2.0 * narrowed + weight_tolerance(kernel, n_keys)) * longest / (batch as f64 * temperature)
        };
        // A positive takes part in one query, or in every query of the batch.
        let n_queries = if job.in_batch { batch } else { 1 };
        Ok(Self {
            share,
            largest,
            loss,
            query: gradient(key),
            positive: n_queries as f64 * gradient(query),
        })
    }

    fn compare_totals(&self, output: &InfoNceOutput, terms: &[Term], deviation: &mut Deviation) {
        let bound = 2.0 * self.share * self.largest;
        let hits_above = |gap: f64| terms.iter().filter(|term| term.own - term.best > gap).count() as u64;
        let (least, most) = (hits_above(bound), hits_above(-bound));
        let found = output.n_hits;
        let off = least.saturating_sub(found).max(found.saturating_sub(most));
        deviation.record(off as f64, 0.0, || {
            format!("{found} hits, expected {least} to {most}")
        });

        let n_negatives = terms.iter().map(|term| term.n_negatives).sum::<u64>();
        let found = output.n_negatives;
        deviation.record(found.abs_diff(n_negatives) as f64, 0.0, || {
            format!("{found} negatives, expected {n_negatives}")
        });

        let positive_sum = terms.iter().map(|term| term.own).sum::<f64>();
        let negative_sum = terms.iter().map(|term| term.negative_sum).sum::<f64>();
        for (name, n, found, expected) in [
            ("positives", terms.len() as u64, output.positive_sum, positive_sum),
            ("negatives", n_negatives, output.negative_sum, negative_sum),
        ] {
            let bound = score_sum_tolerance(self.share, self.largest, n);
            deviation.record((found - expected).abs(), bound, || {
                format!("sum of the scores of {name}: {found:e}, expected {expected:e}")
            });
        }
    }
}
