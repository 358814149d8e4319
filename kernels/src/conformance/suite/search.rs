//! Cases of `scores` and `top_k`.

use super::{DIMS, Log, exact};
use crate::conformance::compare;
use crate::conformance::inputs::Matrix;
use crate::reference::Reference;
use crate::registry::AllOperations;
use crate::scores::TopK;
use crate::{Dtype, KernelId, Rows};

pub(super) fn scores(kernel: &dyn AllOperations, log: &mut Log) {
    let mut random = log.random(11);
    for dim in DIMS {
        for (n_queries, n_gallery) in [(1, 1), (3, 0), (0, 3), (1, 90), (90, 1), (67, 45)] {
            for size in [1.0, 1e-6, 200.0] {
                // Scores that are f16 themselves cannot hold 200^2 a column.
                let narrow =
                    matches!(kernel.id(), KernelId::Libtorch { .. }) && kernel.id().dtype() == Dtype::F16;
                if narrow && size > 1.0 {
                    continue;
                }
                let query = Matrix::new(n_queries, dim, |_, _| size * random.real()).through_f16();
                let wide = Matrix::new(n_gallery, dim, |_, _| size * random.real());
                let gallery = wide.through_f16();
                // Numbers that f16 holds are to be taken exactly from wider rows too.
                for (given, known) in [
                    (gallery.rows(Dtype::F16), gallery.rows(Dtype::F16)),
                    (gallery.rows(Dtype::F32), gallery.rows(Dtype::F16)),
                    (wide.rows(Dtype::F32), wide.rows(Dtype::F32)),
                    (wide.rows(Dtype::F64), wide.rows(Dtype::F64)),
                ] {
                    let mut out = vec![f32::NAN; n_queries * n_gallery];
                    let query = query.rows(Dtype::F16);
                    let all: Vec<usize> = (0..n_queries).collect();
                    let judged = kernel
                        .scores(query, given, &mut out)
                        .and_then(|()| compare::scores(kernel.id(), query, known, &out, &all));
                    let dtype = given.dtype();
                    log.case(
                        || format!("{dtype} rows of size {size:e}, {n_queries} x {n_gallery} x {dim}"),
                        judged,
                    );
                }
            }
        }
    }
    let large = Matrix::new(2, 7, |_, _| 1e6);
    let one = Matrix::new(1, 7, |_, _| 1.0);
    let narrow = kernel.id().dtype() == Dtype::F16;
    let result = kernel.scores(one.rows(Dtype::F32), large.rows(Dtype::F32), &mut [0.0; 2]);
    log.refused("elements of 1e6", narrow, result);
}

pub(super) fn top_k(kernel: &dyn AllOperations, log: &mut Log) {
    let mut random = log.random(12);
    for dim in DIMS {
        for (n_queries, n_gallery) in [(1, 1), (1, 40), (0, 4), (4, 0), (35, 127)] {
            let query = Matrix::whole(n_queries, dim, &mut random);
            let gallery = Matrix::whole(n_gallery, dim, &mut random);
            let real = (
                Matrix::real(n_queries, dim, &mut random),
                Matrix::real(n_gallery, dim, &mut random),
            );
            let tiny = Matrix::new(n_gallery, dim, |_, _| 1e-6 * random.real()).through_f16();
            for k in [0, 1, 3, 10, 126, 500] {
                whole_numbers(kernel, log, &query, &gallery, k);
                for gallery in [&real.1, &tiny] {
                    let rows = (real.0.rows(Dtype::F32), gallery.rows(Dtype::F16));
                    let known = (real.0.rows(Dtype::F16), rows.1);
                    judge(kernel, log, rows, known, k);
                }
            }
        }
    }
    // The best of a long gallery come from several tasks.
    let query = Matrix::whole(3, 5, &mut random);
    let gallery = Matrix::whole(26_000, 5, &mut random);
    whole_numbers(kernel, log, &query, &gallery, 40);
}

/// Ties abound and scores are exact, so hits are, where a kernel promises an order among equal scores.
fn whole_numbers(kernel: &dyn AllOperations, log: &mut Log, query: &Matrix, gallery: &Matrix, k: usize) {
    let rows = (query.rows(Dtype::F16), gallery.rows(Dtype::F32));
    judge(kernel, log, rows, (rows.0, gallery.rows(Dtype::F16)), k);
    let compared = kernel.top_k(rows.0, rows.1, k).and_then(|found| {
        let expected = Reference.top_k(rows.0, rows.1, k)?;
        let items = |hits: &[crate::Hit]| {
            let of = |hit: &crate::Hit| (kernel.id().has_pure_scores().then_some(hit.item), hit.score);
            hits.iter().map(of).collect::<Vec<_>>()
        };
        Ok(exact("hit", &items(&found), &items(&expected)))
    });
    let (n_queries, n_gallery, dim) = (query.n_rows, gallery.n_rows, query.dim);
    log.case(
        || format!("whole numbers, {n_queries} x {n_gallery} x {dim}, k {k}"),
        compared,
    );
}

/// `known` are the same rows as given, in the narrowest type that holds them.
fn judge(
    kernel: &dyn AllOperations,
    log: &mut Log,
    given: (Rows<'_>, Rows<'_>),
    known: (Rows<'_>, Rows<'_>),
    k: usize,
) {
    let (n_queries, n_gallery, dim) = (given.0.n_rows(), given.1.n_rows(), given.0.dim());
    let all: Vec<usize> = (0..n_queries).collect();
    let judged = kernel
        .top_k(given.0, given.1, k)
        .and_then(|hits| compare::top_k(kernel.id(), known.0, known.1, k, &hits, &all));
    log.case(|| format!("{n_queries} x {n_gallery} x {dim}, k {k}"), judged);
}
