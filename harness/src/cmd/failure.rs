//! How a command fails: an exit code, a stable word, and a text with cause and remedy.

use std::path::PathBuf;

use serde::Serialize;

use super::plan::PlanError;
use crate::audit::AuditError;
use crate::data::DataError;
use crate::diff::DiffError;
#[cfg(feature = "torch")]
use crate::embed::EmbedError;
use crate::eval::EvalError;
use crate::exit_code::ExitCode;
use crate::gate::GateError;
use crate::suite::SuiteError;
use crate::trial::TrialError;
use crate::trial::inputs::InputError;
use crate::trial::merge::MergeError;
use crate::trial::plan::NoTrial;

mod records;

/// A failed command. Printed by `main`, as text or, with `--json`, as one object.
#[derive(Debug)]
pub struct Failure {
    /// The process's exit code.
    pub code: ExitCode,
    /// Stable word for scripts, `lower-case-with-dashes`.
    pub reason: &'static str,
    /// What went wrong, causes and remedy included.
    pub report: miette::Report,
    /// The file at fault, if one is.
    pub file: Option<PathBuf>,
    /// Line and column in it, from 1.
    pub position: Option<(usize, usize)>,
}

#[derive(Serialize)]
struct WireFailure<'a> {
    schema: &'static str,
    code: u8,
    reason: &'a str,
    message: String,
    help: Option<String>,
    file: Option<String>,
    position: Option<WirePosition>,
}

#[derive(Serialize)]
struct WirePosition {
    line: usize,
    column: usize,
}

impl Failure {
    /// A failure that is explained by `error` and its sources.
    pub fn new<E>(code: ExitCode, reason: &'static str, error: E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let report = miette::Report::from_err(error);
        Self {
            code,
            reason,
            report,
            file: None,
            position: None,
        }
    }

    /// The same of an error that says what to do about it.
    pub(super) fn explained<E>(code: ExitCode, reason: &'static str, error: E) -> Self
    where
        E: miette::Diagnostic + Send + Sync + 'static,
    {
        Self {
            code,
            reason,
            report: miette::Report::new(error),
            file: None,
            position: None,
        }
    }

    /// A failure of which `text` says all, with a remedy.
    pub fn message(code: ExitCode, reason: &'static str, text: String, help: &str) -> Self {
        let report = miette::miette!(help = help.to_owned(), "{text}");
        Self {
            code,
            reason,
            report,
            file: None,
            position: None,
        }
    }

    /// What `text` says needs libtorch, which this build does not have.
    #[cfg(not(feature = "torch"))]
    pub(super) fn needs_libtorch(text: String) -> Self {
        Self::message(
            ExitCode::Input,
            "needs-libtorch",
            text,
            "set libtorch up and build with it: `cargo xtask setup`, then \
             `cargo build --release -p hitbench --features torch`",
        )
    }

    /// A command line that cannot be understood.
    pub fn usage(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let (message, help) = text.split_once("\n\n").unwrap_or((&text, ""));
        let message = message.strip_prefix("error: ").unwrap_or(message);
        Self::message(ExitCode::Input, "usage", message.to_owned(), help.trim())
    }

    /// Names the file at fault.
    pub fn in_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// The text for a person: cause chain, source snippet and remedy where there are such.
    pub fn to_text(&self) -> String {
        format!("{:?}", self.report)
    }

    /// The object for a machine, schema `hitbench.error/1`.
    pub fn to_json(&self) -> String {
        let chain: Vec<String> = self.report.chain().map(ToString::to_string).collect();
        let wire = WireFailure {
            schema: "hitbench.error/1",
            code: self.code.number(),
            reason: self.reason,
            message: chain.join(": "),
            help: self.report.help().map(|help| help.to_string()),
            file: self.file.as_ref().map(|file| file.display().to_string()),
            position: self.position.map(|(line, column)| WirePosition { line, column }),
        };
        serde_json::to_string(&wire).expect("strings and numbers always serialise")
    }
}

impl From<SuiteError> for Failure {
    fn from(error: SuiteError) -> Self {
        let reason = error.problem().reason();
        let place = error.place();
        let file = (!place.set).then(|| PathBuf::from(&place.name));
        let position = error
            .position()
            .map(|(line, column)| (line as usize, column as usize));
        Self {
            code: ExitCode::Input,
            reason,
            report: miette::Report::new(error),
            file,
            position,
        }
    }
}

impl From<NoTrial> for Failure {
    fn from(error: NoTrial) -> Self {
        Self::new(ExitCode::Input, "filter", error)
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Write { .. } => Self::new(ExitCode::CannotWrite, "cannot-write", error),
            DataError::ExpertWithoutVideos { .. } => Self::message(
                ExitCode::Input,
                "data",
                error.to_string(),
                DataError::USELESS_EXPERT,
            ),
            _ => Self::new(ExitCode::Input, "data", error),
        }
    }
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Self {
        match error {
            EvalError::Record(error) => error.into(),
            error => Self {
                code: match error {
                    EvalError::OtherShards { .. } => ExitCode::NotComparable,
                    _ => ExitCode::Input,
                },
                reason: error.reason(),
                file: error.file(),
                position: error.line().map(|line| (line, error.column())),
                report: miette::Report::new(error),
            },
        }
    }
}

#[cfg(feature = "torch")]
impl From<EmbedError> for Failure {
    fn from(error: EmbedError) -> Self {
        let (code, reason) = match &error {
            EmbedError::Data(_)
            | EmbedError::OwnData(_)
            | EmbedError::Expert { .. }
            | EmbedError::Split { .. } => (ExitCode::Input, "data"),
            EmbedError::Write { .. } => (ExitCode::CannotWrite, "cannot-write"),
            EmbedError::Occupied { .. } => (ExitCode::Input, "out"),
            EmbedError::Device { .. } => (ExitCode::Input, "device"),
            EmbedError::Memory(error) => (ExitCode::Input, error.reason()),
            EmbedError::Torch(_) => (ExitCode::Input, "model"),
            _ => (ExitCode::Input, "checkpoint"),
        };
        let file = match &error {
            EmbedError::Weights(error) => Some(error.file().to_owned()),
            EmbedError::NoModel { path }
            | EmbedError::Format { path, .. }
            | EmbedError::Model { path, .. }
            | EmbedError::Vocabulary { path, .. }
            | EmbedError::VocabularySize { path, .. }
            | EmbedError::Occupied { path }
            | EmbedError::Write { path, .. } => Some(path.clone()),
            _ => None,
        };
        Self {
            code,
            reason,
            file,
            position: None,
            report: miette::Report::new(error),
        }
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Eval(error) => error.into(),
            error => Self {
                code: ExitCode::Input,
                reason: error.reason(),
                file: error.file(),
                position: None,
                report: miette::Report::new(error),
            },
        }
    }
}

impl From<DiffError> for Failure {
    fn from(error: DiffError) -> Self {
        match error {
            DiffError::Record(error) => error.into(),
            error => Self {
                code: match error {
                    DiffError::NotComparable { .. } => ExitCode::NotComparable,
                    _ => ExitCode::Input,
                },
                reason: error.reason(),
                file: error.file(),
                position: error.line().map(|line| (line, 1)),
                report: miette::Report::new(error),
            },
        }
    }
}

impl From<GateError> for Failure {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Record(error) => error.into(),
            error => {
                let (reason, file) = (error.reason(), error.file());
                let mut failure = match error {
                    GateError::Policy(error) => Self::from(error),
                    error => Self {
                        position: error.line().map(|line| (line, 1)),
                        ..Self::explained(
                            match error {
                                GateError::NotComparable { .. } | GateError::OtherSuite { .. } => {
                                    ExitCode::NotComparable
                                }
                                _ => ExitCode::Input,
                            },
                            reason,
                            error,
                        )
                    },
                };
                failure.reason = reason;
                failure.file = file;
                failure
            }
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Suite(error) => error.into(),
            PlanError::NoTrial(error) => error.into(),
            PlanError::Record(error) => error.into(),
            PlanError::Io(error) => error.into(),
        }
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Suite(error) => error.into(),
            InputError::Data(error) => error.into(),
            InputError::Vocabulary { .. } => Self::new(ExitCode::Input, "vocabulary", error),
        }
    }
}

impl From<TrialError> for Failure {
    fn from(error: TrialError) -> Self {
        match error {
            TrialError::Record(error) => error.into(),
            TrialError::Read { .. } => Self::new(ExitCode::Input, "checkpoint", error),
            TrialError::Write { .. } => Self::new(ExitCode::CannotWrite, "cannot-write", error),
            #[cfg(feature = "torch")]
            TrialError::Save(_) => Self::new(ExitCode::CannotWrite, "cannot-write", error),
            _ => Self::new(ExitCode::Input, "trial", error),
        }
    }
}

impl From<MergeError> for Failure {
    fn from(error: MergeError) -> Self {
        let text = error.to_string();
        let (reason, file, remedy) = match error {
            MergeError::Record(error) => return error.into(),
            MergeError::Throughput { path } => (
                "throughput",
                path,
                "measure the whole suite in one run; `hitbench compare` holds runs against each other",
            ),
            MergeError::OtherSweep { other, .. } => (
                "other-sweep",
                other,
                "remove it or leave it out: every part needs the same suite, settings, data and program",
            ),
            MergeError::TwoResults { other, .. } => (
                "two-results",
                other,
                "remove one of the two folders, or move it elsewhere; results of one program differ where machines do",
            ),
        };
        Self::message(ExitCode::NotComparable, reason, text, remedy).in_file(&file)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(ExitCode::CannotWrite, "cannot-write", error)
    }
}
