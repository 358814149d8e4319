//! `scores` and `top_k` over tiles.

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use super::isa::{Body, Isa, Lanes, Tile};
use super::pack::{GalleryGroup, Panels};
use crate::check;
use crate::scores::{Hit, check_dims, check_len};
use crate::{Dtype, KernelError, Rows};

/// Query rows of one task of `scores`, a multiple of every `MR`.
const SCORE_QUERIES: usize = 64;
/// Query rows of one task of `top_k`, a multiple of every `MR`.
const TOP_QUERIES: usize = 256;
/// Gallery rows of one task of `top_k`, a multiple of every `NR`.
const TOP_GALLERY: usize = 12288;

fn check_rows(query: Rows<'_>, gallery: Rows<'_>, dtype: Dtype) -> Result<(), KernelError> {
    check_dims(query, gallery)?;
    let query = check::scan(check::QUERY, query, dtype)?;
    let gallery = check::scan(check::GALLERY, gallery, dtype)?;
    check::score_range(query, gallery, f64::from(f32::MAX))
}

pub(super) fn scores<I: Isa<MR, NR>, const MR: usize, const NR: usize>(
    isa: I,
    dtype: Dtype,
    query: Rows<'_>,
    gallery: Rows<'_>,
    out: &mut [f32],
) -> Result<(), KernelError> {
    let n_gallery = gallery.n_rows();
    check_len("out", query.n_rows() * n_gallery, out.len())?;
    check_rows(query, gallery, dtype)?;
    out.par_chunks_mut((SCORE_QUERIES * n_gallery).max(1))
        .enumerate()
        .for_each(|(chunk, out)| {
            let start = chunk * SCORE_QUERIES;
            let queries = start..query.n_rows().min(start + SCORE_QUERIES);
            for_each_tile(
                isa,
                dtype,
                (query, queries),
                (gallery, 0..n_gallery),
                |q, g, tile| {
                    for (g, row) in (g..n_gallery).zip(tile) {
                        for (q, &score) in (q - start..out.len() / n_gallery).zip(row) {
                            out[q * n_gallery + g] = score;
                        }
                    }
                },
            );
        });
    Ok(())
}

/// Multiplies the tiles of a rectangle, gallery group by gallery group, and hands each to `visit` with the query
/// and the gallery row of its corner. Tiles on the far edges reach beyond the rectangle; what lies there is 0.
fn for_each_tile<I: Isa<MR, NR>, const MR: usize, const NR: usize>(
    isa: I,
    dtype: Dtype,
    (query, queries): (Rows<'_>, Range<usize>),
    (gallery, items): (Rows<'_>, Range<usize>),
    mut visit: impl FnMut(usize, usize, &Tile<MR, NR>),
) {
    let mut panels = Panels::<MR>::new(query.dim());
    panels.fill(isa, query, dtype, queries.clone());
    let mut group = GalleryGroup::<NR>::new(query.dim());
    for g in items.clone().step_by(NR) {
        group.fill(isa, gallery.slice(g..items.end.min(g + NR)), dtype);
        for (panel, q) in queries.clone().step_by(MR).enumerate() {
            let mut tile: Tile<MR, NR> = [[0.0; MR]; NR];
            for (query, gallery) in panels.pieces(panel).zip(group.pieces()) {
                isa.multiply(query, gallery, &mut tile);
            }
            visit(q, g, &tile);
        }
    }
}

/// The best items of one query, best first, at most `k`.
#[derive(Debug, Clone)]
struct Best {
    hits: Vec<(f32, u32)>,
    k: usize,
}

impl Best {
    /// What a score must exceed, or equal with a lower index, to get in.
    fn threshold(&self) -> f32 {
        match self.hits.last() {
            Some(&(score, _)) if self.hits.len() == self.k => score,
            _ => f32::NEG_INFINITY,
        }
    }

    fn insert(&mut self, score: f32, item: u32) {
        let at = self
            .hits
            .partition_point(|&(other, index)| other > score || (other == score && index < item));
        if at < self.k {
            self.hits.truncate(self.k - 1);
            self.hits.insert(at, (score, item));
        }
    }
}

pub(super) fn top_k<I: Isa<MR, NR>, const MR: usize, const NR: usize>(
    isa: I,
    dtype: Dtype,
    query: Rows<'_>,
    gallery: Rows<'_>,
    k: usize,
) -> Result<Vec<Hit>, KernelError> {
    check_rows(query, gallery, dtype)?;
    let n_items = u32::try_from(gallery.n_rows()).map_err(|_| KernelError::Argument {
        name: "gallery",
        problem: format!("has {} rows, indices have 32 bits", gallery.n_rows()),
    })?;
    let k = k.min(n_items as usize);
    if k == 0 {
        return Ok(Vec::new());
    }
    let n_gallery_tasks = gallery.n_rows().div_ceil(TOP_GALLERY);
    let found: Vec<Mutex<Vec<Best>>> = (0..query.n_rows())
        .step_by(TOP_QUERIES)
        .map(|start| {
            let none = Best { hits: Vec::new(), k };
            Mutex::new(vec![none; TOP_QUERIES.min(query.n_rows() - start)])
        })
        .collect();
    (0..found.len() * n_gallery_tasks)
        .into_par_iter()
        .with_max_len(1)
        .for_each(|task| {
            let q = task / n_gallery_tasks * TOP_QUERIES;
            let g = task % n_gallery_tasks * TOP_GALLERY;
            let queries = q..query.n_rows().min(q + TOP_QUERIES);
            let items = g..gallery.n_rows().min(g + TOP_GALLERY);
            let best = best_of_task(isa, dtype, (query, queries), (gallery, items), k);
            // The best of all are the best of the tasks' best in whatever order those arrive.
            let mut found = found[task / n_gallery_tasks]
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            for (all, best) in found.iter_mut().zip(best) {
                for (score, item) in best.hits {
                    all.insert(score, item);
                }
            }
        });
    Ok(found
        .into_iter()
        .flat_map(|best| {
            best.into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        })
        .flat_map(|best| best.hits)
        .map(|(score, item)| Hit {
            item,
            score: f64::from(score),
        })
        .collect())
}

fn best_of_task<I: Isa<MR, NR>, const MR: usize, const NR: usize>(
    isa: I,
    dtype: Dtype,
    (query, queries): (Rows<'_>, Range<usize>),
    (gallery, items): (Rows<'_>, Range<usize>),
    k: usize,
) -> Vec<Best> {
    let none = Best {
        hits: Vec::with_capacity(k),
        k,
    };
    let mut best = vec![none; queries.len()];
    // Queries of padding have a threshold that nothing exceeds.
    let mut thresholds = vec![[f32::INFINITY; MR]; queries.len().div_ceil(MR)];
    for q in 0..queries.len() {
        thresholds[q / MR][q % MR] = f32::NEG_INFINITY;
    }
    let (start, end) = (queries.start, items.end);
    for_each_tile(isa, dtype, (query, queries), (gallery, items), |q, g, tile| {
        let thresholds = &mut thresholds[(q - start) / MR];
        let rows = isa.vectorize(Above { tile, thresholds });
        for (n, row) in tile.iter().enumerate().take(end - g) {
            if !rows[n] {
                continue;
            }
            for (m, &score) in row.iter().enumerate() {
                // Items come in ascending order: an equal one later loses.
                if score > thresholds[m] {
                    let best = &mut best[q - start + m];
                    best.insert(score, (g + n) as u32);
                    thresholds[m] = best.threshold();
                }
            }
        }
    });
    best
}

/// Which rows of a tile have a score above its query's threshold.
struct Above<'a, const MR: usize, const NR: usize> {
    tile: &'a Tile<MR, NR>,
    thresholds: &'a Lanes<MR>,
}

impl<const MR: usize, const NR: usize> Body for Above<'_, MR, NR> {
    type Output = [bool; NR];

    #[inline(always)]
    fn run<const FMA: bool>(self) -> [bool; NR] {
        let mut rows = [false; NR];
        for (found, row) in rows.iter_mut().zip(self.tile) {
            let mut any = 0_u32;
            for (score, threshold) in row.iter().zip(self.thresholds) {
                any |= u32::from(score > threshold);
            }
            *found = any != 0;
        }
        rows
    }
}
