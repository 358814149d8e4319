//! Files of the oldest format, put together message by message.

/// A file that grows at its end.
pub(super) struct Writer {
    bytes: Vec<u8>,
}

pub(super) const DATASPACE: u16 = 1;
pub(super) const DATATYPE: u16 = 3;
pub(super) const LINK: u16 = 6;
pub(super) const LAYOUT: u16 = 8;
pub(super) const CONTINUATION: u16 = 16;
pub(super) const SYMBOL_TABLE: u16 = 17;
const UNDEFINED: u64 = u64::MAX;
/// Bytes of the superblock; the places in it that are filled in last.
const SUPERBLOCK: usize = 96;
const END_OF_FILE: usize = 40;
const ROOT: usize = 64;

pub(super) fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Writer {
    pub(super) fn new() -> Self {
        let mut bytes = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0".to_vec();
        bytes.extend(words(&[0, UNDEFINED, 0, UNDEFINED]));
        bytes.resize(SUPERBLOCK, 0);
        Self { bytes }
    }

    /// Appends bytes, and gives their address.
    pub(super) fn push(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let address = self.bytes.len() as u64;
        self.bytes.extend(bytes);
        address
    }

    /// The address that the next bytes get.
    pub(super) fn next(&self) -> u64 {
        self.bytes.len().next_multiple_of(8) as u64
    }

    pub(super) fn header(&mut self, messages: &[(u16, Vec<u8>)]) -> u64 {
        let mut body = Vec::new();
        for (kind, message) in messages {
            let size = message.len().next_multiple_of(8);
            body.extend(kind.to_le_bytes());
            body.extend((size as u16).to_le_bytes());
            body.extend([0; 4]);
            body.extend(message);
            body.resize(body.len().next_multiple_of(8), 0);
        }
        let mut header = vec![1, 0];
        header.extend((messages.len() as u16).to_le_bytes());
        header.extend(1u32.to_le_bytes());
        header.extend((body.len() as u32).to_le_bytes());
        header.extend([0; 4]);
        header.extend(body);
        self.push(&header)
    }

    /// A heap of these bytes.
    pub(super) fn heap(&mut self, names: &[u8]) -> u64 {
        let segment = self.push(names);
        let mut heap = b"HEAP\0\0\0\0".to_vec();
        heap.extend(words(&[names.len() as u64, UNDEFINED, segment]));
        self.push(&heap)
    }

    /// A symbol table of entries: place of the name, address, kind, place of a link's target.
    pub(super) fn symbols(&mut self, entries: &[(u64, u64, u32, u32)]) -> u64 {
        let mut node = b"SNOD\x01\0".to_vec();
        node.extend((entries.len() as u16).to_le_bytes());
        for &(name, address, kind, scratch) in entries {
            node.extend(words(&[name, address]));
            node.extend([kind, 0, scratch, 0, 0, 0].map(u32::to_le_bytes).concat());
        }
        self.push(&node)
    }

    /// A tree of one node with these children; above leaves at level 0.
    pub(super) fn tree(&mut self, level: u8, children: &[u64]) -> u64 {
        let mut node = vec![b'T', b'R', b'E', b'E', 0, level];
        node.extend((children.len() as u16).to_le_bytes());
        node.extend(words(&[UNDEFINED, UNDEFINED, 0]));
        for &child in children {
            node.extend(words(&[child, 0]));
        }
        self.push(&node)
    }

    pub(super) fn group_of(&mut self, tree: u64, heap: u64) -> u64 {
        self.header(&[(SYMBOL_TABLE, words(&[tree, heap]))])
    }

    /// A group of objects.
    pub(super) fn group(&mut self, links: &[(&str, u64)]) -> u64 {
        let mut names = vec![0; 8];
        let mut entries = Vec::new();
        for &(name, address) in links {
            entries.push((names.len() as u64, address, 0, 0));
            names.extend(name.as_bytes());
            names.resize((names.len() + 1).next_multiple_of(8), 0);
        }
        let heap = self.heap(&names);
        let symbols = self.symbols(&entries);
        let tree = self.tree(0, &[symbols]);
        self.group_of(tree, heap)
    }

    /// A data set of these values in one piece, whatever its shape says.
    pub(super) fn data_set(&mut self, datatype: Vec<u8>, shape: &[u64], values: &[u8]) -> u64 {
        let address = self.push(values);
        let mut layout = vec![3, 1];
        layout.extend(words(&[address, values.len() as u64]));
        let space = [&[1, shape.len() as u8, 0, 0, 0, 0, 0, 0][..], &words(shape)].concat();
        self.header(&[(DATASPACE, space), (DATATYPE, datatype), (LAYOUT, layout)])
    }

    /// A matrix of f32.
    pub(super) fn matrix(&mut self, shape: &[u64], values: &[f32]) -> u64 {
        let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.data_set(f32(), shape, &values)
    }

    /// The whole file.
    pub(super) fn finish(mut self, root: u64) -> Vec<u8> {
        let end = self.bytes.len() as u64;
        self.bytes[END_OF_FILE..][..8].copy_from_slice(&end.to_le_bytes());
        self.bytes[ROOT..][..8].copy_from_slice(&root.to_le_bytes());
        self.bytes
    }
}

/// The datatype of little-endian f32.
pub(super) fn f32() -> Vec<u8> {
    let mut datatype = vec![0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23];
    datatype.extend(127u32.to_le_bytes());
    datatype
}

/// The datatype of texts in a heap.
pub(super) fn texts() -> Vec<u8> {
    let byte = [0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0];
    [&[0x19, 1, 0, 0, 16, 0, 0, 0][..], &byte].concat()
}
