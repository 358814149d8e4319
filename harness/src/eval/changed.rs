//! Counts of scores that post-processing changed, one direction at a time.

use hitbench_kernels::{KernelId, Rows, RowsData, scores_kernel};

use super::error::EvalError;
use super::post::{Post, dual_softmax, first_not_finite, qb_norm};
use super::request::{EvalRequest, Given};
use crate::format::Aligned;
use crate::format::Location;
use crate::format::Matrix;
use crate::metric::{Counts, Direction, MetricError, Pairing, count_matrix};

/// Counts of changed scores, and whether those of `v2t` mean anything.
pub(super) fn count_changed(
    request: &EvalRequest,
    post: Post,
    pairing: &Pairing,
) -> Result<(Counts, bool), EvalError> {
    let given = GivenScores::of(request, pairing)?;
    let scores = given.rows(request, pairing)?;
    let counted = |changed: &Aligned| -> Result<Counts, EvalError> {
        let rows = RowsData::F64(bytemuck::cast_slice(changed.bytes()));
        let rows = Rows::new(rows, scores.n_rows(), scores.dim()).map_err(MetricError::from)?;
        count_matrix(rows, pairing, request.rules.captions).map_err(|error| match error {
            MetricError::NotFinite { row, column, value } => EvalError::Post {
                post: post.to_string(),
                row,
                column,
                value,
            },
            other => other.into(),
        })
    };
    // One direction at a time, so that only one changed matrix is in memory.
    let t2v = change(request, post, pairing, scores, Direction::T2v)?.ok_or(BANK_NEEDED)?;
    let mut counts = counted(&t2v)?;
    drop(t2v);
    match change(request, post, pairing, scores, Direction::V2t)? {
        None => Ok((counts, false)),
        Some(v2t) => {
            counts.v2t = counted(&v2t)?.v2t;
            Ok((counts, true))
        }
    }
}

/// The changed scores of `t2v`, row-major f64 `[n_texts, n_videos]`; zeros in rows that take no part.
pub(super) fn changed_scores(
    request: &EvalRequest,
    post: Post,
    pairing: &Pairing,
) -> Result<Aligned, EvalError> {
    let given = GivenScores::of(request, pairing)?;
    let scores = given.rows(request, pairing)?;
    change(request, post, pairing, scores, Direction::T2v)?.ok_or(BANK_NEEDED)
}

/// Scores before they are changed: those given, or those of embeddings, computed.
struct GivenScores(Option<Aligned>);

impl GivenScores {
    fn of(request: &EvalRequest, pairing: &Pairing) -> Result<Self, EvalError> {
        let computed = match &request.given {
            Given::Scores(_) => None,
            Given::Embeddings {
                text, video, kernel, ..
            } => Some(all_scores(text, video, *kernel)?),
        };
        let given = Self(computed);
        let (_, location) = request.given.texts();
        refuse_not_finite(given.rows(request, pairing)?, &pairing.kept_captions(), location)?;
        Ok(given)
    }

    fn rows<'a>(&'a self, request: &'a EvalRequest, pairing: &Pairing) -> Result<Rows<'a>, EvalError> {
        match (&request.given, &self.0) {
            (Given::Scores(scores), _) => Ok(scores.rows()),
            (_, Some(computed)) => Ok(f32_rows(computed, (pairing.n_captions(), pairing.n_videos()))?),
            (Given::Embeddings { .. }, None) => unreachable!("scores of embeddings were computed"),
        }
    }
}

/// Changes the scores of one direction; `None` when its bank is missing.
fn change(
    request: &EvalRequest,
    post: Post,
    pairing: &Pairing,
    scores: Rows<'_>,
    direction: Direction,
) -> Result<Option<Aligned>, EvalError> {
    let (_, location) = request.given.texts();
    let memory = |error| EvalError::memory(location, error);
    match post {
        Post::Dsl { temperature } => dual_softmax(scores, pairing, direction, temperature)
            .map(Some)
            .map_err(memory),
        Post::QbNorm { beta, k } => {
            let Some(bank) = bank_of(request, direction)? else {
                return Ok(None);
            };
            match direction {
                Direction::T2v => {
                    check_bank(bank, bank.n_columns(), scores.dim(), "columns, one a video")?;
                    let all: Vec<u32> = (0..bank.n_rows() as u32).collect();
                    refuse_not_finite(bank.rows(), &all, bank.location())?;
                }
                Direction::V2t => {
                    check_bank(bank, bank.n_rows(), scores.n_rows(), "rows, one a text")?;
                    refuse_not_finite(bank.rows(), &pairing.kept_captions(), bank.location())?;
                }
            }
            let changed = qb_norm(scores, bank.rows(), pairing, direction, (beta, k));
            changed.map(Some).map_err(memory)
        }
    }
}

/// What [`Post::QbNorm`] without a bank gets.
const BANK_NEEDED: EvalError = EvalError::Usage {
    problem: "--post qbnorm needs --bank",
    remedy: "the bank holds the scores of training captions (rows) with the test videos (columns)",
};

fn bank_of(request: &EvalRequest, direction: Direction) -> Result<Option<&Matrix>, EvalError> {
    let bank = request.bank.as_ref().ok_or(BANK_NEEDED)?;
    Ok(match direction {
        Direction::T2v => Some(&bank.t2v),
        Direction::V2t => bank.v2t.as_ref(),
    })
}

pub(super) fn check_bank(
    bank: &Matrix,
    found: usize,
    expected: usize,
    what: &'static str,
) -> Result<(), EvalError> {
    if found == expected {
        return Ok(());
    }
    Err(EvalError::Bank {
        bank: bank.location().clone(),
        found: bank.shape(),
        expected,
        what,
    })
}

fn refuse_not_finite(rows: Rows<'_>, chosen: &[u32], location: &Location) -> Result<(), EvalError> {
    match first_not_finite(rows, chosen) {
        None => Ok(()),
        Some((row, column)) => Err(EvalError::NotFinite {
            location: location.clone(),
            row,
            column,
            value: rows.get(row, column),
        }),
    }
}

/// All scores of embeddings in f32.
fn all_scores(text: &Matrix, video: &Matrix, kernel: KernelId) -> Result<Aligned, EvalError> {
    let n_bytes = (text.n_rows() as u128) * (video.n_rows() as u128) * size_of::<f32>() as u128;
    let n_bytes = usize::try_from(n_bytes).unwrap_or(usize::MAX);
    let mut scores = Aligned::zeros(n_bytes).map_err(|error| EvalError::memory(text.location(), error))?;
    let kernel = scores_kernel(&kernel.to_string()).map_err(MetricError::from)?;
    kernel
        .scores(
            text.rows(),
            video.rows(),
            bytemuck::cast_slice_mut(scores.bytes_mut()),
        )
        .map_err(|error| EvalError::of_kernel(error, text.location(), video.location()))?;
    Ok(scores)
}

fn f32_rows(scores: &Aligned, (n_rows, dim): (usize, usize)) -> Result<Rows<'_>, MetricError> {
    Ok(Rows::new(
        RowsData::F32(bytemuck::cast_slice(scores.bytes())),
        n_rows,
        dim,
    )?)
}
