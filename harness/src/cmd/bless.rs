//! `hitbench bless`: makes a run the baseline of later ones.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use hitbench_reports::RunFolder;
use hitbench_reports::record::replace_file;
use serde_json::json;

use super::console::stdout;
use super::failure::Failure;
use crate::exit_code::ExitCode;
use crate::gate::Baseline;

/// Makes a finished run the baseline that `hitbench gate` holds later runs against.
///
/// The file holds the counts of every query, the samples of every process and where they come from; it belongs under
/// version control. An older baseline in it goes into its history.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hitbench bless runs/smoke-1a2b3c4d --to suites/gates/smoke.baseline.json \
    --reason \"longer warm-up, see change 42\""
)]
pub struct BlessArgs {
    /// The run folder, also one of `hitbench eval --out`.
    run: PathBuf,
    /// The baseline file.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Why these numbers are what is expected from now on.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Prints one JSON object (schema hitbench.bless/1) on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for a run that is not finished or a file that is no baseline, which stays as it is; 3
/// for a baseline of another suite; 74 when the file cannot be written.
pub fn run(args: &BlessArgs) -> Result<ExitCode, Failure> {
    let earlier = match args.to.try_exists() {
        Ok(false) => None,
        _ => Some(Baseline::load(&args.to)?),
    };
    let baseline = Baseline::of_run(&RunFolder::new(&args.run), &args.reason, earlier)?;
    let text = baseline.to_text();
    replace_file(&args.to, text.as_bytes())?;
    let evidence = &baseline.evidence;
    let mut out = stdout();
    if args.json {
        let wire = json!({
            "schema": "hitbench.bless/1",
            "file": args.to,
            "suite": evidence.suite,
            "build_id": evidence.tool.build_id,
            "size_bytes": text.len(),
            "n_earlier": baseline.history.len(),
        });
        writeln!(out, "{wire}")?;
    } else {
        writeln!(
            out,
            "{}: {} of {}, {} KiB, {} earlier",
            args.to.display(),
            evidence.suite.name,
            evidence.tool.build_id,
            text.len().div_ceil(1024),
            baseline.history.len()
        )?;
    }
    Ok(ExitCode::Fine)
}
