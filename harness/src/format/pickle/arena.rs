//! Where the values of a pickle lie: nodes that name each other by number.

use super::numpy::Function;
use super::torch::StorageKind;
use crate::format::flaw::Flaw;

/// Number of a node.
pub(super) type NodeId = u32;

/// The cell behind the last one of a chain.
const END: u32 = u32::MAX;

/// Bytes of the pickle or, from its length on, bytes decoded from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    len: usize,
}

impl Span {
    pub(super) fn len(self) -> usize {
        self.len
    }

    /// First byte, counted from the start of the pickle; beyond its length for decoded bytes.
    pub(super) fn start(self) -> usize {
        self.start
    }
}

impl From<std::ops::Range<usize>> for Span {
    fn from(range: std::ops::Range<usize>) -> Self {
        Self {
            start: range.start,
            len: range.len(),
        }
    }
}

/// Cells one after another: what a list, tuple or dictionary holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chain {
    first: u32,
    last: u32,
    len: u32,
}

impl Chain {
    const EMPTY: Self = Self {
        first: END,
        last: END,
        len: 0,
    };

    pub(super) fn len(self) -> usize {
        self.len as usize
    }
}

/// A value, or something on the way to one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// UTF-8, checked.
    Text(Span),
    /// A string of Python 2, read as `encoding="latin1"` does: one character a byte.
    Latin1(Span),
    Bytes(Span),
    /// Text whose characters, all below 256, stand for bytes.
    Encoded {
        text: Span,
        n_bytes: usize,
    },
    List(Chain),
    Tuple(Chain),
    /// Keys and values in turn.
    Dict(Chain),
    Function(Function),
    /// An element type, with its byte order once it is built.
    Type {
        name: NodeId,
        order: Option<u8>,
    },
    /// An array that has not been built.
    Shell,
    /// An array of numbers: its type, the tuple of its shape, its bytes.
    Array {
        kind: NodeId,
        shape: NodeId,
        data: NodeId,
        fortran: bool,
    },
    /// An array of objects: the tuple of its shape, the list of its items.
    Objects {
        shape: NodeId,
        items: NodeId,
    },
    /// Values of a PyTorch file that lie outside of its pickle: the text that names them, and their number.
    Storage {
        kind: StorageKind,
        key: NodeId,
        n_values: NodeId,
    },
    /// A PyTorch tensor: its storage, its first value there, the tuples of its shape and strides.
    Tensor {
        storage: NodeId,
        offset: NodeId,
        shape: NodeId,
        strides: NodeId,
    },
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    node: NodeId,
    next: u32,
}

/// All nodes of a pickle.
#[derive(Debug, Default)]
pub(super) struct Arena {
    /// Each with the byte of the file where it was made.
    nodes: Vec<(Node, usize)>,
    cells: Vec<Cell>,
    decoded: Vec<u8>,
    /// Length of the pickle, where the places of decoded bytes begin.
    n_bytes: usize,
}

/// The flaw of a pickle with more values than can be numbered.
fn too_many(at: usize) -> Flaw {
    Flaw::new(at, "at most 4294967294 values", "more")
}

impl Arena {
    pub(super) fn new(n_bytes: usize) -> Self {
        Self {
            n_bytes,
            ..Self::default()
        }
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<(Node, usize)>()
            + self.cells.capacity() * size_of::<Cell>()
            + self.decoded.capacity()
    }

    pub(super) fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, id: NodeId) -> Node {
        self.nodes[id as usize].0
    }

    /// Where a node was made.
    pub(super) fn at(&self, id: NodeId) -> usize {
        self.nodes[id as usize].1
    }

    pub(super) fn set(&mut self, id: NodeId, node: Node) {
        self.nodes[id as usize].0 = node;
    }

    /// # Errors
    /// [`Flaw`] when there are more nodes than numbers.
    pub(super) fn add(&mut self, node: Node, at: usize) -> Result<NodeId, Flaw> {
        let id = u32::try_from(self.nodes.len()).map_err(|_| too_many(at))?;
        self.nodes.push((node, at));
        Ok(id)
    }

    /// A chain of some nodes.
    ///
    /// # Errors
    /// As [`Arena::append`].
    pub(super) fn chain(&mut self, nodes: &[NodeId], at: usize) -> Result<Chain, Flaw> {
        let mut chain = Chain::EMPTY;
        for &node in nodes {
            self.append(&mut chain, node, at)?;
        }
        Ok(chain)
    }

    /// Adds a node to the end of a chain.
    ///
    /// # Errors
    /// [`Flaw`] when there are more cells than numbers.
    pub(super) fn append(&mut self, chain: &mut Chain, node: NodeId, at: usize) -> Result<(), Flaw> {
        let cell = u32::try_from(self.cells.len())
            .ok()
            .filter(|&cell| cell != END)
            .ok_or_else(|| too_many(at))?;
        self.cells.push(Cell { node, next: END });
        match chain.len {
            0 => chain.first = cell,
            _ => self.cells[chain.last as usize].next = cell,
        }
        chain.last = cell;
        chain.len += 1;
        Ok(())
    }

    /// The nodes of a chain.
    pub(super) fn walk(&self, chain: Chain) -> Walk {
        Walk {
            cell: chain.first,
            left: chain.len,
        }
    }

    /// Overwrites the cells of a chain, in order, with at most as many nodes; the rest is cut off.
    pub(super) fn rewrite(&mut self, chain: Chain, nodes: &[NodeId]) -> Chain {
        let mut kept = Chain { len: 0, ..chain };
        let mut cell = chain.first;
        for &node in nodes {
            self.cells[cell as usize].node = node;
            kept.last = cell;
            kept.len += 1;
            cell = self.cells[cell as usize].next;
        }
        kept
    }

    /// The items of a tuple of exactly `N`.
    pub(super) fn tuple<const N: usize>(&self, id: NodeId) -> Option<[NodeId; N]> {
        let Node::Tuple(chain) = self.node(id) else {
            return None;
        };
        if chain.len() != N {
            return None;
        }
        let mut walk = self.walk(chain);
        let mut items = [0; N];
        for item in &mut items {
            *item = walk.next(self)?;
        }
        Some(items)
    }

    /// Keeps bytes that `decode` makes of the pickle's own.
    pub(super) fn decode<E>(
        &mut self,
        decode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Span, E> {
        let start = self.decoded.len();
        decode(&mut self.decoded)?;
        Ok(Span {
            start: self.n_bytes + start,
            len: self.decoded.len() - start,
        })
    }

    /// The bytes of a span, `pickle` being the pickle's own.
    pub(super) fn span<'a>(&'a self, pickle: &'a [u8], span: Span) -> &'a [u8] {
        match span.start.checked_sub(self.n_bytes) {
            // An empty span may lie at the very end of the pickle.
            Some(start) if span.len > 0 => &self.decoded[start..][..span.len],
            _ => &pickle[span.start.min(self.n_bytes)..][..span.len],
        }
    }
}

/// A place in a chain. It holds no borrow, so that walks can lie on a stack while nodes change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    cell: u32,
    left: u32,
}

impl Walk {
    pub(super) fn next(&mut self, arena: &Arena) -> Option<NodeId> {
        // Counted, not only linked: a chain that was read before it grew ends where it did then.
        self.left = self.left.checked_sub(1)?;
        let Cell { node, next } = arena.cells[self.cell as usize];
        self.cell = next;
        Some(node)
    }

    pub(super) fn left(&self) -> usize {
        self.left as usize
    }
}
