//! What the texts say, for people who look at single queries.

use std::collections::HashMap;

use super::error::DiffError;
use crate::format::{FormatError, Location, read_columns, read_text};

/// Columns of the ids: the first that there is.
///
/// `caption_id` in folders of features; with one caption a video, texts are often called like their videos.
const IDS: [&str; 3] = ["text_id", "caption_id", "video_id"];
/// Columns of the captions, unless another is named: the first that there is. `text` in folders of features.
const CAPTIONS: [&str; 2] = ["caption", "text"];

/// Captions by text id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captions {
    /// Where they come from.
    pub location: Location,
    by_id: HashMap<String, String>,
}

impl Captions {
    /// Reads a CSV file with a header that has `text_id`, or else `caption_id` or `video_id`, and `caption` or else `text`, or
    /// with `FILE::COLUMN` another column of captions. Other columns are passed over; commas, semicolons or tabs part them.
    ///
    /// # Errors
    /// [`DiffError::File`], [`DiffError::RepeatedCaption`] for a text with two different captions.
    pub fn read(location: &Location) -> Result<Self, DiffError> {
        let text = read_text(location)?;
        let mut by_id: HashMap<String, String> = HashMap::new();
        for [id, caption] in read_captions(location, &text)? {
            match by_id.get(&id) {
                Some(known) if *known != caption => {
                    return Err(DiffError::RepeatedCaption {
                        location: location.clone(),
                        id,
                    });
                }
                _ => by_id.insert(id, caption),
            };
        }
        Ok(Self {
            location: location.clone(),
            by_id,
        })
    }

    /// The caption of a text, if there is one.
    pub fn get(&self, text_id: &str) -> Option<&str> {
        self.by_id.get(text_id).map(String::as_str)
    }

    /// How many of these texts have no caption.
    ///
    /// # Errors
    /// [`DiffError::OtherCaptions`] when none has one.
    pub(super) fn count_missing<'a>(
        &self,
        ids: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<usize, DiffError> {
        let n_texts = ids.clone().count();
        let n_missing = ids.clone().filter(|id| self.get(id).is_none()).count();
        if n_missing < n_texts {
            return Ok(n_missing);
        }
        Err(DiffError::OtherCaptions {
            location: self.location.clone(),
            n_texts,
            first: ids.clone().next().unwrap_or_default().to_owned(),
        })
    }
}

/// Ids and captions by the first columns that there are; an error is that of the columns looked for first.
fn read_captions(location: &Location, text: &str) -> Result<Vec<[String; 2]>, FormatError> {
    let named = location.member.as_deref();
    let columns = named.map_or(CAPTIONS.to_vec(), |column| vec![column]);
    let mut first = None;
    for (id, caption) in IDS
        .into_iter()
        .flat_map(|id| columns.iter().map(move |caption| (id, *caption)))
    {
        match read_columns(location, text, [id, caption]) {
            Err(error @ FormatError::Column { .. }) => first = first.or(Some(error)),
            read => return read,
        }
    }
    Err(first.expect("there are columns to look for"))
}
