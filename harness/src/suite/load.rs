//! From a file to a checked suite of either kind.

use std::path::Path;

use super::error::SuiteError;
use super::open::Opened;
use super::wire::Kind;
use super::{Suite, ThroughputSuite};

/// A checked suite.
#[derive(Debug)]
pub enum AnySuite {
    /// Trains and evaluates.
    Ablation(Suite),
    /// Measures kernels.
    Throughput(ThroughputSuite),
}

impl AnySuite {
    /// Reads a suite file and lays the `--set` arguments (`PATH=VALUE`) over it.
    ///
    /// # Errors
    /// [`SuiteError`] with the place of the first thing that is wrong.
    pub fn load(path: &Path, sets: &[String]) -> Result<Self, SuiteError> {
        Self::resolve(Opened::read(path, sets)?)
    }

    /// Reads a suite from text; `file` names it in errors.
    ///
    /// # Errors
    /// [`SuiteError`] with the place of the first thing that is wrong.
    pub fn parse(file: &str, text: &str, sets: &[String]) -> Result<Self, SuiteError> {
        Self::resolve(Opened::parse(file, text, sets)?)
    }

    /// Policy file that its runs are gated under.
    pub fn gate(&self) -> Option<&Path> {
        match self {
            Self::Ablation(suite) => suite.gate.as_deref(),
            Self::Throughput(suite) => suite.gate.as_deref(),
        }
    }

    fn resolve(opened: Opened) -> Result<Self, SuiteError> {
        match opened.words.kind {
            Kind::Ablation => Suite::resolve(opened).map(Self::Ablation),
            Kind::Throughput => ThroughputSuite::resolve(opened).map(Self::Throughput),
        }
    }
}

#[cfg(test)]
impl Suite {
    /// An ablation from text.
    pub(crate) fn parse(file: &str, text: &str, sets: &[String]) -> Result<Self, SuiteError> {
        Self::resolve(Opened::parse(file, text, sets)?)
    }
}

#[cfg(test)]
impl ThroughputSuite {
    /// A throughput suite from text.
    pub(crate) fn parse(file: &str, text: &str, sets: &[String]) -> Result<Self, SuiteError> {
        Self::resolve(Opened::parse(file, text, sets)?)
    }
}
