//! Metrics and statistics: ranks, protocols, intervals. Does no I/O.

pub mod bootstrap;
pub mod compare;
pub mod count;
pub mod error;
pub mod evaluate;
pub mod pairing;
pub mod protocol;
pub mod rank;
pub mod record;
pub mod rules;
pub mod summary;

pub use bootstrap::Resampling;
pub use compare::{Comparison, Contrast, SeedHits, compare_all, compare_cells};
pub use count::{Counts, DirectionCounts, count_matrix};
pub use error::MetricError;
pub use evaluate::{Evaluation, count_embeddings, evaluate};
pub use hitbench_reports::record::{Direction, Verdict};
pub use pairing::Pairing;
pub use protocol::{PROTOCOLS, Protocol};
pub use rules::{CaptionRule, MedianRule, Rules, TieRule};
pub use summary::{DirectionMetrics, summarize};
