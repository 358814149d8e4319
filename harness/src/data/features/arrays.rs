//! Feature files of one expert: a safetensors file with a tensor a video, or a folder with an `.npy` a video.
//!
//! Values may be f16, bf16 (safetensors only), f32 or f64, and become f32. A video without a tensor or file,
//! or with no rows, lacks the expert. Anything damaged is an error that names file, video and row.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use npyz::{NpyFile, Order};
use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensors};

use super::dataset::{ExpertFeatures, FeatureRows};
use super::error::DataError;

/// Where the features of one expert lie.
#[derive(Debug)]
pub(super) struct ExpertFiles {
    /// A safetensors file, or a folder of `ID.npy`.
    pub(super) features: PathBuf,
    /// Times in seconds in the same form, one value a row; rows are then put into time order.
    pub(super) times: Option<PathBuf>,
    /// Length of a row; `None` takes that of the first video that has one.
    pub(super) dim: Option<usize>,
}

/// Features of one expert for each of `ids`, in that order, and the length of a row (`None` when no video
/// has the expert and the length was not given).
///
/// # Errors
/// Those of reading, [`DataError::FeatureShape`], [`DataError::Times`], [`DataError::NotFinite`].
pub(super) fn read_expert(
    files: &ExpertFiles,
    ids: &[&str],
) -> Result<(Option<usize>, Vec<Option<ExpertFeatures>>), DataError> {
    let features = Source::open(&files.features)?;
    let times = files.times.as_deref().map(Source::open).transpose()?;
    let mut dim = files.dim;
    let mut read = Vec::with_capacity(ids.len());
    for &id in ids {
        let Some(array) = features.get(id)? else {
            read.push(None);
            continue;
        };
        let (n_rows, row_len) = match array.shape[..] {
            [row_len] => (1, row_len),
            [n_rows, row_len] => (n_rows, row_len),
            _ => (0, 0),
        };
        if n_rows == 0 && matches!(array.shape[..], [_, _]) {
            read.push(None);
            continue;
        }
        let dim = *dim.get_or_insert(row_len);
        if row_len != dim || dim == 0 {
            let (path, video) = (array.path, id.to_owned());
            return Err(DataError::FeatureShape {
                path,
                video,
                found: array.shape,
                dim,
            });
        }
        array.refuse_non_finite(id, dim)?;
        let mut found = ExpertFeatures {
            rows: FeatureRows::Dense(array.values),
            times_s: None,
        };
        if let Some(times_s) = times
            .as_ref()
            .map(|times| times_of(times, id, n_rows))
            .transpose()?
            .flatten()
        {
            found = in_time_order(found, times_s, dim);
        }
        read.push(Some(found));
    }
    Ok((dim, read))
}

fn times_of(times: &Source, id: &str, n_rows: usize) -> Result<Option<Vec<f32>>, DataError> {
    let Some(array) = times.get(id)? else {
        return Ok(None);
    };
    if array.shape != [n_rows] {
        let (path, video) = (array.path, id.to_owned());
        return Err(DataError::Times {
            path,
            video,
            found: array.shape,
            rows: n_rows,
        });
    }
    array.refuse_non_finite(id, 1)?;
    Ok(Some(array.values))
}

/// Rows sorted by time; equal times keep their order.
fn in_time_order(features: ExpertFeatures, times_s: Vec<f32>, dim: usize) -> ExpertFeatures {
    let mut order: Vec<usize> = (0..times_s.len()).collect();
    order.sort_by(|&a, &b| times_s[a].total_cmp(&times_s[b]));
    let rows = order
        .iter()
        .flat_map(|&row| features.rows.row(row, dim))
        .copied()
        .collect();
    let times_s = order.iter().map(|&row| times_s[row]).collect();
    ExpertFeatures {
        rows: FeatureRows::Dense(rows),
        times_s: Some(times_s),
    }
}

/// An array as read, in row-major order.
struct Array {
    path: PathBuf,
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    fn refuse_non_finite(&self, video: &str, dim: usize) -> Result<(), DataError> {
        match self.values.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(place) => Err(DataError::NotFinite {
                path: self.path.clone(),
                video: video.to_owned(),
                row: place / dim,
                column: place % dim,
                value: self.values[place],
            }),
        }
    }
}

/// One array a video, in one of two forms.
enum Source {
    Folder(PathBuf),
    File {
        path: PathBuf,
        bytes: Vec<u8>,
        data_start: usize,
        metadata: Metadata,
    },
}

impl Source {
    fn open(path: &Path) -> Result<Self, DataError> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let bytes = std::fs::read(path).map_err(|source| read_error(path, source))?;
        match SafeTensors::read_metadata(&bytes) {
            Ok((header_len, metadata)) => {
                let data_start = LENGTH_BYTES + header_len;
                Ok(Self::File {
                    path: path.to_owned(),
                    bytes,
                    data_start,
                    metadata,
                })
            }
            Err(source) => Err(truncation(path, &bytes).unwrap_or_else(|| damaged(path, None, source))),
        }
    }

    fn path_of(&self, id: &str) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.join(format!("{id}.npy")),
            Self::File { path, .. } => path.clone(),
        }
    }

    fn get(&self, id: &str) -> Result<Option<Array>, DataError> {
        match self {
            Self::Folder(_) => {
                let path = self.path_of(id);
                match path.exists() {
                    true => read_npy(path, id).map(Some),
                    false => Ok(None),
                }
            }
            Self::File {
                path,
                bytes,
                data_start,
                metadata,
            } => {
                let Some(info) = metadata.info(id) else {
                    return Ok(None);
                };
                // `read_metadata` checked that offsets lie in the file and agree with shape and type.
                let (start, end) = info.data_offsets;
                let values = decode(info.dtype, &bytes[data_start + start..data_start + end])
                    .ok_or_else(|| damaged(path, Some(id), format!("values are {:?}", info.dtype)))?;
                Ok(Some(Array {
                    path: path.clone(),
                    shape: info.shape.clone(),
                    values,
                }))
            }
        }
    }
}

/// Bytes of the header's length at the start of a safetensors file.
const LENGTH_BYTES: usize = 8;

fn decode(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Option<Vec<f32>> {
        Some(bytes.as_chunks().0.iter().map(|&chunk| value(chunk)).collect())
    }
    match dtype {
        Dtype::F16 => each(bytes, |chunk| f16::from_le_bytes(chunk).to_f32()),
        Dtype::BF16 => each(bytes, |chunk| bf16::from_le_bytes(chunk).to_f32()),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F64 => each(bytes, |chunk| f64::from_le_bytes(chunk) as f32),
        _ => None,
    }
}

/// Where a safetensors file ends too early, when that is what is wrong with it: the first video in file
/// order whose rows are not all there.
fn truncation(path: &Path, bytes: &[u8]) -> Option<DataError> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let (header, data) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    let cut = |(video, info): (&String, &serde_json::Value)| {
        let offset = |index: usize| usize::try_from(info["data_offsets"][index].as_u64()?).ok();
        let (start, end) = (offset(0)?, offset(1)?);
        let rows = usize::try_from(info["shape"][0].as_u64()?).ok()?;
        let row_bytes = (end.checked_sub(start)?).checked_div(rows)?;
        let row = data.len().saturating_sub(start).checked_div(row_bytes)?;
        (end > data.len()).then(|| (start, video.clone(), row, rows))
    };
    let (_, video, row, rows) = header.iter().filter_map(cut).min()?;
    Some(DataError::Truncated {
        path: path.to_owned(),
        video,
        row,
        rows,
    })
}

fn read_npy(path: PathBuf, id: &str) -> Result<Array, DataError> {
    let file = File::open(&path).map_err(|source| read_error(&path, source))?;
    let npy = NpyFile::new(BufReader::new(file)).map_err(|source| damaged(&path, Some(id), source))?;
    let order = npy.order();
    let shape: Vec<usize> = npy
        .shape()
        .iter()
        .map(|&size| usize::try_from(size).map_err(|source| damaged(&path, Some(id), source)))
        .collect::<Result<_, _>>()?;
    let n_values = npy.len();
    let mut values = match npy.try_data::<f32>().map_err(Box::new) {
        Ok(data) => collect(data),
        Err(npy) => match npy.try_data::<f64>().map_err(Box::new) {
            Ok(data) => collect(data.map(|value| value.map(|value| value as f32))),
            Err(npy) => match npy.data::<f16>() {
                Ok(data) => collect(data.map(|value| value.map(f16::to_f32))),
                Err(source) => return Err(damaged(&path, Some(id), source)),
            },
        },
    }
    .map_err(|source| damaged(&path, Some(id), source))?;
    let (rows, row_len) = match shape[..] {
        [row_len] => (1, row_len),
        [rows, row_len] => (rows, row_len),
        _ => (n_values as usize, 1),
    };
    if (values.len() as u64) < n_values {
        let row = match order {
            Order::C => values.len() / row_len,
            Order::Fortran => values.len() % rows,
        };
        return Err(DataError::Truncated {
            path,
            video: id.to_owned(),
            row,
            rows,
        });
    }
    if order == Order::Fortran && shape.len() == 2 {
        values = (0..rows * row_len)
            .map(|place| values[place % row_len * rows + place / row_len])
            .collect();
    }
    Ok(Array { path, shape, values })
}

/// All values up to the end of the file, be it too early.
fn collect(values: impl Iterator<Item = std::io::Result<f32>>) -> std::io::Result<Vec<f32>> {
    let mut read = Vec::new();
    for value in values {
        match value {
            Ok(value) => read.push(value),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn read_error(path: &Path, source: std::io::Error) -> DataError {
    DataError::Read {
        path: path.to_owned(),
        source,
    }
}

fn damaged(
    path: &Path,
    video: Option<&str>,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> DataError {
    DataError::Features {
        path: path.to_owned(),
        video: video.map(str::to_owned),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests;
