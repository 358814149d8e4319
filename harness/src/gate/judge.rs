//! A gate: every row of a policy for every cell, examined, then judged as one family.

use rayon::prelude::*;
use serde::Serialize;

use super::error::GateError;
use super::evidence::Evidence;
use super::examine::{CountsFound, Difference, MachineLoss, counts, difference};
use super::metric::{GateMetric, Margin, RowKind};
use super::policy::{Policy, Response, RowTest};
use super::sides::{Sides, Unlike, check_cells, check_suites, sides};
use crate::exit_code::ExitCode;
use crate::metric::{Judgement, MarginTest, MarginVerdict, MetricError, Resampling, judge};

/// What is said of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateVerdict {
    /// Worse by more than the margin; counts that differ.
    Regressed,
    /// Not worse by the margin or more; counts that agree.
    Equivalent,
    /// Better than the baseline.
    Improved,
    /// None of these is shown.
    Inconclusive,
    /// The two sides do not compare.
    Incomparable,
}

impl GateVerdict {
    /// Every verdict, worst first.
    pub const ALL: [Self; 5] = [
        Self::Regressed,
        Self::Incomparable,
        Self::Inconclusive,
        Self::Equivalent,
        Self::Improved,
    ];

    /// The word in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Equivalent => "equivalent",
            Self::Improved => "improved",
            Self::Inconclusive => "inconclusive",
            Self::Incomparable => "incomparable",
        }
    }
}

impl From<MarginVerdict> for GateVerdict {
    fn from(verdict: MarginVerdict) -> Self {
        match verdict {
            MarginVerdict::Regressed => Self::Regressed,
            MarginVerdict::Equivalent => Self::Equivalent,
            MarginVerdict::Improved => Self::Improved,
            MarginVerdict::Inconclusive => Self::Inconclusive,
        }
    }
}

/// The outcome of a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Chance of any false statement in each family.
    pub alpha: f64,
    /// What inconclusive rows do.
    pub inconclusive: Response,
    /// What rows that do not compare do.
    pub incomparable: Response,
    /// The rows in the order of the policy.
    pub rows: Vec<GateRow>,
}

/// One row for one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct GateRow {
    /// Id in the policy.
    pub id: String,
    /// Label of the cell.
    pub cell: String,
    /// Kind.
    pub kind: RowKind,
    /// Metric.
    pub metric: GateMetric,
    /// Line of the policy file, from 1.
    pub line: u64,
    /// The verdict.
    pub verdict: GateVerdict,
    /// Why the verdict is not what the numbers say alone, or why there are none: a stable word and a sentence.
    pub why: Option<(&'static str, String)>,
    /// What was found; `None` where the sides do not compare.
    pub found: Option<RowFound>,
}

/// What a row found.
#[derive(Debug, Clone, PartialEq)]
pub enum RowFound {
    /// Of a row of kind `kernel`.
    Counts(CountsFound),
    /// Of a row with a margin.
    Difference(Box<DifferenceFound>),
}

/// A difference, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct DifferenceFound {
    /// What the two sides are called.
    pub names: [&'static str; 2],
    /// Value of the baseline: a fraction, ranks, or items a second.
    pub baseline: f64,
    /// Value of the run.
    pub run: f64,
    /// What both are drawn from, in words.
    pub samples: String,
    /// The margin as the policy has it.
    pub margin: Margin,
    /// The difference, its interval and its tests, in the unit of the margin test; see [`shown`](Self::shown).
    pub judgement: Judgement,
    /// The margin in that unit.
    pub margin_in_units: f64,
    /// The difference in that unit, larger is better.
    pub estimate: f64,
    /// Smallest drop, in that unit, that is found four times in five.
    pub detectable: f64,
    /// Whether an equal candidate is shown to be so less often than four times in five.
    pub undecidable: bool,
    /// What new samples alone said, where there are such.
    pub confirmation: Option<Confirmation>,
}

/// The second look at a row that regressed: from new samples only, at `alpha`.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmation {
    /// Value of the new run.
    pub run: f64,
    /// The new difference.
    pub estimate: f64,
    /// Its bounds, each at `alpha`.
    pub judgement: Judgement,
}

impl GateMetric {
    /// A difference of the test's unit as people read it, positive where the run's value is larger: a fraction, ranks, a
    /// relative change.
    pub fn shown(self, difference: f64) -> f64 {
        match self {
            Self::PairsPerS | Self::ItemsPerS(_) => difference.exp_m1(),
            Self::MeanRank(_) => -difference,
            Self::Counts(_) | Self::RAt(..) | Self::Mrr(_) => difference,
        }
    }

    /// A drop of the test's unit, at least 0, as a positive amount of what [`shown`](Self::shown) gives.
    pub fn shown_drop(self, drop: f64) -> f64 {
        self.shown(-drop).abs()
    }
}

impl DifferenceFound {
    /// The estimate and its interval, ascending, as people read them.
    pub fn shown(&self, metric: GateMetric) -> (f64, [f64; 2]) {
        let Judgement { low, high, .. } = self.judgement;
        let [a, b] = [low, high].map(|end| metric.shown(end));
        (metric.shown(self.estimate), [a.min(b), a.max(b)])
    }
}

/// Holds a run against a baseline.
///
/// # Errors
/// [`GateError::NotComparable`] for another suite or suite version, [`GateError::When`] for a row with an axis or a value
/// that neither side has, [`GateError::Metric`] for statistics that cannot be computed. Rows that do not compare are no
/// error.
pub fn gate(policy: &Policy, baseline: &Evidence, run: &Evidence) -> Result<Gate, GateError> {
    check_suites(baseline, run)?;
    check_cells(policy, [baseline, run])?;
    let all = sides(policy, baseline, run);
    let plan = Resampling::of_family(all.len(), policy.alpha);
    let examined: Vec<(GateRow, Option<(Margin, Difference)>)> = all
        .into_par_iter()
        .map(|sides| examine(sides, plan))
        .collect::<Result<_, _>>()?;
    let mut rows = Vec::with_capacity(examined.len());
    let mut differences = Vec::new();
    for (row, difference) in examined {
        differences.extend(difference.map(|(margin, difference)| (rows.len(), margin, difference)));
        rows.push(row);
    }
    judge_family(policy.alpha, &mut rows, differences)?;
    let mut gate = Gate {
        alpha: policy.alpha,
        inconclusive: policy.inconclusive,
        incomparable: policy.incomparable,
        rows,
    };
    gate.excuse_slow_machine(MachineLoss::new(baseline, run), baseline);
    Ok(gate)
}

/// What one row finds: a verdict, or a difference that waits for the others of its family.
fn examine(
    sides: Sides<'_>,
    plan: Resampling,
) -> Result<(GateRow, Option<(Margin, Difference)>), MetricError> {
    let Sides { row, cell, found } = sides;
    let mut gate_row = GateRow {
        id: row.id.clone(),
        cell,
        kind: row.test.kind(),
        metric: row.test.metric(),
        line: row.line,
        verdict: GateVerdict::Incomparable,
        why: None,
        found: None,
    };
    let compared = match found {
        Ok(compared) => compared,
        Err(Unlike { reason, text }) => {
            gate_row.why = Some((reason, text));
            return Ok((gate_row, None));
        }
    };
    match row.test {
        RowTest::Kernel { metric, ties } => {
            let direction = metric.direction().expect("counts have a direction");
            let found = counts(direction, ties, compared);
            gate_row.verdict = match found.agree() {
                true => GateVerdict::Equivalent,
                false => GateVerdict::Regressed,
            };
            gate_row.found = Some(RowFound::Counts(found));
            Ok((gate_row, None))
        }
        RowTest::Margin { kind, metric, margin } => {
            let found = difference(kind, metric, margin, compared, plan)?;
            Ok((gate_row, Some((margin, found))))
        }
    }
}

/// Judges all rows with a margin as one family.
pub(super) fn judge_family(
    alpha: f64,
    rows: &mut [GateRow],
    differences: Vec<(usize, Margin, Difference)>,
) -> Result<(), GateError> {
    let family: Vec<MarginTest> = differences
        .iter()
        .map(|(_, _, difference)| difference.test.clone())
        .collect();
    let judged = judge(&family, alpha)?;
    let first_level = alpha / family.len() as f64;
    for ((index, margin, difference), judgement) in differences.into_iter().zip(judged) {
        let Difference {
            test,
            names,
            baseline,
            run,
            samples,
        } = difference;
        rows[index].verdict = judgement.verdict.into();
        rows[index].found = Some(RowFound::Difference(Box::new(DifferenceFound {
            names,
            baseline,
            run,
            samples,
            margin,
            judgement,
            margin_in_units: test.margin,
            estimate: test.difference.estimate(),
            detectable: test.difference.detectable(test.margin, first_level)?,
            undecidable: test.difference.is_undecidable(test.margin, first_level)?,
            confirmation: None,
        })));
    }
    Ok(())
}

/// Whether a regression is no longer shown once the machine's own loss is taken out of it.
fn is_explained_by(loss: f64, judgement: &Judgement, margin: f64) -> bool {
    judgement.high - (1.0 - loss).ln() >= -margin
}

fn slower_machine(loss: f64) -> (&'static str, String) {
    let text = format!(
        "the machine's own peak was {:.1} % lower than for the baseline, which may be all of it",
        100.0 * loss
    );
    ("slower-machine", text)
}

impl Gate {
    /// Takes back what is said against times of a machine that was slower itself.
    fn excuse_slow_machine(&mut self, loss: MachineLoss, baseline: &Evidence) {
        for row in self.rows.iter_mut().filter(|row| row.kind == RowKind::Throughput) {
            let Some(RowFound::Difference(found)) = &row.found else {
                continue;
            };
            let cell = baseline.cells.iter().find(|cell| cell.label() == row.cell);
            let loss = cell.map_or(0.0, |cell| loss.of(cell, row.metric));
            if row.verdict == GateVerdict::Regressed
                && is_explained_by(loss, &found.judgement, found.margin_in_units)
            {
                row.verdict = GateVerdict::Inconclusive;
                row.why = Some(slower_machine(loss));
            }
        }
    }

    /// Rows of throughput that regressed: those that new samples could clear.
    pub fn flagged(&self) -> impl Iterator<Item = &GateRow> {
        self.rows
            .iter()
            .filter(|row| row.kind == RowKind::Throughput && row.verdict == GateVerdict::Regressed)
    }

    /// Holds new samples of the flagged cells against the baseline, each at `alpha`. A row stays regressed only if they
    /// say so too, or where they do not compare.
    ///
    /// # Errors
    /// As [`gate`].
    pub fn confirm(
        &mut self,
        policy: &Policy,
        baseline: &Evidence,
        again: &Evidence,
    ) -> Result<(), GateError> {
        check_suites(baseline, again)?;
        let plan = Resampling::of_family(1, policy.alpha);
        let machine = MachineLoss::new(baseline, again);
        for Sides { row, cell, found } in sides(policy, baseline, again) {
            let flagged = |own: &&mut GateRow| {
                own.id == row.id
                    && own.cell == cell
                    && own.kind == RowKind::Throughput
                    && own.verdict == GateVerdict::Regressed
            };
            let Some(own) = self.rows.iter_mut().find(flagged) else {
                continue;
            };
            let Some(RowFound::Difference(own_found)) = &mut own.found else {
                continue;
            };
            let RowTest::Margin { kind, metric, margin } = row.test else {
                continue;
            };
            match found {
                Err(Unlike { reason, text }) => {
                    own.why = Some((reason, format!("the new samples do not compare: {text}")));
                }
                Ok(compared) => {
                    let new = difference(kind, metric, margin, compared, plan)?;
                    let judgement = judge(std::slice::from_ref(&new.test), policy.alpha)?[0];
                    let loss = machine.of(compared.baseline, metric);
                    if judgement.verdict != MarginVerdict::Regressed {
                        own.verdict = GateVerdict::Inconclusive;
                        own.why = Some((
                            "not-confirmed",
                            "new samples do not show what the first did".to_owned(),
                        ));
                    } else if is_explained_by(loss, &judgement, new.test.margin) {
                        own.verdict = GateVerdict::Inconclusive;
                        own.why = Some(slower_machine(loss));
                    }
                    own_found.confirmation = Some(Confirmation {
                        run: new.run,
                        estimate: new.test.difference.estimate(),
                        judgement,
                    });
                }
            }
        }
        Ok(())
    }

    /// Rows with a verdict.
    pub fn count(&self, verdict: GateVerdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }

    /// The exit code and a stable word for it: that of the first row that decides.
    pub fn conclusion(&self) -> (ExitCode, &'static str) {
        let first = |verdict: GateVerdict| self.rows.iter().find(|row| row.verdict == verdict);
        if first(GateVerdict::Regressed).is_some() {
            return (ExitCode::CheckFailed, "regressed");
        }
        let unlike = first(GateVerdict::Incomparable).filter(|_| self.incomparable == Response::Fail);
        if let Some(row) = unlike {
            let reason = row.why.as_ref().map_or("incomparable", |(reason, _)| reason);
            return (ExitCode::NotComparable, reason);
        }
        match first(GateVerdict::Inconclusive) {
            Some(_) if self.inconclusive == Response::Fail => (ExitCode::Inconclusive, "inconclusive"),
            _ => (ExitCode::Fine, "ok"),
        }
    }
}
