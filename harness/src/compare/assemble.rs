//! Subjects to a record: checks, values, statements, remarks.

use hitbench_reports::compare::{CompareRecord, ComparedSuite};
use hitbench_reports::record::ProtocolRecord;

use super::error::CompareError;
use super::subject::Subject;
use super::{accuracy, align, throughput};

/// Name of the JSON that a comparison is.
pub const SCHEMA: &str = "hitbench.compare/1";
/// Chance of any false difference in the statement about one column.
pub const ALPHA: f64 = 0.05;
/// Level of the intervals of single values and of ratios.
pub const LEVEL: f64 = 0.95;

/// Puts runs side by side; `reference` is the place of the one that others are held against.
///
/// # Errors
/// [`CompareError::TooFew`] for fewer than two, [`CompareError::NotComparable`] for another suite, suite version, rule,
/// set of queries or gallery, [`CompareError::NothingShared`] for runs without a cell in common,
/// [`CompareError::Metric`] for statistics that cannot be computed.
///
/// # Panics
/// When there is no subject at `reference`.
pub fn compare(subjects: &[Subject], reference: usize) -> Result<CompareRecord, CompareError> {
    if subjects.len() < 2 {
        let found = subjects.len();
        return Err(CompareError::TooFew { found });
    }
    let own = &subjects[reference];
    let cells = align::aligned(subjects, reference);
    align::check(subjects, reference, &cells)?;
    let peaks: Vec<_> = subjects
        .iter()
        .map(|subject| (subject.peaks(), subject.gpu_peaks()))
        .collect();
    let rated = throughput::rated(&cells, reference, &peaks)?;
    let geometric_means = throughput::geometric_means(&rated, reference)?;
    let mut accuracy = accuracy::rows(&cells)?;
    let suite = &own.evidence.suite;
    let mut statements = Vec::new();
    if !accuracy.is_empty() {
        let is_training = suite.kind == "ablation";
        for column in (0..subjects.len()).filter(|column| *column != reference) {
            statements.push(accuracy::state(&cells, &mut accuracy, column, is_training)?);
        }
    }
    Ok(CompareRecord {
        schema: SCHEMA,
        suite: ComparedSuite {
            name: suite.name.clone(),
            version: suite.version,
            kind: suite.kind.clone(),
        },
        protocol: protocol(own),
        reference,
        columns: subjects.iter().map(|subject| subject.column(own)).collect(),
        level: LEVEL,
        geometric_means,
        throughput: rated.into_iter().map(|rated| rated.row).collect(),
        alpha: ALPHA,
        accuracy,
        statements,
        remarks: align::remarks(subjects, reference, &cells),
    })
}

/// The protocol of all trials; `None` where there are several or none.
fn protocol(subject: &Subject) -> Option<ProtocolRecord> {
    let cells = subject.evidence.cells.iter();
    let mut trials = cells.flat_map(|cell| &cell.trials);
    let first = &trials.next()?.protocol;
    trials
        .all(|trial| trial.protocol == *first)
        .then(|| first.clone())
}
