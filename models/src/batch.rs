//! Batches as the model takes them: host buffers, padded only to the batch's own longest row.
//!
//! Free of libtorch, so that loaders and tests need none.

mod build;

use serde::{Deserialize, Serialize};

pub use build::{BatchError, ExpertView, RowsView, VideoView};

/// Tokenised captions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextBatch {
    /// Captions in the batch.
    pub n_texts: usize,
    /// Length of the longest caption, `[CLS]` and `[SEP]` included.
    pub seq_len: usize,
    /// Token ids `[n_texts, seq_len]`; the pad id behind each caption's end.
    pub token_ids: Vec<i64>,
    /// Tokens of each caption `[n_texts]`; everything behind is padding.
    pub lengths: Vec<usize>,
}

/// The rows of one expert over all videos of a batch, without padding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpertRows {
    /// Length of a row.
    pub dim: usize,
    /// Raw features `[n_rows, dim]`. For each video that has the expert: its aggregated row first (maximum
    /// over the video's rows), then its feature rows in time order.
    pub features: Vec<f32>,
}

/// Video tokens, packed: `[CLS]`, then per present expert its aggregated token and its feature tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoBatch {
    /// Videos in the batch.
    pub n_videos: usize,
    /// Tokens of the longest video.
    pub seq_len: usize,
    /// One entry an expert of the [`InputSpec`](crate::InputSpec), in its order; may have no rows.
    pub experts: Vec<ExpertRows>,
    /// Which row fills a token `[n_videos, seq_len]`: 0 padding, 1 the learned `[CLS]`, `2 + i` row `i` of
    /// the experts' rows laid one after another.
    pub source_row: Vec<i64>,
    /// Time index of a token `[n_videos, seq_len]`: 0 none, 1 unknown, else `floor(mean seconds + 2)`
    /// clamped to the table.
    pub position: Vec<i64>,
    /// Expert of a token `[n_videos, seq_len]`: 0 for `[CLS]` and padding, `1 + e` for expert `e`.
    pub expert: Vec<i64>,
    /// Tokens of each video `[n_videos]`; everything behind is padding.
    pub lengths: Vec<usize>,
}

/// Paired captions and videos: row `i` of one belongs to row `i` of the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairBatch {
    /// Captions.
    pub text: TextBatch,
    /// Videos.
    pub video: VideoBatch,
    /// Index of each pair's video in the data set; entries of one video in the queue are false negatives.
    pub video_ids: Vec<i64>,
}
