//! The bytes of a pickle, read forward.

use std::ops::Range;

use crate::format::flaw::Flaw;

/// A place in a pickle.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    next: usize,
    /// Place of the pickle in its file, for the positions of flaws.
    start: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], start: usize) -> Self {
        Self {
            bytes,
            next: 0,
            start,
        }
    }

    /// Byte of the file that comes next.
    pub(super) fn at(&self) -> usize {
        self.start + self.next
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &'a [u8] {
        &self.bytes[range]
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.next
    }

    /// Places of the next `length` bytes.
    pub(super) fn take(&mut self, length: u64, what: &str) -> Result<Range<usize>, Flaw> {
        match usize::try_from(length) {
            Ok(length) if length <= self.left() => {
                let range = self.next..self.next + length;
                self.next = range.end;
                Ok(range)
            }
            _ => {
                let found = match self.left() {
                    0 => "the end".to_owned(),
                    left => format!("the end after {left}"),
                };
                Err(Flaw::new(self.at(), format!("{length} bytes of {what}"), found))
            }
        }
    }

    /// The next bytes as an array.
    pub(super) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Flaw> {
        let rest = &self.bytes[self.next..];
        let bytes = rest.first_chunk().copied();
        let bytes = bytes.ok_or_else(|| Flaw::new(self.at(), what, "the end"))?;
        self.next += N;
        Ok(bytes)
    }

    /// Places of the bytes up to the next end of a line, which is passed over.
    pub(super) fn line(&mut self, what: &str) -> Result<Range<usize>, Flaw> {
        let rest = &self.bytes[self.next..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            let expected = format!("{what} and the end of its line");
            return Err(Flaw::new(self.start + self.bytes.len(), expected, "the end"));
        };
        let range = self.next..self.next + length;
        self.next = range.end + 1;
        Ok(range)
    }
}
