//! `hitbench eval`: ranks given scores or embeddings under an exact protocol.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::inputs::{InputArgs, option, switch};
use crate::eval::{Bank, EvalError, EvalReport, EvalRequest, Post, check_out, evaluate, table, write_run};
use crate::exit_code::ExitCode;
use crate::format::{Location, Matrix};
use crate::metric::{CaptionRule, MedianRule, Resampling, Rules, TieRule, word};

/// How often intervals are resampled, and from which seed: every evaluation alike.
const RESAMPLING: Resampling = Resampling {
    seed: 0,
    resamples: 10_000,
};

/// Evaluates a similarity matrix or embeddings of any model: R@K, MdR, MnR and more, in both directions.
///
/// Files are .npy, .npz or safetensors (f16, f32, f64); FILE::NAME names an array in a container. Rows of a
/// similarity matrix are texts and its columns videos, and it is ranked in the type that it is stored in. Without
/// ids, row i belongs to column i.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hitbench eval --sim sims.npy --protocol msrvtt-1ka\n  \
    hitbench eval --text embeds.npz::text --video embeds.npz::video --normalize --json\n  \
    hitbench eval --sim sims.npy --text-ids captions.csv::caption_id --video-ids videos.txt --map captions-of.csv"
)]
pub struct EvalArgs {
    #[command(flatten)]
    inputs: InputArgs,
    /// How equal scores become a rank; default that of the protocol.
    #[arg(long, value_name = "RULE")]
    ties: Option<TieRule>,
    /// How several captions of a video count in v2t; default that of the protocol.
    #[arg(long, value_name = "RULE")]
    captions: Option<CaptionRule>,
    /// Median of an even number of ranks; default that of the protocol.
    #[arg(long, value_name = "RULE")]
    median: Option<MedianRule>,
    /// Cut-offs of R@K; default those of the protocol.
    #[arg(long, value_name = "K,...", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    recall_at: Vec<u64>,
    /// Changes scores first: dsl, dsl:temperature=T, qbnorm or qbnorm:beta=B,k=K. Becomes part of the protocol's
    /// name; holds a matrix of all scores in memory.
    #[arg(long, value_name = "NAME")]
    post: Option<Post>,
    /// For --post qbnorm: scores of training captions (rows) with the test videos (columns).
    #[arg(long, value_name = "FILE", requires = "post")]
    bank: Option<Location>,
    /// For --post qbnorm in v2t: scores of the test captions (rows) with training videos (columns).
    #[arg(long, value_name = "FILE", requires = "bank")]
    bank_v2t: Option<Location>,
    /// Leaves out the bootstrap intervals.
    #[arg(long)]
    no_ci: bool,
    /// Writes a run folder of one trial.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Prints one JSON object (schema hitbench.eval/1).
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for inputs that cannot be evaluated, 74 when something cannot be written.
pub fn run(args: &EvalArgs) -> Result<ExitCode, Failure> {
    let request = args.request()?;
    if args.out.is_some() {
        check_out(&request)?;
    }
    let found = evaluate(request)?;
    for notice in &found.notices {
        writeln!(io::stderr(), "warning: {notice}")?;
    }
    let rendered = args
        .out
        .as_deref()
        .map(|folder| write_run(folder, &found, args.command()))
        .transpose()?;
    let mut out = super::console::stdout();
    if args.json {
        serde_json::to_writer(&mut out, &EvalReport::from(&found)).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(ExitCode::Fine);
    }
    write!(out, "{}", table(&found))?;
    if let Some(rendered) = rendered {
        writeln!(out, "report: {}", rendered.report.display())?;
    }
    Ok(ExitCode::Fine)
}

impl EvalArgs {
    /// Reads everything that the arguments name.
    fn request(&self) -> Result<EvalRequest, EvalError> {
        let protocol = self.inputs.protocol()?;
        let rules = protocol.rules();
        let rules = Rules {
            ties: self.ties.unwrap_or(rules.ties),
            captions: self.captions.unwrap_or(rules.captions),
            median: self.median.unwrap_or(rules.median),
            recall_at: if self.recall_at.is_empty() {
                rules.recall_at
            } else {
                self.recall_at.clone()
            },
        };
        let bank = match (self.post, &self.bank) {
            (Some(Post::QbNorm { .. }), Some(bank)) => Some(Bank {
                t2v: Matrix::read(bank)?,
                v2t: self.bank_v2t.as_ref().map(Matrix::read).transpose()?,
            }),
            (Some(Post::Dsl { .. }), Some(_)) => {
                return Err(EvalError::Usage {
                    problem: "--post dsl uses no --bank",
                    remedy: "leave --bank out, or say --post qbnorm",
                });
            }
            _ => None,
        };
        let given = self.inputs.given()?.ok_or(EvalError::Usage {
            problem: "nothing to evaluate",
            remedy: "give --sim, or --text and --video",
        })?;
        Ok(EvalRequest {
            given,
            names: self.inputs.names()?,
            protocol,
            rules,
            post: self.post,
            bank,
            resampling: (!self.no_ci).then_some(RESAMPLING),
        })
    }

    /// The command that makes the same evaluation: what decides it, without where it is written.
    fn command(&self) -> Vec<String> {
        let mut words = vec!["hitbench".to_owned(), "eval".to_owned()];
        words.extend(self.inputs.words());
        words.extend(option("bank", self.bank.as_ref()));
        words.extend(option("bank-v2t", self.bank_v2t.as_ref()));
        words.extend(option("ties", self.ties.as_ref().map(word).as_ref()));
        words.extend(option("captions", self.captions.as_ref().map(word).as_ref()));
        words.extend(option("median", self.median.as_ref().map(word).as_ref()));
        let cuts: Vec<String> = self.recall_at.iter().map(ToString::to_string).collect();
        words.extend(option(
            "recall-at",
            (!cuts.is_empty()).then(|| cuts.join(",")).as_ref(),
        ));
        words.extend(option("post", self.post.as_ref()));
        words.extend(switch("no-ci", self.no_ci));
        words
    }
}
