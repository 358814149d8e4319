//! Pickles of protocol 4 as Python 3 and NumPy 1 write them, without frames and memo.

/// A value to be pickled.
#[derive(Debug, Clone)]
pub enum Pickled {
    /// Text.
    Text(String),
    /// An integer.
    Int(i32),
    /// A float.
    Float(f64),
    /// A list.
    List(Vec<Pickled>),
    /// A dictionary.
    Dict(Vec<(Pickled, Pickled)>),
    /// A NumPy array of f32: shape, and values in row-major order.
    Array(Vec<u32>, Vec<f32>),
}

impl Pickled {
    /// A list of texts.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::Text(text.into())).collect())
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"\x80\x04".to_vec();
        self.write(&mut out);
        out.push(b'.');
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                out.push(b'X');
                out.extend((text.len() as u32).to_le_bytes());
                out.extend(text.as_bytes());
            }
            Self::Int(number) => {
                out.push(b'J');
                out.extend(number.to_le_bytes());
            }
            Self::Float(number) => {
                out.push(b'G');
                out.extend(number.to_be_bytes());
            }
            Self::List(items) => {
                out.extend(b"](");
                items.iter().for_each(|item| item.write(out));
                out.push(b'e');
            }
            Self::Dict(entries) => {
                out.extend(b"}(");
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
                out.push(b'u');
            }
            Self::Array(shape, values) => array(shape, values, out),
        }
    }
}

/// `_reconstruct(ndarray, (0,), b"b")`, then the state: version, shape, type, array order, values.
fn array(shape: &[u32], values: &[f32], out: &mut Vec<u8>) {
    out.extend(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85C\x01btR(K\x01(");
    for &size in shape {
        out.push(b'J');
        out.extend(size.to_le_bytes());
    }
    out.extend(b"tcnumpy\ndtype\n(X\x02\0\0\0f4\x89\x88tR(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89B");
    out.extend((values.len() as u32 * 4).to_le_bytes());
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    out.extend(b"tb");
}
