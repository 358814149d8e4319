//! The captions of a test set, as a table or a list has them.

use std::collections::{HashMap, HashSet};

use super::error::AuditError;
use super::finding::first_of;
use crate::eval::Joined;
use crate::format::{FormatError, FreeColumn, Location, read_free_column, read_free_lines, read_text};

/// Columns beside the captions that are read where a table has them.
const BESIDE: [&str; 2] = ["text_id", "video_id"];

/// Captions in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionTable {
    /// Where they come from.
    pub location: Location,
    /// The captions, empty ones included.
    pub captions: Vec<String>,
    /// Ids of the texts, from the column `text_id`.
    pub text_ids: Option<Vec<String>>,
    /// Ids of their videos, from the column `video_id`.
    pub video_ids: Option<Vec<String>>,
}

/// Captions brought to the texts of scores or embeddings.
pub(super) struct OfTexts<'a> {
    /// For each text that takes part, its caption.
    pub(super) captions: Vec<Option<&'a str>>,
    /// Captions that belong to no text.
    pub(super) n_unused: usize,
}

impl CaptionTable {
    /// Reads captions: one a line, or with `FILE::COLUMN` a column of a CSV or TSV file with a header, and beside
    /// it the columns `text_id` and `video_id`, if there are such.
    ///
    /// # Errors
    /// [`FormatError::Read`], [`FormatError::Line`] for text that is not UTF-8, a row of another length, an empty
    /// id or no captions, [`FormatError::Column`] for a column that is not there, or a table whose column is not
    /// named.
    pub fn read(location: &Location) -> Result<Self, FormatError> {
        let text = read_text(location)?;
        let FreeColumn {
            values: captions,
            beside: [text_ids, video_ids],
        } = match &location.member {
            Some(column) => read_free_column(location, &text, column, BESIDE)?,
            None => FreeColumn {
                values: read_free_lines(location, &text)?,
                beside: [None, None],
            },
        };
        if captions.is_empty() {
            return Err(FormatError::Line {
                location: location.clone(),
                line: 1,
                problem: "expected captions, found none".to_owned(),
            });
        }
        Ok(Self {
            location: location.clone(),
            captions,
            text_ids,
            video_ids,
        })
    }

    /// The caption of each of the texts `kept` of `joined`: by id where both sides have ids of texts, else by row.
    /// `named` says whether the ids of `joined` are ids, and not numbers.
    ///
    /// # Errors
    /// [`AuditError::CaptionCount`], [`AuditError::CaptionIds`], which `allow_missing` lets pass for texts without
    /// a caption, and [`AuditError::CaptionVideo`].
    pub(super) fn of_texts(
        &self,
        joined: &Joined,
        kept: &[u32],
        named: bool,
        allow_missing: bool,
        matrix: &Location,
    ) -> Result<OfTexts<'_>, AuditError> {
        let rows: Vec<Option<usize>> = match &self.text_ids {
            Some(ids) if named => self.by_id(ids, joined, kept, allow_missing)?,
            _ if self.captions.len() != joined.text_ids.len() => {
                return Err(AuditError::CaptionCount {
                    captions: self.location.clone(),
                    found: self.captions.len(),
                    matrix: matrix.clone(),
                    expected: joined.text_ids.len(),
                });
            }
            _ => kept.iter().map(|&text| Some(text as usize)).collect(),
        };
        if named {
            self.check_videos(joined, kept, &rows)?;
        }
        let by_row = self.text_ids.is_none() || !named;
        let used = rows.iter().flatten().count();
        Ok(OfTexts {
            captions: rows
                .into_iter()
                .map(|row| Some(self.captions[row?].as_str()))
                .collect(),
            n_unused: if by_row { 0 } else { self.captions.len() - used },
        })
    }

    /// The row of each text.
    fn by_id(
        &self,
        ids: &[String],
        joined: &Joined,
        kept: &[u32],
        allow_missing: bool,
    ) -> Result<Vec<Option<usize>>, AuditError> {
        let wrong = |problem, texts: Vec<&String>| AuditError::CaptionIds {
            captions: self.location.clone(),
            problem,
            n: texts.len(),
            first: first_of(&texts).iter().map(|&id| id.clone()).collect(),
        };
        let mut row_of = HashMap::with_capacity(ids.len());
        let repeated: Vec<&String> = (ids.iter().enumerate())
            .filter(|(row, id)| row_of.insert(id.as_str(), *row).is_some())
            .map(|(_, id)| id)
            .collect();
        if !repeated.is_empty() {
            return Err(wrong("repeats", repeated));
        }
        let id = |text: u32| &joined.text_ids[text as usize];
        let rows: Vec<Option<usize>> = (kept.iter())
            .map(|&text| row_of.get(id(text).as_str()).copied())
            .collect();
        let lacking: Vec<&String> = (kept.iter().zip(&rows))
            .filter(|(_, row)| row.is_none())
            .map(|(&text, _)| id(text))
            .collect();
        if lacking.is_empty() || (allow_missing && lacking.len() < kept.len()) {
            return Ok(rows);
        }
        Err(wrong("lacks", lacking))
    }

    /// Refuses captions that the table gives to another of the videos. Ids of other videos say nothing: they may
    /// be of another kind.
    fn check_videos(&self, joined: &Joined, kept: &[u32], rows: &[Option<usize>]) -> Result<(), AuditError> {
        let Some(videos) = &self.video_ids else {
            return Ok(());
        };
        let known: HashSet<&String> = joined.video_ids.iter().collect();
        for (&text, row) in kept.iter().zip(rows) {
            let Some(row) = *row else { continue };
            let expected = &joined.video_ids[joined.pairing.video_of(text) as usize];
            if videos[row] != *expected && known.contains(&videos[row]) {
                return Err(AuditError::CaptionVideo {
                    captions: self.location.clone(),
                    row,
                    found: videos[row].clone(),
                    expected: expected.clone(),
                });
            }
        }
        Ok(())
    }

    /// Numbers the videos of the captions in order of appearance; without ids each caption has a video of its own.
    /// Gives the number of each caption's video, and how many videos there are.
    pub(super) fn videos(&self) -> (Vec<u32>, usize) {
        let Some(ids) = &self.video_ids else {
            return ((0..self.captions.len() as u32).collect(), self.captions.len());
        };
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut of = Vec::with_capacity(ids.len());
        for id in ids {
            let next = numbers.len() as u32;
            of.push(*numbers.entry(id).or_insert(next));
        }
        (of, numbers.len())
    }

    /// An id of the caption at `place`: its number, from 0, where the table has none.
    pub(super) fn id(&self, place: u32) -> String {
        let ids = self.text_ids.as_ref();
        ids.map_or_else(|| place.to_string(), |ids| ids[place as usize].clone())
    }
}
