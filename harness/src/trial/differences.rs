//! What a run says about its axes: differences to the reference cell, and each axis's effect over all cells.

use std::collections::BTreeMap;

use hitbench_reports::record::{
    ComparisonRecord, ComparisonsFile, FORMAT, PlannedCell, RunFolder, RunRecord, ScoreKind,
};

use super::error::TrialError;
use crate::metric::{Contrast, Direction, Resampling, SeedHits, TieRule, compare_all};

/// Chance of any false statement in each of the two families.
const ALPHA: f64 = 0.05;
/// Enough for the tail of the smallest level that the curated suites reach.
const RESAMPLING: Resampling = Resampling {
    seed: 0,
    resamples: 20_000,
};
/// How the intervals are made, for the report.
const METHOD: &str = "Queries are paired; test videos are resampled, and the spread between seeds enters through \
    Student's t with the standard deviation pooled over the cells compared. Levels are adjusted (Holm) so that the \
    chance of any false statement is at most 5 % among the statements on axes, and again among those on cells.";

/// Compares the finished trials of a run in R@`k`, text to video, under `ties`.
///
/// Two families, Holm's method in each: for every axis that the reference names, each other value against the
/// reference's, averaged over the cells that exist with both; and every cell against the reference cell. Cells
/// without finished trials are left out. `None` without a reference or with nothing to compare.
///
/// # Errors
/// Those of reading ranks; [`TrialError::Metric`] when trials do not share their queries.
pub fn differences(
    run: &RunRecord,
    folder: &RunFolder,
    k: u64,
    ties: TieRule,
) -> Result<Option<ComparisonsFile>, TrialError> {
    let Some(reference) = run.reference_cell() else {
        return Ok(None);
    };
    let hits = Hits::read(run, folder, k, ties)?;
    let cells: Vec<Pairs<'_>> = run
        .plan
        .iter()
        .filter(|cell| cell.hash != reference.hash)
        .map(|cell| Pairs {
            references: vec![reference],
            candidates: vec![cell],
        })
        .collect();
    let mut comparisons = Vec::new();
    for family in [axis_effects(run, &hits), cells] {
        comparisons.extend(hits.compare(&family, &format!("t2v.r_at.{k}"))?);
    }
    let method = METHOD.to_owned();
    Ok((!comparisons.is_empty()).then_some(ComparisonsFile {
        format: FORMAT,
        method,
        comparisons,
    }))
}

/// Cells against cells; the `i`-th of one side is the partner of the `i`-th of the other.
struct Pairs<'a> {
    references: Vec<&'a PlannedCell>,
    candidates: Vec<&'a PlannedCell>,
}

/// For each axis value, the cells with it and those that differ from them only in having the reference's value. A
/// single pair is left to the comparison of cells.
fn axis_effects<'a>(run: &'a RunRecord, hits: &Hits) -> Vec<Pairs<'a>> {
    let mut family = Vec::new();
    let Some(reference) = &run.suite.reference else {
        return family;
    };
    for axis in &run.suite.axes {
        let Some(base) = reference.get(&axis.path) else {
            continue;
        };
        for value in axis.values.iter().filter(|value| *value != base) {
            let mut pairs = Pairs {
                references: Vec::new(),
                candidates: Vec::new(),
            };
            for cell in run
                .plan
                .iter()
                .filter(|cell| cell.axis_values.get(&axis.path) == Some(value))
            {
                let mut partner = cell.axis_values.clone();
                partner.insert(axis.path.clone(), base.clone());
                let partner = run.plan.iter().find(|other| other.stands_for(&partner));
                if let Some(partner) = partner.filter(|partner| hits.has(partner) && hits.has(cell)) {
                    pairs.references.push(partner);
                    pairs.candidates.push(cell);
                }
            }
            if pairs.candidates.len() > 1 {
                family.push(pairs);
            }
        }
    }
    family
}

/// Hits of every finished trial, by cell hash.
struct Hits {
    by_cell: BTreeMap<String, Vec<SeedHits>>,
}

impl Hits {
    fn read(run: &RunRecord, folder: &RunFolder, k: u64, ties: TieRule) -> Result<Self, TrialError> {
        let trials = folder.trials()?;
        let mut by_cell = BTreeMap::new();
        for cell in &run.plan {
            let mut of_cell = Vec::new();
            for planned in &cell.trials {
                let finished = trials
                    .iter()
                    .any(|trial| trial.id == planned.id && trial.result().is_some());
                if finished {
                    let rows = folder.ranks(&planned.id)?;
                    of_cell.push(SeedHits::from_rows(&rows, Direction::T2v, |count| {
                        ties.hits(count, k)
                    }));
                }
            }
            by_cell.insert(cell.hash.clone(), of_cell);
        }
        Ok(Self { by_cell })
    }

    fn of(&self, cell: &PlannedCell) -> &[SeedHits] {
        self.by_cell.get(&cell.hash).map_or(&[], Vec::as_slice)
    }

    fn has(&self, cell: &PlannedCell) -> bool {
        !self.of(cell).is_empty()
    }

    /// Compares one family; pairs with a cell without trials are left out.
    fn compare(&self, family: &[Pairs<'_>], metric: &str) -> Result<Vec<ComparisonRecord>, TrialError> {
        let complete: Vec<&Pairs<'_>> = family
            .iter()
            .filter(|pairs| {
                pairs
                    .references
                    .iter()
                    .chain(&pairs.candidates)
                    .all(|cell| self.has(cell))
            })
            .collect();
        let contrasts: Vec<Contrast<'_>> = complete
            .iter()
            .map(|pairs| {
                let side = |cells: &[&PlannedCell]| -> Vec<&[SeedHits]> {
                    cells.iter().map(|cell| self.of(cell)).collect()
                };
                Contrast::new(&side(&pairs.references), &side(&pairs.candidates))
            })
            .collect();
        let hashes = |cells: &[&PlannedCell]| cells.iter().map(|cell| cell.hash.clone()).collect();
        let compared = compare_all(&contrasts, ALPHA, RESAMPLING)?;
        Ok(complete
            .iter()
            .zip(compared)
            .map(|(pairs, found)| ComparisonRecord {
                candidates: hashes(&pairs.candidates),
                references: hashes(&pairs.references),
                score: ScoreKind::Combined,
                metric: metric.to_owned(),
                estimate: found.estimate,
                low: found.low,
                high: found.high,
                level: found.level,
                p_value: Some(found.p_value),
                verdict: found.verdict,
                n_seeds: found.n_seeds as u64,
            })
            .collect())
    }
}
