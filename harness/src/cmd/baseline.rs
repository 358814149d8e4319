//! `hitbench baseline show|history`: what a baseline file holds, and what it held.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use comfy_table::CellAlignment;
use serde::Serialize;

use super::console::{stdout, table};
use super::failure::Failure;
use crate::gate::{Baseline, Blessing, SuiteId};

/// Shows what a baseline file holds, or what it held before.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hitbench baseline show suites/gates/smoke.baseline.json\n  \
    hitbench baseline history suites/gates/smoke.baseline.json"
)]
pub struct BaselineArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Suite, build, machine, reason and headlines of the baseline that counts.
    #[command(after_help = "Example:\n  hitbench baseline show suites/gates/smoke.baseline.json")]
    Show(FileArgs),
    /// The same of all baselines that the file held, oldest first.
    #[command(after_help = "Example:\n  hitbench baseline history suites/gates/smoke.baseline.json --json")]
    History(FileArgs),
}

#[derive(Debug, Args)]
struct FileArgs {
    /// The baseline file.
    file: PathBuf,
    /// Prints one JSON object (schema hitbench.baseline/1) on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct WireBaselines<'a> {
    schema: &'static str,
    suite: &'a SuiteId,
    /// Oldest first; the last one counts.
    baselines: &'a [Blessing],
}

impl BaselineArgs {
    /// Whether the caller asked for JSON.
    pub(super) fn json(&self) -> bool {
        match &self.what {
            What::Show(args) | What::History(args) => args.json,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for a file that is no baseline.
pub fn run(args: &BaselineArgs) -> Result<(), Failure> {
    let (file, with_history) = match &args.what {
        What::Show(args) => (args, false),
        What::History(args) => (args, true),
    };
    let baseline = Baseline::load(&file.file)?;
    let mut baselines = vec![baseline.blessing()];
    if with_history {
        baselines.splice(0..0, baseline.history.iter().cloned());
    }
    let mut out = stdout();
    if file.json {
        let wire = WireBaselines {
            schema: "hitbench.baseline/1",
            suite: &baseline.evidence.suite,
            baselines: &baselines,
        };
        serde_json::to_writer(&mut out, &wire).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    let suite = &baseline.evidence.suite;
    let machine = &baseline.evidence.machine;
    writeln!(
        out,
        "{}, version {} ({}), measured on {} with {} cores",
        suite.name,
        suite.version,
        suite.kind,
        machine.cpu_model.as_deref().unwrap_or("an unknown CPU"),
        machine.cores
    )?;
    for blessing in &baselines {
        writeln!(
            out,
            "\n{}, suite version {}, machine {}: {}",
            blessing.build_id, blessing.suite_version, blessing.fingerprint, blessing.reason
        )?;
        let mut numbers = table(["metric", "mean"], CellAlignment::Right);
        for (name, value) in &blessing.numbers {
            numbers.add_row([name.clone(), format!("{value:.6}")]);
        }
        if !blessing.numbers.is_empty() {
            writeln!(out, "{}", numbers.trim_fmt())?;
        }
    }
    Ok(())
}
