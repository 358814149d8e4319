//! `scores` and `top_k`.

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
    // Few queries are cut into many chunks, many into few; a list is small either way.
    let query_rows =
        (gpu.part_bytes() / 8 / (8 * LIST * cut(n_queries).n.max(1))).clamp(tile.queries, gallery_rows);
    let mut query_parts = RowParts::new(store, Side::all(query), 0..n_queries, query_rows)?;
    let mut item_parts = RowParts::new(store, Side::all(gallery), 0..n_gallery, gallery_rows)?;
    for queries in parts(0..n_queries, query_rows) {
        let mut best: Vec<Vec<u64>> = vec![Vec::with_capacity(k); queries.len()];
        query_parts.with(queries.clone(), |rows| {
            let mut search = Search {
                gpu,
                rows,
                items: &mut item_parts,
                n_items: n_gallery,
                part_rows: gallery_rows,
                chunks: cut(queries.len()),
            };
            while best.first().is_some_and(|best| best.len() < k) {
                search.extend(&mut best, k)?;
            }
            Ok(())
        })?;
        hits.extend(best.into_iter().flatten().map(hit));
    }
    Ok(hits)
}

/// Some queries on their way through a gallery.
struct Search<'a, 'b> {
    gpu: &'a Arc<dyn Gpu>,
    rows: DeviceView<'a>,
    items: &'a mut RowParts<'b>,
    n_items: usize,
    part_rows: usize,
    /// How a whole part of the gallery is cut.
    chunks: Chunks,
}

impl Search<'_, '_> {
    /// Adds to each query's keys the next ones, at most [`LIST`], until there are `k`: those below the last one so far.
    fn extend(&mut self, best: &mut [Vec<u64>], k: usize) -> Result<(), KernelError> {
        let gpu = self.gpu;
        let n_next = (k - best[0].len()).min(LIST);
        let bounds: Vec<u64> = best
            .iter()
            .map(|best| best.last().copied().unwrap_or(u64::MAX))
            .collect();
        let bounds = Buffer::of(gpu, &bounds)?;
        let mut lists = Buffer::zeroed(gpu, self.chunks.n * best.len() * LIST)?;
        for items in parts(0..self.n_items, self.part_rows) {
            let (rows, tiles) = (self.rows, self.chunks.tiles);
            self.items.with(items.clone(), |item_rows| {
                launch::top_k(
                    &**gpu,
                    rows,
                    item_rows,
                    Chunks::new(items.len(), score_tile(&**gpu).items, tiles),
                    items.start,
                    n_next,
                    bounds.view(),
                    &lists.view_mut(),
                )
            })?;
        }
        launch::merge_lists(&**gpu, &lists.view_mut(), best.len(), self.chunks.n)?;
        let merged = lists.read(0..best.len() * LIST)?;
        for (best, list) in best.iter_mut().zip(merged.chunks_exact(LIST)) {
            best.extend_from_slice(&list[..n_next]);
        }
        Ok(())
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
