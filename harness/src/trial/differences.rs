//! What a run says about its axes: differences to the reference cell, and each axis's effect over all cells.

use std::collections::BTreeMap;

use hitbench_kernels::RankCount;
use hitbench_reports::record::{
    AxisValues, ComparisonRecord, ComparisonsFile, FORMAT, PlannedCell, ProtocolRecord, RunFolder, RunRecord,
    ScoreKind, TrialRecord, headline_cutoff,
};
use serde_json::Value as Json;

use super::error::TrialError;
use crate::metric::{Contrast, Direction, Recall, Resampling, SeedHits, TieRule, compare_all};

/// Chance of any false statement in each of the two families.
const ALPHA: f64 = 0.05;
/// How the intervals are made, for the report.
const METHOD: &str = "Queries are paired; test videos are resampled, and the spread between seeds enters through \
    Student's t with the standard deviation pooled over the cells compared. Levels are adjusted (Holm) so that the \
    chance of any false statement is at most 5 % among the statements on axes, and again among those on cells.";

/// Compares the finished trials of a run's own build in the metrics that its suite names.
///
/// Two families, Holm's method in each: for every axis that the reference names, each other value against the
/// reference's, averaged over the cells that exist with both; and every cell against the reference cell, in every metric. Cells
/// without finished trials are left out, and so are, with a word in the method, those on other data or under other
/// rules than what they would be compared to. Empty without a reference or with nothing to compare.
///
/// # Errors
/// Those of reading ranks; [`TrialError::Metric`] when trials do not share their queries.
pub fn differences(run: &RunRecord, folder: &RunFolder) -> Result<ComparisonsFile, TrialError> {
    let mut file = ComparisonsFile {
        format: FORMAT,
        method: METHOD.to_owned(),
        comparisons: Vec::new(),
    };
    let finished = finished(run, folder)?;
    let Some(reference) = run.reference_cell() else {
        return Ok(file);
    };
    let hits = Hits::read(&finished, folder, metrics(run, &finished))?;
    let mut cells = Vec::new();
    let mut n_unlike = 0;
    for cell in run.plan.iter().filter(|cell| cell.hash != reference.hash) {
        if hits.comparable(cell, reference) {
            cells.push(Pairs {
                references: vec![reference],
                candidates: vec![cell],
            });
        } else if hits.has(cell) && hits.has(reference) {
            n_unlike += 1;
        }
    }
    if n_unlike > 0 {
        file.method += &format!(
            " Left out: {n_unlike} cells on other data, with other cut-offs or under other rules than the reference \
             cell."
        );
    }
    if hits.metrics.len() > 1 {
        file.method += " Statements on all metrics count together.";
    }
    for family in [axis_effects(run, &hits), cells] {
        file.comparisons.extend(hits.compare(&family)?);
    }
    Ok(file)
}

/// What the suite takes differences in; of runs of before, R@K text to video at the cut-off of headlines.
fn metrics(run: &RunRecord, finished: &BTreeMap<String, Vec<TrialRecord>>) -> Vec<Recall> {
    if let Some(named) = run.suite.resolved["differences"].as_array() {
        let named = named.iter().filter_map(Json::as_str);
        return named.filter_map(|name| name.parse().ok()).collect();
    }
    let cutoffs = finished.values().flatten().flat_map(|trial| {
        let pair = trial.directions(ScoreKind::Combined);
        pair.into_iter().flat_map(|pair| pair.t2v.r_at.keys().copied())
    });
    let direction = Direction::T2v;
    headline_cutoff(cutoffs)
        .map(|k| Recall { direction, k })
        .into_iter()
        .collect()
}

/// The finished trials of each cell, by its hash; those of another build say nothing about this run.
fn finished(run: &RunRecord, folder: &RunFolder) -> Result<BTreeMap<String, Vec<TrialRecord>>, TrialError> {
    let trials = folder.trials()?;
    let of_cell = |cell: &PlannedCell| -> Vec<TrialRecord> {
        let planned = cell.trials.iter();
        planned
            .filter_map(|planned| {
                let ours = |trial: &&TrialRecord| {
                    trial.id == planned.id
                        && trial.build_id == run.tool.build_id
                        && trial.directions(ScoreKind::Combined).is_some()
                };
                trials.iter().find(ours).cloned()
            })
            .collect()
    };
    Ok(run
        .plan
        .iter()
        .map(|cell| (cell.hash.clone(), of_cell(cell)))
        .collect())
}

/// Cells against cells; the `i`-th of one side is the partner of the `i`-th of the other.
struct Pairs<'a> {
    references: Vec<&'a PlannedCell>,
    candidates: Vec<&'a PlannedCell>,
}

/// For each axis value, the cells with it and those that differ from them only in having the reference's value. A
/// single pair is left to the comparison of cells.
///
/// A cell stands for the axis values that were merged into it too; where the axis has no effect, both values are one
/// cell, which is no pair.
fn axis_effects<'a>(run: &'a RunRecord, hits: &Hits) -> Vec<Pairs<'a>> {
    let mut family = Vec::new();
    let Some(reference) = &run.suite.reference else {
        return family;
    };
    let combinations: Vec<(&AxisValues, &PlannedCell)> = run
        .plan
        .iter()
        .flat_map(|cell| {
            let own = std::iter::once(&cell.axis_values).chain(&cell.merged);
            own.map(move |values| (values, cell))
        })
        .collect();
    let cell_with = |wanted: &AxisValues| {
        let found = combinations.iter().find(|(values, _)| *values == wanted);
        found.map(|(_, cell)| *cell)
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
            for (values, cell) in &combinations {
                if values.get(&axis.path) != Some(value) {
                    continue;
                }
                let mut partner = (*values).clone();
                partner.insert(axis.path.clone(), base.clone());
                if let Some(partner) = cell_with(&partner)
                    && partner.hash != cell.hash
                    && hits.comparable(cell, partner)
                {
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

/// What a cell's hits are hits of; cells that differ in it do not compare.
#[derive(Debug, PartialEq)]
struct Basis {
    content_hash: String,
    /// Without the kernel, which may differ: that is a comparison of kernels.
    protocol: ProtocolRecord,
}

/// The finished trials of one cell.
struct CellHits {
    basis: Basis,
    /// By metric, then by seed.
    seeds: Vec<Vec<SeedHits>>,
}

/// Hits of every cell with finished trials, by its hash.
struct Hits {
    metrics: Vec<Recall>,
    by_cell: BTreeMap<String, CellHits>,
}

impl Hits {
    fn read(
        finished: &BTreeMap<String, Vec<TrialRecord>>,
        folder: &RunFolder,
        metrics: Vec<Recall>,
    ) -> Result<Self, TrialError> {
        let mut by_cell = BTreeMap::new();
        for (hash, trials) in finished {
            let mut seeds = vec![Vec::with_capacity(trials.len()); metrics.len()];
            let mut basis = None;
            for trial in trials {
                let (Some(result), Some(ties)) = (trial.result(), tie_rule(&trial.protocol)) else {
                    continue;
                };
                let has = |&Recall { direction, k }: &Recall| {
                    let found = trial.direction(ScoreKind::Combined, direction);
                    found.is_some_and(|found| found.r_at.contains_key(&k))
                };
                if !metrics.iter().all(has) {
                    continue;
                }
                let rows = folder.ranks(&trial.id)?;
                for (&Recall { direction, k }, seeds) in metrics.iter().zip(&mut seeds) {
                    let hit = |count: &RankCount| ties.hits(count, k);
                    seeds.push(SeedHits::from_rows(&rows, direction, ties, hit));
                }
                basis = Some(Basis {
                    content_hash: result.data.content_hash.clone(),
                    protocol: ProtocolRecord {
                        kernel: None,
                        ..trial.protocol.clone()
                    },
                });
            }
            if let Some(basis) = basis {
                by_cell.insert(hash.clone(), CellHits { basis, seeds });
            }
        }
        Ok(Self { metrics, by_cell })
    }

    /// The hits of a cell in the `metric`-th metric.
    fn of(&self, cell: &PlannedCell, metric: usize) -> &[SeedHits] {
        self.by_cell
            .get(&cell.hash)
            .map_or(&[], |cell| &cell.seeds[metric])
    }

    fn has(&self, cell: &PlannedCell) -> bool {
        self.by_cell.contains_key(&cell.hash)
    }

    /// Whether both cells have finished trials on the same data under the same rules.
    fn comparable(&self, one: &PlannedCell, other: &PlannedCell) -> bool {
        let basis = |cell: &PlannedCell| self.by_cell.get(&cell.hash).map(|cell| &cell.basis);
        basis(one).is_some() && basis(one) == basis(other)
    }

    /// Compares one family, in every metric.
    fn compare(&self, family: &[Pairs<'_>]) -> Result<Vec<ComparisonRecord>, TrialError> {
        let statements: Vec<(usize, &Pairs<'_>)> = (0..self.metrics.len())
            .flat_map(|metric| family.iter().map(move |pairs| (metric, pairs)))
            .collect();
        let contrasts: Vec<Contrast<'_>> = statements
            .iter()
            .map(|&(metric, pairs)| {
                let side = |cells: &[&PlannedCell]| -> Vec<&[SeedHits]> {
                    cells.iter().map(|cell| self.of(cell, metric)).collect()
                };
                Contrast::new(&side(&pairs.references), &side(&pairs.candidates))
            })
            .collect();
        let hashes = |cells: &[&PlannedCell]| cells.iter().map(|cell| cell.hash.clone()).collect();
        let compared = compare_all(
            &contrasts,
            ALPHA,
            Resampling::of_family(contrasts.len(), ALPHA / 2.0),
        )?;
        Ok(statements
            .into_iter()
            .zip(compared)
            .map(|((metric, pairs), found)| ComparisonRecord {
                candidates: hashes(&pairs.candidates),
                references: hashes(&pairs.references),
                score: ScoreKind::Combined,
                metric: self.metrics[metric].to_string(),
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

/// The rule that a trial's ranks were made under.
fn tie_rule(protocol: &ProtocolRecord) -> Option<TieRule> {
    serde_json::from_value(Json::String(protocol.ties.clone())).ok()
}

#[cfg(test)]
mod tests;
