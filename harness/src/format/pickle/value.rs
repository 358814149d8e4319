//! What a pickle holds, for those who use it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::arena::{Node, NodeId, Walk};
use super::literal::{latin1, utf8};
use super::numpy;
use super::read::Pickle;
use crate::format::array::Array;
use crate::format::buffer::{Aligned, Buffer, OutOfMemory};
use crate::format::error::FormatError;
use crate::format::flaw::Flaw;
use crate::format::layout::{Element, Layout, Shape};
use crate::format::location::Location;
use crate::format::matrix::Matrix;
use crate::format::npy;

/// A value of a pickle.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    pickle: &'a Pickle,
    id: NodeId,
}

/// A value of a pickle without the pickle: a place to come back to with [`Pickle::value`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handle(pub(super) NodeId);

/// What a value is.
///
/// No value contains itself. Values that the file shares are met once a place; all places together come to at most
/// 64 times the file or 64 MiB, whichever is more.
#[derive(Debug, Clone)]
pub enum View<'a> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A float; NaN stands for a missing feature in several data sets.
    Float(f64),
    /// Text; a string of Python 2 has one character a byte, as with `encoding="latin1"`.
    Text(Cow<'a, str>),
    /// `bytes` or `bytearray`.
    Bytes(Cow<'a, [u8]>),
    /// A list.
    List(Items<'a>),
    /// A tuple.
    Tuple(Items<'a>),
    /// A dictionary, each key once.
    Dict(Entries<'a>),
    /// An array of numbers or of something else of fixed size.
    Array(PickledArray<'a>),
    /// An array of objects: its shape, and the objects in row-major order.
    Objects(Shape, Items<'a>),
}

impl<'a> Value<'a> {
    pub(super) fn new(pickle: &'a Pickle, id: NodeId) -> Self {
        Self { pickle, id }
    }

    /// What it is.
    pub fn view(self) -> View<'a> {
        let Pickle { arena, .. } = self.pickle;
        let bytes = |span| arena.span(self.pickle.bytes(), span);
        let items = |chain| Items {
            pickle: self.pickle,
            walk: arena.walk(chain),
        };
        match arena.node(self.id) {
            Node::Bool(value) => View::Bool(value),
            Node::Int(value) => View::Int(value),
            Node::Float(value) => View::Float(value),
            Node::Text(span) => View::Text(utf8(bytes(span))),
            Node::Latin1(span) => View::Text(latin1(bytes(span))),
            Node::Bytes(span) => View::Bytes(Cow::Borrowed(bytes(span))),
            Node::Encoded { text, .. } => {
                let text = utf8(bytes(text));
                View::Bytes(text.chars().map(|c| c as u8).collect())
            }
            Node::List(chain) => View::List(items(chain)),
            Node::Tuple(chain) => View::Tuple(items(chain)),
            Node::Dict(chain) => View::Dict(Entries { items: items(chain) }),
            Node::Array { .. } | Node::Tensor { .. } => View::Array(PickledArray { value: self }),
            Node::Objects { shape, items: list } => {
                let shape = Shape(numpy::sizes(arena, shape).unwrap_or_default());
                match arena.node(list) {
                    Node::List(chain) => View::Objects(shape, items(chain)),
                    _ => View::None,
                }
            }
            // The others are refused before anyone sees them.
            Node::None | Node::Function(_) | Node::Type { .. } | Node::Shell | Node::Storage { .. } => {
                View::None
            }
        }
    }

    /// The place of this value.
    pub(crate) fn handle(self) -> Handle {
        Handle(self.id)
    }

    pub(super) fn is_array(self) -> bool {
        matches!(
            self.pickle.arena.node(self.id),
            Node::Array { .. } | Node::Tensor { .. }
        )
    }

    /// The value at a text key, when this is a dictionary that has it.
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        let View::Dict(mut entries) = self.view() else {
            return None;
        };
        let found = entries.find(|(found, _)| matches!(found, Key::Text(text) if text == key));
        found.map(|(_, value)| value)
    }

    /// Byte of the file, or of the unpacked member of an archive, where it begins.
    pub fn offset(self) -> usize {
        self.pickle.arena.at(self.id)
    }

    /// What it is, in words.
    pub fn describe(self) -> String {
        numpy::describe(self.pickle.arena.node(self.id))
    }
}

/// Values one after another.
#[derive(Debug, Clone, Copy)]
pub struct Items<'a> {
    pickle: &'a Pickle,
    walk: Walk,
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let id = self.walk.next(&self.pickle.arena)?;
        Some(Value::new(self.pickle, id))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.walk.left(), Some(self.walk.left()))
    }
}

impl ExactSizeIterator for Items<'_> {}

/// A key of a dictionary.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key<'a> {
    /// An integer.
    Int(i64),
    /// Text.
    Text(Cow<'a, str>),
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Keys and values of a dictionary, in the file's order, each key once.
#[derive(Debug, Clone, Copy)]
pub struct Entries<'a> {
    items: Items<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Key<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = (self.items.next()?, self.items.next()?);
        match key.view() {
            View::Int(key) => Some((Key::Int(key), value)),
            View::Text(key) => Some((Key::Text(key), value)),
            // Other keys were refused.
            _ => None,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.items.len() / 2;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Entries<'_> {}

/// An array of a pickle, whose values stay in the file until they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct PickledArray<'a> {
    value: Value<'a>,
}

impl PickledArray<'_> {
    /// Its shape.
    pub fn shape(&self) -> Shape {
        match self.value.pickle.arena.node(self.value.id) {
            Node::Array { shape, .. } | Node::Tensor { shape, .. } => {
                Shape(numpy::sizes(&self.value.pickle.arena, shape).unwrap_or_default())
            }
            _ => Shape(Vec::new()),
        }
    }

    /// Its rows; an array of one axis is one row.
    ///
    /// # Errors
    /// [`FormatError`] for elements that are no floats, more axes, or no rows or columns.
    pub fn matrix(&self) -> Result<Matrix, FormatError> {
        let location = &self.value.pickle.location;
        let (mut layout, buffer) = self.read(location)?;
        if let &[n_columns] = &layout.shape[..] {
            layout.shape = vec![1, n_columns];
        }
        Matrix::from_array(Array::new(location, layout, buffer)?)
    }

    /// Its shape of any number of axes and, where they are floats, its values in row-major order as f32.
    ///
    /// # Errors
    /// [`FormatError`] for values that cannot be read.
    pub fn values(&self) -> Result<(Vec<usize>, Option<Vec<f32>>), FormatError> {
        let location = &self.value.pickle.location;
        let (mut layout, buffer) = self.read(location)?;
        let shape = std::mem::take(&mut layout.shape);
        if layout.fortran && shape.len() > 1 {
            return Err(FormatError::Axes {
                location: location.clone(),
                shape: Shape(shape),
            });
        }
        let is_float = matches!(
            layout.element,
            Element::F16 | Element::Bf16 | Element::F32 | Element::F64
        );
        layout.shape = vec![shape.iter().product()];
        let values = match is_float {
            true => Some(Array::new(location, layout, buffer)?.to_f32()?),
            false => None,
        };
        Ok((shape, values))
    }

    /// Its values in row-major order.
    ///
    /// # Errors
    /// [`FormatError`] for elements that are no numbers, or other than one or two axes.
    pub(crate) fn array(&self) -> Result<Array, FormatError> {
        let location = &self.value.pickle.location;
        let (layout, buffer) = self.read(location)?;
        Array::new(location, layout, buffer)
    }

    /// How its values lie, and the values: in the file where they can, of our own where the file encodes them.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] for an element type without numbers, [`FormatError::Memory`].
    pub(crate) fn read(&self, location: &Location) -> Result<(Layout, Buffer), FormatError> {
        let Pickle { arena, source, .. } = self.value.pickle;
        let pickle = self.value.pickle.bytes();
        let at = self.value.offset();
        if let (tensor @ Node::Tensor { .. }, Some(storages)) =
            (arena.node(self.value.id), &self.value.pickle.storages)
        {
            return storages.read(arena, pickle, tensor, location);
        }
        let Node::Array {
            kind,
            shape,
            data,
            fortran,
        } = arena.node(self.value.id)
        else {
            let flaw = Flaw::new(at, "an array", self.value.describe());
            return Err(FormatError::flaw(location, flaw));
        };
        let descr = numpy::descr(arena, pickle, kind).unwrap_or_default();
        let (element, swapped) =
            npy::element(&descr, at).map_err(|flaw| FormatError::flaw(location, flaw))?;
        let layout = Layout {
            element,
            swapped,
            fortran,
            shape: numpy::sizes(arena, shape).unwrap_or_default(),
        };
        let memory = |error: OutOfMemory| FormatError::memory(location, error);
        let buffer = match (arena.node(data), source) {
            (Node::Encoded { text, n_bytes }, _) => {
                let mut values = Aligned::zeros(n_bytes).map_err(memory)?;
                let text = utf8(arena.span(pickle, text));
                for (value, character) in values.bytes_mut().iter_mut().zip(text.chars()) {
                    *value = character as u8;
                }
                Buffer::Owned(values)
            }
            (Node::Bytes(span) | Node::Latin1(span), Buffer::Mapped { map, range })
                if span.start() + span.len() <= pickle.len() =>
            {
                let start = range.start + span.start();
                Buffer::Mapped {
                    map: Arc::clone(map),
                    range: start..start + span.len(),
                }
            }
            (Node::Bytes(span) | Node::Latin1(span), _) => {
                Buffer::Owned(Aligned::copy(arena.span(pickle, span)).map_err(memory)?)
            }
            _ => Buffer::Owned(Aligned::zeros(0).map_err(memory)?),
        };
        Ok((layout, buffer))
    }
}
