//! Recalls by cell, direction and column, and their differences to the reference, judged as one family a column.

use hitbench_kernels::RankCount;
use hitbench_reports::compare::{AccuracyRow, AccuracyStatement, AccuracyValue, DifferenceFound};
use hitbench_reports::record::{Direction, Verdict};

use super::align::{AlignedCell, DIRECTIONS};
use super::assemble::{ALPHA, LEVEL};
use super::statement::{CountsHeld, equal, judged, not_compared};
use crate::gate::evidence::{CellEvidence, TrialEvidence};
use crate::metric::bootstrap::{ClusterSums, percentile_interval};
use crate::metric::{
    Contrast, Judgement, MarginTest, MarginVerdict, MetricError, Resampling, SeedHits, Uncertain, judge,
};

/// The cut-offs.
const CUT_OFFS: [u64; 3] = [1, 5, 10];

/// Recalls with their intervals, without differences.
pub(super) fn rows(cells: &[AlignedCell<'_>]) -> Result<Vec<AccuracyRow>, MetricError> {
    let mut rows = Vec::new();
    for cell in cells {
        for direction in DIRECTIONS {
            let mut by_column = Vec::with_capacity(cell.by_column.len());
            for (at, own) in cell.by_column.iter().enumerate() {
                let values = own.map(|own| recalls(own, direction)).transpose()?.flatten();
                by_column.push(values.map(|values| {
                    values.map(|value| AccuracyValue {
                        has_other_settings: cell.has_other_settings(at),
                        ..value
                    })
                }));
            }
            let mut present = cell.by_column.iter().flatten().flat_map(|own| &own.trials);
            let Some(ranked) = present.find_map(|trial| trial.ranked(direction)) else {
                continue;
            };
            for (place, k) in CUT_OFFS.into_iter().enumerate() {
                rows.push(AccuracyRow {
                    cell: cell.label.to_owned(),
                    direction,
                    k,
                    n_queries: ranked.counts.len(),
                    n_gallery: ranked.n_gallery,
                    values: by_column
                        .iter()
                        .map(|values| values.as_ref().map(|values| values[place].clone()))
                        .collect(),
                });
            }
        }
    }
    Ok(rows)
}

/// The recalls of a cell at every cut-off; `None` without ranks.
fn recalls(
    cell: &CellEvidence,
    direction: Direction,
) -> Result<Option<[AccuracyValue; CUT_OFFS.len()]>, MetricError> {
    let by_cut_off = CUT_OFFS.map(|k| hits(cell, direction, k));
    let n_seeds = by_cut_off[0].len();
    if n_seeds == 0 {
        return Ok(None);
    }
    let mut means = Vec::with_capacity(CUT_OFFS.len());
    for trials in &by_cut_off {
        means.push(SeedHits::mean_of(trials)?);
    }
    let mut sums = ClusterSums::new(1 + CUT_OFFS.len());
    for (query, &cluster) in means[0].clusters.iter().enumerate() {
        let values = means.iter().map(|mean| mean.values[query]);
        sums.add(cluster, std::iter::once(1.0).chain(values));
    }
    let resampled = sums.resample(Resampling::of_family(1, ALPHA / 2.0));
    let mut values = Vec::with_capacity(CUT_OFFS.len());
    for (place, mean) in means.iter().enumerate() {
        let shares = resampled
            .chunks_exact(1 + CUT_OFFS.len())
            .map(|sums| sums[1 + place] / sums[0]);
        values.push(AccuracyValue {
            mean: mean.values.iter().sum::<f64>() / mean.values.len() as f64,
            interval: percentile_interval(shares.collect(), LEVEL)?,
            n_seeds,
            difference: None,
            has_other_settings: false,
        });
    }
    Ok(values.try_into().ok())
}

/// What each query adds to R@K, by seed.
fn hits(cell: &CellEvidence, direction: Direction, k: u64) -> Vec<SeedHits> {
    let of_trial = |trial: &TrialEvidence| {
        let (ranked, ties) = (trial.ranked(direction)?, trial.ties()?);
        let hit = |count: &RankCount| ties.hits(count, k);
        Some(SeedHits::new(
            &ranked.counts,
            ranked.queries.clusters.clone(),
            ties,
            hit,
        ))
    };
    let trials = cell.trials.iter().filter_map(of_trial);
    trials.filter(|trial| !trial.values.is_empty()).collect()
}

/// Says of `column` whether its accuracy is the reference's, and enters differences into `rows` where counts differ.
pub(super) fn state(
    cells: &[AlignedCell<'_>],
    rows: &mut [AccuracyRow],
    column: usize,
    is_training: bool,
) -> Result<AccuracyStatement, MetricError> {
    let held = counts_held(cells, column);
    if held.n_cells == 0 {
        return Ok(not_compared(column));
    }
    if held.are_equal() {
        return Ok(equal(column, &held));
    }
    let mut sides: Vec<(usize, [Vec<SeedHits>; 2])> = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let Some(cell) = cells.iter().find(|cell| cell.label == row.cell) else {
            continue;
        };
        if let (Some(expected), Some(own)) = (cell.of_reference(), cell.by_column[column]) {
            let pair = [expected, own].map(|side| hits(side, row.direction, row.k));
            if pair.iter().all(|side| !side.is_empty()) {
                sides.push((place, pair));
            }
        }
    }
    let plan = Resampling::of_family(sides.len(), ALPHA / 2.0);
    let mut family = Vec::with_capacity(sides.len());
    for (_, pair) in &sides {
        family.push(MarginTest {
            difference: difference(pair, plan)?,
            margin: 0.0,
        });
    }
    // Two families of one-sided tests, each at half of alpha.
    let judgements = judge(&family, ALPHA / 2.0)?;
    let first_level = ALPHA / 2.0 / family.len() as f64;
    let mut fewest_seeds = usize::MAX;
    for (((place, pair), test), judgement) in sides.iter().zip(&family).zip(&judgements) {
        fewest_seeds = pair.iter().map(Vec::len).fold(fewest_seeds, usize::min);
        let found = found(&test.difference, judgement, first_level)?;
        if let Some(value) = &mut rows[*place].values[column] {
            value.difference = Some(found);
        }
    }
    let tested: Vec<(&AccuracyRow, DifferenceFound)> = sides
        .iter()
        .filter_map(|(place, _)| {
            let row = &rows[*place];
            Some((row, row.values[column].as_ref()?.difference?))
        })
        .collect();
    Ok(judged(column, &held, &tested, is_training && fewest_seeds < 2))
}

/// The difference of the means, with what videos and, where both sides have several, seeds leave open.
fn difference([reference, own]: &[Vec<SeedHits>; 2], plan: Resampling) -> Result<Uncertain, MetricError> {
    let all = Contrast::new(&[reference], &[own]).uncertain(plan)?;
    let tail = ALPHA / 2.0;
    if all.upper(tail)? > all.lower(tail)? {
        return Ok(all);
    }
    // No seed and no video moves it: only what few videos leave open remains.
    let [a, b] = [SeedHits::mean_of(reference)?, SeedHits::mean_of(own)?];
    Contrast::new(&[&[a]], &[&[b]]).uncertain(plan)
}

fn found(
    difference: &Uncertain,
    judgement: &Judgement,
    first_level: f64,
) -> Result<DifferenceFound, MetricError> {
    Ok(DifferenceFound {
        estimate: difference.estimate(),
        interval: [judgement.low, judgement.high],
        level: 1.0 - judgement.alpha_low - judgement.alpha_high,
        p_value: (2.0 * judgement.p_regressed.min(judgement.p_equivalent)).min(1.0),
        verdict: match judgement.verdict {
            MarginVerdict::Regressed => Verdict::Regressed,
            MarginVerdict::Improved => Verdict::Improved,
            MarginVerdict::Equivalent | MarginVerdict::Inconclusive => Verdict::Inconclusive,
        },
        detectable: difference.detectable_either_way(first_level)?,
    })
}

/// Holds the counts of a column against the reference's, query by query.
fn counts_held(cells: &[AlignedCell<'_>], column: usize) -> CountsHeld {
    let mut held = CountsHeld::default();
    for cell in cells {
        let Some(expected) = cell.of_reference().filter(|own| has_ranks(own)) else {
            continue;
        };
        held.n_reference_cells += 1;
        let Some(own) = cell.by_column[column].filter(|own| has_ranks(own)) else {
            continue;
        };
        held.n_cells += 1;
        let seeds =
            [expected, own].map(|side| side.trials.iter().map(|trial| trial.seed).collect::<Vec<_>>());
        if seeds[0] != seeds[1] {
            held.n_other_seeds += 1;
            continue;
        }
        for (a, b) in expected.trials.iter().zip(&own.trials) {
            for direction in DIRECTIONS {
                let ranked = [a, b].map(|trial| trial.ranked(direction));
                match ranked {
                    [Some(a), Some(b)] => {
                        held.n_queries += a.counts.len() as u64;
                        let differing = a.counts.iter().zip(&b.counts).filter(|(a, b)| {
                            [a.greater, a.equal, a.own_equal] != [b.greater, b.equal, b.own_equal]
                        });
                        held.n_differ += differing.count() as u64;
                    }
                    [None, None] => {}
                    _ => held.n_one_sided += 1,
                }
            }
        }
    }
    held
}

fn has_ranks(cell: &CellEvidence) -> bool {
    cell.trials.iter().any(|trial| {
        DIRECTIONS
            .iter()
            .any(|direction| trial.ranked(*direction).is_some())
    })
}
