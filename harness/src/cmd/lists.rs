//! Arguments that name ranked lists.

use std::path::PathBuf;

use clap::Args;

use super::inputs::{InputArgs, option};
use crate::eval::{EvalError, Retrieved, join_predictions, join_trec};
use crate::format::{Location, Predictions, Qrels, TrecRun};

/// Lists of the best videos of each text.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// TREC run: lines of `qid Q0 docid rank score tag`, queries are texts and items videos. The rank is not looked at,
    /// and equal scores tie by --ties, not by docid as in trec_eval.
    #[arg(long, value_name = "FILE", requires = "qrels")]
    #[arg(conflicts_with_all = ["predictions", "sim", "text", "text_ids", "map", "mask"])]
    trec: Option<PathBuf>,
    /// True items of a TREC run: lines of `qid 0 docid rel`, true where rel is above 0.
    #[arg(long, value_name = "FILE", requires = "trec")]
    qrels: Option<PathBuf>,
    /// Gallery indices from 0, or places in --video-ids, best first: JSON as VALUE has it, {"VR": [{"desc_id",
    /// "predictions"}]}, or CSV rows without a header, as MMT and Collaborative Experts write them. Rows without ids
    /// belong to the index of their number, or with --mask are those that it keeps.
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["sim", "text", "ties", "captions", "post"])]
    #[arg(conflicts_with_all = ["out", "write_ranks", "write_trec", "write_qrels"])]
    predictions: Option<PathBuf>,
}

impl ListArgs {
    /// Reads lists and what is true of them; `None` when none are named.
    pub(super) fn read(&self, inputs: &InputArgs) -> Result<Option<Retrieved>, EvalError> {
        if let Some(file) = &self.predictions {
            let predictions = Predictions::read(&Location::file(file))?;
            let lists = join_predictions(predictions, &inputs.read_names()?)?;
            return Ok(Some(Retrieved::Lists(lists)));
        }
        let (Some(run), Some(qrels)) = (&self.trec, &self.qrels) else {
            return Ok(None);
        };
        let names = inputs.read_names()?;
        let run = TrecRun::read(&Location::file(run))?;
        let qrels = Qrels::read(&Location::file(qrels))?;
        join_trec(run, &qrels, names.videos.as_ref(), names.allow_missing).map(Some)
    }

    /// The arguments again, as words of a command line.
    pub(super) fn words(&self) -> Vec<String> {
        let files = [
            ("trec", &self.trec),
            ("qrels", &self.qrels),
            ("predictions", &self.predictions),
        ];
        let words = files.map(|(name, file)| option(name, file.as_ref().map(|file| file.display()).as_ref()));
        words.concat()
    }
}
