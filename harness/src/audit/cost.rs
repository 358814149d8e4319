//! The metric twice: as given, and with duplicates as true items.

use std::collections::BTreeMap;

use hitbench_kernels::rank_counts_kernel;
use serde::Serialize;

use crate::eval::{EvalError, Evaluated, Given, Prepared};
use crate::metric::{DirectionMetrics, Groups, MetricError, Retold, RetoldCounts, Rules, Truth};

/// What duplicates cost at most: an upper view, and no protocol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// What made texts duplicates: `captions`, or `rows` that are equal where no captions are given.
    pub texts_by: &'static str,
    /// What made videos duplicates: rows that are `near`, or `columns` of scores that are equal.
    pub videos_by: &'static str,
    /// Text to video.
    pub t2v: CostOfDirection,
    /// Video to text.
    pub v2t: CostOfDirection,
}

/// One direction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostOfDirection {
    /// Queries.
    pub n_queries: u64,
    /// Queries that have more true items when duplicates are.
    pub n_with_more: u64,
    /// The metric as the protocol has it.
    pub as_given: Recalls,
    /// The metric with duplicates as true items.
    pub duplicates_true: Recalls,
}

/// Numbers of one way to count.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recalls {
    /// R@K by K, in `[0, 1]`.
    pub r_at: BTreeMap<u64, f64>,
    /// Median rank.
    pub median_rank: Option<f64>,
}

/// Texts, by place among those that take part, and videos that count as the same.
pub(super) struct Duplicates {
    pub(super) texts: Groups,
    pub(super) texts_by: &'static str,
    pub(super) videos: Groups,
    pub(super) videos_by: &'static str,
}

/// Counts a finished evaluation again with duplicates as true items. The inner error says why that cannot be.
///
/// # Errors
/// [`EvalError::Metric`] when the kernel refuses the rows.
pub(super) fn cost(
    prepared: &Prepared,
    found: &Evaluated,
    duplicates: &Duplicates,
) -> Result<Result<Cost, String>, EvalError> {
    let pairing = &found.joined.pairing;
    let truth = match Truth::new(pairing, &duplicates.texts, &duplicates.videos) {
        Ok(truth) => truth,
        Err(n_pairs) => {
            return Ok(Err(format!(
                "duplicates make {n_pairs} pairs of text and video true"
            )));
        }
    };
    let rules = &found.about.rules;
    let Some(v2t) = &found.v2t else {
        return Ok(Err("v2t has no result".to_owned()));
    };
    let Retold {
        t2v: t2v_again,
        v2t: v2t_again,
    } = match &prepared.request.given {
        Given::Scores(scores) => truth.count_matrix(scores.rows(), pairing),
        Given::Embeddings {
            text, video, kernel, ..
        } => {
            let kernel = rank_counts_kernel(&kernel.to_string()).map_err(MetricError::from)?;
            truth.count_embeddings(text.rows(), video.rows(), pairing, kernel.as_ref())?
        }
    };
    Ok(Ok(Cost {
        texts_by: duplicates.texts_by,
        videos_by: duplicates.videos_by,
        t2v: CostOfDirection::new(&found.t2v.metrics, &t2v_again, rules),
        v2t: CostOfDirection::new(&v2t.metrics, &v2t_again, rules),
    }))
}

impl CostOfDirection {
    fn new(given: &DirectionMetrics, again: &RetoldCounts, rules: &Rules) -> Self {
        let (r_at, median_rank) = again.sum_up(rules);
        Self {
            n_queries: given.n_queries,
            n_with_more: again.n_with_more,
            as_given: Recalls {
                r_at: given.r_at.clone(),
                median_rank: given.median_rank,
            },
            duplicates_true: Recalls {
                r_at,
                median_rank: Some(median_rank),
            },
        }
    }
}
