//! Gates: a run against a blessed baseline, row by row of a policy, with statistics that hold.
//!
//! `policy` says what is compared and how much may be lost, `baseline` what with; `evidence` is what both sides boil down
//! to, `sides` brings them together where they compare, `examine` has the test of each kind of row, `judge` makes one
//! family of all; `power` says beforehand what that can find, `calibrate` how much runs differ that should not, and `ab`
//! judges two builds that ran in turns. The tests themselves are [`metric`](crate::metric)'s.

pub mod ab;
pub mod baseline;
pub mod calibrate;
pub mod error;
pub mod evidence;
mod examine;
pub mod export;
#[cfg(test)]
mod fixture;
pub mod judge;
pub mod metric;
pub mod policy;
mod power;
mod report;
mod sides;
mod text;

#[cfg(test)]
mod tests;

pub use baseline::{Baseline, Blessing};
pub use error::GateError;
pub use evidence::{Evidence, SuiteId};
pub use examine::{CountsFound, FirstDiffering};
pub use judge::{Confirmation, DifferenceFound, Gate, GateRow, GateVerdict, RowFound, gate};
pub use metric::{GateMetric, Margin, RowKind};
pub use policy::{Policy, PolicyRow, Response, RowTest, policy_schema};
pub use power::{Power, Prospect, power};
pub use report::{GateReport, PowerReport, SideReport};
pub use sides::Unlike;
pub use text::{explanation, prospect, sentence, table};
