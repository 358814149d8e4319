//! What tables and JSON show of an evaluation, however it was made.

use hitbench_kernels::KernelId;

use super::evaluate::Evaluated;
use super::ids::IdProblem;
use super::join::JoinedBy;
use super::lists::EvaluatedLists;
use super::narrow::Narrowing;
use super::notice::Notice;
use super::post::Post;
use crate::metric::{CaptionRule, DirectionMetrics, MedianRule, Protocol, TieRule};

/// A finished evaluation, of scores or of ranked lists.
pub struct View<'a> {
    pub(super) protocol: Protocol,
    /// Its name with the post-processing that belongs to it.
    pub(super) protocol_name: String,
    pub(super) ties: TieRule,
    /// `None` where nothing was ranked that has several captions.
    pub(super) captions: Option<CaptionRule>,
    pub(super) median: MedianRule,
    /// How a pair scores; `list` where only an order is known.
    pub(super) score: &'static str,
    pub(super) kernel: Option<KernelId>,
    pub(super) post: Option<Post>,
    pub(super) by: JoinedBy,
    /// Whether intervals were asked for.
    pub(super) intervals: bool,
    pub(super) narrowing: Option<Narrowing>,
    pub(super) problems: &'a [IdProblem],
    pub(super) notices: &'a [Notice],
    pub(super) t2v: &'a DirectionMetrics,
    /// The metrics of `v2t`, or why there are none.
    pub(super) v2t: Result<&'a DirectionMetrics, &'static str>,
}

impl<'a> From<&'a Evaluated> for View<'a> {
    fn from(found: &'a Evaluated) -> Self {
        let about = &found.about;
        let v2t = found.v2t.as_ref().map(|v2t| &v2t.metrics);
        Self {
            protocol: about.protocol,
            protocol_name: about.protocol_name(),
            ties: about.rules.ties,
            captions: Some(about.rules.captions),
            median: about.rules.median,
            score: about.score,
            kernel: about.kernel,
            post: about.post,
            by: found.joined.by,
            intervals: about.resampling.is_some(),
            narrowing: found.narrowing,
            problems: &found.joined.problems,
            notices: &found.notices,
            t2v: &found.t2v.metrics,
            v2t: v2t.ok_or("QB-Norm needs --bank-v2t for it"),
        }
    }
}

impl<'a> From<&'a EvaluatedLists> for View<'a> {
    fn from(found: &'a EvaluatedLists) -> Self {
        Self {
            protocol: found.protocol,
            protocol_name: found.protocol.id.to_owned(),
            ties: found.rules.ties,
            captions: None,
            median: found.rules.median,
            score: "list",
            kernel: None,
            post: None,
            by: found.lists.by,
            intervals: found.resampling.is_some(),
            narrowing: None,
            problems: &found.lists.problems,
            notices: &found.notices,
            t2v: &found.metrics,
            v2t: Err("lists answer texts only"),
        }
    }
}
