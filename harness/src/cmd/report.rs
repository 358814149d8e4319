//! `hitbench report`: draws a run's tables, summary and plots again from its records.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use hitbench_reports::tensorboard::write_tensorboard;
use hitbench_reports::{Rendered, RunFolder, render_all, tables};
use serde_json::json;

use super::console::stdout;
use super::failure::Failure;
use crate::exit_code::ExitCode;

/// Draws report.md, report.html, summary.csv and the plots of a run folder again, and prints its tables.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hitbench report runs/quickstart-1a2b3c4d\n  \
    hitbench report runs/quickstart-1a2b3c4d --tensorboard runs/events")]
pub struct ReportArgs {
    /// The run folder.
    folder: PathBuf,
    /// Writes the training curves as TensorBoard event files too, a folder a trial.
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
    /// Prints one JSON object (schema hitbench.report/1) with the files written.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for a folder that is no run, 74 when a file cannot be written.
pub fn run(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let folder = RunFolder::new(&args.folder);
    let rendered = render_all(&folder)?;
    let events = match &args.tensorboard {
        Some(out) => write_tensorboard(&folder, out)?,
        None => Vec::new(),
    };
    if args.json {
        let files = json!({
            "schema": "hitbench.report/1",
            "report": rendered.report,
            "page": rendered.page,
            "summary": rendered.summary,
            "plots": rendered.plots,
            "tensorboard": events,
        });
        writeln!(stdout(), "{files}")?;
    } else {
        print_tables(&folder, &rendered)?;
        if args.tensorboard.is_some() {
            writeln!(stdout(), "tensorboard: {} event files", events.len())?;
        }
    }
    Ok(ExitCode::Fine)
}

/// Prints the tables of a run and where the report lies.
pub(super) fn print_tables(folder: &RunFolder, rendered: &Rendered) -> Result<(), Failure> {
    let mut out = stdout();
    let width = io::stdout()
        .is_terminal()
        .then(|| console::Term::stdout().size().1);
    write!(out, "{}", tables(folder, width)?)?;
    print_places(rendered)
}

/// Prints where the report lies.
pub(super) fn print_places(rendered: &Rendered) -> Result<(), Failure> {
    let mut out = stdout();
    writeln!(out, "report: {}", rendered.report.display())?;
    writeln!(out, "page: {}", rendered.page.display())?;
    Ok(())
}
