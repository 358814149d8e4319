//! The comparison for machines, schema `hitbench.diff/1`. Holds no times, paths or dates.

use std::collections::BTreeMap;

use hitbench_reports::record::Direction;
use serde::Serialize;

use super::evaluate::{ALPHA, Diff, DirectionDiff, Flips, MetricDiff, Moved};
use crate::metric::PairedMetric;

/// Two evaluations as JSON. Recalls are fractions, differences are B - A, unknown is null.
#[derive(Debug, Serialize)]
pub struct DiffReport<'a> {
    schema: &'static str,
    protocol: &'a str,
    ties: &'a str,
    caption_rule: &'a str,
    median: &'a str,
    post: Option<&'a str>,
    a: SideReport<'a>,
    b: SideReport<'a>,
    resamples: usize,
    exchanges: usize,
    seed: u64,
    alpha: f64,
    n_tests: usize,
    directions: Directions<'a>,
}

#[derive(Debug, Serialize)]
struct SideReport<'a> {
    id: &'a str,
    name: &'a str,
    score: &'a str,
    kernel: Option<&'a str>,
    /// Null for an evaluation of scores or embeddings.
    data: Option<DataReport<'a>>,
}

#[derive(Debug, Serialize)]
struct DataReport<'a> {
    name: &'a str,
    content_hash: &'a str,
}

#[derive(Debug, Serialize)]
struct Directions<'a> {
    t2v: Option<DirectionReport<'a>>,
    v2t: Option<DirectionReport<'a>>,
}

#[derive(Debug, Serialize)]
struct DirectionReport<'a> {
    n_queries: usize,
    n_videos: usize,
    n_gallery: u64,
    n_changed: usize,
    n_better: usize,
    n_worse: usize,
    r_at: BTreeMap<u64, RecallReport>,
    median_rank: Option<MetricReport>,
    mean_rank: Option<MetricReport>,
    mrr: Option<MetricReport>,
    /// McNemar's exact test of R@1, queries taken as independent.
    mcnemar_p_value: Option<f64>,
    moved: Vec<MovedReport<'a>>,
}

#[derive(Debug, Serialize)]
struct MetricReport {
    a: f64,
    b: f64,
    difference: f64,
    ci95: [f64; 2],
    p_value: f64,
    p_holm: f64,
    /// Null when the difference is not significant.
    better: Option<bool>,
}

#[derive(Debug, Serialize)]
struct RecallReport {
    #[serde(flatten)]
    metric: MetricReport,
    gained: u64,
    lost: u64,
}

#[derive(Debug, Serialize)]
struct MovedReport<'a> {
    query_id: &'a str,
    true_id_a: &'a str,
    true_id_b: &'a str,
    rank_a: f64,
    rank_b: f64,
    caption: Option<&'a str>,
}

impl<'a> From<&'a Diff> for DiffReport<'a> {
    fn from(diff: &'a Diff) -> Self {
        let side = |at: usize| SideReport {
            id: &diff.ids[at],
            name: &diff.names[at],
            score: &diff.scores[at].0,
            kernel: diff.scores[at].1.as_deref(),
            data: diff.data[at].as_ref().map(|data| DataReport {
                name: &data.name,
                content_hash: &data.content_hash,
            }),
        };
        let of = |direction: Direction| {
            let found = diff.directions.iter().find(|found| found.direction == direction);
            found.map(DirectionReport::from)
        };
        Self {
            schema: "hitbench.diff/1",
            protocol: &diff.protocol.protocol,
            ties: &diff.protocol.ties,
            caption_rule: &diff.protocol.captions,
            median: &diff.protocol.median,
            post: diff.protocol.post.as_deref(),
            a: side(0),
            b: side(1),
            resamples: diff.plan.resamples,
            exchanges: diff.plan.resamples,
            seed: diff.plan.seed,
            alpha: ALPHA,
            n_tests: diff.n_tests,
            directions: Directions {
                t2v: of(Direction::T2v),
                v2t: of(Direction::V2t),
            },
        }
    }
}

impl<'a> From<&'a DirectionDiff> for DirectionReport<'a> {
    fn from(found: &'a DirectionDiff) -> Self {
        let recalls = found.metrics.iter().filter_map(|metric| {
            let (PairedMetric::RAt(k), Some(Flips { gained, lost })) = (metric.found.metric, metric.flips)
            else {
                return None;
            };
            let metric = metric.into();
            Some((k, RecallReport { metric, gained, lost }))
        });
        let of = |wanted: PairedMetric| {
            let metric = found.metrics.iter().find(|metric| metric.found.metric == wanted);
            metric.map(MetricReport::from)
        };
        Self {
            n_queries: found.n_queries,
            n_videos: found.n_videos,
            n_gallery: found.n_gallery,
            n_changed: found.n_changed,
            n_better: found.n_better,
            n_worse: found.n_worse,
            r_at: recalls.collect(),
            median_rank: of(PairedMetric::MedianRank),
            mean_rank: of(PairedMetric::MeanRank),
            mrr: of(PairedMetric::Mrr),
            mcnemar_p_value: found.mcnemar,
            moved: found.moved.iter().map(MovedReport::from).collect(),
        }
    }
}

impl From<&MetricDiff> for MetricReport {
    fn from(metric: &MetricDiff) -> Self {
        Self {
            a: metric.found.a,
            b: metric.found.b,
            difference: metric.found.difference(),
            ci95: metric.found.ci95,
            p_value: metric.found.p_value,
            p_holm: metric.p_holm,
            better: metric.better(),
        }
    }
}

impl<'a> From<&'a Moved> for MovedReport<'a> {
    fn from(moved: &'a Moved) -> Self {
        Self {
            query_id: &moved.query.query_id,
            true_id_a: &moved.query.true_id_a,
            true_id_b: &moved.query.true_id_b,
            rank_a: moved.rank_a,
            rank_b: moved.rank_b,
            caption: moved.caption.as_deref(),
        }
    }
}
