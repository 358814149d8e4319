//! `hitbench embed`: embeddings of a test split by a trained model.

use std::path::{Path, PathBuf};

use clap::Args;
use hitbench_kernels::KernelId;

use super::failure::Failure;
use super::inputs::option;
use crate::eval::{Given, Names};
use crate::exit_code::ExitCode;

/// What a trained model embeds, and where it computes.
#[derive(Debug, Args)]
pub(super) struct EmbeddingArgs {
    /// With --checkpoint: data whose test split is embedded: a folder with `dataset.yaml`, a suite file, or a `data:` section
    /// in braces; default what the model was trained with.
    #[arg(long, value_name = "DATA", requires = "checkpoint")]
    data: Option<String>,
    /// With --checkpoint: where the model computes, cpu or cuda:N.
    #[arg(long, value_name = "DEVICE", default_value = "cpu", requires = "checkpoint")]
    device: String,
}

impl EmbeddingArgs {
    /// The arguments again, as words of a command line.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = option("data", self.data.as_ref());
        words.extend(option(
            "device",
            Some(&self.device).filter(|device| *device != "cpu"),
        ));
        words
    }
}

/// Embeds the test captions and videos of a data set with weights that `run --keep-weights` kept, and writes them for
/// other programs.
///
/// text.npy and video.npy hold a row a caption and a row a video, f32, in the order of captions.csv and videos.txt; the dot
/// product of two rows is the model's score. With two levels, semantic-... and feature-... hold those of each level alone.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hitbench run suites/quickstart.yaml --keep-weights --out runs/quick\n  \
    hitbench embed --checkpoint runs/quick/weights/TRIAL.safetensors --out embeddings\n  \
    hitbench embed --checkpoint TRIAL.safetensors --data data/other --out embeddings --json"
)]
pub struct EmbedArgs {
    /// The weights: a file that `run --keep-weights` wrote.
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,
    #[command(flatten)]
    embedding: EmbeddingArgs,
    /// Folder for the files: a new or empty one, or with an older export, which goes.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Prints one JSON object (schema hitbench.embed/1) on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for weights or data that cannot be used, 74 when a file cannot be written.
#[cfg(feature = "torch")]
pub fn run(args: &EmbedArgs) -> Result<ExitCode, Failure> {
    use std::io::Write;

    crate::embed::prepare(&args.out)?;
    let embedded = embedded(&args.checkpoint, &args.embedding)?;
    let exported = crate::embed::export(&embedded, &args.out)?;
    let mut out = super::console::stdout();
    if args.json {
        serde_json::to_writer(&mut out, &exported).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(ExitCode::Fine);
    }
    let file = |name: &str| args.out.join(name).display().to_string();
    let (n_texts, n_videos, dim) = (embedded.texts.n_rows, embedded.videos.n_rows, exported.dim);
    writeln!(
        out,
        "{}: {n_texts} captions and {n_videos} videos, {dim} columns: {}",
        said(&embedded),
        exported.files.join(", ")
    )?;
    writeln!(
        out,
        "hitbench eval --text {} --video {} --text-ids {captions}::text_id --video-ids {} --map {captions}",
        file("text.npy"),
        file("video.npy"),
        file("videos.txt"),
        captions = file("captions.csv"),
    )?;
    Ok(ExitCode::Fine)
}

/// Runs the command.
///
/// # Errors
/// [`Failure`]: this build cannot.
#[cfg(not(feature = "torch"))]
pub fn run(args: &EmbedArgs) -> Result<ExitCode, Failure> {
    Err(needs_libtorch(&args.checkpoint))
}

/// The rows of a model's captions and videos, and which belong together.
///
/// # Errors
/// As [`run`].
#[cfg(feature = "torch")]
pub(super) fn given(
    checkpoint: &Path,
    args: &EmbeddingArgs,
    kernel: KernelId,
    for_people: bool,
) -> Result<(Given, Names), Failure> {
    let embedded = embedded(checkpoint, args)?;
    if for_people {
        eprintln!("{}", said(&embedded));
    }
    Ok((embedded.given(kernel)?, embedded.names()?))
}

/// Which model embedded what: files of weights have the names of hashes.
#[cfg(feature = "torch")]
fn said(embedded: &crate::embed::Embedded) -> String {
    let (model, data) = (&embedded.model, &embedded.data.name);
    format!(
        "{} after {} steps, test split of {data}",
        model.trial, model.steps
    )
}

/// The rows of a model's captions and videos, and which belong together.
///
/// # Errors
/// As [`run`].
#[cfg(not(feature = "torch"))]
pub(super) fn given(
    checkpoint: &Path,
    _: &EmbeddingArgs,
    _: KernelId,
    _: bool,
) -> Result<(Given, Names), Failure> {
    Err(needs_libtorch(checkpoint))
}

#[cfg(feature = "torch")]
fn embedded(checkpoint: &Path, args: &EmbeddingArgs) -> Result<crate::embed::Embedded, Failure> {
    let data = args.data.as_deref();
    let data = data.map(|data| super::data::config(data, &[])).transpose()?;
    let mut bar = super::progress::Rows::new();
    let found = crate::embed::embed(checkpoint, data, &args.device, &mut |done, of| {
        bar.show(done, of);
    });
    drop(bar);
    let found = found?;
    if found.has_changed_data() {
        eprintln!(
            "warning: data set {} is no longer what the model was trained with",
            found.data.name
        );
    }
    Ok(found)
}

#[cfg(not(feature = "torch"))]
fn needs_libtorch(checkpoint: &Path) -> Failure {
    Failure::needs_libtorch(format!(
        "`{}` is the weights of a model, and this build of hitbench has no libtorch",
        checkpoint.display()
    ))
}
