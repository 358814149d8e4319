//! Annotation files in JSON.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};

use crate::data::error::DataError;
use crate::format::{Location, read_text};

/// Reads a file in one go; what is not asked for is skipped without being kept.
///
/// # Errors
/// [`DataError::Format`] for what is no text, [`DataError::Json`] with line and column.
pub(in crate::data) fn read_json<T: DeserializeOwned>(
    path: &Path,
    name: &'static str,
) -> Result<T, DataError> {
    let text = read_text(&Location::file(path))?;
    serde_json::from_str(&text).map_err(|source| DataError::Json {
        path: path.to_owned(),
        name,
        source,
    })
}

/// An object keyed by video, in file order, each key once.
#[derive(Debug)]
pub(in crate::data) struct Ordered<T>(pub(in crate::data) Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object keyed by video id")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let (mut entries, mut seen) = (Vec::new(), HashSet::new());
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format!("video `{key}` occurs twice")));
                    }
                    entries.push((key, value));
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}
