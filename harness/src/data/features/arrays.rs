//! One array a video, in whatever a user has: a folder with a file a video, or one file with all of them.
//!
//! Values may be f16, bf16 (safetensors only), f32 or f64, and become f32. Anything damaged is an error that names file
//! and video.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::{bf16, f16};
use hitbench_kernels::map::FileMap;
use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensors};

use super::expert_files::{Found, PickledFeatures};
use super::source::spellings;
use crate::data::error::DataError;
use crate::format::{Array, DataSets, Format, FormatError, Location, open, read_ids};

/// Endings of files with one array.
const ENDINGS: [&str; 6] = ["npy", "npz", "pickle", "pkl", "h5", "hdf5"];
/// Members that hold the features in archives with more than one: of HERO, and of COOT.
const MEMBERS: [&str; 2] = ["features", "frame_scores"];

/// An array as read, in row-major order.
pub(super) struct VideoArray {
    pub(super) path: PathBuf,
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// Arrays by video.
#[derive(Debug)]
pub(super) enum Arrays {
    /// Files `ID` + suffix + `.npy` and the like.
    Folder { folder: PathBuf, suffix: String },
    /// A tensor a video.
    Safetensors {
        path: PathBuf,
        map: Arc<FileMap>,
        data_start: usize,
        metadata: Metadata,
    },
    /// A dictionary by video.
    Pickle(PickledFeatures),
    /// A data set a video.
    Hdf5 { path: PathBuf, data_sets: DataSets },
    /// Rows of one matrix: `ID`, or `ID_N` for each frame.
    BigFile {
        folder: PathBuf,
        matrix: Array,
        rows: HashMap<String, Vec<usize>>,
    },
}

impl Arrays {
    /// Opens a file or folder; in a folder each video's file bears its id and `suffix`.
    pub(super) fn open(path: &Path, suffix: &str) -> Result<Self, DataError> {
        if path.join("feature.bin").is_file() {
            return Self::open_big_file(path);
        }
        if path.is_dir() {
            return Ok(Self::Folder {
                folder: path.to_owned(),
                suffix: suffix.to_owned(),
            });
        }
        let location = Location::file(path);
        let map = Arc::new(open(&location)?);
        match Format::of(path, &map) {
            Some(Format::Pickle | Format::Npy) => Ok(Self::Pickle(PickledFeatures::open(path)?)),
            Some(Format::Hdf5) => Ok(Self::Hdf5 {
                path: path.to_owned(),
                data_sets: DataSets::open(&location, &map)?,
            }),
            found if found != Some(Format::Safetensors) && !is_called_safetensors(path) => {
                let problem = "expected a safetensors or HDF5 file or a pickle";
                Err(damaged(path, None, problem))
            }
            // A torn one has none of the format's first bytes, but a name.
            _ => match SafeTensors::read_metadata(&map) {
                Ok((header_len, metadata)) => Ok(Self::Safetensors {
                    path: path.to_owned(),
                    map,
                    data_start: LENGTH_BYTES + header_len,
                    metadata,
                }),
                Err(source) => Err(truncation(path, &map).unwrap_or_else(|| damaged(path, None, source))),
            },
        }
    }

    fn open_big_file(folder: &Path) -> Result<Self, DataError> {
        let location = Location::file(folder);
        let matrix = Array::read(&location)?;
        let ids = read_ids(&location)?;
        if ids.len() != matrix.shape[0] {
            let problem = format!("{} ids for {} rows", ids.len(), matrix.shape[0]);
            return Err(damaged(folder, None, problem));
        }
        let mut rows: HashMap<String, Vec<usize>> = HashMap::new();
        for (row, id) in ids.into_iter().enumerate() {
            // A frame counts for its video, and for an id that happens to look like a frame.
            if let Some((video, _)) = id.rsplit_once('_') {
                rows.entry(video.to_owned()).or_default().push(row);
            }
            rows.insert(id, vec![row]);
        }
        Ok(Self::BigFile {
            folder: folder.to_owned(),
            matrix,
            rows,
        })
    }

    /// The array of a video: `None` when there is none.
    pub(super) fn get(&self, video: &str) -> Result<Option<VideoArray>, DataError> {
        for id in spellings(video) {
            if let Some(found) = self.get_exact(video, &id)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn get_exact(&self, video: &str, id: &str) -> Result<Option<VideoArray>, DataError> {
        match self {
            Self::Folder { folder, suffix } => {
                let mut paths = ENDINGS
                    .iter()
                    .map(|ending| folder.join(format!("{id}{suffix}.{ending}")));
                paths
                    .find(|path| path.exists())
                    .map(|path| read_file(path, video))
                    .transpose()
            }
            Self::Pickle(features) => match features.find(id) {
                None => Ok(None),
                Some(found) => match found? {
                    Found::Nothing => Ok(Some(VideoArray::nothing(features.path()))),
                    Found::Array(shape, values) => Ok(Some(VideoArray {
                        path: features.path().to_owned(),
                        shape,
                        values,
                    })),
                },
            },
            Self::Hdf5 { path, data_sets } => {
                let Some((layout, buffer)) = data_sets.numbers(id)? else {
                    return Ok(None);
                };
                let location = Location {
                    path: path.clone(),
                    member: Some(id.to_owned()),
                };
                VideoArray::of(path, video, Array::squeezed(&location, layout, buffer)).map(Some)
            }
            Self::BigFile { folder, matrix, rows } => {
                let Some(rows) = rows.get(id) else {
                    return Ok(None);
                };
                let dim = matrix.shape.last().copied().unwrap_or_default();
                // The format knows f32 only.
                let values: &[f32] = bytemuck::cast_slice(matrix.buffer.bytes());
                let row = |&row: &usize| values[row * dim..(row + 1) * dim].iter().copied();
                Ok(Some(VideoArray {
                    path: folder.clone(),
                    shape: vec![rows.len(), dim],
                    values: rows.iter().flat_map(row).collect(),
                }))
            }
            Self::Safetensors {
                path,
                map,
                data_start,
                metadata,
            } => {
                let Some(info) = metadata.info(id) else {
                    return Ok(None);
                };
                // `read_metadata` checked that offsets lie in the file and agree with shape and type.
                let (start, end) = info.data_offsets;
                let values = decode(info.dtype, &map[data_start + start..data_start + end])
                    .ok_or_else(|| damaged(path, Some(video), format!("values are {:?}", info.dtype)))?;
                Ok(Some(VideoArray {
                    path: path.clone(),
                    shape: info.shape.clone(),
                    values,
                }))
            }
        }
    }

    /// The files whose change changes what is read.
    pub(super) fn files(&self, videos: &[&str]) -> Vec<PathBuf> {
        match self {
            Self::Folder { folder, suffix } => {
                let ids = videos.iter().flat_map(|video| spellings(video));
                let of = |id: String| ENDINGS.map(|ending| folder.join(format!("{id}{suffix}.{ending}")));
                ids.flat_map(of).collect()
            }
            Self::BigFile { folder, .. } => ["feature.bin", "id.txt", "shape.txt"]
                .map(|name| folder.join(name))
                .into(),
            Self::Safetensors { path, .. } | Self::Hdf5 { path, .. } => vec![path.clone()],
            Self::Pickle(features) => vec![features.path().to_owned()],
        }
    }
}

impl VideoArray {
    /// What was read of a video; a shape with too many axes is for [`Recording`](super::Recording) to refuse.
    fn of(path: &Path, video: &str, read: Result<Array, FormatError>) -> Result<Self, DataError> {
        let read = match read {
            Ok(array) => array.to_f32().map(|values| (array.shape, values)),
            Err(FormatError::Axes { shape, .. }) => Ok((shape.0, Vec::new())),
            Err(source) => Err(source),
        };
        let (shape, values) = read.map_err(|source| damaged(path, Some(video), source))?;
        Ok(Self {
            path: path.to_owned(),
            shape,
            values,
        })
    }

    /// What stands for a video on which an expert has nothing.
    fn nothing(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            shape: vec![0],
            values: Vec::new(),
        }
    }
}

/// The array in a file of one video.
fn read_file(path: PathBuf, video: &str) -> Result<VideoArray, DataError> {
    let mut location = Location::file(&path);
    let mut read = Array::read_squeezed(&location);
    if let Err(FormatError::Member { known, .. }) = &read
        && let Some(member) = MEMBERS
            .into_iter()
            .find(|member| known.iter().any(|known| known == member))
    {
        location.member = Some(member.to_owned());
        read = Array::read_squeezed(&location);
    }
    VideoArray::of(&path, video, read)
}

fn is_called_safetensors(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "safetensors")
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

pub(super) fn damaged(
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
