//! What the texts say, for people who look at single queries.

use std::collections::HashMap;

use super::error::DiffError;
use crate::format::{FormatError, Location, read_columns, read_text};

/// Column of the ids.
const ID: &str = "text_id";
/// Column of the ids where there is no [`ID`]: with one caption a video, texts are often called like their videos.
const VIDEO_ID: &str = "video_id";
/// Column of the captions, unless another is named.
const CAPTION: &str = "caption";

/// Captions by text id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captions {
    /// Where they come from.
    pub location: Location,
    by_id: HashMap<String, String>,
}

impl Captions {
    /// Reads a CSV file with a header that has `text_id`, or else `video_id`, and `caption`, or with `FILE::COLUMN` another column of
    /// captions. Other columns are passed over; commas, semicolons or tabs part them.
    ///
    /// # Errors
    /// [`DiffError::File`], [`DiffError::RepeatedCaption`] for a text with two different captions.
    pub fn read(location: &Location) -> Result<Self, DiffError> {
        let column = location.member.as_deref().unwrap_or(CAPTION);
        let text = read_text(location)?;
        let mut by_id: HashMap<String, String> = HashMap::new();
        let rows = read_columns(location, &text, [ID, column]).or_else(|error| match &error {
            FormatError::Column { location: asked, .. } if asked.member.as_deref() == Some(ID) => {
                read_columns(location, &text, [VIDEO_ID, column]).map_err(|_| error)
            }
            _ => Err(error),
        })?;
        for [id, caption] in rows {
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
