//! Whether a column's accuracy is that of the reference, in words that claim no more than was found.
//!
//! Counts can show equality: they are whole numbers, and the same for every query. A test cannot; where it finds nothing,
//! the statement says what it would have found.

use hitbench_reports::compare::{AccuracyRow, AccuracyStatement, DifferenceFound, StatementKind};
use hitbench_reports::record::Verdict;

use super::assemble::ALPHA;

/// Recalls that a statement lists.
const NAMED: usize = 4;

/// What became of counts that were held against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CountsHeld {
    /// Cells of the reference that have ranks.
    pub(super) n_reference_cells: usize,
    /// Of these, cells in which the column has ranks too.
    pub(super) n_cells: usize,
    /// Of these, cells whose seeds are others, so that no query is held against another.
    pub(super) n_other_seeds: usize,
    /// Directions of trials that only one side has.
    pub(super) n_one_sided: usize,
    /// Queries held against each other, over cells, seeds and directions.
    pub(super) n_queries: u64,
    /// Of these, queries whose counts differ.
    pub(super) n_differ: u64,
}

impl CountsHeld {
    /// Whether all that both sides have was held against each other and nothing differs.
    pub(super) fn are_equal(&self) -> bool {
        self.n_queries > 0 && self.n_differ == 0 && self.n_other_seeds == 0 && self.n_one_sided == 0
    }

    /// Counts in words.
    fn differing(&self) -> String {
        let seeds = match (self.n_other_seeds, self.n_other_seeds == self.n_cells) {
            (0, _) => String::new(),
            (_, true) => return "the seeds are others, so that counts do not compare".to_owned(),
            (n, false) => format!(", and the seeds of {} are others", cells(n)),
        };
        let one_sided = match self.n_one_sided {
            0 => "",
            _ => ", and only one run has some directions",
        };
        let verb = if self.n_differ == 1 { "has" } else { "have" };
        format!(
            "{} of {} queries {verb} other counts{seeds}{one_sided}",
            self.n_differ, self.n_queries
        )
    }
}

fn cells(n: usize) -> String {
    match n {
        1 => "1 cell".to_owned(),
        n => format!("{n} cells"),
    }
}

/// Of a column without ranks that the reference has too.
pub(super) fn not_compared(column: usize) -> AccuracyStatement {
    AccuracyStatement {
        column,
        kind: StatementKind::NotCompared,
        n_queries: 0,
        n_differ: 0,
        n_tests: 0,
        text: "accuracy is not compared: no cell has ranks in both runs".to_owned(),
    }
}

/// Of a column whose counts are [equal](CountsHeld::are_equal).
pub(super) fn equal(column: usize, held: &CountsHeld) -> AccuracyStatement {
    let of = match held.n_cells == held.n_reference_cells {
        true => cells(held.n_cells),
        false => format!(
            "the {} that both runs have, of {} in the reference",
            cells(held.n_cells),
            held.n_reference_cells
        ),
    };
    AccuracyStatement {
        column,
        kind: StatementKind::EqualByCounts,
        n_queries: held.n_queries,
        n_differ: 0,
        n_tests: 0,
        text: format!(
            "accuracy is equal by counts: every query of every seed of {of} has the same counts ({} in all)",
            held.n_queries
        ),
    }
}

/// Of a column whose recalls were tested. `is_of_one_seed` says that trainings of a single seed were compared.
pub(super) fn judged(
    column: usize,
    held: &CountsHeld,
    tested: &[(&AccuracyRow, DifferenceFound)],
    is_of_one_seed: bool,
) -> AccuracyStatement {
    let level = format!("{} %, Holm over {} recalls", 100.0 * ALPHA, tested.len());
    let mut differing: Vec<&(&AccuracyRow, DifferenceFound)> = tested
        .iter()
        .filter(|(_, found)| found.verdict != Verdict::Inconclusive)
        .collect();
    differing.sort_by(|(_, a), (_, b)| b.estimate.abs().total_cmp(&a.estimate.abs()));
    let kind = match differing.is_empty() {
        true => StatementKind::NoDifferenceShown,
        false => StatementKind::Differs,
    };
    let mut text = match kind {
        StatementKind::Differs => {
            let named: Vec<String> = differing
                .iter()
                .take(NAMED)
                .map(|(row, found)| {
                    let [low, high] = found.interval.map(points);
                    let name = name(row);
                    format!("{name} by {} points [{low}, {high}]", points(found.estimate))
                })
                .collect();
            let more = match differing.len().saturating_sub(NAMED) {
                0 => String::new(),
                n => format!(" and in {n} more"),
            };
            let rest = match tested.len() - differing.len() {
                0 => String::new(),
                n => format!("; no difference is shown in the other {n}"),
            };
            format!(
                "accuracy differs in {}{more} ({level}){rest}; {}",
                named.join(", "),
                held.differing()
            )
        }
        _ => format!(
            "no difference of accuracy is shown, which is not equality: {}; none of the recalls differs ({level})",
            held.differing()
        ),
    };
    if kind == StatementKind::NoDifferenceShown {
        text += &detectable(tested);
    }
    if is_of_one_seed {
        text += "; a run has a single seed, so that this is about these very models and not about other trainings";
    }
    AccuracyStatement {
        column,
        kind,
        n_queries: held.n_queries,
        n_differ: held.n_differ,
        n_tests: tested.len(),
        text,
    }
}

/// What tests that found nothing would have found.
fn detectable(tested: &[(&AccuracyRow, DifferenceFound)]) -> String {
    let by = |(_, a): &&(&AccuracyRow, DifferenceFound), (_, b): &&(&AccuracyRow, DifferenceFound)| {
        a.detectable.total_cmp(&b.detectable)
    };
    let ends = (tested.iter().min_by(by), tested.iter().max_by(by));
    let (Some((least_row, least)), Some((most_row, most))) = ends else {
        return String::new();
    };
    let size = |found: &DifferenceFound| format!("{:.1} points", 100.0 * found.detectable);
    match size(least) == size(most) {
        true => format!(
            "; a difference of {} would have been found four times in five",
            size(most)
        ),
        false => format!(
            "; found four times in five would have been a difference of {} in {} and of {} in {}",
            size(least),
            name(least_row),
            size(most),
            name(most_row)
        ),
    }
}

fn name(row: &AccuracyRow) -> String {
    format!("{} R@{} of {}", row.direction, row.k, row.cell)
}

fn points(fraction: f64) -> String {
    let text = format!("{:+.1}", 100.0 * fraction);
    match text.as_str() {
        "+0.0" | "-0.0" => "0.0".to_owned(),
        _ => text,
    }
}
