//! `info_nce` by autograd over the matrix of logits; `ema_update` as one operation on the list of
//! tensors; `enqueue` as the usual sequence of operations.

use tch::{Kind, Tensor};

use super::kernel::LibtorchKernel;
use super::memory::{Borrowed, BorrowedMut};
use super::script::lerp_list;
use crate::check;
use crate::info_nce::{InfoNce, InfoNceJob, InfoNceOutput};
use crate::momentum::{EmaPair, EmaUpdate, Enqueue, EnqueueJob, MIN_NORM, QueueRows, check_ema};
use crate::{Dtype, KernelError};

impl InfoNce for LibtorchKernel {
    fn info_nce(&self, job: &InfoNceJob<'_>) -> Result<InfoNceOutput, KernelError> {
        job.check()?;
        let norms = [
            self.check(check::QUERY, job.query, Dtype::F32)?,
            self.check("positive", job.positive, Dtype::F32)?,
            self.check("queue", job.queue, self.dtype)?,
        ];
        check::logit_norms(norms, job.temperature)?;
        let leaf = |rows| -> Result<Tensor, KernelError> {
            // A handle of its own: the graph hangs on it, not on the borrowed view.
            let rows = self.load(rows, Kind::Float)?;
            Ok(rows.f_detach()?)
        };
        let query = leaf(job.query)?.set_requires_grad(true);
        let positive = leaf(job.positive)?.set_requires_grad(job.positive_gradient);
        // Rows of the queue are stored in the kernel's type and read in f32.
        let queue = self.load(job.queue, self.kind())?.to(self.device, Kind::Float)?;

        let own = own_scores(&query, &positive)?;
        let mut scores = Vec::new();
        if job.in_batch {
            scores.push(query.f_matmul(&positive.f_tr()?)?);
        }
        scores.push(query.f_matmul(&queue.f_tr()?)?);
        let mut negatives = Tensor::f_cat(&scores, 1)?;
        if let Some(mask) = self.left_out(job)? {
            negatives = negatives.f_masked_fill(&mask, f64::NEG_INFINITY)?;
        }
        let losses = losses(&own, &negatives, job.temperature)?;
        let mut inputs = vec![&query];
        inputs.extend(job.positive_gradient.then_some(&positive));
        let mean = losses.f_mean(None::<Kind>)?;
        let gradients = Tensor::f_run_backward(&[mean], &inputs, false, false)?;
        let gradients = gradients
            .iter()
            .map(|gradient| Ok(Vec::<f32>::try_from(gradient.f_reshape([-1])?)?))
            .collect::<Result<Vec<_>, KernelError>>()?;
        let mut gradients = gradients.into_iter();

        output(
            &losses,
            [&own, &negatives],
            gradients.next().unwrap_or_default(),
            gradients.next(),
        )
    }
}

/// What is known of a term by its losses `[batch]`, scores `[batch, 1]` of the positives and `[batch, n]` of the negatives,
/// minus infinity where one takes no part, and its gradients.
pub(super) fn output(
    losses: &Tensor,
    [own, negatives]: [&Tensor; 2],
    query_gradient: Vec<f32>,
    positive_gradient: Option<Vec<f32>>,
) -> Result<InfoNceOutput, KernelError> {
    let (own, negatives) = (own.f_detach()?, negatives.f_detach()?);
    let kept = negatives.f_isfinite()?;
    let total =
        |tensor: Tensor| -> Result<f64, KernelError> { Ok(tensor.f_sum(Kind::Double)?.f_double_value(&[])?) };
    let n_hits = if negatives.size()[1] == 0 {
        own.size()[0] as f64
    } else {
        total(own.f_gt_tensor(&negatives.f_amax([1], true)?)?)?
    };
    Ok(InfoNceOutput {
        losses: Vec::try_from(losses.f_detach()?.f_to_kind(Kind::Double)?)?,
        query_gradient,
        positive_gradient,
        n_hits: n_hits as u64,
        positive_sum: total(own)?,
        negative_sum: total(negatives.f_masked_fill(&kept.f_logical_not()?, 0.0)?)?,
        n_negatives: total(kept)? as u64,
    })
}

/// Scores `[batch, 1]` of the queries and their positives, both `[batch, dim]`.
pub(super) fn own_scores(query: &Tensor, positive: &Tensor) -> Result<Tensor, KernelError> {
    Ok(query.f_mul(positive)?.f_sum_dim_intlist(1, true, None::<Kind>)?)
}

/// Losses `[batch]` of scores `[batch, 1]` of the positives and `[batch, n]` of the negatives.
pub(super) fn losses(own: &Tensor, negatives: &Tensor, temperature: f64) -> Result<Tensor, KernelError> {
    let logits = Tensor::f_cat(&[own, negatives], 1)?.f_div_scalar(temperature)?;
    Ok(logits.f_logsumexp(1, false)?.f_sub(&logits.f_select(1, 0)?)?)
}

impl LibtorchKernel {
    /// True where a candidate is no negative, over those of the batch (if they take part) and of the queue.
    fn left_out(&self, job: &InfoNceJob<'_>) -> Result<Option<Tensor>, KernelError> {
        let (batch, queue_len) = (job.query.n_rows() as i64, job.queue.n_rows() as i64);
        let kind = (Kind::Bool, self.device);
        let mut masks = Vec::new();
        if let Some(ids) = job.ids {
            let own = self.load_ids(ids.batch)?;
            let rows = own.f_unsqueeze(1)?;
            if job.in_batch {
                masks.push(rows.f_eq_tensor(&own)?);
            }
            masks.push(rows.f_eq_tensor(&self.load_ids(ids.queue)?)?);
        } else if job.in_batch {
            masks.push(Tensor::f_eye(batch, kind)?);
            masks.push(Tensor::f_zeros([batch, queue_len], kind)?);
        }
        Ok(if masks.is_empty() {
            None
        } else {
            Some(Tensor::f_cat(&masks, 1)?)
        })
    }
}

impl EmaUpdate for LibtorchKernel {
    fn ema_update(&self, momentum: f64, pairs: &mut [EmaPair<'_>]) -> Result<(), KernelError> {
        let weight = f64::from(check_ema(momentum, pairs)?);
        let mut keys = Vec::new();
        // On the CPU the keys themselves.
        let mut moved = Vec::new();
        let mut queries = Vec::new();
        for pair in pairs {
            let size = [pair.key.len() as i64];
            queries.push(Borrowed::new(pair.query, &size)?.to(self.device, Kind::Float)?);
            let key = BorrowedMut::new(pair.key, &size)?;
            moved.push(key.f_to_device(self.device)?);
            keys.push(key);
        }
        let queries = queries.iter().map(|query| &**query).collect();
        lerp_list(&moved.iter().collect(), &queries, weight)?;
        if self.device != tch::Device::Cpu {
            for (key, moved) in keys.iter_mut().zip(&moved) {
                key.f_copy_(moved)?;
            }
        }
        Ok(())
    }
}

impl Enqueue for LibtorchKernel {
    fn enqueue(&self, job: EnqueueJob<'_>) -> Result<usize, KernelError> {
        job.check()?;
        let norm = check::scan(check::KEY, job.keys, Dtype::F32)?;
        check::score_range(norm, norm, f64::from(f32::MAX))?;
        let (n_keys, queue_len) = (job.keys.n_rows(), job.queue_len());
        if n_keys == 0 {
            return Ok(job.pointer);
        }
        let keys = self.load(job.keys, Kind::Float)?;
        let norms = keys
            .f_norm_scalaropt_dim(2, [1].as_slice(), true)?
            .f_clamp_min(MIN_NORM)?;
        let keys = keys.f_div(&norms)?;
        let ids = Borrowed::new(job.ids, &[n_keys as i64])?;
        let size = [queue_len as i64, job.keys.dim() as i64];
        let queue = match job.queue {
            QueueRows::F16(rows) => BorrowedMut::new(rows, &size)?,
            QueueRows::F32(rows) => BorrowedMut::new(rows, &size)?,
        };
        let queue_ids = BorrowedMut::new(job.queue_ids, &size[..1])?;
        let until_end = n_keys.min(queue_len - job.pointer);
        for (to, from, len) in [(job.pointer, 0, until_end), (0, until_end, n_keys - until_end)] {
            let (to, from, len) = (to as i64, from as i64, len as i64);
            queue
                .f_narrow(0, to, len)?
                .f_copy_(&keys.f_narrow(0, from, len)?)?;
            queue_ids
                .f_narrow(0, to, len)?
                .f_copy_(&ids.f_narrow(0, from, len)?)?;
        }
        Ok((job.pointer + n_keys) % queue_len)
    }
}
