//! Hand-computed scores, and the real split.

use hitbench_models::config::ExpertSpec;

use super::*;
use crate::data::activitynet::real_annotations;
use crate::data::config::TwoAnnotatorsConfig;
use crate::data::dataset::{Caption, Gaps, Splits, Video};
use crate::data::two_annotators;

fn data(pairs: &[(&str, &str)], n_train: usize) -> Dataset {
    let video = |id: usize| Video {
        id: id.to_string(),
        experts: vec![None],
    };
    Dataset {
        name: "pairs".into(),
        about: String::new(),
        experts: vec![ExpertSpec {
            name: "none".into(),
            dim: 1,
        }],
        videos: (0..pairs.len()).map(video).collect(),
        captions: pairs
            .iter()
            .enumerate()
            .map(|(video, (text, _))| Caption {
                id: video.to_string(),
                video,
                text: (*text).into(),
            })
            .collect(),
        splits: Splits {
            train: (0..n_train).collect(),
            val: vec![],
            test: (n_train..pairs.len()).collect(),
        },
        lexical: pairs.iter().map(|(_, text)| (*text).into()).collect(),
        gaps: Gaps::default(),
        content_hash: String::new(),
    }
}

#[test]
fn scores_are_cosines_of_the_documented_weights() {
    let data = data(
        &[
            ("a dog", "a cat"),
            ("dog dog bird", "the dog a bird"),
            ("", "cat"),
        ],
        1,
    );
    let found = lexical_scores(&data, Split::Test).unwrap();
    assert_eq!((found.n_queries, found.n_gallery), (2, 2));
    // Two training documents: df(a) = 2, df(dog) = df(cat) = 1, others 0.
    let (a, dog, none) = (0.0, (3.0f64 / 2.0).ln(), 3.0f64.ln());
    let twice = (1.0 + 2.0f64.ln()) * dog;
    let query = (twice * twice + none * none).sqrt();
    let item = (none * none + dog * dog + a * a + none * none).sqrt();
    let expected = (twice * dog + none * none) / (query * item);
    assert!(
        (f64::from(found.scores[0]) - expected).abs() < 1e-6,
        "{} {expected}",
        found.scores[0]
    );
    assert_eq!(found.scores[1..], [0.0, 0.0, 0.0]);
}

#[test]
fn data_without_words_has_no_lexical_scores() {
    let mut data = data(&[("a", "a"), ("b", "b")], 1);
    data.lexical.clear();
    assert_eq!(lexical_scores(&data, Split::Test), None);
}

/// Share of queries with fewer than `k` strictly better videos.
fn recall(scores: &LexicalScores, k: usize) -> f64 {
    let rows = scores.scores.chunks(scores.n_gallery).enumerate();
    let hits = rows.filter(|(query, row)| row.iter().filter(|&&score| score > row[*query]).count() < k);
    hits.count() as f64 / scores.n_queries as f64
}

#[test]
fn the_real_split_shares_most_of_its_words() {
    let Some(folder) = real_annotations() else { return };
    let config = TwoAnnotatorsConfig {
        annotations: vec![folder],
        ..TwoAnnotatorsConfig::default()
    };
    let data = two_annotators::load(&config).unwrap();
    let scores = lexical_scores(&data, Split::Test).unwrap();
    assert_eq!((scores.n_queries, scores.n_gallery), (1000, 1000));
    let recalls = [1, 5, 10, 50].map(|k| recall(&scores, k));
    println!("R@1, 5, 10, 50: {recalls:?}");
    assert!((0.70..0.78).contains(&recalls[2]), "{recalls:?}");
}
