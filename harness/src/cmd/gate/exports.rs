//! A gate's files for other tools, and what GitHub reads.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::console::stdout;
use super::super::failure::Failure;
use super::super::output::{OutputFile, cannot_write};
use crate::gate::GateReport;
use crate::gate::export::{
    SUMMARY_LIMIT, action_benchmark, annotations, bencher, json_lines, junit, sarif, summary,
};

/// What is written beside the text; all of it whatever the verdict.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Writes JUnit XML: a test case a row.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes SARIF 2.1.0: what is not fine, at its line of the policy.
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Writes Bencher Metric Format.
    #[arg(long, value_name = "FILE")]
    bencher: Option<PathBuf>,
    /// Writes `bigger.json` and `smaller.json` for github-action-benchmark, a file for each direction of better.
    #[arg(long, value_name = "DIR")]
    action_benchmark: Option<PathBuf>,
    /// Writes one JSON object a row (schema hitbench.gate-row/1).
    #[arg(long, value_name = "FILE")]
    json_lines: Option<PathBuf>,
    /// Appends the rows to the file that GITHUB_STEP_SUMMARY names, if it is set, and prints annotations for GitHub
    /// Actions.
    #[arg(long, conflicts_with = "json")]
    github: bool,
}

impl ExportArgs {
    /// Prints annotations and writes every file that was asked for, each whole or not at all.
    ///
    /// # Errors
    /// [`Failure`] with exit code 74 when a file cannot be written; it says what the file is for.
    pub(super) fn write(&self, report: &GateReport) -> Result<(), Failure> {
        if self.github {
            let mut out = stdout();
            write!(out, "{}", annotations(report))?;
            out.flush()?;
        }
        let write = |path: &Option<PathBuf>, what, text: fn(&GateReport) -> String| match path {
            Some(path) => write_file(path, what, &text(report)),
            None => Ok(()),
        };
        write(&self.junit, "JUnit XML", junit)?;
        write(&self.sarif, "SARIF file", sarif)?;
        write(&self.bencher, "file for Bencher", bencher)?;
        write(&self.json_lines, "file of JSON lines", json_lines)?;
        if let Some(folder) = &self.action_benchmark {
            let what = "file for github-action-benchmark";
            fs::create_dir_all(folder).map_err(|error| missing(what, cannot_write(folder, error)))?;
            let files = action_benchmark(report);
            write_file(&folder.join("bigger.json"), what, &files.bigger)?;
            write_file(&folder.join("smaller.json"), what, &files.smaller)?;
        }
        if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|_| self.github) {
            let path = PathBuf::from(path);
            append_summary(&path, report)
                .map_err(|error| missing("summary on GitHub", cannot_write(&path, error)))?;
        }
        Ok(())
    }
}

fn write_file(path: &Path, what: &str, text: &str) -> Result<(), Failure> {
    OutputFile::create(path)
        .and_then(|file| file.write(|out| Ok(out.write_all(text.as_bytes())?)))
        .map_err(|failure| missing(what, failure))
}

/// Other commands of the step may have written to the summary: all together have one limit.
fn append_summary(path: &Path, report: &GateReport) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let written = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let left = SUMMARY_LIMIT.saturating_sub(written);
    file.write_all(summary(report, left).as_bytes())
}

/// Tells who waits for a file that it is this one which failed, and not the gate.
fn missing(what: &str, failure: Failure) -> Failure {
    Failure {
        report: failure
            .report
            .wrap_err(format!("the verdict is printed, but there is no {what}")),
        ..failure
    }
}
