//! Evaluating given scores, embeddings or ranked lists: `hitbench eval`.
//!
//! What files hold comes from [`format`](crate::format); here their rows are joined by id, ranked as they are stored,
//! and summed up under a protocol.

mod changed;
mod error;
mod evaluate;
mod explain;
mod export;
mod ids;
mod join;
mod latex;
mod lists;
mod markdown;
mod mask;
mod narrow;
mod norms;
mod notice;
mod post;
mod predictions;
mod prepare;
mod record;
mod report;
mod request;
mod shard;
mod table;
mod trec;
mod view;

pub use error::EvalError;
pub use evaluate::{About, DirectionResult, Evaluated, evaluate};
pub use export::{ExportError, check_trec_ids, write_qrels, write_ranks, write_trec};
pub use ids::{IdList, IdMap, IdProblem, IdProblemKind};
pub use join::{Joined, JoinedBy, Names, join};
pub use latex::latex;
pub use lists::{EvaluatedLists, Lists, evaluate_lists};
pub use markdown::markdown;
pub use mask::Mask;
pub use narrow::{Narrowed, Narrowing};
pub use norms::NORM_TOLERANCE;
pub(crate) use norms::{lengths, off_unit};
pub use notice::Notice;
pub use post::{Post, UnknownPost};
pub use predictions::join_predictions;
pub use prepare::Prepared;
pub(crate) use prepare::{check_dims, check_protocol};
pub use record::{check_out, write_run};
pub use report::EvalReport;
pub use request::{Bank, EvalRequest, F32_KERNEL, Given};
pub use shard::{Merged, Shard};
pub use table::table;
pub use trec::{Retrieved, join_trec};
pub use view::View;

#[cfg(test)]
mod tests;
