//! Weights as safetensors, by name: every tensor accounted for, names, types and shapes checked before any
//! value changes. Also the names of published BERT files, for the text tower.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use tch::{Device, Kind, Tensor, no_grad};

use crate::error::ModelError;

/// Why weights could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The file is no safetensors file, or a torn one.
    #[error("`{}` is no whole safetensors file", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: SafeTensorError,
    },
    /// The model has a tensor that the file lacks.
    #[error("`{}` lacks the tensor `{name}`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Name in the file's terms.
        name: String,
    },
    /// The file has a tensor that the model lacks.
    #[error("`{}` has the tensor `{name}`, which the model lacks", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Its name.
        name: String,
    },
    /// Two tensors of the file are the same tensor of the model.
    #[error("`{}` has the tensor `{name}` under two names", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// The model's name.
        name: String,
    },
    /// A tensor has another type or shape.
    #[error("tensor `{name}` of `{}` is {found}, expected {expected}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// Its name.
        name: String,
        /// Type and shape of the model's tensor.
        expected: String,
        /// Type and shape found.
        found: String,
    },
}

/// Writes variables to a safetensors file; the file appears whole or not at all.
///
/// # Errors
/// [`WeightsError::Io`] when the file cannot be written, [`ModelError::Torch`] when values cannot be copied.
pub fn write_weights(variables: &[(String, Tensor)], path: &Path) -> Result<(), ModelError> {
    let mut stored = Vec::with_capacity(variables.len());
    for (name, variable) in variables {
        let values = variable
            .f_detach()?
            .f_to_device(Device::Cpu)?
            .f_to_kind(Kind::Float)?
            .f_contiguous()?;
        let mut bytes = vec![0u8; values.numel() * size_of::<f32>()];
        values.f_copy_data_u8(&mut bytes, values.numel())?;
        let shape: Vec<usize> = values.size().iter().map(|&len| len as usize).collect();
        stored.push((name, shape, bytes));
    }
    let format = |source| WeightsError::Format {
        path: path.to_owned(),
        source,
    };
    let mut views = Vec::with_capacity(stored.len());
    for (name, shape, bytes) in &stored {
        views.push((
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(format)?,
        ));
    }
    let io = |action| {
        move |source| WeightsError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    };
    let bytes = safetensors::serialize(views, None).map_err(format)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".unfinished");
    fs::write(&temporary, bytes).map_err(io("write"))?;
    let flushed = fs::File::open(&temporary).and_then(|file| file.sync_all());
    flushed.map_err(io("flush"))?;
    fs::rename(&temporary, path).map_err(io("rename to"))?;
    Ok(())
}

/// Reads a file that [`write_weights`] made into variables of the same names, types and shapes.
///
/// # Errors
/// [`WeightsError`] when the file cannot be read or differs from `variables` in any name, type or shape; no
/// variable is changed then.
pub fn read_weights(variables: &[(String, Tensor)], path: &Path) -> Result<(), ModelError> {
    read(variables, path, &[Dtype::F32], |name| Some(name.to_owned()))
}

/// Reads a published BERT file into the text tower, given all variables of the model.
///
/// Takes F32, F16 and BF16, an optional prefix `bert.`, and the old names `gamma` and `beta`. The pooler,
/// the pre-training heads (`cls.`) and stored position ids have no place in HiT and are passed over.
///
/// # Errors
/// As [`read_weights`].
pub fn read_bert(variables: &[(String, Tensor)], path: &Path) -> Result<(), ModelError> {
    let text: Vec<(String, Tensor)> = variables
        .iter()
        .filter_map(|(name, variable)| {
            Some((name.strip_prefix("text.")?.to_owned(), variable.shallow_clone()))
        })
        .collect();
    read(&text, path, &[Dtype::F32, Dtype::F16, Dtype::BF16], our_bert_name)
}

/// The text tower's name of a BERT tensor; `None` for tensors without a place in HiT.
fn our_bert_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    let unused = ["pooler.", "cls."].iter().any(|prefix| name.starts_with(prefix));
    if unused || name == "embeddings.position_ids" {
        return None;
    }
    Some(match name.rsplit_once('.') {
        Some((layer, "gamma")) => format!("{layer}.weight"),
        Some((layer, "beta")) => format!("{layer}.bias"),
        _ => name.to_owned(),
    })
}

/// Copies a file into `variables`; `ours` maps its names, to `None` where a tensor is passed over.
fn read(
    variables: &[(String, Tensor)],
    path: &Path,
    dtypes: &[Dtype],
    ours: impl Fn(&str) -> Option<String>,
) -> Result<(), ModelError> {
    let io = |source| WeightsError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let bytes = fs::read(path).map_err(io)?;
    let format = |source| WeightsError::Format {
        path: path.to_owned(),
        source,
    };
    let file = SafeTensors::deserialize(&bytes).map_err(format)?;

    let mut found = BTreeSet::new();
    let mut pairs = Vec::with_capacity(variables.len());
    let mut names = file.names();
    names.sort_unstable();
    for stored_name in names {
        let Some(name) = ours(stored_name) else { continue };
        let Some((_, variable)) = variables.iter().find(|(ours, _)| *ours == name) else {
            return Err(WeightsError::Unknown {
                path: path.to_owned(),
                name: stored_name.to_owned(),
            }
            .into());
        };
        let view = file.tensor(stored_name).map_err(format)?;
        let shape: Vec<i64> = view.shape().iter().map(|&len| len as i64).collect();
        if !dtypes.contains(&view.dtype()) || shape != variable.size() {
            return Err(WeightsError::Tensor {
                path: path.to_owned(),
                name: stored_name.to_owned(),
                expected: format!("F32 {:?}", variable.size()),
                found: format!("{:?} {shape:?}", view.dtype()),
            }
            .into());
        }
        if !found.insert(name.clone()) {
            return Err(WeightsError::Twice {
                path: path.to_owned(),
                name,
            }
            .into());
        }
        let kind = match view.dtype() {
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            _ => Kind::Float,
        };
        pairs.push((variable, Tensor::f_from_data_size(view.data(), &shape, kind)?));
    }
    if let Some((name, _)) = variables.iter().find(|(name, _)| !found.contains(name)) {
        return Err(WeightsError::Missing {
            path: path.to_owned(),
            name: name.clone(),
        }
        .into());
    }
    no_grad(|| {
        for (variable, stored) in pairs {
            variable.shallow_clone().f_copy_(&stored)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
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

    fn error(result: Result<(), ModelError>) -> WeightsError {
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

    #[test]
    fn bert_loads_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bert.safetensors");
        let (source, target) = (model(3), model(4));
        let before: HashMap<_, _> = target
            .variables()
            .iter()
            .map(|(n, _)| n)
            .zip(values(&target))
            .collect();
        // As published: prefix, old layer-norm names, and tensors that HiT does not have.
        let mut bert = vec![(
            "cls.predictions.bias".to_owned(),
            Tensor::ones([20], (Kind::Float, Device::Cpu)),
        )];
        bert.push(("bert.pooler.dense.bias".to_owned(), Tensor::from(1f32)));
        for (name, variable) in source.variables() {
            let Some(name) = name.strip_prefix("text.") else {
                continue;
            };
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
            let name = name.replace("LayerNorm.bias", "LayerNorm.beta");
            bert.push((format!("bert.{name}"), variable.shallow_clone()));
        }
        write_weights(&bert, &path).unwrap();
        read_bert(target.variables(), &path).unwrap();
        for ((name, found), theirs) in target
            .variables()
            .iter()
            .map(|(n, _)| n)
            .zip(values(&target))
            .zip(values(&source))
        {
            let expected = if name.starts_with("text.") {
                &theirs
            } else {
                &before[name]
            };
            assert_eq!(&found, expected, "{name}");
        }
        bert.push((
            "embeddings.LayerNorm.weight".to_owned(),
            source.variables()[3].1.shallow_clone(),
        ));
        write_weights(&bert, &path).unwrap();
        let twice = error(read_bert(target.variables(), &path));
        assert!(matches!(&twice, WeightsError::Twice { name, .. } if name == "embeddings.LayerNorm.weight"));
    }
}
