//! Cases of `ema_update` and `enqueue`.

use half::f16;

use super::{Log, exact};
use crate::conformance::Deviation;
use crate::conformance::compare::{self, Enqueued};
use crate::conformance::inputs::Matrix;
use crate::momentum::{EmaPair, EnqueueJob, QueueRows};
use crate::registry::AllOperations;
use crate::{Dtype, KernelError, Rows, RowsData};

pub(super) fn ema_update(kernel: &dyn AllOperations, log: &mut Log) {
    let mut random = log.random(31);
    let lengths = [0, 1, 7, 31, 1023, 70_000, 131_072];
    let mut draw = |n: usize| (0..n).map(|_| (random.real() * 3.0) as f32).collect::<Vec<f32>>();
    let keys: Vec<Vec<f32>> = lengths.iter().map(|&n| draw(n)).collect();
    let queries: Vec<Vec<f32>> = lengths.iter().map(|&n| draw(n)).collect();
    for momentum in [0.0, 0.3, 0.5, 0.75, 0.999, 1.0] {
        let mut moved = keys.clone();
        let mut pairs: Vec<EmaPair<'_>> = moved
            .iter_mut()
            .zip(&queries)
            .map(|(key, query)| EmaPair { key, query })
            .collect();
        let updated = kernel.ema_update(momentum, &mut pairs);
        let judged = updated.and_then(|()| {
            let mut worst = Deviation::default();
            for ((before, query), after) in keys.iter().zip(&queries).zip(&moved) {
                worst = worst.merge(compare::ema_update(kernel.id(), momentum, before, query, after)?);
                if momentum == 0.0 || momentum == 1.0 {
                    let kept = if momentum == 0.0 { query } else { before };
                    worst = worst.merge(exact("element", after, kept));
                }
            }
            Ok(worst)
        });
        log.case(|| format!("momentum {momentum}"), judged);
    }
}

pub(super) fn enqueue(kernel: &dyn AllOperations, log: &mut Log) {
    let mut random = log.random(32);
    for dim in [1, 7, 31, 512, 1023] {
        for (queue_len, batch, pointer) in [
            (5, 3, 0),
            (5, 3, 4),
            (5, 5, 2),
            (1, 1, 0),
            (90, 70, 60),
            (7, 0, 3),
        ] {
            // Rows tiny, large, zero, and with elements that are subnormal in f16 once the row has norm 1.
            let keys = Matrix::new(batch, dim, |row, column| {
                let rest = if column == 0 { 1.0 } else { 1e-6 };
                [1.0, 1e-6, 300.0, 0.0, rest][row % 5] * random.real()
            });
            for dtype in [Dtype::F16, Dtype::F32] {
                log.case(
                    || format!("{batch} keys into a {dtype} queue of {queue_len} at {pointer}, dim {dim}"),
                    write(kernel, dtype, &keys, queue_len, pointer),
                );
            }
        }
    }
}

fn write(
    kernel: &dyn AllOperations,
    dtype: Dtype,
    keys: &Matrix,
    queue_len: usize,
    pointer: usize,
) -> Result<Deviation, KernelError> {
    let ids: Vec<i64> = (0..keys.n_rows as i64).map(|i| 100 + i).collect();
    let before = Matrix::new(queue_len, keys.dim, |_, _| 9.0);
    let before_ids = vec![-1; queue_len];
    let (mut f16, mut f32, mut after_ids): (Vec<f16>, Vec<f32>, _) =
        (before.f16.clone(), before.f32.clone(), before_ids.clone());
    let next = kernel.enqueue(EnqueueJob {
        keys: keys.rows(Dtype::F32),
        ids: &ids,
        queue: match dtype {
            Dtype::F16 => QueueRows::F16(&mut f16),
            Dtype::F32 | Dtype::F64 => QueueRows::F32(&mut f32),
        },
        queue_ids: &mut after_ids,
        pointer,
    })?;
    let after = match dtype {
        Dtype::F16 => RowsData::F16(&f16),
        Dtype::F32 | Dtype::F64 => RowsData::F32(&f32),
    };
    let written = Enqueued {
        keys: keys.rows(Dtype::F32),
        ids: &ids,
        pointer,
        before: before.rows(dtype),
        before_ids: &before_ids,
        after: Rows::new(after, queue_len, keys.dim)?,
        after_ids: &after_ids,
        next,
    };
    compare::enqueue(kernel.id(), &written)
}
