//! JUnit XML as CI systems read it: one suite, one case a row.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::super::report::{GateReport, RowReport};
use super::severity::Severity;

/// A case a row: failed where the gate fails because of it, skipped where nothing is shown. The message is the row's
/// sentence; characters that XML cannot hold are left out.
pub fn junit(report: &GateReport) -> String {
    let mut suite = TestSuite::new(format!("{} gate", report.suite.name));
    for row in &report.rows {
        suite.add_test_case(case(report, row));
    }
    let mut junit = Report::new("hitbench gate");
    junit.add_test_suite(suite);
    junit.to_string().expect("XML into memory")
}

fn case(report: &GateReport, row: &RowReport) -> TestCase {
    let verdict = row.verdict.name();
    let status = match report.severity(row) {
        Severity::Fine => TestCaseStatus::success(),
        Severity::Warning => {
            let mut status = TestCaseStatus::skipped();
            status.set_type(verdict).set_message(&row.sentence);
            status
        }
        Severity::Error => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_type(verdict)
                .set_message(&row.sentence)
                .set_description(format!("{}:{}", report.policy.file, row.line));
            status
        }
    };
    let mut case = TestCase::new(format!("{}: {} of {}", row.id, row.metric, row.cell), status);
    case.set_classname(format!("{}.{}", report.suite.name, row.kind.name()));
    case
}
