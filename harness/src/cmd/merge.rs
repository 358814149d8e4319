//! `hitbench merge`: one evaluation out of its shards.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::show::ShowArgs;
use crate::eval::{Merged, Shard, write_run};
use crate::exit_code::ExitCode;

/// Puts the shards of an evaluation together, to the result of one process, to the byte.
///
/// Every `hitbench eval ... --shard I/N --out DIR` leaves its counts in DIR; the shards may lie in several folders. Merging
/// again, and in any order, gives the same.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hitbench eval --text t.npy --video v.npy --shard 1/2 --out runs/big\n  \
    hitbench eval --text t.npy --video v.npy --shard 2/2 --out runs/big\n  hitbench merge runs/big"
)]
pub struct MergeArgs {
    /// Run folders with shards.
    #[arg(value_name = "DIR", required = true)]
    runs: Vec<PathBuf>,
    /// Run folder of the whole; default the first DIR.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for shards that are missing or damaged, 3 for shards of different evaluations, 74 when
/// something cannot be written.
pub fn run(args: &MergeArgs) -> Result<ExitCode, Failure> {
    let merged = Merged::new(Shard::read_all(&args.runs)?)?;
    for notice in &merged.found.notices {
        writeln!(io::stderr(), "warning: {notice}")?;
    }
    let folder = args.out.as_ref().unwrap_or(&args.runs[0]);
    let rendered = write_run(folder, &merged.found, merged.contents, merged.command)?;
    args.show.print(&merged.found)?;
    if args.show.for_people() {
        writeln!(super::console::stdout(), "report: {}", rendered.report.display())?;
    }
    Ok(ExitCode::Fine)
}
