//! Differences to the reference cell, in words that claim no more than their interval carries.

use crate::record::{ComparisonRecord, ComparisonsFile, PlannedCell, RunRecord, Verdict};
use crate::view::{RunView, value_text};

/// A metric path as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetricName {
    /// Such as `t2v R@10`.
    pub(crate) name: String,
    /// Unit of a difference, `points` for fractions printed in per cent.
    pub(crate) unit: &'static str,
    /// What a value is multiplied with when printed.
    scale: u32,
}

impl MetricName {
    /// Reads a metric path such as `t2v.r_at.10`; an unknown one keeps its own name.
    pub(crate) fn of(path: &str) -> Self {
        let parts: Vec<&str> = path.split('.').collect();
        let (name, unit, scale) = match parts[..] {
            [direction, "r_at", k] => (format!("{direction} R@{k}"), "points", 100),
            [direction, "recall_at", k] => (format!("{direction} true recall at {k}"), "points", 100),
            [direction, "median_rank"] => (format!("{direction} MdR"), "ranks", 1),
            [direction, "mean_rank"] => (format!("{direction} MnR"), "ranks", 1),
            [direction, "sum_r"] => (format!("{direction} SumR"), "points", 100),
            [direction, "geometric_mean"] => (format!("{direction} geometric mean of R@K"), "points", 100),
            [direction, "mrr"] => (format!("{direction} MRR"), "points", 100),
            [direction, "ndcg_at_10"] => (format!("{direction} nDCG@10"), "points", 100),
            [direction, "map"] => (format!("{direction} mAP"), "points", 100),
            _ => (path.to_owned(), "", 1),
        };
        Self { name, unit, scale }
    }

    /// A difference as printed.
    pub(crate) fn scaled(&self, difference: f64) -> f64 {
        difference * f64::from(self.scale)
    }

    /// `+3.1`; never `-0.0`.
    pub(crate) fn signed(&self, difference: f64) -> String {
        let text = format!("{:+.1}", self.scaled(difference));
        if text == "-0.0" { "+0.0".to_owned() } else { text }
    }

    /// `[+1.0, +5.2]`.
    pub(crate) fn interval(&self, comparison: &ComparisonRecord) -> String {
        format!(
            "[{}, {}]",
            self.signed(comparison.low),
            self.signed(comparison.high)
        )
    }
}

/// A comparison with the cells that it names.
pub(crate) struct Difference<'a> {
    pub(crate) record: &'a ComparisonRecord,
    pub(crate) cell: &'a PlannedCell,
    pub(crate) reference: &'a PlannedCell,
    pub(crate) metric: MetricName,
}

impl<'a> Difference<'a> {
    /// Comparisons whose cells are in the plan, in plan order, one metric after the other.
    pub(crate) fn all(run: &'a RunRecord, comparisons: &'a ComparisonsFile) -> Vec<Self> {
        let place = |hash: &str| run.plan.iter().position(|cell| cell.hash == hash);
        let mut found: Vec<(usize, Self)> = comparisons
            .comparisons
            .iter()
            .filter_map(|record| {
                let (at, reference) = (place(&record.cell)?, place(&record.reference)?);
                let metric = MetricName::of(&record.metric);
                let (cell, reference) = (&run.plan[at], &run.plan[reference]);
                Some((
                    at,
                    Self {
                        record,
                        cell,
                        reference,
                        metric,
                    },
                ))
            })
            .collect();
        let mut metrics: Vec<(&str, _)> = Vec::new();
        for (_, difference) in &found {
            let key = difference.key();
            if !metrics.contains(&key) {
                metrics.push(key);
            }
        }
        found.sort_by_key(|(at, difference)| (metrics.iter().position(|key| *key == difference.key()), *at));
        found.into_iter().map(|(_, difference)| difference).collect()
    }

    /// What makes comparisons comparable: metric and score.
    pub(crate) fn key(&self) -> (&'a str, crate::record::ScoreKind) {
        (&self.record.metric, self.record.score)
    }

    /// Axes in which the cell differs from the reference: `queue_len 256 instead of 0`.
    fn changes(&self, view: &RunView<'_>) -> Vec<String> {
        let value =
            |cell: &PlannedCell, path: &str| cell.axis_values.get(path).map(value_text).unwrap_or_default();
        let change = |axis: &crate::view::AxisView<'_>| {
            let (own, reference) = (value(self.cell, axis.path), value(self.reference, axis.path));
            (own != reference).then(|| format!("{} {own} instead of {reference}", axis.name))
        };
        view.axes.iter().filter_map(change).collect()
    }

    /// One sentence that says what the interval says.
    pub(crate) fn sentence(&self, view: &RunView<'_>) -> String {
        let changes = self.changes(view);
        let what = if changes.is_empty() {
            view.label(&self.cell.axis_values)
        } else {
            changes.join(" and ")
        };
        let record = self.record;
        let numbers = format!(
            "{} {} by {} {}, {} % interval {}, {}",
            self.metric.name,
            "changed",
            self.metric.signed(record.estimate),
            self.metric.unit,
            percent_level(record.level),
            self.metric.interval(record),
            seeds(record.n_seeds),
        );
        let verdict = match record.verdict {
            Verdict::Improved => "it helped",
            Verdict::Regressed => "it hurt",
            Verdict::Inconclusive => "the interval holds zero, so this run shows neither help nor harm",
        };
        let lone = match (record.n_seeds, record.verdict) {
            (1, Verdict::Improved | Verdict::Regressed) => {
                " in this one training; other seeds were not tried, so it may be their luck"
            }
            _ => "",
        };
        format!("{what}: {numbers}: {verdict}{lone}.")
    }

    /// Whether the cell differs from the reference in this axis and no other.
    pub(crate) fn only_changes(&self, view: &RunView<'_>, path: &str) -> bool {
        view.axes.iter().all(|axis| {
            let same = self.cell.axis_values.get(axis.path) == self.reference.axis_values.get(axis.path);
            same == (axis.path != path)
        })
    }
}

/// `95` for 0.95, `99.5` for 0.995.
pub(crate) fn percent_level(level: f64) -> String {
    let text = format!("{:.2}", level * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn seeds(n: u64) -> String {
    if n == 1 {
        "1 seed".to_owned()
    } else {
        format!("{n} seeds")
    }
}
