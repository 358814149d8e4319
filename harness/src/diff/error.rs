//! Why two evaluations were not compared.

use std::fmt;
use std::path::PathBuf;

use hitbench_reports::RecordError;
use hitbench_reports::record::Direction;

use crate::format::{FormatError, Location};
use crate::metric::MetricError;

/// Names that a message lists of each kind.
const NAMED: usize = 5;

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// Records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A run without a finished evaluation.
    #[error("`{}` holds no finished evaluation", folder.display())]
    NoTrial {
        /// The run folder.
        folder: PathBuf,
    },
    /// A run with several, and none named.
    #[error("`{}` holds several evaluations: {}", folder.display(), Names(known))]
    SeveralTrials {
        /// The run folder.
        folder: PathBuf,
        /// Their names.
        known: Vec<String>,
    },
    /// A name that no finished evaluation of the run has.
    #[error("`{}` holds no finished evaluation `{trial}`, but {}", folder.display(), Names(known))]
    UnknownTrial {
        /// The run folder.
        folder: PathBuf,
        /// What was asked for.
        trial: String,
        /// The names of those that there are.
        known: Vec<String>,
    },
    /// Ranks that are not those of their record.
    #[error("the ranks of `{trial}` in `{}` are not those of its record: {problem}", folder.display())]
    Ranks {
        /// The run folder.
        folder: PathBuf,
        /// Name of the trial.
        trial: String,
        /// What is wrong with them.
        problem: String,
    },
    /// Evaluations whose ranks mean different things.
    #[error("the two do not compare: {}", List(differences))]
    NotComparable {
        /// What differs, one entry a kind, at least one.
        differences: Vec<Difference>,
    },
    /// The captions cannot be read.
    #[error(transparent)]
    File(#[from] FormatError),
    /// A text with two captions.
    #[error("`{location}` has two captions of text `{id}`")]
    RepeatedCaption {
        /// The file.
        location: Location,
        /// The text.
        id: String,
    },
    /// Captions of other texts.
    #[error("`{location}` has a caption of none of the {n_texts} texts, such as `{first}`")]
    OtherCaptions {
        /// The file.
        location: Location,
        /// Texts of the evaluations.
        n_texts: usize,
        /// The id of one.
        first: String,
    },
    /// The statistics failed.
    #[error(transparent)]
    Metric(#[from] MetricError),
}

/// One thing that keeps two evaluations from comparing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A rule.
    Rule {
        /// A stable word for scripts.
        reason: &'static str,
        /// What it is a rule of.
        what: &'static str,
        /// The choice of the first; empty for none.
        a: String,
        /// The choice of the second; empty for none.
        b: String,
    },
    /// Galleries of other sizes.
    Gallery {
        /// Direction.
        direction: Direction,
        /// Items in the first.
        a: u64,
        /// Items in the second.
        b: u64,
    },
    /// Queries that only one of them has.
    Queries {
        /// Direction.
        direction: Direction,
        /// Which one: `A` or `B`.
        side: &'static str,
        /// Queries that only it has, at least one.
        ids: Vec<String>,
    },
    /// Texts that belong to another video.
    TrueItems {
        /// The texts, at least one.
        ids: Vec<String>,
    },
}

impl Difference {
    /// A stable word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Rule { reason, .. } => reason,
            Self::Gallery { .. } => "other-gallery",
            Self::Queries { .. } => "other-queries",
            Self::TrueItems { .. } => "other-pairs",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let choice = |word: &str| match word {
            "" => "none".to_owned(),
            word => format!("`{word}`"),
        };
        match self {
            Self::Rule { what, a, b, .. } => write!(f, "{what} is {} in A and {} in B", choice(a), choice(b)),
            Self::Gallery { direction, a, b } => {
                write!(f, "the gallery of {direction} has {a} items in A and {b} in B")
            }
            Self::Queries { direction, side, ids } => {
                write!(
                    f,
                    "{} queries of {direction} are in {side} only ({})",
                    ids.len(),
                    Names(ids)
                )
            }
            Self::TrueItems { ids } => {
                write!(f, "{} texts belong to another video ({})", ids.len(), Names(ids))
            }
        }
    }
}

impl DiffError {
    /// A stable word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Record(_) | Self::Ranks { .. } => "records",
            Self::NoTrial { .. } | Self::SeveralTrials { .. } | Self::UnknownTrial { .. } => "trial",
            Self::NotComparable { differences } => differences.first().map_or("other", Difference::reason),
            Self::File(error) => error.reason(),
            Self::RepeatedCaption { .. } | Self::OtherCaptions { .. } => "ids",
            Self::Metric(_) => "metric",
        }
    }

    /// The file or folder at fault, if one is.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::NoTrial { folder }
            | Self::SeveralTrials { folder, .. }
            | Self::UnknownTrial { folder, .. }
            | Self::Ranks { folder, .. } => Some(folder.clone()),
            Self::File(error) => Some(error.file().to_owned()),
            Self::RepeatedCaption { location, .. } | Self::OtherCaptions { location, .. } => {
                Some(location.path.clone())
            }
            Self::Record(_) | Self::NotComparable { .. } | Self::Metric(_) => None,
        }
    }

    /// The line at fault in a file of text, from 1.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::File(error) => error.line(),
            _ => None,
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NoTrial { .. } => Some("`hitbench eval --out FOLDER` writes one"),
            Self::SeveralTrials { .. } | Self::UnknownTrial { .. } => {
                Some("name the one that is meant as FOLDER::TRIAL, by its id or its name")
            }
            Self::NotComparable { .. } => {
                Some("evaluate both under the same protocol and rules, on the same texts and videos")
            }
            Self::File(error) => error.remedy(),
            _ => None,
        }
    }
}

impl miette::Diagnostic for DiffError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.remedy()
            .map(|remedy| Box::new(remedy) as Box<dyn fmt::Display>)
    }
}

/// The first names of a list.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .0
            .iter()
            .take(NAMED)
            .map(|name| format!("`{name}`"))
            .collect();
        f.write_str(&names.join(", "))?;
        match self.0.len() > NAMED {
            true => f.write_str(", ..."),
            false => Ok(()),
        }
    }
}

/// One difference after another.
struct List<'a>(&'a [Difference]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join("; "))
    }
}
