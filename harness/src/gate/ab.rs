//! Two builds in turns on one machine: old, new, new, old, each in a process of its own. What slows the machine for
//! minutes slows both, and falls out of a block's difference; blocks are the samples.

use super::error::GateError;
use super::evidence::{CellEvidence, Evidence};
use super::examine::{Difference, in_units};
use super::judge::{Gate, GateRow, GateVerdict, judge_family};
use super::metric::{GateMetric, RowKind};
use super::policy::{Policy, RowTest};
use super::sides::{Subject, Unlike, check_suites, same_settings, subjects, values};
use crate::metric::{MarginTest, paired_mean};

/// Fewest blocks with a spread worth looking at.
pub const FEWEST_BLOCKS: usize = 3;

/// One turn: old, new, new, old.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// First and last.
    pub old: [Evidence; 2],
    /// Second and third.
    pub new: [Evidence; 2],
}

/// After how many blocks the verdicts are looked at, ascending; the last is `budget`.
pub fn looks(budget: usize) -> Vec<usize> {
    let budget = budget.max(FEWEST_BLOCKS);
    let mut looks = vec![budget.div_ceil(2), (3 * budget).div_ceil(4), budget];
    looks.retain(|look| *look >= FEWEST_BLOCKS);
    looks.dedup();
    looks
}

/// Judges the throughput rows of a policy after some blocks; rows of other kinds have no place here.
///
/// Whoever looks `n_looks` times has `alpha / n_looks` for each look, so that the chance of a false statement in any of
/// them is at most `alpha` (Bonferroni).
///
/// # Errors
/// [`GateError::NotComparable`] when the builds read the suite as another one or another version,
/// [`GateError::Metric`] for fewer than two blocks.
pub fn judge_blocks(policy: &Policy, blocks: &[Block], n_looks: usize) -> Result<Gate, GateError> {
    let mut rows = Vec::new();
    let mut differences = Vec::new();
    let Some(first) = blocks.first() else {
        return Err(GateError::Metric(crate::metric::MetricError::NothingToCompare));
    };
    check_suites(&first.old[0], &first.new[0])?;
    for Subject { row, label, cell } in subjects(policy, &first.old[0], "the old build") {
        let RowTest::Margin {
            kind: RowKind::Throughput,
            metric,
            margin,
        } = row.test
        else {
            continue;
        };
        let mut gate_row = GateRow {
            id: row.id.clone(),
            cell: label,
            kind: RowKind::Throughput,
            metric,
            line: row.line,
            verdict: GateVerdict::Incomparable,
            why: None,
            found: None,
        };
        match cell.and_then(|cell| block_logs(blocks, cell, metric)) {
            Err(Unlike { reason, text }) => gate_row.why = Some((reason, text)),
            Ok(logs) => {
                let mean =
                    |of: fn(&[f64; 2]) -> f64| (logs.iter().map(of).sum::<f64>() / logs.len() as f64).exp();
                let changes: Vec<f64> = logs.iter().map(|[old, new]| new - old).collect();
                let difference = Difference {
                    test: MarginTest {
                        difference: paired_mean(&changes)?,
                        margin: in_units(metric, margin, 1.0),
                    },
                    names: ["the old build", "the new one"],
                    baseline: mean(|[old, _]| *old),
                    run: mean(|[_, new]| *new),
                    samples: format!("{} blocks of old, new, new, old", logs.len()),
                };
                differences.push((rows.len(), margin, difference));
            }
        }
        rows.push(gate_row);
    }
    judge_family(policy.alpha / n_looks as f64, &mut rows, differences)?;
    Ok(Gate {
        alpha: policy.alpha,
        inconclusive: policy.inconclusive,
        incomparable: policy.incomparable,
        rows,
    })
}

/// Mean logarithms of both builds in every block.
fn block_logs(blocks: &[Block], cell: &CellEvidence, metric: GateMetric) -> Result<Vec<[f64; 2]>, Unlike> {
    let of_run = |run: &Evidence| {
        let found = run.cells.iter().find(|other| other.name == cell.name);
        let missing = || Unlike {
            reason: "missing-rows",
            text: format!("a run has no {metric} of `{}`", cell.label()),
        };
        let found = found.ok_or_else(missing)?;
        same_settings(cell, found)?;
        let values = values(found, metric);
        match values.is_empty() {
            true => Err(missing()),
            false => Ok(values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64),
        }
    };
    let of_side = |[a, b]: &[Evidence; 2]| Ok((of_run(a)? + of_run(b)?) / 2.0);
    let of_block = |block: &Block| Ok([of_side(&block.old)?, of_side(&block.new)?]);
    blocks.iter().map(of_block).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Machine, throughput};
    use super::*;

    fn policy() -> Policy {
        let text = "format: 1\nrows:\n  - {id: a, kind: throughput, metric: warm.items_per_s, margin: 5%}\n";
        Policy::parse("p.yaml", text).unwrap()
    }

    /// Blocks on a machine that gets slower by 5 % from run to run, the new build being `ratio` as fast as the old.
    fn blocks(n: usize, ratio: f64) -> Vec<Block> {
        (0..n)
            .map(|block| {
                let run = |turn: usize, ratio: f64| {
                    let slower = 0.95_f64.powi((4 * block + turn) as i32);
                    let jitter = 1.0 + 0.002 * ((7 * block + 3 * turn) % 5) as f64;
                    throughput(&[("k", &[1e6 * ratio * slower * jitter])], Machine::Same)
                };
                Block {
                    old: [run(0, 1.0), run(3, 1.0)],
                    new: [run(1, ratio), run(2, ratio)],
                }
            })
            .collect()
    }

    #[test]
    fn a_machine_that_slows_down_slows_both() {
        for (ratio, expected) in [
            (1.0, GateVerdict::Equivalent),
            (0.9, GateVerdict::Regressed),
            (1.05, GateVerdict::Improved),
        ] {
            let gate = judge_blocks(&policy(), &blocks(4, ratio), 3).unwrap();
            assert_eq!(gate.rows[0].verdict, expected, "{ratio}: {gate:?}");
        }
    }

    #[test]
    fn other_settings_do_not_compare() {
        let mut blocks = blocks(3, 1.0);
        blocks[1].new[0].cells[0].hash = "other".to_owned();
        let gate = judge_blocks(&policy(), &blocks, 1).unwrap();
        assert_eq!(gate.rows[0].verdict, GateVerdict::Incomparable);
        assert_eq!(gate.rows[0].why.as_ref().unwrap().0, "other-settings");
        blocks[0].new[0].suite.version += 1;
        let error = judge_blocks(&policy(), &blocks, 1).unwrap_err();
        assert_eq!(error.reason(), "other-suite-version");
    }

    #[test]
    fn looks_end_at_the_budget() {
        assert_eq!(looks(8), [4, 6, 8]);
        assert_eq!(looks(4), [3, 4]);
        assert_eq!(looks(3), [3]);
        assert_eq!(looks(1), [3]);
    }
}
