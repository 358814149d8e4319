//! A gate as it is written for machines, schema `hitbench.gate/1`; all exports are made of it too.

use std::path::Path;

use hitbench_reports::record::MachineRecord;
use serde::Serialize;

use super::baseline::Baseline;
use super::evidence::{Evidence, SuiteId};
use super::examine::CountsFound;
use super::judge::{Gate, GateRow, GateVerdict, RowFound};
use super::metric::{GateMetric, RowKind};
use super::policy::{Policy, Response};
use super::power::Power;
use super::text::sentence;
use crate::machine::fingerprint;

/// Everything that a gate found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateReport {
    /// `hitbench.gate/1`.
    pub schema: &'static str,
    /// Exit code.
    pub code: u8,
    /// Stable word for it.
    pub reason: String,
    /// The suite.
    pub suite: SuiteId,
    /// The policy.
    pub policy: PolicyReport,
    /// What the run was held against.
    pub baseline: SideReport,
    /// The run.
    pub run: SideReport,
    /// The rows in the order of the policy.
    pub rows: Vec<RowReport>,
    /// What a person should know, a sentence each.
    pub warnings: Vec<String>,
}

/// The policy of a gate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyReport {
    /// The file.
    pub file: String,
    /// Chance of any false statement in each family.
    pub alpha: f64,
    /// What inconclusive rows do.
    pub inconclusive: Response,
    /// What rows that do not compare do.
    pub incomparable: Response,
}

/// One side of a gate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SideReport {
    /// Baseline file or run folder.
    pub path: String,
    /// Version and revision of the program.
    pub build_id: String,
    /// Git revision.
    pub git_revision: Option<String>,
    /// Fingerprint of the machine.
    pub fingerprint: String,
    /// Model of its CPU.
    pub cpu_model: Option<String>,
    /// Why it was blessed; of a baseline.
    pub blessed_for: Option<String>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowReport {
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
    /// Stable word for a verdict that the numbers do not give alone.
    pub reason: Option<String>,
    /// And in words.
    pub why: Option<String>,
    /// What was compared, what came of it, and the verdict, in one sentence.
    pub sentence: String,
    /// Counts, of a row of kind `kernel`.
    pub counts: Option<CountsFound>,
    /// The difference, of a row with a margin.
    pub difference: Option<DifferenceReport>,
}

/// A difference. Shares are fractions, differences of throughput relative changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DifferenceReport {
    /// Unit of the values: `fraction`, `ranks` or `items/s`.
    pub unit: &'static str,
    /// Unit of differences, interval and drops: `fraction`, `ranks` or `ratio`.
    pub difference_unit: &'static str,
    /// Whether a larger value is better.
    pub larger_is_better: bool,
    /// Value of the baseline.
    pub baseline: f64,
    /// Value of the run.
    pub run: f64,
    /// What both are drawn from.
    pub samples: String,
    /// Run less baseline, or run over baseline less 1.
    pub estimate: f64,
    /// Its interval.
    pub interval: [f64; 2],
    /// Level of the interval.
    pub level: f64,
    /// The margin as the policy has it.
    pub margin: String,
    /// The margin in the unit of differences.
    pub margin_drop: f64,
    /// P-value of the test for a regression, not adjusted.
    pub p_regressed: f64,
    /// P-value of the test for equivalence, not adjusted.
    pub p_equivalent: f64,
    /// P-value of the test for a gain, not adjusted.
    pub p_improved: f64,
    /// Smallest drop that is found four times in five.
    pub detectable_drop: f64,
    /// Whether an equal candidate is shown to be so less often than four times in five.
    pub undecidable: bool,
    /// What new samples alone said.
    pub confirmation: Option<ConfirmationReport>,
}

/// The second look at a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfirmationReport {
    /// Value of the new run.
    pub run: f64,
    /// The new difference.
    pub estimate: f64,
    /// Its interval.
    pub interval: [f64; 2],
    /// Whether it regressed again.
    pub confirmed: bool,
}

impl GateReport {
    /// Writes down a gate between two sides of a suite.
    pub fn new(gate: &Gate, policy: &Policy, suite: &SuiteId, [baseline, run]: [SideReport; 2]) -> Self {
        let (code, reason) = gate.conclusion();
        Self {
            schema: "hitbench.gate/1",
            code: code.number(),
            reason: reason.to_owned(),
            suite: suite.clone(),
            policy: PolicyReport {
                file: policy.file.clone(),
                alpha: policy.alpha,
                inconclusive: policy.inconclusive,
                incomparable: policy.incomparable,
            },
            baseline,
            run,
            rows: gate.rows.iter().map(RowReport::new).collect(),
            warnings: Vec::new(),
        }
    }

    /// Rows with a verdict.
    pub fn count(&self, verdict: GateVerdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }

    /// `3 regressed, 40 equivalent`: the verdicts that occur, worst first.
    pub fn tally(&self) -> String {
        let counted = GateVerdict::ALL
            .into_iter()
            .map(|verdict| (self.count(verdict), verdict));
        let words: Vec<String> = counted
            .filter(|(n, _)| *n > 0)
            .map(|(n, verdict)| format!("{n} {}", verdict.name()))
            .collect();
        words.join(", ")
    }
}

impl SideReport {
    /// A side read from `path`.
    pub fn new(path: &Path, side: &Evidence) -> Self {
        let machine: &MachineRecord = &side.machine;
        Self {
            path: path.display().to_string(),
            build_id: side.tool.build_id.clone(),
            git_revision: side.tool.git_revision.clone(),
            fingerprint: fingerprint(machine),
            cpu_model: machine.cpu_model.clone(),
            blessed_for: None,
        }
    }

    /// A baseline read from `path`.
    pub fn of_baseline(path: &Path, baseline: &Baseline) -> Self {
        Self {
            blessed_for: Some(baseline.reason.clone()),
            ..Self::new(path, &baseline.evidence)
        }
    }
}

impl RowReport {
    fn new(row: &GateRow) -> Self {
        let (counts, difference) = match &row.found {
            Some(RowFound::Counts(found)) => (Some(found.clone()), None),
            Some(RowFound::Difference(found)) => {
                let (estimate, interval) = found.shown(row.metric);
                let confirmation = found.confirmation.as_ref().map(|again| {
                    let ends = [again.judgement.low, again.judgement.high].map(|end| row.metric.shown(end));
                    ConfirmationReport {
                        run: again.run,
                        estimate: row.metric.shown(again.estimate),
                        interval: [ends[0].min(ends[1]), ends[0].max(ends[1])],
                        confirmed: again.judgement.high < -found.margin_in_units,
                    }
                });
                let (unit, difference_unit) = units(row.metric);
                let difference = DifferenceReport {
                    unit,
                    difference_unit,
                    larger_is_better: row.metric.larger_is_better(),
                    baseline: found.baseline,
                    run: found.run,
                    samples: found.samples.clone(),
                    estimate,
                    interval,
                    level: 1.0 - found.judgement.alpha_low - found.judgement.alpha_high,
                    margin: found.margin.to_string(),
                    margin_drop: row.metric.shown_drop(found.margin_in_units),
                    p_regressed: found.judgement.p_regressed,
                    p_equivalent: found.judgement.p_equivalent,
                    p_improved: found.judgement.p_improved,
                    detectable_drop: row.metric.shown_drop(found.detectable),
                    undecidable: found.undecidable,
                    confirmation,
                };
                (None, Some(difference))
            }
            None => (None, None),
        };
        Self {
            id: row.id.clone(),
            cell: row.cell.clone(),
            kind: row.kind,
            metric: row.metric,
            line: row.line,
            verdict: row.verdict,
            reason: row.why.as_ref().map(|(reason, _)| (*reason).to_owned()),
            why: row.why.as_ref().map(|(_, why)| why.clone()),
            sentence: sentence(row),
            counts,
            difference,
        }
    }
}

/// Units of values and of differences.
fn units(metric: GateMetric) -> (&'static str, &'static str) {
    match metric {
        GateMetric::RAt(..) | GateMetric::Mrr(_) => ("fraction", "fraction"),
        GateMetric::MeanRank(_) => ("ranks", "ranks"),
        GateMetric::PairsPerS | GateMetric::ItemsPerS(_) => ("items/s", "ratio"),
        GateMetric::Counts(_) => ("queries", "queries"),
    }
}

/// What one row could find out, for machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PowerReport {
    /// Id in the policy.
    pub id: String,
    /// Label of the cell.
    pub cell: String,
    /// Metric.
    pub metric: GateMetric,
    /// The margin as the policy has it.
    pub margin: String,
    /// Value of the baseline.
    pub baseline: f64,
    /// What a run like the baseline would be drawn from.
    pub samples: String,
    /// Smallest drop that is found four times in five.
    pub detectable_drop: f64,
    /// Whether an equal candidate is shown to be so less often than four times in five.
    pub undecidable: bool,
}

impl From<&Power> for PowerReport {
    fn from(power: &Power) -> Self {
        Self {
            id: power.id.clone(),
            cell: power.cell.clone(),
            metric: power.metric,
            margin: power.margin.to_string(),
            baseline: power.baseline,
            samples: power.samples.clone(),
            detectable_drop: power.metric.shown_drop(power.detectable),
            undecidable: power.undecidable,
        }
    }
}
