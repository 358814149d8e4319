//! What scripts and people get beside the message of an error: a word, the file, the line, a remedy.

use std::fmt;
use std::path::PathBuf;

use super::error::EvalError;
use crate::metric::MetricError;

impl EvalError {
    /// A stable word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::NotAFile { .. } => "cannot-read",
            Self::Format { .. }
            | Self::Malformed { .. }
            | Self::Container { .. }
            | Self::Member { .. }
            | Self::NoMembers { .. }
            | Self::ValueBytes { .. }
            | Self::TooLarge { .. }
            | Self::Axes { .. }
            | Self::Size { .. }
            | Self::Element { .. } => "format",
            Self::Memory { .. } => "memory",
            Self::NotFinite { .. } | Self::Overflow { .. } | Self::ZeroRow { .. } | Self::Post { .. } => {
                "values"
            }
            Self::Dim { .. } | Self::Mask { .. } | Self::Bank { .. } => "shape",
            Self::IdLine { .. }
            | Self::Column { .. }
            | Self::IdCount { .. }
            | Self::Ids { .. }
            | Self::MapNeeded { .. } => "ids",
            Self::Protocol { .. } => "protocol",
            Self::Usage { .. } => "usage",
            Self::OtherRun { .. } => "other-run",
            Self::Metric(MetricError::UnknownProtocol { .. }) => "protocol",
            Self::Metric(MetricError::Kernel(_)) => "kernel",
            Self::Metric(_) => "metric",
            Self::Record(_) => "records",
            Self::Build(_) => "build",
        }
    }

    /// The file at fault, if one is.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Read { path, .. }
            | Self::NotAFile { path }
            | Self::Member { path, .. }
            | Self::NoMembers { path, .. }
            | Self::OtherRun { path, .. } => Some(path.clone()),
            Self::Format { location, .. }
            | Self::Malformed { location, .. }
            | Self::Container { location, .. }
            | Self::ValueBytes { location, .. }
            | Self::TooLarge { location, .. }
            | Self::Memory { location, .. }
            | Self::Axes { location, .. }
            | Self::Size { location, .. }
            | Self::Element { location, .. }
            | Self::NotFinite { location, .. }
            | Self::Overflow { location, .. }
            | Self::ZeroRow { location, .. }
            | Self::Mask { location, .. }
            | Self::IdLine { location, .. }
            | Self::Column { location, .. } => Some(location.path.clone()),
            Self::IdCount { ids, .. } => Some(ids.path.clone()),
            Self::Bank { bank, .. } => Some(bank.path.clone()),
            _ => None,
        }
    }

    /// The line at fault in a file of text, from 1.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::IdLine { line, .. } => usize::try_from(*line).ok(),
            _ => None,
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Format { .. } => Some("save the array with numpy.save, numpy.savez or safetensors"),
            Self::Malformed { found, .. } if found.starts_with("`|O") => {
                Some("save the array itself with numpy.save, not an object that holds it")
            }
            Self::Member { .. } => Some("name the array that is meant as FILE::NAME"),
            Self::Column { .. } => Some("name the column that holds the ids as FILE::COLUMN"),
            Self::NotFinite { .. } => Some("a caption that does not exist is left out with --mask"),
            Self::MapNeeded { .. } => Some(
                "give --text-ids, --video-ids and --map, a CSV file with the header text_id,video_id; or, for rows \
                 video by video as MMT and Collaborative Experts have them, --mask of shape (videos, captions)",
            ),
            Self::Ids { .. } => {
                Some("--allow-missing leaves them out and says in the table how many there are")
            }
            Self::IdCount { header: true, .. } => {
                Some("one more: is the first line a header? then name it, as FILE::COLUMN")
            }
            Self::Protocol { transposed: true, .. } => {
                Some("rows must be texts and columns videos; the matrix looks transposed")
            }
            Self::Protocol { .. } => Some("`hitbench protocols` lists all; `custom` accepts any counts"),
            Self::Usage { remedy, .. } => Some(remedy),
            Self::OtherRun { .. } => Some("choose another folder with --out"),
            _ => None,
        }
    }
}

impl miette::Diagnostic for EvalError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.remedy()
            .map(|remedy| Box::new(remedy) as Box<dyn fmt::Display>)
    }
}
