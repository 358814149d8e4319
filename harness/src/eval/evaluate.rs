//! From files in hand to counts and metrics.

use hitbench_kernels::id::CpuIsa;
use hitbench_kernels::{Dtype, KernelId, rank_counts_kernel};

use super::changed::{check_bank, count_changed};
use super::error::EvalError;
use super::join::{Joined, Names, join};
use super::narrow::{Narrowing, narrowing};
use super::norms::{count_off_unit, normalised};
use super::notice::{CHANCE_CUT, Notice, dot, of_chance, of_order};
use super::post::Post;
use crate::format::Location;
use crate::format::Matrix;
use crate::metric::{
    Counts, DirectionCounts, DirectionMetrics, MetricError, Pairing, Protocol, Resampling, Rules, TieRule,
    count_embeddings, count_matrix, summarize,
};

/// The kernel of embeddings where none is named, and what others are held against.
pub const F32_KERNEL: KernelId = KernelId::Cpu {
    isa: CpuIsa::Auto,
    dtype: Dtype::F32,
};

/// What is evaluated.
#[derive(Debug)]
pub enum Given {
    /// Scores of texts (rows) with videos (columns), ranked in the type that they are stored in.
    Scores(Matrix),
    /// A row a text and a row a video; the score of a pair is the dot product of its rows.
    Embeddings {
        /// Rows of the texts.
        text: Matrix,
        /// Rows of the videos.
        video: Matrix,
        /// Which kernel computes the scores.
        kernel: KernelId,
        /// Whether rows are scaled to length 1 first.
        normalize: bool,
    },
}

/// Scores of other queries, for [`Post::QbNorm`]; rows are texts and columns videos here too.
#[derive(Debug)]
pub struct Bank {
    /// Other texts with the test videos.
    pub t2v: Matrix,
    /// The test texts with other videos; without them `v2t` has no result.
    pub v2t: Option<Matrix>,
}

/// Everything that decides the result.
#[derive(Debug)]
pub struct EvalRequest {
    /// Scores or embeddings.
    pub given: Given,
    /// Ids, map and mask.
    pub names: Names,
    /// Counts that must be met.
    pub protocol: Protocol,
    /// How counts are read.
    pub rules: Rules,
    /// How scores are changed first.
    pub post: Option<Post>,
    /// What [`Post::QbNorm`] needs.
    pub bank: Option<Bank>,
    /// How intervals are resampled; `None` leaves them out.
    pub resampling: Option<Resampling>,
}

/// Counts and metrics of one direction.
#[derive(Debug)]
pub struct DirectionResult {
    /// Counts of every query.
    pub counts: DirectionCounts,
    /// What they sum up to.
    pub metrics: DirectionMetrics,
}

/// A finished evaluation.
#[derive(Debug)]
pub struct Evaluated {
    /// What was asked, with the rows and columns that took part.
    pub request: EvalRequest,
    /// Which text belongs to which video.
    pub joined: Joined,
    /// The kernel that counted, resolved for this machine; `None` for given scores.
    pub kernel: Option<KernelId>,
    /// Text to video.
    pub t2v: DirectionResult,
    /// Video to text; `None` when its bank is missing.
    pub v2t: Option<DirectionResult>,
    /// What f16 did to ranks, where an f16 kernel counted.
    pub narrowing: Option<Narrowing>,
    /// What may be wrong.
    pub notices: Vec<Notice>,
}

impl Given {
    /// How many texts there are, and where.
    pub(crate) fn texts(&self) -> (usize, &Location) {
        match self {
            Self::Scores(scores) => (scores.n_rows(), scores.location()),
            Self::Embeddings { text, .. } => (text.n_rows(), text.location()),
        }
    }

    /// How many videos there are, and where.
    pub(crate) fn videos(&self) -> (usize, &Location) {
        match self {
            Self::Scores(scores) => (scores.n_columns(), scores.location()),
            Self::Embeddings { video, .. } => (video.n_rows(), video.location()),
        }
    }

    /// Only the videos `kept`, in that order.
    ///
    /// # Errors
    /// [`EvalError::File`] for memory that is not there.
    pub(crate) fn with_videos(self, kept: &[u32]) -> Result<Self, EvalError> {
        Ok(match self {
            Self::Scores(scores) => Self::Scores(scores.with_columns(kept)?),
            Self::Embeddings {
                text,
                video,
                kernel,
                normalize,
            } => Self::Embeddings {
                text,
                video: video.with_rows(kept)?,
                kernel,
                normalize,
            },
        })
    }

    /// How a pair scores: `matrix`, `dot` or `cosine`.
    pub fn score(&self) -> &'static str {
        match self {
            Self::Scores(_) => "matrix",
            Self::Embeddings { normalize: false, .. } => "dot",
            Self::Embeddings { normalize: true, .. } => "cosine",
        }
    }
}

impl Evaluated {
    /// Name of the protocol with the post-processing that belongs to it.
    pub fn protocol_name(&self) -> String {
        let id = self.request.protocol.id;
        self.request
            .post
            .map_or(id.to_owned(), |post| format!("{id} + {post}"))
    }
}

/// Evaluates. Nothing of the size of texts times videos is allocated, except by post-processing.
///
/// # Errors
/// [`EvalError`].
pub fn evaluate(request: EvalRequest) -> Result<Evaluated, EvalError> {
    check_dims(&request.given)?;
    let joined = join(&request.names, request.given.texts(), request.given.videos())?;
    evaluate_joined(request, joined)
}

/// Evaluates rows and columns that are brought together already; the names of the request are not looked at.
///
/// # Errors
/// [`EvalError`].
pub fn evaluate_joined(mut request: EvalRequest, joined: Joined) -> Result<Evaluated, EvalError> {
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
    let kept = pairing.kept_captions();
    let mut notices = Vec::new();
    request.given = prepared(request.given, &kept, &mut notices)?;
    notices.extend(order_notices(&request.given, &joined));

    let (counts, has_v2t) = match request.post {
        None => (count(&request.given, pairing, &request.rules)?, true),
        Some(post) => count_changed(&request, post, pairing)?,
    };
    let narrowing = match request.post {
        None => narrowed(&request, pairing, &counts)?,
        Some(_) => None,
    };
    let result = |counts: DirectionCounts| -> Result<DirectionResult, MetricError> {
        let metrics = summarize(&counts, &request.rules, request.resampling)?;
        Ok(DirectionResult { counts, metrics })
    };
    let t2v = result(counts.t2v)?;
    let v2t = has_v2t.then(|| result(counts.v2t)).transpose()?;
    let hits = |count| TieRule::Expected.hits(count, CHANCE_CUT);
    let hits = t2v.counts.counts.iter().map(hits).sum();
    notices.extend(of_chance(&joined, &t2v.metrics, hits));
    let kernel = match &request.given {
        Given::Scores(_) => None,
        Given::Embeddings { kernel, .. } => Some(kernel.resolve()),
    };
    Ok(Evaluated {
        request,
        joined,
        kernel,
        t2v,
        v2t,
        narrowing,
        notices,
    })
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

/// Scales rows where that was asked for, and counts those that are no unit vectors where it was not.
fn prepared(given: Given, kept: &[u32], notices: &mut Vec<Notice>) -> Result<Given, EvalError> {
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
            let n = count_off_unit(matrix, rows);
            let of = rows.len();
            notices.extend((n > 0).then_some(Notice::Norms { side, n, of }));
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

fn count(given: &Given, pairing: &Pairing, rules: &Rules) -> Result<Counts, EvalError> {
    match given {
        Given::Scores(scores) => {
            count_matrix(scores.rows(), pairing, rules.captions).map_err(|error| match error {
                MetricError::NotFinite { row, column, value } => EvalError::NotFinite {
                    location: scores.location().clone(),
                    row,
                    column,
                    value,
                },
                other => other.into(),
            })
        }
        Given::Embeddings {
            text, video, kernel, ..
        } => count_by((text, video), *kernel, pairing, rules),
    }
}

fn count_by(
    (text, video): (&Matrix, &Matrix),
    kernel: KernelId,
    pairing: &Pairing,
    rules: &Rules,
) -> Result<Counts, EvalError> {
    let kernel = rank_counts_kernel(&kernel.to_string()).map_err(MetricError::from)?;
    let counts = count_embeddings(
        text.rows(),
        video.rows(),
        pairing,
        kernel.as_ref(),
        rules.captions,
        &mut |_| (),
    );
    counts.map_err(|error| match error {
        MetricError::Kernel(error) => EvalError::of_kernel(error, text.location(), video.location()),
        other => other.into(),
    })
}

/// What f16 did to ranks, when the kernel works in f16: costs two more passes, in f32.
fn narrowed(
    request: &EvalRequest,
    pairing: &Pairing,
    counts: &Counts,
) -> Result<Option<Narrowing>, EvalError> {
    match &request.given {
        Given::Embeddings {
            text, video, kernel, ..
        } if kernel.dtype() == Dtype::F16 => {
            let wide = count_by((text, video), F32_KERNEL, pairing, &request.rules)?;
            let found = narrowing((text, video), pairing, (*kernel, counts), (F32_KERNEL, &wide))?;
            Ok(Some(found))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
