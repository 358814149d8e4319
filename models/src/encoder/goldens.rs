//! Agreement with PyTorch: `goldens/make_goldens.py` computes the same small model in float64.

use std::fs;

use safetensors::tensor::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use super::DualEncoder;
use crate::batch::{ExpertView, RowsView, TextBatch, VideoBatch, VideoView};
use crate::config::{ExpertSpec, HitConfig, InputSpec, MissingExperts, Pooling, Preset, TowerConfig};
use crate::hierarchy::Levels;
use crate::stored::{StoredTensor, StoredTensors};
use crate::weights::load_bert;

/// Largest error against float64, as a fraction of the tensor's largest value or of 1: values pass through
/// some 30 operations in f32, each of relative error 6e-8 times the root of up to 24 terms. (Gradients reach
/// 4; PyTorch's own in f32 are off by up to 1.4e-5 in absolute terms.)
const TOLERANCE: f64 = 1e-5;

const LEVELS: Levels = Levels {
    feature: true,
    semantic: true,
};

/// Tensors of one golden file.
struct Golden(Vec<u8>);

impl Golden {
    fn open(name: &str) -> Self {
        let path = format!("{}/goldens/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        Self(fs::read(path).unwrap())
    }

    fn get(&self, name: &str) -> Tensor {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file
            .tensor(name)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let shape: Vec<i64> = view.shape().iter().map(|&len| len as i64).collect();
        let kind = match view.dtype() {
            Dtype::I64 => Kind::Int64,
            Dtype::F32 => Kind::Float,
            other => panic!("{name} is {other:?}"),
        };
        Tensor::from_data_size(view.data(), &shape, kind)
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        Vec::try_from(self.get(name).reshape([-1])).unwrap()
    }

    fn counts(&self, name: &str) -> Vec<usize> {
        let values = Vec::<i64>::try_from(self.get(name)).unwrap();
        values
            .into_iter()
            .map(|value| usize::try_from(value).unwrap())
            .collect()
    }
}

fn tower(hidden: usize, heads: usize, ffn: usize, max_positions: usize) -> TowerConfig {
    let (dropout, attention_dropout) = (0.1, 0.1);
    let (layers, feature_tap, semantic_tap) = (3, 1, 3);
    TowerConfig {
        layers,
        hidden,
        heads,
        ffn,
        dropout,
        attention_dropout,
        feature_tap,
        semantic_tap,
        max_positions,
    }
}

fn inputs() -> InputSpec {
    let expert = |name: &str, dim| ExpertSpec {
        name: name.into(),
        dim,
    };
    InputSpec {
        experts: vec![expert("motion", 7), expert("scene", 5)],
        vocab_size: 24,
    }
}

/// The model of the script, with its weights.
fn model(pooling: Pooling, segment_embedding: bool) -> DualEncoder {
    let mut config = HitConfig::preset(Preset::Tiny);
    config.text = tower(12, 3, 20, 9);
    config.video = tower(16, 2, 24, 8);
    (config.embed_dim, config.max_text_tokens, config.pooling) = (10, 9, pooling);
    config.video_input.segment_embedding = segment_embedding;
    let model = DualEncoder::new(&config, &inputs(), Device::Cpu).unwrap();
    let weights = Golden::open("weights");
    for (name, variable) in model.variables() {
        let golden = weights.get(name);
        assert_eq!(golden.size(), variable.size(), "{name}");
        tch::no_grad(|| variable.shallow_clone().copy_(&golden));
    }
    model
}

fn texts(cases: &Golden) -> TextBatch {
    let ids = Vec::<i64>::try_from(cases.get("input.ids").reshape([-1])).unwrap();
    let lengths = cases.counts("input.text_lengths");
    let captions: Vec<&[i64]> = ids
        .chunks(9)
        .zip(lengths)
        .map(|(row, length)| &row[..length])
        .collect();
    TextBatch::from_captions(&captions, 0).unwrap()
}

fn videos(cases: &Golden) -> VideoBatch {
    let (motion, scene) = (cases.floats("input.motion"), cases.floats("input.scene"));
    let times = cases.floats("input.motion_times");
    let (motion_rows, scene_rows) = (
        cases.counts("input.motion_rows"),
        cases.counts("input.scene_rows"),
    );
    let views: Vec<_> = (0..3)
        .map(|video| {
            let motion = (motion_rows[video] > 0).then(|| ExpertView {
                rows: RowsView::Dense(&motion[video * 28..][..motion_rows[video] * 7]),
                times_s: Some(&times[video * 4..][..motion_rows[video]]),
                selected: None,
            });
            let scene = (scene_rows[video] > 0).then(|| ExpertView {
                rows: RowsView::Dense(&scene[video * 10..][..scene_rows[video] * 5]),
                times_s: None,
                selected: None,
            });
            VideoView {
                experts: vec![motion, scene],
            }
        })
        .collect();
    VideoBatch::from_videos(&inputs(), &views, 8, MissingExperts::Drop).unwrap()
}

#[track_caller]
fn assert_close(name: &str, found: &Tensor, golden: &Tensor) {
    assert_eq!(found.size(), golden.size(), "{name}");
    let error = (found - golden).abs().max().double_value(&[]);
    let largest = golden.abs().max().double_value(&[]);
    assert!(
        error <= TOLERANCE * largest.max(1.0),
        "{name}: largest error {error:e}"
    );
}

#[test]
fn embeddings_agree() {
    let cases = Golden::open("cases");
    for (pooling, pooling_name) in [
        (Pooling::Mean, "mean"),
        (Pooling::Max, "max"),
        (Pooling::Cls, "cls"),
    ] {
        for (segments, segments_name) in [(false, "plain"), (true, "segments")] {
            let model = model(pooling, segments);
            let text = model.encode_text(&texts(&cases), LEVELS, false).unwrap();
            let video = model.encode_video(&videos(&cases), LEVELS, false).unwrap();
            for (part, rows) in [
                ("text.feature", text.feature),
                ("text.semantic", text.semantic),
                ("video.feature", video.feature),
                ("video.semantic", video.semantic),
            ] {
                let name = format!("{pooling_name}.{segments_name}.{part}");
                assert_close(&name, &rows.unwrap(), &cases.get(&name));
            }
        }
    }
}

#[test]
fn tokens_at_the_taps_agree() {
    let cases = Golden::open("cases");
    let model = model(Pooling::Mean, true);
    let (text, video) = model.taps(&texts(&cases), &videos(&cases), LEVELS).unwrap();
    for (part, tokens) in [
        ("text.feature", text.feature),
        ("text.semantic", text.semantic),
        ("video.feature", video.feature),
        ("video.semantic", video.semantic),
    ] {
        let name = format!("tokens.{part}");
        assert_close(&name, &tokens.unwrap(), &cases.get(&name));
    }
}

#[test]
fn gradients_agree() {
    let cases = Golden::open("cases");
    let model = model(Pooling::Mean, true);
    let direction = cases.get("input.direction");
    let text = model.encode_text(&texts(&cases), LEVELS, false).unwrap();
    let video = model.encode_video(&videos(&cases), LEVELS, false).unwrap();
    let mut total = Tensor::from(0f32);
    for rows in [text.feature, text.semantic, video.feature, video.semantic] {
        total += (rows.unwrap() * &direction).sum(Kind::Float);
    }
    let variables: Vec<_> = model.variables().iter().map(|(_, variable)| variable).collect();
    let gradients = Tensor::f_run_backward(&[total], &variables, false, false).unwrap();
    for ((name, _), gradient) in model.variables().iter().zip(gradients) {
        assert_close(name, &gradient, &cases.get(&format!("gradient.{name}")));
    }
}

/// Largest difference from the hidden states of the `transformers` package, as a fraction of 1: both compute in f32.
const TRANSFORMERS_TOLERANCE: f64 = 1e-4;

#[test]
fn hidden_states_agree_with_transformers() {
    let (cases, weights) = (Golden::open("bert/cases"), Golden::open("bert/model"));
    let mut config = HitConfig::preset(Preset::Tiny);
    config.text = tower(16, 2, 32, 12);
    config.max_text_tokens = 12;
    let inputs = InputSpec {
        vocab_size: 40,
        ..inputs()
    };
    let model = DualEncoder::new(&config, &inputs, Device::Cpu).unwrap();
    let file = SafeTensors::deserialize(&weights.0).unwrap();
    let tensors = file.names().into_iter().map(|name| StoredTensor {
        name: name.to_owned(),
        shape: file.tensor(name).unwrap().shape().to_vec(),
        values: Some(weights.floats(name)),
    });
    let stored = StoredTensors {
        path: "bert/model.safetensors".into(),
        tensors: tensors.collect(),
    };
    load_bert(model.variables(), &stored).unwrap();
    let ids = Vec::<i64>::try_from(cases.get("ids").reshape([-1])).unwrap();
    let lengths = cases.counts("lengths");
    let captions: Vec<&[i64]> = ids
        .chunks(9)
        .zip(lengths)
        .map(|(row, length)| &row[..length])
        .collect();
    let batch = TextBatch::from_captions(&captions, 0).unwrap();
    let (text, _) = model
        .taps(&batch, &videos(&Golden::open("cases")), LEVELS)
        .unwrap();
    for (name, tokens) in [("first", text.feature), ("last", text.semantic)] {
        let (found, golden) = (tokens.unwrap(), cases.get(name));
        assert_eq!(found.size(), golden.size(), "{name}");
        let error = (found - &golden).abs().max().double_value(&[]);
        println!("{name}: largest difference {error:e}");
        assert!(error <= TRANSFORMERS_TOLERANCE, "{name}: {error:e}");
        assert!(golden.abs().max().double_value(&[]) > 1.0, "{name} is no zero");
    }
}
