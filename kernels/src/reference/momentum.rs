//! `ema_update` and `enqueue`, an element at a time.

use half::f16;

use super::{Reference, dot, widened};
use crate::check;
use crate::momentum::{EmaPair, EmaUpdate, Enqueue, EnqueueJob, MIN_NORM, QueueRows, check_ema};
use crate::{Dtype, KernelError};

impl EmaUpdate for Reference {
    fn ema_update(&self, momentum: f64, pairs: &mut [EmaPair<'_>]) -> Result<(), KernelError> {
        let w = f64::from(check_ema(momentum, pairs)?);
        for pair in pairs {
            for (key, query) in pair.key.iter_mut().zip(pair.query) {
                let (from, to) = (f64::from(*key), f64::from(*query));
                let moved = if w < 0.5 {
                    from + w * (to - from)
                } else {
                    to - (1.0 - w) * (to - from)
                };
                *key = moved as f32;
            }
        }
        Ok(())
    }
}

impl Enqueue for Reference {
    fn enqueue(&self, mut job: EnqueueJob<'_>) -> Result<usize, KernelError> {
        job.check()?;
        let norm = check::scan(check::KEY, job.keys, Dtype::F64)?;
        check::score_range(norm, norm, f64::MAX)?;
        let (queue_len, dim) = (job.queue_len(), job.keys.dim());
        for (i, id) in job.ids.iter().enumerate() {
            let entry = (job.pointer + i) % queue_len;
            let key = widened(job.keys, i);
            let norm = dot(&key, &key).sqrt().max(MIN_NORM);
            for (column, x) in key.iter().enumerate() {
                let at = entry * dim + column;
                match &mut job.queue {
                    QueueRows::F16(rows) => rows[at] = f16::from_f64(x / norm),
                    QueueRows::F32(rows) => rows[at] = (x / norm) as f32,
                }
            }
            job.queue_ids[entry] = *id;
        }
        Ok(if queue_len == 0 {
            0
        } else {
            (job.pointer + job.ids.len()) % queue_len
        })
    }
}
