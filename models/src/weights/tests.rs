//! Files that fit, and files that do not and change nothing.

use std::collections::HashMap;

use super::*;
use crate::config::{ExpertSpec, HitConfig, InputSpec, Preset};
use crate::encoder::DualEncoder;

fn model(seed: i64) -> DualEncoder {
    let mut config = HitConfig::preset(Preset::Tiny);
    for tower in [&mut config.video, &mut config.text] {
        (tower.hidden, tower.ffn, tower.max_positions) = (8, 8, 40);
    }
    let experts = vec![ExpertSpec {
        name: "motion".into(),
        dim: 3,
    }];
    tch::manual_seed(seed);
    DualEncoder::new(
        &config,
        &InputSpec {
            experts,
            vocab_size: 20,
        },
        Device::Cpu,
    )
    .unwrap()
}

fn values(model: &DualEncoder) -> Vec<Vec<f32>> {
    let values = model.variables().iter();
    values
        .map(|(_, variable)| Vec::try_from(variable.reshape([-1])).unwrap())
        .collect()
}

fn error<T: std::fmt::Debug>(result: Result<T, ModelError>) -> WeightsError {
    match result {
        Err(ModelError::Weights(error)) => error,
        other => panic!("expected an error of weights, found {other:?}"),
    }
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let (first, second) = (model(1), model(2));
    assert_ne!(values(&first), values(&second));
    write_weights(first.variables(), &path).unwrap();
    read_weights(second.variables(), &path).unwrap();
    assert_eq!(values(&first), values(&second));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn files_that_do_not_fit_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let target = model(2);
    let before = values(&target);
    let named = |change: fn(&mut Vec<(String, Tensor)>)| {
        let source = model(1);
        let shared = source.variables().iter();
        let mut named: Vec<_> = shared.map(|(n, v)| (n.clone(), v.shallow_clone())).collect();
        change(&mut named);
        write_weights(&named, &path).unwrap();
        error(read_weights(target.variables(), &path))
    };
    let last = target.variables().last().unwrap().0.clone();
    let missing = named(|named| drop(named.pop()));
    assert!(
        matches!(&missing, WeightsError::Missing { name, .. } if *name == last),
        "{missing}"
    );
    let unknown = named(|named| named.push(("zzz".into(), Tensor::from(1f32))));
    assert!(
        matches!(&unknown, WeightsError::Unknown { name, .. } if name == "zzz"),
        "{unknown}"
    );
    let shape = named(|named| named[0].1 = named[0].1.transpose(0, 1));
    let WeightsError::Tensor {
        name,
        expected,
        found,
        ..
    } = shape
    else {
        panic!("{shape}")
    };
    assert_eq!(name, "text.embeddings.word_embeddings.weight");
    assert_eq!((&*expected, &*found), ("F32 [20, 8]", "F32 [8, 20]"));

    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(
        error(read_weights(target.variables(), &path)),
        WeightsError::Format { .. }
    ));
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        error(read_weights(target.variables(), &path)),
        WeightsError::Io { .. }
    ));
    assert_eq!(values(&target), before);
}

/// Variables as a file has them.
fn stored(variables: &[(String, Tensor)]) -> StoredTensors {
    let tensors = variables.iter().map(|(name, variable)| StoredTensor {
        name: name.clone(),
        shape: variable.size().iter().map(|&len| len as usize).collect(),
        values: Some(Vec::try_from(variable.reshape([-1])).unwrap()),
    });
    StoredTensors {
        path: "weights.bin".into(),
        tensors: tensors.collect(),
    }
}

fn add(stored: &mut StoredTensors, name: &str, shape: &[usize]) {
    stored.tensors.push(StoredTensor {
        name: name.to_owned(),
        shape: shape.to_vec(),
        values: Some(vec![1.0; shape.iter().product()]),
    });
}

#[test]
fn bert_loads_by_name() {
    let (source, target) = (model(3), model(4));
    let names = || target.variables().iter().map(|(name, _)| name);
    let before: HashMap<_, _> = names().zip(values(&target)).collect();
    // As published: prefix, old layer-norm names, and tensors that HiT does not have.
    let mut bert = stored(source.variables());
    bert.tensors.retain(|tensor| tensor.name.starts_with("text."));
    for tensor in &mut bert.tensors {
        let name = tensor.name.replace("text.", "bert.");
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        tensor.name = name.replace("LayerNorm.bias", "LayerNorm.beta");
    }
    add(&mut bert, "cls.predictions.bias", &[20]);
    add(&mut bert, "bert.pooler.dense.bias", &[8]);
    bert.tensors.push(StoredTensor {
        name: "bert.embeddings.position_ids".to_owned(),
        shape: vec![1, 40],
        values: None,
    });
    load_bert(target.variables(), &bert).unwrap();
    for ((name, found), theirs) in names().zip(values(&target)).zip(values(&source)) {
        let expected = if name.starts_with("text.") {
            &theirs
        } else {
            &before[name]
        };
        assert_eq!(&found, expected, "{name}");
    }
    add(&mut bert, "embeddings.LayerNorm.weight", &[8]);
    let twice = error(load_bert(target.variables(), &bert));
    assert!(matches!(&twice, WeightsError::Twice { name, .. } if name == "embeddings.LayerNorm.weight"));
    bert.tensors.pop();
    bert.tensors[0].shape = vec![8, 20];
    assert_eq!(
        error(load_bert(target.variables(), &bert)).to_string(),
        "tensor `bert.embeddings.word_embeddings.weight` of `weights.bin` is [8, 20], expected floats [20, 8]"
    );
    bert.tensors.remove(0);
    let missing = error(load_bert(target.variables(), &bert));
    assert_eq!(
        missing.to_string(),
        "`weights.bin` lacks the tensor `embeddings.word_embeddings.weight`"
    );
}

#[test]
fn saved_weights_load_where_experts_differ() {
    let (source, target) = (model(5), model(6));
    let mut saved = stored(source.variables());
    assert_eq!(load_saved(target.variables(), &saved).unwrap(), [""; 0]);
    assert_eq!(values(&source), values(&target));
    // The file knows another expert instead of `motion`.
    let target = model(6);
    let before = values(&target);
    for tensor in &mut saved.tensors {
        tensor.name = tensor.name.replace(".motion.", ".scene.");
    }
    let kept = load_saved(target.variables(), &saved).unwrap();
    assert_eq!(
        kept,
        [
            "video.projections.motion.weight",
            "video.projections.motion.bias",
            EXPERT_EMBEDDINGS
        ]
    );
    let names = target.variables().iter().map(|(name, _)| name);
    for (((name, found), before), theirs) in names.zip(values(&target)).zip(before).zip(values(&source)) {
        let expected = if kept.contains(name) { before } else { theirs };
        assert_eq!(found, expected, "{name}");
    }
    add(&mut saved, "heads.text.extra.weight", &[1]);
    let unknown = error(load_saved(target.variables(), &saved));
    assert!(matches!(&unknown, WeightsError::Unknown { name, .. } if name == "heads.text.extra.weight"));
}
