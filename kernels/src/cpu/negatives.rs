//! Which keys are negatives: ranges of keys for the tasks, and pairs that are left out.

use std::ops::Range;

use super::isa::{Body, Lanes};
use super::pack::KeyBlock;
use crate::info_nce::InfoNceJob;
use crate::{Dtype, Rows};

/// Ranges that the queue is cut into, at most.
const MAX_RANGES: usize = 32;
/// Keys of one range.
#[derive(Clone)]
pub(super) struct Keys<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) dtype: Dtype,
    pub(super) range: Range<usize>,
    /// One id a row, if ids matter.
    pub(super) ids: Option<&'a [i64]>,
    /// Whether row `i` is the positive of query `i`.
    pub(super) in_batch: bool,
}

/// The ranges of keys: those of the batch, if asked for, and those of the queue. They depend on the number of keys
/// only.
pub(super) fn keys<'a, const NR: usize>(job: &InfoNceJob<'a>, dtype: Dtype) -> Vec<Keys<'a>> {
    let mut keys = Vec::new();
    let in_batch = Keys {
        rows: job.positive,
        dtype: Dtype::F32,
        range: 0..0,
        ids: job.ids.map(|ids| ids.batch),
        in_batch: true,
    };
    let in_queue = Keys {
        rows: job.queue,
        dtype,
        range: 0..0,
        ids: job.ids.map(|ids| ids.queue),
        in_batch: false,
    };
    for side in job.in_batch.then_some(in_batch).into_iter().chain([in_queue]) {
        let n_rows = side.rows.n_rows();
        let blocks = n_rows.div_ceil(KeyBlock::<NR>::ROWS);
        let rows = KeyBlock::<NR>::ROWS * blocks.div_ceil(MAX_RANGES).max(1);
        keys.extend((0..n_rows).step_by(rows).map(|start| Keys {
            range: start..n_rows.min(start + rows),
            ..side.clone()
        }));
    }
    keys
}

/// Sets the scores of pairs that are no negatives to minus infinity, and says how many they are.
pub(super) struct LeaveOut<'a, const MR: usize> {
    pub(super) rows: &'a mut [Lanes<MR>],
    /// Ids of the lanes that are no padding.
    pub(super) lane_ids: Option<&'a [i64]>,
    pub(super) row_ids: Option<&'a [i64]>,
    /// Indices in the batch of the first row and of the first lane, where both are of the batch: a row and a lane of
    /// one index belong to each other.
    pub(super) diagonal: Option<(usize, usize)>,
}

impl<const MR: usize> Body for LeaveOut<'_, MR> {
    type Output = u64;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> u64 {
        let mut left_out = 0;
        if let (Some(lane_ids), Some(row_ids)) = (self.lane_ids, self.row_ids) {
            // No id of a row is that of a lane of padding.
            let mut ids = [i64::MIN; MR];
            ids[..lane_ids.len()].copy_from_slice(lane_ids);
            for (row, row_id) in self.rows.iter_mut().zip(row_ids) {
                let mut same = 0;
                for (score, id) in row.iter_mut().zip(&ids) {
                    same += u32::from(id == row_id);
                    *score = if id == row_id { f32::NEG_INFINITY } else { *score };
                }
                left_out += u64::from(same);
            }
        }
        if let Some((first_row, first_lane)) = self.diagonal {
            for (i, row) in (first_row..).zip(self.rows) {
                if let Some(score) = i.checked_sub(first_lane).and_then(|lane| row.get_mut(lane)) {
                    left_out += u64::from(*score != f32::NEG_INFINITY);
                    *score = f32::NEG_INFINITY;
                }
            }
        }
        left_out
    }
}
