//! HDF5 files with data sets in the root group, in the oldest form, which `h5py` writes by default: superblock 0, a symbol
//! table, object headers of version 1, contiguous values, texts of any length in a global heap.
//!
//! From the HDF5 File Format Specification, version 3.0.

/// An address that leads nowhere.
const UNDEFINED: u64 = u64::MAX;
/// Half of the names that one node of the symbol table can hold.
const LEAF_K: u16 = 32;
/// Half of the children of a node of the group's tree.
const INTERNAL_K: u16 = 16;
const SUPERBLOCK_LEN: usize = 96;

/// A file being made.
#[derive(Debug, Default)]
pub struct Hdf5 {
    data_sets: Vec<(String, Values)>,
}

#[derive(Debug)]
enum Values {
    F32(Vec<u64>, Vec<f32>),
    F64(Vec<u64>, Vec<f64>),
    Texts(Vec<String>),
}

impl Hdf5 {
    /// Adds a data set of f32.
    pub fn f32(&mut self, name: &str, shape: &[u64], values: Vec<f32>) {
        self.data_sets
            .push((name.to_owned(), Values::F32(shape.to_vec(), values)));
    }

    /// Adds a data set of f64.
    pub fn f64(&mut self, name: &str, shape: &[u64], values: Vec<f64>) {
        self.data_sets
            .push((name.to_owned(), Values::F64(shape.to_vec(), values)));
    }

    /// Adds a list of texts.
    pub fn texts(&mut self, name: &str, texts: Vec<String>) {
        self.data_sets.push((name.to_owned(), Values::Texts(texts)));
    }

    /// The file.
    ///
    /// # Panics
    /// For more than 64 data sets.
    pub fn bytes(mut self) -> Vec<u8> {
        assert!(
            self.data_sets.len() <= 2 * usize::from(LEAF_K),
            "one node holds all names"
        );
        self.data_sets.sort_by(|a, b| a.0.cmp(&b.0));
        let mut file = File {
            bytes: vec![0; SUPERBLOCK_LEN],
        };
        let mut names = vec![0; 8];
        let mut entries = Vec::new();
        for (name, values) in &self.data_sets {
            let header = file.data_set(values);
            entries.push((names.len() as u64, header));
            names.extend(name.as_bytes());
            names.push(0);
            names.resize(names.len().next_multiple_of(8), 0);
        }
        let mut node = b"SNOD\x01\0".to_vec();
        node.extend((entries.len() as u16).to_le_bytes());
        for &(name, header) in &entries {
            put(&mut node, &[name, header, 0, 0, 0]);
        }
        node.resize(8 + 2 * usize::from(LEAF_K) * 40, 0);
        let node = file.add(&node);
        let segment = file.add(&names);
        let mut heap = b"HEAP\0\0\0\0".to_vec();
        // 1 is the end of the list of free places.
        put(&mut heap, &[names.len() as u64, 1, segment]);
        let heap = file.add(&heap);
        let mut tree = b"TREE\0\0\x01\0".to_vec();
        let last = entries.last().map_or(0, |&(name, _)| name);
        put(&mut tree, &[UNDEFINED, UNDEFINED, 0, node, last]);
        tree.resize(24 + (4 * usize::from(INTERNAL_K) + 1) * 8, 0);
        let tree = file.add(&tree);
        let mut table = Vec::new();
        put(&mut table, &[tree, heap]);
        let root = file.object(&[(0x11, table)]);
        file.superblock(root, tree, heap);
        file.bytes
    }
}

struct File {
    bytes: Vec<u8>,
}

impl File {
    /// Appends bytes on a multiple of 8 and gives their address.
    fn add(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let address = self.bytes.len() as u64;
        self.bytes.extend(bytes);
        address
    }

    fn superblock(&mut self, root: u64, tree: u64, heap: u64) {
        let mut block = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0".to_vec();
        block.extend(LEAF_K.to_le_bytes());
        block.extend(INTERNAL_K.to_le_bytes());
        block.extend(0u32.to_le_bytes());
        put(&mut block, &[0, UNDEFINED, self.bytes.len() as u64, UNDEFINED]);
        // The root's entry says where its tree and heap are.
        put(&mut block, &[0, root, 1, tree, heap]);
        self.bytes[..SUPERBLOCK_LEN].copy_from_slice(&block);
    }

    /// An object header of these messages.
    fn object(&mut self, messages: &[(u16, Vec<u8>)]) -> u64 {
        let mut body = Vec::new();
        for (kind, data) in messages {
            let len = data.len().next_multiple_of(8);
            body.extend(kind.to_le_bytes());
            body.extend((len as u16).to_le_bytes());
            body.extend([0; 4]);
            body.extend(data);
            body.resize(body.len() + len - data.len(), 0);
        }
        let mut header = vec![1, 0];
        header.extend((messages.len() as u16).to_le_bytes());
        header.extend(1u32.to_le_bytes());
        header.extend((body.len() as u32).to_le_bytes());
        header.extend([0; 4]);
        header.extend(body);
        self.add(&header)
    }

    fn data_set(&mut self, values: &Values) -> u64 {
        let (shape, datatype, bytes) = match values {
            Values::F32(shape, values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                (shape.clone(), float(4, [31, 23, 8, 23], 127), bytes)
            }
            Values::F64(shape, values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                (shape.clone(), float(8, [63, 52, 11, 52], 1023), bytes)
            }
            Values::Texts(texts) => {
                // Texts of any length, in UTF-8, each a length, the address of its heap and its number there.
                let datatype = b"\x19\x01\x01\0\x10\0\0\0\x13\x10\0\0\x01\0\0\0".to_vec();
                (vec![texts.len() as u64], datatype, self.heap_of(texts))
            }
        };
        let mut space = vec![1, shape.len() as u8, 0, 0, 0, 0, 0, 0];
        put(&mut space, &shape);
        let n_bytes = bytes.len() as u64;
        let address = if bytes.is_empty() {
            UNDEFINED
        } else {
            self.add(&bytes)
        };
        let mut layout = vec![3, 1];
        put(&mut layout, &[address, n_bytes]);
        self.object(&[(0x01, space), (0x03, datatype), (0x08, layout)])
    }

    /// Writes texts into a heap of their own; gives the references to them.
    fn heap_of(&mut self, texts: &[String]) -> Vec<u8> {
        let mut objects = Vec::new();
        for (number, text) in (1u16..).zip(texts) {
            objects.extend(number.to_le_bytes());
            objects.extend([1, 0, 0, 0, 0, 0]);
            put(&mut objects, &[text.len() as u64]);
            objects.extend(text.as_bytes());
            objects.resize(objects.len().next_multiple_of(8), 0);
        }
        let used = 16 + objects.len();
        let len = (used + 16).max(4096);
        let mut heap = b"GCOL\x01\0\0\0".to_vec();
        put(&mut heap, &[len as u64]);
        heap.extend(objects);
        // Object 0 is the free rest.
        put(&mut heap, &[0, (len - used) as u64]);
        heap.resize(len, 0);
        let address = self.add(&heap);
        let mut references = Vec::new();
        for (number, text) in (1u32..).zip(texts) {
            references.extend((text.len() as u32).to_le_bytes());
            put(&mut references, &[address]);
            references.extend(number.to_le_bytes());
        }
        references
    }
}

/// An IEEE float: places of sign, exponent and mantissa, and the exponent's bias.
fn float(size: u32, [sign, exponent, exponent_len, mantissa_len]: [u8; 4], bias: u32) -> Vec<u8> {
    let mut datatype = vec![0x11, 0x20, sign, 0];
    datatype.extend(size.to_le_bytes());
    datatype.extend([0, 0]);
    datatype.extend((size as u16 * 8).to_le_bytes());
    datatype.extend([exponent, exponent_len, 0, mantissa_len]);
    datatype.extend(bias.to_le_bytes());
    datatype
}

fn put(bytes: &mut Vec<u8>, numbers: &[u64]) {
    for number in numbers {
        bytes.extend(number.to_le_bytes());
    }
}
