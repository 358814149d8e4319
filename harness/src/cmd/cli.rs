//! The subcommands and what they share.

use clap::{Parser, Subcommand};

use super::failure::Failure;
use super::{
    baseline, bless, calibrate, compare, completions, data, diff, doctor, embed, eval, gate, measure_cells,
    merge, plan, protocols, report, run, schema, status, verify,
};
use crate::exit_code::ExitCode;

/// Benchmark and evaluation harness for video-text retrieval with HiT.
///
/// Exit codes: 0 fine; 1 a check failed; 2 usage, configuration or input; 3 not comparable; 4 inconclusive
/// and the policy says fail; 5 some trials failed; 74 could not write; 75 stopped by a signal, run again to resume.
#[derive(Debug, Parser)]
#[command(
    name = "hitbench",
    version,
    after_help = "Example:\n  hitbench run suites/quickstart.yaml"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Plan(plan::PlanArgs),
    Run(run::RunArgs),
    Status(status::StatusArgs),
    Report(report::ReportArgs),
    Verify(verify::VerifyArgs),
    Eval(Box<eval::EvalArgs>),
    Embed(embed::EmbedArgs),
    Merge(merge::MergeArgs),
    Diff(diff::DiffArgs),
    Bless(bless::BlessArgs),
    Baseline(baseline::BaselineArgs),
    Gate(Box<gate::GateArgs>),
    Calibrate(calibrate::CalibrateArgs),
    Compare(compare::CompareArgs),
    Protocols(protocols::ProtocolsArgs),
    Data(data::DataArgs),
    Schema(schema::SchemaArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    MeasureCells(measure_cells::MeasureCellsArgs),
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// [`Failure`] with the exit code and the text to print.
    pub fn run(&self) -> Result<ExitCode, Failure> {
        match &self.command {
            Command::Plan(args) => plan::run(args).map(|()| ExitCode::Fine).map_err(Failure::from),
            Command::Run(args) => run::run(args),
            Command::Status(args) => status::run(args),
            Command::Report(args) => report::run(args),
            Command::Verify(args) => verify::run(args),
            Command::Eval(args) => eval::run(args),
            Command::Embed(args) => embed::run(args),
            Command::Merge(args) => merge::run(args),
            Command::Diff(args) => diff::run(args),
            Command::Bless(args) => bless::run(args),
            Command::Baseline(args) => baseline::run(args).map(|()| ExitCode::Fine),
            Command::Gate(args) => gate::run(args),
            Command::Calibrate(args) => calibrate::run(args),
            Command::Compare(args) => compare::run(args),
            Command::Protocols(args) => protocols::run(args)
                .map(|()| ExitCode::Fine)
                .map_err(Failure::from),
            Command::Data(args) => data::run(args),
            Command::Schema(args) => schema::run(args).map(|()| ExitCode::Fine).map_err(Failure::from),
            Command::Doctor(args) => doctor::run(args).map(|()| ExitCode::Fine).map_err(Failure::from),
            Command::Completions(args) => completions::run(args)
                .map(|()| ExitCode::Fine)
                .map_err(Failure::from),
            Command::MeasureCells(_) => measure_cells::run(),
        }
    }

    /// Whether the caller asked for JSON.
    pub fn json(&self) -> bool {
        match &self.command {
            Command::Plan(args) => args.json,
            Command::Run(args) => args.json,
            Command::Status(args) => args.json,
            Command::Report(args) => args.json,
            Command::Verify(args) => args.json,
            Command::Eval(args) => args.show.json,
            Command::Embed(args) => args.json,
            Command::Merge(args) => args.show.json,
            Command::Diff(args) => args.json,
            Command::Bless(args) => args.json,
            Command::Baseline(args) => args.json(),
            Command::Gate(args) => args.json,
            Command::Calibrate(args) => args.json,
            Command::Compare(args) => args.json,
            Command::Protocols(args) => args.json,
            Command::Data(args) => args.json(),
            Command::Doctor(args) => args.json,
            Command::Schema(_) | Command::Completions(_) | Command::MeasureCells(_) => false,
        }
    }
}
