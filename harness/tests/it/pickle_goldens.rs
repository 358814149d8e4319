//! Every pickle of the test data: the same counts as the plain array gives, and the values that the file holds.

use std::path::Path;

use hitbench::eval::{Given, Mask, Names};
use hitbench::format::{Key, Pickle, Value, View};
use serde_json::json;

use crate::eval_goldens::{ALL_TIES, directions, location, matrix};
use crate::metric_goldens::data;

#[test]
fn every_pickle_of_the_small_matrix_gives_the_same() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/eval/single");
    for ties in ALL_TIES {
        let of = |file: &str| {
            directions(
                || Given::Scores(matrix(folder.join(file), None)),
                Names::default,
                ties,
            )
        };
        let expected = of("sims.npy");
        for file in [
            "sims_protocol2.pkl",
            "sims_protocol4.pkl",
            "sims_protocol4_numpy2.pkl",
            "sims_protocol5_numpy2.pkl",
        ] {
            assert_eq!(of(file), expected, "{file}, {ties:?}");
        }
    }
}

#[test]
fn pickled_matrices_and_masks_of_several_captions_give_the_same() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/eval/multi");
    let dictionary = "MSRVTT-test-sims.npy";
    let of = |(sims, sims_key): (&str, Option<&str>), (mask, mask_key): (&str, Option<&str>), ties| {
        directions(
            || Given::Scores(matrix(folder.join(sims), sims_key)),
            || Names {
                mask: Some(Mask::read(&location(folder.join(mask), mask_key)).unwrap()),
                ..Names::default()
            },
            ties,
        )
    };
    let pickled = (
        ("tt-ce-test-captions-test-videos-seed0.pkl", None),
        ("tt-ce-test-query_masks.pkl", None),
    );
    let of_keys = ((dictionary, Some("sims")), (dictionary, Some("query_masks")));
    for ties in ALL_TIES {
        let expected = of(("sims.npy", None), ("query_masks.npy", None), ties);
        for (sims, mask) in [pickled, of_keys, (pickled.0, of_keys.1)] {
            assert_eq!(of(sims, mask, ties), expected, "{}, {}, {ties:?}", sims.0, mask.0);
        }
    }
}

/// Every pickle in the folder, with what Python and NumPy read in it.
const FILES: [(&str, &str); 8] = [
    (
        "aggregated_audio_feats/Audio_MSRVTT_new.pickle",
        r#"{"video7020": "(3, 128)", "video9770": "(3, 128)", "video9771": "(3, 128)"}"#,
    ),
    (
        "aggregated_face_feats/facefeats-avg.pickle",
        r#"{"video7020": "(512,)", "video9770": "NaN", "video9771": "(512,)"}"#,
    ),
    (
        "aggregated_imagenet_25fps_256px_stride1_offset0/senet154-avg.pickle",
        r#"{"video7020": "(2048,)", "video9770": "(2048,)", "video9771": "(2048,)"}"#,
    ),
    (
        "aggregated_ocr_feats/ocr-raw.pickle",
        r#"{"video7020": "(2, 300)", "video9770": "(6, 300)", "video9771": "NaN"}"#,
    ),
    (
        "aggregated_scene_25fps_256px_stride1_offset0/densenet161-avg.pickle",
        r#"{"video7020": "(1, 2208)", "video9770": "(1, 2208)", "video9771": "(1, 2208)"}"#,
    ),
    (
        "aggregated_speech/speech-w2v.pickle",
        r#"{"video7020": "(4, 300)", "video9770": "NaN", "video9771": "NaN"}"#,
    ),
    (
        "aggregated_text_feats/w2v.pkl",
        r#"{"video7020": ["(8, 300)", "(6, 300)"], "video9770": ["(7, 300)"], "video9771": ["(5, 300)", "(3, 300)", "(7, 300)"]}"#,
    ),
    (
        "raw-captions.pkl",
        r#"{"video7020": [["a", "woman", "creating", "a", "fondant", "baby", "and", "flower"], ["a", "person", "makes", "a", "cake", "decoration"]], "video9770": [["a", "person", "is", "connecting", "something", "to", "system"]], "video9771": [["a", "little", "girl", "does", "gymnastics"], ["a", "girl", "flips"], ["une", "fille", "fait", "de", "la", "gymnastique", "\u00e9"]]}"#,
    ),
];

/// A value as JSON: arrays by shape, NaN as `"NaN"`.
fn shown(value: Value<'_>) -> serde_json::Value {
    match value.view() {
        View::Int(value) => value.into(),
        View::Float(value) if value.is_nan() => "NaN".into(),
        View::Text(text) => text.into(),
        View::List(items) => items.map(shown).collect(),
        View::Dict(entries) => entries
            .map(|(key, value)| (key.to_string(), shown(value)))
            .collect(),
        View::Array(array) => array.shape().to_string().into(),
        _ => panic!("found {}", value.describe()),
    }
}

fn check(path: &Path, expected: serde_json::Value) {
    let pickle = Pickle::read(path).unwrap();
    assert_eq!(shown(pickle.root()), expected, "{}", path.display());
}

#[test]
fn features_and_captions_of_collaborative_experts_and_mmt() {
    let Some(data) = data() else { return };
    let mmt = data.join("synthetic/mmt");
    check(
        &mmt.join("jsfusion_val_caption_idx.pkl"),
        json!({"video9770": 0, "video9771": 1}),
    );
    let folder = data.join("synthetic/collaborative-experts/structured-symlinks");
    for (file, expected) in FILES {
        check(&folder.join(file), serde_json::from_str(expected).unwrap());
    }
}

#[test]
fn features_are_read_as_rows() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/collaborative-experts/structured-symlinks");
    for (file, _) in FILES {
        let pickle = Pickle::read(&folder.join(file)).unwrap();
        let mut open = vec![pickle.root()];
        while let Some(value) = open.pop() {
            match value.view() {
                View::Array(array) => {
                    let (shape, rows) = (array.shape().0, array.matrix().unwrap());
                    let sizes = [1, shape[0]];
                    let sizes = if shape.len() == 2 { &shape } else { &sizes[..] };
                    assert_eq!([rows.n_rows(), rows.n_columns()], sizes, "{file}");
                    let cells =
                        (0..rows.n_rows()).flat_map(|row| (0..rows.n_columns()).map(move |c| (row, c)));
                    let values = rows.rows();
                    let sum: f64 = cells.map(|(row, column)| values.get(row, column).abs()).sum();
                    assert!(sum.is_finite() && sum > 0.0, "{file}");
                }
                View::List(items) => open.extend(items),
                View::Dict(entries) => open.extend(entries.map(|(key, value)| {
                    assert!(matches!(key, Key::Text(_)));
                    value
                })),
                _ => {}
            }
        }
    }
}
