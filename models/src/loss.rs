//! InfoNCE in the form of MoCo (arXiv 1911.05722, equation 1), for one query side against one key side.
//!
//! `L = mean_i -log( exp(q_i.k_i / T) / (exp(q_i.k_i / T) + sum_n exp(q_i.n / T)) )`, where the negatives
//! `n` are queue entries, other pairs' keys, or both, less those that a mask removes.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use crate::error::ModelError;

/// How often negatives are of the query's own video, before any mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SameVideo {
    /// Candidates over all queries: real queue entries and, where they are negatives, other pairs' keys.
    pub candidates: u64,
    /// Those of the query's own video.
    pub same: u64,
    /// Queries with at least one such candidate.
    pub queries: u64,
}

/// What counts as a negative in a step; the same for every term, since rows of all levels and both
/// modalities belong to the same videos.
#[derive(Debug)]
pub struct Negatives {
    /// `[batch, batch]`, true where the column's key is no negative of the row's query. Absent when other
    /// pairs' keys are no negatives at all.
    in_batch: Option<Tensor>,
    /// `[batch, queue_len]`, true where an entry is removed. Absent when none is.
    queue: Option<Tensor>,
    /// Negatives left over all queries.
    kept: u64,
    same_video: SameVideo,
}

/// What of the queue [`Negatives`] must know.
#[derive(Debug, Clone, Copy)]
pub struct QueueIds<'a> {
    /// Video of each entry `[queue_len]`, `-1` for the random entries of the beginning; on the device.
    pub ids: &'a Tensor,
    /// How many entries each video has.
    pub counts: &'a HashMap<i64, u64>,
    /// Entries in all, the random ones included.
    pub queue_len: u64,
    /// Entries that are real keys.
    pub n_filled: u64,
}

impl Negatives {
    /// Decides the negatives of a batch.
    ///
    /// `video_ids [batch]` on the host. Without a queue, other pairs' keys are the negatives. With
    /// `mask_same_video`, candidates of a query's own video are none.
    ///
    /// # Errors
    /// [`ModelError`] when libtorch fails.
    pub fn new(
        video_ids: &[i64],
        queue: Option<QueueIds<'_>>,
        in_batch_negatives: bool,
        mask_same_video: bool,
        device: tch::Device,
    ) -> Result<Self, ModelError> {
        let n = video_ids.len() as u64;
        let use_in_batch = in_batch_negatives || queue.is_none();
        let mut in_batch_counts = HashMap::new();
        for id in video_ids {
            *in_batch_counts.entry(*id).or_insert(0_u64) += 1;
        }
        let mut same_video = SameVideo::default();
        let mut same_in_queue = 0;
        for id in video_ids {
            let in_batch = if use_in_batch { in_batch_counts[id] - 1 } else { 0 };
            let in_queue = queue.and_then(|queue| queue.counts.get(id).copied()).unwrap_or(0);
            same_in_queue += in_queue;
            same_video.same += in_batch + in_queue;
            same_video.queries += u64::from(in_batch + in_queue > 0);
        }
        let n_other = if use_in_batch { n * n.saturating_sub(1) } else { 0 };
        same_video.candidates = n_other + queue.map_or(0, |queue| n * queue.n_filled);

        let ids = Tensor::f_from_slice(video_ids)?.f_to_device(device)?;
        let rows = ids.f_unsqueeze(1)?;
        let in_batch = match (use_in_batch, mask_same_video) {
            (false, _) => None,
            (true, true) => Some(rows.f_eq_tensor(&ids)?),
            (true, false) => Some(Tensor::f_eye(n as i64, (Kind::Bool, device))?),
        };
        let queue_mask = match queue {
            Some(queue) if mask_same_video && same_in_queue > 0 => Some(rows.f_eq_tensor(queue.ids)?),
            _ => None,
        };
        let removed = if mask_same_video { same_video.same } else { 0 };
        let kept = n_other + queue.map_or(0, |queue| n * queue.queue_len) - removed;
        Ok(Self {
            in_batch,
            queue: queue_mask,
            kept,
            same_video,
        })
    }

    /// Negatives left over all queries.
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// How often candidates are of the query's own video.
    pub fn same_video(&self) -> SameVideo {
        self.same_video
    }
}

/// One InfoNCE term of a batch.
#[derive(Debug)]
pub struct Term {
    /// Mean loss, a scalar with its graph.
    pub loss: Tensor,
    /// Without graph, `[4]`: loss; share of queries whose positive scores above every negative; mean cosine
    /// of the positives; mean cosine of the negatives (0 when there are none).
    pub summary: Tensor,
}

/// Computes one term.
///
/// `query [batch, dim]` and `keys [batch, dim]` have unit rows, row `i` of one belonging to row `i` of the
/// other; `queue [queue_len, dim]`, unit rows, `f32`. Gradients flow to `query` and, where they carry a
/// graph, to `keys`.
///
/// # Errors
/// [`ModelError`] when shapes disagree or libtorch fails.
pub fn info_nce(
    query: &Tensor,
    keys: &Tensor,
    queue: Option<&Tensor>,
    negatives: &Negatives,
    temperature: f64,
) -> Result<Term, ModelError> {
    let scaled = query.f_div_scalar(temperature)?;
    let positive = scaled.f_mul(keys)?.f_sum_dim_intlist(-1, true, None::<Kind>)?;
    let mut blocks = vec![positive.shallow_clone()];
    if let Some(mask) = &negatives.in_batch {
        blocks.push(
            scaled
                .f_matmul(&keys.f_tr()?)?
                .f_masked_fill(mask, f64::NEG_INFINITY)?,
        );
    }
    if let Some(queue) = queue {
        let scores = scaled.f_matmul(&queue.f_tr()?)?;
        blocks.push(match &negatives.queue {
            Some(mask) => scores.f_masked_fill(mask, f64::NEG_INFINITY)?,
            None => scores,
        });
    }
    let logits = Tensor::f_cat(&blocks, 1)?;
    let loss = logits
        .f_logsumexp(1, true)?
        .f_sub(&positive)?
        .f_mean(None::<Kind>)?;
    let summary = tch::no_grad(|| summarize(&loss, &positive, &logits, negatives, temperature))?;
    Ok(Term { loss, summary })
}

fn summarize(
    loss: &Tensor,
    positive: &Tensor,
    logits: &Tensor,
    negatives: &Negatives,
    temperature: f64,
) -> Result<Tensor, ModelError> {
    let n_negatives = logits.size2()?.1 - 1;
    let others = logits.f_narrow(1, 1, n_negatives)?;
    let positive_mean = positive.f_mean(None::<Kind>)?.f_mul_scalar(temperature)?;
    let hit_rate = if n_negatives == 0 {
        positive_mean.f_ones_like()?
    } else {
        positive
            .f_gt_tensor(&others.f_amax([1], true)?)?
            .f_mean(Kind::Float)?
    };
    let negative_mean = if negatives.kept == 0 {
        positive_mean.f_zeros_like()?
    } else {
        let masked = negatives.in_batch.is_some() || negatives.queue.is_some();
        let finite = if masked {
            others.f_masked_fill(&others.f_isneginf()?, 0.0)?
        } else {
            others
        };
        finite
            .f_sum(None::<Kind>)?
            .f_mul_scalar(temperature / negatives.kept as f64)?
    };
    Ok(Tensor::f_stack(
        &[loss.f_detach()?, hit_rate, positive_mean, negative_mean],
        0,
    )?)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    const TEMPERATURE: f64 = 0.07;

    fn unit_rows(n: i64, dim: i64, seed: i64) -> Tensor {
        tch::manual_seed(seed);
        let rows = Tensor::randn([n, dim], (Kind::Float, Device::Cpu));
        &rows / rows.norm_scalaropt_dim(2, [1].as_slice(), true)
    }

    fn counts(ids: &[i64]) -> HashMap<i64, u64> {
        let mut counts = HashMap::new();
        for id in ids.iter().filter(|id| **id >= 0) {
            *counts.entry(*id).or_insert(0) += 1;
        }
        counts
    }

    fn matrix(tensor: &Tensor) -> Vec<Vec<f64>> {
        Vec::<Vec<f64>>::try_from(&tensor.to_kind(Kind::Double)).unwrap()
    }

    /// The definition in loops: loss, hit rate, positives' and negatives' mean, kept negatives.
    fn by_hand(
        query: &Tensor,
        keys: &Tensor,
        queue: Option<&Tensor>,
        removed: impl Fn(usize, Option<usize>, usize) -> bool,
        in_batch: bool,
    ) -> [f64; 5] {
        let (query, keys) = (matrix(query), matrix(keys));
        let queue = queue.map(matrix).unwrap_or_default();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let n = query.len();
        let (mut loss, mut hits, mut positives, mut negatives, mut kept) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for i in 0..n {
            let positive = dot(&query[i], &keys[i]);
            let mut others = Vec::new();
            if in_batch {
                others.extend(
                    (0..n)
                        .filter(|j| *j != i && !removed(i, None, *j))
                        .map(|j| dot(&query[i], &keys[j])),
                );
            }
            others.extend(
                (0..queue.len())
                    .filter(|j| !removed(i, Some(0), *j))
                    .map(|j| dot(&query[i], &queue[j])),
            );
            let sum: f64 = others.iter().map(|s| (s / TEMPERATURE).exp()).sum();
            let own = (positive / TEMPERATURE).exp();
            loss -= (own / (own + sum)).ln();
            hits += f64::from(others.iter().all(|s| positive > *s));
            positives += positive;
            negatives += others.iter().sum::<f64>();
            kept += others.len() as f64;
        }
        let n = n as f64;
        [loss / n, hits / n, positives / n, negatives / kept, kept]
    }

    fn check(term: &Term, negatives: &Negatives, expected: [f64; 5]) {
        let summary = Vec::<f32>::try_from(&term.summary).unwrap();
        for (value, expected) in summary.iter().zip(expected) {
            assert!(
                (f64::from(*value) - expected).abs() < 2e-6 * (1.0 + expected.abs()),
                "{value} is not {expected}"
            );
        }
        assert_eq!(negatives.kept() as f64, expected[4]);
        assert_eq!(term.loss.double_value(&[]) as f32, summary[0]);
    }

    #[test]
    fn agrees_with_the_definition_for_every_kind_of_negative() {
        let ids = [3, 5, 3, 8, 1];
        let queue_ids = [-1, 3, 8, 8, -1, 2, 5];
        let (query, queue) = (unit_rows(5, 6, 1), unit_rows(7, 6, 3));
        // Keys near their queries, so that some hit and some do not.
        let keys = &query * 0.4 + unit_rows(5, 6, 2);
        let keys = &keys / keys.norm_scalaropt_dim(2, [1].as_slice(), true);
        let device_ids = Tensor::from_slice(&queue_ids);
        let counts = counts(&queue_ids);
        for with_queue in [false, true] {
            for in_batch in [false, true] {
                for mask in [false, true] {
                    let info = QueueIds {
                        ids: &device_ids,
                        counts: &counts,
                        queue_len: 7,
                        n_filled: 5,
                    };
                    let negatives =
                        Negatives::new(&ids, with_queue.then_some(info), in_batch, mask, Device::Cpu)
                            .unwrap();
                    let term = info_nce(
                        &query,
                        &keys,
                        with_queue.then_some(&queue),
                        &negatives,
                        TEMPERATURE,
                    )
                    .unwrap();
                    let expected = by_hand(
                        &query,
                        &keys,
                        with_queue.then_some(&queue),
                        |i, in_queue, j| {
                            mask && ids[i] == if in_queue.is_some() { queue_ids[j] } else { ids[j] }
                        },
                        in_batch || !with_queue,
                    );
                    check(&term, &negatives, expected);
                }
            }
        }
    }

    #[test]
    fn same_video_rate_counts_real_entries_only() {
        let queue_ids = [-1, 3, 8, 8];
        let device_ids = Tensor::from_slice(&queue_ids);
        let counts = counts(&queue_ids);
        let info = QueueIds {
            ids: &device_ids,
            counts: &counts,
            queue_len: 4,
            n_filled: 3,
        };
        let same = |in_batch| {
            Negatives::new(&[8, 3, 1, 3], Some(info), in_batch, false, Device::Cpu)
                .unwrap()
                .same_video()
        };
        assert_eq!(
            same(false),
            SameVideo {
                candidates: 12,
                same: 4,
                queries: 3
            }
        );
        assert_eq!(
            same(true),
            SameVideo {
                candidates: 24,
                same: 6,
                queries: 3
            }
        );
    }

    #[test]
    fn gradient_reaches_both_sides_end_to_end_and_agrees_with_differences() {
        let wide = (Kind::Double, Device::Cpu);
        tch::manual_seed(4);
        let query = Tensor::randn([4, 3], wide).set_requires_grad(true);
        let keys = Tensor::randn([4, 3], wide).set_requires_grad(true);
        let negatives = Negatives::new(&[0, 1, 2, 1], None, false, true, Device::Cpu).unwrap();
        let loss = |query: &Tensor, keys: &Tensor| info_nce(query, keys, None, &negatives, 0.5).unwrap().loss;
        let gradients =
            Tensor::f_run_backward(&[loss(&query, &keys)], &[&query, &keys], false, false).unwrap();
        let (query, keys) = (query.detach(), keys.detach());
        for (side, gradient) in gradients.iter().enumerate() {
            for row in 0..4 {
                for column in 0..3 {
                    let moved = |step: f64| {
                        let mut delta = Tensor::zeros([4, 3], wide);
                        let _ = delta.get(row).get(column).fill_(step);
                        if side == 0 {
                            loss(&(&query + &delta), &keys)
                        } else {
                            delta += &keys;
                            loss(&query, &delta)
                        }
                    };
                    let numeric = (moved(1e-5) - moved(-1e-5)).double_value(&[]) / 2e-5;
                    let exact = gradient.double_value(&[row, column]);
                    assert!(
                        (numeric - exact).abs() < 1e-8,
                        "{side} {row} {column}: {numeric} is not {exact}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_masked_out_batch_has_no_loss_and_no_nan() {
        let query = unit_rows(3, 4, 5);
        let negatives = Negatives::new(&[7, 7, 7], None, false, true, Device::Cpu).unwrap();
        let term = info_nce(&query, &query, None, &negatives, TEMPERATURE).unwrap();
        let summary = Vec::<f32>::try_from(&term.summary).unwrap();
        assert_eq!(negatives.kept(), 0);
        assert!(
            summary[0].abs() < 1e-6 && summary[1] == 1.0 && summary[3] == 0.0,
            "{summary:?}"
        );
    }
}
