//! From a file to the values of its pickle, and to the array in it that is meant.

use std::path::Path;
use std::sync::Arc;

use hitbench_kernels::map::FileMap;

use super::arena::{Arena, NodeId};
use super::machine::Dialect;
use super::torch::{self, Storages};
use super::value::{Handle, Value, View};
use super::{check, machine};
use crate::format::array;
use crate::format::buffer::Buffer;
use crate::format::error::FormatError;
use crate::format::flaw::Flaw;
use crate::format::layout::{Layout, Shape};
use crate::format::location::Location;
use crate::format::npy::{self, Header};

/// Names of files whose pickle may lack the opcode that later protocols begin with.
const EXTENSIONS: [&str; 4] = ["pkl", "pickle", "pckl", "pk"];

/// The values of a pickle.
#[derive(Debug)]
pub struct Pickle {
    pub(super) location: Location,
    pub(super) source: Buffer,
    pub(super) arena: Arena,
    /// The values of a file of PyTorch.
    pub(super) storages: Option<Storages>,
    root: NodeId,
}

/// Whether a file is a pickle: by its first opcode or, for protocols 0 and 1, which have none, by its name.
pub(crate) fn is_likely(path: &Path, bytes: &[u8]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let named = extension.is_some_and(|extension| EXTENSIONS.contains(&extension.to_lowercase().as_str()));
    // The length of a safetensors header may begin so too; no opcode is zero.
    named || matches!(bytes, [0x80, 2..=5, next, ..] if *next != 0)
}

impl Pickle {
    /// Reads a pickle file, or an `.npy` file of objects. The values of arrays stay in the file.
    ///
    /// # Errors
    /// [`FormatError`] that names file and byte; for a function, class or object that is no NumPy array also its name.
    pub fn read(path: &Path) -> Result<Self, FormatError> {
        let location = Location::file(path);
        let map = Arc::new(array::open(&location)?);
        if !map.starts_with(npy::MAGIC) {
            return Self::of_file(&location, &map);
        }
        let (header, values) = array::npy_header(&location, &map)?;
        match header {
            Header::Objects(shape) => {
                let start = values.start;
                let source = Buffer::Mapped { map, range: values };
                Self::of_objects(&location, source, start, &shape)
            }
            Header::Numbers(_) => {
                let flaw = Flaw::new(0, "a pickle", "an array of numbers");
                Err(FormatError::flaw(&location, flaw))
            }
        }
    }

    /// The pickle that is a whole file, or the one in a file of PyTorch.
    pub(crate) fn of_file(location: &Location, map: &Arc<FileMap>) -> Result<Self, FormatError> {
        if let Some(file) = torch::open(location, map)? {
            let source = Buffer::Mapped {
                map: Arc::clone(map),
                range: file.pickle,
            };
            return Self::parse(location, source, file.start, Some(file.storages));
        }
        let source = Buffer::Mapped {
            map: Arc::clone(map),
            range: 0..map.len(),
        };
        Self::parse(location, source, 0, None)
    }

    /// The pickle of an `.npy` file or member with objects, which begins at byte `start` of it.
    pub(crate) fn of_objects(
        location: &Location,
        source: Buffer,
        start: usize,
        shape: &[usize],
    ) -> Result<Self, FormatError> {
        let pickle = Self::parse(location, source, start, None)?;
        let found = match pickle.root().view() {
            View::Objects(found, _) if found.0 == shape => return Ok(pickle),
            View::Objects(found, _) => format!("one of shape {found}"),
            _ => pickle.root().describe(),
        };
        let expected = format!("an array of objects of shape {}", Shape(shape.to_vec()));
        Err(FormatError::flaw(location, Flaw::new(start, expected, found)))
    }

    fn parse(
        location: &Location,
        source: Buffer,
        start: usize,
        storages: Option<Storages>,
    ) -> Result<Self, FormatError> {
        let flawed = |flaw| FormatError::flaw(location, flaw);
        let dialect = match storages {
            Some(_) => Dialect::Torch,
            None => Dialect::Numpy,
        };
        let (mut arena, root) = machine::run(source.bytes(), start, dialect).map_err(flawed)?;
        let n_outside = storages.as_ref().map_or(0, Storages::n_bytes);
        check::check(&mut arena, source.bytes(), root, n_outside).map_err(flawed)?;
        if let Some(storages) = &storages {
            storages.check(&arena, source.bytes()).map_err(flawed)?;
        }
        Ok(Self {
            location: location.clone(),
            source,
            arena,
            storages,
            root,
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.source.bytes()
    }

    /// The value at a place that one of its values gave.
    pub(crate) fn value(&self, handle: Handle) -> Value<'_> {
        Value::new(self, handle.0)
    }

    /// The one value that it holds.
    pub fn root(&self) -> Value<'_> {
        Value::new(self, self.root)
    }

    /// The array that is the pickle, or the one at the key `member` of the dictionary that is the pickle. Without a
    /// key the dictionary must have just one array.
    ///
    /// # Errors
    /// [`FormatError::Member`] and [`FormatError::NoMembers`] for a key that is not there or is needed,
    /// [`FormatError::Malformed`] for anything but an array.
    pub(crate) fn array(&self, member: Option<&str>) -> Result<(Layout, Buffer), FormatError> {
        let location = &self.location;
        let mut root = self.root();
        if let View::Objects(Shape(shape), mut items) = root.view()
            && shape.is_empty()
        {
            root = items.next().unwrap_or(root);
        }
        let found = match (root.view(), member) {
            (View::Array(_), Some(member)) => {
                return Err(FormatError::NoMembers {
                    path: location.path.clone(),
                    member: member.to_owned(),
                });
            }
            (View::Dict(mut entries), Some(member)) => entries
                .find(|(key, _)| key.to_string() == member)
                .map(|(_, value)| value),
            (View::Dict(entries), None) => {
                let mut arrays = entries.map(|(_, value)| value).filter(|value| value.is_array());
                arrays.next().filter(|_| arrays.next().is_none())
            }
            _ => Some(root),
        };
        let Some(found) = found else {
            let known = match root.view() {
                View::Dict(entries) => entries.filter(|(_, value)| value.is_array()).collect(),
                _ => Vec::new(),
            };
            return Err(FormatError::Member {
                path: location.path.clone(),
                member: member.map(str::to_owned),
                known: known.iter().map(|(key, _)| key.to_string()).collect(),
            });
        };
        match found.view() {
            View::Array(array) => array.read(location),
            _ => {
                let expected = "an array of numbers, or a dictionary of such arrays";
                let flaw = Flaw::new(found.offset(), expected, found.describe());
                Err(FormatError::flaw(location, flaw))
            }
        }
    }
}
