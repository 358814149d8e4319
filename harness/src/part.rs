//! `--shard I/N`: one of several parts of some work.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// One of several parts of some work, numbered from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    index: usize,
    of: usize,
}

/// No part of anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// A number that no part has.
    #[error("no part {index} of {of}: parts are numbered from 1")]
    NoSuchPart {
        /// The number.
        index: usize,
        /// Number of parts.
        of: usize,
    },
    /// Text that names no part.
    #[error("expected a part as I/N, such as 2/4, found `{text}`")]
    NotAPart {
        /// The text.
        text: String,
    },
}

impl Part {
    /// The only part of one.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// Part `index`, in `1..=of`, of `of` parts.
    ///
    /// # Errors
    /// [`PartError::NoSuchPart`].
    pub fn new(index: usize, of: usize) -> Result<Self, PartError> {
        if index == 0 || index > of {
            return Err(PartError::NoSuchPart { index, of });
        }
        Ok(Self { index, of })
    }

    /// All `of` parts in order.
    pub fn all(of: usize) -> impl Iterator<Item = Self> {
        (1..=of).map(move |index| Self { index, of })
    }

    /// Which part this is, from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// How many parts there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// This part of `n` items as a block. Blocks follow each other; their sizes differ by one at most, and are 0 for
    /// some where there are more parts than items.
    pub fn block(self, n: usize) -> Range<usize> {
        let end = |index: usize| (index as u128 * n as u128 / self.of as u128) as usize;
        end(self.index - 1)..end(self.index)
    }

    /// Whether item `at`, counted from 0, is this part's when items are dealt out in turns, so that neighbours, which
    /// take equally long, go to different parts.
    pub fn is_dealt(self, at: usize) -> bool {
        at % self.of == self.index - 1
    }

    /// `2-of-7`, its name in file names.
    pub fn file_stem(self) -> String {
        format!("{}-of-{}", self.index, self.of)
    }
}

impl FromStr for Part {
    type Err = PartError;

    /// `I/N`, as it is displayed.
    fn from_str(text: &str) -> Result<Self, PartError> {
        let numbers = text
            .split_once('/')
            .map(|(index, of)| (index.parse(), of.parse()));
        match numbers {
            Some((Ok(index), Ok(of))) => Self::new(index, of),
            _ => Err(PartError::NotAPart {
                text: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_even() {
        let blocks = |n, of| -> Vec<Range<usize>> { Part::all(of).map(|part| part.block(n)).collect() };
        assert_eq!(blocks(10, 4), [0..2, 2..5, 5..7, 7..10]);
        assert_eq!(blocks(2, 3), [0..0, 0..1, 1..2]);
        assert_eq!(Part::WHOLE.block(7), 0..7);
        let last = Part::new(usize::MAX, usize::MAX).unwrap();
        assert_eq!(last.block(usize::MAX), usize::MAX - 1..usize::MAX);
        for (index, of) in [(0, 3), (4, 3), (0, 0)] {
            assert_eq!(Part::new(index, of), Err(PartError::NoSuchPart { index, of }));
        }
    }

    #[test]
    fn every_item_is_dealt_to_one_part() {
        let dealt = |part: Part| -> Vec<usize> { (0..8).filter(|&at| part.is_dealt(at)).collect() };
        assert_eq!(
            Part::all(3).map(dealt).collect::<Vec<_>>(),
            [vec![0, 3, 6], vec![1, 4, 7], vec![2, 5]]
        );
        assert_eq!(dealt(Part::WHOLE).len(), 8);
        assert!(dealt(Part::new(9, 9).unwrap()).is_empty());
    }

    #[test]
    fn parts_are_written_as_they_are_read() {
        let part: Part = "2/7".parse().unwrap();
        assert_eq!((part.index(), part.of()), (2, 7));
        assert_eq!(
            (part.to_string(), part.file_stem()),
            ("2/7".to_owned(), "2-of-7".to_owned())
        );
        for text in ["", "2", "2/", "/7", "2/7/1", "-1/7", "a/b"] {
            let text = text.to_owned();
            assert_eq!(text.parse::<Part>(), Err(PartError::NotAPart { text }));
        }
        assert_eq!(
            "8/7".parse::<Part>(),
            Err(PartError::NoSuchPart { index: 8, of: 7 })
        );
    }
}
