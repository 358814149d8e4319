//! JSON lines: one object a row, which knows its run, for whoever keeps them.

use serde::Serialize;

use super::super::report::{GateReport, RowReport, SideReport};

#[derive(Serialize)]
struct Line<'a> {
    schema: &'static str,
    suite: &'a str,
    suite_version: u32,
    baseline: &'a SideReport,
    run: &'a SideReport,
    #[serde(flatten)]
    row: &'a RowReport,
}

/// One line a row, schema `hitbench.gate-row/1`.
pub fn json_lines(report: &GateReport) -> String {
    let line = |row| {
        let line = Line {
            schema: "hitbench.gate-row/1",
            suite: &report.suite.name,
            suite_version: report.suite.version,
            baseline: &report.baseline,
            run: &report.run,
            row,
        };
        serde_json::to_string(&line).expect("a report is plain data") + "\n"
    };
    report.rows.iter().map(line).collect()
}
