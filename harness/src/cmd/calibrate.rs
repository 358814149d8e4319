//! `hitbench calibrate`: identical runs against each other.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use comfy_table::CellAlignment;
use hitbench_reports::RunFolder;
use hitbench_reports::record::replace_file;
use serde::Serialize;

use super::console::{stdout, table};
use super::failure::Failure;
use super::gate::policy;
use super::rerun::Rerun;
use super::stop;
use crate::exit_code::ExitCode;
use crate::gate::calibrate::{Calibration, FEWEST_RUNS};
use crate::gate::{Evidence, GateError, GateMetric};
use crate::suite::AnySuite;

/// Runs a suite several times and says how much identical runs differ on this machine: the noise floor of every row of a
/// policy, the margins that it calls for, and how often the gate raised a false alarm.
///
/// Trainings get other seeds in every run, as a new training would. A stopped command goes on where it was.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hitbench calibrate suites/ci/kernels.yaml --policy kernels.yaml --runs 10 \
    --out runs/calibration --to kernels.calibration.json"
)]
pub struct CalibrateArgs {
    /// The suite file.
    suite: PathBuf,
    /// The policy; default is what the suite names under `gate`.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How often the suite is run, at least 4; every two runs are a pair for the rate of false alarms.
    #[arg(long, value_name = "N", default_value_t = 8)]
    runs: usize,
    /// Folder of the runs.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The calibration file, for the policy's `calibration`.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Prints one JSON object (schema hitbench.calibration/1) on standard output.
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct WireCalibration<'a> {
    schema: &'static str,
    #[serde(flatten)]
    calibration: &'a Calibration,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for a suite or policy that cannot be used, 3 when the folder holds runs of another build
/// or machine, 5 when a run fails, 74 when a file cannot be written, 75 when it is stopped.
pub fn run(args: &CalibrateArgs) -> Result<ExitCode, Failure> {
    if args.runs < FEWEST_RUNS {
        return Err(Failure::message(
            ExitCode::Input,
            "too-few-runs",
            format!("{} runs say little about how much runs differ", args.runs),
            "give --runs 4 or more",
        ));
    }
    let stop = stop::on_signals();
    let suite = AnySuite::load(&args.suite, &[])?;
    let policy = policy(args.policy.as_deref(), || Ok(suite.gate().map(PathBuf::from)))?;
    policy.check_suite(&suite)?;
    let program = std::env::current_exe()?;
    let mut runs = Vec::with_capacity(args.runs);
    for index in 0..args.runs {
        let out = args.out.join(format!("run-{:02}", index + 1));
        // Whoever waits wants to know how far it is; a closed pipe is no reason to stop.
        let _ = writeln!(io::stderr(), "run {} of {}", index + 1, args.runs);
        Rerun {
            program: &program,
            suite: &args.suite,
            sets: &seeds(&suite, index),
            filter: None,
            out: &out,
            stop: &stop,
        }
        .run()?;
        runs.push(Evidence::read(&RunFolder::new(&out))?);
    }
    let calibration = Calibration::new(&policy, &runs)?;
    if let Some(path) = &args.to {
        replace_file(path, calibration.to_text().as_bytes()).map_err(GateError::from)?;
    }
    let mut out = stdout();
    if args.json {
        let wire = WireCalibration {
            schema: "hitbench.calibration/1",
            calibration: &calibration,
        };
        serde_json::to_writer(&mut out, &wire).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        print(&calibration, &mut out)?;
    }
    Ok(ExitCode::Fine)
}

/// Seeds that no other run has; a suite of kernels has none.
fn seeds(suite: &AnySuite, index: usize) -> Vec<String> {
    match suite {
        AnySuite::Ablation(suite) => {
            let n = suite.seeds.len();
            let own = (n * index..n * (index + 1)).map(|seed| seed.to_string());
            vec![format!("seeds=[{}]", own.collect::<Vec<_>>().join(", "))]
        }
        AnySuite::Throughput(_) => Vec::new(),
    }
}

fn print(calibration: &Calibration, out: &mut impl Write) -> io::Result<()> {
    let Calibration {
        suite,
        n_runs,
        fingerprint,
        cpu_model,
        ..
    } = calibration;
    writeln!(
        out,
        "{}, version {}: {n_runs} identical runs on machine {fingerprint} ({})\n",
        suite.name,
        suite.version,
        cpu_model.as_deref().unwrap_or("an unknown CPU")
    )?;
    let mut rows = table(
        ["row", "cell", "metric", "noise floor", "recommended", "margin"],
        CellAlignment::Left,
    );
    for row in &calibration.rows {
        let is_share = row.metric.parse::<GateMetric>().is_ok_and(GateMetric::is_share);
        let is_rank = row.metric.ends_with("mean_rank");
        let floor = match (is_share, is_rank) {
            (true, _) => format!("{:.2}pt", 100.0 * row.floor),
            (_, true) => format!("{:.2} ranks", row.floor),
            _ => format!("{:.2}%", 100.0 * row.floor),
        };
        rows.add_row([
            row.id.clone(),
            row.cell.clone(),
            row.metric.clone(),
            floor,
            row.recommended.clone(),
            row.margin.clone(),
        ]);
    }
    writeln!(out, "{}", rows.trim_fmt())?;
    let alarms = calibration.false_alarms;
    writeln!(
        out,
        "\nfalse alarms under the policy's margins: {} of {} pairs, 95 % interval of the rate {:.1} % to {:.1} %",
        alarms.n_false,
        alarms.n_pairs,
        100.0 * alarms.ci95[0],
        100.0 * alarms.ci95[1]
    )
}
