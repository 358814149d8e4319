//! Files of trained weights, and what they say of their model.
//!
//! Safetensors; under the key `hitbench.model` of their metadata a JSON object, [`SavedModel`].

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use hitbench_models::{HitConfig, InputSpec, StoredTensors};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::error::EmbedError;
use crate::data::DataConfig;
use crate::format::{Location, open};
use crate::trial::weights::{InitialWeightsError, read_all};

/// Key of the metadata.
const KEY: &str = "hitbench.model";

/// Version of the description.
const FORMAT: u32 = 1;

/// What it takes to use trained weights, and where they come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedModel {
    /// Name of the trial.
    pub trial: String,
    /// The build that trained it.
    pub build_id: String,
    /// Steps of training.
    pub steps: u64,
    /// The model.
    pub model: HitConfig,
    /// Its experts and the size of its vocabulary.
    pub inputs: InputSpec,
    /// Whether captions are lower-cased and lose their accents.
    pub lower_case: bool,
    /// The vocabulary, one token a line.
    pub vocabulary: String,
    /// CPU threads of libtorch in training: sums depend on it.
    pub threads: usize,
    /// What it was trained with, and is embedded where no other data are named.
    pub data: DataConfig,
    /// Content hash of these data.
    pub content_hash: String,
}

/// The description as written.
#[derive(Serialize)]
struct Described<'a> {
    format: u32,
    #[serde(flatten)]
    model: &'a SavedModel,
}

/// What every version of the description has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl SavedModel {
    /// Copies the tensors of a safetensors file to a new one that says of which model they are; it appears whole or not
    /// at all.
    ///
    /// # Errors
    /// What the system refuses, with the reason.
    pub fn write(&self, tensors: &Path, target: &Path) -> io::Result<()> {
        let map = open(&Location::file(tensors)).map_err(io::Error::other)?;
        let tensors = SafeTensors::deserialize(&map).map_err(io::Error::other)?;
        let described = Described {
            format: FORMAT,
            model: self,
        };
        let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(&described)?)]);
        let mut temporary = target.as_os_str().to_owned();
        temporary.push(".unfinished");
        let bytes = safetensors::serialize(tensors.iter(), Some(metadata)).map_err(io::Error::other)?;
        fs::write(&temporary, bytes)?;
        File::open(&temporary)?.sync_all()?;
        fs::rename(&temporary, target)
    }

    /// Reads a file that [`Self::write`] wrote, with its tensors.
    ///
    /// # Errors
    /// [`EmbedError::Weights`] for a file that is none, [`EmbedError::NoModel`], [`EmbedError::Format`],
    /// [`EmbedError::Model`].
    pub fn read(path: &Path) -> Result<(Self, StoredTensors), EmbedError> {
        let damaged = |source| InitialWeightsError::Safetensors {
            path: path.to_owned(),
            source,
        };
        let map = open(&Location::file(path)).map_err(InitialWeightsError::from)?;
        let (_, header) = SafeTensors::read_metadata(&map).map_err(damaged)?;
        let text = header.metadata().as_ref().and_then(|texts| texts.get(KEY));
        let text = text.ok_or_else(|| EmbedError::NoModel {
            path: path.to_owned(),
        })?;
        let undescribed = |source| EmbedError::Model {
            path: path.to_owned(),
            source,
        };
        let Version { format } = serde_json::from_str(text).map_err(undescribed)?;
        if format != FORMAT {
            return Err(EmbedError::Format {
                path: path.to_owned(),
                found: format,
                known: FORMAT,
            });
        }
        let model = serde_json::from_str(text).map_err(undescribed)?;
        Ok((model, read_all(path)?))
    }
}
