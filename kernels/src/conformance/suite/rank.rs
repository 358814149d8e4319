//! Cases of `rank_counts`.

use super::{DIMS, Log, exact};
use crate::conformance::Deviation;
use crate::conformance::compare::judge_counts;
use crate::conformance::inputs::{Matrix, Random};
use crate::rank::{PairIds, RankCount, RankCounts, RankJob, RankOutput, TrueItems};
use crate::reference::Reference;
use crate::registry::AllOperations;
use crate::{Dtype, KernelError, Rows};

/// Queries and gallery items: one of either, less than a tile, more than one.
const SHAPES: [(usize, usize); 5] = [(1, 1), (1, 40), (33, 1), (13, 25), (70, 101)];

pub(super) fn rank_counts(kernel: &dyn AllOperations, log: &mut Log) {
    let mut random = log.random(1);
    whole_numbers(kernel, log, &mut random);
    duplicates(kernel, log, &mut random);
    real_numbers(kernel, log, &mut random);
    parts(kernel, log, &mut random);
    chosen(kernel, log, &mut random);
    nothing(kernel, log);
    too_large(kernel, log);
    any_place(kernel, log, &mut random);
    again(kernel, log, &mut random);
}

/// True items of both directions, and ids.
struct Labels {
    t2v: TrueItems,
    v2t: TrueItems,
    query_ids: Vec<u64>,
    gallery_ids: Vec<u64>,
}

impl Labels {
    fn new(n_queries: usize, n_gallery: usize, random: &mut Random) -> Self {
        let t2v = random.true_items(n_queries, n_gallery, 3);
        let v2t = random.true_items(n_gallery, n_queries, 3);
        let mut ids = |n| (0..n).map(|_| random.below(6) as u64).collect();
        Self {
            t2v,
            v2t,
            query_ids: ids(n_queries),
            gallery_ids: ids(n_gallery),
        }
    }

    /// `options` are bits: the other direction too, and ids.
    fn job<'a>(&'a self, query: Rows<'a>, gallery: Rows<'a>, options: usize) -> RankJob<'a> {
        RankJob {
            v2t: (options & 1 != 0).then_some(&self.v2t),
            ids: (options & 2 != 0).then_some(PairIds {
                query: &self.query_ids,
                gallery: &self.gallery_ids,
            }),
            ..RankJob::new(query, gallery, &self.t2v)
        }
    }
}

fn shape(query: &Matrix, gallery: &Matrix, options: usize) -> String {
    format!(
        "{} x {} x {}, options {options}",
        query.n_rows, gallery.n_rows, query.dim
    )
}

/// Rows of whole numbers in every element type: the counts are exact.
fn compare_exactly(
    kernel: &dyn AllOperations,
    log: &mut Log,
    query: &Matrix,
    gallery: &Matrix,
    labels: &Labels,
    options: usize,
) {
    let job = |dtype| labels.job(query.rows(dtype), gallery.rows(dtype), options);
    let expected = Reference.rank_counts(&job(Dtype::F64));
    for dtype in [Dtype::F16, Dtype::F32, Dtype::F64] {
        let compare = || -> Result<Deviation, KernelError> {
            let found = kernel.rank_counts(&job(dtype))?;
            let expected = expected.as_ref().map_err(|error| KernelError::Argument {
                name: "job",
                problem: error.to_string(),
            })?;
            Ok(exact_output(&found, expected))
        };
        log.case(
            || format!("{dtype} whole numbers, {}", shape(query, gallery, options)),
            compare(),
        );
    }
}

fn exact_output(found: &RankOutput, expected: &RankOutput) -> Deviation {
    let v2t = |output: &RankOutput| output.v2t.clone().unwrap_or_default();
    let deviation = exact("t2v count", &found.t2v, &expected.t2v);
    deviation.merge(exact("v2t count", &v2t(found), &v2t(expected)))
}

fn whole_numbers(kernel: &dyn AllOperations, log: &mut Log, random: &mut Random) {
    let shapes = DIMS
        .iter()
        .flat_map(|&dim| SHAPES.map(|(n_queries, n_gallery)| (n_queries, n_gallery, dim)));
    // The last one has several tasks.
    for (n_queries, n_gallery, dim) in shapes.chain([(300, 3100, 33)]) {
        let query = Matrix::whole(n_queries, dim, random);
        let gallery = Matrix::whole(n_gallery, dim, random);
        let labels = Labels::new(n_queries, n_gallery, random);
        for options in 0..2 {
            compare_exactly(kernel, log, &query, &gallery, &labels, options);
        }
    }
}

/// Few different rows, or zeros: most items tie.
fn duplicates(kernel: &dyn AllOperations, log: &mut Log, random: &mut Random) {
    let (n_queries, n_gallery) = (37, 53);
    for dim in [1, 31, 600] {
        let query = Matrix::whole(n_queries, dim, random);
        let few = Matrix::whole(5, dim, random);
        let repeated = Matrix::new(n_gallery, dim, |row, column| few.f64[row % 5 * dim + column]);
        let zeros = Matrix::new(n_gallery, dim, |_, _| 0.0);
        let labels = Labels::new(n_queries, n_gallery, random);
        for gallery in [&repeated, &zeros] {
            for options in 0..4 {
                compare_exactly(kernel, log, &query, gallery, &labels, options);
            }
        }
    }
}

/// Random real rows.
#[derive(Clone, Copy)]
struct Real {
    /// No element is larger.
    size: f64,
    /// The narrowest type that holds them.
    dtype: Dtype,
}

/// Real numbers, some of them subnormal in f16, some beyond its precision: counts that scores within the tolerance
/// give.
fn real_numbers(kernel: &dyn AllOperations, log: &mut Log, random: &mut Random) {
    let kinds = [(1.0, Dtype::F16), (1e-6, Dtype::F16), (1.0, Dtype::F32)];
    for dim in &DIMS[1..] {
        for (n_queries, n_gallery) in SHAPES {
            for (size, dtype) in kinds {
                let rows = |n_rows, random: &mut Random| {
                    let wide = Matrix::new(n_rows, *dim, |_, _| size * random.real());
                    if dtype == Dtype::F16 {
                        wide.through_f16()
                    } else {
                        wide
                    }
                };
                let query = rows(n_queries, random);
                let once = rows(n_gallery, random);
                let double = Matrix::new(n_gallery, *dim, |row, column| once.f64[row / 2 * dim + column]);
                let labels = Labels::new(n_queries, n_gallery, random);
                let kind = Real { size, dtype };
                for options in [0, 1, 3] {
                    let could_flip = judge(kernel, log, kind, &query, &once, &labels, options);
                    // Subnormal scores have no say in who could flip.
                    if size == 1.0 {
                        let v2t = if options & 1 == 0 { 0 } else { n_gallery };
                        let (some, all) = log.could_flip.unwrap_or_default();
                        log.could_flip = Some((some + could_flip, all + (n_queries + v2t) as u64));
                    }
                }
                judge(kernel, log, kind, &query, &double, &labels, 1);
            }
        }
    }
}

/// Judges one job, given partly in a wider type than needed. Returns how many queries could flip.
fn judge(
    kernel: &dyn AllOperations,
    log: &mut Log,
    kind: Real,
    query: &Matrix,
    gallery: &Matrix,
    labels: &Labels,
    options: usize,
) -> u64 {
    let Real { size, dtype } = kind;
    let given = labels.job(query.rows(Dtype::F32), gallery.rows(dtype), options);
    let known = labels.job(query.rows(dtype), gallery.rows(dtype), options);
    let t2v: Vec<usize> = (0..query.n_rows).collect();
    let v2t: Vec<usize> = (0..given.v2t.map_or(0, TrueItems::n_queries)).collect();
    let judged = kernel
        .rank_counts(&given)
        .and_then(|output| judge_counts(kernel.id(), &known, &output, &t2v, &v2t));
    let could_flip = judged.as_ref().map_or(0, |judged| judged.could_flip);
    log.case(
        || {
            let shape = shape(query, gallery, options);
            format!("{dtype} real numbers of size {size:e}, {shape}")
        },
        judged.map(|judged| judged.deviation),
    );
    could_flip
}

/// A gallery in parts, one of them empty: each part has the counts that scores within the tolerance give, and those of
/// all parts are those of the whole. (Of libtorch that is asked where its scores are exact: on whole numbers.)
fn parts(kernel: &dyn AllOperations, log: &mut Log, random: &mut Random) {
    for (n_queries, n_gallery, dim) in [(9, 1, 7), (13, 25, 1), (70, 101, 31), (9, 300, 600)] {
        let whole = |n_rows, random: &mut Random| Matrix::whole(n_rows, dim, random);
        let real = |n_rows, random: &mut Random| Matrix::real(n_rows, dim, random);
        let kinds = [
            (true, whole(n_queries, random), whole(n_gallery, random)),
            (
                kernel.id().has_pure_scores(),
                real(n_queries, random),
                real(n_gallery, random),
            ),
        ];
        let labels = Labels::new(n_queries, n_gallery, random);
        let mut cuts = vec![
            0,
            0,
            random.below(n_gallery + 1),
            random.below(n_gallery + 1),
            n_gallery,
        ];
        cuts.sort_unstable();
        for ((adds_up, query, gallery), options) in
            kinds.iter().flat_map(|kind| [0, 1, 2, 3].map(|o| (kind, o)))
        {
            let job = labels.job(query.rows(Dtype::F16), gallery.rows(Dtype::F32), options);
            log.case(
                || format!("parts {cuts:?}, {}", shape(query, gallery, options)),
                judge_parts(kernel, &job, &cuts, *adds_up),
            );
        }
    }
}

fn judge_parts(
    kernel: &dyn AllOperations,
    job: &RankJob<'_>,
    cuts: &[usize],
    adds_up: bool,
) -> Result<Deviation, KernelError> {
    let whole = kernel.rank_counts(job)?;
    let mut sum: Option<RankOutput> = None;
    let mut deviation = Deviation::default();
    for cut in cuts.windows(2) {
        let job = RankJob {
            part: cut[0]..cut[1],
            ..job.clone()
        };
        let found = kernel.rank_counts(&job)?;
        let all = |counts: usize| (0..counts).collect::<Vec<usize>>();
        let (t2v, v2t) = (all(found.t2v.len()), all(found.v2t.as_ref().map_or(0, Vec::len)));
        deviation = deviation.merge(judge_counts(kernel.id(), &job, &found, &t2v, &v2t)?.deviation);
        let Some(sum) = &mut sum else {
            sum = Some(found);
            continue;
        };
        for (sum, count) in sum.t2v.iter_mut().zip(&found.t2v) {
            sum.greater += count.greater;
            sum.equal += count.equal;
        }
        if let (Some(sum), Some(v2t)) = (&mut sum.v2t, found.v2t) {
            sum.extend(v2t);
        }
    }
    match sum {
        Some(sum) if adds_up => Ok(deviation.merge(exact_output(&sum, &whole))),
        _ => Ok(deviation),
    }
}

/// Some rows of a matrix, whose others are not finite: the counts of a matrix of these rows.
fn chosen(kernel: &dyn AllOperations, log: &mut Log, random: &mut Random) {
    let (n_queries, n_gallery) = (45, 60);
    for dim in [1, 31, 600] {
        let query = Matrix::whole(n_queries, dim, random);
        let gallery = Matrix::whole(n_gallery, dim, random);
        let order: Vec<usize> = (0..n_queries).rev().collect();
        // Every other row of a matrix of twice as many, backwards.
        let rows: Vec<u32> = order.iter().map(|row| 2 * *row as u32 + 1).collect();
        let spread = Matrix::new(2 * n_queries, dim, |row, column| {
            if row % 2 == 0 {
                f64::NAN
            } else {
                query.f64[row / 2 * dim + column]
            }
        });
        let gathered = query.permuted(&order);
        let labels = Labels::new(n_queries, n_gallery, random);
        for options in 0..4 {
            let expected = labels.job(gathered.rows(Dtype::F32), gallery.rows(Dtype::F32), options);
            let job = RankJob {
                query: spread.rows(Dtype::F32),
                chosen: Some(&rows),
                part: 7..50,
                ..expected.clone()
            };
            let compare = || -> Result<Deviation, KernelError> {
                let expected = kernel.rank_counts(&RankJob {
                    part: 7..50,
                    ..expected
                })?;
                let found = kernel.rank_counts(&job)?;
                let t2v: Vec<usize> = (0..n_queries).collect();
                let judged = judge_counts(kernel.id(), &job, &found, &t2v, &[])?;
                Ok(judged.deviation.merge(exact_output(&found, &expected)))
            };
            log.case(
                || format!("chosen rows, {}", shape(&gathered, &gallery, options)),
                compare(),
            );
        }
    }
}

fn nothing(kernel: &dyn AllOperations, log: &mut Log) {
    let empty = Matrix::new(0, 7, |_, _| 0.0);
    let some = Matrix::new(3, 7, |_, _| 1.0);
    let mut random = log.random(2);
    for (gallery, options) in [(&empty, 1), (&some, 0)] {
        let labels = Labels {
            t2v: random.true_items(0, gallery.n_rows, 1),
            v2t: random.true_items(0, 0, 1),
            query_ids: Vec::new(),
            gallery_ids: vec![0; gallery.n_rows],
        };
        compare_exactly(kernel, log, &empty, gallery, &labels, options);
    }
}

/// An element that f32 holds and f16 does not.
fn too_large(kernel: &dyn AllOperations, log: &mut Log) {
    let query = Matrix::new(
        2,
        7,
        |row, column| if (row, column) == (1, 3) { 1e6 } else { 1.0 },
    );
    let gallery = Matrix::new(2, 7, |_, _| 1.0);
    let labels = Labels::new(2, 2, &mut log.random(3));
    let job = labels.job(query.rows(Dtype::F32), gallery.rows(Dtype::F32), 0);
    let narrow = kernel.id().dtype() == Dtype::F16;
    log.refused("an element of 1e6", narrow, kernel.rank_counts(&job));
}

/// Real rows in another order: every count must be the same, as a pair's score is one wherever the pair lies.
fn any_place(kernel: &dyn AllOperations, log: &mut Log, random: &mut Random) {
    if !kernel.id().has_pure_scores() {
        return;
    }
    let (n_queries, n_gallery) = (140, 270);
    for dim in [31, 520] {
        let query = Matrix::real(n_queries, dim, random);
        let gallery = Matrix::real(n_gallery, dim, random);
        let labels = Labels::new(n_queries, n_gallery, random);
        let [query_order, gallery_order] = [random.order(n_queries), random.order(n_gallery)];
        let moved = (query.permuted(&query_order), gallery.permuted(&gallery_order));
        let compare = || -> Result<Deviation, KernelError> {
            let expected =
                kernel.rank_counts(&labels.job(query.rows(Dtype::F16), gallery.rows(Dtype::F16), 1))?;
            let t2v = relabelled(&labels.t2v, &query_order, &gallery_order)?;
            let v2t = relabelled(&labels.v2t, &gallery_order, &query_order)?;
            let job = RankJob {
                v2t: Some(&v2t),
                ..RankJob::new(moved.0.rows(Dtype::F16), moved.1.rows(Dtype::F16), &t2v)
            };
            let found = kernel.rank_counts(&job)?;
            let pick = |counts: &[RankCount], order: &[usize]| order.iter().map(|&at| counts[at]).collect();
            let expected = RankOutput {
                t2v: pick(&expected.t2v, &query_order),
                v2t: expected.v2t.map(|v2t| pick(&v2t, &gallery_order)),
            };
            Ok(exact_output(&found, &expected))
        };
        log.case(|| format!("rows in another order, dim {dim}"), compare());
    }
}

/// True items after both sides were put in other orders: item `i` of a side is `order[i]` of before.
fn relabelled(own: &TrueItems, asking: &[usize], asked: &[usize]) -> Result<TrueItems, KernelError> {
    let mut place = vec![0_u32; asked.len()];
    for (at, &item) in asked.iter().enumerate() {
        place[item] = at as u32;
    }
    let lists = asking.iter().map(|&query| {
        own.of(query)
            .iter()
            .map(|item| place[*item as usize])
            .collect::<Vec<u32>>()
    });
    TrueItems::from_lists(asked.len(), lists)
}

/// The same job again and again: a race would show in some of the counts some of the time.
fn again(kernel: &dyn AllOperations, log: &mut Log, random: &mut Random) {
    if !kernel.id().has_pure_scores() {
        return;
    }
    let (n_queries, n_gallery, dim) = (200, 400, 96);
    let query = Matrix::real(n_queries, dim, random);
    let gallery = Matrix::real(n_gallery, dim, random);
    let labels = Labels::new(n_queries, n_gallery, random);
    let job = labels.job(query.rows(Dtype::F16), gallery.rows(Dtype::F16), 3);
    let compare = || -> Result<Deviation, KernelError> {
        let first = kernel.rank_counts(&job)?;
        (0..10).try_fold(Deviation::default(), |worst, _| {
            Ok(worst.merge(exact_output(&kernel.rank_counts(&job)?, &first)))
        })
    };
    log.case(|| "the same counts again".to_owned(), compare());
}
