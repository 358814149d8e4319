//! `hitbench compare`: runs of one suite side by side.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hitbench_reports::compare::{compare_md, compare_table, write_files};

use super::console::stdout;
use super::failure::Failure;
use crate::compare::{CompareError, Subject, compare};
use crate::exit_code::ExitCode;

/// Puts runs of one suite side by side, of several machines or revisions: machines, throughput and recalls with intervals,
/// ratios to a reference, shares of each machine's peaks, and whether accuracy is equal.
///
/// Unlike machines and builds are labelled. Another suite or version of it, other rules, queries or galleries are refused
/// with exit code 3, which names the difference.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hitbench compare runs/kernels-1a2b3c4d runs/kernels-5e6f7a8b --labels old,new\n  \
    hitbench compare kernels.baseline.json runs/kernels-1a2b3c4d --reference 1 --out compared"
)]
pub struct CompareArgs {
    /// Run folders, or baseline files of `hitbench bless`; two or more.
    #[arg(value_name = "RUN", num_args = 2.., required = true)]
    runs: Vec<PathBuf>,
    /// Their names in tables and plots, one each; default is the folder's or the file's name.
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    labels: Vec<String>,
    /// The run that ratios and differences are taken to, by label or by number from 1.
    #[arg(long, value_name = "LABEL|N", default_value = "1")]
    reference: String,
    /// Writes compare.md, compare.csv and plots/ into this folder, which is made where it is not there.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How standard output shows it.
    #[arg(long, value_enum, default_value_t = Format::Table, conflicts_with = "json")]
    format: Format,
    /// Prints one JSON object (schema hitbench.compare/1) on standard output.
    #[arg(long)]
    pub json: bool,
}

/// How a comparison is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables for a terminal.
    Table,
    /// Markdown.
    Markdown,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for runs that cannot be read and labels that cannot be used, 3 for runs that do not
/// compare, 74 when a file cannot be written.
pub fn run(args: &CompareArgs) -> Result<ExitCode, Failure> {
    let labels = labels(args)?;
    let reference = reference(&args.reference, &labels)?;
    if let Some(out) = &args.out {
        refuse_run_folder(out)?;
    }
    let mut subjects = Vec::with_capacity(args.runs.len());
    for (path, label) in args.runs.iter().zip(labels) {
        subjects.push(Subject::read(path, label)?);
    }
    let record = compare(&subjects, reference)?;
    let files = args
        .out
        .as_ref()
        .map(|out| write_files(&record, out))
        .transpose()?;
    let mut out = stdout();
    match (args.json, args.format) {
        (true, _) => {
            serde_json::to_writer(&mut out, &record).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        (false, Format::Markdown) => write!(out, "{}", compare_md(&record))?,
        (false, Format::Table) => {
            let width = io::stdout()
                .is_terminal()
                .then(|| console::Term::stdout().size().1);
            write!(out, "{}", compare_table(&record, width))?;
            if let Some(files) = files {
                writeln!(out, "report: {}", files.report.display())?;
                writeln!(out, "page: {}", files.page.display())?;
            }
        }
    }
    Ok(ExitCode::Fine)
}

impl From<CompareError> for Failure {
    fn from(error: CompareError) -> Self {
        let code = match error.is_incomparable() {
            true => ExitCode::NotComparable,
            false => ExitCode::Input,
        };
        Self::explained(code, error.reason(), error)
    }
}

/// The labels given, or those that paths give.
fn labels(args: &CompareArgs) -> Result<Vec<String>, Failure> {
    if args.labels.is_empty() {
        return Ok(unique(args.runs.iter().map(|path| name(path)).collect()));
    }
    let wrong = |text: String| {
        Failure::message(
            ExitCode::Input,
            "labels",
            text,
            "give --labels one name for each run, all different, with commas between",
        )
    };
    let (found, expected) = (args.labels.len(), args.runs.len());
    if found != expected {
        return Err(wrong(format!("{found} labels for {expected} runs")));
    }
    let mut known = BTreeSet::new();
    for label in &args.labels {
        if label.trim().is_empty() {
            return Err(wrong("a label is empty".to_owned()));
        }
        if !known.insert(label) {
            return Err(wrong(format!("two runs have the label `{label}`")));
        }
    }
    Ok(args.labels.clone())
}

/// Name of a folder, or of a file without `.json`.
fn name(path: &Path) -> String {
    // `.` and `..` have no name of their own.
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = whole
        .file_name()
        .map_or("run".into(), |name| name.to_string_lossy().into_owned());
    match whole.is_file() {
        true => name.strip_suffix(".json").unwrap_or(&name).to_owned(),
        false => name,
    }
}

/// The same names, numbers added where one came before.
fn unique(names: Vec<String>) -> Vec<String> {
    let mut labels: Vec<String> = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let mut label = name.clone();
        let mut number = 1;
        // Names of later runs are kept for them.
        while labels.contains(&label) || (number > 1 && names[at..].contains(&label)) {
            number += 1;
            label = format!("{name}-{number}");
        }
        labels.push(label);
    }
    labels
}

/// The place of the reference: a label, else a number from 1.
fn reference(given: &str, labels: &[String]) -> Result<usize, Failure> {
    let by_label = labels.iter().position(|label| label == given);
    let by_number = || {
        let number: usize = given.parse().ok()?;
        (1..=labels.len()).contains(&number).then(|| number - 1)
    };
    by_label.or_else(by_number).ok_or_else(|| {
        Failure::message(
            ExitCode::Input,
            "reference",
            format!("no run is `{given}`"),
            &format!(
                "--reference takes one of the labels {} or a number from 1 to {}",
                labels.join(", "),
                labels.len()
            ),
        )
    })
}

/// A comparison belongs to no single run, and its plots would lie among those of the run.
fn refuse_run_folder(out: &Path) -> Result<(), Failure> {
    match out.join("run.json").exists() {
        true => Err(Failure::message(
            ExitCode::Input,
            "occupied",
            format!("`{}` is a run folder", out.display()),
            "choose another folder with --out",
        )
        .in_file(out)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_become_labels_of_their_own() {
        assert_eq!(unique(owned(&["a", "b"])), ["a", "b"]);
        assert_eq!(unique(owned(&["a", "a", "a"])), ["a", "a-2", "a-3"]);
        assert_eq!(unique(owned(&["a", "a", "a-2"])), ["a", "a-3", "a-2"]);
        assert_eq!(name(Path::new("absent/kernels-1a2b")), "kernels-1a2b");
    }

    #[test]
    fn a_reference_is_a_label_before_it_is_a_number() {
        let labels = owned(&["old", "new", "1"]);
        assert_eq!(reference("new", &labels).unwrap(), 1);
        assert_eq!(reference("2", &labels).unwrap(), 1);
        assert_eq!(reference("1", &labels).unwrap(), 2);
        for wrong in ["0", "4", "other"] {
            assert_eq!(reference(wrong, &labels).unwrap_err().reason, "reference");
        }
    }
}
