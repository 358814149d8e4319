//! How bad a row is for whoever waits for CI.

use super::super::judge::GateVerdict;
use super::super::policy::Response;
use super::super::report::{GateReport, RowReport};

/// How bad a row is, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong.
    Fine,
    /// Nothing is shown, and the policy lets that pass.
    Warning,
    /// The gate fails because of it.
    Error,
}

impl GateReport {
    /// How bad `row` is under this report's policy.
    pub fn severity(&self, row: &RowReport) -> Severity {
        let of = |response| match response {
            Response::Warn => Severity::Warning,
            Response::Fail => Severity::Error,
        };
        match row.verdict {
            GateVerdict::Regressed => Severity::Error,
            GateVerdict::Incomparable => of(self.policy.incomparable),
            GateVerdict::Inconclusive => of(self.policy.inconclusive),
            GateVerdict::Equivalent | GateVerdict::Improved => Severity::Fine,
        }
    }

    /// The rows that are not fine, worst first, else in their order.
    pub(super) fn worst_first(&self) -> Vec<(Severity, &RowReport)> {
        let rows = self.rows.iter().map(|row| (self.severity(row), row));
        let mut rows: Vec<_> = rows.filter(|(severity, _)| *severity != Severity::Fine).collect();
        let place = |verdict| GateVerdict::ALL.iter().position(|other| *other == verdict);
        rows.sort_by_key(|(severity, row)| (std::cmp::Reverse(*severity), place(row.verdict)));
        rows
    }
}
