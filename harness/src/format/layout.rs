//! How the values of an array lie in a file: element type, byte order, shape, array order.

use std::fmt;

/// Type of an element as a file stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    /// One byte, 0 or 1.
    Bool,
    /// An integer of so many bytes.
    Int(usize),
    /// IEEE binary16.
    F16,
    /// The upper half of an IEEE binary32.
    Bf16,
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
    /// Text of so many bytes, filled up with zeros.
    Bytes(usize),
    /// Text of so many UTF-32 characters, filled up with zeros.
    Unicode(usize),
}

impl Element {
    /// Bytes of one element.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int(size) => size,
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Bytes(n_bytes) => n_bytes,
            Self::Unicode(n_characters) => n_characters * 4,
        }
    }

    /// Bytes of the words that a byte order is about, and that lie aligned in memory.
    pub(crate) fn word(self) -> usize {
        match self {
            Self::Bytes(_) => 1,
            Self::Unicode(_) => 4,
            number => number.size(),
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int(size) => write!(f, "{size}-byte integer"),
            Self::F16 => f.write_str("f16"),
            Self::Bf16 => f.write_str("bf16"),
            Self::F32 => f.write_str("f32"),
            Self::F64 => f.write_str("f64"),
            Self::Bytes(n_bytes) => write!(f, "text of {n_bytes} bytes"),
            Self::Unicode(n_characters) => write!(f, "text of {n_characters} characters"),
        }
    }
}

/// Everything that is needed to read the bytes of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) element: Element,
    /// Whether the bytes of an element are in the other order than this machine's.
    pub(crate) swapped: bool,
    /// Whether the first index runs fastest.
    pub(crate) fortran: bool,
    pub(crate) shape: Vec<usize>,
}

impl Layout {
    /// Bytes of the whole array; `None` when no machine could address them.
    pub(crate) fn n_bytes(&self) -> Option<usize> {
        // A slice of this machine holds at most `isize::MAX` bytes.
        let limit = usize::MAX / 2;
        let mut sizes = self.shape.iter();
        // An empty axis makes an empty array, whatever the others are.
        if self.shape.contains(&0) {
            return Some(0);
        }
        sizes
            .try_fold(self.element.size(), |bytes, &size| bytes.checked_mul(size))
            .filter(|&bytes| bytes <= limit)
    }

    /// Whether the bytes are those of a row-major array of this machine.
    pub(crate) fn is_native(&self) -> bool {
        let one_axis = self.shape.iter().filter(|&&size| size > 1).count() <= 1;
        (!self.swapped || self.element.word() == 1) && (!self.fortran || one_axis)
    }
}

/// A shape as NumPy prints it: `(24, 16)`, `(3,)`, `()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(pub Vec<usize>);

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        let end = if sizes.len() == 1 { "," } else { "" };
        write!(f, "({}{end})", sizes.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(shape: &[usize], swapped: bool, fortran: bool) -> Layout {
        Layout {
            element: Element::F32,
            swapped,
            fortran,
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn sizes_that_no_machine_addresses_are_none() {
        assert_eq!(layout(&[3, 5], false, false).n_bytes(), Some(60));
        assert_eq!(layout(&[], false, false).n_bytes(), Some(4));
        assert_eq!(
            layout(&[0, usize::MAX, usize::MAX], false, false).n_bytes(),
            Some(0)
        );
        assert_eq!(layout(&[usize::MAX, 2], false, false).n_bytes(), None);
        assert_eq!(layout(&[usize::MAX / 4], false, false).n_bytes(), None);
    }

    #[test]
    fn vectors_are_native_in_either_array_order() {
        assert!(layout(&[3, 5], false, false).is_native());
        assert!(!layout(&[3, 5], false, true).is_native());
        assert!(!layout(&[3, 5], true, false).is_native());
        assert!(layout(&[1, 5], false, true).is_native());
        assert!(layout(&[5], false, true).is_native());
    }

    #[test]
    fn shapes_print_as_in_numpy() {
        for (shape, text) in [(vec![], "()"), (vec![3], "(3,)"), (vec![24, 16], "(24, 16)")] {
            assert_eq!(Shape(shape).to_string(), text);
        }
    }
}
