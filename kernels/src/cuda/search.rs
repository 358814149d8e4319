//! `scores` and `top_k`.

use std::ops::Range;
use std::sync::Arc;

use super::gpu::Gpu;
use super::launch::{self, Chunks, LIST, score_tile};
use super::memory::Buffer;
use super::rank::{chunks, long_chunks, rows_within};
use super::rows::{DeviceView, RowParts, RowStore, parts};
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
    let cut = |n_queries| long_chunks(&**gpu, n_queries, n_gallery.min(gallery_rows), tile);
    let mut hits = Vec::with_capacity(n_queries * k);
    if k == 0 {
        return Ok(hits);
    }
    // Few queries are cut into many chunks, many into few, so that lists are small either way; keys are as large as the result,
    // for a tile of queries at least.
    let query_rows =
        (gpu.part_bytes() / 8 / (8 * (LIST * cut(n_queries).n + k))).clamp(tile.queries, gallery_rows);
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
