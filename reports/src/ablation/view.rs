//! Plan and records joined: what every table and plot is made from.

use std::collections::HashMap;

use serde_json::Value;

use crate::record::{
    AxisValues, Direction, DirectionRecord, PlannedCell, PlannedTrial, RunRecord, ScoreKind, TrialOutcome,
    TrialRecord, TrialResult, headline_cutoff, value_text,
};

/// A run in plan order, whatever order its trials finished in.
pub(crate) struct RunView<'a> {
    pub(crate) run: &'a RunRecord,
    pub(crate) axes: Vec<AxisView<'a>>,
    pub(crate) cells: Vec<CellView<'a>>,
}

/// An axis and the name it has on paper.
pub(crate) struct AxisView<'a> {
    pub(crate) path: &'a str,
    pub(crate) values: &'a [Value],
    /// Last segment of the path, or the whole path where two axes share it.
    pub(crate) name: &'a str,
}

/// A planned cell and its trials, one a seed.
pub(crate) struct CellView<'a> {
    pub(crate) cell: &'a PlannedCell,
    pub(crate) is_reference: bool,
    pub(crate) trials: Vec<TrialView<'a>>,
}

/// A planned trial and what is known of it.
pub(crate) struct TrialView<'a> {
    pub(crate) planned: &'a PlannedTrial,
    pub(crate) state: TrialState<'a>,
}

/// What is known of a planned trial.
#[derive(Clone, Copy)]
pub(crate) enum TrialState<'a> {
    /// It finished.
    Ok(&'a TrialRecord, &'a TrialResult),
    /// It stopped with an error.
    Failed(&'a str),
    /// Its record is of another build, so it says nothing about this run.
    Stale,
    /// No record yet.
    Missing,
}

impl<'a> RunView<'a> {
    pub(crate) fn new(run: &'a RunRecord, trials: &'a [TrialRecord]) -> Self {
        let records: HashMap<&str, &TrialRecord> =
            trials.iter().map(|trial| (trial.id.as_str(), trial)).collect();
        let state = |planned: &PlannedTrial| match records.get(planned.id.as_str()) {
            None => TrialState::Missing,
            Some(record) if record.build_id != run.tool.build_id => TrialState::Stale,
            Some(record) => match &record.outcome {
                TrialOutcome::Ok(result) => TrialState::Ok(record, result),
                TrialOutcome::Failed { error } => TrialState::Failed(error),
            },
        };
        let reference = run.reference_cell().map(|cell| cell.hash.as_str());
        let cells = run
            .plan
            .iter()
            .map(|cell| CellView {
                cell,
                is_reference: reference == Some(cell.hash.as_str()),
                trials: cell
                    .trials
                    .iter()
                    .map(|planned| TrialView {
                        planned,
                        state: state(planned),
                    })
                    .collect(),
            })
            .collect();
        Self {
            run,
            axes: axis_views(run),
            cells,
        }
    }

    pub(crate) fn trials(&self) -> impl Iterator<Item = &TrialView<'a>> {
        self.cells.iter().flat_map(|cell| &cell.trials)
    }

    /// Planned trials that did not finish, by what is known of them: count and words. Empty when all did.
    pub(crate) fn unfinished(&self) -> Vec<(usize, &'static str)> {
        let count =
            |test: fn(&TrialState<'_>) -> bool| self.trials().filter(|trial| test(&trial.state)).count();
        let counts = [
            (count(|state| matches!(state, TrialState::Failed(_))), "failed"),
            (count(|state| matches!(state, TrialState::Missing)), "not run yet"),
            (
                count(|state| matches!(state, TrialState::Stale)),
                "of another build, left out",
            ),
        ];
        counts.into_iter().filter(|(n, _)| *n > 0).collect()
    }

    pub(crate) fn results(&self) -> impl Iterator<Item = (&'a TrialRecord, &'a TrialResult)> + '_ {
        self.cells.iter().flat_map(CellView::results)
    }

    /// `queue_len=256, hierarchy=both`; the suite's name without axes.
    pub(crate) fn label(&self, values: &AxisValues) -> String {
        if self.axes.is_empty() {
            return self.run.suite.name.clone();
        }
        let parts = self.axes.iter().filter_map(|axis| {
            let value = values.get(axis.path)?;
            Some(format!("{}={}", axis.name, value_text(value)))
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    /// Cut-offs of R@K that some trial reports, ascending.
    pub(crate) fn cutoffs(&self) -> Vec<u64> {
        let mut cutoffs: Vec<u64> = self
            .results()
            .filter_map(|(trial, _)| trial.directions(ScoreKind::Combined))
            .flat_map(|pair| pair.t2v.r_at.keys().chain(pair.v2t.r_at.keys()).copied())
            .collect();
        cutoffs.sort_unstable();
        cutoffs.dedup();
        cutoffs
    }

    /// The cut-off of headlines and plots.
    pub(crate) fn headline_cutoff(&self) -> Option<u64> {
        headline_cutoff(self.cutoffs())
    }
}

impl<'a> CellView<'a> {
    pub(crate) fn results(&self) -> impl Iterator<Item = (&'a TrialRecord, &'a TrialResult)> + '_ {
        self.trials.iter().filter_map(|trial| match trial.state {
            TrialState::Ok(record, result) => Some((record, result)),
            _ => None,
        })
    }

    /// Metrics of the finished trials under a score that was trained, by seed.
    pub(crate) fn directions(
        &self,
        kind: ScoreKind,
        direction: Direction,
    ) -> impl Iterator<Item = &'a DirectionRecord> + '_ {
        self.results()
            .filter_map(move |(trial, _)| trial.direction(kind, direction))
    }
}

fn axis_views(run: &RunRecord) -> Vec<AxisView<'_>> {
    let last = |path: &'_ str| path.rfind('.').map_or(0, |at| at + 1);
    let axes = &run.suite.axes;
    axes.iter()
        .map(|axis| {
            let name = &axis.path[last(&axis.path)..];
            let unique = axes
                .iter()
                .filter(|other| &other.path[last(&other.path)..] == name)
                .count()
                == 1;
            AxisView {
                path: &axis.path,
                values: &axis.values,
                name: if unique { name } else { &axis.path },
            }
        })
        .collect()
}

/// Mean and spread over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Standard deviation of the sample (`n - 1`); `None` for one value.
    pub(crate) sd: Option<f64>,
}

impl Spread {
    /// `None` without values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let min = values.iter().copied().reduce(f64::min)?;
        let max = values.iter().copied().reduce(f64::max)?;
        let sd = (values.len() > 1)
            .then(|| (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt());
        Some(Self { mean, min, max, sd })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture;

    #[test]
    fn spread_of_none_one_and_three() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(
            Spread::of([2.0]),
            Some(Spread {
                mean: 2.0,
                min: 2.0,
                max: 2.0,
                sd: None
            })
        );
        assert_eq!(
            Spread::of([3.0, 1.0, 2.0]),
            Some(Spread {
                mean: 2.0,
                min: 1.0,
                max: 3.0,
                sd: Some(1.0)
            })
        );
    }

    #[test]
    fn axis_names_are_short_unless_they_clash() {
        let axes = [
            ("model.video.layers", vec![json!(2)]),
            ("model.text.layers", vec![json!(4)]),
            ("train.lr", vec![json!(1e-3)]),
        ];
        let run = fixture::run(&axes, &[0]);
        let view = RunView::new(&run, &[]);
        assert_eq!(
            view.label(&run.plan[0].axis_values),
            "model.video.layers=2, model.text.layers=4, lr=0.001"
        );
    }

    #[test]
    fn a_record_of_another_build_does_not_count() {
        let run = fixture::queue_by_hierarchy(&[0]);
        let mut trials = fixture::trials(&run);
        trials.reverse();
        trials[0].build_id = "0.0.9".to_owned();
        let view = RunView::new(&run, &trials);
        assert_eq!(view.results().count(), trials.len() - 1);
        assert!(matches!(
            view.cells.last().unwrap().trials[0].state,
            TrialState::Stale
        ));
        assert_eq!(
            view.results().next().unwrap().0.id,
            run.plan[0].trials[0].id,
            "plan order"
        );
    }
}
