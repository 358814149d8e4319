//! What the elements of a data set are, from the bytes of its datatype message.
//!
//! The crate keeps the size and byte order of a number alone; here its bits are compared with those of the types
//! that we know, so that no number of another kind is taken for one of them.

use crate::format::layout::Element;

const INTEGER: u8 = 0;
const FLOAT: u8 = 1;
const STRING: u8 = 3;
const ENUMERATION: u8 = 8;
const VARIABLE_LENGTH: u8 = 9;
/// Bytes before what is particular to a class: class and version, three bytes of flags, size.
const HEAD: usize = 8;

/// Elements of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers, or texts of a fixed length.
    Plain {
        element: Element,
        /// Whether their bytes are in the other order than this machine's.
        swapped: bool,
    },
    /// Texts, each as long as it is, in a heap.
    Texts,
    /// Anything else, in words.
    Other(String),
}

/// Bits of a floating-point number, from the lowest.
#[derive(PartialEq, Eq)]
struct Float {
    n_bits: u16,
    exponent: (u8, u8),
    mantissa: u8,
    bias: u32,
}

const FLOATS: [(Element, Float); 4] = [
    (Element::F16, float(16, (10, 5), 15)),
    (Element::Bf16, float(16, (7, 8), 127)),
    (Element::F32, float(32, (23, 8), 127)),
    (Element::F64, float(64, (52, 11), 1023)),
];

/// A number of sign, exponent and mantissa, of which the exponent begins where the mantissa ends.
const fn float(n_bits: u16, exponent: (u8, u8), bias: u32) -> Float {
    Float {
        n_bits,
        exponent,
        mantissa: exponent.0,
        bias,
    }
}

/// What a datatype message says.
pub(super) fn parse(message: &[u8]) -> Kind {
    let known = message.split_at_checked(HEAD).and_then(|(head, rest)| {
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let flags = [head[1], head[2], head[3]];
        match head[0] & 0x0f {
            INTEGER => integer(flags, size, rest),
            FLOAT => floating(flags, size, rest),
            STRING if size > 0 => Some(Kind::Plain {
                element: Element::Bytes(size),
                swapped: false,
            }),
            // Names for values of an integer type, which follows: how h5py stores truth values.
            ENUMERATION => match rest.split_at_checked(HEAD)? {
                (base, properties) if base[0] & 0x0f == INTEGER => {
                    integer([base[1], base[2], base[3]], size, properties)
                }
                _ => None,
            },
            VARIABLE_LENGTH if flags[0] & 0x0f == 1 => Some(Kind::Texts),
            _ => None,
        }
    });
    known.unwrap_or_else(|| Kind::Other(name(message)))
}

fn integer(flags: [u8; 3], size: usize, properties: &[u8]) -> Option<Kind> {
    let [offset, precision] = words(properties)?;
    let whole = offset == 0 && usize::from(precision) == size * 8;
    (whole && [1, 2, 4, 8].contains(&size)).then(|| Kind::Plain {
        element: Element::Int(size),
        swapped: is_swapped(flags[0] & 1 == 1),
    })
}

fn floating(flags: [u8; 3], size: usize, properties: &[u8]) -> Option<Kind> {
    let [offset, n_bits] = words(properties)?;
    let [exponent, exponent_bits, mantissa, mantissa_bits, rest @ ..] = properties.get(4..)? else {
        return None;
    };
    let bias = u32::from_le_bytes(*rest.first_chunk()?);
    let found = Float {
        n_bits,
        exponent: (*exponent, *exponent_bits),
        mantissa: *mantissa_bits,
        bias,
    };
    // Neither VAX order nor bits that are filled up, a mantissa with its leading one left out, the sign on top.
    let usual = flags[0] & 0b0111_1110 == 0b0010_0000
        && u16::from(flags[1]) + 1 == n_bits
        && (offset, *mantissa) == (0, 0)
        && usize::from(n_bits) == size * 8;
    let (element, _) = FLOATS.into_iter().find(|(_, float)| *float == found)?;
    usual.then(|| Kind::Plain {
        element,
        swapped: is_swapped(flags[0] & 1 == 1),
    })
}

/// The first two numbers of a property list: where the bits begin, and how many there are.
fn words(properties: &[u8]) -> Option<[u16; 2]> {
    let [a, b, c, d] = *properties.first_chunk()?;
    Some([u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])])
}

fn is_swapped(big: bool) -> bool {
    big != cfg!(target_endian = "big")
}

fn name(message: &[u8]) -> String {
    let size = message.get(4..HEAD).and_then(|size| size.first_chunk().copied());
    let size = size.map_or(0, u32::from_le_bytes);
    let class = match message.first().map(|first| first & 0x0f) {
        Some(INTEGER) => "an integer of unusual bits",
        Some(FLOAT) => "a floating-point number of unusual bits",
        Some(2) => "a time",
        Some(STRING) => "a text",
        Some(4) => "bits",
        Some(5) => "an opaque type",
        Some(6) => "a compound",
        Some(7) => "a reference",
        Some(ENUMERATION) => "an enumeration of unusual integers",
        Some(VARIABLE_LENGTH) => "a sequence of any length",
        Some(10) => "an array",
        _ => "an unknown type",
    };
    format!("{class}, {size} bytes")
}

#[cfg(test)]
mod tests;
