//! The step by libtorch's operations and its autograd.

use tch::{Kind, Tensor};

use super::{KeyWrite, StepKernels};
use crate::error::ModelError;
use crate::loss::{Negatives, Term, TermRows};

/// libtorch on the device of the tensors, with its own number of threads.
#[derive(Debug)]
pub(super) struct Libtorch;

/// Which candidates are no negatives.
struct Masks {
    /// `[batch, batch]`, true where the column's key is no negative of the row's query. Absent when other
    /// pairs' keys are no negatives at all.
    in_batch: Option<Tensor>,
    /// `[batch, queue_len]`, true where an entry is removed. Absent when none is.
    queue: Option<Tensor>,
}

impl Masks {
    fn new(negatives: &Negatives<'_>, n: i64, device: tch::Device) -> Result<Self, ModelError> {
        let to_device = |ids: &[i64]| Tensor::f_from_slice(ids)?.f_to_device(device);
        let (mut in_batch, mut queue) = (None, None);
        if let Some(ids) = negatives.ids() {
            let own = to_device(ids.batch)?;
            let rows = own.f_unsqueeze(1)?;
            if negatives.in_batch() {
                in_batch = Some(rows.f_eq_tensor(&own)?);
            }
            queue = Some(rows.f_eq_tensor(&to_device(ids.queue)?)?);
        } else if negatives.in_batch() {
            in_batch = Some(Tensor::f_eye(n, (Kind::Bool, device))?);
        }
        Ok(Self { in_batch, queue })
    }
}

impl StepKernels for Libtorch {
    fn info_nce(
        &self,
        terms: &[TermRows<'_>],
        negatives: &Negatives<'_>,
        temperature: f64,
    ) -> Result<Vec<Term>, ModelError> {
        let Some(first) = terms.first() else {
            return Ok(Vec::new());
        };
        let masks = Masks::new(negatives, first.query.size2()?.0, first.query.device())?;
        terms
            .iter()
            .map(|rows| term(rows, &masks, negatives.kept(), temperature))
            .collect()
    }

    fn follow(&self, momentum: f64, key: &Tensor, query: &Tensor) -> Result<(), ModelError> {
        // A failure of an operation with a scalar would panic in the binding.
        ModelError::check_len("followed parameters", key.numel(), query.numel())?;
        let _no_grad = tch::no_grad_guard();
        let _ = key.shallow_clone().f_lerp_(query, 1.0 - momentum)?;
        Ok(())
    }

    fn enqueue(&self, keys: KeyWrite<'_>) -> Result<usize, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let KeyWrite {
            banks,
            video_ids,
            queue_ids,
            pointer,
        } = keys;
        let (n, queue_len) = (video_ids.len(), queue_ids.len());
        let until_end = n.min(queue_len - pointer);
        for (to, from, len) in [(pointer, 0, until_end), (0, until_end, n - until_end)] {
            if len == 0 {
                continue;
            }
            for (bank, keys) in banks {
                let new = keys.f_narrow(0, from as i64, len as i64)?;
                bank.f_narrow(0, to as i64, len as i64)?.f_copy_(&new)?;
            }
            queue_ids[to..to + len].copy_from_slice(&video_ids[from..from + len]);
        }
        Ok((pointer + n) % queue_len)
    }
}

fn term(rows: &TermRows<'_>, masks: &Masks, kept: u64, temperature: f64) -> Result<Term, ModelError> {
    let scaled = rows.query.f_div_scalar(temperature)?;
    let positive = scaled
        .f_mul(rows.keys)?
        .f_sum_dim_intlist(-1, true, None::<Kind>)?;
    let mut blocks = vec![positive.shallow_clone()];
    if let Some(mask) = &masks.in_batch {
        blocks.push(
            scaled
                .f_matmul(&rows.keys.f_tr()?)?
                .f_masked_fill(mask, f64::NEG_INFINITY)?,
        );
    }
    if let Some(bank) = rows.bank {
        let scores = scaled.f_matmul(&bank.f_to_kind(scaled.f_kind()?)?.f_tr()?)?;
        blocks.push(match &masks.queue {
            Some(mask) => scores.f_masked_fill(mask, f64::NEG_INFINITY)?,
            None => scores,
        });
    }
    let logits = Tensor::f_cat(&blocks, 1)?;
    let loss = logits
        .f_logsumexp(1, true)?
        .f_sub(&positive)?
        .f_mean(None::<Kind>)?;
    let masked = masks.in_batch.is_some() || masks.queue.is_some();
    let summary = tch::no_grad(|| summarize(&loss, &positive, &logits, masked, kept, temperature))?;
    Ok(Term { loss, summary })
}

/// The summary of a term; `kept` negatives of all queries took part.
fn summarize(
    loss: &Tensor,
    positive: &Tensor,
    logits: &Tensor,
    masked: bool,
    kept: u64,
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
    let negative_mean = if kept == 0 {
        positive_mean.f_zeros_like()?
    } else {
        let finite = if masked {
            others.f_masked_fill(&others.f_isneginf()?, 0.0)?
        } else {
            others
        };
        finite
            .f_sum(None::<Kind>)?
            .f_mul_scalar(temperature / kept as f64)?
    };
    Ok(Tensor::f_stack(
        &[loss.f_detach()?, hit_rate, positive_mean, negative_mean],
        0,
    )?)
}
