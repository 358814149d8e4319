//! The choices that turn counts into numbers: how ties, several captions and even medians are read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How equal scores become a rank; formulas in [`rank`](super::rank).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CaptionRule {
    /// Rank of the best own caption among all captions.
    MinRank,
    /// Scores maxed over each video's captions, then videos against videos.
    MaxOverCaptions,
}

/// Median of an even number of ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum MedianRule {
    /// Mean of the two middle values (NumPy).
    MeanOfMiddle,
    /// The lower of the two middle values (PyTorch).
    Lower,
}

/// Everything that decides how counts become the numbers of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// The word that files have for a choice.
///
/// # Panics
/// When the choice is no plain enum.
pub fn word(choice: &impl Serialize) -> String {
    let json = serde_json::to_value(choice).expect("a choice is plain data");
    json.as_str().expect("a choice is a word").to_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_command_line_has_the_words_of_files() {
        fn check<T: ValueEnum + Serialize>() {
            for choice in T::value_variants() {
                let named = choice.to_possible_value().expect("no choice is hidden");
                assert_eq!(named.get_name(), word(choice));
            }
        }
        check::<TieRule>();
        check::<CaptionRule>();
        check::<MedianRule>();
    }
}
