//! Two evaluations of the same protocol, query by query: `hitbench diff`.
//!
//! Both are read from the records of run folders, held against each other only where everything that decides ranks is
//! the same but the scores, and summed up by [`metric`](crate::metric). What they say is drawn for people in `text` and
//! written for machines in `report` and `changes`.

mod captions;
mod changes;
mod error;
mod evaluate;
mod pair;
mod report;
mod side;
mod text;

pub use captions::Captions;
pub use changes::write_changes;
pub use error::{DiffError, Difference};
pub use evaluate::{ALPHA, Diff, DirectionDiff, Flips, MetricDiff, Moved, diff};
pub(crate) use pair::unlike_protocols;
pub use pair::{PairedDirection, PairedQuery};
pub use report::DiffReport;
pub use side::Side;
pub use text::text;
