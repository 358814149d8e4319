//! What one call of an operation does, by its definition: floating-point operations, bytes, items.

use std::mem::size_of;

use hitbench_kernels::{Dtype, Hit, RankCount};
use hitbench_reports::record::WorkRecord;

use crate::suite::Work;

/// Bytes of an id.
const ID_BYTES: u64 = size_of::<i64>() as u64;
/// Bytes of an f32.
const F32_BYTES: u64 = 4;

/// What a call does with rows, or a queue, of `dtype`.
///
/// A multiply-add counts as two operations, whatever the precision. Bytes are those of inputs and outputs, each once:
/// what an implementation reads again, or keeps besides, is its own affair. Of `rank_counts` and `top_k` the products
/// alone are counted, once for both directions; of `info_nce` the scores of the queue and its part of the gradient;
/// of `ema_update` 3 operations and 12 bytes a parameter; of `enqueue` keys and ids read and written. A training step
/// is one step.
pub fn work_of(work: &Work, dtype: Dtype) -> WorkRecord {
    let element = match dtype {
        Dtype::F16 => 2,
        Dtype::F32 => F32_BYTES,
        Dtype::F64 => 8,
    };
    let record = |flops: Option<u64>, bytes: Option<u64>, items: u64, item: &str| WorkRecord {
        flops,
        bytes,
        items,
        item: item.to_owned(),
    };
    match *work {
        Work::RankCounts(shape) => {
            let (queries, gallery, dim) = (shape.queries, shape.gallery, shape.dim);
            let counts = if shape.directions == 2 {
                queries + gallery
            } else {
                queries
            };
            let bytes = (queries + gallery) * dim * element + counts * size_of::<RankCount>() as u64;
            record(
                Some(2 * queries * gallery * dim),
                Some(bytes),
                queries * gallery,
                "pairs",
            )
        }
        Work::TopK(shape) => {
            let (queries, gallery, dim) = (shape.queries, shape.gallery, shape.dim);
            let bytes = (queries + gallery) * dim * element + queries * shape.k * size_of::<Hit>() as u64;
            record(
                Some(2 * queries * gallery * dim),
                Some(bytes),
                queries * gallery,
                "pairs",
            )
        }
        Work::InfoNce(shape) => {
            let (batch, queue_len, dim) = (shape.batch, shape.queue_len, shape.dim);
            let bytes = queue_len * dim * element + 3 * batch * dim * F32_BYTES;
            record(
                Some(4 * batch * queue_len * dim),
                Some(bytes),
                batch * queue_len,
                "pairs",
            )
        }
        Work::EmaUpdate(shape) => record(
            Some(3 * shape.parameters),
            Some(3 * F32_BYTES * shape.parameters),
            shape.parameters,
            "parameters",
        ),
        Work::Enqueue(shape) => {
            let bytes = shape.batch * (shape.dim * (F32_BYTES + element) + 2 * ID_BYTES);
            record(None, Some(bytes), shape.batch, "keys")
        }
        Work::TrainStep(_) => record(None, None, 1, "steps"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::kernel_cell::{EmaUpdateShape, EnqueueShape, InfoNceShape, RankCountsShape};

    #[test]
    fn work_is_counted_by_definition() {
        let check = |work: Work, dtype, flops, bytes, items| {
            let record = work_of(&work, dtype);
            assert_eq!(
                (record.flops, record.bytes, record.items),
                (flops, Some(bytes), items),
                "{work:?}"
            );
        };
        let (queries, gallery, dim) = (10, 20, 8);
        for (directions, counts) in [(1, 10), (2, 30)] {
            let shape = RankCountsShape {
                queries,
                gallery,
                dim,
                directions,
            };
            check(
                Work::RankCounts(shape),
                Dtype::F16,
                Some(3200),
                480 + counts * 32,
                200,
            );
        }
        let shape = InfoNceShape {
            batch: 4,
            queue_len: 10,
            dim,
        };
        check(Work::InfoNce(shape), Dtype::F32, Some(1280), 320 + 384, 40);
        let shape = EmaUpdateShape {
            tensors: 3,
            parameters: 100,
        };
        check(Work::EmaUpdate(shape), Dtype::F16, Some(300), 1200, 100);
        let shape = EnqueueShape {
            batch: 4,
            queue_len: 10,
            dim,
        };
        check(Work::Enqueue(shape), Dtype::F16, None, 4 * (8 * 6 + 16), 4);
    }
}
