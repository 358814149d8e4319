//! The header of `.npy`, versions 1 to 3.
//!
//! After the magic `\x93NUMPY`, two version bytes and the header's length (2 bytes in version 1, 4 in later ones)
//! comes a Python dictionary literal with the keys `descr`, `fortran_order` and `shape`. It is read by a parser of
//! just that grammar: nothing nests, so no input makes it deep, and every flaw has a position.

use super::flaw::Flaw;
use super::layout::{Element, Layout};

/// First bytes of every file.
pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Bytes that tell how long the header is, in every version.
pub(crate) const PREFIX: usize = 12;
/// Longest header that is read; NumPy itself refuses longer ones than 10,000 bytes by default.
const LONGEST: usize = 1 << 20;
/// Longest text in an array of texts, in bytes or characters.
const LONGEST_TEXT: usize = 1 << 20;

/// What comes behind the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Header {
    /// The values of an array.
    Numbers(Layout),
    /// The pickle of an array of objects of this shape.
    Objects(Vec<usize>),
}

/// Where the dictionary lies: first byte and length.
///
/// # Errors
/// [`Flaw`] for another magic, an unknown version, or a length beyond all reason.
pub(crate) fn dictionary(prefix: &[u8]) -> Result<(usize, usize), Flaw> {
    if !prefix.starts_with(MAGIC) {
        let found = &prefix[..prefix.len().min(MAGIC.len())];
        return Err(Flaw::new(
            0,
            "the magic \\x93NUMPY",
            format!("`{}`", found.escape_ascii()),
        ));
    }
    let (start, length) = match prefix[MAGIC.len()..] {
        [1, _, low, high, ..] => (10, usize::from(u16::from_le_bytes([low, high]))),
        [2 | 3, _, a, b, c, d, ..] => (PREFIX, u32::from_le_bytes([a, b, c, d]) as usize),
        [version, minor, _, _, ..] if !(1..=3).contains(&version) => {
            let found = format!("version {version}.{minor}");
            return Err(Flaw::new(MAGIC.len(), "version 1, 2 or 3", found));
        }
        _ => {
            return Err(Flaw::new(
                prefix.len(),
                "the length of the header",
                "the end of the file",
            ));
        }
    };
    if length > LONGEST {
        let expected = format!("a header of at most {LONGEST} bytes");
        return Err(Flaw::new(8, expected, format!("a length of {length}")));
    }
    Ok((start, length))
}

/// What the dictionary says; `start` is its place in the file, for the positions of flaws.
///
/// # Errors
/// [`Flaw`].
pub(crate) fn parse(dictionary: &[u8], start: usize) -> Result<Header, Flaw> {
    let mut cursor = Cursor {
        bytes: dictionary,
        at: 0,
        start,
    };
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    cursor.expect(b'{')?;
    while !cursor.take(b'}') {
        let key_at = cursor.next_at();
        let key = cursor.string()?;
        cursor.expect(b':')?;
        let again = match key.as_str() {
            "descr" => {
                let at = cursor.next_at();
                let text = cursor.string()?;
                let found = match is_object(&text) {
                    true => None,
                    false => Some(element(&text, start + at)?),
                };
                descr.replace(found).is_some()
            }
            "fortran_order" => fortran.replace(cursor.boolean()?).is_some(),
            "shape" => shape.replace(cursor.tuple()?).is_some(),
            other => {
                let keys = "one of the keys `descr`, `fortran_order`, `shape`";
                return Err(Flaw::new(start + key_at, keys, format!("`{other}`")));
            }
        };
        if again {
            return Err(Flaw::new(
                start + key_at,
                "every key once",
                format!("`{key}` again"),
            ));
        }
        if !cursor.take(b',') {
            cursor.expect(b'}')?;
            break;
        }
    }
    cursor.end()?;
    let missing = |key: &str| Flaw::new(start, format!("the key `{key}`"), "a header without it");
    let descr = descr.ok_or_else(|| missing("descr"))?;
    let fortran = fortran.ok_or_else(|| missing("fortran_order"))?;
    let shape = shape.ok_or_else(|| missing("shape"))?;
    Ok(match descr {
        Some((element, swapped)) => Header::Numbers(Layout {
            element,
            swapped,
            fortran,
            shape,
        }),
        None => Header::Objects(shape),
    })
}

/// Whether a type string is that of objects: `|O`, from Python 2 also with their size.
fn is_object(descr: &str) -> bool {
    let size = descr.strip_prefix("|O");
    size.is_some_and(|size| size.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Element type and whether its bytes are swapped, from a type string such as `<f4` at byte `at`.
///
/// # Errors
/// [`Flaw`] for a type that holds no numbers, or none that can be ranked or be a mask.
pub(crate) fn element(descr: &str, at: usize) -> Result<(Element, bool), Flaw> {
    let flaw = |expected: &str| Flaw::new(at, expected, format!("`{descr}`"));
    let numbers = "a type of f2, f4 or f8 (masks also of b1, i or u, ids of S or U)";
    let kind = descr.trim_start_matches(['<', '>', '|', '=']);
    let found = match kind {
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        "b1" => Element::Bool,
        "i1" | "u1" => Element::Int(1),
        "i2" | "u2" => Element::Int(2),
        "i4" | "u4" => Element::Int(4),
        "i8" | "u8" => Element::Int(8),
        other => text(other).ok_or_else(|| flaw(numbers))?,
    };
    let big = match descr.strip_suffix(kind) {
        Some("<") => false,
        Some(">") => true,
        Some("=") => cfg!(target_endian = "big"),
        Some("|") if found.word() == 1 => cfg!(target_endian = "big"),
        _ => return Err(flaw("a byte order of < or >")),
    };
    Ok((found, big != cfg!(target_endian = "big")))
}

/// The type of texts that `S` or `U` and a length name.
fn text(kind: &str) -> Option<Element> {
    let (letter, length) = kind.split_at_checked(1)?;
    let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
    let length = length.parse().ok().filter(|_| is_number)?;
    match letter {
        _ if !(1..=LONGEST_TEXT).contains(&length) => None,
        "S" => Some(Element::Bytes(length)),
        "U" => Some(Element::Unicode(length)),
        _ => None,
    }
}

/// A place in the dictionary.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    start: usize,
}

impl Cursor<'_> {
    /// Place of the next byte that is no blank.
    fn next_at(&mut self) -> usize {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.at
    }

    fn peek(&mut self) -> Option<u8> {
        let at = self.next_at();
        self.bytes.get(at).copied()
    }

    fn flaw(&self, expected: impl Into<String>) -> Flaw {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let found = match rest {
            [] => "the end of the header".to_owned(),
            rest => format!("`{}`", rest[..rest.len().min(12)].escape_ascii()),
        };
        Flaw::new(self.start + self.at, expected, found)
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8) -> Result<(), Flaw> {
        if self.take(byte) {
            return Ok(());
        }
        Err(self.flaw(format!("`{}`", char::from(byte))))
    }

    fn string(&mut self) -> Result<String, Flaw> {
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            Some(b'[') => return Err(self.flaw("one type for all elements, not a structure")),
            _ => return Err(self.flaw("a quoted word")),
        };
        let rest = &self.bytes[self.at + 1..];
        let Some(length) = rest.iter().position(|&byte| byte == quote) else {
            return Err(self.flaw("a quoted word with its end"));
        };
        self.at += length + 2;
        Ok(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    fn boolean(&mut self) -> Result<bool, Flaw> {
        self.next_at();
        for (word, value) in [("True", true), ("False", false)] {
            if self.bytes[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.flaw("`True` or `False`"))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, Flaw> {
        self.expect(b'(')?;
        let mut sizes = Vec::new();
        while !self.take(b')') {
            sizes.push(self.size()?);
            if !self.take(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(sizes)
    }

    /// A whole number; Python 2 writes an `L` behind it.
    fn size(&mut self) -> Result<usize, Flaw> {
        let start = self.next_at();
        let mut size = 0usize;
        while let Some(digit) = self.bytes.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            size = size
                .checked_mul(10)
                .and_then(|size| size.checked_add(usize::from(digit - b'0')))
                .ok_or_else(|| {
                    Flaw::new(
                        self.start + start,
                        "a size that fits this machine",
                        "a larger one",
                    )
                })?;
            self.at += 1;
        }
        if self.at == start {
            return Err(self.flaw("a size"));
        }
        self.at += usize::from(self.bytes.get(self.at) == Some(&b'L'));
        Ok(size)
    }

    fn end(&mut self) -> Result<(), Flaw> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.flaw("nothing but blanks after the dictionary")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layout(element: Element, swapped: bool, fortran: bool, shape: &[usize]) -> Layout {
        Layout {
            element,
            swapped,
            fortran,
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn headers_of_several_writers() {
        let little = cfg!(target_endian = "big");
        for (text, expected) in [
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (24, 16), }   \n",
                layout(Element::F32, little, false, &[24, 16]),
            ),
            (
                "{\"shape\":(3,),\"fortran_order\":True,\"descr\":\">f8\"}",
                layout(Element::F64, !little, true, &[3]),
            ),
            (
                "{'descr': '<f2', 'fortran_order': False, 'shape': (3L, 4L)}",
                layout(Element::F16, little, false, &[3, 4]),
            ),
            (
                "{'descr': '|b1', 'fortran_order': False, 'shape': (), }",
                layout(Element::Bool, false, false, &[]),
            ),
            (
                "{'descr': '>U12', 'fortran_order': False, 'shape': (3,), }",
                layout(Element::Unicode(12), !little, false, &[3]),
            ),
            (
                "{'descr': '|S7', 'fortran_order': False, 'shape': (3,), }",
                layout(Element::Bytes(7), false, false, &[3]),
            ),
        ] {
            assert_eq!(
                parse(text.as_bytes(), 10),
                Ok(Header::Numbers(expected)),
                "{text}"
            );
        }
        for descr in ["|O", "|O8"] {
            let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2, 3), }}");
            assert_eq!(parse(text.as_bytes(), 10), Ok(Header::Objects(vec![2, 3])));
        }
    }

    #[test]
    fn flaws_have_a_position() {
        let head = "{'descr': '<f4', 'fortran_order': False, ";
        for (text, offset, expected, found) in [
            ("", 10, "`{`", "the end of the header"),
            ("{", 11, "a quoted word", "the end of the header"),
            (
                "{'descr': '<O8'}",
                20,
                "a type of f2, f4 or f8 (masks also of b1, i or u, ids of S or U)",
                "`<O8`",
            ),
            (
                "{'descr': [('a', '<f4')]}",
                20,
                "one type for all elements, not a structure",
                "`[(\\'a\\', \\'<f4\\'`",
            ),
            (
                "{'descr': '<c8'}",
                20,
                "a type of f2, f4 or f8 (masks also of b1, i or u, ids of S or U)",
                "`<c8`",
            ),
            ("{'descr': '|f4'}", 20, "a byte order of < or >", "`|f4`"),
            ("{'descr': '|U4'}", 20, "a byte order of < or >", "`|U4`"),
            (
                "{'descr': '|S0'}",
                20,
                "a type of f2, f4 or f8 (masks also of b1, i or u, ids of S or U)",
                "`|S0`",
            ),
            (
                "{'descr': '<U99999999'}",
                20,
                "a type of f2, f4 or f8 (masks also of b1, i or u, ids of S or U)",
                "`<U99999999`",
            ),
            ("{'descr': 'f4'}", 20, "a byte order of < or >", "`f4`"),
            ("{'descr': '<f4}", 20, "a quoted word with its end", "`\\'<f4}`"),
            (
                "{'x': 1}",
                11,
                "one of the keys `descr`, `fortran_order`, `shape`",
                "`x`",
            ),
            ("{'fortran_order': no}", 28, "`True` or `False`", "`no}`"),
            (
                &format!("{head}'shape': (3, 4)"),
                66,
                "`}`",
                "the end of the header",
            ),
            (&format!("{head}'shape': (3, -4)}}"), 64, "a size", "`-4)}`"),
            (
                &format!("{head}'shape': (3, 4)}} x"),
                68,
                "nothing but blanks after the dictionary",
                "`x`",
            ),
            (
                &format!("{head}'descr': '<f4'}}"),
                51,
                "every key once",
                "`descr` again",
            ),
            (&format!("{head}}}"), 10, "the key `shape`", "a header without it"),
            (
                &format!("{head}'shape': (99999999999999999999,)}}"),
                61,
                "a size that fits this machine",
                "a larger one",
            ),
        ] {
            assert_eq!(
                parse(text.as_bytes(), 10),
                Err(Flaw::new(offset, expected, found)),
                "{text}"
            );
        }
    }

    #[test]
    fn prefixes_of_every_version() {
        assert_eq!(dictionary(b"\x93NUMPY\x01\x00\x76\x00{'"), Ok((10, 118)));
        assert_eq!(dictionary(b"\x93NUMPY\x02\x00\x76\x00\x01\x00"), Ok((12, 65_654)));
        assert_eq!(dictionary(b"\x93NUMPY\x03\x00\x76\x00\x00\x00"), Ok((12, 118)));
        let version = dictionary(b"\x93NUMPY\x04\x00\x76\x00\x00\x00").unwrap_err();
        assert_eq!((version.offset, &version.found[..]), (6, "version 4.0"));
        let longest = dictionary(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").unwrap_err();
        assert_eq!(
            (longest.offset, &longest.found[..]),
            (8, "a length of 4294967295")
        );
        for cut in 6..10 {
            let flaw = dictionary(&b"\x93NUMPY\x01\x00\x76\x00{'"[..cut]).unwrap_err();
            assert_eq!((flaw.offset, &flaw.found[..]), (cut, "the end of the file"));
        }
        let magic = dictionary(b"PK\x03\x04").unwrap_err();
        assert_eq!((magic.offset, &magic.found[..]), (0, "`PK\\x03\\x04`"));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = dictionary(&bytes);
            let _ = parse(&bytes, 10);
        }

        #[test]
        fn no_almost_right_header_makes_it_panic(at in 0usize..60, byte in any::<u8>(), cut in 0usize..64) {
            let mut text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (24, 16), }  \n".to_vec();
            text[at] = byte;
            let _ = parse(&text[..cut], 10);
            let _ = parse(&text, 10);
        }
    }
}
