//! Why runs do not stand side by side.

use std::fmt;

use crate::metric::MetricError;

/// What stops a comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Runs whose numbers mean different things.
    #[error("{0}")]
    NotComparable(Box<Unlike>),
    /// Runs of one suite without a cell in common.
    #[error("`{label}` has no cell in common with `{reference}`")]
    NothingShared {
        /// Label of the reference.
        reference: String,
        /// Label of the other run.
        label: String,
    },
    /// Fewer than two runs.
    #[error("a comparison takes two runs or more, not {found}")]
    TooFew {
        /// How many there are.
        found: usize,
    },
    /// Statistics that cannot be computed.
    #[error(transparent)]
    Metric(#[from] MetricError),
}

/// One thing in which a run is unlike the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlike {
    /// Stable word.
    pub reason: &'static str,
    /// What differs.
    pub what: String,
    /// Label of the reference.
    pub reference: String,
    /// What it has.
    pub expected: String,
    /// Label of the other run.
    pub label: String,
    /// What that has.
    pub found: String,
}

impl fmt::Display for Unlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            reference,
            expected,
            label,
            found,
            ..
        } = self;
        write!(
            f,
            "{what} differs: {expected} in `{reference}`, {found} in `{label}`"
        )
    }
}

impl CompareError {
    /// A stable word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotComparable(unlike) => unlike.reason,
            Self::NothingShared { .. } => "no-shared-cells",
            Self::TooFew { .. } => "too-few-runs",
            Self::Metric(_) => "statistics",
        }
    }

    /// Whether the runs could be read and do not compare.
    pub fn is_incomparable(&self) -> bool {
        matches!(self, Self::NotComparable(_) | Self::NothingShared { .. })
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NotComparable(unlike) => match unlike.reason {
                "other-suite" => Some("compare runs of one suite only"),
                "other-suite-version" => Some(
                    "run the same version of the suite with both; numbers of another version may differ by intent",
                ),
                _ => None,
            },
            Self::NothingShared { .. } => Some("run both with the same --filter, or without one"),
            Self::TooFew { .. } => Some("name two run folders or baseline files, or more"),
            Self::Metric(_) => None,
        }
    }
}

impl miette::Diagnostic for CompareError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.remedy()
            .map(|remedy| Box::new(remedy) as Box<dyn fmt::Display>)
    }
}
