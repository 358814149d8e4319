//! `hitbench gate`: a run against a baseline, or a build against another, under a policy.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::Args;
use hitbench_reports::RunFolder;

use self::exports::ExportArgs;
use super::console::stdout;
use super::failure::Failure;
use super::rerun::Rerun;
use super::stop;
use crate::exit_code::ExitCode;
use crate::gate::ab::FEWEST_BLOCKS;
use crate::gate::calibrate::Calibration;
use crate::gate::{self, Baseline, Evidence, Gate, GateReport, Policy, SideReport, explanation, table};
use crate::machine;
use crate::suite::AnySuite;

mod ab;
mod exports;

/// Holds a run against a blessed baseline, or a build against another, and says row by row what got worse, what did not,
/// and what cannot be told.
///
/// Exit code 1 when a row regressed, 3 when rows do not compare and the policy says fail, 4 when rows are inconclusive
/// and the policy says fail; the lowest wins.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hitbench gate --run runs/smoke-1a2b3c4d\n  \
    hitbench gate --baseline kernels.json --run runs/kernels-1a2b3c4d --policy kernels.yaml \
    --confirm suites/ci/kernels.yaml\n  \
    hitbench gate --ab old/hitbench new/hitbench suites/ci/kernels.yaml --policy kernels.yaml")]
pub struct GateArgs {
    /// The baseline file, made by `hitbench bless`; default is the one that the policy names.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// The run folder.
    #[arg(long, value_name = "DIR", required_unless_present = "ab")]
    run: Option<PathBuf>,
    /// The policy; default is what the suite names under `gate`.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The suite of the run: its cells whose throughput regressed are measured again, and stay regressed only if the new
    /// samples alone say so too.
    #[arg(long, value_name = "SUITE")]
    confirm: Option<PathBuf>,
    /// Two builds of hitbench and a suite: runs them in turns (old, new, new, old), each in a process of its own, and
    /// judges the policy's throughput rows by the differences within these blocks.
    #[arg(long, num_args = 3, value_names = ["OLD", "NEW", "SUITE"], conflicts_with_all = ["baseline", "run", "confirm"])]
    ab: Option<Vec<PathBuf>>,
    /// Most blocks of --ab, at least 3; it stops earlier once every row is decided.
    #[arg(long, value_name = "N", default_value_t = 8, requires = "ab",
        value_parser = clap::value_parser!(u64).range(FEWEST_BLOCKS as u64..))]
    blocks: u64,
    /// Keeps the runs of --ab here; a stopped command goes on from them.
    #[arg(long, value_name = "DIR", requires = "ab")]
    out: Option<PathBuf>,
    /// Says too what each row can detect with these data, seeds and processes.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    exports: ExportArgs,
    /// Prints one JSON object (schema hitbench.gate/1) on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for files that cannot be used, 3 for another suite or version of it, 5 when a suite cannot
/// be run, 74 when a file cannot be written, 75 when --ab or --confirm is stopped.
pub fn run(args: &GateArgs) -> Result<ExitCode, Failure> {
    let (gate, report) = match (&args.ab, &args.run) {
        (Some(ab), _) => ab::gate(args, [&ab[0], &ab[1]], &ab[2])?,
        (None, Some(run)) => against_baseline(args, run)?,
        (None, None) => unreachable!("the command line asks for a run"),
    };
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
    out.flush()?;
    // Last: whoever cannot have the files has the verdict.
    args.exports.write(&report)?;
    Ok(gate.conclusion().0)
}

fn against_baseline(args: &GateArgs, run: &Path) -> Result<(Gate, GateReport), Failure> {
    // Without new samples nothing is worth waiting for, and a signal may end the process.
    let confirmation = args.confirm.as_deref().map(|suite| (suite, stop::on_signals()));
    let folder = RunFolder::new(run);
    let policy = policy(args.policy.as_deref(), || {
        Ok(folder.run()?.suite.gate.map(PathBuf::from))
    })?;
    let named = args.baseline.as_deref().or(policy.baseline.as_deref());
    let path = named.ok_or_else(|| {
        Failure::message(
            ExitCode::Input,
            "no-baseline",
            format!("`{}` names no `baseline`", policy.file),
            "give one with --baseline; `hitbench bless` makes it",
        )
    })?;
    let baseline = Baseline::load(path)?;
    let evidence = Evidence::read(&folder)?;
    if let Some((suite, _)) = &confirmation {
        evidence.check_suite(suite, &AnySuite::load(suite, &[])?)?;
    }
    let calibration = calibration(&policy)?;
    let mut gate = gate::gate(&policy, &baseline.evidence, &evidence)?;
    if let Some((suite, stop)) = &confirmation {
        let here = machine::tool()?.build_id;
        if here != evidence.tool.build_id {
            return Err(Failure::message(
                ExitCode::NotComparable,
                "other-build",
                format!(
                    "build {} made the run, and this is {here}: new samples would be of another program",
                    evidence.tool.build_id
                ),
                "confirm with the program that made the run",
            ));
        }
        confirm(&mut gate, &policy, &baseline, suite, stop)?;
    }
    let sides = [
        SideReport::of_baseline(path, &baseline),
        SideReport::new(run, &evidence),
    ];
    let mut report = GateReport::new(&gate, &policy, &evidence.suite, sides);
    report.warnings = calibration.map_or(Vec::new(), |found| found.warnings(&policy, &baseline.evidence));
    Ok((gate, report))
}

/// The calibration that the policy names, if it does.
fn calibration(policy: &Policy) -> Result<Option<Calibration>, Failure> {
    let named = policy.calibration.as_deref();
    Ok(named.map(Calibration::load).transpose()?)
}

/// The policy given, or else the one that the suite names.
pub(super) fn policy(
    given: Option<&Path>,
    of_suite: impl FnOnce() -> Result<Option<PathBuf>, Failure>,
) -> Result<Policy, Failure> {
    let named = match given {
        Some(path) => path.to_owned(),
        None => of_suite()?.ok_or_else(|| {
            Failure::message(
                ExitCode::Input,
                "no-policy",
                "the suite names no policy under `gate`".to_owned(),
                "give one with --policy; `hitbench schema policy` describes it",
            )
        })?,
    };
    // Tools that read the exports know files by their path from where they stand.
    let here = std::env::current_dir()?;
    let short = named.strip_prefix(&here).unwrap_or(&named);
    Ok(Policy::load(short).map_err(gate::GateError::from)?)
}

/// Measures the flagged cells again.
fn confirm(
    gate: &mut Gate,
    policy: &Policy,
    baseline: &Baseline,
    suite: &Path,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let cells: BTreeSet<&str> = gate.flagged().map(|row| row.cell.as_str()).collect();
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
            filter: (!is_only).then_some(*cell),
            out: &out,
            stop,
        }
        .run()?;
    }
    let again = Evidence::read(&RunFolder::new(&out))?;
    Ok(gate.confirm(policy, &baseline.evidence, &again)?)
}
