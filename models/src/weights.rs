//! Weights as safetensors, by name: every tensor accounted for, names, types and shapes checked before any
//! value changes. Also the names of published BERT files, for the text tower.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use tch::{Device, Kind, Tensor, no_grad};

use crate::error::ModelError;
use crate::stored::{StoredTensor, StoredTensors};

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
    let mut names = file.names();
    names.sort_unstable();
    let mut pairs = Vec::with_capacity(variables.len());
    for name in names {
        let Some((_, variable)) = variables.iter().find(|(ours, _)| ours == name) else {
            return Err(WeightsError::Unknown {
                path: path.to_owned(),
                name: name.to_owned(),
            }
            .into());
        };
        let view = file.tensor(name).map_err(format)?;
        let shape: Vec<i64> = view.shape().iter().map(|&len| len as i64).collect();
        if view.dtype() != Dtype::F32 || shape != variable.size() {
            return Err(WeightsError::Tensor {
                path: path.to_owned(),
                name: name.to_owned(),
                expected: format!("F32 {:?}", variable.size()),
                found: format!("{:?} {shape:?}", view.dtype()),
            }
            .into());
        }
        pairs.push((
            variable,
            Tensor::f_from_data_size(view.data(), &shape, Kind::Float)?,
        ));
    }
    if let Some((name, _)) = variables.iter().find(|(name, _)| file.tensor(name).is_err()) {
        return Err(WeightsError::Missing {
            path: path.to_owned(),
            name: name.clone(),
        }
        .into());
    }
    copy(pairs)
}

fn copy(pairs: Vec<(&Tensor, Tensor)>) -> Result<(), ModelError> {
    no_grad(|| {
        for (variable, stored) in pairs {
            variable.shallow_clone().f_copy_(&stored)?;
        }
        Ok(())
    })
}

/// Copies a published BERT into the text tower, given all variables of the model.
///
/// Takes an optional prefix `bert.`, and the old names `gamma` and `beta`. The pooler, the pre-training heads (`cls.`) and
/// stored position ids have no place in HiT and are passed over.
///
/// # Errors
/// [`WeightsError`] when any other name, type or shape differs; no variable is changed then.
pub fn load_bert(variables: &[(String, Tensor)], stored: &StoredTensors) -> Result<(), ModelError> {
    let text: Vec<(String, Tensor)> = variables
        .iter()
        .filter_map(|(name, variable)| {
            Some((name.strip_prefix("text.")?.to_owned(), variable.shallow_clone()))
        })
        .collect();
    load(&text, stored, bert_name, |_| false).map(drop)
}

/// Copies weights that a model of this program saved into variables of the same names.
///
/// Experts may differ: what belongs to an expert that the file lacks keeps its values and is given back by name, and
/// what belongs to one that the model lacks is passed over. The order of experts decides the rows of
/// `video.embeddings.expert_embeddings.weight`, which therefore keeps its values unless it has the same shape and no
/// expert is new.
///
/// # Errors
/// [`WeightsError`] when any other name, type or shape differs; no variable is changed then.
pub fn load_saved(variables: &[(String, Tensor)], stored: &StoredTensors) -> Result<Vec<String>, ModelError> {
    let has = |name: &str| stored.tensors.iter().any(|tensor| tensor.name == name);
    let projections = |name: &str| name.starts_with(PROJECTIONS);
    let ours: BTreeSet<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    let same_experts = ours.iter().filter(|name| projections(name)).all(|name| has(name))
        && stored
            .tensors
            .iter()
            .all(|tensor| !projections(&tensor.name) || ours.contains(tensor.name.as_str()));
    let passes = |name: &str| {
        (projections(name) && !ours.contains(name)) || (name == EXPERT_EMBEDDINGS && !same_experts)
    };
    load(
        variables,
        stored,
        |name| (!passes(name)).then(|| name.to_owned()),
        |name| projections(name) || (name == EXPERT_EMBEDDINGS && !same_experts),
    )
}

/// The text tower's name of a BERT tensor; `None` for tensors without a place in HiT.
fn bert_name(name: &str) -> Option<String> {
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

/// Names of what belongs to one expert.
const PROJECTIONS: &str = "video.projections.";
/// One row an expert, in their order.
const EXPERT_EMBEDDINGS: &str = "video.embeddings.expert_embeddings.weight";

/// Copies stored tensors into `variables`. `ours` maps stored names, to `None` where a tensor is passed over; variables
/// of which `may_lack` is true keep their values where the file has none, and are given back.
fn load(
    variables: &[(String, Tensor)],
    stored: &StoredTensors,
    ours: impl Fn(&str) -> Option<String>,
    may_lack: impl Fn(&str) -> bool,
) -> Result<Vec<String>, ModelError> {
    let path = || stored.path.clone();
    let mut found = BTreeSet::new();
    let mut pairs = Vec::with_capacity(variables.len());
    for StoredTensor {
        name: stored_name,
        shape,
        values,
    } in &stored.tensors
    {
        let Some(name) = ours(stored_name) else { continue };
        let Some((_, variable)) = variables.iter().find(|(ours, _)| *ours == name) else {
            return Err(WeightsError::Unknown {
                path: path(),
                name: stored_name.clone(),
            }
            .into());
        };
        let shape: Vec<i64> = shape.iter().map(|&len| len as i64).collect();
        let values = values.as_ref().filter(|_| shape == variable.size());
        let Some(values) = values else {
            return Err(WeightsError::Tensor {
                path: path(),
                name: stored_name.clone(),
                expected: format!("floats {:?}", variable.size()),
                found: match values {
                    _ if shape == variable.size() => format!("others {shape:?}"),
                    _ => format!("{shape:?}"),
                },
            }
            .into());
        };
        if !found.insert(name.clone()) {
            return Err(WeightsError::Twice { path: path(), name }.into());
        }
        let values = Tensor::f_from_slice(values)?.f_reshape(shape.as_slice())?;
        pairs.push((variable, values));
    }
    let lacking = variables
        .iter()
        .map(|(name, _)| name)
        .filter(|name| !found.contains(*name));
    let (kept, missing): (Vec<&String>, Vec<&String>) = lacking.partition(|name| may_lack(name));
    if let Some(name) = missing.first() {
        return Err(WeightsError::Missing {
            path: path(),
            name: (*name).clone(),
        }
        .into());
    }
    copy(pairs)?;
    Ok(kept.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests;
