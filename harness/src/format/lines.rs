//! Text files line by line, however large, and names that recur in them under small numbers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};

use super::error::FormatError;
use super::location::Location;

/// The lines of a file, one in memory at a time.
pub(crate) struct Lines<'a, R = BufReader<File>> {
    location: &'a Location,
    reader: R,
    text: String,
    number: u64,
}

impl<'a> Lines<'a> {
    /// Before the first line.
    ///
    /// # Errors
    /// [`FormatError::Read`].
    pub(crate) fn open(location: &'a Location) -> Result<Self, FormatError> {
        let path = &location.path;
        let file = File::open(path).map_err(|source| FormatError::Read {
            path: path.clone(),
            source,
        })?;
        Ok(Self::new(location, BufReader::new(file)))
    }
}

impl<'a, R: BufRead> Lines<'a, R> {
    /// Before the first line of what `reader` still has of the file.
    pub(crate) fn new(location: &'a Location, reader: R) -> Self {
        Self {
            location,
            reader,
            text: String::new(),
            number: 0,
        }
    }

    /// Goes to the next line; false after the last one.
    ///
    /// # Errors
    /// [`FormatError::Read`], [`FormatError::Line`] for text that is not UTF-8.
    pub(crate) fn advance(&mut self) -> Result<bool, FormatError> {
        self.text.clear();
        self.number += 1;
        match self.reader.read_line(&mut self.text) {
            Ok(n_bytes) => Ok(n_bytes > 0),
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(self.error("expected UTF-8")),
            Err(source) => Err(FormatError::Read {
                path: self.location.path.clone(),
                source,
            }),
        }
    }

    /// The line without its end and without blanks around it, nor a byte order mark before the first one.
    pub(crate) fn text(&self) -> &str {
        let text = self.text.strip_prefix('\u{feff}').filter(|_| self.number == 1);
        text.unwrap_or(&self.text).trim()
    }

    /// Its number, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// What is wrong with this line.
    pub(crate) fn error(&self, problem: impl Into<String>) -> FormatError {
        FormatError::Line {
            location: self.location.clone(),
            line: self.number,
            problem: problem.into(),
        }
    }
}

/// Names under the numbers `0, 1, ...` that they get in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    numbers: HashMap<String, u32>,
}

impl Interner {
    /// The number of a name; `None` for a new one when all numbers are taken.
    pub(crate) fn number(&mut self, name: &str) -> Option<u32> {
        if let Some(&number) = self.numbers.get(name) {
            return Some(number);
        }
        let next = u32::try_from(self.numbers.len()).ok()?;
        self.numbers.insert(name.to_owned(), next);
        Some(next)
    }

    /// The names in the order of their numbers.
    pub(crate) fn into_names(self) -> Vec<String> {
        let mut names = vec![String::new(); self.numbers.len()];
        for (name, number) in self.numbers {
            names[number as usize] = name;
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_bare() {
        let location = Location::file("F");
        let mut lines = Lines::new(&location, "\u{feff}a b\r\n\n\u{feff}c".as_bytes());
        let mut found = Vec::new();
        while lines.advance().unwrap() {
            found.push((lines.number(), lines.text().to_owned()));
        }
        let line = |number: u64, text: &str| (number, text.to_owned());
        assert_eq!(found, [line(1, "a b"), line(2, ""), line(3, "\u{feff}c")]);
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error_with_their_line() {
        let location = Location::file("F");
        let mut lines = Lines::new(&location, &b"a\n\xff\n"[..]);
        assert!(lines.advance().unwrap());
        let error = lines.advance().unwrap_err();
        assert_eq!(error.to_string(), "`F`, line 2: expected UTF-8");
    }

    #[test]
    fn names_keep_the_number_of_their_first_appearance() {
        let mut names = Interner::default();
        let numbers: Vec<_> = ["b", "a", "b", "c"].map(|name| names.number(name)).into();
        assert_eq!(numbers, [Some(0), Some(1), Some(0), Some(2)]);
        assert_eq!(names.into_names(), ["b", "a", "c"]);
    }
}
