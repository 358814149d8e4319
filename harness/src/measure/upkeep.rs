//! `info_nce`, `ema_update` and `enqueue`: what momentum contrast adds to a training step.

use std::hint::black_box;

use hitbench_kernels::conformance::compare::{self, Deviation, Enqueued};
use hitbench_kernels::{
    Dtype, EmaPair, EmaUpdate, Enqueue, EnqueueJob, InfoNce, InfoNceJob, KernelError, QueueRows, Rows,
    RowsData,
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
        Ok(Self { job, kernel })
    }
}

impl Bench for ContrastBench<'_> {
    fn call(&mut self) -> Result<(), BenchError> {
        black_box(self.kernel.info_nce(&self.job)?);
        Ok(())
    }

    fn verify(&mut self) -> Result<Judged, BenchError> {
        let output = self.kernel.info_nce(&self.job)?;
        let queries = sample(self.job.query.n_rows());
        Ok(Some(compare::info_nce(
            self.kernel.id(),
            &self.job,
            &output,
            &queries,
        )?))
    }
}

/// Moves the key tensors, on and on towards the same query tensors.
pub(super) struct EmaBench<'a> {
    inputs: &'a mut EmaInputs,
    kernel: Box<dyn EmaUpdate + Send + Sync>,
}

impl<'a> EmaBench<'a> {
    pub(super) fn new(inputs: &'a mut EmaInputs, kernel: Box<dyn EmaUpdate + Send + Sync>) -> Self {
        Self { inputs, kernel }
    }
}

impl Bench for EmaBench<'_> {
    fn call(&mut self) -> Result<(), BenchError> {
        let keys = self.inputs.key.iter_mut();
        let mut pairs: Vec<EmaPair<'_>> = keys
            .zip(&self.inputs.query)
            .map(|(key, query)| EmaPair { key, query })
            .collect();
        Ok(self.kernel.ema_update(MOMENTUM, &mut pairs)?)
    }

    /// Compares the first elements of every tensor.
    fn verify(&mut self) -> Result<Judged, BenchError> {
        let head = |tensor: &Vec<f32>| tensor[..tensor.len().min(COMPARED)].to_vec();
        let before: Vec<Vec<f32>> = self.inputs.key.iter().map(head).collect();
        self.call()?;
        let mut worst = Deviation::default();
        for (index, before) in before.iter().enumerate() {
            let (query, after) = (&self.inputs.query[index], &self.inputs.key[index]);
            let n = before.len();
            let one = compare::ema_update(self.kernel.id(), MOMENTUM, before, &query[..n], &after[..n])?;
            worst = worst.merge(one);
        }
        Ok(Some(worst))
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

impl Bench for EnqueueBench<'_> {
    fn call(&mut self) -> Result<(), BenchError> {
        self.pointer = self.write()?;
        Ok(())
    }

    fn verify(&mut self) -> Result<Judged, BenchError> {
        let (pointer, before_ids) = (self.pointer, self.queue_ids.to_vec());
        let before = match &self.queue {
            QueueRows::F16(rows) => Copied::F16(rows.to_vec()),
            QueueRows::F32(rows) => Copied::F32(rows.to_vec()),
        };
        let next = self.write()?;
        self.pointer = next;
        let (queue_len, dim) = (self.queue_ids.len(), self.keys.dim());
        let after = match &self.queue {
            QueueRows::F16(rows) => RowsData::F16(rows),
            QueueRows::F32(rows) => RowsData::F32(rows),
        };
        let written = Enqueued {
            keys: self.keys,
            ids: self.ids,
            pointer,
            before: Rows::new(before.data(), queue_len, dim)?,
            before_ids: &before_ids,
            after: Rows::new(after, queue_len, dim)?,
            after_ids: self.queue_ids,
            next,
        };
        Ok(Some(compare::enqueue(self.kernel.id(), &written)?))
    }
}

/// A queue as it was.
enum Copied {
    F16(Vec<half::f16>),
    F32(Vec<f32>),
}

impl Copied {
    fn data(&self) -> RowsData<'_> {
        match self {
            Self::F16(rows) => RowsData::F16(rows),
            Self::F32(rows) => RowsData::F32(rows),
        }
    }
}
