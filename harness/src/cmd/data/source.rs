//! Which data set a command is about.

use crate::cmd::failure::Failure;
use crate::data::config::FolderConfig;
use crate::data::{DataConfig, DataError, Dataset};
use crate::exit_code::ExitCode;
use crate::suite::AnySuite;

/// A data set by suite, folder or section.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArgs {
    /// A suite file, a folder with `dataset.yaml`, or a `data:` section in braces.
    #[arg(value_name = "DATA")]
    data: String,
    /// Overrides a setting of the suite.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
}

/// A data set, and how much of it is read.
#[derive(Debug, clap::Args)]
pub(super) struct ReadArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// Leaves out features, which take long to read the first time.
    #[arg(long)]
    captions_only: bool,
}

impl ReadArgs {
    /// The data set, read to the last value.
    ///
    /// # Errors
    /// Those of the suite and of the data.
    pub(super) fn load(&self, config: &DataConfig) -> Result<Dataset, DataError> {
        match self.captions_only {
            true => Dataset::load_captions(config),
            false => load_checked(config),
        }
    }
}

/// A data set with features, every value of which is checked.
///
/// # Errors
/// Those of the data.
pub(super) fn load_checked(config: &DataConfig) -> Result<Dataset, DataError> {
    let data = Dataset::load(config)?;
    for features in data
        .videos
        .iter()
        .flat_map(|video| video.experts.iter().flatten())
    {
        features.rows.check()?;
    }
    Ok(data)
}

/// A suite that reads no data set.
#[derive(Debug, thiserror::Error)]
#[error("suite `{suite}` measures kernels and has no data set")]
struct NoData {
    suite: String,
}

impl SourceArgs {
    /// The configuration of the data set.
    ///
    /// # Errors
    /// Those of the suite.
    pub(super) fn config(&self) -> Result<DataConfig, Failure> {
        config(&self.data, &self.sets)
    }

    /// As the caller wrote it.
    pub(super) fn name(&self) -> &str {
        &self.data
    }
}

/// The configuration of a data set: of a suite file with overrides, of a folder with `dataset.yaml`, or as a `data:`
/// section in braces.
///
/// # Errors
/// Those of the suite.
pub(in crate::cmd) fn config(data: &str, sets: &[String]) -> Result<DataConfig, Failure> {
    let path = std::path::Path::new(data);
    if path.is_dir() && sets.is_empty() {
        return Ok(DataConfig::Folder(FolderConfig {
            path: path.to_owned(),
        }));
    }
    let suite = if data.trim_start().starts_with('{') {
        let text =
            format!("{{format: 1, name: data, version: 1, about: data alone, kind: ablation, data: {data}}}");
        AnySuite::parse("DATA", &text, sets)?
    } else {
        AnySuite::load(path, sets)?
    };
    match suite {
        AnySuite::Ablation(suite) => Ok(suite.cells[0].config.data.clone()),
        AnySuite::Throughput(suite) => {
            let error = NoData { suite: suite.name };
            Err(Failure::new(ExitCode::Input, "suite", error))
        }
    }
}
