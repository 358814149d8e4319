//! Differences to the reference cell, in words that claim no more than their interval carries.

use serde_json::Value;

use super::view::RunView;
use crate::record::{
    ComparisonRecord, ComparisonsFile, PlannedCell, RunRecord, ScoreKind, Verdict, value_text,
};

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
    pub(crate) metric: MetricName,
    candidates: Vec<&'a PlannedCell>,
    references: Vec<&'a PlannedCell>,
}

impl<'a> Difference<'a> {
    /// Comparisons whose cells are all in the plan, those of one metric after those of another, in file order.
    pub(crate) fn all(run: &'a RunRecord, comparisons: &'a ComparisonsFile) -> Vec<Self> {
        let cells = |hashes: &[String]| -> Option<Vec<&'a PlannedCell>> {
            hashes
                .iter()
                .map(|hash| run.plan.iter().find(|cell| &cell.hash == hash))
                .collect()
        };
        let mut found: Vec<Self> = comparisons
            .comparisons
            .iter()
            .filter_map(|record| {
                let (candidates, references) = (cells(&record.candidates)?, cells(&record.references)?);
                Some(Self {
                    record,
                    metric: MetricName::of(&record.metric),
                    candidates,
                    references,
                })
            })
            .collect();
        let mut keys: Vec<(&str, ScoreKind)> = Vec::new();
        for difference in &found {
            if !keys.contains(&difference.key()) {
                keys.push(difference.key());
            }
        }
        found.sort_by_key(|difference| keys.iter().position(|key| *key == difference.key()));
        found
    }

    /// What makes comparisons comparable: metric and score.
    pub(crate) fn key(&self) -> (&'a str, ScoreKind) {
        (&self.record.metric, self.record.score)
    }

    /// How the two sides differ in each axis.
    fn contrasts<'v>(&self, view: &'v RunView<'_>) -> Vec<(&'v str, Contrast)> {
        let values = |cells: &[&PlannedCell], path: &str| {
            let mut texts: Vec<String> = Vec::new();
            for cell in cells {
                let text = cell.axis_values.get(path).map(value_text).unwrap_or_default();
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
            texts
        };
        let contrast = |path: &str| {
            let (candidates, references) = (values(&self.candidates, path), values(&self.references, path));
            match (self.shares(path), &candidates[..]) {
                (true, [held]) => Contrast::Held(held.clone()),
                (true, _) => Contrast::Averaged,
                (false, _) => Contrast::Changed(candidates.join(" and "), references.join(" and ")),
            }
        };
        view.axes
            .iter()
            .map(|axis| (axis.name, contrast(axis.path)))
            .collect()
    }

    /// Whether partners agree in an axis: they have a value in common, those of cells merged into them included.
    fn shares(&self, path: &str) -> bool {
        let has = |cell: &PlannedCell, value: &Value| {
            let mut values = std::iter::once(&cell.axis_values).chain(&cell.merged);
            values.any(|values| values.get(path) == Some(value))
        };
        self.candidates
            .iter()
            .zip(&self.references)
            .all(|(candidate, reference)| {
                let mut values = std::iter::once(&candidate.axis_values).chain(&candidate.merged);
                values.any(|values| values.get(path).is_some_and(|value| has(reference, value)))
            })
    }

    /// Short name for tables and plots: the cell, or what changed.
    pub(crate) fn label(&self, view: &RunView<'_>) -> String {
        if let ([cell], [_]) = (&self.candidates[..], &self.references[..]) {
            return view.label(&cell.axis_values);
        }
        let mut contrasts = self.contrasts(view);
        contrasts.sort_by_key(|(_, contrast)| !matches!(contrast, Contrast::Changed(..)));
        let parts = contrasts.into_iter().map(|(axis, contrast)| match contrast {
            Contrast::Changed(to, from) => format!("{axis}={to} against {from}"),
            Contrast::Held(value) => format!("{axis}={value}"),
            Contrast::Averaged => format!("mean over {axis}"),
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    /// One sentence that says what the interval says.
    pub(crate) fn sentence(&self, view: &RunView<'_>) -> String {
        let (mut changed, mut context) = (Vec::new(), Vec::new());
        for (axis, contrast) in self.contrasts(view) {
            match contrast {
                Contrast::Changed(to, from) => changed.push(format!("{axis} {to} instead of {from}")),
                Contrast::Held(value) => context.push(format!("at {axis}={value}")),
                Contrast::Averaged => context.push(format!("averaged over {axis}")),
            }
        }
        let record = self.record;
        let verdict = match (record.verdict, record.n_seeds) {
            (Verdict::Improved, _) => "it helped",
            (Verdict::Regressed, _) => "it hurt",
            (Verdict::Inconclusive, 1) => "no statement, since one seed says nothing about another training",
            (Verdict::Inconclusive, _) => "this run shows neither help nor harm",
        };
        let mut what = changed.join(" and ");
        if !context.is_empty() {
            what += &format!(", {}", context.join(", "));
        }
        format!(
            "{what}: {} changed by {} {}, {} % interval {}, {}: {verdict}.",
            self.metric.name,
            self.metric.signed(record.estimate),
            self.metric.unit,
            percent_level(record.level),
            self.metric.interval(record),
            if record.n_seeds == 1 {
                "1 seed".to_owned()
            } else {
                format!("{} seeds", record.n_seeds)
            },
        )
    }

    /// Whether the sides differ in this axis and no other.
    pub(crate) fn only_changes(&self, view: &RunView<'_>, name: &str) -> bool {
        let is_changed = |contrast: &Contrast| matches!(contrast, Contrast::Changed(..));
        self.contrasts(view)
            .iter()
            .all(|(axis, contrast)| is_changed(contrast) == (*axis == name))
    }
}

/// How two sides differ in one axis.
enum Contrast {
    /// To these values from those.
    Changed(String, String),
    /// Both sides have this value alone.
    Held(String),
    /// Both sides have the same several values.
    Averaged,
}

/// `95` for 0.95, `99.5` for 0.995.
pub(crate) fn percent_level(level: f64) -> String {
    let text = format!("{:.2}", level * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn sentence(change: impl Fn(&mut ComparisonRecord, &RunRecord)) -> String {
        sentence_of(fixture::queue_by_hierarchy(&[0, 1, 2]), change)
    }

    fn sentence_of(run: RunRecord, change: impl Fn(&mut ComparisonRecord, &RunRecord)) -> String {
        let mut comparisons = fixture::comparisons(&run);
        comparisons.comparisons.truncate(1);
        change(&mut comparisons.comparisons[0], &run);
        let view = RunView::new(&run, &[]);
        Difference::all(&run, &comparisons)[0].sentence(&view)
    }

    #[test]
    fn one_cell_against_the_reference() {
        insta::assert_snapshot!(sentence(|_, _| {}), @r"
        hierarchy feature instead of semantic, at queue_len=0: t2v R@10 changed by -4.9 points, 95 % interval [-8.9, -0.9], 3 seeds: it hurt.
        ");
    }

    #[test]
    fn all_cells_of_a_value_against_all_of_another() {
        let text = sentence(|record, run| {
            let with = |n: u64| {
                run.plan
                    .iter()
                    .filter(move |cell| cell.axis_values[fixture::QUEUE] == n)
            };
            record.references = with(0).map(|cell| cell.hash.clone()).collect();
            record.candidates = with(256).map(|cell| cell.hash.clone()).collect();
            record.verdict = Verdict::Improved;
            record.level = 0.99375;
        });
        insta::assert_snapshot!(text, @r"
        queue_len 256 instead of 0, averaged over hierarchy: t2v R@10 changed by -4.9 points, 99.38 % interval [-8.9, -0.9], 3 seeds: it helped.
        ");
    }

    #[test]
    fn a_merged_cell_stands_for_every_value_merged_into_it() {
        // As if the hierarchy had no effect without a queue.
        let mut run = fixture::queue_by_hierarchy(&[0, 1, 2]);
        let is_without = |cell: &PlannedCell| cell.axis_values[fixture::QUEUE] == 0;
        let merged = run.plan.iter().filter(|cell| is_without(cell)).skip(1);
        let merged = merged.map(|cell| cell.axis_values.clone()).collect();
        let first = run.plan.iter().position(is_without).unwrap();
        run.plan[first].merged = merged;
        let text = sentence_of(run, |record, run| {
            let with = |n: u64| {
                run.plan
                    .iter()
                    .filter(move |cell| cell.axis_values[fixture::QUEUE] == n)
            };
            let first = with(0).next().unwrap();
            record.candidates = with(256).map(|cell| cell.hash.clone()).collect();
            record.references = vec![first.hash.clone(); record.candidates.len()];
        });
        assert!(text.contains("averaged over hierarchy"), "{text}");
    }

    #[test]
    fn one_seed_makes_no_statement() {
        let text = sentence(|record, _| {
            record.n_seeds = 1;
            record.verdict = Verdict::Inconclusive;
        });
        insta::assert_snapshot!(text, @r"
        hierarchy feature instead of semantic, at queue_len=0: t2v R@10 changed by -4.9 points, 95 % interval [-8.9, -0.9], 1 seed: no statement, since one seed says nothing about another training.
        ");
    }

    #[test]
    fn metric_names_and_units() {
        let of = |path| MetricName::of(path);
        assert_eq!(
            (of("v2t.r_at.5").name, of("v2t.r_at.5").unit),
            ("v2t R@5".to_owned(), "points")
        );
        assert_eq!(
            (of("t2v.mean_rank").name, of("t2v.mean_rank").unit),
            ("t2v MnR".to_owned(), "ranks")
        );
        assert_eq!(of("train.pairs_per_s").name, "train.pairs_per_s");
        assert_eq!(of("t2v.r_at.1").signed(-0.0001), "+0.0");
        assert_eq!(of("t2v.r_at.1").signed(0.0312), "+3.1");
    }
}
