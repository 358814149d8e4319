//! Features of one expert out of its own file or folder, as `dataset.yaml` names them.

use std::path::PathBuf;

use super::arrays::Arrays;
use super::recording::{Recording, refuse_non_finite};
use crate::data::dataset::{ExpertFeatures, FeatureRows};
use crate::data::error::DataError;

/// Where the features of one expert lie.
#[derive(Debug)]
pub(in crate::data) struct ExpertFiles {
    /// A file or folder in any form of [`Arrays`].
    pub(in crate::data) features: PathBuf,
    /// Times in seconds in the same form, one value a row; rows are then put into time order.
    pub(in crate::data) times: Option<PathBuf>,
    /// Length of a row.
    pub(in crate::data) dim: usize,
}

/// Features of one expert for each of `ids`, in that order.
///
/// # Errors
/// Those of reading, [`DataError::FeatureShape`], [`DataError::Times`], [`DataError::NotFinite`].
pub(in crate::data) fn read_expert(
    files: &ExpertFiles,
    ids: &[&str],
) -> Result<Vec<Option<ExpertFeatures>>, DataError> {
    let features = Arrays::open(&files.features, "")?;
    let times = files
        .times
        .as_deref()
        .map(|times| Arrays::open(times, ""))
        .transpose()?;
    let times = times.as_ref().map(|times| Times {
        arrays: times,
        per_second: 1.0,
    });
    let read = ids.iter().map(|id| {
        let recording = read_recording(&features, times.as_ref(), id, Some(files.dim))?;
        Ok(recording.map(|recording| ExpertFeatures {
            rows: FeatureRows::Dense(recording.values),
            times_s: recording.times_s,
        }))
    });
    read.collect()
}

/// Times of rows, one value a row.
pub(super) struct Times<'a> {
    pub(super) arrays: &'a Arrays,
    /// Units of the values in a second.
    pub(super) per_second: f32,
}

/// What the expert saw of one video.
///
/// # Errors
/// As [`read_expert`].
pub(super) fn read_recording(
    features: &Arrays,
    times: Option<&Times<'_>>,
    id: &str,
    dim: Option<usize>,
) -> Result<Option<Recording>, DataError> {
    let Some(array) = features.get(id)? else {
        return Ok(None);
    };
    let Some(mut recording) = Recording::new(&array.path, id, &array.shape, array.values, dim)? else {
        return Ok(None);
    };
    if let Some(times) = times
        && let Some(array) = times.arrays.get(id)?
    {
        if array.shape != [recording.n_rows()] {
            return Err(DataError::Times {
                path: array.path,
                video: id.to_owned(),
                found: array.shape,
                expected: format!("[{}]", recording.n_rows()),
            });
        }
        refuse_non_finite(&array.path, id, &array.values, 1)?;
        recording.set_times(array.values.iter().map(|time| time / times.per_second).collect());
    }
    Ok(Some(recording))
}

#[cfg(test)]
mod tests;
