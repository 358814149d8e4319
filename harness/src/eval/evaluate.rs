//! From rows that are ready to counts and metrics.

use hitbench_kernels::{Dtype, KernelId, rank_counts_kernel};

use super::changed::count_changed;
use super::error::EvalError;
use super::join::Joined;
use super::narrow::{NOTHING_NARROWED, Narrowing, narrowing};
use super::notice::{CHANCE_CUT, Notice, of_chance};
use super::post::Post;
use super::prepare::Prepared;
use super::request::{EvalRequest, F32_KERNEL, Given};
use crate::format::Matrix;
use crate::metric::{
    Counts, DirectionCounts, DirectionMetrics, MetricError, Observer, Pairing, PartialCounts, Protocol,
    Resampling, Rules, TieRule, count_embeddings_part, count_matrix_part, summarize,
};
use crate::part::Part;

/// Counts and metrics of one direction.
#[derive(Debug)]
pub struct DirectionResult {
    /// Counts of every query.
    pub counts: DirectionCounts,
    /// What they sum up to.
    pub metrics: DirectionMetrics,
}

/// What was asked, without the rows that answered.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// Counts that were met.
    pub protocol: Protocol,
    /// How counts are read.
    pub rules: Rules,
    /// How scores were changed first.
    pub post: Option<Post>,
    /// How intervals are resampled; `None` leaves them out.
    pub resampling: Option<Resampling>,
    /// How a pair scores: `matrix`, `dot` or `cosine`.
    pub score: &'static str,
    /// The kernel that counted, resolved for the machine; `None` for given scores.
    pub kernel: Option<KernelId>,
    /// Names of the files, for people.
    pub source: String,
}

/// A finished evaluation.
#[derive(Debug)]
pub struct Evaluated {
    /// What was asked.
    pub about: About,
    /// Which text belongs to which video.
    pub joined: Joined,
    /// Text to video.
    pub t2v: DirectionResult,
    /// Video to text; `None` when its bank is missing.
    pub v2t: Option<DirectionResult>,
    /// What f16 did to ranks, where an f16 kernel counted.
    pub narrowing: Option<Narrowing>,
    /// What may be wrong.
    pub notices: Vec<Notice>,
}

impl About {
    /// Name of the protocol with the post-processing that belongs to it.
    pub fn protocol_name(&self) -> String {
        let id = self.protocol.id;
        self.post.map_or(id.to_owned(), |post| format!("{id} + {post}"))
    }
}

/// Evaluates. Nothing of the size of texts times videos is allocated, except by post-processing.
///
/// # Errors
/// [`EvalError`].
pub fn evaluate(request: EvalRequest) -> Result<Evaluated, EvalError> {
    Prepared::new(request)?.evaluate(&mut |_| ())
}

impl Prepared {
    /// What was asked.
    pub(super) fn about(&self) -> About {
        let request = &self.request;
        let (kernel, source) = match &request.given {
            Given::Scores(scores) => (None, format!("Scores from `{}`", scores.location().short())),
            Given::Embeddings {
                text, video, kernel, ..
            } => {
                let files = (text.location().short(), video.location().short());
                let source = format!("Embeddings from `{}` and `{}`", files.0, files.1);
                (Some(kernel.resolve()), source)
            }
        };
        About {
            protocol: request.protocol,
            rules: request.rules.clone(),
            post: request.post,
            resampling: request.resampling,
            score: request.given.score(),
            kernel,
            source,
        }
    }

    /// Evaluates; `observe` is told of the pairs that are scored, and of nothing where scores are given.
    ///
    /// # Errors
    /// [`EvalError`].
    pub fn evaluate(&self, observe: Observer<'_>) -> Result<Evaluated, EvalError> {
        let (request, pairing) = (&self.request, &self.joined.pairing);
        let (counts, has_v2t) = match request.post {
            None => (self.count(Part::WHOLE, observe)?.counts, true),
            Some(post) => count_changed(request, post, pairing)?,
        };
        let narrowing = match request.post {
            None => narrowed(request, pairing, &counts)?,
            Some(_) => None,
        };
        let v2t = has_v2t.then_some(counts.v2t);
        conclude(
            self.about(),
            self.joined.clone(),
            self.notices.clone(),
            (counts.t2v, v2t),
            narrowing,
        )
    }

    /// Counts against one part of the videos.
    ///
    /// # Errors
    /// [`EvalError`].
    pub(super) fn count(&self, part: Part, observe: Observer<'_>) -> Result<PartialCounts, EvalError> {
        let (pairing, rules) = (&self.joined.pairing, &self.request.rules);
        match &self.request.given {
            Given::Scores(scores) => {
                count_matrix_part(scores.rows(), pairing, rules.captions, part).map_err(|error| match error {
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
            } => count_by((text, video), *kernel, pairing, rules, part, observe),
        }
    }
}

/// Sums up the counts of both directions.
///
/// # Errors
/// [`EvalError::Metric`].
pub(super) fn conclude(
    about: About,
    joined: Joined,
    mut notices: Vec<Notice>,
    (t2v, v2t): (DirectionCounts, Option<DirectionCounts>),
    narrowing: Option<Narrowing>,
) -> Result<Evaluated, EvalError> {
    let result = |counts: DirectionCounts| -> Result<DirectionResult, MetricError> {
        let metrics = summarize(&counts, &about.rules, about.resampling)?;
        Ok(DirectionResult { counts, metrics })
    };
    let t2v = result(t2v)?;
    let v2t = v2t.map(result).transpose()?;
    let hits = |count| TieRule::Expected.hits(count, CHANCE_CUT);
    let hits = t2v.counts.counts.iter().map(hits).sum();
    notices.extend(of_chance(&joined, &t2v.metrics, hits));
    Ok(Evaluated {
        about,
        joined,
        t2v,
        v2t,
        narrowing,
        notices,
    })
}

fn count_by(
    (text, video): (&Matrix, &Matrix),
    kernel: KernelId,
    pairing: &Pairing,
    rules: &Rules,
    part: Part,
    observe: Observer<'_>,
) -> Result<PartialCounts, EvalError> {
    let kernel = rank_counts_kernel(&kernel.to_string()).map_err(MetricError::from)?;
    let counts = count_embeddings_part(
        text.rows(),
        video.rows(),
        pairing,
        kernel.as_ref(),
        rules.captions,
        part,
        observe,
    );
    counts.map_err(|error| match error {
        MetricError::Kernel(error) => EvalError::of_kernel(error, text.location(), video.location()),
        other => other.into(),
    })
}

/// Whether the rows go through an f16 kernel that may round them or what it computes.
pub(super) fn narrows(given: &Given) -> bool {
    match given {
        Given::Embeddings {
            text, video, kernel, ..
        } => kernel.dtype() == Dtype::F16 && !is_exact(*kernel, text.dtype().max(video.dtype())),
        Given::Scores(_) => false,
    }
}

/// Whether an f16 kernel computes what the f32 kernel does: rows stored in f16 are widened by both, and the products
/// and sums of one instruction set are the same.
fn is_exact(kernel: KernelId, stored: Dtype) -> bool {
    let same_isa = match (kernel.resolve(), F32_KERNEL.resolve()) {
        (KernelId::Cpu { isa, .. }, KernelId::Cpu { isa: wide, .. }) => isa == wide,
        _ => false,
    };
    stored == Dtype::F16 && same_isa
}

/// What f16 did to ranks, when the kernel works in f16: costs two more passes, in f32, unless nothing can differ.
fn narrowed(
    request: &EvalRequest,
    pairing: &Pairing,
    counts: &Counts,
) -> Result<Option<Narrowing>, EvalError> {
    match &request.given {
        given @ Given::Embeddings {
            text, video, kernel, ..
        } if kernel.dtype() == Dtype::F16 => {
            if !narrows(given) {
                return Ok(Some(NOTHING_NARROWED));
            }
            let of = (text, video);
            let wide = count_by(of, F32_KERNEL, pairing, &request.rules, Part::WHOLE, &mut |_| ())?;
            let found = narrowing(of, pairing, (*kernel, counts), (F32_KERNEL, &wide.counts))?;
            Ok(Some(found))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
