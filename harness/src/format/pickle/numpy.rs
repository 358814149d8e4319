//! The functions and classes that pickled NumPy arrays name, each for just the arguments that NumPy writes.

use super::arena::{Arena, Node, NodeId, Span};
use super::machine::Dialect;
use super::torch;
use crate::format::flaw::Flaw;
use crate::format::layout::{Element, Layout};
use crate::format::npy;

/// Most axes that NumPy allows.
const MAX_AXES: usize = 64;

/// Longest name of an element type: a letter and a size.
const LONGEST_TYPE: usize = 11;

/// What may be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// Makes an array without values.
    Reconstruct,
    /// The class of arrays, which is never called, only handed to [`Function::Reconstruct`].
    NdArray,
    /// Makes an element type.
    Dtype,
    /// Makes bytes of text, in pickles for Python 2.
    Encode,
    /// Makes an array of bytes, a type and a shape.
    FromBuffer,
    /// What only files of PyTorch name.
    Torch(torch::Function),
}

impl Function {
    /// The whole list: NumPy 1 and NumPy 2 differ in the name of a module.
    pub(super) fn find(module: &[u8], name: &[u8], dialect: Dialect) -> Option<Self> {
        if dialect == Dialect::Torch
            && let Some(function) = torch::Function::find(module, name)
        {
            return Some(Self::Torch(function));
        }
        Some(match (module, name) {
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => Self::Reconstruct,
            (b"numpy", b"ndarray") => Self::NdArray,
            (b"numpy", b"dtype") => Self::Dtype,
            (b"_codecs", b"encode") => Self::Encode,
            (b"numpy.core.numeric" | b"numpy._core.numeric", b"_frombuffer") => Self::FromBuffer,
            _ => return None,
        })
    }

    /// The arguments that NumPy writes.
    fn arguments(self) -> &'static str {
        match self {
            Self::Reconstruct => "`_reconstruct` of `numpy ndarray`, `(0,)` and `b`",
            Self::NdArray => "no call of `numpy ndarray`",
            Self::Dtype => "`numpy dtype` of a type, `False` and `True`",
            Self::Encode => "`_codecs encode` of text and `latin1`",
            Self::FromBuffer => "`_frombuffer` of bytes, a type, a shape and `C` or `F`",
            Self::Torch(function) => function.arguments(),
        }
    }
}

/// What a node is, for messages.
pub(super) fn describe(node: Node) -> String {
    match node {
        Node::None => "None".to_owned(),
        Node::Bool(_) => "a bool".to_owned(),
        Node::Int(value) => format!("the integer {value}"),
        Node::Float(_) => "a float".to_owned(),
        Node::Text(_) | Node::Latin1(_) => "text".to_owned(),
        Node::Bytes(_) | Node::Encoded { .. } => "bytes".to_owned(),
        Node::List(chain) => format!("a list of {}", chain.len()),
        Node::Tuple(chain) => format!("a tuple of {}", chain.len()),
        Node::Dict(_) => "a dictionary".to_owned(),
        Node::Function(_) => "a function or class".to_owned(),
        Node::Type { .. } => "an element type".to_owned(),
        Node::Shell => "an array without values".to_owned(),
        Node::Array { .. } => "an array".to_owned(),
        Node::Objects { .. } => "an array of objects".to_owned(),
        Node::Storage { .. } => "the values of a tensor".to_owned(),
        Node::Tensor { .. } => "a tensor".to_owned(),
    }
}

/// The bytes of text of either kind.
pub(super) fn text<'a>(arena: &'a Arena, pickle: &'a [u8], id: NodeId) -> Option<&'a [u8]> {
    match arena.node(id) {
        Node::Text(span) | Node::Latin1(span) => Some(arena.span(pickle, span)),
        _ => None,
    }
}

/// A truth value as Python 3 or Python 2 writes it.
fn flag(arena: &Arena, id: NodeId) -> Option<bool> {
    match arena.node(id) {
        Node::Bool(flag) => Some(flag),
        Node::Int(value @ (0 | 1)) => Some(value == 1),
        _ => None,
    }
}

/// The name of an element type: a letter, then digits.
fn type_name<'a>(arena: &'a Arena, pickle: &'a [u8], id: NodeId) -> Option<&'a str> {
    let name = text(arena, pickle, id).filter(|name| name.len() <= LONGEST_TYPE)?;
    let (letter, digits) = name.split_first()?;
    let usual = letter.is_ascii_alphabetic() && digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(name).ok().filter(|_| usual)
}

/// What a call of `function` makes; of any but [`Function::Encode`].
pub(super) fn call(
    function: Function,
    arena: &Arena,
    pickle: &[u8],
    arguments: NodeId,
    at: usize,
) -> Result<Node, Flaw> {
    let made = match function {
        Function::Reconstruct => reconstruct(arena, pickle, arguments),
        Function::Dtype => dtype(arena, pickle, arguments),
        Function::FromBuffer => return from_buffer(arena, pickle, arguments, at),
        Function::NdArray | Function::Encode | Function::Torch(_) => None,
    };
    made.ok_or_else(|| other_arguments(function, arena, arguments, at))
}

pub(super) fn other_arguments(function: Function, arena: &Arena, arguments: NodeId, at: usize) -> Flaw {
    let found = match arena.node(arguments) {
        Node::Tuple(chain) => {
            let mut walk = arena.walk(chain);
            let few = std::iter::from_fn(|| walk.next(arena)).take(5);
            let few: Vec<String> = few.map(|id| describe(arena.node(id))).collect();
            format!("a call with ({})", few.join(", "))
        }
        other => format!("a call with {}", describe(other)),
    };
    Flaw::new(at, function.arguments(), found)
}

fn reconstruct(arena: &Arena, pickle: &[u8], arguments: NodeId) -> Option<Node> {
    let [class, shape, code] = arena.tuple(arguments)?;
    let is_code = match arena.node(code) {
        Node::Text(span) | Node::Latin1(span) | Node::Bytes(span) => arena.span(pickle, span) == b"b",
        Node::Encoded { text, .. } => arena.span(pickle, text) == b"b",
        _ => false,
    };
    let [size] = arena.tuple(shape)?;
    let is_empty = arena.node(size) == Node::Int(0);
    (arena.node(class) == Node::Function(Function::NdArray) && is_empty && is_code).then_some(Node::Shell)
}

fn dtype(arena: &Arena, pickle: &[u8], arguments: NodeId) -> Option<Node> {
    let [name, align, copy] = arena.tuple(arguments)?;
    type_name(arena, pickle, name)?;
    let usual = flag(arena, align) == Some(false) && flag(arena, copy) == Some(true);
    usual.then_some(Node::Type { name, order: None })
}

/// The text among the arguments of `_codecs encode`.
pub(super) fn text_to_encode(
    arena: &Arena,
    pickle: &[u8],
    arguments: NodeId,
    at: usize,
) -> Result<(NodeId, Span), Flaw> {
    let found = arena.tuple(arguments).and_then(|[given, encoding]| {
        let is_latin1 = text(arena, pickle, encoding) == Some(b"latin1");
        match arena.node(given) {
            Node::Text(span) if is_latin1 => Some((given, span)),
            _ => None,
        }
    });
    found.ok_or_else(|| other_arguments(Function::Encode, arena, arguments, at))
}

/// The bytes that the characters of a text stand for.
pub(super) fn encode(arena: &Arena, pickle: &[u8], text: Span, at: usize) -> Result<Node, Flaw> {
    let bytes = arena.span(pickle, text);
    // In UTF-8, what comes before a character above 255 starts with 0xc4 or more.
    if let Some(place) = bytes.iter().position(|&byte| byte >= 0xc4) {
        let found = format!("another at byte {place} of the text");
        return Err(Flaw::new(at, "characters below 256 to encode as `latin1`", found));
    }
    let n_bytes = bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
    Ok(Node::Encoded { text, n_bytes })
}

/// What `target` becomes when its state is set.
pub(super) fn build(
    arena: &Arena,
    pickle: &[u8],
    target: NodeId,
    state: NodeId,
    at: usize,
) -> Result<Node, Flaw> {
    match arena.node(target) {
        Node::Type { name, order: None } => {
            let order = order(arena, pickle, state).ok_or_else(|| {
                let expected = "the state of an element type without fields";
                Flaw::new(at, expected, described_state(arena, state))
            })?;
            Ok(Node::Type {
                name,
                order: Some(order),
            })
        }
        Node::Shell => {
            let items = arena
                .tuple(state)
                .and_then(|[version, shape, kind, fortran, data]| {
                    let fortran = flag(arena, fortran)?;
                    (arena.node(version) == Node::Int(1)).then_some((shape, kind, fortran, data))
                });
            let (shape, kind, fortran, data) = items.ok_or_else(|| {
                let expected = "the state of an array: 1, shape, type, order and values";
                Flaw::new(at, expected, described_state(arena, state))
            })?;
            array(arena, pickle, [kind, shape, data], fortran, at)
        }
        other => Err(Flaw::new(
            at,
            "a new array or element type to build",
            describe(other),
        )),
    }
}

fn described_state(arena: &Arena, state: NodeId) -> String {
    format!("{} as its state", describe(arena.node(state)))
}

/// The byte order in `(3, order, None, None, None, size, alignment, flags)`.
fn order(arena: &Arena, pickle: &[u8], state: NodeId) -> Option<u8> {
    let [version, order, shape, names, fields, numbers @ ..] = arena.tuple::<8>(state)?;
    let plain = [shape, names, fields]
        .iter()
        .all(|&id| arena.node(id) == Node::None);
    let numbers = numbers.iter().all(|&id| matches!(arena.node(id), Node::Int(_)));
    match text(arena, pickle, order)? {
        &[order @ (b'<' | b'>' | b'|' | b'=')] if plain && numbers => {
            (arena.node(version) == Node::Int(3)).then_some(order)
        }
        _ => None,
    }
}

fn from_buffer(arena: &Arena, pickle: &[u8], arguments: NodeId, at: usize) -> Result<Node, Flaw> {
    let found = arena.tuple(arguments).and_then(|[data, kind, shape, order]| {
        let fortran = match text(arena, pickle, order)? {
            b"C" => false,
            b"F" => true,
            _ => return None,
        };
        Some(([kind, shape, data], fortran))
    });
    let (parts, fortran) =
        found.ok_or_else(|| other_arguments(Function::FromBuffer, arena, arguments, at))?;
    array(arena, pickle, parts, fortran, at)
}

/// An array of a type, shape and values that fit each other.
fn array(
    arena: &Arena,
    pickle: &[u8],
    [kind, shape, data]: [NodeId; 3],
    fortran: bool,
    at: usize,
) -> Result<Node, Flaw> {
    let flaw = |expected: &str, id| Flaw::new(at, expected, describe(arena.node(id)));
    let Some(descr) = descr(arena, pickle, kind) else {
        return Err(flaw("an element type with its byte order", kind));
    };
    let sizes = sizes(arena, shape).ok_or_else(|| flaw("a shape of at most 64 sizes", shape))?;
    if descr.starts_with("|O") {
        return match arena.node(data) {
            Node::List(_) => Ok(Node::Objects { shape, items: data }),
            _ => Err(flaw("a list with the objects of an array", data)),
        };
    }
    let Some(n_bytes) = data_len(arena, data) else {
        return Err(flaw("bytes with the values of an array", data));
    };
    if let Ok((element, swapped)) = npy::element(&descr, at) {
        check_length(element, swapped, sizes, n_bytes, at)?;
    }
    Ok(Node::Array {
        kind,
        shape,
        data,
        fortran,
    })
}

fn check_length(
    element: Element,
    swapped: bool,
    shape: Vec<usize>,
    found: usize,
    at: usize,
) -> Result<(), Flaw> {
    let layout = Layout {
        element,
        swapped,
        fortran: false,
        shape,
    };
    match layout.n_bytes() {
        Some(expected) if expected == found => Ok(()),
        expected => {
            let expected = expected.map_or("more than any memory has".to_owned(), |n| n.to_string());
            let shape = crate::format::Shape(layout.shape);
            let expected = format!("{expected} bytes of values for {element} of shape {shape}");
            Err(Flaw::new(at, expected, format!("{found}")))
        }
    }
}

/// Bytes of an array's values; `None` for what cannot be values.
pub(super) fn data_len(arena: &Arena, data: NodeId) -> Option<usize> {
    match arena.node(data) {
        Node::Bytes(span) | Node::Latin1(span) => Some(span.len()),
        Node::Encoded { n_bytes, .. } => Some(n_bytes),
        _ => None,
    }
}

/// The type string of a built element type, such as `<f4`.
pub(super) fn descr(arena: &Arena, pickle: &[u8], kind: NodeId) -> Option<String> {
    let Node::Type {
        name,
        order: Some(order),
    } = arena.node(kind)
    else {
        return None;
    };
    let name = type_name(arena, pickle, name)?;
    Some(format!("{}{name}", char::from(order)))
}

/// The sizes in a tuple; `None` where it is none of sizes, or of too many.
pub(super) fn sizes(arena: &Arena, shape: NodeId) -> Option<Vec<usize>> {
    let Node::Tuple(chain) = arena.node(shape) else {
        return None;
    };
    if chain.len() > MAX_AXES {
        return None;
    }
    let mut walk = arena.walk(chain);
    let ids = std::iter::from_fn(|| walk.next(arena));
    ids.map(|id| match arena.node(id) {
        Node::Int(size) => usize::try_from(size).ok(),
        _ => None,
    })
    .collect()
}
