//! Evaluating given scores or embeddings: `hitbench eval`.
//!
//! Files are found by [`Location`], read by one file a format into an array in row-major order, and ranked as they
//! are stored. A new format gets a file beside `npy`, `npz` and `safetensors` and a variant in `array::Format`.

mod array;
mod buffer;
mod changed;
mod error;
mod evaluate;
mod explain;
mod ids;
mod join;
mod layout;
mod location;
mod matrix;
mod narrow;
mod norms;
mod notice;
mod npy;
mod npz;
mod post;
mod record;
mod report;
mod safetensors;
mod table;

pub use error::EvalError;
pub use evaluate::{Bank, DirectionResult, EvalRequest, Evaluated, F32_KERNEL, Given, evaluate};
pub use ids::{IdList, IdMap, IdProblem, IdProblemKind};
pub use join::{Joined, JoinedBy, Names, join};
pub use layout::Shape;
pub use location::Location;
pub use matrix::{Mask, Matrix};
pub use narrow::{Narrowed, Narrowing};
pub use norms::NORM_TOLERANCE;
pub use notice::Notice;
pub use post::{Post, UnknownPost};
pub use record::{check_out, write_run};
pub use report::EvalReport;
pub use table::table;

#[cfg(test)]
mod tests;
