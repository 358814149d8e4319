use hitbench_reports::RunWriter;
use hitbench_reports::record::{RankRow, TrialOutcome};
use serde_json::json;

use super::super::fixture::{N_QUERIES, queue_by_momentum, ranks, run_of, trial};
use super::*;

/// The differences of a run whose trials `change` may alter before they are recorded.
fn found(ties: &str, change: impl Fn(&mut TrialRecord)) -> ComparisonsFile {
    let cells = queue_by_momentum();
    let run = run_of(&cells);
    let dir = tempfile::tempdir().unwrap();
    let writer = RunWriter::open(dir.path()).unwrap();
    for (cell, planned) in cells.iter().zip(&run.plan) {
        for seed in 0..2 {
            let mut record = trial(planned, seed, ties);
            change(&mut record);
            let equal = if ties == "clip4clip" { 2 } else { 1 };
            writer
                .write_ranks(&record.id, &ranks(cell.n_hits, equal))
                .unwrap();
            writer.append_trial(&record).unwrap();
        }
    }
    differences(&run, writer.folder()).unwrap()
}

/// Candidates, references and estimate in queries of each comparison.
fn summary(file: &ComparisonsFile) -> Vec<(String, String, f64)> {
    let queries = |found: &ComparisonRecord| (found.estimate * N_QUERIES as f64 * 1e6).round() / 1e6;
    file.comparisons
        .iter()
        .map(|found| {
            (
                found.candidates.join(" "),
                found.references.join(" "),
                queries(found),
            )
        })
        .collect()
}

fn row(candidates: &str, references: &str, estimate: f64) -> (String, String, f64) {
    (candidates.to_owned(), references.to_owned(), estimate)
}

#[test]
fn a_cell_without_effect_of_an_axis_is_no_pair_with_itself() {
    let file = found("average", |_| {});
    assert_eq!(
        summary(&file),
        [
            // Queue 256 and 1024 against none, over both momenta; the one cell without a queue is partner of both.
            row("hash1 hash2", "hash0 hash0", 8.0),
            row("hash3 hash4", "hash0 hash0", 14.0),
            // Momentum 0.9 against 0.99 where there is a queue: (14 - 22 + 18 - 30) / 2.
            row("hash1 hash3", "hash2 hash4", -10.0),
            row("hash1", "hash0", 4.0),
            row("hash2", "hash0", 12.0),
            row("hash3", "hash0", 8.0),
            row("hash4", "hash0", 20.0),
        ]
    );
    assert_eq!(file.comparisons[0].metric, "t2v.r_at.10");
}

#[test]
fn differences_are_taken_in_the_metrics_that_the_suite_names() {
    let cells = queue_by_momentum();
    let mut run = run_of(&cells);
    run.suite.resolved = json!({"differences": ["v2t.r_at.1", "t2v.r_at.10"]});
    let dir = tempfile::tempdir().unwrap();
    let writer = RunWriter::open(dir.path()).unwrap();
    for (cell, planned) in cells.iter().zip(&run.plan) {
        for seed in 0..2 {
            let record = trial(planned, seed, "average");
            // Text to video the cells differ; video to text every cell has half the queries right.
            let mut rows = ranks(cell.n_hits, 1);
            rows.extend(ranks(N_QUERIES / 2, 1).into_iter().map(|row| RankRow {
                direction: Direction::V2t,
                query_id: row.true_id,
                true_id: row.query_id,
                ..row
            }));
            writer.write_ranks(&record.id, &rows).unwrap();
            writer.append_trial(&record).unwrap();
        }
    }
    let file = differences(&run, writer.folder()).unwrap();
    let alone = found("average", |_| {});
    let of = |metric: &str| -> Vec<&ComparisonRecord> {
        file.comparisons.iter().filter(|it| it.metric == metric).collect()
    };
    let (videos, texts) = (of("t2v.r_at.10"), of("v2t.r_at.1"));
    assert_eq!((videos.len(), texts.len()), (7, 7));
    assert!(texts.iter().all(|it| it.estimate == 0.0));
    let estimates =
        |records: Vec<&ComparisonRecord>| records.iter().map(|it| it.estimate).collect::<Vec<_>>();
    assert_eq!(estimates(videos), estimates(alone.comparisons.iter().collect()));
    // Families are twice as large: the smallest p-value is held against half as much.
    let strictest = |file: &ComparisonsFile| file.comparisons.iter().map(|it| it.level).fold(0.0, f64::max);
    assert!((strictest(&alone) - (1.0 - 0.05 / 4.0)).abs() < 1e-12);
    assert!((strictest(&file) - (1.0 - 0.05 / 8.0)).abs() < 1e-12);
    assert!(file.method.ends_with("Statements on all metrics count together."));
}

#[test]
fn cells_on_other_data_or_under_other_rules_are_left_out_and_said_to_be() {
    let other_data = |trial: &mut TrialRecord| {
        if let (true, TrialOutcome::Ok(result)) = (trial.cell_hash == "hash4", &mut trial.outcome) {
            result.data.content_hash = "other".to_owned();
        }
    };
    let other_rules = |trial: &mut TrialRecord| {
        if trial.cell_hash == "hash4" {
            trial.protocol.ties = "optimistic".to_owned();
        }
    };
    let expected = [
        row("hash1 hash2", "hash0 hash0", 8.0),
        row("hash1", "hash0", 4.0),
        row("hash2", "hash0", 12.0),
        row("hash3", "hash0", 8.0),
    ];
    for file in [found("average", other_data), found("average", other_rules)] {
        assert_eq!(summary(&file), expected);
        assert!(
            file.method.contains("Left out: 1 cells on other data"),
            "{}",
            file.method
        );
    }
    let other_kernel = |trial: &mut TrialRecord| trial.protocol.kernel = Some(trial.cell_hash.clone());
    assert_eq!(found("average", other_kernel).comparisons.len(), 7);
}

#[test]
fn records_of_another_build_say_nothing() {
    let file = found("average", |trial| {
        if trial.cell_hash != "hash0" {
            trial.build_id = "older".to_owned();
        }
    });
    assert!(file.comparisons.is_empty());
    assert!(!file.method.contains("Left out"), "{}", file.method);
}

#[test]
fn weighted_queries_differ_by_what_the_tables_differ_by() {
    // Each query is two, and each hit two: the shares are those without ties.
    let file = found("clip4clip", |_| {});
    assert_eq!(summary(&file)[3], row("hash1", "hash0", 4.0));
}
