//! `hitbench data`: writes a generated data set in the folder format, says what a folder holds, audits a test set.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::audit::{self, AuditArgs};
use super::console::stdout;
use super::failure::Failure;
use crate::data::config::{FolderConfig, SyntheticConfig};
use crate::data::folder::write_folder;
use crate::data::{DataConfig, DataError, Dataset, Split};

/// Writes generated data in the folder format, shows what a folder holds and what is missing in it, or audits a
/// test set.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hitbench data synth --out my-data --videos 300 --test-videos 50\n  \
                        hitbench data show my-data\n  \
                        hitbench data audit --captions MSRVTT_JSFUSION_test.csv::sentence"
)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DataCommand {
    /// Generates videos and writes them as an example of the folder format.
    #[command(after_help = "Example:\n  hitbench data synth --out my-data --videos 300 --test-videos 50")]
    Synth(SynthArgs),
    /// Reads a folder, checks every value, and says what it holds and what is missing.
    #[command(after_help = "Example:\n  hitbench data show my-data")]
    Show(ShowArgs),
    Audit(Box<AuditArgs>),
}

#[derive(Debug, clap::Args)]
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

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Folder with `dataset.yaml`.
    folder: PathBuf,
    /// Print one JSON object (schema hitbench.data/1).
    #[arg(long)]
    json: bool,
}

impl DataArgs {
    /// Whether the caller asked for JSON.
    pub fn json(&self) -> bool {
        match &self.command {
            DataCommand::Synth(args) => args.json,
            DataCommand::Show(args) => args.json,
            DataCommand::Audit(args) => args.json,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 when settings are impossible or something cannot be read, 74 when a folder or
/// standard output cannot be written.
pub fn run(args: &DataArgs) -> Result<(), Failure> {
    match &args.command {
        DataCommand::Synth(args) => synth(args)?,
        DataCommand::Show(args) => show(args)?,
        DataCommand::Audit(args) => audit::run(args)?,
    }
    Ok(())
}

fn synth(args: &SynthArgs) -> Result<(), DataError> {
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
    let data = Dataset::load(&DataConfig::Synthetic(config))?;
    write_folder(&data, &args.out)?;
    say(&data, &args.out, args.json)
}

fn show(args: &ShowArgs) -> Result<(), DataError> {
    let config = FolderConfig {
        path: args.folder.clone(),
    };
    say(
        &Dataset::load(&DataConfig::Folder(config))?,
        &args.folder,
        args.json,
    )
}

/// Prints what a data set holds.
fn say(data: &Dataset, folder: &Path, json: bool) -> Result<(), DataError> {
    let holdings = Holdings::of(data, folder.display().to_string());
    print(&holdings, json).map_err(|source| DataError::Write {
        path: "standard output".into(),
        source,
    })
}

fn print(holdings: &Holdings, json: bool) -> io::Result<()> {
    let mut out = stdout();
    if json {
        serde_json::to_writer(&mut out, holdings)?;
        return writeln!(out);
    }
    write!(out, "{holdings}")
}

/// What a data set holds.
#[derive(Debug, Serialize)]
struct Holdings {
    schema: &'static str,
    folder: String,
    name: String,
    about: String,
    content_hash: String,
    splits: Vec<SplitHoldings>,
    experts: Vec<ExpertHoldings>,
    videos_without_features: usize,
    features_without_times: usize,
    videos_without_captions: usize,
    videos_without_split: usize,
}

#[derive(Debug, Serialize)]
struct SplitHoldings {
    name: &'static str,
    n_videos: usize,
    n_captions: usize,
}

#[derive(Debug, Serialize)]
struct ExpertHoldings {
    name: String,
    dim: usize,
    n_rows: usize,
    videos_without: usize,
}

impl Holdings {
    fn of(data: &Dataset, folder: String) -> Self {
        let splits = Split::ALL.map(|split| SplitHoldings {
            name: split.name(),
            n_videos: data.splits.of(split).len(),
            n_captions: data.split_captions(split).len(),
        });
        let experts = data.experts.iter().enumerate().map(|(expert, spec)| {
            let present = data
                .videos
                .iter()
                .filter_map(|video| video.experts[expert].as_ref());
            ExpertHoldings {
                name: spec.name.clone(),
                dim: spec.dim,
                n_rows: present.map(|features| features.rows.n_rows(spec.dim)).sum(),
                videos_without: data.gaps.videos_without_expert[expert],
            }
        });
        Self {
            schema: "hitbench.data/1",
            folder,
            name: data.name.clone(),
            about: data.about.clone(),
            content_hash: data.content_hash.clone(),
            splits: splits.into(),
            experts: experts.collect(),
            videos_without_features: data.gaps.videos_without_features,
            features_without_times: data.gaps.features_without_times,
            videos_without_captions: data.gaps.videos_without_captions,
            videos_without_split: data.gaps.videos_without_split,
        }
    }
}

impl fmt::Display for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.folder, self.name)?;
        writeln!(f, "{}\n", self.about)?;
        for split in &self.splits {
            let SplitHoldings {
                name,
                n_videos,
                n_captions,
            } = split;
            writeln!(f, "{name:<6} {n_videos:>8} videos {n_captions:>9} captions")?;
        }
        writeln!(f)?;
        for expert in &self.experts {
            let ExpertHoldings {
                name,
                dim,
                n_rows,
                videos_without,
            } = expert;
            writeln!(
                f,
                "{name:<12} {dim:>6} dim {n_rows:>9} rows {videos_without:>8} videos without"
            )?;
        }
        let gaps = [
            (
                self.videos_without_features,
                "videos without any features (kept in the gallery)",
            ),
            (
                self.features_without_times,
                "times an expert's features have no times (position \"unknown\")",
            ),
            (
                self.videos_without_captions,
                "videos without a caption (kept in the gallery, never a query)",
            ),
            (
                self.videos_without_split,
                "videos with captions but in no split (left out)",
            ),
        ];
        writeln!(f)?;
        for (count, what) in gaps.into_iter().filter(|&(count, _)| count > 0) {
            writeln!(f, "{count} {what}")?;
        }
        writeln!(f, "content hash {}", self.content_hash)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::exit_code::ExitCode;

    fn parse(arguments: &[&str]) -> DataArgs {
        let command = DataArgs::augment_args(Command::new("data"));
        let matches = command.try_get_matches_from(std::iter::once("data").chain(arguments.iter().copied()));
        DataArgs::from_arg_matches(&matches.unwrap()).unwrap()
    }

    #[test]
    fn what_is_written_is_what_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("set");
        let out = out.to_str().unwrap();
        run(&parse(&[
            "synth",
            "--out",
            out,
            "--videos",
            "20",
            "--test-videos",
            "5",
            "--json",
        ]))
        .unwrap();
        let read = Dataset::load(&DataConfig::Folder(FolderConfig { path: out.into() })).unwrap();
        let config = SyntheticConfig {
            videos: 20,
            test_videos: 5,
            ..SyntheticConfig::default()
        };
        let made = Dataset::load(&DataConfig::Synthetic(config)).unwrap();
        let [read, made] = [&read, &made].map(|data| Holdings::of(data, String::new()));
        assert_eq!(
            serde_json::to_string(&read).unwrap(),
            serde_json::to_string(&made).unwrap()
        );
        assert!(
            made.to_string()
                .contains("train        15 videos        30 captions"),
            "{made}"
        );
        run(&parse(&["show", out])).unwrap();
    }

    #[test]
    fn impossible_settings_are_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("set");
        let args = parse(&["synth", "--out", out.to_str().unwrap(), "--test-videos", "0"]);
        let failure = run(&args).unwrap_err();
        assert_eq!((failure.code, failure.reason), (ExitCode::Input, "data"));
        assert!(failure.to_text().contains("test_videos"), "{}", failure.to_text());
        assert!(!out.exists());
    }
}
