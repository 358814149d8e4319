//! Brings a policy, a baseline and a run together: which cells a row is about, and whether they compare.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hitbench_reports::record::{AxisValues, ProtocolRecord};

use super::error::GateError;
use super::evidence::{CellEvidence, Evidence, SuiteId, TrialEvidence};
use super::metric::{GateMetric, RowKind};
use super::policy::{Policy, PolicyRow};
use crate::diff::{Difference, unlike_protocols};
use crate::machine::fingerprint;
use crate::measure::plan::MeasurePlan;
use crate::metric::SeedHits;
use crate::suite::{AnySuite, axis_values};
use crate::trial::Plan;

/// Fewest seeds a side from which a difference between trainings can be told from luck.
const FEWEST_SEEDS: usize = 3;
/// Fewest samples a side that have a spread.
const FEWEST_SAMPLES: usize = 2;

/// A row of the policy for one cell.
#[derive(Debug, Clone)]
pub(super) struct Sides<'a> {
    pub(super) row: &'a PolicyRow,
    /// Label of the cell, or what the row asks for where there is none.
    pub(super) cell: String,
    /// The two sides, or why they do not compare.
    pub(super) found: Result<Compared<'a>, Unlike>,
}

/// Cells that compare.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared<'a> {
    pub(super) baseline: &'a CellEvidence,
    pub(super) run: &'a CellEvidence,
}

/// Why two sides do not compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlike {
    /// Stable word.
    pub reason: &'static str,
    /// What differs.
    pub text: String,
}

impl Unlike {
    fn new<T>(reason: &'static str, text: impl Into<String>) -> Result<T, Self> {
        let text = text.into();
        Err(Self { reason, text })
    }
}

impl CellEvidence {
    /// Its name, or words for the cell without axes.
    pub fn label(&self) -> &str {
        match self.name.as_str() {
            "" => "the only cell",
            name => name,
        }
    }
}

/// Refuses another suite or another version of it, where no row could compare.
pub(super) fn check_suites(baseline: &Evidence, run: &Evidence) -> Result<(), GateError> {
    let differs = |reason, what, baseline: &dyn ToString, run: &dyn ToString| {
        let (baseline, run) = (baseline.to_string(), run.to_string());
        match baseline == run {
            true => Ok(()),
            false => Err(GateError::NotComparable {
                reason,
                what,
                baseline,
                run,
            }),
        }
    };
    let (a, b) = (&baseline.suite, &run.suite);
    differs("other-suite", "suite", &a.name, &b.name)?;
    differs("other-suite", "kind of suite", &a.kind, &b.kind)?;
    differs(
        "other-suite-version",
        "version of the suite",
        &a.version,
        &b.version,
    )
}

impl PolicyRow {
    /// Whether it is about a cell with these axis values: all of its `when` are among them.
    fn is_about(&self, axis_values: &AxisValues) -> bool {
        let mut when = self.when.iter();
        when.all(|(path, value)| axis_values.get(path) == Some(value))
    }
}

impl Policy {
    /// Refuses a policy with a row that is about no cell of the suite, before anything of it runs.
    ///
    /// # Errors
    /// [`GateError::When`].
    pub fn check_suite(&self, suite: &AnySuite) -> Result<(), GateError> {
        check_when(self, &planned_cells(suite))
    }
}

impl Evidence {
    /// Refuses a suite, read from `path`, that is not the one this is of, before anything of it runs.
    ///
    /// # Errors
    /// [`GateError::OtherSuite`].
    pub fn check_suite(&self, path: &Path, suite: &AnySuite) -> Result<(), GateError> {
        let found = SuiteId::from(suite);
        match found == self.suite {
            true => Ok(()),
            false => Err(GateError::OtherSuite {
                path: path.to_owned(),
                suites: Box::new([found, self.suite.clone()]),
            }),
        }
    }
}

/// Axis values of all cells that a run of the suite has, as records keep them.
fn planned_cells(suite: &AnySuite) -> Vec<AxisValues> {
    const WHOLE: &str = "only a filter can leave nothing";
    match suite {
        AnySuite::Ablation(suite) => {
            let plan = Plan::new(suite, None).expect(WHOLE);
            let cells = plan.cells.iter().map(|planned| &planned.cell.axis_values);
            cells.map(|values| axis_values(values)).collect()
        }
        AnySuite::Throughput(suite) => {
            let plan = MeasurePlan::new(suite, None).expect(WHOLE);
            let cells = plan.cells.iter().map(|planned| &planned.cell.axis_values);
            cells.map(|values| axis_values(values)).collect()
        }
    }
}

/// Refuses rows that are about no cell of either side: they would guard nothing, without a word where the policy only
/// warns.
pub(super) fn check_cells(policy: &Policy, both: [&Evidence; 2]) -> Result<(), GateError> {
    let cells = both.iter().flat_map(|side| &side.cells);
    let cells: Vec<AxisValues> = cells.map(|cell| cell.axis_values.clone()).collect();
    check_when(policy, &cells)
}

fn check_when(policy: &Policy, cells: &[AxisValues]) -> Result<(), GateError> {
    for row in policy.rows.iter().filter(|row| !row.when.is_empty()) {
        if !cells.iter().any(|values| row.is_about(values)) {
            return Err(GateError::When {
                path: PathBuf::from(&policy.file),
                line: row.line,
                row: row.id.clone(),
                problem: why_none(row, cells),
            });
        }
    }
    Ok(())
}

/// What of a row's `when` no cell has.
fn why_none(row: &PolicyRow, cells: &[AxisValues]) -> String {
    let listed = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
    for (path, value) in &row.when {
        let values = || cells.iter().filter_map(|cell| cell.get(path));
        if values().next().is_none() {
            let axes = listed(cells.iter().flat_map(|cell| cell.keys().cloned()).collect());
            return match axes.as_str() {
                "" => format!("the suite has no axes, and so no `{path}`"),
                axes => format!("`{path}` is no axis of the suite, which has {axes}"),
            };
        }
        if !values().any(|known| known == value) {
            let known = listed(values().map(ToString::to_string).collect());
            return format!("none has {path}: {value}, but {known}");
        }
    }
    "none has all of its `when` together".to_owned()
}

/// A row of the policy for one cell of one side.
#[derive(Debug, Clone)]
pub(super) struct Subject<'a> {
    pub(super) row: &'a PolicyRow,
    /// Label of the cell, or what the row asks for where there is none.
    pub(super) label: String,
    /// The cell, or why there is none.
    pub(super) cell: Result<&'a CellEvidence, Unlike>,
}

/// Every row with every cell of `evidence` that it is about, in the order of the policy and of the plan. `side` names the
/// evidence in messages.
///
/// A row is about a cell when all axis values of its `when` are the cell's, and there is something to compare: a kernel
/// that the machine did not have is no cell of any row. A row that is about no cell is there once, as missing.
pub(super) fn subjects<'a>(policy: &'a Policy, evidence: &'a Evidence, side: &str) -> Vec<Subject<'a>> {
    let mut all = Vec::new();
    for row in &policy.rows {
        let metric = row.test.metric();
        let has_metric = |cell: &&CellEvidence| match metric {
            GateMetric::Counts(direction) => {
                cell.trials.iter().any(|trial| trial.ranked(direction).is_some())
            }
            _ => !values(cell, metric).is_empty(),
        };
        let is_wanted = |cell: &&CellEvidence| row.is_about(&cell.axis_values);
        let wanted = || evidence.cells.iter().filter(is_wanted);
        let before = all.len();
        all.extend(wanted().filter(has_metric).map(|cell| Subject {
            row,
            label: cell.label().to_owned(),
            cell: Ok(cell),
        }));
        if all.len() == before {
            let label = match row.when.is_empty() {
                true => "any cell".to_owned(),
                false => serde_json::Value::Object(row.when.clone()).to_string(),
            };
            let text = match wanted().next() {
                Some(_) => format!("{side} has no {metric} of {label}"),
                None => format!("{side} has no cell with {label}"),
            };
            all.push(Subject {
                row,
                label,
                cell: Unlike::new("missing-rows", text),
            });
        }
    }
    all
}

/// Every subject of the baseline with its partner in the run.
pub(super) fn sides<'a>(policy: &'a Policy, baseline: &'a Evidence, run: &'a Evidence) -> Vec<Sides<'a>> {
    let of_subject = |Subject { row, label, cell }: Subject<'a>| {
        let found = cell.and_then(|cell| {
            let other = run.cells.iter().find(|other| other.name == cell.name);
            match other {
                None => Unlike::new("missing-rows", format!("the run has no cell `{label}`")),
                Some(other) => compared(row, (baseline, cell), (run, other)),
            }
        });
        Sides {
            row,
            cell: label,
            found,
        }
    };
    let all = subjects(policy, baseline, "the baseline");
    all.into_iter().map(of_subject).collect()
}

/// The values of a metric: one a seed, or one a process; empty where there is none.
pub(super) fn values(cell: &CellEvidence, metric: GateMetric) -> Vec<f64> {
    match metric {
        GateMetric::Counts(_) => Vec::new(),
        GateMetric::RAt(..) | GateMetric::Mrr(_) | GateMetric::MeanRank(_) => {
            let mean = |trial: &SeedHits| trial.values.iter().sum::<f64>() / trial.values.len() as f64;
            by_query(cell, metric).iter().map(mean).collect()
        }
        GateMetric::PairsPerS => cell.trials.iter().filter_map(|trial| trial.pairs_per_s).collect(),
        GateMetric::ItemsPerS(cache) => {
            let Some(measured) = &cell.measured else {
                return Vec::new();
            };
            let times = measured.times.iter().filter(|times| times.cache == cache);
            times
                .flat_map(|times| &times.median_ns)
                .map(|median_ns| measured.items as f64 / (median_ns * 1e-9))
                .collect()
        }
    }
}

/// What each query adds to the metric, by seed; none for what is no mean over queries.
pub(super) fn by_query(cell: &CellEvidence, metric: GateMetric) -> Vec<SeedHits> {
    let of_trial = |trial: &TrialEvidence| {
        let (ranked, ties) = (trial.ranked(metric.direction()?)?, trial.ties()?);
        let value = metric.of_query(ties)?;
        let clusters = ranked.queries.clusters.clone();
        Some(SeedHits::new(&ranked.counts, clusters, ties, value))
    };
    cell.trials.iter().filter_map(of_trial).collect()
}

fn compared<'a>(
    row: &PolicyRow,
    (baseline, a): (&'a Evidence, &'a CellEvidence),
    (run, b): (&'a Evidence, &'a CellEvidence),
) -> Result<Compared<'a>, Unlike> {
    let (kind, metric) = (row.test.kind(), row.test.metric());
    match kind {
        RowKind::Kernel | RowKind::Numeric => {
            same_seeds(a, b)?;
            same_ranking(a, b, metric)?;
        }
        RowKind::Retrain => {
            same_settings(a, b)?;
            same_ranking(a, b, metric)?;
        }
        RowKind::Throughput => {
            same_settings(a, b)?;
            let [here, there] = [run, baseline].map(|side| fingerprint(&side.machine));
            if here != there {
                let model = |side: &Evidence| {
                    side.machine
                        .cpu_model
                        .clone()
                        .unwrap_or("an unknown CPU".to_owned())
                };
                return Unlike::new(
                    "other-machine",
                    format!(
                        "times of machine {here} ({}) and of machine {there} ({}), the baseline's",
                        model(run),
                        model(baseline)
                    ),
                );
            }
        }
    }
    enough(kind, metric, a, "baseline")?;
    enough(kind, metric, b, "run")?;
    Ok(Compared { baseline: a, run: b })
}

/// Refuses trials of other seeds, where each is held against its like.
fn same_seeds(a: &CellEvidence, b: &CellEvidence) -> Result<(), Unlike> {
    let [expected, found] = [a, b].map(|cell| cell.trials.iter().map(|trial| trial.seed).collect::<Vec<_>>());
    match expected == found {
        true => Ok(()),
        false => Unlike::new(
            "missing-rows",
            format!("seeds {found:?}, and {expected:?} in the baseline"),
        ),
    }
}

/// Refuses cells of other settings or data.
pub(super) fn same_settings(a: &CellEvidence, b: &CellEvidence) -> Result<(), Unlike> {
    match a.hash == b.hash {
        true => Ok(()),
        false => Unlike::new(
            "other-settings",
            format!(
                "settings or data of `{}` are not those of the baseline",
                a.label()
            ),
        ),
    }
}

/// Everything that decides ranks but the scores.
fn same_ranking(a: &CellEvidence, b: &CellEvidence, metric: GateMetric) -> Result<(), Unlike> {
    let Some(direction) = metric.direction() else {
        return Ok(());
    };
    let Some(first) = a.trials.first() else {
        return Ok(());
    };
    for trial in a.trials.iter().chain(&b.trials) {
        same_rules(&first.protocol, &trial.protocol)?;
        let [Some(expected), Some(found)] = [first, trial].map(|trial| trial.ranked(direction)) else {
            return Unlike::new(
                "missing-rows",
                format!("not every trial has ranks of {direction}"),
            );
        };
        if expected.n_gallery != found.n_gallery {
            let (expected, found) = (expected.n_gallery, found.n_gallery);
            return Unlike::new(
                "other-gallery",
                format!("the gallery of {direction} has {found} items, that of the baseline {expected}"),
            );
        }
        if expected.queries.hash != found.queries.hash {
            let [expected, found] = [expected, found].map(|ranked| ranked.counts.len());
            let text = match expected == found {
                true => format!("other queries or true items of {direction} than in the baseline"),
                false => format!("{found} queries of {direction}, {expected} in the baseline"),
            };
            return Unlike::new("other-queries", text);
        }
    }
    Ok(())
}

fn same_rules(a: &ProtocolRecord, b: &ProtocolRecord) -> Result<(), Unlike> {
    match &unlike_protocols(a, b)[..] {
        [Difference::Rule { reason, what, a, b }, ..] => {
            let word = |word: &str| {
                if word.is_empty() {
                    "none".to_owned()
                } else {
                    format!("`{word}`")
                }
            };
            Unlike::new(
                reason,
                format!("{what} is {}, and {} in the baseline", word(b), word(a)),
            )
        }
        _ => Ok(()),
    }
}

/// Whether a side has all its trials and enough of them.
fn enough(kind: RowKind, metric: GateMetric, cell: &CellEvidence, side: &str) -> Result<(), Unlike> {
    if kind != RowKind::Throughput || metric == GateMetric::PairsPerS {
        let (n, planned) = (cell.trials.len(), cell.n_planned);
        if n == 0 || n < planned {
            let text = format!("the {side} has {n} of {planned} trials of `{}`", cell.label());
            return Unlike::new("missing-rows", text);
        }
    }
    let n_elsewhere = cell.trials.iter().filter(|trial| trial.trained_elsewhere).count();
    if metric == GateMetric::PairsPerS && n_elsewhere > 0 {
        let text = format!(
            "{n_elsewhere} of {} trials of `{}` were trained on another machine than the {side}'s",
            cell.trials.len(),
            cell.label()
        );
        return Unlike::new("other-machine", text);
    }
    let n = match (kind, metric) {
        (_, GateMetric::Counts(_)) => return Ok(()),
        (RowKind::Retrain, _) => {
            let seeds: BTreeSet<u64> = cell.trials.iter().map(|trial| trial.seed).collect();
            seeds.len().min(values(cell, metric).len())
        }
        _ => values(cell, metric).len(),
    };
    let (fewest, of) = match kind {
        RowKind::Retrain => (FEWEST_SEEDS, "seeds"),
        RowKind::Throughput => (FEWEST_SAMPLES, "samples"),
        RowKind::Kernel | RowKind::Numeric => (1, "trials"),
    };
    if n == 0 {
        return Unlike::new(
            "missing-rows",
            format!("the {side} has no {metric} of `{}`", cell.label()),
        );
    }
    match n < fewest {
        true => Unlike::new(
            "too-few-samples",
            format!(
                "{fewest} {of} a side are needed, the {side} has {n} of `{}`",
                cell.label()
            ),
        ),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use hitbench_kernels::RankCount;
    use hitbench_reports::record::Direction;

    use super::super::fixture::trained;
    use super::*;

    #[test]
    fn a_query_that_counts_several_times_weighs_as_often() {
        let mut side = trained(&[("cell", &[vec![true, true]])]);
        let trial = &mut side.cells[0].trials[0];
        trial.protocol.ties = "clip4clip".to_owned();
        let ranked = trial.t2v.as_mut().unwrap();
        // One query whose true item is first, one whose true item ties with three others for places 2 to 5.
        ranked.counts = [(0, 1), (1, 4)]
            .map(|(greater, equal)| RankCount {
                greater,
                equal,
                own_equal: 1,
                score: 0.0,
            })
            .to_vec();
        let value = |metric| values(&side.cells[0], metric)[0];
        let direction = Direction::T2v;
        // Five positions of two queries: ranks 1, 2, 3, 4 and 5.
        assert!((value(GateMetric::RAt(direction, 1)) - 1.0 / 5.0).abs() < 1e-12);
        assert!((value(GateMetric::RAt(direction, 3)) - 3.0 / 5.0).abs() < 1e-12);
        assert!((value(GateMetric::MeanRank(direction)) - 3.0).abs() < 1e-12);
        let reciprocals = 1.0 + 1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0 + 1.0 / 5.0;
        assert!((value(GateMetric::Mrr(direction)) - reciprocals / 5.0).abs() < 1e-12);
    }
}
