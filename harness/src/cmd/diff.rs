//! `hitbench diff`: two evaluations of the same protocol, query by query.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::console::stdout;
use super::failure::Failure;
use super::output::OutputFile;
use crate::diff::{Captions, DiffReport, Side, diff, text, write_changes};
use crate::exit_code::ExitCode;
use crate::format::Location;
use crate::metric::Resampling;

/// How often videos are resampled and exchanged, and from which seed: every comparison alike.
const PLAN: Resampling = Resampling {
    seed: 0,
    resamples: 10_000,
};

/// Compares two evaluations of the same protocol: which queries changed, and which differences are more than chance.
///
/// A and B are run folders, as `eval --out` writes them; FOLDER::TRIAL names one of several trials by id or name. They
/// must agree in protocol, rules, queries and galleries; scores and kernels may differ. Exit code 3 says that they do
/// not compare; differences are no failure.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hitbench diff runs/before runs/after --captions captions.csv --write changed.csv"
)]
pub struct DiffArgs {
    /// The first evaluation.
    #[arg(value_name = "A")]
    a: Location,
    /// The second; differences are B - A.
    #[arg(value_name = "B")]
    b: Location,
    /// CSV file with the header text_id,caption (or caption_id,text), to show what the texts say; FILE::COLUMN names another
    /// column of captions.
    #[arg(long, value_name = "FILE")]
    captions: Option<Location>,
    /// Lists so many queries of each direction, those whose rank changed most.
    #[arg(long, value_name = "N", default_value_t = 20)]
    most: usize,
    /// Writes all queries whose counts differ as CSV.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Prints one JSON object (schema hitbench.diff/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for folders that hold no evaluation, 3 when the two do not compare, 74 when something
/// cannot be written.
pub fn run(args: &DiffArgs) -> Result<ExitCode, Failure> {
    let captions = args.captions.as_ref().map(Captions::read).transpose()?;
    let (a, b) = (Side::read(&args.a)?, Side::read(&args.b)?);
    let file = args.write.as_deref().map(OutputFile::create).transpose()?;
    let found = diff([&a, &b], captions.as_ref(), args.most, PLAN)?;
    if let (Some(captions), 1..) = (&captions, found.n_without_caption) {
        let n = found.n_without_caption;
        writeln!(
            io::stderr(),
            "warning: {n} texts have no caption in `{}`",
            captions.location
        )?;
    }
    if let Some(file) = file {
        file.write(|out| Ok(write_changes(&found, captions.as_ref(), out)?))?;
    }
    let mut out = stdout();
    if args.json {
        serde_json::to_writer(&mut out, &DiffReport::from(&found)).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", text(&found))?;
    }
    Ok(ExitCode::Fine)
}
