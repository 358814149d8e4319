//! The walk over what a pickle left: nothing contains itself, nothing is half built, and what is shared does not
//! come to much more than the file when it is written out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::arena::{Arena, Chain, Node, NodeId, Span, Walk};
use super::literal::{latin1, utf8};
use super::machine::PLAIN;
use super::value::Key;
use super::{numpy, torch};
use crate::format::flaw::Flaw;

/// What a value counts besides its bytes, about as much memory as a reader needs for one.
const VALUE_BYTES: u64 = 32;
/// How much larger than the file its values may be, written out without sharing. A reference to a word takes two bytes.
const MOST_TIMES: u64 = 64;
/// How often values outside of the pickle may be told: two layers that share their weights tell them twice.
const MOST_VIEWS: u64 = 4;
/// Values that are never too large.
const ALWAYS: u64 = 64 << 20;

/// Size of a node whose own values are being walked.
const OPEN: u64 = u64::MAX;

/// What all values may come to, written out.
struct Limit {
    n_bytes: u64,
    /// Bytes of the keys so far. They are part of what is written out, and looked at before its size is known.
    keys: u64,
}

impl Limit {
    fn check(&self, n_bytes: u64, at: usize) -> Result<(), Flaw> {
        if n_bytes <= self.n_bytes {
            return Ok(());
        }
        let expected = format!("values of at most {} bytes", self.n_bytes);
        let found = "shared values that are more when each is written out";
        Err(Flaw::new(at, expected, found))
    }

    /// The bytes of a key, which are counted.
    fn key<'a>(
        &mut self,
        arena: &'a Arena,
        pickle: &'a [u8],
        span: Span,
        key: NodeId,
    ) -> Result<&'a [u8], Flaw> {
        self.keys = self.keys.saturating_add(span.len() as u64);
        self.check(self.keys, arena.at(key))?;
        Ok(arena.span(pickle, span))
    }
}

/// A node with the values in it that have not been walked yet.
struct Visit {
    id: NodeId,
    walk: Option<Walk>,
    size: u64,
}

/// Checks all that is reached from `root`, and leaves the last of equal keys in dictionaries, as Python does.
/// `n_outside` are the bytes of values that lie outside of the pickle.
///
/// # Errors
/// [`Flaw`] at the value that is wrong.
pub(super) fn check(arena: &mut Arena, pickle: &[u8], root: NodeId, n_outside: usize) -> Result<(), Flaw> {
    // Written-out sizes of nodes; 0 where a node has not been seen.
    let mut sizes = vec![0; arena.n_nodes()];
    let mut limit = Limit {
        n_bytes: ALWAYS
            .max(MOST_TIMES.saturating_mul(pickle.len() as u64))
            .saturating_add(MOST_VIEWS.saturating_mul(n_outside as u64)),
        keys: 0,
    };
    let mut open = vec![visit(arena, pickle, root, &mut limit)?];
    sizes[root as usize] = OPEN;
    while let Some(last) = open.last_mut() {
        let next = last.walk.as_mut().and_then(|walk| walk.next(arena));
        let Some(child) = next else {
            sizes[last.id as usize] = last.size.min(OPEN - 1);
            let size = last.size;
            open.pop();
            if let Some(parent) = open.last_mut() {
                parent.size = parent.size.saturating_add(size);
            }
            continue;
        };
        match sizes[child as usize] {
            0 => {
                sizes[child as usize] = OPEN;
                open.push(visit(arena, pickle, child, &mut limit)?);
            }
            OPEN => {
                let found = format!("{} that contains itself", numpy::describe(arena.node(child)));
                return Err(Flaw::new(arena.at(child), PLAIN, found));
            }
            size => last.size = last.size.saturating_add(size),
        }
    }
    limit.check(sizes[root as usize], arena.at(root))
}

/// What must be known of a node before its own values are walked.
fn visit(arena: &mut Arena, pickle: &[u8], id: NodeId, limit: &mut Limit) -> Result<Visit, Flaw> {
    let node = arena.node(id);
    let (content, walk) = match node {
        Node::None | Node::Bool(_) | Node::Int(_) | Node::Float(_) => (0, None),
        Node::Text(span) | Node::Latin1(span) | Node::Bytes(span) => (span.len(), None),
        Node::Encoded { n_bytes, .. } => (n_bytes, None),
        Node::List(chain) | Node::Tuple(chain) => (0, Some(arena.walk(chain))),
        Node::Dict(_) => {
            let chain = unique(arena, pickle, id, limit)?;
            (0, Some(arena.walk(chain)))
        }
        Node::Array { data, .. } => (numpy::data_len(arena, data).unwrap_or_default(), None),
        Node::Objects { shape, items } => {
            let walk = objects(arena, id, shape, items)?;
            (0, Some(walk))
        }
        Node::Tensor { storage, shape, .. } => (torch::n_bytes(arena, storage, shape), None),
        Node::Function(_) | Node::Type { .. } | Node::Shell | Node::Storage { .. } => {
            return Err(Flaw::new(arena.at(id), PLAIN, numpy::describe(node)));
        }
    };
    let size = VALUE_BYTES + content as u64;
    Ok(Visit { id, walk, size })
}

/// The items of an array of objects, as many as its shape says.
fn objects(arena: &Arena, id: NodeId, shape: NodeId, items: NodeId) -> Result<Walk, Flaw> {
    let Node::List(chain) = arena.node(items) else {
        return Err(Flaw::new(
            arena.at(id),
            "a list with the objects of an array",
            "none",
        ));
    };
    let sizes = numpy::sizes(arena, shape).unwrap_or_default();
    let n_items = sizes.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
    if n_items != Some(chain.len()) {
        let expected = format!("objects for an array of shape {}", crate::format::Shape(sizes));
        return Err(Flaw::new(arena.at(id), expected, format!("{}", chain.len())));
    }
    Ok(arena.walk(chain))
}

/// Cuts a dictionary down to one entry a key: in the place of the first, with the value of the last.
fn unique(arena: &mut Arena, pickle: &[u8], id: NodeId, limit: &mut Limit) -> Result<Chain, Flaw> {
    let Node::Dict(chain) = arena.node(id) else {
        return Err(Flaw::new(arena.at(id), "a dictionary", "none"));
    };
    let mut walk = arena.walk(chain);
    let mut kept: Vec<NodeId> = Vec::with_capacity(chain.len());
    let mut places = HashMap::with_capacity(chain.len() / 2);
    while let (Some(key), Some(value)) = (walk.next(arena), walk.next(arena)) {
        let known = match arena.node(key) {
            Node::Int(value) => Key::Int(value),
            Node::Text(span) => Key::Text(utf8(limit.key(arena, pickle, span, key)?)),
            Node::Latin1(span) => Key::Text(latin1(limit.key(arena, pickle, span, key)?)),
            other => {
                let expected = "keys that are text or integers";
                return Err(Flaw::new(arena.at(key), expected, numpy::describe(other)));
            }
        };
        match places.entry(known) {
            Entry::Vacant(place) => {
                place.insert(kept.len() + 1);
                kept.extend([key, value]);
            }
            Entry::Occupied(place) => kept[*place.get()] = value,
        }
    }
    drop(places);
    let chain = if kept.len() == chain.len() {
        chain
    } else {
        arena.rewrite(chain, &kept)
    };
    arena.set(id, Node::Dict(chain));
    Ok(chain)
}
