//! Ranked lists read from files: TREC runs against the independent implementation of trec_eval's measures, predictions
//! against the metrics of the matrix that they were made from.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use hitbench::eval::{
    EvaluatedLists, IdList, Mask, Names, Retrieved, evaluate_lists, join_predictions, join_trec,
};
use hitbench::format::{Location, Predictions, Qrels, TrecRun};
use hitbench::metric::{Protocol, Rules, TieRule};
use proptest::prelude::*;

use crate::metric_goldens::{assert_close, data, json};
use crate::trec_measures::{CUTS, Measures, means, named, of_topic};

/// For every query its list, and its relevant items.
type Topics = BTreeMap<String, (Vec<(String, f64)>, HashSet<String>)>;

/// What trec_eval gives.
fn trec(topics: &Topics) -> Measures {
    means(
        topics
            .values()
            .map(|(list, relevant)| of_topic(list.clone(), relevant)),
    )
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(topics: &Topics) -> Self {
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let (mut run, mut qrels) = (String::new(), String::new());
        for (query, (list, relevant)) in topics {
            for (rank, (item, score)) in list.iter().enumerate() {
                run += &format!("{query}\tQ0 {item} {rank} {score:e} t\n");
            }
            for item in relevant {
                qrels += &format!("{query} 0 {item} 1\n");
            }
            qrels += &format!("{query} 0 never 0\n");
        }
        std::fs::write(files.path("run"), run).unwrap();
        std::fs::write(files.path("qrels"), qrels).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn metrics(&self, ties: TieRule) -> Measures {
        let rules = Rules {
            ties,
            recall_at: CUTS.to_vec(),
            ..Rules::default()
        };
        let run = TrecRun::read(&Location::file(self.path("run"))).unwrap();
        let qrels = Qrels::read(&Location::file(self.path("qrels"))).unwrap();
        let Retrieved::Lists(lists) = join_trec(run, &qrels, None, false).unwrap() else {
            panic!("no list has `never`");
        };
        let metrics = evaluate_lists(lists, Protocol::CUSTOM, rules, None)
            .unwrap()
            .metrics;
        named(&metrics)
    }
}

/// Queries over 20 items, each with a list of some of them and one to four true ones; `scores` are drawn for each item
/// of a list. Some lists lack true items, and `never` is in no list.
fn topics(
    scores: impl Strategy<Value = f64> + Clone + 'static,
    single: bool,
) -> impl Strategy<Value = Topics> {
    let n_true = if single { 1..=1 } else { 1..=4 };
    let item = |number: usize| format!("v{number}");
    let query = (
        proptest::sample::subsequence((0..20usize).collect::<Vec<_>>(), 1..=20).prop_shuffle(),
        proptest::collection::vec(scores, 20),
        proptest::sample::subsequence((0..20usize).collect::<Vec<_>>(), n_true),
    );
    let query = query.prop_map(move |(listed, scores, relevant)| {
        let list = listed.into_iter().map(item).zip(scores).collect();
        (list, relevant.into_iter().map(item).collect())
    });
    proptest::collection::vec(query, 1..12).prop_map(|queries| {
        (0..)
            .zip(queries)
            .map(|(number, query): (u32, _)| (format!("q{number}"), query))
            .collect()
    })
}

/// Scores of which no two in a list are equal.
fn without_ties(mut topics: Topics) -> Topics {
    for (list, _) in topics.values_mut() {
        for (place, (_, score)) in list.iter_mut().enumerate() {
            *score += place as f64 * 1e-7;
        }
    }
    topics
}

proptest! {
    #[test]
    fn without_ties_every_measure_is_that_of_trec_eval(
        topics in prop_oneof![topics(-1e3..1e3, true), topics(-1e3..1e3, false)].prop_map(without_ties),
    ) {
        let ours = Files::new(&topics).metrics(TieRule::Average);
        let trec = trec(&topics);
        let shortest = topics.values().map(|(list, _)| list.len() as u64).min().unwrap();
        prop_assert_eq!(ours.len(), 3 + 2 * CUTS.iter().filter(|&&k| k <= shortest).count());
        for (name, value) in ours {
            prop_assert!((trec[&name] - value).abs() <= 1e-12, "{}: {} {}", name, value, trec[&name]);
        }
    }

    #[test]
    fn with_ties_trec_eval_lies_between_the_worst_and_the_best_order(
        topics in prop_oneof![
            topics((0u8..4).prop_map(f64::from), true),
            topics((0u8..4).prop_map(f64::from), false),
        ],
    ) {
        let files = Files::new(&topics);
        let (low, high) = (files.metrics(TieRule::Pessimistic), files.metrics(TieRule::Optimistic));
        let trec = trec(&topics);
        for (name, low) in low {
            let (value, high) = (trec[&name], high[&name]);
            prop_assert!(low - 1e-12 <= value && value <= high + 1e-12, "{name}: {low} {value} {high}");
        }
    }
}

#[test]
fn predictions_of_several_captions_a_video() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/eval/multi");
    let golden = &json(folder.join("expected.json"))["mmt_t2v"];
    let predictions = Predictions::read(&Location::file(
        folder.join("MSRVTT-public_server_test-predictions.csv"),
    ))
    .unwrap();
    let names = Names {
        mask: Some(Mask::read(&Location::file(folder.join("query_masks.npy"))).unwrap()),
        videos: Some(IdList {
            location: Location::file("videos"),
            ids: (0..18).map(|video| format!("video{video}")).collect(),
        }),
        ..Names::default()
    };
    let lists = join_predictions(predictions, &names).unwrap();
    let EvaluatedLists { metrics, .. } =
        evaluate_lists(lists, Protocol::CUSTOM, Rules::default(), None).unwrap();
    assert_eq!((metrics.n_queries, metrics.n_gallery), (83, Some(18)));
    for k in [1, 5, 10] {
        assert_close(
            metrics.r_at[&k] * 100.0,
            golden[format!("R{k}")].as_f64().unwrap(),
            &format!("R@{k}"),
        );
    }
    assert_eq!(metrics.r_at.len(), 3);
    assert_eq!(metrics.median_rank, golden["MedR"].as_f64());
    assert_eq!(metrics.mean_rank, None);
    assert_close(
        metrics.geometric_mean.unwrap() * 100.0,
        golden["geometric_mean_R1-R5-R10"].as_f64().unwrap(),
        "geometric mean",
    );
    // The ranks that the lists hold are those of the whole matrix.
    let cols: Vec<u64> = serde_json::from_value(golden["cols"].clone()).unwrap();
    assert_close(
        metrics.mrr,
        cols.iter()
            .map(|&col| if col < 10 { 1.0 / (col + 1) as f64 } else { 0.0 })
            .sum::<f64>()
            / 83.0,
        "MRR",
    );
}
