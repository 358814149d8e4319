//! `info_nce`, `ema_update` and `enqueue`: what momentum contrast adds to a training step.

use std::hint::black_box;

#[cfg(feature = "torch")]
use hitbench_kernels::KernelId;
use hitbench_kernels::conformance::compare::{self, Deviation, Enqueued};
#[cfg(feature = "torch")]
use hitbench_kernels::libtorch::{EmaInPlace, EnqueueInPlace, InfoNceInPlace};
use hitbench_kernels::{
    Dtype, EmaPair, EmaUpdate, Enqueue, EnqueueJob, InfoNce, InfoNceJob, InfoNceOutput, KernelError,
    QueueRows, Rows, RowsData,
};

use super::bench::{Bench, BenchError, Judged, sample};
use super::inputs::{ContrastInputs, EmaInputs, QueueInputs};

/// `T` in `logits = cosine / T`.
const TEMPERATURE: f64 = 0.07;
/// `m` in `key = m * key + (1 - m) * query`.
const MOMENTUM: f64 = 0.999;
/// Elements of each tensor that are compared.
const COMPARED: usize = 4096;

/// Loss and query gradient.
pub(super) struct ContrastBench<'a> {
    job: InfoNceJob<'a>,
    kernel: Box<dyn InfoNce + Send + Sync>,
    #[cfg(feature = "torch")]
    held: Option<InfoNceInPlace>,
}

impl<'a> ContrastBench<'a> {
    pub(super) fn new(
        inputs: &'a ContrastInputs,
        kernel: Box<dyn InfoNce + Send + Sync>,
    ) -> Result<Self, KernelError> {
        let job = InfoNceJob {
            query: inputs.query.rows(Dtype::F32)?,
            positive: inputs.positive.rows(Dtype::F32)?,
            queue: inputs.queue.rows(kernel.id().dtype())?,
            in_batch: false,
            positive_gradient: false,
            ids: None,
            temperature: TEMPERATURE,
        };
        Ok(Self {
            job,
            kernel,
            #[cfg(feature = "torch")]
            held: None,
        })
    }

    fn output(&self) -> Result<InfoNceOutput, BenchError> {
        #[cfg(feature = "torch")]
        if let Some(held) = &self.held {
            return Ok(held.output()?);
        }
        Ok(self.kernel.info_nce(&self.job)?)
    }
}

impl Bench for ContrastBench<'_> {
    fn call(&mut self) -> Result<(), BenchError> {
        #[cfg(feature = "torch")]
        if let Some(held) = &self.held {
            return Ok(held.start()?);
        }
        black_box(self.kernel.info_nce(&self.job)?);
        Ok(())
    }

    fn verify(&mut self) -> Result<Judged, BenchError> {
        let output = self.output()?;
        let queries = sample(self.job.query.n_rows());
        Ok(Some(compare::info_nce(
            self.kernel.id(),
            &self.job,
            &output,
            &queries,
        )?))
    }

    #[cfg(feature = "torch")]
    fn hold(&mut self) -> Result<(), BenchError> {
        let rows = [self.job.query, self.job.positive, self.job.queue];
        self.held = Some(InfoNceInPlace::new(self.kernel.id(), rows, TEMPERATURE)?);
        Ok(())
    }

    #[cfg(feature = "torch")]
    fn release(&mut self) {
        self.held = None;
    }
}

/// Moves the key tensors, on and on towards the same query tensors.
pub(super) struct EmaBench<'a> {
    inputs: &'a mut EmaInputs,
    kernel: Box<dyn EmaUpdate + Send + Sync>,
    #[cfg(feature = "torch")]
    held: Option<EmaInPlace>,
}

impl<'a> EmaBench<'a> {
    pub(super) fn new(inputs: &'a mut EmaInputs, kernel: Box<dyn EmaUpdate + Send + Sync>) -> Self {
        Self {
            inputs,
            kernel,
            #[cfg(feature = "torch")]
            held: None,
        }
    }

    /// The first elements of every key tensor.
    fn heads(&self) -> Result<Vec<Vec<f32>>, BenchError> {
        #[cfg(feature = "torch")]
        if let Some(held) = &self.held {
            let heads = (0..self.inputs.key.len()).map(|index| Ok(held.key(index, COMPARED)?));
            return heads.collect();
        }
        let head = |tensor: &Vec<f32>| tensor[..tensor.len().min(COMPARED)].to_vec();
        Ok(self.inputs.key.iter().map(head).collect())
    }
}

impl Bench for EmaBench<'_> {
    fn call(&mut self) -> Result<(), BenchError> {
        #[cfg(feature = "torch")]
        if let Some(held) = &self.held {
            return Ok(held.start()?);
        }
        let keys = self.inputs.key.iter_mut();
        let mut pairs: Vec<EmaPair<'_>> = keys
            .zip(&self.inputs.query)
            .map(|(key, query)| EmaPair { key, query })
            .collect();
        Ok(self.kernel.ema_update(MOMENTUM, &mut pairs)?)
    }

    /// Compares the first elements of every tensor.
    fn verify(&mut self) -> Result<Judged, BenchError> {
        let before = self.heads()?;
        self.call()?;
        let after = self.heads()?;
        let mut worst = Deviation::default();
        for ((before, after), query) in before.iter().zip(&after).zip(&self.inputs.query) {
            let query = &query[..before.len()];
            let one = compare::ema_update(self.kernel.id(), MOMENTUM, before, query, after)?;
            worst = worst.merge(one);
        }
        Ok(Some(worst))
    }

    #[cfg(feature = "torch")]
    fn hold(&mut self) -> Result<(), BenchError> {
        let (keys, queries) = (&self.inputs.key, &self.inputs.query);
        self.held = Some(EmaInPlace::new(self.kernel.id(), keys, queries, MOMENTUM)?);
        Ok(())
    }

    #[cfg(feature = "torch")]
    fn release(&mut self) {
        self.held = None;
    }
}

/// Writes keys round and round.
pub(super) struct EnqueueBench<'a> {
    keys: Rows<'a>,
    ids: &'a [i64],
    queue: QueueRows<'a>,
    queue_ids: &'a mut [i64],
    pointer: usize,
    kernel: Box<dyn Enqueue + Send + Sync>,
    #[cfg(feature = "torch")]
    held: Option<EnqueueInPlace>,
}

impl<'a> EnqueueBench<'a> {
    pub(super) fn new(
        inputs: &'a mut QueueInputs,
        kernel: Box<dyn Enqueue + Send + Sync>,
    ) -> Result<Self, KernelError> {
        Ok(Self {
            keys: Rows::new(RowsData::F32(&inputs.keys), inputs.batch, inputs.dim)?,
            ids: &inputs.ids,
            queue: match kernel.id().dtype() {
                Dtype::F16 => QueueRows::F16(&mut inputs.f16),
                Dtype::F32 | Dtype::F64 => QueueRows::F32(&mut inputs.f32),
            },
            queue_ids: &mut inputs.queue_ids,
            pointer: 0,
            kernel,
            #[cfg(feature = "torch")]
            held: None,
        })
    }

    /// Writes the keys at the pointer; gives the next one.
    fn write(&mut self) -> Result<usize, KernelError> {
        let queue = match &mut self.queue {
            QueueRows::F16(rows) => QueueRows::F16(rows),
            QueueRows::F32(rows) => QueueRows::F32(rows),
        };
        self.kernel.enqueue(EnqueueJob {
            keys: self.keys,
            ids: self.ids,
            queue,
            queue_ids: self.queue_ids,
            pointer: self.pointer,
        })
    }
}

/// Writes once into a queue on a GPU, and compares all of it.
#[cfg(feature = "torch")]
fn judge_in_place(
    id: KernelId,
    keys: Rows<'_>,
    ids: &[i64],
    held: &mut EnqueueInPlace,
) -> Result<Judged, BenchError> {
    let (pointer, before, before_ids) = (held.pointer(), held.rows()?, held.queue_ids().to_vec());
    held.start()?;
    let (after, queue_len) = (held.rows()?, before_ids.len());
    let written = Enqueued {
        keys,
        ids,
        pointer,
        before: Rows::new(before.data(), queue_len, keys.dim())?,
        before_ids: &before_ids,
        after: Rows::new(after.data(), queue_len, keys.dim())?,
        after_ids: held.queue_ids(),
        next: held.pointer(),
    };
    Ok(Some(compare::enqueue(id, &written)?))
}

impl Bench for EnqueueBench<'_> {
    fn call(&mut self) -> Result<(), BenchError> {
        #[cfg(feature = "torch")]
        if let Some(held) = &mut self.held {
            return Ok(held.start()?);
        }
        self.pointer = self.write()?;
        Ok(())
    }

    fn verify(&mut self) -> Result<Judged, BenchError> {
        #[cfg(feature = "torch")]
        if let Some(held) = &mut self.held {
            return judge_in_place(self.kernel.id(), self.keys, self.ids, held);
        }
        let (pointer, before_ids) = (self.pointer, self.queue_ids.to_vec());
        let before = self.queue.copy();
        let next = self.write()?;
        self.pointer = next;
        let (queue_len, dim) = (self.queue_ids.len(), self.keys.dim());
        let written = Enqueued {
            keys: self.keys,
            ids: self.ids,
            pointer,
            before: Rows::new(before.data(), queue_len, dim)?,
            before_ids: &before_ids,
            after: Rows::new(self.queue.data(), queue_len, dim)?,
            after_ids: self.queue_ids,
            next,
        };
        Ok(Some(compare::enqueue(self.kernel.id(), &written)?))
    }

    #[cfg(feature = "torch")]
    fn hold(&mut self) -> Result<(), BenchError> {
        let queue_len = self.queue_ids.len();
        self.held = Some(EnqueueInPlace::new(
            self.kernel.id(),
            self.keys,
            self.ids,
            queue_len,
        )?);
        Ok(())
    }

    #[cfg(feature = "torch")]
    fn release(&mut self) {
        self.held = None;
    }
}
