//! What is in a group, and what is at a path.
//!
//! Old groups keep their names in a heap and their objects in a tree, new ones in messages of their header or, when
//! there are many, in a heap and tree of another kind. Links into another path or file are found and not followed.

use std::collections::HashSet;

use hdf5_reader::btree_v1::collect_btree_v1_leaves_storage;
use hdf5_reader::btree_v2::{BTreeV2Header, BTreeV2Record, collect_btree_v2_records_storage};
use hdf5_reader::fractal_heap::{FractalHeap, FractalHeapDirectBlockCache};
use hdf5_reader::io::Cursor;
use hdf5_reader::local_heap::LocalHeap;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::link::{self, LinkMessage, LinkTarget};
use hdf5_reader::messages::link_info::LinkInfoMessage;
use hdf5_reader::messages::symbol_table_msg::SymbolTableMessage;
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::symbol_table::SymbolTableNode;

use super::file::File;
use crate::format::error::FormatError;
use crate::format::flaw::Flaw;

/// Entries of a symbol table whose first field is the place of a link's target instead of an object.
const SOFT_LINK: u32 = 2;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The header of an object.
    Object(u64),
    /// Another path, or one in another file.
    Elsewhere(String),
}

/// An object that a file names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) path: String,
    pub(super) address: u64,
}

impl File {
    /// The object at a path; `None` when there is none.
    ///
    /// # Errors
    /// [`FormatError::Unread`] for a path that leads through a link, and those of damaged groups.
    pub(super) fn object(&self, path: &str) -> Result<Option<Found>, FormatError> {
        let root = self.root()?;
        let mut found = Found {
            path: String::new(),
            address: root,
        };
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let inside = joined(&found.path, name);
            let links = self.links(&found.path, &*self.header(&found.path, found.address)?)?;
            let Some((_, target)) = links.into_iter().find(|(known, _)| known == name) else {
                return Ok(None);
            };
            match target {
                Target::Object(address) => {
                    found = Found {
                        path: inside,
                        address,
                    };
                }
                Target::Elsewhere(target) => {
                    return Err(FormatError::Unread {
                        location: self.at(&inside),
                        expected: "a data set of this file by its own name",
                        found: format!("a link to `{}`", target.escape_debug()),
                    });
                }
            }
        }
        Ok((found.address != root).then_some(found))
    }

    /// All data sets, by name, and what has a header that cannot be read: it may be one.
    ///
    /// # Errors
    /// Those of damaged groups.
    pub(super) fn data_sets(&self) -> Result<Vec<Found>, FormatError> {
        let root = self.root()?;
        let mut groups = vec![Found {
            path: String::new(),
            address: root,
        }];
        let mut seen = HashSet::from([root]);
        let mut found = Vec::new();
        while let Some(group) = groups.pop() {
            for (name, target) in self.links(&group.path, &*self.header(&group.path, group.address)?)? {
                let Target::Object(address) = target else { continue };
                let path = joined(&group.path, &name);
                self.take_name(path.len())?;
                let is_data_set = self
                    .header(&path, address)
                    .map_or(true, |header| is_data_set(&header));
                let object = Found { path, address };
                if is_data_set {
                    found.push(object);
                } else if seen.insert(address) {
                    groups.push(object);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn root(&self) -> Result<u64, FormatError> {
        let root = self.inner.superblock().root_object_header_address();
        root.map_err(|source| self.damaged("", source))
    }

    /// Names in the group with this header, and what they stand for. Nothing for an object that is no group.
    fn links(&self, path: &str, header: &ObjectHeader) -> Result<Vec<(String, Target)>, FormatError> {
        let mut links = Vec::new();
        for message in &header.messages {
            match message {
                HdfMessage::SymbolTable(table) => self.old_links(path, table, &mut links)?,
                HdfMessage::Link(link) => {
                    self.take_name(link.name.len())?;
                    links.push(plain(link));
                }
                HdfMessage::LinkInfo(info)
                    if !Cursor::is_undefined_offset(info.fractal_heap_address, self.offset_size()) =>
                {
                    self.dense_links(path, info, &mut links)?;
                }
                _ => {}
            }
        }
        Ok(links)
    }

    fn old_links(
        &self,
        path: &str,
        table: &SymbolTableMessage,
        links: &mut Vec<(String, Target)>,
    ) -> Result<(), FormatError> {
        let damaged = |source| self.damaged(path, source);
        let (offset_size, length_size) = (self.offset_size(), self.length_size());
        let storage = self.inner.storage();
        let heap = LocalHeap::parse_at_storage(storage, table.heap_address, offset_size, length_size);
        let heap = heap.map_err(damaged)?;
        let names = self.slice(path, heap.data_segment_address, heap.data_segment_size, "names")?;
        let name = |offset: u64| {
            let place = usize::try_from(offset)
                .ok()
                .filter(|&offset| offset < names.len());
            let at = names.start + place.unwrap_or(names.len());
            let bytes = &self.map[at..names.end];
            let ended = bytes.iter().position(|&byte| byte == 0).map(|end| &bytes[..end]);
            let name = ended
                .and_then(|bytes| str::from_utf8(bytes).ok())
                .ok_or_else(|| {
                    let flaw = Flaw::new(at, "a name in UTF-8 with its end", "something else");
                    FormatError::flaw(&self.at(path), flaw)
                })?;
            self.take_name(name.len())?;
            Ok(name.to_owned())
        };
        let leaves = collect_btree_v1_leaves_storage(
            storage,
            table.btree_address,
            offset_size,
            length_size,
            None,
            &[],
            None,
        );
        for (_, leaf) in leaves.map_err(damaged)? {
            let node = self.slice(path, leaf, 0, "names")?;
            let mut cursor = Cursor::new(&self.map[node.start..]);
            let node = SymbolTableNode::parse(&mut cursor, offset_size, length_size).map_err(damaged)?;
            for entry in node.entries {
                let target = if entry.cache_type == SOFT_LINK {
                    let [a, b, c, d, ..] = entry.scratch;
                    Target::Elsewhere(name(u32::from_le_bytes([a, b, c, d]).into())?)
                } else {
                    Target::Object(entry.object_header_address)
                };
                links.push((name(entry.link_name_offset)?, target));
            }
        }
        Ok(())
    }

    fn dense_links(
        &self,
        path: &str,
        info: &LinkInfoMessage,
        links: &mut Vec<(String, Target)>,
    ) -> Result<(), FormatError> {
        let damaged = |source| self.damaged(path, source);
        let (offset_size, length_size) = (self.offset_size(), self.length_size());
        let storage = self.inner.storage();
        let heap =
            FractalHeap::parse_at_storage(storage, info.fractal_heap_address, offset_size, length_size);
        let heap = heap.map_err(damaged)?;
        let tree =
            BTreeV2Header::parse_at_storage(storage, info.btree_name_index_address, offset_size, length_size);
        let tree = tree.map_err(damaged)?;
        let records =
            collect_btree_v2_records_storage(storage, &tree, offset_size, length_size, None, &[], None);
        let mut blocks = FractalHeapDirectBlockCache::default();
        for record in records.map_err(damaged)? {
            let BTreeV2Record::LinkNameHash { heap_id, .. } = record else {
                continue;
            };
            let message =
                heap.get_object_storage_cached(&heap_id, storage, offset_size, length_size, &mut blocks);
            let message = message.map_err(damaged)?;
            let link = link::parse(
                &mut Cursor::new(&message),
                offset_size,
                length_size,
                message.len(),
            );
            let link = link.map_err(damaged)?;
            self.take_name(link.name.len())?;
            links.push(plain(&link));
        }
        Ok(())
    }
}

/// Whether the object with this header holds values.
pub(super) fn is_data_set(header: &ObjectHeader) -> bool {
    let mut messages = header.messages.iter();
    messages.any(|message| matches!(message, HdfMessage::DataLayout(_)))
}

fn plain(link: &LinkMessage) -> (String, Target) {
    let target = match &link.target {
        LinkTarget::Hard { address } => Target::Object(*address),
        LinkTarget::Soft { path } => Target::Elsewhere(path.clone()),
        LinkTarget::External { filename, path } => Target::Elsewhere(format!("{filename}:{path}")),
    };
    (link.name.clone(), target)
}

fn joined(group: &str, name: &str) -> String {
    if group.is_empty() {
        return name.to_owned();
    }
    format!("{group}/{name}")
}
