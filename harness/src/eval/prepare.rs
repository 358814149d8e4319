//! From files in hand to rows that can be counted: joined, checked against the protocol, scaled.

use super::changed::check_bank;
use super::error::EvalError;
use super::join::{Joined, join};
use super::norms::{lengths, normalised, off_unit};
use super::notice::{Notice, dot, of_order};
use super::request::{Bank, EvalRequest, Given};
use crate::metric::Protocol;

/// A request whose rows and columns were brought together, so that nothing is left but to count.
#[derive(Debug)]
pub struct Prepared {
    /// What was asked, with the rows and columns that take part.
    pub(crate) request: EvalRequest,
    /// Which text belongs to which video.
    pub(crate) joined: Joined,
    /// What may be wrong.
    pub(super) notices: Vec<Notice>,
}

impl Prepared {
    /// Joins rows and columns by the names of the request.
    ///
    /// # Errors
    /// [`EvalError`].
    pub fn new(request: EvalRequest) -> Result<Self, EvalError> {
        check_dims(&request.given)?;
        let joined = join(&request.names, request.given.texts(), request.given.videos())?;
        Self::joined(request, joined)
    }

    /// Takes rows and columns that are brought together already; the names of the request are not looked at.
    ///
    /// # Errors
    /// [`EvalError`].
    pub fn joined(mut request: EvalRequest, joined: Joined) -> Result<Self, EvalError> {
        if let Some(kept) = &joined.kept_videos {
            request.given = request.given.with_videos(kept)?;
            if let Some(bank) = request.bank.take() {
                check_bank(
                    &bank.t2v,
                    bank.t2v.n_columns(),
                    joined_columns(&request, &joined),
                    "columns, one a video",
                )?;
                request.bank = Some(Bank {
                    t2v: bank.t2v.with_columns(kept)?,
                    v2t: bank.v2t,
                });
            }
        }
        let pairing = &joined.pairing;
        check_protocol(
            request.protocol,
            pairing.n_captions() - pairing.n_masked(),
            pairing.n_videos(),
        )?;
        let mut notices = Vec::new();
        let scale_counts = request.post.is_some();
        request.given = scaled(
            request.given,
            &pairing.kept_captions(),
            scale_counts,
            &mut notices,
        )?;
        notices.extend(order_notices(&request.given, &joined));
        Ok(Self {
            request,
            joined,
            notices,
        })
    }
}

/// Columns that a bank had to have before some were left out.
fn joined_columns(request: &EvalRequest, joined: &Joined) -> usize {
    let all = request.names.videos.as_ref().map(|videos| videos.ids.len());
    all.unwrap_or(joined.pairing.n_videos())
}

/// Checks that embeddings of both sides have one length.
///
/// # Errors
/// [`EvalError::Dim`].
pub(crate) fn check_dims(given: &Given) -> Result<(), EvalError> {
    match given {
        Given::Embeddings { text, video, .. } if text.n_columns() != video.n_columns() => {
            Err(EvalError::Dim {
                text: text.location().clone(),
                text_dim: text.n_columns(),
                video: video.location().clone(),
                video_dim: video.n_columns(),
            })
        }
        _ => Ok(()),
    }
}

/// Checks that the texts that take part and the videos are as many as the protocol has.
///
/// # Errors
/// [`EvalError::Protocol`].
pub(crate) fn check_protocol(protocol: Protocol, n_texts: usize, n_videos: usize) -> Result<(), EvalError> {
    protocol
        .check(n_texts, Some(n_videos))
        .map_err(|counts| EvalError::Protocol {
            counts,
            transposed: protocol.check(n_videos, Some(n_texts)).is_ok(),
        })
}

/// Scales rows where that was asked for, and counts those that are no unit vectors where it was not; `scale_counts` where
/// scores of twice the size give other ranks.
fn scaled(
    given: Given,
    kept: &[u32],
    scale_counts: bool,
    notices: &mut Vec<Notice>,
) -> Result<Given, EvalError> {
    let Given::Embeddings {
        text,
        video,
        kernel,
        normalize,
    } = given
    else {
        return Ok(given);
    };
    let all: Vec<u32> = (0..video.n_rows() as u32).collect();
    let (text, video) = if normalize {
        (normalised(text, kept)?, normalised(video, &all)?)
    } else {
        for (side, matrix, rows) in [("text", &text, kept), ("video", &video, &all)] {
            let all = lengths(matrix);
            let of_rows: Vec<f64> = rows.iter().map(|&row| all[row as usize]).collect();
            let n = off_unit(&of_rows, scale_counts).len();
            let of = rows.len();
            notices.extend((n > 0).then_some(Notice::Norms {
                side: side.into(),
                n,
                of,
            }));
        }
        (text, video)
    };
    Ok(Given::Embeddings {
        text,
        video,
        kernel,
        normalize,
    })
}

fn order_notices(given: &Given, joined: &Joined) -> Vec<Notice> {
    match given {
        Given::Scores(scores) => {
            let rows = scores.rows();
            of_order(joined, |row, column| rows.get(row, column))
        }
        Given::Embeddings { text, video, .. } => {
            let (text, video) = (text.rows(), video.rows());
            of_order(joined, |row, column| dot(text, row, video, column))
        }
    }
}
