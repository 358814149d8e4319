//! `hitbench run`: trains and evaluates, or measures, a suite into a run folder.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::failure::Failure;
use super::stop;
use crate::exit_code::ExitCode;
use crate::part::Part;
use crate::suite::{AnySuite, Suite};

/// Does what of a suite is not recorded yet (trains and evaluates trials, or verifies and times kernels), then writes
/// tables and plots.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hitbench run suites/quickstart.yaml\n  \
    hitbench run suites/quickstart.yaml --set seeds=[0] --filter hierarchy=both --out runs/one-seed\n  \
    hitbench run suites/throughput/similarity.yaml\n  \
    hitbench run suites/quickstart.yaml --shard 1/4   # and 2/4 to 4/4 elsewhere, then `hitbench merge`")]
pub struct RunArgs {
    /// The suite file.
    pub(super) suite: PathBuf,
    /// Overrides a setting; on an axis it takes a list and replaces the axis.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(super) sets: Vec<String>,
    /// Runs only trials (of a throughput suite: cells) whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub(super) filter: Option<String>,
    /// Trains part I of N of the trials only, in `shards/I-of-N` of the run folder; `hitbench merge` puts all parts
    /// together. Trials are dealt out in turns, so that every part takes about equally long.
    #[arg(long, value_name = "I/N")]
    pub(super) shard: Option<Part>,
    /// Run folder; default `runs/NAME-ID`.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Stops at the first trial that fails, or kernel that is wrong.
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// Keeps the weights of each trial that is trained as `weights/TRIAL.safetensors`, for `eval --checkpoint`, `embed` and
    /// `train.init_from`.
    #[arg(long)]
    pub(super) keep_weights: bool,
    /// Prints one JSON object (schema hitbench.run/1) on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for a suite or data that cannot be used, 74 when a file cannot be written, 75 when it is
/// stopped before it has a run folder.
pub fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let stop = stop::on_signals();
    match AnySuite::load(&args.suite, &args.sets)? {
        AnySuite::Ablation(suite) => train(args, &suite, &stop),
        AnySuite::Throughput(suite) => super::measure::measure(args, &suite, &stop),
    }
}

#[cfg(not(feature = "torch"))]
fn train(_: &RunArgs, suite: &Suite, _: &AtomicBool) -> Result<ExitCode, Failure> {
    Err(Failure::needs_libtorch(format!(
        "suite `{}` trains a model, and this build of hitbench has no libtorch",
        suite.name
    )))
}

#[cfg(feature = "torch")]
fn train(args: &RunArgs, suite: &Suite, stop: &AtomicBool) -> Result<ExitCode, Failure> {
    super::train::train(args, suite, stop)
}
