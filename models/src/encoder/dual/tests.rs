use super::*;
use crate::batch::{ExpertView, RowsView, VideoView};
use crate::config::{ExpertSpec, MissingExperts, Preset};
use crate::count::ParameterCounts;

const BOTH: Levels = Levels {
    feature: true,
    semantic: true,
};

fn inputs() -> InputSpec {
    let expert = |name: &str, dim| ExpertSpec {
        name: name.into(),
        dim,
    };
    InputSpec {
        experts: vec![expert("motion", 6), expert("scene", 3)],
        vocab_size: 50,
    }
}

fn small() -> HitConfig {
    let mut config = HitConfig::preset(Preset::Tiny);
    for tower in [&mut config.video, &mut config.text] {
        (tower.hidden, tower.ffn, tower.layers) = (16, 32, 3);
        (tower.feature_tap, tower.semantic_tap) = (1, 2);
    }
    config.embed_dim = 8;
    config
}

fn encoder(config: &HitConfig, seed: i64) -> DualEncoder {
    tch::manual_seed(seed);
    DualEncoder::new(config, &inputs(), Device::Cpu).unwrap()
}

fn texts(captions: &[&[i64]]) -> TextBatch {
    TextBatch::from_captions(captions, 0).unwrap()
}

/// Videos with rows of the two experts; an empty slice is an absent expert.
fn videos(rows: &[(&[f32], &[f32])]) -> VideoBatch {
    fn view(rows: &[f32]) -> Option<ExpertView<'_>> {
        let view = ExpertView {
            rows: RowsView::Dense(rows),
            times_s: None,
            selected: None,
        };
        (!rows.is_empty()).then_some(view)
    }
    let views = rows.iter().map(|(motion, scene)| VideoView {
        experts: vec![view(motion), view(scene)],
    });
    let views: Vec<_> = views.collect();
    VideoBatch::from_videos(&inputs(), &views, 128, MissingExperts::Drop).unwrap()
}

fn values(tensor: &Option<Tensor>) -> Vec<f32> {
    Vec::try_from(tensor.as_ref().unwrap().reshape([-1])).unwrap()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-6, "{a} is not {b}");
    }
}

#[test]
fn sizes_are_as_counted() {
    let mut config = small();
    config.video.heads = 2;
    for segment_embedding in [false, true] {
        config.video_input.segment_embedding = segment_embedding;
        let counts = ParameterCounts::of(&config, &inputs());
        let encoder = encoder(&config, 1);
        let sum = |prefixes: &[&str]| -> u64 {
            let ours = encoder
                .variables()
                .iter()
                .filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)));
            ours.map(|(_, variable)| variable.numel() as u64).sum()
        };
        assert_eq!(sum(&["video.projections."]), counts.projections);
        assert_eq!(sum(&["video.embeddings."]), counts.video_embeddings);
        assert_eq!(sum(&["video.encoder."]), counts.video_layers);
        assert_eq!(sum(&["text.embeddings."]), counts.text_embeddings);
        assert_eq!(sum(&["text.encoder."]), counts.text_layers);
        assert_eq!(sum(&["heads."]), counts.heads);
        assert_eq!(sum(&[""]), counts.total());
    }
}

#[test]
fn neighbours_and_padding_do_not_matter() {
    for pooling in [Pooling::Mean, Pooling::Max, Pooling::Cls] {
        let encoder = encoder(&HitConfig { pooling, ..small() }, 2);
        let together = encoder
            .encode_text(&texts(&[&[2, 9, 3], &[2, 7, 8, 30, 3]]), BOTH, false)
            .unwrap();
        let alone = encoder.encode_text(&texts(&[&[2, 9, 3]]), BOTH, false).unwrap();
        assert_close(&values(&together.feature)[..8], &values(&alone.feature));
        assert_close(&values(&together.semantic)[..8], &values(&alone.semantic));

        let (motion, scene) = ([0.5, -1.0, 2.0, 0.1, 0.0, 3.0], [1.0, -1.0, 0.5, 2.0, 2.0, 2.0]);
        let first: (&[f32], &[f32]) = (&[], &scene);
        let together = videos(&[(&motion, &scene), first, (&[], &[])]);
        let together = encoder.encode_video(&together, BOTH, false).unwrap();
        let alone = encoder.encode_video(&videos(&[first]), BOTH, false).unwrap();
        assert_close(&values(&together.feature)[8..16], &values(&alone.feature));
        assert_close(&values(&together.semantic)[8..16], &values(&alone.semantic));
    }
}

#[test]
fn rows_are_unit_and_inputs_matter() {
    let encoder = encoder(&small(), 3);
    let found = encoder
        .encode_text(&texts(&[&[2, 9, 10, 3], &[2, 10, 9, 3]]), BOTH, false)
        .unwrap();
    for level in [&found.feature, &found.semantic] {
        let values = values(level);
        for row in values.chunks(8) {
            assert!((row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
        }
        // Word order reaches the embedding through the position table.
        assert!(values[..8] != values[8..]);
    }
    assert!(values(&found.feature) != values(&found.semantic));
}

#[test]
fn levels_bound_the_work() {
    let encoder = encoder(&small(), 4);
    let reached = |levels: Levels| -> Vec<&str> {
        let text = encoder.encode_text(&texts(&[&[2, 9, 3]]), levels, false).unwrap();
        let video = encoder
            .encode_video(&videos(&[(&[], &[1.0, 2.0, 3.0])]), levels, false)
            .unwrap();
        let rows = [text.feature, text.semantic, video.feature, video.semantic];
        assert_eq!(
            [rows[0].is_some(), rows[1].is_some()],
            [levels.feature, levels.semantic]
        );
        let mut total = Tensor::from(0f32);
        for rows in rows.iter().flatten() {
            total += rows.pow_tensor_scalar(3).sum(tch::Kind::Float);
        }
        let variables: Vec<_> = encoder.variables().iter().map(|(_, variable)| variable).collect();
        let gradients = Tensor::f_run_backward(&[total], &variables, false, false).unwrap();
        let reached = encoder
            .variables()
            .iter()
            .zip(gradients)
            .filter(|(_, g)| g.defined());
        reached.map(|((name, _), _)| name.as_str()).collect()
    };
    let names = |skip: &[&str]| -> Vec<&str> {
        let names = encoder.variables().iter().map(|(name, _)| name.as_str());
        names
            .filter(|name| !skip.iter().any(|part| name.contains(part)))
            .collect()
    };
    // The expert that the batch lacks has a gradient all the same: zero.
    assert_eq!(reached(BOTH), names(&["layer.2."]));
    let feature = Levels {
        feature: true,
        semantic: false,
    };
    assert_eq!(reached(feature), names(&["layer.1.", "layer.2.", "semantic"]));
    let semantic = Levels {
        feature: false,
        semantic: true,
    };
    assert_eq!(reached(semantic), names(&["layer.2.", "feature"]));
}

#[test]
fn dropout_is_active_in_training_alone() {
    let encoder = encoder(&small(), 5);
    let run = |train| {
        let text = encoder.encode_text(&texts(&[&[2, 9, 3]]), BOTH, train).unwrap();
        let video = encoder
            .encode_video(&videos(&[(&[], &[1.0, 2.0, 3.0])]), BOTH, train)
            .unwrap();
        [text.feature, text.semantic, video.feature, video.semantic].map(|level| values(&level))
    };
    let (still, again) = (run(false), run(false));
    assert_eq!(still, again);
    for (trained, still) in run(true).iter().zip(&still) {
        assert_ne!(trained, still);
    }
}

#[test]
fn copies_are_equal_and_independent() {
    let (ours, theirs) = (encoder(&small(), 6), encoder(&small(), 7));
    let batch = texts(&[&[2, 9, 3]]);
    let run = |encoder: &DualEncoder| values(&encoder.encode_text(&batch, BOTH, false).unwrap().semantic);
    assert_ne!(run(&ours), run(&theirs));
    ours.copy_from(&theirs).unwrap();
    assert_eq!(run(&ours), run(&theirs));
    let before = run(&theirs);
    let _ = no_grad(|| ours.variables()[0].1.shallow_clone().fill_(1.0));
    assert_ne!(run(&ours), before);
    assert_eq!(run(&theirs), before);

    ours.set_requires_grad(false).unwrap();
    assert!(
        ours.variables()
            .iter()
            .all(|(_, variable)| !variable.requires_grad())
    );
    let wider = encoder(
        &HitConfig {
            embed_dim: 9,
            ..small()
        },
        8,
    );
    assert!(matches!(ours.copy_from(&wider), Err(ModelError::Shape { .. })));
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let encoder = encoder(&small(), 9);
    let text = |batch: &TextBatch| encoder.encode_text(batch, BOTH, false).unwrap_err().to_string();
    assert_eq!(
        text(&texts(&[&[2, 50, 3]])),
        "token id: expected below 50, found 50"
    );
    let long = texts(&[&[1; 129]]);
    assert_eq!(
        text(&long),
        "tokens of a caption: expected at most 128, found 129"
    );
    let video = |change: fn(&mut VideoBatch)| {
        let mut batch = videos(&[(&[], &[1.0, 2.0, 3.0])]);
        change(&mut batch);
        encoder.encode_video(&batch, BOTH, false).unwrap_err().to_string()
    };
    assert_eq!(
        video(|b| b.source_row[2] = 4),
        "source row: expected 1 to below 4, found 4"
    );
    assert_eq!(
        video(|b| b.position[1] = 128),
        "position: expected 0 to below 128, found 128"
    );
    assert_eq!(
        video(|b| b.expert[1] = 3),
        "expert: expected 0 to below 3, found 3"
    );
    assert_eq!(
        video(|b| b.experts[0].dim = 5),
        "length of a feature row: expected 6, found 5"
    );
    assert_eq!(
        video(|b| b.lengths[0] = 0),
        "tokens of a row: expected 1 to 3, found 0"
    );
}

#[test]
fn the_paper_preset_builds_and_runs() {
    let experts = [
        ("face", 512),
        ("ocr", 300),
        ("rgb", 2048),
        ("s3d", 1024),
        ("scene", 2208),
        ("speech", 300),
        ("vggish", 128),
    ];
    let experts = experts
        .map(|(name, dim)| ExpertSpec {
            name: name.into(),
            dim,
        })
        .to_vec();
    let inputs = InputSpec {
        experts,
        vocab_size: 28_996,
    };
    let config = HitConfig::preset(Preset::Paper);
    tch::manual_seed(10);
    let encoder = DualEncoder::new(&config, &inputs, Device::Cpu).unwrap();
    let n_parameters: usize = encoder
        .variables()
        .iter()
        .map(|(_, variable)| variable.numel())
        .sum();
    assert_eq!(n_parameters as u64, ParameterCounts::of(&config, &inputs).total());

    let rows: Vec<Vec<f32>> = inputs
        .experts
        .iter()
        .map(|expert| vec![0.5; 30 * expert.dim])
        .collect();
    let view = |rows| {
        Some(ExpertView {
            rows: RowsView::Dense(rows),
            times_s: None,
            selected: None,
        })
    };
    let full = VideoView {
        experts: rows.iter().map(|rows| view(rows)).collect(),
    };
    let bare = VideoView {
        experts: vec![None; inputs.experts.len()],
    };
    let video = VideoBatch::from_videos(
        &inputs,
        &[full, bare],
        config.video.max_positions,
        MissingExperts::Drop,
    )
    .unwrap();
    assert_eq!(video.seq_len, 218);
    let text = texts(&[&[101, 7, 102], &[101; 30]]);
    no_grad(|| {
        let text = encoder.encode_text(&text, BOTH, true).unwrap();
        let video = encoder.encode_video(&video, BOTH, true).unwrap();
        for level in [text.feature, text.semantic, video.feature, video.semantic] {
            assert_eq!(level.as_ref().unwrap().size(), [2, 512]);
            for row in values(&level).chunks(512) {
                assert!((row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    });
}
