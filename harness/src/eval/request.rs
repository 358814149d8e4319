//! What is asked of an evaluation: scores or embeddings, names, rules.

use hitbench_kernels::id::CpuIsa;
use hitbench_kernels::{Dtype, KernelId};

use super::error::EvalError;
use super::join::Names;
use super::post::Post;
use crate::format::{Location, Matrix};
use crate::metric::{Protocol, Resampling, Rules};

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
