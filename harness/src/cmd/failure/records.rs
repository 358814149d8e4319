//! Failures of run folders: the records say what is wrong where, and this what to do about it.

use std::fmt;

use hitbench_reports::RecordError;
use hitbench_reports::record::SHARDS;

use super::Failure;
use crate::cmd::output::WRITABLE;
use crate::exit_code::ExitCode;

/// An error of records with its remedy; the crate of the records knows no commands that it could name.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Explained(RecordError);

impl Explained {
    fn remedy(&self) -> Option<&'static str> {
        match &self.0 {
            RecordError::NotARun { path } if path.join(SHARDS).is_dir() => {
                Some("its parts are not merged yet: `hitbench merge` with this folder")
            }
            RecordError::NotARun { .. } => {
                Some("name the folder that `hitbench run --out` or `hitbench eval --out` wrote")
            }
            RecordError::Occupied { .. } => {
                Some("choose an empty or new folder, or that of an earlier run, with --out")
            }
            RecordError::FutureFormat { .. } => {
                Some("records of later formats need a later version of hitbench")
            }
            RecordError::Torn { path, .. } if path.extension().is_some_and(|it| it == "jsonl") => Some(
                "delete that line; the command that wrote it, with the same --out, then makes what it held again",
            ),
            RecordError::Torn { path, .. } if path.ends_with("comparisons.json") => {
                Some("delete it; `hitbench run` with the same --out makes it again without training")
            }
            RecordError::Torn { .. } | RecordError::TornCsv { .. } => {
                Some("restore the file from a copy, or make the run again in a new folder")
            }
            RecordError::Locked { .. } => {
                Some("wait until that process ends, or choose another folder with --out")
            }
            RecordError::Write { .. } => Some(WRITABLE),
            RecordError::Read { .. } | RecordError::NotANumber { .. } | RecordError::Draw { .. } => None,
        }
    }
}

impl miette::Diagnostic for Explained {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.remedy()
            .map(|remedy| Box::new(remedy) as Box<dyn fmt::Display>)
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        let (code, reason) = match error {
            RecordError::Occupied { .. } => (ExitCode::Input, "not-a-run"),
            RecordError::Locked { .. } => (ExitCode::Input, "locked"),
            _ if error.is_write() => (ExitCode::CannotWrite, "cannot-write"),
            _ => (ExitCode::Input, "records"),
        };
        Self {
            code,
            reason,
            file: error.file().map(Into::into),
            position: error.position(),
            report: miette::Report::new(Explained(error)),
        }
    }
}
