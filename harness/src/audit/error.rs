//! Why an audit could not be done.

use std::fmt;
use std::path::PathBuf;

use crate::eval::EvalError;
use crate::format::Location;

/// Why there are no findings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// Scores, embeddings, ids or options cannot be used.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// Another number of captions than of texts.
    #[error("`{captions}` has {found} captions for {expected} rows of `{matrix}`")]
    CaptionCount {
        /// The captions.
        captions: Location,
        /// How many there are.
        found: usize,
        /// The file that they are for.
        matrix: Location,
        /// How many rows it has.
        expected: usize,
    },
    /// Texts whose id the captions do not have, or have twice.
    #[error("`{captions}` {problem} {n} texts (`{}`{})", first.join("`, `"), if *n > first.len() { ", ..." } else { "" })]
    CaptionIds {
        /// The captions.
        captions: Location,
        /// `lacks` or `repeats`.
        problem: &'static str,
        /// How many texts.
        n: usize,
        /// The first five.
        first: Vec<String>,
    },
    /// A caption that its table gives to another video than the ids do.
    #[error(
        "`{captions}` gives caption {row} to video `{found}`, by the ids of its row it is of `{expected}`"
    )]
    CaptionVideo {
        /// The captions.
        captions: Location,
        /// The caption's number, from 0.
        row: usize,
        /// The table's video.
        found: String,
        /// The video by the ids.
        expected: String,
    },
}

impl AuditError {
    /// A stable word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Eval(error) => error.reason(),
            Self::CaptionCount { .. } | Self::CaptionIds { .. } | Self::CaptionVideo { .. } => "ids",
        }
    }

    /// The file at fault, if one is.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Eval(error) => error.file(),
            Self::CaptionCount { captions, .. }
            | Self::CaptionIds { captions, .. }
            | Self::CaptionVideo { captions, .. } => Some(captions.path.clone()),
        }
    }
}

impl miette::Diagnostic for AuditError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match self {
            Self::Eval(error) => error.help(),
            Self::CaptionCount { .. } => Some(Box::new(
                "a caption a row, in the order of the rows; or a table with a column text_id, and --text-ids",
            )),
            Self::CaptionIds { problem: "lacks", .. } => Some(Box::new(
                "--allow-missing leaves these texts out where captions are looked at",
            )),
            Self::CaptionIds { .. } => Some(Box::new("one row for each text_id")),
            Self::CaptionVideo { .. } => Some(Box::new(
                "are captions and rows in the same order? a column text_id and --text-ids join them by id",
            )),
        }
    }
}
