//! `scores` and `top_k`.

use std::ops::Range;
use std::sync::Arc;

use super::gpu::Gpu;
use super::launch::{self, Chunks, LIST, Tile, score_tile};
use super::memory::Buffer;
use super::rank::{chunks, rows_within};
use super::rows::{DeviceView, RowParts, RowStore, parts, stride};
use crate::check::{self, GALLERY, QUERY};
use crate::rank::Side;
use crate::scores::{Hit, check_dims, check_len};
use crate::{KernelError, Rows};

fn check(store: &RowStore, query: Rows<'_>, gallery: Rows<'_>) -> Result<(), KernelError> {
    check_dims(query, gallery)?;
    let (query, gallery) = (store.check(QUERY, query)?, store.check(GALLERY, gallery)?);
    check::score_range(query, gallery, f64::from(f32::MAX))
}

pub(super) fn scores(
    store: &RowStore,
    query: Rows<'_>,
    gallery: Rows<'_>,
    out: &mut [f32],
) -> Result<(), KernelError> {
    let (n_queries, n_gallery, dim) = (query.n_rows(), gallery.n_rows(), query.dim());
    check_dims(query, gallery)?;
    check_len("scores", n_queries * n_gallery, out.len())?;
    check(store, query, gallery)?;
    let gpu = &store.gpu;
    // A block of scores is no larger than the rows of a side.
    let part_bytes = gpu.part_bytes() / 4;
    let gallery_rows = rows_within(part_bytes, dim);
    let query_rows = (part_bytes / (4 * gallery_rows.min(n_gallery.max(1)))).clamp(1, gallery_rows);
    let mut query_parts = RowParts::new(store, Side::all(query), 0..n_queries, query_rows)?;
    let mut item_parts = RowParts::new(store, Side::all(gallery), 0..n_gallery, gallery_rows)?;
    let mut block: Buffer<f32> =
        Buffer::unspecified(gpu, n_queries.min(query_rows) * n_gallery.min(gallery_rows))?;
    for queries in parts(0..n_queries, query_rows) {
        query_parts.with(queries.clone(), |rows| {
            for items in parts(0..n_gallery, gallery_rows) {
                let n = queries.len() * items.len();
                item_parts.with(items.clone(), |item_rows| {
                    let chunks = chunks(&**gpu, queries.len(), items.len(), score_tile(&**gpu), dim);
                    launch::scores(&**gpu, rows, item_rows, chunks, &block.part_mut(0..n))
                })?;
                for (at, query) in queries.clone().enumerate() {
                    let row = &mut out[query * n_gallery..][items.clone()];
                    block.read_to(at * items.len(), row)?;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

pub(super) fn top_k(
    store: &RowStore,
    query: Rows<'_>,
    gallery: Rows<'_>,
    k: usize,
) -> Result<Vec<Hit>, KernelError> {
    check(store, query, gallery)?;
    let gpu = &store.gpu;
    let (n_queries, n_gallery, dim) = (query.n_rows(), gallery.n_rows(), query.dim());
    let k = k.min(n_gallery);
    let gallery_rows = rows_within(gpu.part_bytes(), dim);
    // Of the parts of a gallery the first is the largest. All are cut into chunks of as many tiles, since chunk `c` of each
    // goes on with list `c`.
    let tile = score_tile(&**gpu);
    let n_processors = gpu.n_processors() as usize;
    let cut = |n_queries| {
        list_chunks(
            n_processors,
            tile,
            dim,
            k,
            [n_queries, n_gallery.min(gallery_rows)],
        )
    };
    let mut hits = Vec::with_capacity(n_queries * k);
    if k == 0 {
        return Ok(hits);
    }
    // Few queries are cut into many chunks, many into few, so that lists are small either way, for a tile of queries at least.
    let fitting = gpu.part_bytes() / 8 / (8 * LIST * cut(n_queries).n);
    let query_rows = (fitting / tile.queries * tile.queries).clamp(tile.queries, gallery_rows);
    let mut query_parts = RowParts::new(store, Side::all(query), 0..n_queries, query_rows)?;
    let mut item_parts = RowParts::new(store, Side::all(gallery), 0..n_gallery, gallery_rows)?;
    for queries in parts(0..n_queries, query_rows) {
        let mut best = Best::new(gpu, queries.len(), k, cut(queries.len()))?;
        query_parts.with(queries, |rows| {
            for found in parts(0..k, LIST) {
                best.begin()?;
                for items in parts(0..n_gallery, gallery_rows) {
                    item_parts.with(items.clone(), |item_rows| {
                        best.meet(rows, item_rows, items.start, found.len())
                    })?;
                }
                best.merge(found)?;
            }
            Ok(())
        })?;
        hits.extend(best.keys.read(0..best.keys.len())?.into_iter().map(hit));
    }
    Ok(hits)
}

/// Cycles in which a multiprocessor multiplies a column of an item with its tile of queries: 128 x 2 operations at about 0.8
/// of the 4096 a cycle of Hopper. Other devices take longer, and so for candidates.
const COLUMN_CYCLES: f64 = 128.0 * 2.0 / (0.8 * 4096.0);
/// Cycles in which a warp puts one candidate into the list of one of its 16 queries: somewhat less than what was left of the
/// time of a launch on an H200, whose kernel did not fit the instruction cache yet.
const CANDIDATE_CYCLES: f64 = 300.0;
/// Blocks a multiprocessor up to which numbers of chunks are tried.
const MOST_BLOCKS: usize = 4;

/// Cuts a gallery for lists of the `k` best items of each query. Each chunk has lists of its own, which must fill again before
/// they let little in: the fewest chunks would be best, were it not for multiprocessors without work.
fn list_chunks(
    n_processors: usize,
    tile: Tile,
    dim: usize,
    k: usize,
    [n_queries, n_items]: [usize; 2],
) -> Chunks {
    let n_blocks = n_queries.div_ceil(tile.queries).max(1);
    let n_tiles = n_items.div_ceil(tile.items).max(1);
    let listed = k.clamp(1, LIST) as f64;
    let cycles = |chunks: Chunks| {
        let items = (chunks.tiles * tile.items).min(n_items) as f64;
        // Of items in any order the i-th is among the best k of those so far with probability k / i.
        let n_candidates = listed * (1.0 + (items / listed).max(1.0).ln());
        let block = items * COLUMN_CYCLES * stride(dim) as f64 + 16.0 * n_candidates * CANDIDATE_CYCLES;
        (n_blocks * chunks.n).div_ceil(n_processors) as f64 * block
    };
    let most = (MOST_BLOCKS * n_processors).div_ceil(n_blocks).min(n_tiles);
    (1..=most)
        .map(|n| Chunks::new(n_items, tile.items, n_tiles.div_ceil(n)))
        .min_by(|a, b| cycles(*a).total_cmp(&cycles(*b)))
        .expect("one is tried at least")
}

/// The best items of some queries, found from the first on, at most [`LIST`] a sweep through the gallery.
struct Best<'a> {
    gpu: &'a Arc<dyn Gpu>,
    k: usize,
    /// How a whole part of the gallery is cut.
    chunks: Chunks,
    /// Keys of each chunk and query `[n_chunks, n_queries, 32]` in this sweep.
    lists: Buffer<u64>,
    /// The least key of each query so far.
    bounds: Buffer<u64>,
    /// `[n_queries, k]`.
    keys: Buffer<u64>,
}

impl<'a> Best<'a> {
    fn new(gpu: &'a Arc<dyn Gpu>, n_queries: usize, k: usize, chunks: Chunks) -> Result<Self, KernelError> {
        let mut bounds: Buffer<u64> = Buffer::unspecified(gpu, n_queries)?;
        // Every key is below the largest number.
        bounds.fill(0xff)?;
        Ok(Self {
            gpu,
            k,
            chunks,
            lists: Buffer::unspecified(gpu, chunks.n * n_queries * LIST)?,
            bounds,
            keys: Buffer::unspecified(gpu, n_queries * k)?,
        })
    }

    /// Begins a sweep with empty lists.
    fn begin(&mut self) -> Result<(), KernelError> {
        self.lists.fill(0)
    }

    /// Meets a part of the gallery, whose first item is `first`, in a sweep for the next `n` keys of each query.
    fn meet(
        &mut self,
        rows: DeviceView<'_>,
        items: DeviceView<'_>,
        first: usize,
        n: usize,
    ) -> Result<(), KernelError> {
        launch::top_k(
            &**self.gpu,
            rows,
            items,
            Chunks::new(items.n_rows, score_tile(&**self.gpu).items, self.chunks.tiles),
            first,
            n,
            self.bounds.view(),
            &self.lists.view_mut(),
        )
    }

    /// Ends a sweep, which found the keys `found` of each query.
    fn merge(&mut self, found: Range<usize>) -> Result<(), KernelError> {
        launch::merge_lists(
            &**self.gpu,
            self.lists.view(),
            self.chunks.n,
            found.len(),
            self.k,
            &self.bounds.view_mut(),
            &self.keys.part_mut(found.start..self.keys.len()),
        )
    }
}

/// Takes a key of `top_k_f16_v1` apart: the ordered bits of the score above those of the item, inverted.
fn hit(key: u64) -> Hit {
    Hit {
        item: !(key as u32),
        score: f64::from(from_ordered_bits((key >> 32) as u32)),
    }
}

/// The score that the kernels' `ordered_bits` made these bits of; minus infinity for 0.
pub(super) fn from_ordered_bits(ordered: u32) -> f32 {
    match ordered {
        0 => f32::NEG_INFINITY,
        _ if ordered >> 31 == 1 => f32::from_bits(ordered & 0x7fff_ffff),
        _ => f32::from_bits(!ordered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_few_where_queries_are_many() {
        let tile = Tile {
            queries: 128,
            items: 256,
        };
        let n = |n_queries, n_items| list_chunks(132, tile, 512, 10, [n_queries, n_items]).n;
        assert_eq!(n(100_000, 1_000_000), 1, "enough blocks");
        assert_eq!(n(10_000, 10_000), 1, "79 blocks that fill their lists once");
        assert_eq!(n(1, 10_000), 40, "a tile each");
        assert!(
            n(1000, 1_000_000) > 8,
            "8 blocks would leave 124 multiprocessors idle"
        );
        assert_eq!(n(0, 0), 0);
        // The last case of `the_best_are_the_same_however_the_gallery_is_cut`: 1150 items in two parts, of which the second by
        // itself would be cut in another way.
        let tile = Tile { items: 128, ..tile };
        let cut = |n_items| {
            let chunks = list_chunks(4, tile, 8, 10, [2, n_items]);
            [chunks.tiles, chunks.n]
        };
        assert_eq!([cut(640), cut(510)], [[2, 3], [1, 4]]);
    }
}
