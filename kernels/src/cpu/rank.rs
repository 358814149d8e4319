//! `rank_counts` over tiles: first the scores of the true pairs, then every tile is multiplied and counted while
//! it is in registers and cache. Nothing larger than the counts of one region is kept beside the output.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rayon::prelude::*;

use super::isa::{Body, Isa, Tile};
use super::pack::{GalleryGroup, Panels};
use crate::check;
use crate::rank::{Direction, RankCount, RankJob, RankOutput, Side};
use crate::{Dtype, KernelError};

/// Rows of either side whose counters exist at one time.
const REGION: usize = 1 << 16;
/// Gallery rows of one task, a multiple of every `NR`: enough for the time to bring in the queries to be forgotten.
const TASK_GALLERY: usize = 12288;
/// Query rows of one task, as far as their panels stay within [`TASK_QUERY_BYTES`].
const TASK_QUERIES: usize = 256;
/// Panels of one task: they are read again for every gallery group and should stay in the second-level cache.
const TASK_QUERY_BYTES: usize = 512 << 10;
/// Queries whose true pairs one task scores.
const TASK_PAIRS: usize = 128;

pub(super) fn rank_counts<I: Isa<MR, NR>, const MR: usize, const NR: usize>(
    isa: I,
    dtype: Dtype,
    job: &RankJob<'_>,
) -> Result<RankOutput, KernelError> {
    job.check_shapes()?;
    let [query, gallery] = check::scan_job(job, dtype)?;
    check::score_range(query, gallery, f64::from(f32::MAX))?;
    let mut t2v = true_pairs(isa, dtype, &job.t2v_direction());
    let mut v2t = job
        .v2t_direction()
        .map(|direction| true_pairs(isa, dtype, &direction));
    for queries in regions(0..job.n_queries()) {
        for gallery in regions(job.part.clone()) {
            // Counts of the gallery side begin with the part.
            let in_part = gallery.start - job.part.start..gallery.end - job.part.start;
            let region = Region {
                job,
                query: job.t2v_direction().query,
                dtype,
                queries: queries.clone(),
                gallery,
                t2v: Counters::new(&t2v[queries.clone()]),
                v2t: v2t.as_ref().map(|v2t| Counters::new(&v2t[in_part.clone()])),
            };
            region.count(isa);
            let Region {
                t2v: t2v_counters,
                v2t: v2t_counters,
                ..
            } = region;
            t2v_counters.add_to(&mut t2v[queries.clone()]);
            if let (Some(counters), Some(v2t)) = (v2t_counters, v2t.as_mut()) {
                counters.add_to(&mut v2t[in_part]);
            }
        }
    }
    Ok(RankOutput { t2v, v2t })
}

fn regions(items: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = items.end;
    items
        .step_by(REGION)
        .map(move |start| start..end.min(start + REGION))
}

/// Thresholds and counters of the rows of one side within a region.
struct Counters {
    threshold: Vec<f32>,
    greater: Vec<AtomicU64>,
    equal: Vec<AtomicU64>,
}

impl Counters {
    fn new(counts: &[RankCount]) -> Self {
        Self {
            // The score was widened from f32, so that this is exact.
            threshold: counts.iter().map(|count| count.score as f32).collect(),
            greater: counts.iter().map(|_| AtomicU64::new(0)).collect(),
            equal: counts.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Adds a tally of the rows from `start` on. Sums of integers: their order does not matter.
    fn add<const N: usize>(&self, start: usize, tally: &Tally<N>) {
        let end = self.greater.len().min(start + N);
        for (row, (greater, equal)) in (start..end).zip(tally.greater.iter().zip(&tally.equal)) {
            self.greater[row].fetch_add(u64::from(*greater), Relaxed);
            self.equal[row].fetch_add(u64::from(*equal), Relaxed);
        }
    }

    fn add_to(self, counts: &mut [RankCount]) {
        for (count, (greater, equal)) in counts.iter_mut().zip(self.greater.into_iter().zip(self.equal)) {
            count.greater += greater.into_inner();
            count.equal += equal.into_inner();
        }
    }
}

/// A rectangle of the score matrix, cut into tasks of a fixed shape.
struct Region<'a> {
    job: &'a RankJob<'a>,
    query: Side<'a>,
    dtype: Dtype,
    queries: Range<usize>,
    gallery: Range<usize>,
    t2v: Counters,
    v2t: Option<Counters>,
}

impl Region<'_> {
    fn count<I: Isa<MR, NR>, const MR: usize, const NR: usize>(&self, isa: I) {
        let panel_bytes = size_of::<f32>() * MR * self.job.query.dim().max(1);
        let task_queries = MR * (TASK_QUERY_BYTES / panel_bytes).clamp(1, TASK_QUERIES / MR);
        let n_query_tasks = self.queries.len().div_ceil(task_queries);
        let n_gallery_tasks = self.gallery.len().div_ceil(TASK_GALLERY);
        (0..n_query_tasks * n_gallery_tasks)
            .into_par_iter()
            .with_max_len(1)
            .for_each(|task| {
                let q = self.queries.start + task / n_gallery_tasks * task_queries;
                let g = self.gallery.start + task % n_gallery_tasks * TASK_GALLERY;
                self.count_task(
                    isa,
                    q..self.queries.end.min(q + task_queries),
                    g..self.gallery.end.min(g + TASK_GALLERY),
                );
            });
    }

    fn count_task<I: Isa<MR, NR>, const MR: usize, const NR: usize>(
        &self,
        isa: I,
        queries: Range<usize>,
        gallery: Range<usize>,
    ) {
        let dim = self.job.query.dim();
        let mut panels = Panels::<MR>::new(dim);
        let rows = queries.clone().map(|q| self.query.row(q));
        panels.fill(isa, self.query.rows, self.dtype, rows);
        let mut query_tallies: Vec<(usize, Tally<MR>)> = queries
            .clone()
            .step_by(MR)
            .map(|q| (q, tally(&self.t2v, q - self.queries.start)))
            .collect();
        let mut group = GalleryGroup::<NR>::new(dim);
        for g in gallery.clone().step_by(NR) {
            let g_end = gallery.end.min(g + NR);
            group.fill(isa, self.job.gallery.slice(g..g_end), self.dtype);
            let mut gallery_tally = self.v2t.as_ref().map(|v2t| tally(v2t, g - self.gallery.start));
            for (panel, (q, query_tally)) in query_tallies.iter_mut().enumerate() {
                let mut tile: Tile<MR, NR> = [[0.0; MR]; NR];
                for (query, gallery) in panels.pieces(panel).zip(group.pieces()) {
                    isa.multiply(query, gallery, &mut tile);
                }
                self.leave_out(&mut tile, *q..queries.end.min(*q + MR), g..g_end);
                isa.vectorize(Count {
                    tile: &tile,
                    queries: query_tally,
                    gallery: gallery_tally.as_mut(),
                });
            }
            if let (Some(v2t), Some(tally)) = (&self.v2t, &gallery_tally) {
                v2t.add(g - self.gallery.start, tally);
            }
        }
        for (q, tally) in &query_tallies {
            self.t2v.add(q - self.queries.start, tally);
        }
    }

    /// Sets scores that count nowhere, those of padding and of pairs with equal ids, to minus infinity: no
    /// threshold is that low.
    fn leave_out<const MR: usize, const NR: usize>(
        &self,
        tile: &mut Tile<MR, NR>,
        queries: Range<usize>,
        gallery: Range<usize>,
    ) {
        for row in &mut tile[gallery.len()..] {
            row.fill(f32::NEG_INFINITY);
        }
        if queries.len() < MR {
            for row in tile.iter_mut() {
                row[queries.len()..].fill(f32::NEG_INFINITY);
            }
        }
        if let Some(ids) = self.job.ids {
            for (row, gallery_id) in tile.iter_mut().zip(&ids.gallery[gallery]) {
                for (score, query_id) in row.iter_mut().zip(&ids.query[queries.clone()]) {
                    if query_id == gallery_id {
                        *score = f32::NEG_INFINITY;
                    }
                }
            }
        }
    }
}

/// Counts the scores of a tile against the thresholds of its queries and, if given, of its gallery rows.
struct Count<'a, const MR: usize, const NR: usize> {
    tile: &'a Tile<MR, NR>,
    queries: &'a mut Tally<MR>,
    gallery: Option<&'a mut Tally<NR>>,
}

impl<const MR: usize, const NR: usize> Body for Count<'_, MR, NR> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for row in self.tile {
            for (m, &score) in row.iter().enumerate() {
                self.queries.greater[m] += u32::from(score > self.queries.threshold[m]);
                self.queries.equal[m] += u32::from(score == self.queries.threshold[m]);
            }
        }
        let Some(gallery) = self.gallery else { return };
        for (n, row) in self.tile.iter().enumerate() {
            let threshold = gallery.threshold[n];
            let (mut greater, mut equal) = (0, 0);
            for &score in row {
                greater += u32::from(score > threshold);
                equal += u32::from(score == threshold);
            }
            gallery.greater[n] += greater;
            gallery.equal[n] += equal;
        }
    }
}

/// Running counts of the `N` rows of one side of a tile. A threshold of infinity counts nothing.
#[derive(Debug, Clone)]
struct Tally<const N: usize> {
    threshold: [f32; N],
    greater: [u32; N],
    equal: [u32; N],
}

impl<const N: usize> Tally<N> {
    /// Starts at zero; rows without a threshold count nothing.
    fn new(thresholds: &[f32]) -> Self {
        let mut threshold = [f32::INFINITY; N];
        threshold[..thresholds.len()].copy_from_slice(thresholds);
        Self {
            threshold,
            greater: [0; N],
            equal: [0; N],
        }
    }
}

fn tally<const N: usize>(counters: &Counters, start: usize) -> Tally<N> {
    let end = counters.threshold.len().min(start + N);
    Tally::new(&counters.threshold[start..end])
}

/// Scores the true pairs of one direction; the counts are as [`Direction::meet`] leaves them.
fn true_pairs<I: Isa<MR, NR>, const MR: usize, const NR: usize>(
    isa: I,
    dtype: Dtype,
    direction: &Direction<'_>,
) -> Vec<RankCount> {
    let Direction {
        query, gallery, own, ..
    } = direction;
    let mut counts = vec![Direction::UNMET; direction.asking.len()];
    counts
        .par_chunks_mut(TASK_PAIRS)
        .enumerate()
        .for_each(|(chunk, counts)| {
            let start = direction.asking.start + chunk * TASK_PAIRS;
            let mut left = Panels::<MR>::new(query.rows.dim());
            let mut right = Panels::<MR>::new(query.rows.dim());
            let mut pairs = (start..start + counts.len())
                .flat_map(|q| own.of(q).iter().map(move |&g| (q, g as usize)))
                .peekable();
            while pairs.peek().is_some() {
                let batch: Vec<(usize, usize)> = pairs.by_ref().take(MR).collect();
                left.fill(isa, query.rows, dtype, batch.iter().map(|&(q, _)| query.row(q)));
                right.fill(
                    isa,
                    gallery.rows,
                    dtype,
                    batch.iter().map(|&(_, g)| gallery.row(g)),
                );
                let mut scores = [0.0; MR];
                for (left, right) in left.pieces(0).zip(right.pieces(0)) {
                    isa.multiply_pairs(left, right, &mut scores);
                }
                for (&(q, g), &score) in batch.iter().zip(&scores) {
                    direction.meet(&mut counts[q - start], q, g, score);
                }
            }
        });
    counts
}
