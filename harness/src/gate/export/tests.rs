//! Every format is read back: by its own parser where there is one, else by the rules of its documentation.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::fixture::{Machine, throughput, trained};
use super::super::{Gate, GateReport, GateVerdict, Policy, SideReport, gate};
use super::*;

const POLICY: &str = "format: 1
inconclusive: warn
incomparable: fail
rows:
  - {id: exact, kind: kernel, metric: t2v.counts}
  - {id: lost, kind: retrain, metric: t2v.r_at.1, margin: 5pt}
  - {id: rank, kind: retrain, metric: t2v.mean_rank, margin: 5%}
  - {id: 'odd, <name>', kind: retrain, metric: v2t.mrr, margin: 5pt}
";

fn report_of(policy: &str, sides: [&super::super::Evidence; 2]) -> (GateReport, Gate) {
    let policy = Policy::parse("gates/a,b: 100%.yaml", policy).unwrap();
    let found = gate(&policy, sides[0], sides[1]).unwrap();
    let reports = sides.map(|side| SideReport::new(std::path::Path::new("runs/a"), side));
    (GateReport::new(&found, &policy, &sides[0].suite, reports), found)
}

/// A report with rows of every kind of trouble.
fn report() -> GateReport {
    static REPORT: LazyLock<GateReport> = LazyLock::new(made_up);
    REPORT.clone()
}

fn made_up() -> GateReport {
    let hits = |share: usize| -> Vec<Vec<bool>> {
        (0..3)
            .map(|seed| {
                (0..400)
                    .map(|query| (query * 37 + 5 * seed) % 400 < share)
                    .collect()
            })
            .collect()
    };
    let (before, after) = (trained(&[("a", &hits(200))]), trained(&[("a", &hits(120))]));
    report_of(POLICY, [&before, &after]).0
}

#[test]
fn junit_is_read_back_case_by_case() {
    let report = report();
    let xml = junit(&report);
    let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!((read.tests, read.failures), (4, 4));
    let cases = &read.test_suites[0].test_cases;
    for (case, row) in cases.iter().zip(&report.rows) {
        assert!(case.name.as_str().starts_with(row.id.as_str()), "{case:?}");
        let quick_junit::TestCaseStatus::NonSuccess { message, ty, .. } = &case.status else {
            panic!("{case:?}");
        };
        assert_eq!(message.as_ref().unwrap().as_str(), row.sentence);
        assert_eq!(ty.as_ref().unwrap().as_str(), row.verdict.name());
    }
    let mut report = report;
    report.rows[0].sentence = "a \u{0} control \u{1b}[31m character".to_owned();
    let read = quick_junit::Report::deserialize_from_str(&junit(&report)).unwrap();
    let quick_junit::TestCaseStatus::NonSuccess { message, .. } = &read.test_suites[0].test_cases[0].status
    else {
        panic!("it failed");
    };
    assert_eq!(message.as_ref().unwrap().as_str(), "a  control  character");
    report.policy.incomparable = super::super::Response::Warn;
    let read = quick_junit::Report::deserialize_from_str(&junit(&report)).unwrap();
    assert!(matches!(
        read.test_suites[0].test_cases[3].status,
        quick_junit::TestCaseStatus::Skipped { .. }
    ));
}

#[test]
fn sarif_is_read_back_with_lines_and_levels() {
    let report = report();
    let log: serde_sarif::sarif::Sarif = serde_json::from_str(&sarif(&report)).unwrap();
    let run = &log.runs[0];
    let results = run.results.as_ref().unwrap();
    assert_eq!(results.len(), 4);
    let rules = run.tool.driver.rules.as_ref().unwrap();
    for (result, row) in results.iter().zip(&report.rows) {
        assert_eq!(result.message.text.as_deref(), Some(row.sentence.as_str()));
        assert!(rules.iter().any(|rule| Some(&rule.id) == result.rule_id.as_ref()));
        let locations = result.locations.as_ref().unwrap();
        let place = locations[0].physical_location.as_ref().unwrap();
        let uri = place.artifact_location.as_ref().unwrap().uri.as_deref();
        assert_eq!(uri, Some("gates/a%2Cb%3A%20100%25.yaml"));
        assert_eq!(place.region.as_ref().unwrap().start_line, Some(row.line as i64));
    }
    // The same rows of another run are the same findings.
    let again: Json = serde_json::from_str(&sarif(&report)).unwrap();
    let prints: std::collections::BTreeSet<String> = again["runs"][0]["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["partialFingerprints"]["row/v1"].to_string())
        .collect();
    assert_eq!(prints.len(), 4);
}

#[test]
fn bencher_files_fit_the_published_rules() {
    // Bencher Metric Format, JSON Schema v0 of bencher.dev: names of 1 to 1,024 characters, measures of 1 to 64, a value
    // and optional bounds.
    let schema = json!({
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": 1024},
        "additionalProperties": {
            "type": "object",
            "propertyNames": {"minLength": 1, "maxLength": 64},
            "additionalProperties": {
                "type": "object",
                "required": ["value"],
                "additionalProperties": false,
                "properties": {
                    "value": {"type": "number"},
                    "lower_value": {"type": ["number", "null"]},
                    "upper_value": {"type": ["number", "null"]},
                }
            }
        }
    });
    let mut report = report();
    let file: Json = serde_json::from_str(&bencher(&report)).unwrap();
    assert!(jsonschema::is_valid(&schema, &file), "{file}");
    let metric = &file["made-up/a"]["t2v.r_at.1"];
    let difference = report.rows[1].difference.as_ref().unwrap();
    assert_eq!(metric["value"], json!(difference.run));
    let bounds = ["lower_value", "upper_value"].map(|end| metric[end].as_f64().unwrap());
    assert!(
        bounds[0] < difference.run && difference.run < bounds[1],
        "{metric}"
    );
    report.rows[1].cell = "é".repeat(2000);
    let file: Json = serde_json::from_str(&bencher(&report)).unwrap();
    assert!(jsonschema::is_valid(&schema, &file));
}

#[test]
fn throughput_is_bounded_by_ratios() {
    let before = throughput(&[("k", &[1.0e6, 1.01e6, 0.99e6])], Machine::Same);
    let policy = "format: 1\nrows:\n  - {id: s, kind: throughput, metric: warm.items_per_s, margin: 5%}\n";
    let (report, _) = report_of(policy, [&before, &before]);
    let file: Json = serde_json::from_str(&bencher(&report)).unwrap();
    let metric = &file["made-up/k"]["warm.items_per_s"];
    let interval = report.rows[0].difference.as_ref().unwrap().interval;
    let run = metric["value"].as_f64().unwrap();
    assert!((metric["lower_value"].as_f64().unwrap() - run * (1.0 + interval[0])).abs() < 1e-6 * run);
}

#[test]
fn action_benchmark_files_part_by_direction() {
    let report = report();
    let files = action_benchmark(&report);
    let names = |text: &str| -> Vec<String> {
        let entries: Vec<Json> = serde_json::from_str(text).unwrap();
        let each = entries.iter().map(|entry| {
            // What the action requires, and the two that it takes beside them.
            assert!(entry["value"].is_f64() && entry["unit"].is_string());
            assert!(entry["range"].is_string() && entry["extra"].is_string());
            entry["name"].as_str().unwrap().to_owned()
        });
        each.collect()
    };
    assert_eq!(names(&files.bigger), ["lost: t2v.r_at.1 of a"]);
    assert_eq!(names(&files.smaller), ["rank: t2v.mean_rank of a"]);
}

#[test]
fn json_lines_are_rows_that_know_their_run() {
    let report = report();
    let text = json_lines(&report);
    let lines: Vec<Json> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    for (line, row) in lines.iter().zip(&report.rows) {
        assert_eq!(
            (&line["schema"], &line["id"], &line["verdict"]),
            (
                &json!("hitbench.gate-row/1"),
                &json!(row.id),
                &json!(row.verdict.name())
            )
        );
        assert_eq!(line["run"]["build_id"], "1.0.0+abc");
    }
}

/// A workflow command as the runner reads it: name, properties, message.
fn command(line: &str) -> (String, Vec<(String, String)>, String) {
    let rest = line.strip_prefix("::").expect("a command");
    let (head, message) = rest.split_once("::").expect("an end of the properties");
    let (name, properties) = head.split_once(' ').expect("properties");
    let unescape_data = |text: &str| text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%");
    let unescape = |text: &str| unescape_data(&text.replace("%3A", ":").replace("%2C", ","));
    let properties = properties.split(',').map(|property| {
        let (key, value) = property.split_once('=').expect("a value");
        (key.to_owned(), unescape(value))
    });
    (name.to_owned(), properties.collect(), unescape_data(message))
}

#[test]
fn annotations_stand_at_the_lines_of_the_policy() {
    let report = report();
    let text = annotations(&report);
    let found: Vec<_> = text.lines().map(command).collect();
    assert_eq!(found.len(), 4);
    let (name, properties, message) = &found[0];
    assert_eq!((name.as_str(), message), ("error", &report.rows[0].sentence));
    let expected = [
        ("file", "gates/a,b: 100%.yaml"),
        ("line", "5"),
        ("title", "exact regressed"),
    ];
    assert_eq!(
        *properties,
        expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
}

#[test]
fn no_more_annotations_than_github_shows() {
    let mut report = report();
    let row = report.rows[1].clone();
    for (n_bad, n_open, expected_errors, expected_warnings) in
        [(10, 11, 10, 10), (25, 10, 10, 10), (1, 0, 1, 0)]
    {
        report.rows.clear();
        for index in 0..n_bad + n_open {
            let mut row = row.clone();
            row.id = format!("row {index}");
            row.verdict = match index < n_bad {
                true => GateVerdict::Regressed,
                false => GateVerdict::Inconclusive,
            };
            report.rows.push(row);
        }
        let text = annotations(&report);
        let of = |kind: &str| -> Vec<_> {
            let all = text.lines().map(command);
            all.filter(|(name, ..)| name == kind).collect()
        };
        let (errors, warnings) = (of("error"), of("warning"));
        assert_eq!(
            (errors.len(), warnings.len()),
            (expected_errors, expected_warnings)
        );
        if n_bad > 10 {
            assert_eq!(
                errors[9].2,
                format!("and {} more, see the summary or the log", n_bad - 9)
            );
        }
        if n_open > 10 {
            assert_eq!(
                warnings[9].2,
                format!("and {} more, see the summary or the log", n_open - 9)
            );
        }
    }
}

#[test]
fn summaries_fit_and_say_what_they_leave_out() {
    let mut report = report();
    let text = summary(&report, SUMMARY_LIMIT);
    insta::assert_snapshot!(text.lines().take(9).collect::<Vec<_>>().join("\n"), @r#"
### Gate of made-up, version 1: failed

3 regressed, 1 incomparable. Baseline `1.0.0+abc`, run `1.0.0+abc`.

| verdict | row | what was compared |
|---|---|---|
| regressed | exact | t2v.counts of a: 240 of 1200 queries differ, first \`q4\` from rank 1 to rank 20: regressed |
| regressed | lost | t2v.r\_at.1 of a: 50.00 % in the baseline, 30.00 % in the run, -20.00pt \[-26.22pt, -14.69pt\] from 3 and 3 seeds, 400 queries, margin 5pt: regressed |
| regressed | rank | t2v.mean\_rank of a: 10.50 in the baseline, 14.30 in the run, +3.80 \[+3.08, +4.68\] from 3 and 3 seeds, 400 queries, margin 5%: regressed |
"#);
    let row = report.rows[1].clone();
    report.rows = vec![row; 10_000];
    let text = summary(&report, SUMMARY_LIMIT);
    assert!(text.len() <= SUMMARY_LIMIT);
    let shown = text
        .lines()
        .filter(|line| line.starts_with("| regressed"))
        .count();
    let last = format!(
        "Too long for a summary: {} rows more are left out.",
        10_000 - shown
    );
    assert_eq!(text.lines().last(), Some(last.as_str()));
    assert_eq!(summary(&report, 100), "");
}

proptest! {
    #[test]
    fn whatever_is_in_a_row_is_read_back(id in "\\PC*", why in any::<String>(), limit in 0usize..4000) {
        let mut report = report();
        report.rows[0].id = id.clone();
        report.rows[0].sentence = why.clone();
        let text = annotations(&report);
        // What a terminal or the runner takes for a line end was escaped.
        let first = text.split('\n').next().unwrap();
        let (_, properties, message) = command(first);
        prop_assert_eq!(message, why);
        prop_assert_eq!(&properties[2].1, &format!("{id} regressed"));
        let summary = summary(&report, limit);
        prop_assert!(summary.len() <= limit);
        let cells = summary.lines().filter(|line| line.starts_with("| regressed"));
        for line in cells {
            let bars = line.replace("\\\\", "").replace("\\|", "").matches('|').count();
            prop_assert_eq!(bars, 4, "{}", line);
        }
        let sarif: Result<serde_sarif::sarif::Sarif, _> = serde_json::from_str(&sarif(&report));
        prop_assert!(sarif.is_ok());
        prop_assert!(quick_junit::Report::deserialize_from_str(&junit(&report)).is_ok());
    }
}
