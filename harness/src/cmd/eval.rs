//! `hitbench eval`: ranks given scores or embeddings under an exact protocol.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::embed::{self, EmbeddingArgs};
use super::failure::Failure;
use super::inputs::{InputArgs, option, switch};
use super::lists::ListArgs;
use super::output::OutputFile;
use super::progress::Pairs;
use super::report::print_places;
use super::show::ShowArgs;
use crate::eval::{
    Bank, EvalError, EvalRequest, Evaluated, EvaluatedLists, Given, Joined, Lists, Names, Notice, Post,
    Prepared, Retrieved, Shard, check_out, check_trec_ids, evaluate_lists, write_qrels, write_ranks,
    write_run, write_trec,
};
use crate::exit_code::ExitCode;
use crate::format::{Location, Matrix};
use crate::metric::{CaptionRule, MedianRule, Protocol, Resampling, Rules, TieRule, word};
use crate::part::Part;

/// How often intervals are resampled, and from which seed: every evaluation alike.
const RESAMPLING: Resampling = Resampling {
    seed: 0,
    resamples: 10_000,
};

/// Evaluates a similarity matrix, embeddings or ranked lists of any model: R@K, MdR, MnR and more, in both directions.
///
/// Files are .npy, .npz, safetensors, HDF5, pickled NumPy arrays (f16, f32, f64) or BigFile folders; FILE::NAME names an array in a
/// container. Rows of a similarity matrix are texts and its columns videos, and it is ranked in the type that it is
/// stored in. Without ids, row i belongs to column i.
///
/// A TREC run whose queries list every item, and have one true item each, is such a matrix. Other ranked lists answer
/// texts only (t2v): what a list leaves out is a miss for K up to the shortest list, and larger K are left out.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hitbench eval --sim sims.npy --protocol msrvtt-1ka\n  \
    hitbench eval --text embeds.npz::text --video embeds.npz::video --normalize --json\n  \
    hitbench eval --text coot.h5::par_emb --video coot.h5::vid_emb --text-ids coot.h5::key --video-ids coot.h5::key\n  \
    hitbench eval --sim sims.npy --text-ids captions.csv::caption_id --video-ids videos.txt --map captions-of.csv\n  \
    hitbench eval --sim sims.npy --format latex --write-trec run.txt --trec-depth 1000 --write-qrels qrels.txt\n  \
    hitbench eval --trec run.txt --qrels qrels.txt\n  \
    hitbench eval --predictions value.json --map captions-of.csv --video-ids videos.txt\n  \
    hitbench eval --checkpoint runs/quick/weights/TRIAL.safetensors --data data/other"
)]
pub struct EvalArgs {
    #[command(flatten)]
    inputs: InputArgs,
    #[command(flatten)]
    lists: ListArgs,
    /// Weights that `run --keep-weights` wrote (feature `torch`): the model embeds a test split, which is evaluated.
    #[arg(long, value_name = "FILE", group = "embeddings")]
    #[arg(conflicts_with_all = ["sim", "video", "text_ids", "video_ids", "map", "mask", "allow_missing"])]
    #[arg(conflicts_with_all = ["normalize", "trec", "predictions"])]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    embedding: EmbeddingArgs,
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
    /// Counts against part I of N of the videos only and leaves the counts in --out; `hitbench merge` puts all
    /// parts together to the same result, to the byte.
    #[arg(long, value_name = "I/N", requires = "out")]
    #[arg(conflicts_with_all = ["post", "format", "write_ranks", "write_trec", "write_qrels"])]
    shard: Option<Part>,
    /// Writes the counts of every query, both directions, as CSV: the ranks of a run folder.
    #[arg(long, value_name = "FILE")]
    write_ranks: Option<PathBuf>,
    /// Writes the ranking of t2v as a TREC run. Equal scores follow in gallery order; trec_eval orders them by item
    /// id, descending. Ids must have no blanks.
    #[arg(long, value_name = "FILE")]
    write_trec: Option<PathBuf>,
    /// Items a query in --write-trec; default all.
    #[arg(long, value_name = "K", requires = "write_trec", value_parser = clap::value_parser!(u32).range(1..))]
    trec_depth: Option<u32>,
    /// Writes which video belongs to which text as TREC judgments (qrels).
    #[arg(long, value_name = "FILE")]
    write_qrels: Option<PathBuf>,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for inputs that cannot be evaluated, 74 when something cannot be written.
pub fn run(args: &EvalArgs) -> Result<ExitCode, Failure> {
    let protocol = args.inputs.protocol()?;
    let files = Files::create(args)?;
    let (request, joined) = match args.asked(protocol)? {
        Asked::Scores { request, joined } => (*request, joined),
        Asked::Lists(lists) => {
            let found = args.evaluate_lists(lists, protocol)?;
            warn(&found.notices)?;
            args.show.print(&found)?;
            return Ok(ExitCode::Fine);
        }
    };
    match (&args.out, args.shard) {
        (Some(folder), Some(part)) => Shard::check_folder(folder, part)?,
        (Some(_), None) => check_out(&request)?,
        (None, _) => {}
    }
    args.check_ids(&request)?;
    let prepared = match joined {
        None => Prepared::new(request)?,
        Some(joined) => Prepared::joined(request, *joined)?,
    };
    let mut pairs = Pairs::new();
    if let (Some(part), Some(folder)) = (args.shard, &args.out) {
        let shard = Shard::count(&prepared, part, args.command(), &mut |progress| {
            pairs.show(progress)
        })?;
        let path = shard.write(folder)?;
        let mut out = super::console::stdout();
        if args.show.json {
            let (part, of) = (part.index(), part.of());
            let said = json!({"schema": "hitbench.eval-shard/1", "part": part, "of": of, "file": path});
            writeln!(out, "{said}")?;
        } else {
            writeln!(out, "shard {part}: {}", path.display())?;
        }
        return Ok(ExitCode::Fine);
    }
    let found = prepared.evaluate(&mut |progress| pairs.show(progress))?;
    drop(pairs);
    warn(&found.notices)?;
    files.write(args, &prepared, &found)?;
    let rendered = args
        .out
        .as_deref()
        .map(|folder| write_run(folder, &found, prepared.content_hash(), args.command()))
        .transpose()?;
    args.show.print(&found)?;
    if let Some(rendered) = rendered.filter(|_| args.show.for_people()) {
        print_places(&rendered)?;
    }
    Ok(ExitCode::Fine)
}

/// What is evaluated, read from its files.
enum Asked {
    /// Rows and columns, which may be brought together already.
    Scores {
        request: Box<EvalRequest>,
        joined: Option<Box<Joined>>,
    },
    /// Ranked lists.
    Lists(Lists),
}

fn warn(notices: &[Notice]) -> io::Result<()> {
    notices
        .iter()
        .try_for_each(|notice| writeln!(io::stderr(), "warning: {notice}"))
}

/// The files asked for, begun before the work so that it is not done in vain.
struct Files {
    ranks: Option<OutputFile>,
    trec: Option<OutputFile>,
    qrels: Option<OutputFile>,
}

impl Files {
    fn create(args: &EvalArgs) -> Result<Self, Failure> {
        let create = |path: &Option<PathBuf>| path.as_deref().map(OutputFile::create).transpose();
        Ok(Self {
            ranks: create(&args.write_ranks)?,
            trec: create(&args.write_trec)?,
            qrels: create(&args.write_qrels)?,
        })
    }

    fn write(self, args: &EvalArgs, prepared: &Prepared, found: &Evaluated) -> Result<(), Failure> {
        if let Some(file) = self.ranks {
            file.write(|out| write_ranks(found, out))?;
        }
        if let Some(file) = self.trec {
            let depth = args.trec_depth.map(|depth| depth as usize);
            file.write(|out| write_trec(prepared, depth, out))?;
        }
        if let Some(file) = self.qrels {
            file.write(|out| write_qrels(&found.joined, out))?;
        }
        Ok(())
    }
}

impl EvalArgs {
    /// Reads everything that the arguments name.
    fn asked(&self, protocol: Protocol) -> Result<Asked, Failure> {
        let (given, names, joined) = match (&self.checkpoint, self.lists.read(&self.inputs)?) {
            (_, Some(Retrieved::Lists(lists))) => return Ok(Asked::Lists(lists)),
            (_, Some(Retrieved::Scores(scores))) => {
                let (matrix, joined) = *scores;
                (Given::Scores(matrix), Names::default(), Some(Box::new(joined)))
            }
            (Some(checkpoint), None) => {
                let kernel = self.inputs.kernel();
                let (given, names) =
                    embed::given(checkpoint, &self.embedding, kernel, self.show.for_people())?;
                (given, names, None)
            }
            (None, None) => {
                let given = self.inputs.given()?.ok_or(EvalError::Usage {
                    problem: "nothing to evaluate",
                    remedy: "give --sim, --text and --video, --checkpoint, --trec and --qrels, or --predictions",
                })?;
                (given, self.inputs.names()?, None)
            }
        };
        Ok(Asked::Scores {
            request: Box::new(self.request(given, names, protocol)?),
            joined,
        })
    }

    /// Whether the ids can stand in the files asked for.
    fn check_ids(&self, request: &EvalRequest) -> Result<(), EvalError> {
        if self.write_trec.is_some() || self.write_qrels.is_some() {
            for (what, list) in [("text", &request.names.texts), ("video", &request.names.videos)] {
                check_trec_ids(what, list.as_ref().map_or(&[], |list| &list.ids))?;
            }
        }
        Ok(())
    }

    fn evaluate_lists(&self, lists: Lists, protocol: Protocol) -> Result<EvaluatedLists, EvalError> {
        let files = [&self.out, &self.write_ranks, &self.write_trec, &self.write_qrels];
        if files.iter().any(|file| file.is_some()) || self.captions.is_some() || self.post.is_some() {
            return Err(EvalError::Usage {
                problem: "--out, --write-..., --captions and --post need scores of all items, and this run has t2v only",
                remedy: "leave them out, or give a run in which every query lists every item and has one true item",
            });
        }
        evaluate_lists(lists, protocol, self.rules(protocol), self.resampling())
    }

    fn rules(&self, protocol: Protocol) -> Rules {
        let rules = protocol.rules();
        Rules {
            ties: self.ties.unwrap_or(rules.ties),
            captions: self.captions.unwrap_or(rules.captions),
            median: self.median.unwrap_or(rules.median),
            recall_at: if self.recall_at.is_empty() {
                rules.recall_at
            } else {
                self.recall_at.clone()
            },
        }
    }

    fn resampling(&self) -> Option<Resampling> {
        (!self.no_ci).then_some(RESAMPLING)
    }

    fn request(&self, given: Given, names: Names, protocol: Protocol) -> Result<EvalRequest, EvalError> {
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
        Ok(EvalRequest {
            given,
            names,
            protocol,
            rules: self.rules(protocol),
            post: self.post,
            bank,
            resampling: self.resampling(),
        })
    }

    /// The command that makes the same evaluation: what decides it, without where it is written.
    fn command(&self) -> Vec<String> {
        let mut words = vec!["hitbench".to_owned(), "eval".to_owned()];
        words.extend(self.inputs.words());
        words.extend(self.lists.words());
        words.extend(option(
            "checkpoint",
            self.checkpoint.as_ref().map(|path| path.display()).as_ref(),
        ));
        words.extend(self.embedding.words());
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
