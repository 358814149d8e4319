//! `hitbench data`: checks, shows, converts and packs data sets, generates one, audits a test set.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::source::SourceArgs;
#[cfg(feature = "torch")]
pub(super) use self::source::config;
use super::audit::{self, AuditArgs};
use super::console::stdout;
use super::failure::Failure;
use crate::data::config::SyntheticConfig;
use crate::data::folder::write_folder;
use crate::data::{DataConfig, DataError, Dataset, Summary};
use crate::exit_code::ExitCode;

mod check;
mod inspect;
mod pack;
mod source;

/// Checks a data set, shows what it holds, converts it to the folder format, packs its features, generates one, or audits a
/// test set.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hitbench data check suites/real/msrvtt-1ka.yaml\n  \
                  hitbench data inspect my-data\n  \
                  hitbench data synth --out my-data --videos 300 --test-videos 50\n  \
                  hitbench data audit --captions MSRVTT_JSFUSION_test.csv::sentence\n\n\
                  A data set is named by a suite file (whose data are meant; of several the first), by a folder with \
                  `dataset.yaml`, or by the `data:` section of a suite in braces:\n  \
                  hitbench data check '{msvd: {annotations: [data/MSVD], features: data/MSVD}}'"
)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DataCommand {
    Check(check::CheckArgs),
    Inspect(inspect::InspectArgs),
    Convert(ConvertArgs),
    Cache(pack::CacheArgs),
    Synth(SynthArgs),
    Audit(Box<AuditArgs>),
}

/// Writes a data set in the folder format, features as f32.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  hitbench data convert suites/real/msrvtt-1ka.yaml --out my-msrvtt")]
struct ConvertArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Folder to write; must not hold a data set yet.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON object (schema hitbench.data/1).
    #[arg(long)]
    json: bool,
}

/// Generates videos and writes them as an example of the folder format.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  hitbench data synth --out my-data --videos 300 --test-videos 50")]
struct SynthArgs {
    /// Folder to write; must not hold a data set yet.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Videos in all splits together.
    #[arg(long, value_name = "N", default_value_t = SyntheticConfig::default().videos)]
    videos: usize,
    /// Captions a video.
    #[arg(long, value_name = "N", default_value_t = SyntheticConfig::default().captions)]
    captions: usize,
    /// Test videos; the rest train.
    #[arg(long, value_name = "N", default_value_t = SyntheticConfig::default().test_videos)]
    test_videos: usize,
    /// Share of videos that are exact duplicates of another.
    #[arg(long, value_name = "SHARE", default_value_t = SyntheticConfig::default().duplicate_rate)]
    duplicate_rate: f64,
    /// Share of videos that differ from another in one detail only.
    #[arg(long, value_name = "SHARE", default_value_t = SyntheticConfig::default().near_duplicate_rate)]
    near_duplicate_rate: f64,
    /// Chance that a video lacks an expert.
    #[arg(long, value_name = "CHANCE", default_value_t = SyntheticConfig::default().absent_rate)]
    absent_rate: f64,
    /// Standard deviation of the noise on each feature.
    #[arg(long, value_name = "SD", default_value_t = SyntheticConfig::default().noise)]
    noise: f64,
    /// Seed of the whole data set.
    #[arg(long, value_name = "SEED", default_value_t = SyntheticConfig::default().seed)]
    seed: u64,
    /// Print one JSON object (schema hitbench.data/1).
    #[arg(long)]
    json: bool,
}

impl DataArgs {
    /// Whether the caller asked for JSON.
    pub fn json(&self) -> bool {
        match &self.command {
            DataCommand::Check(args) => args.json,
            DataCommand::Inspect(args) => args.json,
            DataCommand::Convert(args) => args.json,
            DataCommand::Cache(args) => args.json,
            DataCommand::Synth(args) => args.json,
            DataCommand::Audit(args) => args.json,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 when settings are impossible or something cannot be read, 74 when a folder or
/// standard output cannot be written.
pub fn run(args: &DataArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        DataCommand::Check(args) => return check::run(args),
        DataCommand::Inspect(args) => inspect::run(args)?,
        DataCommand::Convert(args) => convert(args)?,
        DataCommand::Cache(args) => pack::run(args)?,
        DataCommand::Synth(args) => synth(args)?,
        DataCommand::Audit(args) => audit::run(args)?,
    }
    Ok(ExitCode::Fine)
}

fn convert(args: &ConvertArgs) -> Result<(), Failure> {
    let data = Dataset::load(&args.source.config()?)?;
    write(&data, &args.out, args.json)
}

fn synth(args: &SynthArgs) -> Result<(), Failure> {
    let config = SyntheticConfig {
        videos: args.videos,
        captions: args.captions,
        test_videos: args.test_videos,
        duplicate_rate: args.duplicate_rate,
        near_duplicate_rate: args.near_duplicate_rate,
        absent_rate: args.absent_rate,
        noise: args.noise,
        seed: args.seed,
    };
    write(
        &Dataset::load(&DataConfig::Synthetic(config))?,
        &args.out,
        args.json,
    )
}

/// Writes a data set in the folder format and says what it holds.
fn write(data: &Dataset, folder: &Path, json: bool) -> Result<(), Failure> {
    write_folder(data, folder)?;
    inspect::say(&folder.display().to_string(), &Summary::of(data), json)
}

/// Prints one JSON object, or a text.
fn print<T: Serialize>(
    view: &T,
    json: bool,
    text: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = stdout();
    let written = match json {
        true => serde_json::to_writer(&mut out, view)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
        false => text(&mut out),
    };
    let written = written.map_err(|source| DataError::Write {
        path: "standard output".into(),
        source,
    });
    Ok(written?)
}

#[cfg(test)]
mod tests;
