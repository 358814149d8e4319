//! Features of a list of videos: converted once into a packed file in the cache folder, from there on mapped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hitbench_kernels::cache::cache_dir;
use hitbench_models::config::ExpertSpec;
use rayon::prelude::*;

use super::known::known;
use super::pack::{Header, Pack, PackWriter};
use super::source::{FeatureSource, VideoRecordings, fingerprint, open};
use crate::data::config::FeatureDtype;
use crate::data::dataset::{ExpertFeatures, FeatureRows};
use crate::data::error::DataError;

/// Videos that are read at once: enough for all processors, few enough for little memory.
const AT_ONCE: usize = 64;

/// Which features are wanted.
#[derive(Debug, Clone, Copy)]
pub(in crate::data) struct Request<'a> {
    /// The folder, in any layout.
    pub(in crate::data) path: &'a Path,
    /// Names of the experts wanted; empty for all that there are.
    pub(in crate::data) experts: &'a [String],
    /// What values are kept as.
    pub(in crate::data) dtype: FeatureDtype,
}

/// Features of all videos asked for.
#[derive(Debug)]
pub(in crate::data) struct FeatureSet {
    /// Experts in alphabetical order.
    pub(in crate::data) experts: Vec<ExpertSpec>,
    /// For each video its experts.
    pub(in crate::data) videos: Vec<Vec<Option<ExpertFeatures>>>,
    /// The layout that was found.
    pub(in crate::data) layout: String,
    /// Videos of which there is no file or entry at all.
    pub(in crate::data) videos_without_file: usize,
    /// Recordings whose files had times for more rows than there are.
    pub(in crate::data) times_cut: usize,
}

/// Where packed files are kept.
///
/// # Errors
/// [`DataError::NoCache`].
pub(in crate::data) fn cache_folder() -> Result<PathBuf, DataError> {
    Ok(cache_dir().ok_or(DataError::NoCache)?.join("features"))
}

/// Features of `videos`, in that order; packed files are kept in `cache`.
///
/// The first call converts them, which takes a while for large data sets; later ones map the packed file, as long as
/// no file that it was made from has changed. Of several processes one converts while the others wait.
///
/// # Errors
/// Those of the layout's files; [`DataError::NoFeatures`] for a wanted expert, or all, that no video has;
/// [`DataError::ExpertDim`]; [`DataError::Overflow`]; [`DataError::Write`].
pub(in crate::data) fn load(
    request: Request<'_>,
    videos: &[&str],
    cache: &Path,
) -> Result<FeatureSet, DataError> {
    let source = open(request.path)?;
    let sources = fingerprint(&source.files(videos)?)?.to_hex().to_string();
    fs::create_dir_all(cache).map_err(write_error(cache))?;
    let path = cache.join(format!("{}.pack", identity(request, videos)?));
    let pack = match Pack::open(&path, &sources) {
        Some(pack) => pack,
        None => {
            let lock_path = path.with_extension("lock");
            let lock = File::create(&lock_path).map_err(write_error(&lock_path))?;
            lock.lock().map_err(write_error(&lock_path))?;
            // Another process may have made it meanwhile.
            match Pack::open(&path, &sources) {
                Some(pack) => pack,
                None => {
                    convert(&*source, request, videos, &path, &sources)?;
                    Pack::open(&path, &sources)
                        .ok_or_else(|| DataError::DamagedPack { path: path.clone() })?
                }
            }
        }
    };
    let pack = Arc::new(pack);
    let header = pack.header();
    let features = |video: usize, expert: usize| {
        pack.get(video, expert).map(|(rows, times_s)| ExpertFeatures {
            rows: FeatureRows::Packed(rows),
            times_s,
        })
    };
    let n_experts = header.experts.len();
    let of_video = |video| (0..n_experts).map(|expert| features(video, expert)).collect();
    Ok(FeatureSet {
        experts: header.experts.clone(),
        videos: (0..videos.len()).map(of_video).collect(),
        layout: header.layout.clone(),
        videos_without_file: header.videos_without_file,
        times_cut: header.times_cut,
    })
}

/// What a packed file is called: what was asked for, whatever the files hold.
fn identity(request: Request<'_>, videos: &[&str]) -> Result<String, DataError> {
    let path = fs::canonicalize(request.path).map_err(|source| DataError::Read {
        path: request.path.to_owned(),
        source,
    })?;
    let mut hash = blake3::Hasher::new();
    let experts = request.experts.iter().map(String::as_bytes);
    let videos = videos.iter().map(|video| video.as_bytes());
    let parts = [
        path.as_os_str().as_encoded_bytes(),
        request.dtype.name().as_bytes(),
    ];
    for part in parts.into_iter().chain(experts).chain([&b""[..]]).chain(videos) {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Ok(hash.finalize().to_hex()[..32].to_owned())
}

/// Reads all videos and writes the packed file.
fn convert(
    source: &dyn FeatureSource,
    request: Request<'_>,
    videos: &[&str],
    path: &Path,
    sources: &str,
) -> Result<(), DataError> {
    tracing::info!(
        "packing the features of {} videos in `{}` ({}); this is done once",
        videos.len(),
        request.path.display(),
        source.layout()
    );
    let mut writer = PackWriter::create(path, request.dtype)?;
    let mut header = Header {
        sources: sources.to_owned(),
        dtype: request.dtype,
        n_videos: videos.len(),
        experts: Vec::new(),
        layout: source.layout().to_owned(),
        videos_without_file: 0,
        times_cut: 0,
    };
    for some in videos.chunks(AT_ONCE) {
        let read: Vec<Result<Option<VideoRecordings>, DataError>> =
            some.par_iter().map(|video| source.read(video)).collect();
        for (video, recordings) in some.iter().zip(read) {
            let recordings = recordings?;
            header.videos_without_file += usize::from(recordings.is_none());
            let mut recordings = recordings.unwrap_or_default();
            recordings.retain(|(name, _)| request.experts.is_empty() || request.experts.contains(name));
            header.times_cut += recordings
                .iter()
                .filter(|(_, recording)| recording.times_cut)
                .count();
            writer.push(request.path, video, &recordings)?;
        }
    }
    let met = writer.experts();
    if source.is_published() {
        for expert in met {
            if let Some(known) = known(&expert.name)
                && !known.dims.contains(&expert.dim)
            {
                return Err(DataError::ExpertDim {
                    path: request.path.to_owned(),
                    expert: expert.name.clone(),
                    found: expert.dim,
                    expected: known.dims.to_vec(),
                });
            }
        }
    }
    let lacks = |name: &&String| met.iter().all(|expert| expert.name != **name);
    let missing = match (request.experts.iter().find(lacks), met.is_empty()) {
        (Some(expert), _) => Some(format!("expert `{expert}`")),
        (None, true) => Some("any expert".to_owned()),
        (None, false) => None,
    };
    match missing {
        Some(expert) => Err(DataError::NoFeatures {
            path: request.path.to_owned(),
            expert,
        }),
        None => writer.finish(header),
    }
}

fn write_error(path: &Path) -> impl Fn(std::io::Error) -> DataError {
    let path = path.to_owned();
    move |source| DataError::Write {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests;
