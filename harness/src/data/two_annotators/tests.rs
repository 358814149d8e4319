//! The task on a few invented videos and on the real files.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::data::activitynet::real_annotations;

const VAL_1: &str = r#"{
    "v_1": {"timestamps": [[0, 2]], "sentences": ["A dog runs."]},
    "v_2": {"timestamps": [[0, 2]], "sentences": ["Only here."]},
    "v_3": {"timestamps": [[0, 2], [2, 3]], "sentences": ["A man sits.", " He waves."]},
    "v_4": {"timestamps": [[0, 2]], "sentences": ["Two cats."]}
}"#;
const VAL_2: &str = r#"{
    "v_3": {"timestamps": [[4, 6], [0, 1]], "sentences": ["The man waves.", " A dog, a man."]},
    "v_1": {"timestamps": [[1, 2]], "sentences": ["The dog's dog!"]},
    "v_4": {"timestamps": [[0, 2]], "sentences": ["..."]}
}"#;

fn invented(folder: &Path, seed: u64) -> TwoAnnotatorsConfig {
    fs::write(folder.join("val_1.json"), VAL_1).unwrap();
    fs::write(folder.join("val_2.json"), VAL_2).unwrap();
    TwoAnnotatorsConfig {
        annotations: vec![folder.to_owned()],
        word_dim: 4,
        test_videos: 1,
        seed,
    }
}

fn rows(data: &Dataset, video: usize) -> Vec<Vec<f32>> {
    let speech = data.videos[video].experts[0].as_ref().unwrap();
    speech.rows.to_f32(4).chunks(4).map(<[f32]>::to_vec).collect()
}

#[test]
fn words_become_vectors_with_the_middle_of_their_sentence_as_time() {
    let folder = tempfile::tempdir().unwrap();
    let data = load(&TwoAnnotatorsConfig {
        test_videos: 2,
        ..invented(folder.path(), 5)
    })
    .unwrap();
    let ids: Vec<&str> = data.videos.iter().map(|video| video.id.as_str()).collect();
    assert_eq!(ids, ["v_1", "v_3", "v_4"]);
    assert_eq!(data.captions[1].text, "A man sits. He waves.");
    assert_eq!(data.lexical[1], "The man waves. A dog, a man.");
    // a dog a man | the man waves: sentences in time order, words in theirs.
    let man = rows(&data, 1);
    assert_eq!(
        data.videos[1].experts[0].as_ref().unwrap().times_s,
        Some(vec![0.5, 0.5, 0.5, 0.5, 5.0, 5.0, 5.0])
    );
    assert_eq!((&man[0], &man[3]), (&man[2], &man[5]));
    let dog = rows(&data, 0);
    // the dog's dog
    assert_eq!((&dog[0], &dog[2]), (&man[4], &man[1]));
    assert_ne!(dog[1], dog[2]);
    assert!(data.videos[2].experts[0].is_none());
    assert_eq!((data.gaps.videos_without_features, data.captions.len()), (1, 3));
}

#[test]
fn a_words_vector_depends_on_seed_and_word_alone() {
    let folder = tempfile::tempdir().unwrap();
    let vector = |seed, text: &str| {
        let config = TwoAnnotatorsConfig {
            test_videos: 2,
            ..invented(folder.path(), seed)
        };
        fs::write(folder.path().join("val_2.json"), VAL_2.replace("The dog's", text)).unwrap();
        rows(&load(&config).unwrap(), 0).pop().unwrap()
    };
    assert_eq!(vector(5, "Some other words before the"), vector(5, "The dog's"));
    assert_ne!(vector(6, "The dog's"), vector(5, "The dog's"));
}

#[test]
fn too_many_test_videos_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = TwoAnnotatorsConfig {
        test_videos: 3,
        ..invented(folder.path(), 0)
    };
    assert_eq!(
        load(&config).unwrap_err().to_string(),
        "3 test videos and a training video asked for, but `two-annotators` has 3"
    );
}

#[test]
fn the_real_task_has_4885_videos_and_1000_test() {
    let Some(folder) = real_annotations() else { return };
    let config = TwoAnnotatorsConfig {
        annotations: vec![folder],
        ..TwoAnnotatorsConfig::default()
    };
    let data = load(&config).unwrap();
    assert_eq!(
        (data.videos.len(), data.captions.len(), data.lexical.len()),
        (4885, 4885, 4885)
    );
    assert_eq!((data.splits.train.len(), data.splits.test.len()), (3885, 1000));
    assert_eq!(
        (data.gaps.videos_without_features, data.gaps.ids_without_captions),
        (0, 9)
    );
    let FeatureRows::Indexed { table, .. } = &data.videos[0].experts[0].as_ref().unwrap().rows else {
        panic!("word vectors are shared")
    };
    let n = table.len() as f64;
    let mean = table.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = table.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n;
    assert!(
        mean.abs() < 0.005 && (variance - 1.0).abs() < 0.005,
        "{mean} {variance}"
    );
    let texts: HashSet<&str> = data
        .captions
        .iter()
        .map(|caption| caption.text.as_str())
        .collect();
    println!("{} different paragraphs, hash {}", texts.len(), data.content_hash);
    assert_eq!(load(&config).unwrap().content_hash, data.content_hash);
    let other = TwoAnnotatorsConfig { seed: 1, ..config };
    assert_ne!(load(&other).unwrap().splits, data.splits);
}
