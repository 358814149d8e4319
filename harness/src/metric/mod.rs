//! Metrics and statistics: ranks, protocols, intervals. Does no I/O.

pub mod bootstrap;
pub mod chance;
pub mod compare;
pub mod contrast;
pub mod count;
pub mod direction;
pub mod embeddings;
pub mod error;
pub mod evaluate;
pub mod own;
pub mod pairing;
pub mod part;
pub mod protocol;
pub mod rank;
pub mod record;
pub mod relevance;
pub mod rules;
pub mod summary;

pub use bootstrap::Resampling;
pub use chance::chance;
pub use compare::{Comparison, compare_all, compare_cells};
pub use contrast::{Contrast, SeedHits};
pub use count::{count_matrix, count_matrix_part};
pub use direction::{Counts, DirectionCounts};
pub use embeddings::{Observer, Progress, count_embeddings, count_embeddings_part};
pub use error::MetricError;
pub use evaluate::{Evaluation, evaluate};
pub use hitbench_reports::record::{Direction, Verdict};
pub use own::{OwnCounts, OwnGroup};
pub use pairing::Pairing;
pub use part::{Part, PartialCounts};
pub use protocol::{PROTOCOLS, Protocol};
pub use rules::{CaptionRule, MedianRule, Rules, TieRule, word};
pub use summary::{DirectionMetrics, summarize};
