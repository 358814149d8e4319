//! Checkpoints on disk: one folder a saved step, whole or not there.
//!
//! `FOLDER/step-0000000120/` holds safetensors and `checkpoint.json`. A folder is written under a temporary
//! name, flushed and renamed; only then are older ones removed. A program stopped at any moment therefore
//! finds the newest whole checkpoint. What the files mean is the trainer's business.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::{Device, Tensor};

const PREFIX: &str = "step-";
const TEMPORARY: &str = "unfinished";

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// File or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A JSON file does not hold what it should.
    #[error("`{}` is no valid checkpoint file", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it fails.
        #[source]
        source: serde_json::Error,
    },
    /// A safetensors file cannot be read or written.
    #[error("tensors of `{}` cannot be read or written", path.display())]
    Tensors {
        /// The file.
        path: PathBuf,
        /// What libtorch's side says.
        #[source]
        source: tch::TchError,
    },
    /// There is no whole checkpoint.
    #[error("`{}` holds no checkpoint", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// A file lacks a tensor, or has one that the configuration does not know.
    #[error("`{}` {}: tensor `{name}`", path.display(), if *expected { "lacks" } else { "has one too many" })]
    Name {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Whether the configuration expects it.
        expected: bool,
    },
    /// A tensor has another shape or type than the configuration asks for.
    #[error("tensor `{name}` of `{}` is {found}, expected {expected}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Type and shape asked for.
        expected: String,
        /// Type and shape found.
        found: String,
    },
    /// The checkpoint belongs to another configuration or format.
    #[error("checkpoint `{}` has another {part}: {found}, expected {expected}", path.display())]
    Configuration {
        /// The folder.
        path: PathBuf,
        /// Which part differs.
        part: &'static str,
        /// As in the checkpoint.
        found: String,
        /// As asked for.
        expected: String,
    },
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::Io { action, path, source }
}

/// A checkpoint being written.
#[derive(Debug)]
pub(crate) struct Draft {
    parent: PathBuf,
    temporary: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// Begins the checkpoint of `step` in `folder`, which is made if needed.
    pub(crate) fn begin(folder: &Path, step: u64) -> Result<Self, CheckpointError> {
        let name = format!("{PREFIX}{step:010}");
        let temporary = folder.join(format!("{name}.{TEMPORARY}"));
        remove_folder(&temporary)?;
        fs::create_dir_all(&temporary).map_err(io_error("create", &temporary))?;
        Ok(Self {
            parent: folder.to_owned(),
            temporary,
            target: folder.join(name),
        })
    }

    pub(crate) fn write_json(&self, file: &str, value: &impl Serialize) -> Result<(), CheckpointError> {
        let path = self.temporary.join(file);
        let json = |source| CheckpointError::Json {
            path: path.clone(),
            source,
        };
        let text = serde_json::to_vec_pretty(value).map_err(json)?;
        fs::write(&path, text).map_err(io_error("write", &path))?;
        flush(&path)
    }

    pub(crate) fn write_tensors(
        &self,
        file: &str,
        tensors: &[(String, Tensor)],
    ) -> Result<(), CheckpointError> {
        let path = self.temporary.join(file);
        let fail = |source| CheckpointError::Tensors {
            path: path.clone(),
            source,
        };
        let mut on_host = Vec::with_capacity(tensors.len());
        for (name, tensor) in tensors {
            let tensor = tensor
                .f_detach()
                .and_then(|t| t.f_to_device(Device::Cpu))
                .and_then(|t| t.f_contiguous());
            on_host.push((name, tensor.map_err(fail)?));
        }
        Tensor::write_safetensors(&on_host, &path).map_err(fail)?;
        flush(&path)
    }

    /// Gives the folder its final name and removes the checkpoints before it.
    pub(crate) fn finish(self) -> Result<PathBuf, CheckpointError> {
        flush(&self.temporary)?;
        // In the way is at most a checkpoint that a newer one beside it stands for.
        remove_folder(&self.target)?;
        fs::rename(&self.temporary, &self.target).map_err(io_error("rename", &self.temporary))?;
        flush(&self.parent)?;
        for folder in folders(&self.parent)? {
            if folder != self.target {
                remove_folder(&folder)?;
            }
        }
        Ok(self.target)
    }
}

fn flush(path: &Path) -> Result<(), CheckpointError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(io_error("flush", path))
}

fn remove_folder(path: &Path) -> Result<(), CheckpointError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Checkpoints in `folder`, unfinished ones included; none if it does not exist.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io_error("list", folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io_error("list", folder))?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The newest whole checkpoint in `folder` with its step.
pub(crate) fn newest(folder: &Path) -> Result<Option<(u64, PathBuf)>, CheckpointError> {
    let step = |path: &PathBuf| {
        path.file_name()?
            .to_str()?
            .strip_prefix(PREFIX)?
            .parse::<u64>()
            .ok()
    };
    Ok(folders(folder)?
        .into_iter()
        .filter_map(|path| Some((step(&path)?, path)))
        .max())
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, CheckpointError> {
    let text = fs::read(path).map_err(io_error("read", path))?;
    serde_json::from_slice(&text).map_err(|source| CheckpointError::Json {
        path: path.to_owned(),
        source,
    })
}

/// Reads a file that must hold exactly the tensors of `expected`, by name, type and shape.
pub(crate) fn read_tensors(
    path: &Path,
    expected: &[(String, Tensor)],
) -> Result<HashMap<String, Tensor>, CheckpointError> {
    // The reader names neither file nor cause when the file is missing.
    File::open(path).map_err(io_error("read", path))?;
    let fail = |source| CheckpointError::Tensors {
        path: path.to_owned(),
        source,
    };
    let tensors: HashMap<_, _> = Tensor::read_safetensors(path)
        .map_err(fail)?
        .into_iter()
        .collect();
    for (name, like) in expected {
        let missing = || CheckpointError::Name {
            path: path.to_owned(),
            name: name.clone(),
            expected: true,
        };
        let tensor = tensors.get(name).ok_or_else(missing)?;
        let describe = |tensor: &Tensor| format!("{:?} {:?}", tensor.kind(), tensor.size());
        if describe(tensor) != describe(like) {
            return Err(CheckpointError::Tensor {
                path: path.to_owned(),
                name: name.clone(),
                expected: describe(like),
                found: describe(tensor),
            });
        }
    }
    if tensors.len() > expected.len() {
        let known = |name: &String| expected.iter().any(|(expected, _)| expected == name);
        if let Some(name) = tensors.keys().filter(|name| !known(name)).min() {
            return Err(CheckpointError::Name {
                path: path.to_owned(),
                name: name.clone(),
                expected: false,
            });
        }
    }
    Ok(tensors)
}
