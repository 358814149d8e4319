//! `hitbench gate`: a run against a baseline under a policy.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use hitbench_reports::RunFolder;

use super::console::stdout;
use super::failure::Failure;
use super::rerun::Rerun;
use crate::exit_code::ExitCode;
use crate::gate::{self, Baseline, Evidence, Gate, GateReport, Policy, explanation, table};

/// Holds a run against a blessed baseline and says, row by row, what got worse, what did not, and what cannot be told.
///
/// Exit code 1 when a row regressed, 3 when rows do not compare and the policy says fail, 4 when rows are inconclusive
/// and the policy says fail; the lowest wins.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hitbench gate --baseline gates/smoke.baseline.json --run runs/smoke-1a2b3c4d\n  \
    hitbench gate --baseline gates/kernels.baseline.json --run runs/kernels-1a2b3c4d --policy gates/kernels.yaml \
    --confirm suites/ci/kernels.yaml"
)]
pub struct GateArgs {
    /// The baseline file, made by `hitbench bless`.
    #[arg(long, value_name = "FILE")]
    baseline: PathBuf,
    /// The run folder.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// The policy; default is what the suite of the run names under `gate`.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The suite of the run: its cells whose throughput regressed are measured again, and stay regressed only if the new
    /// samples alone say so too.
    #[arg(long, value_name = "SUITE")]
    confirm: Option<PathBuf>,
    /// Says too what each row can detect with these data, seeds and processes.
    #[arg(long)]
    explain: bool,
    /// Prints one JSON object (schema hitbench.gate/1) on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for files that cannot be used, 3 for another suite or version of it, 5 when a
/// confirmation cannot be run, 74 when a file cannot be written.
pub fn run(args: &GateArgs) -> Result<ExitCode, Failure> {
    let baseline = Baseline::load(&args.baseline)?;
    let folder = RunFolder::new(&args.run);
    let policy = policy(args.policy.as_deref(), &folder)?;
    let evidence = Evidence::read(&folder)?;
    let mut gate = gate::gate(&policy, &baseline.evidence, &evidence)?;
    if let Some(suite) = &args.confirm {
        confirm(&mut gate, &policy, &baseline, suite)?;
    }
    let report = GateReport::new(
        &gate,
        &policy,
        (&args.baseline.display().to_string(), &baseline),
        (&args.run.display().to_string(), &evidence),
    );
    let mut out = stdout();
    if args.json {
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", table(&report))?;
        if args.explain {
            write!(out, "\n{}", explanation(&gate.rows))?;
        }
    }
    Ok(gate.conclusion().0)
}

/// The policy given, or the one that the suite of a run names.
pub(super) fn policy(given: Option<&Path>, folder: &RunFolder) -> Result<Policy, Failure> {
    let named = match given {
        Some(path) => path.to_owned(),
        None => folder.run()?.suite.gate.map(PathBuf::from).ok_or_else(|| {
            Failure::message(
                ExitCode::Input,
                "no-policy",
                format!(
                    "the suite of `{}` names no policy under `gate`",
                    folder.path().display()
                ),
                "give one with --policy; `hitbench schema policy` describes it",
            )
        })?,
    };
    Ok(Policy::load(&named).map_err(gate::GateError::from)?)
}

/// Measures the flagged cells again.
fn confirm(gate: &mut Gate, policy: &Policy, baseline: &Baseline, suite: &Path) -> Result<(), Failure> {
    let mut cells: Vec<String> = gate.flagged().map(|row| row.cell.clone()).collect();
    cells.dedup();
    if cells.is_empty() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("again");
    for cell in &cells {
        let is_only = baseline.evidence.cells.len() == 1;
        Rerun {
            program: &std::env::current_exe()?,
            suite,
            sets: &[],
            filter: (!is_only).then_some(cell),
            out: &out,
        }
        .run()?;
    }
    let again = Evidence::read(&RunFolder::new(&out))?;
    Ok(gate.confirm(policy, &baseline.evidence, &again)?)
}
