//! The result for machines, schema `hitbench.eval/1`. Holds no times, paths or dates.

use std::collections::BTreeMap;

use hitbench_reports::record::DirectionRecord;
use serde::Serialize;

use super::evaluate::Evaluated;
use super::lists::EvaluatedLists;
use super::narrow::Narrowing;
use super::view::View;
use crate::metric::word;

/// One evaluation as JSON. Recalls are fractions; unknown is null.
#[derive(Debug, Serialize)]
pub struct EvalReport {
    schema: &'static str,
    protocol: &'static str,
    ties: String,
    /// Null for ranked lists, which answer texts only.
    caption_rule: Option<String>,
    median: String,
    score: &'static str,
    kernel: Option<String>,
    post: Option<String>,
    joined_by: &'static str,
    /// What f16 did to ranks; null for other kernels and for given scores.
    narrowing: Option<Narrowing>,
    /// Ids that did not fit and were left out, by kind.
    left_out: BTreeMap<&'static str, usize>,
    notices: Vec<String>,
    directions: Directions,
}

#[derive(Debug, Serialize)]
struct Directions {
    t2v: DirectionRecord,
    v2t: Option<DirectionRecord>,
}

impl From<&Evaluated> for EvalReport {
    fn from(found: &Evaluated) -> Self {
        View::from(found).into()
    }
}

impl From<&EvaluatedLists> for EvalReport {
    fn from(found: &EvaluatedLists) -> Self {
        View::from(found).into()
    }
}

impl From<View<'_>> for EvalReport {
    fn from(found: View<'_>) -> Self {
        let problems = found.problems.iter();
        Self {
            schema: "hitbench.eval/1",
            protocol: found.protocol.id,
            ties: word(&found.ties),
            caption_rule: found.captions.as_ref().map(word),
            median: word(&found.median),
            score: found.score,
            kernel: found.kernel.map(|kernel| kernel.to_string()),
            post: found.post.map(|post| post.to_string()),
            joined_by: found.by.name(),
            narrowing: found.narrowing,
            left_out: problems.map(|problem| (problem.kind.name(), problem.n)).collect(),
            notices: found.notices.iter().map(ToString::to_string).collect(),
            directions: Directions {
                t2v: found.t2v.into(),
                v2t: found.v2t.ok().map(Into::into),
            },
        }
    }
}
