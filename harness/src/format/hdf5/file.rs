//! An HDF5 file, and how much may be read from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hdf5_reader::error::{Error, Result as Hdf5Result};
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::{BytesStorage, Hdf5File, OpenOptions, Storage, StorageBuffer};
use hitbench_kernels::map::FileMap;

use crate::format::error::FormatError;
use crate::format::flaw::Flaw;
use crate::format::location::Location;

/// First bytes of every file that has nothing before its own.
pub(crate) const MAGIC: &[u8; 8] = b"\x89HDF\r\n\x1a\n";
/// Deflate cannot make bytes from fewer than a thousandth of their number (RFC 1951: at most 258 from two bits).
const LARGEST_RATIO: usize = 1032;
/// How often each byte of a file may be read: headers are parsed up to three times, values once.
const READS: u64 = 8;
/// Bytes that may be read of the smallest file, and names that it may hold.
const SMALLEST: usize = 1 << 16;
/// What a read costs besides its bytes, so that empty ones end too.
const READ_COST: u64 = 16;

/// A file that is being read.
pub(super) struct File {
    pub(super) location: Location,
    pub(super) map: Arc<FileMap>,
    pub(super) inner: Hdf5File,
    /// Bytes that names may still take. A file holds each of its names, so more than a few times its length are
    /// names told again and again.
    names_left: AtomicUsize,
}

impl File {
    /// Opens a file and checks that it is whole.
    ///
    /// # Errors
    /// [`FormatError::Container`] for a damaged start, [`FormatError::Malformed`] for a file that ends too early,
    /// [`FormatError::Unread`] for one with a base address.
    pub(super) fn open(location: &Location, map: &Arc<FileMap>) -> Result<Self, FormatError> {
        let damaged = |source: Error| FormatError::Container {
            location: Location::file(&location.path),
            source: Box::new(source),
        };
        let storage = Watched {
            bytes: BytesStorage::from_owner(Mapped(Arc::clone(map))),
            left: AtomicU64::new((map.len() + SMALLEST) as u64 * READS),
        };
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(0)
            .with_max_object_header_bytes(map.len())
            .with_max_chunk_bytes(unpacked(map.len()));
        let inner = Hdf5File::from_storage_with_options(Arc::new(storage), options).map_err(damaged)?;
        let superblock = inner.superblock();
        let file = Location::file(&location.path);
        if superblock.base_address != 0 {
            return Err(FormatError::Unread {
                location: file,
                expected: "addresses from the start of the file",
                found: format!("addresses from byte {}", superblock.base_address),
            });
        }
        if superblock.eof_address > map.len() as u64 {
            let expected = format!("{} bytes", superblock.eof_address);
            let flaw = Flaw::new(map.len(), expected, "the end of the file");
            return Err(FormatError::flaw(&file, flaw));
        }
        Ok(Self {
            location: location.clone(),
            map: Arc::clone(map),
            inner,
            names_left: AtomicUsize::new((map.len() + SMALLEST) * 4),
        })
    }

    pub(super) fn offset_size(&self) -> u8 {
        self.inner.superblock().offset_size
    }

    pub(super) fn length_size(&self) -> u8 {
        self.inner.superblock().length_size
    }

    /// Where the object of a path lies, for errors.
    pub(super) fn at(&self, path: &str) -> Location {
        Location {
            path: self.location.path.clone(),
            member: (!path.is_empty()).then(|| path.to_owned()),
        }
    }

    /// The error of the object of a path that the crate refuses.
    pub(super) fn damaged(&self, path: &str, source: Error) -> FormatError {
        FormatError::Container {
            location: self.at(path),
            source: Box::new(source),
        }
    }

    /// The header of the object of a path.
    pub(super) fn header(&self, path: &str, address: u64) -> Result<Arc<ObjectHeader>, FormatError> {
        let header = self.inner.get_or_parse_header(address);
        header.map_err(|source| self.damaged(path, source))
    }

    /// Makes room for a name.
    ///
    /// # Errors
    /// [`FormatError::Unread`] when names took more than the file can hold.
    pub(super) fn take_name(&self, n_bytes: usize) -> Result<(), FormatError> {
        let take = |left: usize| left.checked_sub(n_bytes + READ_COST as usize);
        match self
            .names_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        {
            Ok(_) => Ok(()),
            Err(_) => Err(FormatError::Unread {
                location: self.at(""),
                expected: "every name once",
                found: "names that repeat without end".to_owned(),
            }),
        }
    }

    /// Some bytes of the file.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] where it ends before they do.
    pub(super) fn slice(
        &self,
        path: &str,
        start: u64,
        n_bytes: u64,
        what: &str,
    ) -> Result<std::ops::Range<usize>, FormatError> {
        let range = usize::try_from(start).ok().zip(usize::try_from(n_bytes).ok());
        let range = range.and_then(|(start, n_bytes)| Some(start..start.checked_add(n_bytes)?));
        range.filter(|range| range.end <= self.map.len()).ok_or_else(|| {
            let expected = format!("{n_bytes} bytes of {what} at byte {start}");
            let flaw = Flaw::new(self.map.len(), expected, "the end of the file");
            FormatError::flaw(&self.at(path), flaw)
        })
    }
}

/// Most bytes that `n_bytes` of a file can become.
pub(super) fn unpacked(n_bytes: usize) -> usize {
    n_bytes
        .saturating_mul(LARGEST_RATIO)
        .saturating_add(LARGEST_RATIO)
}

/// A mapped file as the crate takes bytes.
struct Mapped(Arc<FileMap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The bytes of a file, of which only so many are given: trees whose nodes are each other's children, or heaps that
/// thousands of names share, end in an error instead of filling memory.
struct Watched {
    bytes: BytesStorage,
    left: AtomicU64,
}

impl Storage for Watched {
    fn len(&self) -> u64 {
        self.bytes.len()
    }

    fn read_range(&self, offset: u64, len: usize) -> Hdf5Result<StorageBuffer> {
        let cost = (len as u64).saturating_add(READ_COST);
        let take = |left: u64| left.checked_sub(cost);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => self.bytes.read_range(offset, len),
            Err(_) => Err(Error::ResourceLimit(format!(
                "at byte {offset}: everything was read {READS} times without an end"
            ))),
        }
    }
}
