//! Predictions without scores: the best items of each text as gallery indices from 0, best first.
//!
//! Two forms: a JSON object with `VR`, as the VALUE benchmark has it, and bare rows of integers, as MMT and
//! Collaborative Experts write them.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::FormatError;
use super::lines::Lines;
use super::location::Location;

/// Keys that a message about passed over ones names.
const NAMED: usize = 5;

/// The best items of each text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predictions {
    /// Where they come from.
    pub location: Location,
    /// The texts' ids (`desc_id`); `None` for rows without.
    pub text_ids: Option<Vec<String>>,
    /// For every text gallery indices from 0, best first, each at most once.
    pub lists: Vec<Vec<u32>>,
    /// Keys beside `VR`, which are not looked at: the first five.
    pub passed_over: Vec<String>,
}

/// Where in the file one text's predictions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The line, from 1.
    Line(usize),
    /// The entry of `VR`, from 0, and its `desc_id`.
    Vr(usize, String),
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Vr(place, id) => write!(f, "VR[{place}] (`{id}`)"),
        }
    }
}

impl Predictions {
    /// Reads predictions: JSON where the first character is `{`, else rows.
    ///
    /// # Errors
    /// [`FormatError::Read`]; [`FormatError::Line`] for rows and [`FormatError::Json`] for JSON that is of neither form
    /// or has an index twice for one text; [`FormatError::Line`] for no text.
    pub fn read(location: &Location) -> Result<Self, FormatError> {
        let unreadable = |source| FormatError::Read {
            path: location.path.clone(),
            source,
        };
        let mut reader = BufReader::new(File::open(&location.path).map_err(unreadable)?);
        let start = reader.fill_buf().map_err(unreadable)?;
        let mark = start.strip_prefix("\u{feff}".as_bytes()).map_or(0, |_| 3);
        let first = start[mark..].iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'{') {
            reader.consume(mark);
            read_json(location, reader)
        } else {
            read_rows(location, reader)
        }
    }

    /// Where the predictions of a text are.
    pub fn entry(&self, text: usize) -> Entry {
        match &self.text_ids {
            Some(ids) => Entry::Vr(text, ids[text].clone()),
            // Rows have no blank lines between them.
            None => Entry::Line(text + 1),
        }
    }
}

fn read_rows(location: &Location, reader: impl BufRead) -> Result<Predictions, FormatError> {
    let mut lines = Lines::new(location, reader);
    let mut lists = Vec::new();
    let mut blank = None;
    while lines.advance()? {
        let text = lines.text();
        if text.is_empty() {
            blank.get_or_insert_with(|| lines.error("expected gallery indices, found a blank line"));
            continue;
        }
        if let Some(blank) = blank {
            return Err(blank);
        }
        let list: Result<Vec<u32>, FormatError> = text.split(',').map(|value| index(&lines, value)).collect();
        let list = list?;
        if let Some(repeated) = Repeated::find(&list) {
            return Err(lines.error(repeated.to_string()));
        }
        lists.push(list);
    }
    if lists.is_empty() {
        return Err(
            blank.unwrap_or_else(|| lines.error("expected gallery indices, found the end of the file"))
        );
    }
    Ok(Predictions {
        location: location.clone(),
        text_ids: None,
        lists,
        passed_over: Vec::new(),
    })
}

fn index<R: BufRead>(lines: &Lines<'_, R>, value: &str) -> Result<u32, FormatError> {
    let value = value.trim();
    value.parse().map_err(|_| {
        lines.error(format!(
            "expected gallery indices from 0, separated by commas and without a header, found `{value}`"
        ))
    })
}

/// An index that a list has twice, and the two places, from 1.
struct Repeated {
    index: u32,
    first: usize,
    again: usize,
}

impl Repeated {
    /// The first place whose index an earlier one has.
    fn find(list: &[u32]) -> Option<Self> {
        let mut places: Vec<(u32, usize)> = list.iter().copied().zip(1..).collect();
        places.sort_unstable();
        let repeated = places.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        let pair = repeated.min_by_key(|pair| pair[1].1)?;
        Some(Self {
            index: pair[0].0,
            first: pair[0].1,
            again: pair[1].1,
        })
    }
}

impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, first, again } = self;
        write!(
            f,
            "expected each index once, found {index} as prediction {first} and {again}"
        )
    }
}

fn read_json(location: &Location, reader: impl BufRead) -> Result<Predictions, FormatError> {
    let read: WireFile = serde_json::from_reader(reader).map_err(|error| of_json(location, error))?;
    let missing = |problem: String| FormatError::Line {
        location: location.clone(),
        line: 1,
        problem,
    };
    let entries = read.vr.ok_or_else(|| {
        let found = if read.others.is_empty() {
            "an object without keys".to_owned()
        } else {
            format!("the keys `{}`", read.others.join("`, `"))
        };
        missing(format!("expected the key `VR`, found {found}"))
    })?;
    if entries.is_empty() {
        return Err(missing(
            "expected texts with their predictions in `VR`, found none".to_owned(),
        ));
    }
    let (ids, lists) = entries
        .into_iter()
        .map(|entry| (entry.desc_id.0, entry.predictions.0))
        .unzip();
    Ok(Predictions {
        location: location.clone(),
        text_ids: Some(ids),
        lists,
        passed_over: read.others,
    })
}

/// What the JSON library says, with the place where errors have it.
fn of_json(location: &Location, error: serde_json::Error) -> FormatError {
    if error.is_io() {
        return FormatError::Read {
            path: location.path.clone(),
            source: error.into(),
        };
    }
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    FormatError::Json {
        location: location.clone(),
        line: error.line(),
        // At the end of a line that ends too early, the library counts from 0.
        column: error.column().max(1),
        problem: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
    }
}

/// The file as written; no more keys are kept than a message names.
#[derive(Default)]
struct WireFile {
    vr: Option<Vec<WireEntry>>,
    others: Vec<String>,
}

#[derive(Deserialize)]
struct WireEntry {
    desc_id: WireId,
    predictions: WireList,
}

/// A string, or an integer that stands for its digits.
struct WireId(String);

/// Indices, each once.
struct WireList(Vec<u32>);

impl<'de> Deserialize<'de> for WireFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = WireFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the key `VR`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireFile, A::Error> {
                let mut file = WireFile::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key != "VR" {
                        map.next_value::<IgnoredAny>()?;
                        if file.others.len() < NAMED {
                            file.others.push(key);
                        }
                    } else if file.vr.replace(map.next_value()?).is_some() {
                        return Err(de::Error::duplicate_field("VR"));
                    }
                }
                Ok(file)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

impl<'de> Deserialize<'de> for WireId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Id;
        impl Visitor<'_> for Id {
            type Value = WireId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an integer as `desc_id`")
            }

            fn visit_str<E>(self, id: &str) -> Result<WireId, E> {
                Ok(WireId(id.to_owned()))
            }

            fn visit_u64<E>(self, id: u64) -> Result<WireId, E> {
                Ok(WireId(id.to_string()))
            }

            fn visit_i64<E>(self, id: i64) -> Result<WireId, E> {
                Ok(WireId(id.to_string()))
            }
        }
        deserializer.deserialize_any(Id)
    }
}

impl<'de> Deserialize<'de> for WireList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Indices;
        impl<'de> Visitor<'de> for Indices {
            type Value = WireList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("gallery indices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<WireList, A::Error> {
                let mut list = Vec::new();
                while let Some(index) = seq.next_element()? {
                    list.push(index);
                }
                match Repeated::find(&list) {
                    None => Ok(WireList(list)),
                    Some(repeated) => Err(de::Error::custom(repeated)),
                }
            }
        }
        deserializer.deserialize_seq(Indices)
    }
}

#[cfg(test)]
mod tests;
