//! Evaluating ranked lists: TREC runs that are not complete, and predictions without scores.

use super::error::EvalError;
use super::ids::IdProblem;
use super::join::JoinedBy;
use super::notice::Notice;
use crate::metric::protocol::Sizes;
use crate::metric::{DirectionMetrics, ListCounts, Protocol, Resampling, Rules, summarize_lists};

/// Ranked lists brought together with what is true.
#[derive(Debug, Clone, PartialEq)]
pub struct Lists {
    /// What the list of every text says.
    pub counts: ListCounts,
    /// Fewest items that the gallery can have: as many are named.
    pub n_named: usize,
    /// How texts got their videos.
    pub by: JoinedBy,
    /// What was left out, with `allow_missing`.
    pub problems: Vec<IdProblem>,
    /// What may be wrong with what was given.
    pub notices: Vec<Notice>,
}

/// A finished evaluation of ranked lists, which answer texts only: `t2v`.
#[derive(Debug)]
pub struct EvaluatedLists {
    /// Counts that were met.
    pub protocol: Protocol,
    /// How counts were read.
    pub rules: Rules,
    /// How intervals were resampled.
    pub resampling: Option<Resampling>,
    /// The lists.
    pub lists: Lists,
    /// What they sum up to.
    pub metrics: DirectionMetrics,
    /// What may be wrong, and what lists leave open.
    pub notices: Vec<Notice>,
}

/// Evaluates ranked lists.
///
/// # Errors
/// [`EvalError::Protocol`] for counts that are known and not the protocol's, and for lists that name more items than its
/// gallery has; [`EvalError::Metric`].
pub fn evaluate_lists(
    lists: Lists,
    protocol: Protocol,
    rules: Rules,
    resampling: Option<Resampling>,
) -> Result<EvaluatedLists, EvalError> {
    let counts = &lists.counts;
    let too_many = |sizes: Sizes| (lists.n_named > sizes.n_videos).then_some(lists.n_named);
    let n_videos = counts.n_gallery.map(|n| n as usize);
    let n_videos = n_videos.or_else(|| protocol.sizes.and_then(too_many));
    let checked = protocol.check(counts.queries.len(), n_videos);
    checked.map_err(|counts| EvalError::Protocol {
        counts,
        transposed: false,
    })?;
    let metrics = summarize_lists(counts, &rules, resampling)?;
    let notices = lists
        .notices
        .iter()
        .cloned()
        .chain(open(counts, &rules))
        .collect();
    Ok(EvaluatedLists {
        protocol,
        rules,
        resampling,
        metrics,
        notices,
        lists,
    })
}

/// What the lists leave open.
fn open(counts: &ListCounts, rules: &Rules) -> Vec<Notice> {
    let of = counts.queries.len();
    let not = counts
        .queries
        .iter()
        .filter(|query| query.found.is_empty())
        .count();
    let all = counts
        .queries
        .iter()
        .filter(|query| query.n_found() == query.n_true)
        .count();
    let partly = of - not - all;
    let known = counts.known_cuts(rules);
    let mut cuts: Vec<u64> = rules
        .recall_at
        .iter()
        .copied()
        .filter(|k| !known.contains(k))
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    [
        (not > 0).then_some(Notice::NotListed { n: not, of }),
        (partly > 0).then_some(Notice::PartlyListed { n: partly, of }),
        (!cuts.is_empty()).then(|| Notice::CutOffs {
            cuts,
            shortest: counts.shortest(),
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}
