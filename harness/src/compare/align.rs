//! The cells of all columns brought together by name, and refusals of what means something else.
//!
//! Machines and builds may differ, which is the point. Suites, rules, queries and galleries may not: numbers of others
//! would stand side by side and mean different things.

use std::collections::BTreeSet;

use hitbench_reports::record::Direction;

use super::error::{CompareError, Unlike};
use super::subject::Subject;
use crate::diff::{Difference, unlike_protocols};
use crate::gate::evidence::{CellEvidence, RankedEvidence, TrialEvidence};

/// Names that a remark lists.
const NAMED: usize = 3;

/// Both directions.
pub(super) const DIRECTIONS: [Direction; 2] = [Direction::T2v, Direction::V2t];

/// A cell in all columns.
#[derive(Debug)]
pub(super) struct AlignedCell<'a> {
    /// Its label.
    pub(super) label: &'a str,
    /// By column; `None` where there is no such cell, or nothing in it.
    pub(super) by_column: Vec<Option<&'a CellEvidence>>,
    /// Place of the reference.
    reference: usize,
}

impl<'a> AlignedCell<'a> {
    /// The cell of the reference.
    pub(super) fn of_reference(&self) -> Option<&'a CellEvidence> {
        self.by_column[self.reference]
    }

    /// Whether settings or data are not those of the reference.
    pub(super) fn has_other_settings(&self, column: usize) -> bool {
        match (self.of_reference(), self.by_column[column]) {
            (Some(reference), Some(own)) => reference.hash != own.hash,
            _ => false,
        }
    }
}

/// The cells in the order of the reference's plan, then those of others.
pub(super) fn aligned(subjects: &[Subject], reference: usize) -> Vec<AlignedCell<'_>> {
    let mut order: Vec<&CellEvidence> = Vec::new();
    let mut known = BTreeSet::new();
    let others = (0..subjects.len()).filter(|at| *at != reference);
    for at in std::iter::once(reference).chain(others) {
        let cells = subjects[at].evidence.cells.iter().filter(|cell| holds(cell));
        order.extend(cells.filter(|cell| known.insert(cell.name.as_str())));
    }
    order
        .into_iter()
        .map(|cell| AlignedCell {
            label: cell.label(),
            by_column: subjects
                .iter()
                .map(|subject| {
                    let mut cells = subject.evidence.cells.iter();
                    cells.find(|own| own.name == cell.name && holds(own))
                })
                .collect(),
            reference,
        })
        .collect()
}

/// Whether there is anything to compare.
fn holds(cell: &CellEvidence) -> bool {
    !cell.trials.is_empty() || cell.measured.is_some()
}

/// Refuses other suites, rules, queries and galleries, and columns that share no cell with the reference.
pub(super) fn check(
    subjects: &[Subject],
    reference: usize,
    cells: &[AlignedCell<'_>],
) -> Result<(), CompareError> {
    for (at, subject) in subjects.iter().enumerate().filter(|(at, _)| *at != reference) {
        let pair = (&subjects[reference], subject);
        same_suite(pair)?;
        let mut n_shared = 0;
        for cell in cells {
            if let (Some(expected), Some(found)) = (cell.of_reference(), cell.by_column[at]) {
                n_shared += 1;
                same_ranking(pair, expected, found)?;
            }
        }
        if n_shared == 0 {
            return Err(CompareError::NothingShared {
                reference: pair.0.label.clone(),
                label: subject.label.clone(),
            });
        }
    }
    Ok(())
}

/// The reference and another column.
type Pair<'a> = (&'a Subject, &'a Subject);

fn differs(
    (reference, subject): Pair<'_>,
    reason: &'static str,
    what: impl Into<String>,
    [expected, found]: [String; 2],
) -> Result<(), CompareError> {
    match expected == found {
        true => Ok(()),
        false => Err(CompareError::NotComparable(Box::new(Unlike {
            reason,
            what: what.into(),
            reference: reference.label.clone(),
            expected,
            label: subject.label.clone(),
            found,
        }))),
    }
}

fn same_suite(pair: Pair<'_>) -> Result<(), CompareError> {
    let suites = [&pair.0.evidence.suite, &pair.1.evidence.suite];
    differs(
        pair,
        "other-suite",
        "the suite",
        suites.map(|suite| suite.name.clone()),
    )?;
    differs(
        pair,
        "other-suite",
        "the kind of the suite",
        suites.map(|suite| suite.kind.clone()),
    )?;
    differs(
        pair,
        "other-suite-version",
        format!("the version of the suite {}", suites[0].name),
        suites.map(|suite| suite.version.to_string()),
    )
}

/// Everything that decides ranks but the scores must be the same in all trials of a cell.
fn same_ranking(pair: Pair<'_>, expected: &CellEvidence, found: &CellEvidence) -> Result<(), CompareError> {
    let Some(first) = expected.trials.first() else {
        return Ok(());
    };
    for trial in &found.trials {
        same_rules(pair, expected.label(), first, trial)?;
        for direction in DIRECTIONS {
            if let [Some(expected_ranks), Some(found_ranks)] = [first, trial].map(|t| t.ranked(direction)) {
                let of = format!("{direction} in {}", expected.label());
                same_queries(pair, &of, [expected_ranks, found_ranks])?;
            }
        }
    }
    Ok(())
}

fn same_rules(
    pair: Pair<'_>,
    cell: &str,
    expected: &TrialEvidence,
    found: &TrialEvidence,
) -> Result<(), CompareError> {
    let word = |word: &str| match word {
        "" => "none".to_owned(),
        word => word.to_owned(),
    };
    for difference in unlike_protocols(&expected.protocol, &found.protocol) {
        if let Difference::Rule { reason, what, a, b } = difference {
            differs(pair, reason, format!("{what} of {cell}"), [word(&a), word(&b)])?;
        }
    }
    Ok(())
}

fn same_queries(pair: Pair<'_>, of: &str, ranks: [&RankedEvidence; 2]) -> Result<(), CompareError> {
    differs(
        pair,
        "other-gallery",
        format!("the gallery of {of}"),
        ranks.map(|ranked| format!("{} items", ranked.n_gallery)),
    )?;
    differs(
        pair,
        "other-queries",
        format!("the set of queries of {of}"),
        ranks.map(|ranked| {
            let hash = &ranked.queries.hash;
            format!(
                "{} queries with the hash {}",
                ranked.counts.len(),
                hash.get(..12).unwrap_or(hash)
            )
        }),
    )
}

/// What a reader must know of cells that do not stand in every column alike.
pub(super) fn remarks(subjects: &[Subject], reference: usize, cells: &[AlignedCell<'_>]) -> Vec<String> {
    let mut remarks = Vec::new();
    let own = &subjects[reference].label;
    for (at, subject) in subjects.iter().enumerate() {
        let label = &subject.label;
        let which = |is: &dyn Fn(&AlignedCell<'_>) -> bool| -> Vec<&str> {
            let found = cells.iter().filter(|cell| is(cell));
            found.map(|cell| cell.label).collect()
        };
        let missing = which(&|cell| cell.by_column[at].is_none());
        if !missing.is_empty() {
            remarks.push(format!("{label} has nothing of {}.", named(&missing)));
        }
        let unfinished = which(&|cell| {
            cell.by_column[at].is_some_and(|own| own.measured.is_none() && own.trials.len() < own.n_planned)
        });
        if !unfinished.is_empty() {
            remarks.push(format!(
                "{label} lacks some of the planned trials of {}.",
                named(&unfinished)
            ));
        }
        // An evaluation's settings hold its scores, which are what is compared.
        let is_of_scores = subject.evidence.suite.kind == "eval";
        let other = which(&|cell| !is_of_scores && cell.has_other_settings(at));
        if !other.is_empty() {
            remarks.push(format!(
                "{label} has other settings or data than {own} in {}: left out of ratios.",
                named(&other)
            ));
        }
        let kernel = |cell: &AlignedCell<'_>, at: usize| {
            let measured = cell.by_column[at]?.measured.as_ref()?;
            Some(measured.kernel.clone())
        };
        let kernels: Vec<String> = cells
            .iter()
            .filter_map(|cell| {
                let (expected, found) = (kernel(cell, reference)?, kernel(cell, at)?);
                (expected != found).then(|| format!("{} ({found}, not {expected})", cell.label))
            })
            .collect();
        if !kernels.is_empty() {
            let kernels: Vec<&str> = kernels.iter().map(String::as_str).collect();
            remarks.push(format!(
                "{label} ran other kernels than {own} in {}.",
                named(&kernels)
            ));
        }
    }
    remarks
}

/// `a, b, c and 2 more cells`.
fn named(names: &[&str]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
