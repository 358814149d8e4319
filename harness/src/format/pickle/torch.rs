//! What files of PyTorch (`torch.save`) have beyond pickles: a few more functions, and values that lie outside.
//!
//! Since PyTorch 1.6 a file is a zip archive with a member `data.pkl` and one member a storage, never packed. Before, it
//! was a row of pickles (a magic number, a version, the writer's sizes of types, the object, the keys of the storages) and
//! then, for each key, the number of its values and the values. A tensor names a storage by its key and says where in it
//! its values are.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use hitbench_kernels::map::FileMap;
use zip::{CompressionMethod, ZipArchive};

use super::arena::{Arena, Node, NodeId};
use super::machine::{self, Dialect, PLAIN};
use super::numpy::{self, describe, sizes, text};
use crate::format::buffer::{Aligned, Buffer};
use crate::format::error::FormatError;
use crate::format::flaw::Flaw;
use crate::format::layout::{Element, Layout};
use crate::format::location::Location;

/// The member of an archive that is the pickle, in a folder named after the file.
const PICKLE: &str = "/data.pkl";
/// The pickled magic number that older files begin with, and the version behind it.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";

/// Element type of a storage, by the class that PyTorch names for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StorageKind {
    Half,
    Bf16,
    Float,
    Double,
    /// Integers of so many bytes.
    Int(u8),
    Bool,
}

impl StorageKind {
    fn find(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"HalfStorage" => Self::Half,
            b"BFloat16Storage" => Self::Bf16,
            b"FloatStorage" => Self::Float,
            b"DoubleStorage" => Self::Double,
            b"LongStorage" => Self::Int(8),
            b"IntStorage" => Self::Int(4),
            b"ShortStorage" => Self::Int(2),
            b"CharStorage" | b"ByteStorage" => Self::Int(1),
            b"BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    fn element(self) -> Element {
        match self {
            Self::Half => Element::F16,
            Self::Bf16 => Element::Bf16,
            Self::Float => Element::F32,
            Self::Double => Element::F64,
            Self::Int(size) => Element::Int(size.into()),
            Self::Bool => Element::Bool,
        }
    }
}

/// What may be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// Makes a dictionary.
    OrderedDict,
    /// Makes a tensor of a storage.
    Tensor,
    /// Makes a parameter of a tensor, which is the same here.
    Parameter,
    /// The class of a storage, which is never called.
    Storage(StorageKind),
}

impl Function {
    pub(super) fn find(module: &[u8], name: &[u8]) -> Option<Self> {
        Some(match (module, name) {
            (b"collections", b"OrderedDict") => Self::OrderedDict,
            (b"torch._utils", b"_rebuild_tensor_v2") => Self::Tensor,
            (b"torch._utils", b"_rebuild_parameter") => Self::Parameter,
            (b"torch", name) => Self::Storage(StorageKind::find(name)?),
            _ => return None,
        })
    }

    /// The arguments that PyTorch writes.
    pub(super) fn arguments(self) -> &'static str {
        match self {
            Self::OrderedDict => "`OrderedDict` of nothing or of a list of pairs",
            Self::Tensor => {
                "`_rebuild_tensor_v2` of a storage, offset, shape and strides inside of it, and flags"
            }
            Self::Parameter => "`_rebuild_parameter` of a tensor and flags",
            Self::Storage(_) => "no call of a storage's class",
        }
    }
}

/// What a call makes.
///
/// # Errors
/// [`Flaw`] for arguments that PyTorch does not write, or a tensor that reaches beyond its storage.
pub(super) fn call(
    function: Function,
    arena: &mut Arena,
    arguments: NodeId,
    at: usize,
) -> Result<Node, Flaw> {
    let made = match function {
        Function::OrderedDict => ordered_dict(arena, arguments, at)?,
        Function::Tensor => tensor(arena, arguments),
        Function::Parameter => match arena.tuple(arguments) {
            Some([tensor, _, _]) => {
                Some(arena.node(tensor)).filter(|node| matches!(node, Node::Tensor { .. }))
            }
            None => None,
        },
        Function::Storage(_) => None,
    };
    made.ok_or_else(|| numpy::other_arguments(numpy::Function::Torch(function), arena, arguments, at))
}

fn ordered_dict(arena: &mut Arena, arguments: NodeId, at: usize) -> Result<Option<Node>, Flaw> {
    let mut entries = Vec::new();
    match arena.tuple::<1>(arguments) {
        Some([list]) => {
            let Node::List(chain) = arena.node(list) else {
                return Ok(None);
            };
            let mut walk = arena.walk(chain);
            while let Some(pair) = walk.next(arena) {
                let pair = match arena.node(pair) {
                    Node::List(chain) | Node::Tuple(chain) if chain.len() == 2 => chain,
                    _ => return Ok(None),
                };
                let mut walk = arena.walk(pair);
                entries.extend(walk.next(arena));
                entries.extend(walk.next(arena));
            }
        }
        None if arena.tuple::<0>(arguments).is_some() => {}
        None => return Ok(None),
    }
    Ok(Some(Node::Dict(arena.chain(&entries, at)?)))
}

/// A tensor whose values are all in its storage.
fn tensor(arena: &Arena, arguments: NodeId) -> Option<Node> {
    let [storage, offset, shape, strides] = match arena.tuple::<6>(arguments) {
        Some([storage, offset, shape, strides, ..]) => [storage, offset, shape, strides],
        // With a dictionary of marks, since PyTorch 2.
        None => {
            let [storage, offset, shape, strides, ..] = arena.tuple::<7>(arguments)?;
            [storage, offset, shape, strides]
        }
    };
    let Node::Storage { n_values, .. } = arena.node(storage) else {
        return None;
    };
    let place = Place::of(arena, offset, shape, strides)?;
    let n_values = count(arena, n_values)?;
    let last = place.last()?;
    // Values may not be repeated: a shape could come to more than any file holds.
    let n = place.n_values()?;
    (n == 0 || last < n_values && n <= n_values).then_some(Node::Tensor {
        storage,
        offset,
        shape,
        strides,
    })
}

/// Where the values of a tensor are in its storage.
struct Place {
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Place {
    fn of(arena: &Arena, offset: NodeId, shape: NodeId, strides: NodeId) -> Option<Self> {
        let (shape, strides) = (sizes(arena, shape)?, sizes(arena, strides)?);
        (shape.len() == strides.len()).then_some(Self {
            offset: count(arena, offset)?,
            shape,
            strides,
        })
    }

    fn n_values(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size))
    }

    /// The value that is furthest in the storage.
    fn last(&self) -> Option<usize> {
        let axes = self.shape.iter().zip(&self.strides);
        axes.into_iter().try_fold(self.offset, |last, (&size, &stride)| {
            last.checked_add(size.saturating_sub(1).checked_mul(stride)?)
        })
    }

    /// Whether the values follow each other in row-major order.
    fn is_row_major(&self) -> bool {
        let mut expected = 1;
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if size != 1 && stride != expected {
                return false;
            }
            expected *= size;
        }
        true
    }

    /// Places of all values in row-major order.
    fn for_each(&self, mut visit: impl FnMut(usize)) {
        let mut index = vec![0; self.shape.len()];
        for _ in 0..self.n_values().unwrap_or(0) {
            let steps = index.iter().zip(&self.strides).map(|(i, stride)| i * stride);
            visit(self.offset + steps.sum::<usize>());
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
    }
}

fn count(arena: &Arena, id: NodeId) -> Option<usize> {
    match arena.node(id) {
        Node::Int(value) => usize::try_from(value).ok(),
        _ => None,
    }
}

/// The storage that a persistent id names: `("storage", class, key, device, number of values)`, in older files with what
/// it is a part of, which must be nothing.
///
/// # Errors
/// [`Flaw`] for any other id.
pub(super) fn storage(arena: &Arena, pickle: &[u8], id: NodeId, at: usize) -> Result<Node, Flaw> {
    let parts = match arena.tuple::<5>(id) {
        Some(parts) => Some(parts),
        None => match arena.tuple::<6>(id) {
            Some([parts @ .., view]) if arena.node(view) == Node::None => Some(parts),
            _ => None,
        },
    };
    let found = parts.and_then(|[word, class, key, _, n_values]| {
        let Node::Function(numpy::Function::Torch(Function::Storage(kind))) = arena.node(class) else {
            return None;
        };
        text(arena, pickle, key)?;
        count(arena, n_values)?;
        let is_storage = text(arena, pickle, word) == Some(b"storage");
        is_storage.then_some(Node::Storage { kind, key, n_values })
    });
    found.ok_or_else(|| {
        let expected = "the id of a storage: its class, key, device and number of values";
        Flaw::new(at, expected, describe(arena.node(id)))
    })
}

/// Whether a state is what PyTorch notes about a dictionary of tensors, which says nothing of the values.
pub(super) fn is_annotation(arena: &Arena, target: NodeId, state: NodeId) -> bool {
    matches!(
        (arena.node(target), arena.node(state)),
        (Node::Dict(_), Node::Dict(_))
    )
}

/// Bytes of a tensor's values.
pub(super) fn n_bytes(arena: &Arena, storage: NodeId, shape: NodeId) -> usize {
    let Node::Storage { kind, .. } = arena.node(storage) else {
        return 0;
    };
    let sizes = sizes(arena, shape).unwrap_or_default();
    let n_values = match sizes.contains(&0) {
        true => 0,
        false => sizes.iter().fold(1usize, |n, &size| n.saturating_mul(size)),
    };
    n_values.saturating_mul(kind.element().size())
}

/// Where the pickle of a file of PyTorch is, and its values.
pub(super) struct TorchFile {
    /// Bytes of the file.
    pub(super) pickle: Range<usize>,
    /// Where positions of flaws count from.
    pub(super) start: usize,
    pub(super) storages: Storages,
}

/// Values outside of a pickle.
#[derive(Debug)]
pub(super) struct Storages {
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
pub(super) fn open(location: &Location, map: &Arc<FileMap>) -> Result<Option<TorchFile>, FormatError> {
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
    /// Checks that every storage which a pickle names is there, with as many values.
    ///
    /// # Errors
    /// [`Flaw`] at the reference.
    pub(super) fn check(&self, arena: &Arena, pickle: &[u8]) -> Result<(), Flaw> {
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
    pub(super) fn read(
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

#[cfg(test)]
mod tests;
