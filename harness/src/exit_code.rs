//! What the process's exit code says; a contract with scripts and CI.

/// Exit codes of `hitbench`. Of several verdicts the lowest of 1, 3 and 4 wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Everything went well.
    Fine,
    /// A check failed: an `expect` of a suite was missed, `verify` found a kernel wrong, or a row of a gate regressed.
    CheckFailed,
    /// Usage, configuration or input; a torn or future-version file included.
    Input,
    /// What was to be compared does not compare.
    NotComparable,
    /// Rows of a gate show nothing, and its policy says that this fails.
    Inconclusive,
    /// Some trials failed, or are missing from a merge; the others are recorded.
    TrialsFailed,
    /// A file could not be written; what was written before is kept.
    CannotWrite,
    /// Stopped by SIGINT or SIGTERM; run again to resume.
    Stopped,
}

impl ExitCode {
    /// The number given to the operating system.
    pub fn number(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::CheckFailed => 1,
            Self::Input => 2,
            Self::NotComparable => 3,
            Self::Inconclusive => 4,
            Self::TrialsFailed => 5,
            Self::CannotWrite => 74,
            Self::Stopped => 75,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}
