//! The choices that turn counts into numbers: how ties, several captions and even medians are read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How equal scores become a rank; formulas in [`rank`](super::rank).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TieRule {
    /// Mean position of the tied (MMT, Collaborative Experts).
    Average,
    /// Best position.
    Optimistic,
    /// Worst position.
    Pessimistic,
    /// Mean over random orders of the tied.
    Expected,
    /// Every tied position is a query of its own; for reproduction only.
    Clip4clip,
}

/// Several captions a video, direction `v2t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CaptionRule {
    /// Rank of the best own caption among all captions.
    MinRank,
    /// Scores maxed over each video's captions, then videos against videos.
    MaxOverCaptions,
}

/// Median of an even number of ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MedianRule {
    /// Mean of the two middle values (NumPy).
    MeanOfMiddle,
    /// The lower of the two middle values (PyTorch).
    Lower,
}

/// Everything that decides how counts become the numbers of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Tie rule of the headline numbers.
    pub ties: TieRule,
    /// How several captions of a video count in `v2t`.
    pub captions: CaptionRule,
    /// Median of an even number of ranks.
    pub median: MedianRule,
    /// Cut-offs `K` of R@K, each at least 1.
    pub recall_at: Vec<u64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ties: TieRule::Average,
            captions: CaptionRule::MinRank,
            median: MedianRule::MeanOfMiddle,
            recall_at: vec![1, 5, 10, 50],
        }
    }
}
