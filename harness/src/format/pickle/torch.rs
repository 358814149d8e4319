//! What files of PyTorch (`torch.save`) have beyond pickles: a few more functions, and values that lie outside.
//!
//! Since PyTorch 1.6 a file is a zip archive with a member `data.pkl` and one member a storage, never packed. Before, it
//! was a row of pickles (a magic number, a version, the writer's sizes of types, the object, the keys of the storages) and
//! then, for each key, the number of its values and the values. A tensor names a storage by its key and says where in it
//! its values are.

mod file;

use super::arena::{Arena, Node, NodeId};
use super::numpy::{self, describe, sizes, text};
use crate::format::flaw::Flaw;
use crate::format::layout::Element;

pub(crate) use file::is_archive;
pub(super) use file::{Storages, open};

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

#[cfg(test)]
mod tests;
