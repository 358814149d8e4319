//! `summary.csv`: one row a trial, score and direction, in plan order. Holds no times, dates, paths or machine
//! facts, so that equal work gives equal bytes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::view::{CellView, RunView, TrialState, TrialView};
use crate::record::{
    Direction, DirectionRecord, RunRecord, ScoreKind, ScoreRecord, TrialRecord, TrialResult, value_text,
};

/// The summary of a run. Recalls are fractions; unknown values are empty. `status` is `ok`, `untrained` for a
/// level that was not trained, `failed`, or `missing` for a trial without a record of this build.
pub fn summary_csv(run: &RunRecord, trials: &[TrialRecord]) -> Vec<u8> {
    let view = RunView::new(run, trials);
    let columns = Columns::new(&view);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(columns.header())
        .expect("memory takes every byte");
    for cell in &view.cells {
        for trial in &cell.trials {
            for row in columns.rows(cell, trial) {
                writer
                    .write_record(row)
                    .expect("every row has the header's columns");
            }
        }
    }
    writer.into_inner().expect("memory takes every byte")
}

struct Columns<'a> {
    axes: Vec<&'a str>,
    r_at: Vec<u64>,
    recall_at: Vec<u64>,
}

const IDENTITY: [&str; 3] = ["trial", "name", "cell"];
const CONTEXT: [&str; 9] = [
    "seed",
    "status",
    "data",
    "protocol",
    "post",
    "ties",
    "captions",
    "median",
    "pair_score",
];
const COUNTS: [&str; 7] = [
    "level",
    "direction",
    "n_queries",
    "denominator",
    "n_gallery",
    "n_masked",
    "n_tied",
];
const REST: [&str; 13] = [
    "median_rank",
    "median_rank_ci95_low",
    "median_rank_ci95_high",
    "mean_rank",
    "mean_rank_ci95_low",
    "mean_rank_ci95_high",
    "sum_r",
    "geometric_mean",
    "mrr",
    "mrr_ci95_low",
    "mrr_ci95_high",
    "ndcg_at_10",
    "map",
];

impl<'a> Columns<'a> {
    fn new(view: &RunView<'a>) -> Self {
        let (mut r_at, mut recall_at) = (BTreeSet::new(), BTreeSet::new());
        for (_, result) in view.results() {
            for score in result.metrics.values() {
                let ScoreRecord::Directions(pair) = score else {
                    continue;
                };
                for record in [&pair.t2v, &pair.v2t] {
                    r_at.extend(record.r_at.keys());
                    recall_at.extend(record.recall_at.iter().flat_map(|by_k| by_k.keys()));
                }
            }
        }
        Self {
            axes: view.axes.iter().map(|axis| axis.path).collect(),
            r_at: r_at.into_iter().collect(),
            recall_at: recall_at.into_iter().collect(),
        }
    }

    fn header(&self) -> Vec<String> {
        let mut header: Vec<String> = IDENTITY.map(str::to_owned).to_vec();
        header.extend(self.axes.iter().map(|&path| path.to_owned()));
        header.extend(CONTEXT.into_iter().chain(COUNTS).map(str::to_owned));
        for k in &self.r_at {
            header.extend(
                ["", "_tie_low", "_tie_high", "_ci95_low", "_ci95_high"].map(|end| format!("r_at_{k}{end}")),
            );
        }
        header.extend(REST.map(str::to_owned));
        header.extend(self.recall_at.iter().map(|k| format!("recall_at_{k}")));
        header
    }

    fn rows(&self, cell: &CellView<'_>, trial: &TrialView<'_>) -> Vec<Vec<String>> {
        match trial.state {
            TrialState::Ok(record, result) => {
                let score = |kind| result.metrics.get(&kind).map(|score| (kind, score));
                let mut rows = Vec::new();
                for (kind, score) in ScoreKind::ALL.into_iter().filter_map(score) {
                    for direction in Direction::ALL {
                        let (status, metrics) = match score {
                            ScoreRecord::Directions(pair) => ("ok", Some(pair.of(direction))),
                            ScoreRecord::Untrained => ("untrained", None),
                        };
                        let mut row = self.front(cell, trial, status, Some((record, result)));
                        row.extend([kind.to_string(), direction.to_string()]);
                        row.extend(self.metrics(metrics));
                        rows.push(row);
                    }
                }
                rows
            }
            TrialState::Failed(_) => vec![self.empty(cell, trial, "failed")],
            TrialState::Stale | TrialState::Missing => vec![self.empty(cell, trial, "missing")],
        }
    }

    fn empty(&self, cell: &CellView<'_>, trial: &TrialView<'_>, status: &str) -> Vec<String> {
        let mut row = self.front(cell, trial, status, None);
        row.resize(self.header().len(), String::new());
        row
    }

    fn front(
        &self,
        cell: &CellView<'_>,
        trial: &TrialView<'_>,
        status: &str,
        result: Option<(&TrialRecord, &TrialResult)>,
    ) -> Vec<String> {
        let planned = trial.planned;
        let mut row = vec![planned.id.clone(), planned.name.clone(), cell.cell.hash.clone()];
        let values = &cell.cell.axis_values;
        row.extend(
            self.axes
                .iter()
                .map(|&path| value_text(values.get(path).unwrap_or(&Value::Null))),
        );
        row.extend([planned.seed.to_string(), status.to_owned()]);
        row.extend(match result {
            Some((record, result)) => {
                let protocol = record.protocol.clone();
                [
                    result.data.content_hash.clone(),
                    protocol.protocol,
                    protocol.post.unwrap_or_default(),
                    protocol.ties,
                    protocol.captions,
                    protocol.median,
                    protocol.score,
                ]
            }
            None => Default::default(),
        });
        row
    }

    fn metrics(&self, record: Option<&DirectionRecord>) -> Vec<String> {
        let Some(record) = record else {
            return vec![String::new(); 5 + 5 * self.r_at.len() + REST.len() + self.recall_at.len()];
        };
        let counts = [
            Some(record.n_queries),
            record.denominator,
            record.n_gallery,
            Some(record.n_masked),
            Some(record.n_tied),
        ];
        let mut row: Vec<String> = counts
            .map(|n| n.map(|n| n.to_string()).unwrap_or_default())
            .to_vec();
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        for k in &self.r_at {
            let tie = record.r_at_interval.get(k);
            let ci = record.r_at_ci95.get(k).copied().flatten();
            row.push(number(record.r_at.get(k).copied()));
            row.extend([0, 1].map(|end| number(tie.map(|tie| tie[end]))));
            row.extend([0, 1].map(|end| number(ci.map(|ci| ci[end]))));
        }
        let end = |interval: Option<[f64; 2]>, end: usize| interval.map(|interval| interval[end]);
        let rest = [
            record.median_rank,
            end(record.median_rank_ci95, 0),
            end(record.median_rank_ci95, 1),
            record.mean_rank,
            end(record.mean_rank_ci95, 0),
            end(record.mean_rank_ci95, 1),
            record.sum_r,
            record.geometric_mean,
            record.mrr,
            end(record.mrr_ci95, 0),
            end(record.mrr_ci95, 1),
            record.ndcg_at_10,
            record.map,
        ];
        row.extend(rest.map(number));
        row.extend(
            self.recall_at
                .iter()
                .map(|k| number(record.recall_at.as_ref().and_then(|by_k| by_k.get(k).copied()))),
        );
        row
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture;
    use crate::record::TrialOutcome;

    #[test]
    fn every_planned_trial_has_its_rows() {
        let run = fixture::run(
            &[
                (fixture::QUEUE, vec![json!(0)]),
                (fixture::HIERARCHY, vec![json!("feature")]),
            ],
            &[0, 1, 2],
        );
        let mut trials = fixture::trials(&run);
        trials.truncate(2);
        trials[1].outcome = TrialOutcome::Failed {
            error: "out of memory in /tmp at 12:00".to_owned(),
        };
        insta::assert_snapshot!(String::from_utf8(summary_csv(&run, &trials)).unwrap(), @"
        trial,name,cell,momentum.queue_len,model.hierarchy,seed,status,data,protocol,post,ties,captions,median,pair_score,level,direction,n_queries,denominator,n_gallery,n_masked,n_tied,r_at_1,r_at_1_tie_low,r_at_1_tie_high,r_at_1_ci95_low,r_at_1_ci95_high,r_at_5,r_at_5_tie_low,r_at_5_tie_high,r_at_5_ci95_low,r_at_5_ci95_high,r_at_10,r_at_10_tie_low,r_at_10_tie_high,r_at_10_ci95_low,r_at_10_ci95_high,r_at_50,r_at_50_tie_low,r_at_50_tie_high,r_at_50_ci95_low,r_at_50_ci95_high,median_rank,median_rank_ci95_low,median_rank_ci95_high,mean_rank,mean_rank_ci95_low,mean_rank_ci95_high,sum_r,geometric_mean,mrr,mrr_ci95_low,mrr_ci95_high,ndcg_at_10,map
        000000001000-s0,queue-by-hierarchy/momentum.queue_len=0/model.hierarchy=feature/seed=0,0000000010000000,0,feature,0,ok,c0ffee,custom,,average,min-rank,mean-of-middle,cosine,combined,t2v,400,400,200,0,2,0.18,0.1775,0.1825,0.15,0.21,0.36,0.3575,0.3625,0.32999999999999996,0.39,0.46799999999999997,0.46549999999999997,0.4705,0.43799999999999994,0.498,0.648,0.6455000000000001,0.6505,0.618,0.678,9,8,10.5,21.125,18.25,24.5,1.008,0.311846077922725,0.3,0.27,0.33,,
        000000001000-s0,queue-by-hierarchy/momentum.queue_len=0/model.hierarchy=feature/seed=0,0000000010000000,0,feature,0,ok,c0ffee,custom,,average,min-rank,mean-of-middle,cosine,combined,v2t,200,200,200,0,2,0.189,0.1865,0.1915,0.159,0.219,0.378,0.3755,0.3805,0.348,0.40800000000000003,0.4914,0.4889,0.4939,0.46140000000000003,0.5214,0.6804,0.6779000000000001,0.6829,0.6504,0.7104,9,8,10.5,21.125,18.25,24.5,1.0584,0.32743838181886126,0.3,0.27,0.33,,
        000000001000-s0,queue-by-hierarchy/momentum.queue_len=0/model.hierarchy=feature/seed=0,0000000010000000,0,feature,0,untrained,c0ffee,custom,,average,min-rank,mean-of-middle,cosine,semantic,t2v,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,
        000000001000-s0,queue-by-hierarchy/momentum.queue_len=0/model.hierarchy=feature/seed=0,0000000010000000,0,feature,0,untrained,c0ffee,custom,,average,min-rank,mean-of-middle,cosine,semantic,v2t,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,
        000000001000-s0,queue-by-hierarchy/momentum.queue_len=0/model.hierarchy=feature/seed=0,0000000010000000,0,feature,0,ok,c0ffee,custom,,average,min-rank,mean-of-middle,cosine,feature,t2v,400,400,200,0,2,0.126,0.1235,0.1285,0.096,0.156,0.252,0.2495,0.2545,0.222,0.28200000000000003,0.3276,0.3251,0.3301,0.2976,0.35760000000000003,0.4536,0.4511,0.4561,0.4236,0.48360000000000003,9,8,10.5,21.125,18.25,24.5,0.7056,0.2182922545459075,0.3,0.27,0.33,,
        000000001000-s0,queue-by-hierarchy/momentum.queue_len=0/model.hierarchy=feature/seed=0,0000000010000000,0,feature,0,ok,c0ffee,custom,,average,min-rank,mean-of-middle,cosine,feature,v2t,200,200,200,0,2,0.1323,0.1298,0.1348,0.1023,0.1623,0.2646,0.2621,0.2671,0.2346,0.2946,0.34398,0.34148,0.34648,0.31398000000000004,0.37398,0.47628000000000004,0.47378000000000003,0.47878000000000004,0.44628,0.5062800000000001,9,8,10.5,21.125,18.25,24.5,0.74088,0.22920686727320289,0.3,0.27,0.33,,
        000000001000-s1,queue-by-hierarchy/momentum.queue_len=0/model.hierarchy=feature/seed=1,0000000010000000,0,feature,1,failed,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,
        000000001000-s2,queue-by-hierarchy/momentum.queue_len=0/model.hierarchy=feature/seed=2,0000000010000000,0,feature,2,missing,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,
        ");
    }

    #[test]
    fn equal_work_gives_equal_bytes_whatever_order_time_and_machine() {
        let run = fixture::queue_by_hierarchy(&[0, 1]);
        let trials = fixture::trials(&run);
        let (mut other_run, mut other) = (run.clone(), trials.clone());
        other.reverse();
        other_run.machine.cpu_model = None;
        for trial in &mut other {
            trial.protocol.kernel = Some("cpu/neon/f32".to_owned());
            let TrialOutcome::Ok(result) = &mut trial.outcome else {
                panic!("the fixture's trials are fine")
            };
            result.peak_memory_bytes = None;
            result.training.as_mut().unwrap().train_time_ns = 1;
            result.training.as_mut().unwrap().pairs_per_s = 1.0;
        }
        assert_eq!(summary_csv(&run, &trials), summary_csv(&other_run, &other));
    }
}
