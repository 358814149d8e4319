//! From two evaluations to what they say about each other.

use hitbench_reports::record::{DataRecord, Direction, ProtocolRecord};

use super::captions::Captions;
use super::error::DiffError;
use super::pair::{PairedDirection, PairedQuery, pair};
use super::side::Side;
use crate::format::Location;
use crate::metric::{
    CaptionRule, PairedDifference, PairedMetric, Resampling, Rules, TieRule, compare_paired, holm, mcnemar,
};

/// A difference whose adjusted p-value is at most this is called significant.
pub const ALPHA: f64 = 0.05;

/// Two evaluations held against each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Diff {
    /// The rules that both were made under.
    pub protocol: ProtocolRecord,
    /// Where the two lie.
    pub locations: [Location; 2],
    /// Names of the two trials.
    pub names: [String; 2],
    /// Their ids.
    pub ids: [String; 2],
    /// How each scores pairs, and with which kernel.
    pub scores: [(String, Option<String>); 2],
    /// The data set of each, unless it is an evaluation of scores or embeddings.
    pub data: [Option<DataRecord>; 2],
    /// How often videos were resampled, and exchanged.
    pub plan: Resampling,
    /// Tests that p-values are adjusted for.
    pub n_tests: usize,
    /// Directions that both have.
    pub directions: Vec<DirectionDiff>,
    /// Texts without a caption among those given.
    pub n_without_caption: usize,
    /// Queries of all directions, for lists of all that changed.
    pub paired: Vec<PairedDirection>,
    /// Under which rules.
    pub rules: Rules,
}

/// One direction.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectionDiff {
    /// Which.
    pub direction: Direction,
    /// Queries.
    pub n_queries: usize,
    /// Videos that they belong to.
    pub n_videos: usize,
    /// Items that each was ranked against.
    pub n_gallery: u64,
    /// Queries whose counts differ.
    pub n_changed: usize,
    /// Queries with a smaller rank in the second.
    pub n_better: usize,
    /// Queries with a larger rank in the second.
    pub n_worse: usize,
    /// R@K at every cut-off that both have, MdR, MnR, MRR.
    pub metrics: Vec<MetricDiff>,
    /// P-value of McNemar's exact test of R@1, which takes queries as independent; `None` where R@1 is not compared or a
    /// query may count as part of a hit.
    pub mcnemar: Option<f64>,
    /// Queries whose rank changed most, those first that changed more.
    pub moved: Vec<Moved>,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricDiff {
    /// Values, interval, p-value.
    pub found: PairedDifference,
    /// The p-value adjusted for all tests of both directions (Holm).
    pub p_holm: f64,
    /// For R@K, how many queries flipped.
    pub flips: Option<Flips>,
}

impl MetricDiff {
    /// Whether the second is better by more than chance; `None` when the data do not say.
    pub fn better(&self) -> Option<bool> {
        let difference = self.found.difference();
        (self.p_holm <= ALPHA).then_some((difference > 0.0) == self.found.metric.larger_is_better())
    }
}

/// Queries that crossed a cut-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flips {
    /// More of a hit in the second.
    pub gained: u64,
    /// Less of a hit in the second.
    pub lost: u64,
}

/// A query whose rank changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The query.
    pub query: PairedQuery,
    /// Its rank in the first, under the tie rule.
    pub rank_a: f64,
    /// Its rank in the second.
    pub rank_b: f64,
    /// What its text says: the query in t2v, the true text that the second ranks best in v2t.
    pub caption: Option<String>,
}

/// Compares `b` with `a`; of each direction the `most` queries are listed whose rank changed most.
///
/// # Errors
/// [`DiffError::NotComparable`], [`DiffError::Ranks`], [`DiffError::OtherCaptions`], [`DiffError::Metric`].
pub fn diff(
    [a, b]: [&Side; 2],
    captions: Option<&Captions>,
    most: usize,
    plan: Resampling,
) -> Result<Diff, DiffError> {
    let paired = pair(a, b)?;
    let rules = a.rules()?;
    let mut directions = Vec::with_capacity(paired.len());
    for paired in &paired {
        directions.push(direction_diff(paired, &rules, captions, most, plan)?);
    }
    let metrics = || directions.iter().flat_map(|direction| &direction.metrics);
    let p_values: Vec<f64> = metrics().map(|metric| metric.found.p_value).collect();
    let adjusted = holm(&p_values);
    let metrics = directions.iter_mut().flat_map(|direction| &mut direction.metrics);
    for (metric, p_holm) in metrics.zip(adjusted) {
        metric.p_holm = p_holm;
    }
    let texts = paired.iter().filter(|paired| paired.direction == Direction::T2v);
    let texts = texts.flat_map(|paired| paired.queries.iter().map(|query| query.query_id.as_str()));
    let sides = [a, b];
    Ok(Diff {
        protocol: a.trial.protocol.clone(),
        locations: sides.map(|side| side.location.clone()),
        names: sides.map(|side| side.trial.name.clone()),
        ids: sides.map(|side| side.trial.id.clone()),
        scores: sides.map(|side| {
            (
                side.trial.protocol.score.clone(),
                side.trial.protocol.kernel.clone(),
            )
        }),
        data: sides.map(|side| side.data_set().cloned()),
        plan,
        n_tests: p_values.len(),
        n_without_caption: captions.map_or(Ok(0), |captions| captions.count_missing(texts))?,
        directions,
        paired,
        rules,
    })
}

fn direction_diff(
    paired: &PairedDirection,
    rules: &Rules,
    captions: Option<&Captions>,
    most: usize,
    plan: Resampling,
) -> Result<DirectionDiff, DiffError> {
    let rules = Rules {
        recall_at: paired.recall_at.clone(),
        ..rules.clone()
    };
    let ties = rules.ties;
    let metrics: Vec<MetricDiff> = compare_paired(&paired.counts(), &rules, plan)?
        .into_iter()
        .map(|found| MetricDiff {
            found,
            p_holm: found.p_value,
            flips: match found.metric {
                PairedMetric::RAt(k) => Some(flips(&paired.queries, ties, k)),
                _ => None,
            },
        })
        .collect();
    let at_1 = metrics
        .iter()
        .find(|metric| metric.found.metric == PairedMetric::RAt(1));
    let whole_hits = matches!(
        ties,
        TieRule::Average | TieRule::Optimistic | TieRule::Pessimistic
    );
    let mcnemar = at_1
        .and_then(|metric| metric.flips)
        .filter(|_| whole_hits)
        .map(|flips| mcnemar(flips.gained, flips.lost));

    let mut moved: Vec<Moved> = paired
        .queries
        .iter()
        .map(|query| Moved {
            query: query.clone(),
            rank_a: ties.rank(&query.a),
            rank_b: ties.rank(&query.b),
            caption: caption(query, paired.direction, &rules, captions),
        })
        .filter(|moved| moved.rank_a != moved.rank_b)
        .collect();
    let n_better = moved.iter().filter(|moved| moved.rank_b < moved.rank_a).count();
    let n_worse = moved.len() - n_better;
    let distance = |moved: &Moved| (moved.rank_b - moved.rank_a).abs();
    moved.sort_by(|a, b| distance(b).total_cmp(&distance(a)));
    moved.truncate(most);
    Ok(DirectionDiff {
        direction: paired.direction,
        n_queries: paired.queries.len(),
        n_videos: paired.clusters.iter().max().map_or(0, |&last| last as usize + 1),
        n_gallery: paired.n_gallery,
        n_changed: paired.queries.iter().filter(|query| query.changed()).count(),
        n_better,
        n_worse,
        metrics,
        mcnemar,
        moved,
    })
}

fn flips(queries: &[PairedQuery], ties: TieRule, k: u64) -> Flips {
    let mut flips = Flips { gained: 0, lost: 0 };
    for query in queries {
        let [a, b] = [&query.a, &query.b].map(|count| ties.hits(count, k) / ties.weight(count) as f64);
        flips.gained += u64::from(b > a);
        flips.lost += u64::from(b < a);
    }
    flips
}

/// What the text of a query says.
pub(super) fn caption(
    query: &PairedQuery,
    direction: Direction,
    rules: &Rules,
    captions: Option<&Captions>,
) -> Option<String> {
    let text = match (direction, rules.captions) {
        (Direction::T2v, _) => &query.query_id,
        (Direction::V2t, CaptionRule::MinRank) => &query.true_id_b,
        // Videos are ranked among videos.
        (Direction::V2t, CaptionRule::MaxOverCaptions) => return None,
    };
    captions?.get(text).map(str::to_owned)
}
