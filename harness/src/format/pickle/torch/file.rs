//! Where the pickle and the values of a file of PyTorch are, and the values of a tensor.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use hitbench_kernels::map::FileMap;
use zip::{CompressionMethod, ZipArchive};

use super::super::arena::{Arena, Node, NodeId};
use super::super::machine::{self, Dialect, PLAIN};
use super::super::numpy::{describe, text};
use super::{Place, StorageKind, count};
use crate::format::buffer::{Aligned, Buffer};
use crate::format::error::FormatError;
use crate::format::flaw::Flaw;
use crate::format::layout::Layout;
use crate::format::location::Location;

/// The member of an archive that is the pickle, in a folder named after the file.
const PICKLE: &str = "/data.pkl";
/// The pickled magic number that older files begin with, and the version behind it.
pub(super) const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";

/// Where the pickle of a file of PyTorch is, and its values.
pub(in crate::format::pickle) struct TorchFile {
    /// Bytes of the file.
    pub(in crate::format::pickle) pickle: Range<usize>,
    /// Where positions of flaws count from.
    pub(in crate::format::pickle) start: usize,
    pub(in crate::format::pickle) storages: Storages,
}

/// Values outside of a pickle.
#[derive(Debug)]
pub(in crate::format::pickle) struct Storages {
    map: Arc<FileMap>,
    by_key: HashMap<Vec<u8>, Range<usize>>,
}

/// Whether a zip archive is a file of PyTorch.
pub(crate) fn is_archive(bytes: &[u8]) -> bool {
    let archive = ZipArchive::new(std::io::Cursor::new(bytes));
    archive.is_ok_and(|archive| pickle_name(&archive).is_some())
}

fn pickle_name<R: std::io::Read + std::io::Seek>(archive: &ZipArchive<R>) -> Option<String> {
    let mut names = archive.file_names().filter_map(|name| name.ok());
    names
        .find(|name| name.ends_with(PICKLE))
        .map(|name| name.into_owned())
}

/// Finds the parts of a file of PyTorch; `None` for any other.
///
/// # Errors
/// [`FormatError::Container`] for a damaged archive, [`FormatError::Unread`] for packed values or those of a machine of
/// another byte order, [`FormatError::Malformed`] for an older file that ends too early.
pub(in crate::format::pickle) fn open(
    location: &Location,
    map: &Arc<FileMap>,
) -> Result<Option<TorchFile>, FormatError> {
    if map.starts_with(LEGACY) {
        return legacy(map)
            .map(Some)
            .map_err(|flaw| FormatError::flaw(location, flaw));
    }
    if !map.starts_with(b"PK") {
        return Ok(None);
    }
    let container = |source: zip::result::ZipError| FormatError::Container {
        location: location.clone(),
        source: Box::new(source),
    };
    let mut archive = ZipArchive::new(std::io::Cursor::new(&map[..])).map_err(container)?;
    let Some(name) = pickle_name(&archive) else {
        return Ok(None);
    };
    let unread = |expected: &'static str, found: String| FormatError::Unread {
        location: location.clone(),
        expected,
        found,
    };
    let root = name.strip_suffix(PICKLE).unwrap_or_default().to_owned();
    let (values, order) = (format!("{root}/data/"), format!("{root}/byteorder"));
    let (mut pickle, mut by_key) = (None, HashMap::new());
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(container)?;
        let member_name = member.name().map_err(container)?.into_owned();
        let is_wanted = member_name == name || member_name == order || member_name.starts_with(&values);
        if !is_wanted {
            continue;
        }
        let range = member.data_start().and_then(|start| {
            let start = usize::try_from(start).ok()?;
            let end = start.checked_add(usize::try_from(member.size()).ok()?)?;
            (end <= map.len()).then_some(start..end)
        });
        let Some(range) = range.filter(|_| member.compression() == CompressionMethod::Stored) else {
            return Err(unread("values that are not packed", format!("`{member_name}`")));
        };
        if member_name == order && &map[range.clone()] != b"little" {
            return Err(unread("values with the low byte first", "others".to_owned()));
        }
        if member_name == name {
            pickle = Some(range);
        } else if let Some(key) = member_name.strip_prefix(&values) {
            by_key.insert(key.as_bytes().to_vec(), range);
        }
    }
    let pickle = pickle.unwrap_or_default();
    Ok(Some(TorchFile {
        start: pickle.start,
        pickle,
        storages: Storages {
            map: Arc::clone(map),
            by_key,
        },
    }))
}

/// The parts of an older file.
fn legacy(map: &Arc<FileMap>) -> Result<TorchFile, Flaw> {
    let at_end = |start: usize| machine::run_first(&map[start..], start, Dialect::Torch);
    let sizes_start = LEGACY.len();
    let (_, _, n_bytes) = at_end(sizes_start)?;
    let object = sizes_start + n_bytes;
    let (arena, _, n_bytes) = at_end(object)?;
    let keys_start = object + n_bytes;
    let (keys, list, n_bytes) = at_end(keys_start)?;
    let mut next = keys_start + n_bytes;
    let Node::List(chain) = keys.node(list) else {
        return Err(Flaw::new(
            keys_start,
            "a list of the keys of storages",
            describe(keys.node(list)),
        ));
    };
    // The size of a value is known from the storages that the object names.
    let pickle = &map[object..keys_start];
    let kinds: HashMap<&[u8], StorageKind> = (0..arena.n_nodes())
        .filter_map(|id| match arena.node(id as NodeId) {
            Node::Storage { kind, key, .. } => Some((text(&arena, pickle, key)?, kind)),
            _ => None,
        })
        .collect();
    let (mut walk, mut by_key) = (keys.walk(chain), HashMap::new());
    while let Some(key) = walk.next(&keys) {
        let found = text(&keys, &map[keys_start..], key);
        let Some((key, kind)) = found.and_then(|key| Some((key, *kinds.get(key)?))) else {
            let found = describe(keys.node(key));
            return Err(Flaw::new(
                keys_start,
                "the key of a storage that a tensor has",
                found,
            ));
        };
        let n_values = map.get(next..).and_then(|rest| rest.first_chunk::<8>());
        let Some(&n_values) = n_values else {
            return Err(Flaw::new(
                map.len(),
                "the number of values of a storage",
                "the end",
            ));
        };
        let n_bytes = usize::try_from(u64::from_le_bytes(n_values)).ok();
        let n_bytes = n_bytes.and_then(|n| n.checked_mul(kind.element().size()));
        let range = n_bytes.and_then(|n| Some(next + 8..(next + 8).checked_add(n)?));
        let Some(range) = range.filter(|range| range.end <= map.len()) else {
            return Err(Flaw::new(next, "as many values as the file has", "more"));
        };
        next = range.end;
        by_key.insert(key.to_vec(), range);
    }
    Ok(TorchFile {
        pickle: object..keys_start,
        start: object,
        storages: Storages {
            map: Arc::clone(map),
            by_key,
        },
    })
}

impl Storages {
    /// Bytes of all values.
    pub(in crate::format::pickle) fn n_bytes(&self) -> usize {
        self.by_key.values().map(ExactSizeIterator::len).sum()
    }

    /// Checks that every storage which a pickle names is there, with as many values.
    ///
    /// # Errors
    /// [`Flaw`] at the reference.
    pub(in crate::format::pickle) fn check(&self, arena: &Arena, pickle: &[u8]) -> Result<(), Flaw> {
        for id in 0..arena.n_nodes() {
            let id = id as NodeId;
            let Node::Storage { kind, key, n_values } = arena.node(id) else {
                continue;
            };
            let key = text(arena, pickle, key).unwrap_or_default();
            let n_bytes = count(arena, n_values).and_then(|n| n.checked_mul(kind.element().size()));
            let found = self.by_key.get(key).map(ExactSizeIterator::len);
            if n_bytes.is_none() || found != n_bytes {
                let bytes = |n: Option<usize>| n.map_or("none".to_owned(), |n| n.to_string());
                let expected = format!(
                    "{} bytes of values of storage `{}`",
                    bytes(n_bytes),
                    key.escape_ascii()
                );
                return Err(Flaw::new(arena.at(id), expected, bytes(found)));
            }
        }
        Ok(())
    }

    /// The values of a tensor: in the file where they follow each other there, else gathered.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] for what is no tensor, [`FormatError::Memory`].
    pub(in crate::format::pickle) fn read(
        &self,
        arena: &Arena,
        pickle: &[u8],
        tensor: Node,
        location: &Location,
    ) -> Result<(Layout, Buffer), FormatError> {
        let parts = match tensor {
            Node::Tensor {
                storage,
                offset,
                shape,
                strides,
            } => match arena.node(storage) {
                Node::Storage { kind, key, .. } => Place::of(arena, offset, shape, strides)
                    .zip(text(arena, pickle, key).and_then(|key| self.by_key.get(key)))
                    .map(|(place, range)| (kind.element(), place, range)),
                _ => None,
            },
            _ => None,
        };
        let Some((element, place, range)) = parts else {
            let flaw = Flaw::new(0, PLAIN, describe(tensor));
            return Err(FormatError::flaw(location, flaw));
        };
        let size = element.size();
        let n_bytes = place.n_values().unwrap_or(0) * size;
        // `tensor` found the last value inside of the storage, `check` the storage in the file.
        let buffer = if n_bytes > 0 && place.is_row_major() {
            let start = range.start + place.offset * size;
            Buffer::Mapped {
                map: Arc::clone(&self.map),
                range: start..start + n_bytes,
            }
        } else {
            let mut values = Aligned::zeros(n_bytes).map_err(|error| FormatError::memory(location, error))?;
            let (stored, mut next) = (&self.map[range.clone()], 0);
            place.for_each(|value| {
                values.bytes_mut()[next..next + size].copy_from_slice(&stored[value * size..][..size]);
                next += size;
            });
            Buffer::Owned(values)
        };
        let layout = Layout {
            element,
            swapped: cfg!(target_endian = "big"),
            fortran: false,
            shape: place.shape,
        };
        Ok((layout, buffer))
    }
}
