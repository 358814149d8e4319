//! The trainer from outside: steps, checkpoints, resuming, learning.
//!
//! libtorch's random generator belongs to the process, so these tests take turns.
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod kernels;
mod pairs;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hitbench_models::config::{Hierarchy, LrFactors, Preset, QueueDtype};
use hitbench_models::{
    HitConfig, MomentumConfig, OptimizerConfig, OptimizerRule, StepStats, TrainKernels, Trainer, TrainerSpec,
};
use pairs::{batch, inputs};
use safetensors::SafeTensors;

static TURN: Mutex<()> = Mutex::new(());

fn my_turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tiny preset made still smaller, with dropout everywhere.
fn small_model(hierarchy: Hierarchy) -> HitConfig {
    let mut model = HitConfig {
        hierarchy,
        embed_dim: 16,
        ..HitConfig::preset(Preset::Tiny)
    };
    for tower in [&mut model.text, &mut model.video] {
        tower.layers = 2;
        tower.semantic_tap = 2;
        tower.hidden = 32;
        tower.heads = 2;
        tower.ffn = 48;
        tower.attention_dropout = 0.1;
    }
    model
}

fn spec(hierarchy: Hierarchy, queue_len: usize) -> TrainerSpec {
    TrainerSpec {
        model: small_model(hierarchy),
        momentum: MomentumConfig {
            queue_len,
            momentum: 0.9,
            ..MomentumConfig::default()
        },
        inputs: inputs(),
        optimizer: OptimizerConfig {
            rule: OptimizerRule::Adam,
            weight_decay: 0.0,
            clip_grad_norm: 0.0,
            lr_factors: LrFactors::default(),
        },
        kernels: TrainKernels::Libtorch,
        device: "cpu".to_owned(),
        threads: 1,
        seed: 5,
    }
}

/// Steps `range` on eight pairs each, wandering over 40.
fn train(trainer: &mut Trainer, range: std::ops::Range<u64>) -> Vec<StepStats> {
    let ids = |step| (0..8).map(|i| (step * 5 + i * 3) % 40).collect::<Vec<_>>();
    range
        .map(|step| {
            trainer
                .step(step, 1e-3 * (1.0 + step as f64), &batch(&ids(step)))
                .unwrap()
        })
        .collect()
}

/// Every file of a checkpoint with its bytes.
fn files(folder: &Path) -> HashMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

/// The `f32` tensors of a safetensors file.
fn tensors(path: &Path) -> HashMap<String, Vec<f32>> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| {
        data.chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    file.tensors()
        .into_iter()
        .map(|(name, view)| (name, values(view.data())))
        .collect()
}

#[test]
fn a_resumed_run_repeats_the_uninterrupted_one_bit_for_bit() {
    let _turn = my_turn();
    let (libtorch, custom) = (TrainKernels::Libtorch, TrainKernels::Custom);
    for (queue_len, rule, dtype, kernels) in [
        (0, OptimizerRule::Adam, QueueDtype::F16, libtorch),
        (0, OptimizerRule::Adam, QueueDtype::F16, custom),
        // Neither length is a multiple of the batch; one probe of key drift is measured early, one is saved.
        (20, OptimizerRule::Adamw, QueueDtype::F16, libtorch),
        (20, OptimizerRule::Adamw, QueueDtype::F16, custom),
        (500, OptimizerRule::Adam, QueueDtype::F32, libtorch),
        (500, OptimizerRule::Adam, QueueDtype::F32, custom),
    ] {
        let mut spec = spec(Hierarchy::Both, queue_len);
        spec.kernels = kernels;
        spec.momentum.queue_dtype = dtype;
        spec.momentum.mask_same_video = true;
        spec.optimizer = OptimizerConfig {
            rule,
            weight_decay: if rule == OptimizerRule::Adamw { 0.01 } else { 0.0 },
            clip_grad_norm: 1.0,
            lr_factors: LrFactors::default(),
        };
        let home = tempfile::tempdir().unwrap();
        let (straight, halves) = (home.path().join("straight"), home.path().join("halves"));

        let mut trainer = Trainer::new(spec.clone()).unwrap();
        let expected = train(&mut trainer, 0..6);
        let straight = trainer.save(&straight, 6).unwrap();

        let mut first = Trainer::new(spec.clone()).unwrap();
        let mut found = train(&mut first, 0..3);
        first.save(&halves, 3).unwrap();
        drop(first);
        assert_eq!(Trainer::saved_step(&halves).unwrap(), Some(3));
        let (mut second, step) = Trainer::load(spec, &halves).unwrap();
        assert_eq!(step, 3);
        found.extend(train(&mut second, 3..6));
        let halves = second.save(&halves, 6).unwrap();

        assert_eq!(found, expected);
        assert_eq!(
            expected.iter().any(|stats| stats.key_drift.is_some()),
            queue_len == 20
        );
        let (straight, halves) = (files(&straight), files(&halves));
        assert_eq!(straight.len(), if queue_len == 0 { 3 } else { 6 });
        for (name, bytes) in &straight {
            assert!(halves[name] == *bytes, "{name} differs");
        }
        let (texts, videos) = (batch(&[1, 7]).text, batch(&[1, 7]).video);
        assert_eq!(
            second.embed_texts(&texts).unwrap(),
            trainer.embed_texts(&texts).unwrap()
        );
        assert_eq!(
            second.embed_videos(&videos).unwrap(),
            trainer.embed_videos(&videos).unwrap()
        );
    }
}

#[test]
fn another_seed_is_another_run() {
    let _turn = my_turn();
    let other = TrainerSpec {
        seed: 6,
        ..spec(Hierarchy::Both, 20)
    };
    let stats = [spec(Hierarchy::Both, 20), other].map(|spec| train(&mut Trainer::new(spec).unwrap(), 0..1));
    assert_ne!(stats[0][0].loss, stats[1][0].loss);
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let _turn = my_turn();
    let home = tempfile::tempdir().unwrap();
    let spec = spec(Hierarchy::Both, 20);
    let refused = |spec: TrainerSpec, part: &str| {
        let error = Trainer::load(spec, home.path())
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(spec.clone(), "holds no checkpoint");
    assert_eq!(Trainer::saved_step(&home.path().join("absent")).unwrap(), None);

    let trainer = Trainer::new(spec.clone()).unwrap();
    let folder = trainer.save(home.path(), 0).unwrap();
    refused(
        TrainerSpec {
            seed: 7,
            ..spec.clone()
        },
        "seed",
    );
    let mut other = spec.clone();
    other.model.embed_dim = 32;
    refused(other, "model");
    let mut other = spec.clone();
    other.momentum.temperature = 0.05;
    refused(other, "momentum");
    let kernels = TrainKernels::Custom;
    refused(
        TrainerSpec {
            kernels,
            ..spec.clone()
        },
        "kernels",
    );
    Trainer::load(
        TrainerSpec {
            threads: 1,
            ..spec.clone()
        },
        home.path(),
    )
    .unwrap();
    let (opened, step) = Trainer::open(&folder, "cpu", 1).unwrap();
    assert_eq!(
        (opened.spec(), step),
        (
            &TrainerSpec {
                threads: 1,
                ..spec.clone()
            },
            0
        )
    );

    // A file of another model in place of the right one.
    let small = TrainerSpec {
        model: small_model(Hierarchy::Semantic),
        ..spec.clone()
    };
    let mut narrow = small.clone();
    narrow.model.embed_dim = 8;
    let elsewhere = tempfile::tempdir().unwrap();
    let narrow = Trainer::new(narrow).unwrap().save(elsewhere.path(), 0).unwrap();
    fs::copy(narrow.join("query.safetensors"), folder.join("query.safetensors")).unwrap();
    refused(spec.clone(), "query.safetensors");
    let damaged = || {
        refused(spec.clone(), "query.safetensors");
        let error = Trainer::load(spec.clone(), home.path()).map(|_| ()).unwrap_err();
        assert!(error.is_damaged_checkpoint(), "{error}");
    };
    damaged();
    fs::write(folder.join("query.safetensors"), b"torn").unwrap();
    damaged();
    fs::remove_file(folder.join("query.safetensors")).unwrap();
    damaged();
}

#[test]
fn an_unfinished_checkpoint_is_passed_over_and_older_ones_go() {
    let _turn = my_turn();
    let home = tempfile::tempdir().unwrap();
    let spec = spec(Hierarchy::Semantic, 0);
    let mut trainer = Trainer::new(spec.clone()).unwrap();
    trainer.save(home.path(), 0).unwrap();
    train(&mut trainer, 0..1);
    // As a program stopped while writing would leave it.
    fs::create_dir(home.path().join("step-0000000001.unfinished")).unwrap();
    assert_eq!(Trainer::load(spec.clone(), home.path()).unwrap().1, 0);
    let saved = trainer.save(home.path(), 1).unwrap();
    // A whole checkpoint of the same step is not taken away for a moment.
    fs::write(saved.join("mark"), b"").unwrap();
    assert_eq!(trainer.save(home.path(), 1).unwrap(), saved);
    assert!(saved.join("mark").is_file());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    assert_eq!(Trainer::load(spec, home.path()).unwrap().1, 1);
}

#[test]
fn only_the_levels_of_the_hierarchy_are_trained_and_embedded() {
    let _turn = my_turn();
    for (hierarchy, names) in [
        (Hierarchy::Semantic, vec!["semantic_t2v", "semantic_v2t"]),
        (Hierarchy::Feature, vec!["feature_t2v", "feature_v2t"]),
        (
            Hierarchy::Both,
            vec!["semantic_t2v", "semantic_v2t", "feature_t2v", "feature_v2t"],
        ),
    ] {
        for queue_len in [0, 20] {
            let home = tempfile::tempdir().unwrap();
            let mut spec = spec(hierarchy, queue_len);
            spec.model.level_weights.feature = 0.25;
            let mut trainer = Trainer::new(spec).unwrap();
            let before = tensors(&trainer.save(home.path(), 0).unwrap().join("query.safetensors"));
            let stats = train(&mut trainer, 0..3);
            let folder = trainer.save(home.path(), 3).unwrap();
            let after = tensors(&folder.join("query.safetensors"));
            let moments = tensors(&folder.join("optimizer.safetensors"));

            assert_eq!(
                stats[0].terms.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
                names
            );
            let weighted = |(name, loss): &(&str, f64)| {
                if name.starts_with("feature") {
                    0.25 * loss
                } else {
                    *loss
                }
            };
            let sum: f64 = stats[0].terms.iter().map(weighted).sum();
            assert!(
                (stats[0].loss - sum).abs() < 1e-5,
                "{} is not {sum}",
                stats[0].loss
            );

            let rows = trainer.embed_texts(&batch(&[3, 4, 9]).text).unwrap();
            assert_eq!((rows.n_rows, rows.dim), (3, 16));
            assert_eq!(rows.semantic.is_some(), hierarchy != Hierarchy::Feature);
            assert_eq!(rows.feature.is_some(), hierarchy != Hierarchy::Semantic);
            for row in rows
                .semantic
                .iter()
                .chain(&rows.feature)
                .flat_map(|rows| rows.chunks(16))
            {
                let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
                assert!((norm - 1.0).abs() < 1e-5, "{norm}");
            }
            // Variables with moments have moved, all others are as they were.
            let mut n_trained = 0;
            for (name, values) in &before {
                let trained = moments.contains_key(&format!("first.{name}"));
                n_trained += usize::from(trained);
                assert!(trained || after[name] == *values, "{name} moved");
            }
            let moved = before
                .iter()
                .filter(|(name, values)| after[*name] != **values)
                .count();
            assert_eq!(hierarchy == Hierarchy::Both, n_trained == before.len());
            // A key bias of attention gets a zero gradient but for rounding; nothing else may rest.
            assert!(
                moved <= n_trained && moved + 8 >= n_trained,
                "{moved} of {n_trained}"
            );
        }
    }
}

#[test]
fn the_queue_changes_losses_but_not_what_comes_first() {
    let _turn = my_turn();
    let stats = [0, 20].map(|queue_len| {
        let mut trainer = Trainer::new(spec(Hierarchy::Both, queue_len)).unwrap();
        train(&mut trainer, 0..5)
    });
    for step in &stats[0] {
        assert_eq!((step.queue_age_mean, step.key_drift), (None, None));
        assert_eq!(step.same_video_rate, 0.0);
    }
    let ages: Vec<_> = stats[1].iter().map(|step| step.queue_age_mean).collect();
    // 8, 16, then 20 entries: after the third step four of step 0, after the fourth four of step 1.
    assert_eq!(
        ages,
        [
            None,
            Some(1.0),
            Some(1.5),
            Some((4.0 * 3.0 + 8.0 * 2.0 + 8.0) / 20.0),
            Some(1.8)
        ]
    );
    // The queue holds the keys of two or three steps; the first probe ends when its entries are overwritten.
    let measured: Vec<_> = stats[1].iter().map(|step| step.key_drift.is_some()).collect();
    assert_eq!(measured, [false, false, true, false, true]);
    for drift in stats[1].iter().filter_map(|step| step.key_drift) {
        assert!((0.5..1.0).contains(&drift), "{drift}");
    }
}

#[test]
fn key_encoders_follow_before_keys_are_encoded() {
    let _turn = my_turn();
    for kernels in [TrainKernels::Libtorch, TrainKernels::Custom] {
        key_encoders_follow(kernels);
    }
}

fn key_encoders_follow(kernels: TrainKernels) {
    let home = tempfile::tempdir().unwrap();
    let mut spec = spec(Hierarchy::Semantic, 20);
    spec.kernels = kernels;
    spec.momentum.momentum = 0.75;
    let mut trainer = Trainer::new(spec).unwrap();
    let mut saved = Vec::new();
    for step in 0..3 {
        train(&mut trainer, step..step + 1);
        let folder = trainer.save(home.path(), step + 1).unwrap();
        saved.push(["query", "key"].map(|side| tensors(&folder.join(format!("{side}.safetensors")))));
    }
    for steps in saved.windows(2) {
        let ([query, key], [_, moved]) = (&steps[0], &steps[1]);
        for (name, values) in moved {
            for ((query, key), moved) in query[name].iter().zip(&key[name]).zip(values) {
                let expected = 0.75 * key + 0.25 * query;
                assert!(
                    (moved - expected).abs() <= 1e-6,
                    "{name}: {moved} is not {expected}"
                );
            }
        }
    }
}

#[test]
fn the_queue_holds_the_keys_of_the_batch() {
    let _turn = my_turn();
    for kernels in [TrainKernels::Libtorch, TrainKernels::Custom] {
        the_queue_holds_the_keys(kernels);
    }
}

fn the_queue_holds_the_keys(kernels: TrainKernels) {
    let home = tempfile::tempdir().unwrap();
    let mut spec = spec(Hierarchy::Both, 10);
    spec.kernels = kernels;
    // Keys without dropout from encoders that equal the query encoders before the step.
    spec.momentum.momentum = 0.0;
    spec.momentum.queue_dtype = QueueDtype::F32;
    spec.model.key_dropout = false;
    let mut trainer = Trainer::new(spec).unwrap();
    train(&mut trainer, 0..2);
    let pairs = batch(&[4, 9, 2, 30, 7, 1, 12, 3]);
    let texts = trainer.embed_texts(&pairs.text).unwrap();
    let videos = trainer.embed_videos(&pairs.video).unwrap();
    trainer.step(2, 1e-2, &pairs).unwrap();
    let queue = tensors(&trainer.save(home.path(), 3).unwrap().join("queue.safetensors"));
    for (name, rows) in [
        ("semantic.text", texts.semantic),
        ("semantic.video", videos.semantic),
        ("feature.text", texts.feature),
        ("feature.video", videos.feature),
    ] {
        // Sixteen rows were written before, so these begin at entry 6 and wrap after four.
        for (i, row) in rows.unwrap().chunks(16).enumerate() {
            let entry = (6 + i) % 10;
            let stored = &queue[name][entry * 16..(entry + 1) * 16];
            let worst = row
                .iter()
                .zip(stored)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 1e-5, "{name} row {i} is off by {worst}");
        }
    }
}

#[test]
fn batches_that_cannot_be_are_refused() {
    let _turn = my_turn();
    let refused = |queue_len, batch, what: &str| {
        for kernels in [TrainKernels::Libtorch, TrainKernels::Custom] {
            let mut trainer = Trainer::new(TrainerSpec {
                kernels,
                ..spec(Hierarchy::Semantic, queue_len)
            })
            .unwrap();
            let error = trainer.step(0, 1e-3, &batch).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    };
    refused(4, batch(&[0, 1, 2, 3, 4]), "queue_len");
    refused(0, batch(&[0]), "at least 1 pair, 2 without a queue");
    let mut empty = batch(&[0]);
    (empty.text.n_texts, empty.video.n_videos) = (0, 0);
    empty.video_ids.clear();
    refused(4, empty, "at least 1 pair");
    let mut torn = batch(&[0, 1, 2]);
    torn.video_ids.pop();
    refused(8, torn, "captions and videos");
    let mut endless = batch(&[0, 1, 2]);
    endless.video.experts[0].features[0] = f32::NAN;
    refused(0, endless, "step 0 diverged");
    assert!(
        Trainer::new(TrainerSpec {
            device: "tpu".to_owned(),
            ..spec(Hierarchy::Both, 0)
        })
        .is_err()
    );
}

#[test]
fn learns_32_pairs_by_heart() {
    let _turn = my_turn();
    for queue_len in [0, 96] {
        let mut spec = spec(Hierarchy::Both, queue_len);
        spec.momentum.mask_same_video = true;
        for tower in [&mut spec.model.text, &mut spec.model.video] {
            tower.dropout = 0.0;
            tower.attention_dropout = 0.0;
        }
        let mut trainer = Trainer::new(spec).unwrap();
        let pairs = batch(&(0..32).collect::<Vec<_>>());
        let losses: Vec<_> = (0..120)
            .map(|step| trainer.step(step, 2e-3, &pairs).unwrap().loss)
            .collect();
        assert!(
            losses[119] < 0.1 * losses[0],
            "{} after {}",
            losses[119],
            losses[0]
        );

        let texts = trainer.embed_texts(&pairs.text).unwrap();
        let videos = trainer.embed_videos(&pairs.video).unwrap();
        for (texts, videos) in [(texts.semantic, videos.semantic), (texts.feature, videos.feature)] {
            let (texts, videos) = (texts.unwrap(), videos.unwrap());
            let score = |text: usize, video: usize| -> f32 {
                (0..16)
                    .map(|d| texts[text * 16 + d] * videos[video * 16 + d])
                    .sum()
            };
            for pair in 0..32 {
                let best_video = (0..32).max_by(|a, b| score(pair, *a).total_cmp(&score(pair, *b)));
                let best_text = (0..32).max_by(|a, b| score(*a, pair).total_cmp(&score(*b, pair)));
                assert_eq!(
                    (best_video, best_text),
                    (Some(pair), Some(pair)),
                    "queue_len {queue_len}"
                );
            }
        }
    }
}

#[test]
fn the_paper_preset_takes_a_step() {
    let _turn = my_turn();
    let mut spec = spec(Hierarchy::Both, 8);
    spec.model = HitConfig::preset(Preset::Paper);
    spec.inputs.vocab_size = 28_996;
    let mut trainer = Trainer::new(spec).unwrap();
    assert!(trainer.parameter_count() > 120_000_000);
    let stats = trainer.step(0, 5e-5, &batch(&[0, 1])).unwrap();
    assert_eq!(stats.terms.len(), 4);
    assert!(stats.loss > 0.0 && stats.grad_norm > 0.0, "{stats:?}");
}
