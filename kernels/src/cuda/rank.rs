//! `rank_counts`: first the scores of the true pairs, then every tile of products is counted where it was made.
//!
//! Queries and gallery come to the device in parts, so that both may be larger than its memory.

use std::ops::Range;
use std::sync::Arc;

use super::gpu::Gpu;
use super::launch::{self, Chunks, Counters, MAX_TILES, Tile, score_tile};
use super::memory::Buffer;
use super::rows::{RowParts, RowStore, parts, stride};
use super::same_ids::SameIds;
use crate::check;
use crate::rank::{Direction, RankCount, RankJob, RankOutput};
use crate::{Dtype, KernelError};

/// Bytes of a chunk of the gallery that all blocks sweep together: well within the second-level cache.
const CHUNK_BYTES: usize = 16 << 20;
/// Blocks for each multiprocessor, at least: with fewer the last ones would leave most of the device idle.
const BLOCKS: usize = 4;

/// Rows of which a part of one side is a multiple: whole tiles of the portable kernels.
const PART_ROWS: usize = 128;

/// Rows that lie on the device within `bytes`, a multiple of 128 and as many at least.
pub(super) fn rows_within(bytes: usize, dim: usize) -> usize {
    (bytes / (2 * stride(dim)) / PART_ROWS * PART_ROWS).max(PART_ROWS)
}

/// Cuts `n_items` rows into chunks for a sweep by `n_queries` queries, short enough for the second-level cache.
pub(super) fn chunks(gpu: &dyn Gpu, n_queries: usize, n_items: usize, tile: Tile, dim: usize) -> Chunks {
    let cached = (CHUNK_BYTES / (2 * stride(dim) * tile.items)).max(1);
    let wanted = (BLOCKS * gpu.n_processors() as usize).div_ceil(n_queries.div_ceil(tile.queries).max(1));
    let tiles = n_items.div_ceil(tile.items).div_ceil(wanted);
    Chunks::new(n_items, tile.items, tiles.clamp(1, cached.min(MAX_TILES)))
}

pub(super) fn rank_counts(store: &RowStore, job: &RankJob<'_>) -> Result<RankOutput, KernelError> {
    job.check_shapes()?;
    let [query, gallery] = match (store.norm(job.query), store.norm(job.gallery)) {
        (Some(query), Some(gallery)) => [query, gallery],
        _ => check::scan_job(job, Dtype::F16)?,
    };
    check::score_range(query, gallery, f64::from(f32::MAX))?;
    let gpu = &store.gpu;
    let (t2v_direction, v2t_direction) = (job.t2v_direction(), job.v2t_direction());
    let mut t2v = true_pairs(store, &t2v_direction, Left::Asking)?;
    let mut v2t = match &v2t_direction {
        Some(direction) => Some(true_pairs(store, direction, Left::Asked)?),
        None => None,
    };
    let dim = job.query.dim();
    let part_rows = rows_within(gpu.part_bytes(), dim);
    let queries = 0..job.n_queries();
    let mut query_parts = RowParts::new(store, t2v_direction.query, queries.clone(), part_rows)?;
    let mut item_parts = RowParts::new(store, t2v_direction.gallery, job.part.clone(), part_rows)?;
    let mut t2v_counters = OnDevice::new(gpu, &t2v)?;
    let mut v2t_counters = v2t.as_deref().map(|v2t| OnDevice::new(gpu, v2t)).transpose()?;
    let ids = match job.ids {
        Some(ids) => {
            let ids = SameIds::new(ids.query, ids.gallery);
            Some([Buffer::of(gpu, &ids.left)?, Buffer::of(gpu, &ids.right)?])
        }
        None => None,
    };
    for queries in parts(queries, part_rows) {
        query_parts.with(queries.clone(), |rows| {
            for items in parts(job.part.clone(), part_rows) {
                let counted = items.start - job.part.start..items.end - job.part.start;
                item_parts.with(items.clone(), |item_rows| {
                    launch::rank_counts(
                        &**gpu,
                        rows,
                        item_rows,
                        chunks(&**gpu, queries.len(), items.len(), score_tile(&**gpu), dim),
                        &t2v_counters.counters(queries.clone()),
                        v2t_counters
                            .as_mut()
                            .map(|counters| counters.counters(counted))
                            .as_ref(),
                        ids.as_ref().map(|[query, item]| {
                            [query.view().part(queries.clone()), item.view().part(items)]
                        }),
                    )
                })?;
            }
            Ok(())
        })?;
    }
    t2v_counters.add_to(&mut t2v)?;
    if let (Some(counters), Some(v2t)) = (v2t_counters, v2t.as_mut()) {
        counters.add_to(v2t)?;
    }
    Ok(RankOutput { t2v, v2t })
}

/// Thresholds and counters of the rows of one side.
struct OnDevice {
    thresholds: Buffer<f32>,
    greater: Buffer<u32>,
    equal: Buffer<u32>,
}

impl OnDevice {
    fn new(gpu: &Arc<dyn Gpu>, counts: &[RankCount]) -> Result<Self, KernelError> {
        // The score was widened from f32, so that this is exact.
        let thresholds: Vec<f32> = counts.iter().map(|count| count.score as f32).collect();
        Ok(Self {
            thresholds: Buffer::of(gpu, &thresholds)?,
            greater: Buffer::zeroed(gpu, counts.len())?,
            equal: Buffer::zeroed(gpu, counts.len())?,
        })
    }

    /// Those of some rows.
    fn counters(&mut self, rows: Range<usize>) -> Counters<'_> {
        Counters {
            thresholds: self.thresholds.view().part(rows.clone()),
            greater: self.greater.part_mut(rows.clone()),
            equal: self.equal.part_mut(rows),
        }
    }

    fn add_to(self, counts: &mut [RankCount]) -> Result<(), KernelError> {
        let greater = self.greater.read(0..counts.len())?;
        let equal = self.equal.read(0..counts.len())?;
        for (count, (greater, equal)) in counts.iter_mut().zip(greater.into_iter().zip(equal)) {
            count.greater += u64::from(greater);
            count.equal += u64::from(equal);
        }
        Ok(())
    }
}

/// Whose rows are the left factors of the sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The direction's query side.
    Asking,
    /// Its gallery side.
    Asked,
}

/// Scores the true pairs of one direction; the counts are as [`Direction::meet`] leaves them. Factors are on the sides
/// where the sweep has them: a product with its sides swapped need not have the same last digit.
fn true_pairs(
    store: &RowStore,
    direction: &Direction<'_>,
    left: Left,
) -> Result<Vec<RankCount>, KernelError> {
    let Direction {
        query, gallery, own, ..
    } = direction;
    let mut counts = vec![Direction::UNMET; direction.asking.len()];
    let pairs: Vec<(usize, usize)> = direction
        .asking
        .clone()
        .flat_map(|query| own.of(query).iter().map(move |item| (query, *item as usize)))
        .collect();
    let gpu = &store.gpu;
    let at_once = rows_within(gpu.part_bytes() / 16, query.rows.dim()).min(pairs.len().max(1));
    let mut scores: Buffer<f32> = Buffer::unspecified(gpu, at_once)?;
    for pairs in pairs.chunks(at_once) {
        let asking = pairs.iter().map(|&(at, _)| query.row(at));
        let asked = pairs.iter().map(|&(_, at)| gallery.row(at));
        let (asking, asking_numbers) = store.load_numbered(query.rows, asking)?;
        let (asked, asked_numbers) = store.load_numbered(gallery.rows, asked)?;
        let mut sides = [asking.view(), asked.view()];
        let mut numbers = [&asking_numbers, &asked_numbers];
        if left == Left::Asked {
            sides.reverse();
            numbers.reverse();
        }
        let mut all = scores.view_mut();
        launch::pair_scores(&**gpu, sides, numbers, &all.part(0..pairs.len()))?;
        let found = scores.read(0..pairs.len())?;
        for (&(query, item), score) in pairs.iter().zip(found) {
            direction.meet(&mut counts[query - direction.asking.start], query, item, score);
        }
    }
    Ok(counts)
}
