//! Metrics against an independent implementation of trec_eval's measures, which sorts.
//!
//! trec_eval ranks by descending score and breaks ties by descending document number. Its `success_K` is our R@K, its
//! `recall_K` our true recall.

use std::collections::{BTreeMap, HashSet};

use hitbench::metric::{CaptionRule, DirectionMetrics, Pairing, Rules, TieRule, count_matrix, summarize};
use hitbench_kernels::{Rows, RowsData};
use proptest::prelude::*;

pub(crate) const CUTS: [u64; 4] = [1, 3, 5, 10];

/// Means over the topics of a run, by trec_eval's names.
pub(crate) type Measures = BTreeMap<String, f64>;

/// The measures of one topic: `run` has a score a document number, `qrels` the relevant ones.
pub(crate) fn of_topic(mut run: Vec<(String, f64)>, qrels: &HashSet<String>) -> Measures {
    run.sort_by(|(doc_a, a), (doc_b, b)| b.partial_cmp(a).unwrap().then(doc_b.cmp(doc_a)));
    let relevant: Vec<bool> = run.iter().map(|(doc, _)| qrels.contains(doc)).collect();
    let mut measures = Measures::new();
    let first = relevant.iter().position(|&relevant| relevant);
    measures.insert(
        "recip_rank".to_owned(),
        first.map_or(0.0, |i| 1.0 / (i + 1) as f64),
    );
    let (mut found, mut precisions) = (0, 0.0);
    for (i, _) in relevant.iter().enumerate().filter(|(_, relevant)| **relevant) {
        found += 1;
        precisions += f64::from(found) / (i + 1) as f64;
    }
    measures.insert("map".to_owned(), precisions / qrels.len() as f64);
    let gain = |i: usize| 1.0 / ((i + 2) as f64).log2();
    let dcg: f64 = (0..relevant.len().min(10))
        .filter(|&i| relevant[i])
        .map(gain)
        .sum();
    let ideal: f64 = (0..qrels.len().min(10)).map(gain).sum();
    measures.insert("ndcg_cut_10".to_owned(), dcg / ideal);
    for k in CUTS {
        let found = relevant
            .iter()
            .take(k as usize)
            .filter(|relevant| **relevant)
            .count();
        measures.insert(format!("recall_{k}"), found as f64 / qrels.len() as f64);
        measures.insert(format!("success_{k}"), f64::from(u8::from(found > 0)));
    }
    measures
}

pub(crate) fn means(topics: impl IntoIterator<Item = Measures>) -> Measures {
    let mut sums = Measures::new();
    let mut n = 0.0;
    for topic in topics {
        n += 1.0;
        for (name, value) in topic {
            *sums.entry(name).or_default() += value;
        }
    }
    sums.values_mut().for_each(|sum| *sum /= n);
    sums
}

/// Our names for them, as far as they are known.
pub(crate) fn named(metrics: &DirectionMetrics) -> Measures {
    let recall = metrics.recall_at.as_ref().unwrap();
    let mut measures: Measures = [
        ("recip_rank".to_owned(), metrics.mrr),
        ("map".to_owned(), metrics.map.unwrap()),
        ("ndcg_cut_10".to_owned(), metrics.ndcg_at_10.unwrap()),
    ]
    .into();
    for k in metrics.r_at.keys() {
        measures.insert(format!("recall_{k}"), recall[k]);
        measures.insert(format!("success_{k}"), metrics.r_at[k]);
    }
    measures
}

/// A set of captions with their videos, and scores of both, row-major.
struct Case {
    pairing: Pairing,
    scores: Vec<f64>,
}

impl Case {
    fn new(video_of: Vec<u32>, n_videos: usize, score: impl Fn(usize) -> f64) -> Self {
        let scores = (0..video_of.len() * n_videos).map(score).collect();
        Self {
            pairing: Pairing::new(video_of, n_videos).unwrap(),
            scores,
        }
    }

    /// Both directions as trec_eval has them.
    fn trec(&self) -> [Measures; 2] {
        let (n_captions, n_videos) = (self.pairing.n_captions(), self.pairing.n_videos());
        let name = |item: usize| format!("doc{item:05}");
        let at = |caption: usize, video: usize| self.scores[caption * n_videos + video];
        let t2v = (0..n_captions).map(|caption| {
            let run = (0..n_videos).map(|video| (name(video), at(caption, video)));
            let own = self.pairing.video_of(caption as u32) as usize;
            of_topic(run.collect(), &HashSet::from([name(own)]))
        });
        let own = self.pairing.captions_by_video();
        let asking = (0..n_videos).filter(|&video| !own[video].is_empty());
        let v2t = asking.map(|video| {
            let run = (0..n_captions).map(|caption| (name(caption), at(caption, video)));
            let qrels = own[video].iter().map(|&caption| name(caption as usize));
            of_topic(run.collect(), &qrels.collect())
        });
        [means(t2v), means(v2t)]
    }

    /// Both directions as ours.
    fn ours(&self, ties: TieRule) -> [Measures; 2] {
        let (n_captions, n_videos) = (self.pairing.n_captions(), self.pairing.n_videos());
        let rows = Rows::new(RowsData::F64(&self.scores), n_captions, n_videos).unwrap();
        let counts = count_matrix(rows, &self.pairing, CaptionRule::MinRank).unwrap();
        let rules = Rules {
            ties,
            recall_at: CUTS.to_vec(),
            ..Rules::default()
        };
        [&counts.t2v, &counts.v2t].map(|counts| named(&summarize(counts, &rules, None).unwrap()))
    }
}

#[test]
fn the_measures_of_a_small_run_by_hand() {
    // Captions 0 and 2 of video 0 are on the places 1 and 4; caption 3 beats caption 1 by its number.
    let scores = [0.9, 0.5, 0.1, 0.5];
    let case = Case::new(
        vec![0, 1, 0, 1],
        2,
        |i| if i % 2 == 0 { scores[i / 2] } else { 0.0 },
    );
    let topic = of_topic(
        (0..4)
            .map(|caption| (format!("doc{caption:05}"), scores[caption]))
            .collect(),
        &HashSet::from(["doc00000".to_owned(), "doc00002".to_owned()]),
    );
    assert_eq!(
        (topic["map"], topic["recall_3"], topic["success_1"]),
        (0.75, 0.5, 1.0)
    );
    // For video 1 all tie: captions 3 and 1 are on the places 1 and 3.
    let [_, v2t] = case.trec();
    assert_eq!(v2t["map"], (0.75 + (1.0 + 2.0 / 3.0) / 2.0) / 2.0);
    assert_eq!(v2t["recall_1"], (0.5 + 0.5) / 2.0);
}

proptest! {
    #[test]
    fn without_ties_all_measures_agree(
        video_of in prop::collection::vec(0u32..6, 1..40),
        order in Just((0..40 * 6).collect::<Vec<u32>>()).prop_shuffle(),
    ) {
        let case = Case::new(video_of, 6, |i| f64::from(order[i]) / 7.0);
        let trec = case.trec();
        for ties in [TieRule::Average, TieRule::Optimistic, TieRule::Pessimistic, TieRule::Expected] {
            for (ours, trec) in case.ours(ties).iter().zip(&trec) {
                prop_assert_eq!(ours.len(), trec.len());
                for (name, value) in trec {
                    prop_assert!((ours[name] - value).abs() < 1e-12, "{ties:?} {name}: {} {value}", ours[name]);
                }
            }
        }
    }

    #[test]
    fn with_ties_they_lie_between_the_bounds(
        video_of in prop::collection::vec(0u32..6, 1..40),
        levels in prop::collection::vec(0u8..5, 40 * 6),
    ) {
        let case = Case::new(video_of, 6, |i| f64::from(levels[i]));
        let (trec, low, high) = (case.trec(), case.ours(TieRule::Pessimistic), case.ours(TieRule::Optimistic));
        for direction in 0..2 {
            for (name, value) in &trec[direction] {
                let (low, high) = (low[direction][name], high[direction][name]);
                prop_assert!(low - 1e-12 <= *value && *value <= high + 1e-12, "{name}: {low} {value} {high}");
            }
        }
    }
}
