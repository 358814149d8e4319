//! SARIF 2.1.0 for code scanning: a rule a kind of row, a result a row that is not fine, at its line of the policy.

use serde_json::{Value as Json, json};

use super::super::metric::RowKind;
use super::super::report::{GateReport, RowReport};
use super::severity::Severity;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json";

const RULES: [(RowKind, &str); 4] = [
    (
        RowKind::Kernel,
        "The counts of two kernels agree for every query.",
    ),
    (
        RowKind::Numeric,
        "Another numeric path loses no more than its margin.",
    ),
    (RowKind::Retrain, "A new training loses no more than its margin."),
    (RowKind::Throughput, "Throughput loses no more than its margin."),
];

/// The rows that regressed, do not compare or show nothing.
pub fn sarif(report: &GateReport) -> String {
    let results: Vec<Json> = report
        .rows
        .iter()
        .filter(|row| report.severity(row) != Severity::Fine)
        .map(|row| result(report, row))
        .collect();
    let rules = RULES.map(|(kind, about)| json!({"id": rule_id(kind), "shortDescription": {"text": about}}));
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "hitbench",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&log).expect("JSON is text") + "\n"
}

fn rule_id(kind: RowKind) -> String {
    format!("gate/{}", kind.name())
}

fn result(report: &GateReport, row: &RowReport) -> Json {
    let level = match report.severity(row) {
        Severity::Error => "error",
        Severity::Warning | Severity::Fine => "warning",
    };
    // The same row of another run is the same finding.
    let identity = format!("{}\n{}\n{}", report.suite.name, row.id, row.cell);
    let fingerprint = blake3::hash(identity.as_bytes()).to_hex().to_string();
    json!({
        "ruleId": rule_id(row.kind),
        "level": level,
        "message": {"text": row.sentence},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&report.policy.file)},
            "region": {"startLine": row.line},
        }}],
        "partialFingerprints": {"row/v1": fingerprint},
    })
}

/// A relative path as a URI: what has a meaning in one is escaped byte by byte.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
