//! Metrics of one trial: which score, which direction, under which protocol.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Which score ranked the gallery. Ordered as tables print them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreKind {
    /// The score that counts: the trained levels by weight, or whatever was given to `eval`.
    Combined,
    /// The semantic level (last layers) alone.
    Semantic,
    /// The feature level (first layers) alone.
    Feature,
}

impl ScoreKind {
    /// Every kind, in table order.
    pub const ALL: [Self; 3] = [Self::Combined, Self::Semantic, Self::Feature];

    /// The word in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Semantic => "semantic",
            Self::Feature => "feature",
        }
    }
}

impl fmt::Display for ScoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Direction of retrieval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Text queries, gallery of videos.
    T2v,
    /// Video queries, gallery of texts.
    V2t,
}

impl Direction {
    /// Both, in table order.
    pub const ALL: [Self; 2] = [Self::T2v, Self::V2t];

    /// The word in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::T2v => "t2v",
            Self::V2t => "v2t",
        }
    }

    /// The direction of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|direction| direction.name() == name)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Metrics of one direction. Recalls are fractions; maps over K have one entry a cut-off.
///
/// R@K is the share of queries with some true item among the K best ("Success" in IR tools), under the tie
/// rule of the trial's [`ProtocolRecord`]. Unknown is `None` and `null` in files, never NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DirectionRecord {
    /// Queries ranked.
    pub n_queries: u64,
    /// What the means are over: `n_queries`, or more under `clip4clip`, which counts every tied position as a query;
    /// `None` in records of before it was kept.
    #[serde(default)]
    pub denominator: Option<u64>,
    /// Gallery items each query is ranked against; `None` where only lists of the best ones are known.
    pub n_gallery: Option<u64>,
    /// Queries left out by a mask.
    pub n_masked: u64,
    /// Queries whose true item ties with an item that is not theirs.
    pub n_tied: u64,
    /// R@K by K, as far as it is known.
    pub r_at: BTreeMap<u64, f64>,
    /// `[pessimistic, optimistic]` R@K by K: what the ties leave open.
    pub r_at_interval: BTreeMap<u64, [f64; 2]>,
    /// 95 % bootstrap interval over videos of R@K by K; `None` where it was not computed.
    pub r_at_ci95: BTreeMap<u64, Option<[f64; 2]>>,
    /// MdR, 1 is best; `None` where lists end before it.
    pub median_rank: Option<f64>,
    /// Its 95 % bootstrap interval over videos; `None` where it was not computed.
    #[serde(default)]
    pub median_rank_ci95: Option<[f64; 2]>,
    /// MnR, 1 is best; `None` where some rank is unknown.
    pub mean_rank: Option<f64>,
    /// Its 95 % bootstrap interval over videos; `None` where it was not computed.
    #[serde(default)]
    pub mean_rank_ci95: Option<[f64; 2]>,
    /// `R@1 + R@5 + R@10`.
    pub sum_r: Option<f64>,
    /// Cube root of `R@1 * R@5 * R@10`.
    pub geometric_mean: Option<f64>,
    /// Mean of `1 / rank`.
    pub mrr: Option<f64>,
    /// Its 95 % bootstrap interval over videos; `None` where it was not computed.
    #[serde(default)]
    pub mrr_ci95: Option<[f64; 2]>,
    /// nDCG at 10.
    pub ndcg_at_10: Option<f64>,
    /// Mean average precision.
    pub map: Option<f64>,
    /// True recall by K: share of each query's true items among the K best, averaged. Older records of unknown recall
    /// hold an empty map.
    pub recall_at: Option<BTreeMap<u64, f64>>,
}

/// Both directions under one score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DirectionPair {
    /// Text to video.
    pub t2v: DirectionRecord,
    /// Video to text.
    pub v2t: DirectionRecord,
}

impl DirectionPair {
    /// The metrics of `direction`.
    pub fn of(&self, direction: Direction) -> &DirectionRecord {
        match direction {
            Direction::T2v => &self.t2v,
            Direction::V2t => &self.v2t,
        }
    }
}

/// What one score gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreRecord {
    /// The level did not enter the loss, so its numbers would say nothing.
    Untrained,
    /// Metrics of both directions.
    Directions(Box<DirectionPair>),
}

/// How ranks were made, in the words of the suite file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolRecord {
    /// Named protocol, or `custom`.
    pub protocol: String,
    /// Tie rule.
    pub ties: String,
    /// Rule for several captions a video in `v2t`.
    pub captions: String,
    /// Median of an even number of ranks.
    pub median: String,
    /// How a pair scores: `dot`, `cosine` or `matrix`.
    pub score: String,
    /// Kernel that counted the ranks, resolved for the machine; `None` for a given matrix.
    pub kernel: Option<String>,
    /// Post-processing of scores, part of the protocol's name.
    pub post: Option<String>,
}

/// The cut-off K of headlines, plots and differences: 10 where it is reported, else the largest.
pub fn headline_cutoff(cutoffs: impl IntoIterator<Item = u64>) -> Option<u64> {
    cutoffs.into_iter().max_by_key(|&k| (k == 10, k))
}
