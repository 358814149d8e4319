//! Why a gate could not be run, a baseline not be read or blessed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use hitbench_reports::RecordError;

use super::evidence::SuiteId;
use crate::metric::MetricError;
use crate::suite::SuiteError;

/// What stops a gate before it has rows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The records of a run cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The policy is wrong.
    #[error(transparent)]
    Policy(#[from] SuiteError),
    /// The baseline cannot be read.
    #[error("could not read the baseline `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The baseline ends too early, or is no baseline.
    #[error("`{}` is torn or not a baseline", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// The baseline was changed after it was written.
    #[error("`{}` was edited: its checksum is {found}, but its contents have {computed}", path.display())]
    Edited {
        /// The file.
        path: PathBuf,
        /// Checksum in the file.
        found: String,
        /// That of the contents.
        computed: String,
    },
    /// The checksum is right, and the contents cannot be.
    #[error("`{}` holds what no run gives: {problem}", path.display())]
    Packed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Written by a newer hitbench.
    #[error("`{}` has format {found}, but this hitbench reads format {supported} and older", path.display())]
    FutureFormat {
        /// The file.
        path: PathBuf,
        /// Format in the file.
        found: u64,
        /// Newest format that is understood.
        supported: u64,
    },
    /// The calibration cannot be read.
    #[error("could not read the calibration `{}`", path.display())]
    ReadCalibration {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The calibration ends too early, or is none.
    #[error("`{}` is torn or not a calibration", path.display())]
    TornCalibration {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// Times or rates that no clock gives.
    #[error("the times in `{}` cannot be: {problem}", folder.display())]
    Times {
        /// The run folder.
        folder: PathBuf,
        /// The first such time.
        problem: String,
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
    /// A run with nothing finished.
    #[error("`{}` holds nothing that has finished", folder.display())]
    Nothing {
        /// The run folder.
        folder: PathBuf,
    },
    /// A run with trials that failed or have not run: a baseline is of the whole suite.
    #[error("`{}` has {n_missing} trials that failed or did not run, such as `{first}`", folder.display())]
    Unfinished {
        /// The run folder.
        folder: PathBuf,
        /// How many.
        n_missing: usize,
        /// One of them.
        first: String,
    },
    /// Another suite, or another version of it: no row compares.
    #[error("the {what} differs: {baseline} in the baseline, {run} in the run")]
    NotComparable {
        /// Stable word.
        reason: &'static str,
        /// What differs.
        what: &'static str,
        /// That of the baseline.
        baseline: String,
        /// That of the run.
        run: String,
    },
    /// A row about no cell of either side, such as by a name that is spelled otherwise there.
    #[error("row `{row}` of the policy is about no cell: {problem}")]
    When {
        /// The policy file.
        path: PathBuf,
        /// Line of the row, from 1.
        line: u64,
        /// Id of the row.
        row: String,
        /// What its `when` has that no cell has, and what the cells have.
        problem: String,
    },
    /// A suite file that is not of the suite that was run, or of another version.
    #[error(
        "`{}` is suite {}, version {}; the run is of {}, version {}",
        path.display(), suites[0].name, suites[0].version, suites[1].name, suites[1].version
    )]
    OtherSuite {
        /// The suite file.
        path: PathBuf,
        /// The suite in it, and that of the run.
        suites: Box<[SuiteId; 2]>,
    },
    /// A reason that is empty or not one line.
    #[error("a baseline needs a reason, one line of text")]
    NoReason,
    /// Statistics that cannot be computed.
    #[error(transparent)]
    Metric(#[from] MetricError),
}

impl GateError {
    /// A stable word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Record(_) => "records",
            Self::Policy(error) => match error.problem().reason() {
                "suite-unreadable" => "policy-unreadable",
                "suite-syntax" => "policy-syntax",
                reason => reason,
            },
            Self::Read { .. } => "baseline-unreadable",
            Self::Torn { .. } => "torn-baseline",
            Self::Edited { .. } | Self::Packed { .. } => "edited-baseline",
            Self::FutureFormat { .. } => "future-format",
            Self::ReadCalibration { .. } => "calibration-unreadable",
            Self::TornCalibration { .. } => "torn-calibration",
            Self::Times { .. } => "times",
            Self::Ranks { .. } => "ranks",
            Self::Nothing { .. } => "no-trial",
            Self::Unfinished { .. } => "unfinished",
            Self::NotComparable { reason, .. } => reason,
            Self::When { .. } => "no-such-cell",
            Self::OtherSuite { suites, .. } if suites[0].name == suites[1].name => "other-suite-version",
            Self::OtherSuite { .. } => "other-suite",
            Self::NoReason => "no-reason",
            Self::Metric(_) => "statistics",
        }
    }

    /// The file at fault, if one is.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Policy(error) => Some(PathBuf::from(&error.place().name)),
            Self::Read { path, .. }
            | Self::Torn { path, .. }
            | Self::Edited { path, .. }
            | Self::Packed { path, .. }
            | Self::FutureFormat { path, .. }
            | Self::ReadCalibration { path, .. }
            | Self::TornCalibration { path, .. }
            | Self::When { path, .. }
            | Self::OtherSuite { path, .. } => Some(path.clone()),
            Self::Ranks { folder, .. }
            | Self::Times { folder, .. }
            | Self::Nothing { folder }
            | Self::Unfinished { folder, .. } => Some(folder.clone()),
            _ => None,
        }
    }

    /// The line at fault in the file, from 1.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::When { line, .. } => usize::try_from(*line).ok(),
            _ => None,
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => {
                Some("`hitbench bless RUN --to FILE --reason TEXT` makes a baseline of a run")
            }
            Self::Torn { .. } | Self::Edited { .. } | Self::Packed { .. } => Some(
                "restore it from version control, or delete it and bless a run again; a baseline is not edited by hand",
            ),
            Self::FutureFormat { .. } => Some("files of later formats need a later version of hitbench"),
            Self::ReadCalibration { .. } | Self::TornCalibration { .. } => {
                Some("`hitbench calibrate SUITE --out DIR --to FILE` makes one")
            }
            Self::Times { .. } | Self::Ranks { .. } => {
                Some("the run's files are damaged: make the run again in a new folder")
            }
            Self::Nothing { .. } | Self::Unfinished { .. } => Some(
                "`hitbench status RUN` says what is left; `hitbench run SUITE --out RUN` without --filter makes it",
            ),
            Self::NotComparable { reason, .. } => remedy_of_unlike(reason),
            Self::When { .. } => Some(
                "write paths and values in `when` as the suite does; `hitbench plan SUITE --json` lists them under `axes`",
            ),
            Self::OtherSuite { .. } => Some("name the suite file that the run was made with"),
            Self::NoReason => {
                Some("say in one line why these numbers are right, as --reason \"longer warm-up\"")
            }
            Self::Record(_) | Self::Policy(_) | Self::Metric(_) => None,
        }
    }
}

fn remedy_of_unlike(reason: &str) -> Option<&'static str> {
    match reason {
        "other-suite" => {
            Some("a baseline is of one suite: name the baseline of this suite, or another file to bless into")
        }
        "other-suite-version" => Some(
            "numbers of another version may differ by intent: run the baseline's version, or bless a run of the new one",
        ),
        "other-machine" | "other-build" => {
            Some("noise is measured between runs of one build on one machine: choose a new folder with --out")
        }
        _ => None,
    }
}

impl miette::Diagnostic for GateError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.remedy()
            .map(|remedy| Box::new(remedy) as Box<dyn fmt::Display>)
    }
}
