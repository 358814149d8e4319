//! What scripts and people get beside the message of an error: a word, the file, the line, a remedy.

use std::fmt;
use std::path::PathBuf;

use super::error::EvalError;
use crate::format::Entry;
use crate::metric::MetricError;

impl EvalError {
    /// A stable word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::File(error) => error.reason(),
            Self::NotFinite { .. }
            | Self::Overflow { .. }
            | Self::ZeroRow { .. }
            | Self::Post { .. }
            | Self::OutsideGallery { .. } => "values",
            Self::Dim { .. } | Self::Mask { .. } | Self::Bank { .. } => "shape",
            Self::IdCount { .. }
            | Self::Ids { .. }
            | Self::NothingLeft { .. }
            | Self::MapNeeded { .. }
            | Self::TrecId { .. } => "ids",
            Self::Protocol { .. } => "protocol",
            Self::Usage { .. } => "usage",
            Self::Shard { .. } | Self::NoShards { .. } => "shard",
            Self::OtherShards { .. } => "other-shards",
            Self::Metric(MetricError::MissingPart { .. }) => "missing-shard",
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
            Self::File(error) => Some(error.file().to_owned()),
            Self::OtherRun { path, .. }
            | Self::Shard { path, .. }
            | Self::OtherShards { other: path, .. } => Some(path.clone()),
            Self::NotFinite { location, .. }
            | Self::Overflow { location, .. }
            | Self::ZeroRow { location, .. }
            | Self::OutsideGallery { location, .. }
            | Self::Mask { location, .. } => Some(location.path.clone()),
            Self::IdCount { ids, .. } => Some(ids.path.clone()),
            Self::Bank { bank, .. } => Some(bank.path.clone()),
            Self::Ids { map, .. } | Self::NothingLeft { map, .. } => map.clone(),
            _ => None,
        }
    }

    /// The line at fault in a file of text, from 1.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::File(error) => error.line(),
            Self::OutsideGallery {
                entry: Entry::Line(line),
                ..
            } => Some(*line),
            _ => None,
        }
    }

    /// The column at fault in that line, from 1; 1 where only the line is known.
    pub fn column(&self) -> usize {
        match self {
            Self::File(error) => error.column(),
            _ => 1,
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::File(error) => error.remedy(),
            Self::NotFinite { .. } => Some("a caption that does not exist is left out with --mask"),
            Self::MapNeeded { .. } => Some(
                "give --text-ids, --video-ids and --map, a CSV file with the header text_id,video_id; or, for rows \
                 video by video as MMT and Collaborative Experts have them, --mask of shape (videos, captions)",
            ),
            Self::NothingLeft { .. } => Some("do the files belong together?"),
            Self::Ids { problems, .. } if problems.iter().any(|p| p.kind.is_silent_in_trec_eval()) => Some(
                "--allow-missing evaluates the queries that both files have, as trec_eval does without a word, and says \
                 in the table how many are left out",
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
            Self::Metric(MetricError::UnknownProtocol { .. }) => {
                Some("`hitbench protocols` lists them with the test sets that they are for")
            }
            Self::OtherRun { .. } => Some("choose another folder with --out"),
            Self::Shard { .. } => Some("count the shard again: `hitbench eval ... --shard I/N --out DIR`"),
            Self::NoShards { .. } => Some(
                "`hitbench run SUITE --shard I/N` and `hitbench eval ... --shard I/N --out DIR` write them",
            ),
            Self::OtherShards { .. } => Some(
                "every shard needs the same files, options and program, and the same kernel: name it with --kernel",
            ),
            Self::Metric(MetricError::MissingPart { .. }) => {
                Some("count it with --shard, or name the folder that holds it too")
            }
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
