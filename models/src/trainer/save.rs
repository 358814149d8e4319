//! Checkpoints of a trainer: which tensors lie in which file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Trainer;
use crate::checkpoint::{self, CheckpointError, Draft};
use crate::error::ModelError;
use crate::momentum::DriftProbe;
use crate::spec::TrainerSpec;
use crate::weights::read_weights;

/// Version of the checkpoint files.
const FORMAT: u32 = 1;

const MANIFEST: &str = "checkpoint.json";
const QUERY: &str = "query.safetensors";
const KEY: &str = "key.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const QUEUE: &str = "queue.safetensors";
const PROBE: &str = "probe.json";

/// Description of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    step: u64,
    optimizer_updates: u64,
    spec: TrainerSpec,
}

impl Trainer {
    /// Writes a checkpoint of `step`, the number of steps made, into `folder` and removes older ones there.
    ///
    /// Returns the checkpoint's own folder. A program stopped at any moment leaves a whole checkpoint: the one
    /// before or this one. Where the newest one is of `step` already, it stays as it is.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] when the file system refuses.
    pub fn save(&self, folder: &Path, step: u64) -> Result<PathBuf, ModelError> {
        if let Some((_, path)) = checkpoint::newest(folder)?.filter(|&(saved, _)| saved == step) {
            return Ok(path);
        }
        let draft = Draft::begin(folder, step)?;
        draft.write_tensors(QUERY, self.query.variables())?;
        draft.write_tensors(OPTIMIZER, &self.optimizer.state(&self.parameters)?)?;
        if let Some(contrast) = &self.contrast {
            draft.write_tensors(KEY, contrast.encoder.variables())?;
            draft.write_tensors(QUEUE, &contrast.queue.state()?)?;
            draft.write_json(PROBE, &contrast.probe)?;
        }
        let manifest = Manifest {
            format: FORMAT,
            step,
            optimizer_updates: self.optimizer.updates(),
            spec: self.spec.clone(),
        };
        draft.write_json(MANIFEST, &manifest)?;
        Ok(draft.finish()?)
    }

    /// The step of the newest whole checkpoint in `folder`; none if there is none or no such folder.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] when the folder cannot be listed.
    pub fn saved_step(folder: &Path) -> Result<Option<u64>, ModelError> {
        Ok(checkpoint::newest(folder)?.map(|(step, _)| step))
    }

    /// The file with the weights of the query encoders in the newest whole checkpoint in `folder`; none if there is none.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] when the folder cannot be listed.
    pub fn saved_weights(folder: &Path) -> Result<Option<PathBuf>, ModelError> {
        Ok(checkpoint::newest(folder)?.map(|(_, path)| path.join(QUERY)))
    }

    /// A trainer as it was when it saved the newest checkpoint in `folder`, with its step.
    ///
    /// `spec` must be that of the saved trainer; device and threads may differ.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] when there is none, or configuration, names, types or shapes differ.
    pub fn load(spec: TrainerSpec, folder: &Path) -> Result<(Self, u64), ModelError> {
        let (manifest, folder) = read_manifest(folder)?;
        check_configuration(&manifest.spec, &spec, &folder)?;
        Self::restore(spec, &manifest, &folder)
    }

    /// As [`Trainer::load`], with the configuration that the checkpoint itself names. `folder` may also be one
    /// checkpoint's own folder.
    ///
    /// # Errors
    /// As for [`Trainer::load`].
    pub fn open(folder: &Path, device: &str, threads: usize) -> Result<(Self, u64), ModelError> {
        let (manifest, folder) = read_manifest(folder)?;
        let spec = TrainerSpec {
            device: device.to_owned(),
            threads,
            ..manifest.spec.clone()
        };
        Self::restore(spec, &manifest, &folder)
    }

    fn restore(spec: TrainerSpec, manifest: &Manifest, folder: &Path) -> Result<(Self, u64), ModelError> {
        let mut trainer = Self::new(spec)?;
        read_weights(trainer.query.variables(), &folder.join(QUERY))?;
        read_weights(
            &trainer.optimizer.state(&trainer.parameters)?,
            &folder.join(OPTIMIZER),
        )?;
        trainer.optimizer.resume_after(manifest.optimizer_updates);
        if let Some(contrast) = &mut trainer.contrast {
            read_weights(contrast.encoder.variables(), &folder.join(KEY))?;
            let queue = checkpoint::read_tensors(&folder.join(QUEUE), &contrast.queue.state()?)?;
            contrast.queue.restore(&queue)?;
            contrast.probe = checkpoint::read_json::<Option<DriftProbe>>(&folder.join(PROBE))?;
        }
        Ok((trainer, manifest.step))
    }
}

/// The manifest of a checkpoint's own folder or of the newest checkpoint in `folder`, with its place.
fn read_manifest(folder: &Path) -> Result<(Manifest, PathBuf), CheckpointError> {
    let folder = if folder.join(MANIFEST).is_file() {
        folder.to_owned()
    } else {
        let missing = || CheckpointError::Missing {
            folder: folder.to_owned(),
        };
        checkpoint::newest(folder)?.ok_or_else(missing)?.1
    };
    let path = folder.join(MANIFEST);
    /// What every version of the manifest has.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let Version { format } = checkpoint::read_json(&path)?;
    if format != FORMAT {
        return Err(CheckpointError::Configuration {
            path: folder,
            part: "format",
            found: format.to_string(),
            expected: FORMAT.to_string(),
        });
    }
    Ok((checkpoint::read_json(&path)?, folder))
}

/// Refuses a checkpoint of another configuration, naming the first part that differs.
fn check_configuration(
    found: &TrainerSpec,
    expected: &TrainerSpec,
    folder: &Path,
) -> Result<(), CheckpointError> {
    let parts = |spec: &TrainerSpec| {
        [
            ("model", format!("{:?}", spec.model)),
            ("momentum", format!("{:?}", spec.momentum)),
            ("inputs", format!("{:?}", spec.inputs)),
            ("optimizer", format!("{:?}", spec.optimizer)),
            ("kernels", format!("{:?}", spec.kernels)),
            ("seed", spec.seed.to_string()),
        ]
    };
    for ((part, found), (_, expected)) in parts(found).into_iter().zip(parts(expected)) {
        if found != expected {
            let path = folder.to_owned();
            return Err(CheckpointError::Configuration {
                path,
                part,
                found,
                expected,
            });
        }
    }
    Ok(())
}
