//! Scores changed after the fact: dual softmax and QB-Norm. Both need all queries at once, which no single search
//! has, so that their name belongs to the protocol's.
//!
//! A direction is changed for its own queries: texts in `t2v`, videos in `v2t`. Sums and exponentials are in f64.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use hitbench_kernels::{Rows, RowsData};
use rayon::prelude::*;

use crate::format::{Aligned, OutOfMemory};
use crate::metric::{Direction, Pairing};

/// How scores are changed, as `dsl:temperature=1` or `qbnorm:beta=20,k=1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Post {
    /// Dual softmax (CAMoE, arXiv 2109.04290): `s * softmax(s / T) * n`, the softmax over the `n` queries of each
    /// gallery item.
    Dsl {
        /// `T > 0`.
        temperature: f64,
    },
    /// Querybank normalisation (QB-Norm, arXiv 2112.12777) with the dynamic inverted softmax: a query whose best
    /// item is among the `k` best of some bank query gets `exp(beta * s) / sum_bank exp(beta * s_bank)` for
    /// every item, other queries keep their scores. Only order within a query means anything, so the logarithm
    /// of that quotient stands for it.
    QbNorm {
        /// `beta > 0`.
        beta: f64,
        /// `k >= 1`.
        k: usize,
    },
}

/// What is wrong with the name of a post-processing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected dsl, dsl:temperature=T, qbnorm or qbnorm:beta=B,k=K with numbers above 0, found `{found}`")]
pub struct UnknownPost {
    /// The name.
    found: String,
}

impl FromStr for Post {
    type Err = UnknownPost;

    fn from_str(text: &str) -> Result<Self, UnknownPost> {
        let unknown = || UnknownPost {
            found: text.to_owned(),
        };
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        let mut post = match name {
            "dsl" => Self::Dsl { temperature: 1.0 },
            "qbnorm" => Self::QbNorm { beta: 20.0, k: 1 },
            _ => return Err(unknown()),
        };
        let settings = settings.split(',').filter(|_| text.contains(':'));
        let mut given = HashSet::new();
        for setting in settings {
            let (key, value) = setting.split_once('=').ok_or_else(unknown)?;
            let number = || {
                value
                    .parse()
                    .ok()
                    .filter(|value: &f64| value.is_finite() && *value > 0.0)
            };
            match (&mut post, key) {
                (Self::Dsl { temperature }, "temperature") => *temperature = number().ok_or_else(unknown)?,
                (Self::QbNorm { beta, .. }, "beta") => *beta = number().ok_or_else(unknown)?,
                (Self::QbNorm { k, .. }, "k") => {
                    *k = value.parse().ok().filter(|k| *k > 0).ok_or_else(unknown)?;
                }
                _ => return Err(unknown()),
            }
            if !given.insert(key) {
                return Err(unknown());
            }
        }
        Ok(post)
    }
}

impl fmt::Display for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dsl { temperature } => write!(f, "dsl:temperature={temperature}"),
            Self::QbNorm { beta, k } => write!(f, "qbnorm:beta={beta},k={k}"),
        }
    }
}

/// Scores of queries against a gallery, whichever of them the rows are.
#[derive(Clone, Copy)]
struct Scores<'a> {
    rows: Rows<'a>,
    direction: Direction,
}

impl Scores<'_> {
    fn n_gallery(&self) -> usize {
        match self.direction {
            Direction::T2v => self.rows.dim(),
            Direction::V2t => self.rows.n_rows(),
        }
    }

    fn n_queries(&self) -> usize {
        match self.direction {
            Direction::T2v => self.rows.n_rows(),
            Direction::V2t => self.rows.dim(),
        }
    }

    fn at(&self, query: usize, item: usize) -> f64 {
        match self.direction {
            Direction::T2v => self.rows.get(query, item),
            Direction::V2t => self.rows.get(item, query),
        }
    }
}

/// The texts and videos that are queries and gallery of one direction.
struct Roles {
    queries: Vec<usize>,
    gallery: Vec<usize>,
}

impl Roles {
    fn new(pairing: &Pairing, direction: Direction) -> Self {
        let wide = |places: Vec<u32>| places.into_iter().map(|place| place as usize).collect();
        let texts = wide(pairing.kept_captions());
        match direction {
            Direction::T2v => Self {
                queries: texts,
                gallery: (0..pairing.n_videos()).collect(),
            },
            Direction::V2t => Self {
                queries: wide(pairing.videos_with_captions()),
                gallery: texts,
            },
        }
    }
}

/// Scores for the direction under dual softmax: `[n_texts, n_videos]` values of f64, row-major, whose masked rows are
/// zero. Every score that takes part must be finite.
///
/// # Errors
/// [`OutOfMemory`].
pub(super) fn dual_softmax(
    scores: Rows<'_>,
    pairing: &Pairing,
    direction: Direction,
    temperature: f64,
) -> Result<Aligned, OutOfMemory> {
    let Roles { queries, gallery } = Roles::new(pairing, direction);
    let view = Scores {
        rows: scores,
        direction,
    };
    let sums = log_sums(view, &queries, &gallery, 1.0 / temperature);
    let n = queries.len() as f64;
    let mut asks = vec![false; view.n_queries()];
    for &query in &queries {
        asks[query] = true;
    }
    changed(scores, pairing, |text, video| {
        let (query, item) = by_role(direction, text, video);
        if !asks[query] {
            return 0.0; // in no sum, and nobody looks at it
        }
        let score = view.at(query, item);
        score * (score / temperature - sums[item]).exp() * n
    })
}

/// Scores for the direction under QB-Norm: `[n_texts, n_videos]` values of f64, row-major, whose masked rows are
/// zero. `bank` scores other queries against the same gallery, its rows texts and its columns videos too.
/// Every score that takes part must be finite. Of equal scores the lower index is the best.
///
/// # Errors
/// [`OutOfMemory`].
pub(super) fn qb_norm(
    scores: Rows<'_>,
    bank: Rows<'_>,
    pairing: &Pairing,
    direction: Direction,
    (beta, k): (f64, usize),
) -> Result<Aligned, OutOfMemory> {
    let Roles { queries, gallery } = Roles::new(pairing, direction);
    let [view, bank] = [scores, bank].map(|rows| Scores { rows, direction });
    let bank_queries: Vec<usize> = (0..bank.n_queries()).collect();
    let sums = log_sums(bank, &bank_queries, &gallery, beta);
    let activated: HashSet<usize> = bank_queries
        .par_iter()
        .flat_map_iter(|&query| best(bank, query, &gallery, k))
        .collect();
    let mut normalised = vec![false; view.n_queries()];
    for &query in &queries {
        normalised[query] = best(view, query, &gallery, 1)
            .iter()
            .any(|item| activated.contains(item));
    }
    changed(scores, pairing, |text, video| {
        let (query, item) = by_role(direction, text, video);
        let score = view.at(query, item);
        if normalised[query] {
            beta * score - sums[item]
        } else {
            score
        }
    })
}

fn by_role(direction: Direction, text: usize, video: usize) -> (usize, usize) {
    match direction {
        Direction::T2v => (text, video),
        Direction::V2t => (video, text),
    }
}

/// The logarithm of `sum over queries of exp(beta * s)` of every item in `gallery`; 0 for other items.
fn log_sums(scores: Scores<'_>, queries: &[usize], gallery: &[usize], beta: f64) -> Vec<f64> {
    let sums: Vec<f64> = gallery
        .par_iter()
        .map(|&item| {
            let logits = || queries.iter().map(|&query| beta * scores.at(query, item));
            let largest = logits().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits().map(|logit| (logit - largest).exp()).sum();
            largest + sum.ln()
        })
        .collect();
    let mut by_item = vec![0.0; scores.n_gallery()];
    for (&item, sum) in gallery.iter().zip(sums) {
        by_item[item] = sum;
    }
    by_item
}

/// The `k` best items of a query.
fn best(scores: Scores<'_>, query: usize, gallery: &[usize], k: usize) -> Vec<usize> {
    let mut found: Vec<(f64, usize)> = gallery
        .iter()
        .map(|&item| (scores.at(query, item), item))
        .collect();
    let order = |a: &(f64, usize), b: &(f64, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let k = k.min(found.len());
    if k > 0 && k < found.len() {
        found.select_nth_unstable_by(k - 1, order);
    }
    found[..k].iter().map(|(_, item)| *item).collect()
}

/// A matrix of f64 with `value(text, video)` in the rows that take part.
fn changed(
    scores: Rows<'_>,
    pairing: &Pairing,
    value: impl Fn(usize, usize) -> f64 + Sync,
) -> Result<Aligned, OutOfMemory> {
    let (n_texts, n_videos) = (scores.n_rows(), scores.dim());
    let mut out = Aligned::zeros(n_texts * n_videos * size_of::<f64>())?;
    let mut kept = vec![false; n_texts];
    for text in pairing.kept_captions() {
        kept[text as usize] = true;
    }
    let values: &mut [f64] = bytemuck::cast_slice_mut(out.bytes_mut());
    let rows = values.par_chunks_exact_mut(n_videos).enumerate();
    rows.filter(|(text, _)| kept[*text]).for_each(|(text, row)| {
        for (video, out) in row.iter_mut().enumerate() {
            *out = value(text, video);
        }
    });
    Ok(out)
}

/// The first value that is not finite in the rows `chosen`.
pub(super) fn first_not_finite(scores: Rows<'_>, chosen: &[u32]) -> Option<(usize, usize)> {
    fn first<T: Copy + Sync>(
        values: &[T],
        dim: usize,
        chosen: &[u32],
        finite: impl Fn(T) -> bool + Sync,
    ) -> Option<(usize, usize)> {
        chosen.par_iter().find_map_first(|&row| {
            let values = &values[row as usize * dim..][..dim];
            let column = values.iter().position(|&value| !finite(value))?;
            Some((row as usize, column))
        })
    }
    let dim = scores.dim();
    match scores.data() {
        RowsData::F16(values) => first(values, dim, chosen, half::f16::is_finite),
        RowsData::F32(values) => first(values, dim, chosen, f32::is_finite),
        RowsData::F64(values) => first(values, dim, chosen, f64::is_finite),
    }
}

#[cfg(test)]
mod tests;
