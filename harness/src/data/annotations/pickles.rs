//! Captions, and which of them is tested, in the pickles of Collaborative Experts and MMT.

use std::collections::HashMap;
use std::path::Path;

use crate::data::error::DataError;
use crate::format::{Key, Pickle, Value, View};

/// Captions by video, out of a dictionary from id to a list of captions, each a list of words or one text.
///
/// # Errors
/// [`DataError::Format`] for what is no pickle of plain values, [`DataError::Pickle`] for another form.
pub(in crate::data) fn read_raw_captions(path: &Path) -> Result<HashMap<String, Vec<String>>, DataError> {
    let pickle = Pickle::read(path)?;
    let mut captions = HashMap::new();
    for (video, list) in entries(path, pickle.root())? {
        let wrong = |expected, found: Value<'_>| DataError::Pickle {
            path: path.to_owned(),
            video: Some(video.clone()),
            expected,
            found: found.describe(),
        };
        let Some(list) = items(list) else {
            return Err(wrong("a list of captions", list));
        };
        let mut of_video = Vec::new();
        for caption in list {
            if let View::Text(text) = caption.view() {
                of_video.push(text.into_owned());
                continue;
            }
            let words =
                items(caption).ok_or_else(|| wrong("a caption as text or a list of words", caption))?;
            let words = words.into_iter().map(|word| match word.view() {
                View::Text(text) => Ok(text.into_owned()),
                View::Bytes(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                _ => Err(wrong("a word", word)),
            });
            of_video.push(words.collect::<Result<Vec<_>, _>>()?.join(" "));
        }
        captions.insert(video, of_video);
    }
    Ok(captions)
}

/// The number of the caption that is tested, by video.
///
/// # Errors
/// As [`read_raw_captions`].
pub(in crate::data) fn read_caption_index(path: &Path) -> Result<HashMap<String, usize>, DataError> {
    let pickle = Pickle::read(path)?;
    let index = entries(path, pickle.root())?.into_iter().map(|(video, number)| {
        let chosen = match number.view() {
            View::Int(number) => usize::try_from(number).ok(),
            _ => None,
        };
        match chosen {
            Some(chosen) => Ok((video, chosen)),
            None => Err(DataError::Pickle {
                path: path.to_owned(),
                video: Some(video),
                expected: "the number of a caption",
                found: number.describe(),
            }),
        }
    });
    index.collect()
}

/// Values by video.
fn entries<'a>(path: &Path, root: Value<'a>) -> Result<Vec<(String, Value<'a>)>, DataError> {
    let View::Dict(entries) = root.view() else {
        return Err(DataError::Pickle {
            path: path.to_owned(),
            video: None,
            expected: "a dictionary by video",
            found: root.describe(),
        });
    };
    let entries = entries.map(|(key, value)| match key {
        Key::Text(text) => (text.into_owned(), value),
        Key::Int(number) => (number.to_string(), value),
    });
    Ok(entries.collect())
}

/// What a list, a tuple or an array of objects holds.
fn items(value: Value<'_>) -> Option<Vec<Value<'_>>> {
    match value.view() {
        View::List(items) | View::Tuple(items) | View::Objects(_, items) => Some(items.collect()),
        _ => None,
    }
}
