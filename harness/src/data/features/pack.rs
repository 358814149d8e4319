//! Features packed into one file that is mapped into memory: a data set of any size takes no memory of its own, and
//! all processes share its pages.
//!
//! A file begins with [`MAGIC`], holds a block of rows for each video and expert, aligned to 64 bytes, and ends with the
//! index: a header in JSON, a record a block, all times, and a trailer with place, length and checksum of the index.
//! Numbers are in this machine's byte order, which the magic tells. A block's digest, which is also its part in the
//! identity of the data set, is checked when the block is first used. A file that is torn, of another version or
//! made from other sources is not opened, and made anew.

mod write;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytemuck::{Pod, Zeroable};
use half::f16;
use hitbench_kernels::map::FileMap;
use hitbench_models::batch::RowsView;
use hitbench_models::config::ExpertSpec;
use serde::{Deserialize, Serialize};

use super::recording::{RowBytes, digest};
use crate::data::config::FeatureDtype;
use crate::data::error::DataError;

pub(super) use write::PackWriter;

/// First bytes: the last four number the version, in this machine's byte order.
const MAGIC: [u8; 24] = {
    let mut magic = *b"hitbench packed rows\0\0\0\0";
    let version = VERSION.to_ne_bytes();
    let mut place = 0;
    while place < version.len() {
        magic[20 + place] = version[place];
        place += 1;
    }
    magic
};
/// Raised whenever the same sources would give another file.
const VERSION: u32 = 1;
/// Blocks begin on multiples of this many bytes.
const ALIGNMENT: usize = 64;

/// What is said of the whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// Identity of what it was made from, as hex.
    pub(super) sources: String,
    pub(super) dtype: FeatureDtype,
    pub(super) n_videos: usize,
    /// Experts in alphabetical order.
    pub(super) experts: Vec<ExpertSpec>,
    /// The layout that the features were found in.
    pub(super) layout: String,
    /// Videos of which there is no file or entry at all.
    pub(super) videos_without_file: usize,
    /// Recordings whose files had times for more rows than there are.
    pub(super) times_cut: usize,
}

/// Where the rows of one expert for one video are.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    /// First byte of the rows.
    start: u64,
    /// Place of the first time among all times.
    first_time: u64,
    /// 0 where the expert has nothing on the video.
    n_rows: u32,
    /// 1 where each row has a time.
    has_times: u32,
    /// [`digest`] of rows and times.
    digest: [u8; 32],
}

/// The end of a file.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Trailer {
    index_start: u64,
    index_len: u64,
    /// Bytes of the header in JSON, at the start of the index.
    header_len: u64,
    /// BLAKE3 of the index.
    checksum: [u8; 32],
}

/// A packed file.
#[derive(Debug)]
pub(crate) struct Pack {
    path: PathBuf,
    map: Arc<FileMap>,
    header: Header,
    /// `[n_videos, n_experts]`.
    blocks: Vec<Block>,
    times_s: Vec<f32>,
    /// Blocks whose digest was found to be right.
    checked: Vec<AtomicBool>,
}

impl Pack {
    /// Opens a file that was made from these sources; `None` when there is none that is whole.
    pub(super) fn open(path: &Path, sources: &str) -> Option<Self> {
        let map = Arc::new(FileMap::open(path).ok()?);
        if !map.starts_with(&MAGIC) {
            return None;
        }
        let trailer_start = map.len().checked_sub(size_of::<Trailer>())?;
        let trailer: Trailer = bytemuck::pod_read_unaligned(&map[trailer_start..]);
        let size = |number: u64| usize::try_from(number).ok();
        let start = size(trailer.index_start)?;
        let index = map.get(start..start.checked_add(size(trailer.index_len)?)?)?;
        if start + index.len() != trailer_start || blake3::hash(index).as_bytes() != &trailer.checksum {
            return None;
        }
        let (header, rest) = index.split_at_checked(size(trailer.header_len)?)?;
        let header: Header = serde_json::from_slice(header).ok()?;
        let n_blocks = header.n_videos.checked_mul(header.experts.len())?;
        let (blocks, times) = rest.split_at_checked(n_blocks.checked_mul(size_of::<Block>())?)?;
        let pack = Self {
            path: path.to_owned(),
            blocks: blocks
                .chunks_exact(size_of::<Block>())
                .map(bytemuck::pod_read_unaligned)
                .collect(),
            times_s: times
                .as_chunks()
                .0
                .iter()
                .map(|&time| f32::from_ne_bytes(time))
                .collect(),
            checked: (0..n_blocks).map(|_| AtomicBool::new(false)).collect(),
            header,
            map,
        };
        let fits = |(index, block): (usize, &Block)| {
            let range = pack.range(index);
            let end = block.first_time + u64::from(block.n_rows * block.has_times);
            range.is_some_and(|range| range.end <= start && range.start.is_multiple_of(ALIGNMENT))
                && end <= pack.times_s.len() as u64
        };
        let is_whole = pack.header.sources == sources && pack.blocks.iter().enumerate().all(fits);
        is_whole.then_some(pack)
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes of a block's rows.
    fn range(&self, block: usize) -> Option<Range<usize>> {
        let dim = self.header.experts[block % self.header.experts.len()].dim;
        let Block { start, n_rows, .. } = self.blocks[block];
        let start = usize::try_from(start).ok()?;
        let n_bytes = dim
            .checked_mul(self.header.dtype.size())?
            .checked_mul(n_rows as usize)?;
        Some(start..start.checked_add(n_bytes)?)
    }

    /// Rows of one expert for one video, and their times; `None` where the expert has nothing on it.
    pub(super) fn get(
        self: &Arc<Self>,
        video: usize,
        expert: usize,
    ) -> Option<(PackedRows, Option<Vec<f32>>)> {
        let block = video * self.header.experts.len() + expert;
        let Block {
            first_time,
            n_rows,
            has_times,
            ..
        } = self.blocks[block];
        let rows = PackedRows {
            pack: Arc::clone(self),
            block,
        };
        let times = || self.times_s[first_time as usize..][..n_rows as usize].to_vec();
        (n_rows > 0).then(|| (rows, (has_times == 1).then(times)))
    }
}

/// The rows of one expert for one video in a packed file.
#[derive(Debug, Clone)]
pub struct PackedRows {
    pack: Arc<Pack>,
    block: usize,
}

impl PackedRows {
    /// The rows, in the file's pages.
    pub(crate) fn view(&self) -> RowsView<'_> {
        // `Pack::open` found every block inside the file.
        let bytes = &self.pack.map[self.pack.range(self.block).unwrap_or_default()];
        match self.pack.header.dtype {
            FeatureDtype::F32 => RowsView::Dense(bytemuck::cast_slice(bytes)),
            FeatureDtype::F16 => RowsView::Half(bytemuck::cast_slice(bytes)),
        }
    }

    /// The packed file.
    pub(crate) fn path(&self) -> &Path {
        &self.pack.path
    }

    /// Number of rows.
    pub(crate) fn n_rows(&self) -> usize {
        self.pack.blocks[self.block].n_rows as usize
    }

    /// The [`digest`] that rows and times should have.
    pub(crate) fn digest(&self) -> blake3::Hash {
        blake3::Hash::from_bytes(self.pack.blocks[self.block].digest)
    }

    /// Checks the digest, once for all users of the file.
    ///
    /// # Errors
    /// [`DataError::DamagedPack`].
    pub(crate) fn check(&self) -> Result<(), DataError> {
        let checked = &self.pack.checked[self.block];
        if checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Block {
            first_time,
            n_rows,
            has_times,
            ..
        } = self.pack.blocks[self.block];
        let times = &self.pack.times_s[first_time as usize..];
        let times = (has_times == 1).then(|| &times[..n_rows as usize]);
        if digest([self.bytes()], times) != self.digest() {
            return Err(DataError::DamagedPack {
                path: self.pack.path.clone(),
            });
        }
        checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn bytes(&self) -> RowBytes<'_> {
        match self.view() {
            RowsView::Half(values) => RowBytes::F16(values),
            RowsView::Dense(values) | RowsView::Indexed { table: values, .. } => RowBytes::F32(values),
        }
    }
}

impl PartialEq for PackedRows {
    /// Whether the rows are the same values.
    fn eq(&self, other: &Self) -> bool {
        match (self.bytes(), other.bytes()) {
            (RowBytes::F32(ours), RowBytes::F32(theirs)) => ours == theirs,
            (RowBytes::F16(ours), RowBytes::F16(theirs)) => ours == theirs,
            _ => false,
        }
    }
}

/// The value in the type that a pack keeps, if it has one there.
fn as_half(value: f32) -> Option<f16> {
    let half = f16::from_f32(value);
    half.is_finite().then_some(half)
}

#[cfg(test)]
mod tests;
