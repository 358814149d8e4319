//! An evaluation in files for other programs: counts of every query, a TREC run, its judgments (qrels).
//!
//! TREC files part their fields by blanks and quote nothing, so that ids with blanks have no place in them. Scores are
//! written with the fewest digits that give the same number of their type back, f16 as f32: two scores are equal in the
//! file exactly where they were equal when ranks were counted. Items of equal scores follow in the order of the
//! gallery; `trec_eval` goes by scores alone and orders equal ones by item id, descending.

use std::cmp::Ordering;
use std::io::{self, Write};

use hitbench_kernels::{Dtype, Hit, KernelError, KernelId, Rows, RowsData, scores_kernel, top_k_kernel};
use rayon::prelude::*;

use super::changed::changed_scores;
use super::error::EvalError;
use super::evaluate::Evaluated;
use super::join::Joined;
use super::prepare::Prepared;
use super::request::Given;
use crate::format::Matrix;
use crate::metric::MetricError;
use crate::metric::chosen::ChosenRows;

/// What a TREC run says of where it comes from.
const TAG: &str = "hitbench";
/// Bytes of scores, and of lines, that are held at a time.
const BLOCK_BYTES: usize = 32 << 20;
/// Most queries that a kernel is asked at a time, so that copies of their rows stay small too.
const BLOCK_QUERIES: usize = 4096;
/// Bytes of a line, more or less.
const LINE_BYTES: usize = 64;
/// Depth up to which a `top_k` kernel is asked; deeper lists are taken from whole rows of scores.
const TOP_DEPTH: usize = 256;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is nothing that could be written.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The file takes no bytes.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl From<MetricError> for ExportError {
    fn from(error: MetricError) -> Self {
        Self::Eval(error.into())
    }
}

/// Writes the counts of every query as `ranks/TRIAL.csv` of a run folder has them: CSV with the header
/// `direction,query_id,true_id,greater,equal,own_equal,score`.
///
/// # Errors
/// [`ExportError::Write`].
pub fn write_ranks(found: &Evaluated, out: &mut dyn Write) -> Result<(), ExportError> {
    let (texts, videos) = (&found.joined.text_ids, &found.joined.video_ids);
    let mut writer = csv::Writer::from_writer(out);
    for result in std::iter::once(&found.t2v).chain(&found.v2t) {
        for row in result.counts.rank_rows(texts, videos)? {
            writer.serialize(row).map_err(io::Error::from)?;
        }
    }
    Ok(writer.flush()?)
}

/// Writes the judgments of `t2v`: a line `TEXT 0 VIDEO 1` for every text that takes part.
///
/// # Errors
/// [`EvalError::TrecId`] for an id with a blank, [`ExportError::Write`].
pub fn write_qrels(joined: &Joined, out: &mut dyn Write) -> Result<(), ExportError> {
    let (texts, videos) = trec_ids(joined)?;
    let pairing = &joined.pairing;
    for text in pairing.kept_captions() {
        let video = pairing.video_of(text);
        writeln!(out, "{} 0 {} 1", texts[text as usize], videos[video as usize])?;
    }
    Ok(())
}

/// Writes the ranking of `t2v` as a TREC run: for every text that takes part the `depth` best videos, all without one,
/// a line `TEXT Q0 VIDEO RANK SCORE hitbench` each, ranks from 1.
///
/// Scores are those that ranks of `t2v` were counted from, after any post-processing, which the last field then names:
/// `hitbench+POST`. Those of `v2t` are others then, and are not in the file. Nothing of the size of texts times videos
/// is held, except by post-processing.
///
/// # Errors
/// [`EvalError::TrecId`] for an id with a blank, what the kernel says, [`ExportError::Write`].
pub fn write_trec(prepared: &Prepared, depth: Option<usize>, out: &mut dyn Write) -> Result<(), ExportError> {
    let (request, joined) = (&prepared.request, &prepared.joined);
    let (texts, videos) = trec_ids(joined)?;
    let kept = joined.pairing.kept_captions();
    let depth = depth.unwrap_or(usize::MAX).min(videos.len());
    let tag = request
        .post
        .map_or(TAG.to_owned(), |post| format!("{TAG}+{post}"));
    let changed;
    let source = match (&request.given, request.post) {
        (_, Some(post)) => {
            changed = changed_scores(request, post, &joined.pairing)?;
            let values = RowsData::F64(bytemuck::cast_slice(changed.bytes()));
            Source::Stored(Rows::new(values, texts.len(), videos.len()).map_err(MetricError::from)?)
        }
        (Given::Scores(scores), None) => Source::Stored(scores.rows()),
        (
            Given::Embeddings {
                text, video, kernel, ..
            },
            None,
        ) => Source::Embeddings {
            text,
            video,
            kernel: *kernel,
        },
    };
    let per_group = (BLOCK_BYTES / LINE_BYTES / depth).clamp(1, BLOCK_QUERIES);
    for block in kept.chunks(source.block_size(videos.len(), depth)) {
        let scored = source.scored(block, depth)?;
        let places: Vec<usize> = (0..block.len()).collect();
        for group in places.chunks(per_group) {
            let of_query = |&place: &usize| {
                lines(
                    &texts[block[place] as usize],
                    videos,
                    &scored.best(place, depth),
                    &tag,
                )
            };
            let lines: Vec<String> = group.par_iter().map(of_query).collect();
            for lines in lines {
                out.write_all(lines.as_bytes())?;
            }
        }
    }
    Ok(())
}

/// Checks that ids can stand in TREC files; `what` says what they name.
///
/// # Errors
/// [`EvalError::TrecId`] for the first with a blank.
pub fn check_trec_ids(what: &'static str, ids: &[String]) -> Result<(), EvalError> {
    let blank = |id: &&String| id.is_empty() || id.contains(|c: char| c.is_whitespace() || c == '\0');
    match ids.iter().find(blank) {
        None => Ok(()),
        Some(id) => Err(EvalError::TrecId { what, id: id.clone() }),
    }
}

fn trec_ids(joined: &Joined) -> Result<(&[String], &[String]), EvalError> {
    let (texts, videos) = (&joined.text_ids, &joined.video_ids);
    check_trec_ids("text", texts)?;
    check_trec_ids("video", videos)?;
    Ok((texts, videos))
}

/// A score as it is written, and to order by.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Score {
    F32(f32),
    F64(f64),
}

/// The best items of one query, best first.
type Best = Vec<(u32, Score)>;

fn lines(text: &str, videos: &[String], best: &Best, tag: &str) -> String {
    let mut out = String::new();
    for ((video, score), rank) in best.iter().zip(1..) {
        let video = &videos[*video as usize];
        // `Debug` writes a number with the fewest digits that read back as it, with an exponent where that is shorter.
        out += &match score {
            Score::F32(score) => format!("{text} Q0 {video} {rank} {score:?} {tag}\n"),
            Score::F64(score) => format!("{text} Q0 {video} {rank} {score:?} {tag}\n"),
        };
    }
    out
}

/// Where scores come from.
enum Source<'a> {
    /// A stored row a text.
    Stored(Rows<'a>),
    /// A kernel.
    Embeddings {
        text: &'a Matrix,
        video: &'a Matrix,
        kernel: KernelId,
    },
}

/// Scores of a block of texts.
enum Scored<'a> {
    /// The stored rows of these texts.
    Stored(Rows<'a>, &'a [u32]),
    /// A computed row a text, `[n_texts, n_videos]`.
    Rows(Vec<f32>, usize),
    /// The best of each text, in the kernel's type: `[n_texts, depth]`.
    Hits(Vec<Hit>, Dtype),
}

impl Source<'_> {
    /// Queries of one block.
    fn block_size(&self, n_videos: usize, depth: usize) -> usize {
        let bytes = match self {
            Self::Stored(_) => return BLOCK_QUERIES,
            Self::Embeddings { kernel, .. } if asks_top_k(*kernel, depth) => depth * size_of::<Hit>(),
            Self::Embeddings { .. } => n_videos * size_of::<f32>(),
        };
        (BLOCK_BYTES / bytes).clamp(1, BLOCK_QUERIES)
    }

    fn scored<'s>(&'s self, texts: &'s [u32], depth: usize) -> Result<Scored<'s>, EvalError> {
        match self {
            Self::Stored(rows) => Ok(Scored::Stored(*rows, texts)),
            Self::Embeddings { text, video, kernel } => {
                let chosen = ChosenRows::new(text.rows(), texts);
                let rows = chosen.rows().map_err(MetricError::from)?;
                by_kernel((rows, video.rows()), *kernel, depth)
                    .map_err(|error| EvalError::of_kernel(error, text.location(), video.location()))
            }
        }
    }
}

impl Scored<'_> {
    /// The best items of the query at `place` in the block.
    fn best(&self, place: usize, depth: usize) -> Best {
        match self {
            Self::Stored(rows, texts) => {
                let row = texts[place] as usize;
                match rows.slice(row..row + 1).data() {
                    RowsData::F16(scores) => best_of(scores, depth, |score| Score::F32(score.to_f32())),
                    RowsData::F32(scores) => best_of(scores, depth, Score::F32),
                    RowsData::F64(scores) => best_of(scores, depth, Score::F64),
                }
            }
            Self::Rows(scores, n) => best_of(&scores[place * n..][..*n], depth, Score::F32),
            Self::Hits(hits, dtype) => {
                let score = |score: f64| match dtype {
                    Dtype::F64 => Score::F64(score),
                    // Exact: that is the type that the kernel sums in.
                    Dtype::F16 | Dtype::F32 => Score::F32(score as f32),
                };
                let hits = hits[place * depth..][..depth].iter();
                hits.map(|hit| (hit.item, score(hit.score))).collect()
            }
        }
    }
}

/// Whether `top_k` gives the lists: it keeps short ones cheaply, and `scores` would round those of the reference.
fn asks_top_k(kernel: KernelId, depth: usize) -> bool {
    depth <= TOP_DEPTH || kernel.dtype() == Dtype::F64
}

fn by_kernel<'a>(
    (query, gallery): (Rows<'_>, Rows<'_>),
    kernel: KernelId,
    depth: usize,
) -> Result<Scored<'a>, KernelError> {
    let name = kernel.to_string();
    if asks_top_k(kernel, depth) {
        let hits = top_k_kernel(&name)?.top_k(query, gallery, depth)?;
        return Ok(Scored::Hits(hits, kernel.dtype()));
    }
    let mut scores = vec![0.0; query.n_rows() * gallery.n_rows()];
    scores_kernel(&name)?.scores(query, gallery, &mut scores)?;
    Ok(Scored::Rows(scores, gallery.n_rows()))
}

/// The best items of one row of scores, none of which is NaN.
fn best_of<T: Copy + PartialOrd>(scores: &[T], depth: usize, score: impl Fn(T) -> Score) -> Best {
    let order = |a: &(u32, T), b: &(u32, T)| {
        let by_score = b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal);
        by_score.then(a.0.cmp(&b.0))
    };
    let mut items: Vec<(u32, T)> = (0..).zip(scores.iter().copied()).collect();
    if depth < items.len() {
        items.select_nth_unstable_by(depth, order);
        items.truncate(depth);
    }
    items.sort_unstable_by(order);
    items
        .into_iter()
        .map(|(item, value)| (item, score(value)))
        .collect()
}

#[cfg(test)]
mod tests;
