//! `scores` and `top_k`.

use std::collections::HashMap;

use super::pairs::each_pair;
use super::{Deviation, check_sample};
use crate::rank::Side;
use crate::scores::{check_dims, check_len};
use crate::{Hit, KernelError, KernelId, Rows};

/// Judges the scores `out [n_queries, n_gallery]` of the sampled queries, each by
/// [`crate::tolerance::score_bound`]; those of the reference are rounded to f32 too.
///
/// # Errors
/// [`KernelError::DimMismatch`], [`KernelError::Length`] or, for a sample outside the rows,
/// [`KernelError::Argument`].
pub fn scores(
    kernel: KernelId,
    query: Rows<'_>,
    gallery: Rows<'_>,
    out: &[f32],
    queries: &[usize],
) -> Result<Deviation, KernelError> {
    check_dims(query, gallery)?;
    check_len("out", query.n_rows() * gallery.n_rows(), out.len())?;
    check_sample("sample of queries", queries, query.n_rows())?;
    let mut states: Vec<(usize, Deviation)> = queries.iter().map(|&q| (q, Deviation::default())).collect();
    each_pair(
        kernel,
        Side::all(query),
        Side::all(gallery),
        queries,
        &mut states,
        |state, pair| {
            let (q, deviation) = state;
            let found = f64::from(out[*q * gallery.n_rows() + pair.item]);
            let rounded = match kernel {
                KernelId::Reference => pair.score.abs() * 2.0_f64.powi(-24) + 2.0_f64.powi(-150),
                _ => 0.0,
            };
            deviation.record((found - pair.score).abs(), pair.bound + rounded, || {
                format!(
                    "query {q}, item {}: score {found:e}, expected {:e}",
                    pair.item, pair.score
                )
            });
        },
    );
    Ok(merged(states.into_iter().map(|(_, deviation)| deviation)))
}

/// What is known of a sampled query.
struct Seen<'a> {
    query: usize,
    hits: &'a [Hit],
    place: HashMap<u32, usize>,
    n_seen: usize,
    deviation: Deviation,
}

/// Judges the hits of the sampled queries, `hits [n_queries, min(k, n_gallery)]`.
///
/// Each score must lie within [`crate::tolerance::score_bound`], and so must every item that is no hit from below
/// the last hit's score. The hits must be different items of the gallery, best first; of kernels with pure scores
/// equal ones by index.
///
/// # Errors
/// [`KernelError::DimMismatch`], [`KernelError::Length`] or, for a sample outside the rows,
/// [`KernelError::Argument`].
pub fn top_k(
    kernel: KernelId,
    query: Rows<'_>,
    gallery: Rows<'_>,
    k: usize,
    hits: &[Hit],
    queries: &[usize],
) -> Result<Deviation, KernelError> {
    check_dims(query, gallery)?;
    let kept = k.min(gallery.n_rows());
    check_len("hits", query.n_rows() * kept, hits.len())?;
    check_sample("sample of queries", queries, query.n_rows())?;
    let mut states: Vec<Seen<'_>> = queries
        .iter()
        .map(|&q| {
            let hits = &hits[q * kept..][..kept];
            let place = hits.iter().enumerate().map(|(at, hit)| (hit.item, at));
            Seen {
                query: q,
                hits,
                place: place.collect(),
                n_seen: 0,
                deviation: Deviation::default(),
            }
        })
        .collect();
    each_pair(
        kernel,
        Side::all(query),
        Side::all(gallery),
        queries,
        &mut states,
        |seen, pair| {
            let (q, item, exact) = (seen.query, pair.item, pair.score);
            let place = u32::try_from(item).ok().and_then(|item| seen.place.get(&item));
            if let Some(&at) = place {
                let found = seen.hits[at].score;
                seen.n_seen += 1;
                seen.deviation.record((found - exact).abs(), pair.bound, || {
                    format!("query {q}, hit {at}, item {item}: score {found:e}, expected {exact:e}")
                });
            } else if let Some(last) = seen.hits.last() {
                let above = exact - last.score;
                seen.deviation
                    .record(if above < 0.0 { 0.0 } else { above }, pair.bound, || {
                        format!(
                            "query {q}: item {item} scores {exact:e}, the last hit only {:e}",
                            last.score
                        )
                    });
            }
        },
    );
    Ok(merged(states.into_iter().map(|seen| seen.order(kernel))))
}

impl Seen<'_> {
    fn order(mut self, kernel: KernelId) -> Deviation {
        let q = self.query;
        let missing = self.hits.len() - self.n_seen;
        self.deviation.record(missing as f64, 0.0, || {
            format!(
                "query {q}: {missing} of {} hits are repeated or no items",
                self.hits.len()
            )
        });
        for (at, pair) in self.hits.windows(2).enumerate() {
            let (a, b) = (pair[0], pair[1]);
            let ordered =
                a.score > b.score || a.score == b.score && (a.item < b.item || !kernel.has_pure_scores());
            self.deviation.record(f64::from(u8::from(!ordered)), 0.0, || {
                format!("query {q}: hits {at} and {} are in the wrong order", at + 1)
            });
        }
        self.deviation
    }
}

fn merged(deviations: impl Iterator<Item = Deviation>) -> Deviation {
    deviations.fold(Deviation::default(), Deviation::merge)
}
