//! `hitbench data audit`: what is wrong with a test set, or with embeddings or scores of it.

use std::io::{self, Write};

use super::failure::Failure;
use super::inputs::InputArgs;
use crate::audit::{AuditError, AuditRequest, CaptionTable, NEAR, audit, text};
use crate::eval::EvalError;
use crate::format::Location;

/// Says what makes R@K of a test set doubtful: duplicates, rows without information, ties.
///
/// Takes scores or embeddings as `hitbench eval` does, captions, or both. Says for each finding what it means, and
/// what R@K would be if duplicates counted as found. Findings are no failure: the exit code is 0 when the audit
/// could be done.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hitbench data audit --captions MSRVTT_JSFUSION_test.csv::sentence\n  \
    hitbench data audit --text embeds.npz::text --video embeds.npz::video --captions test.csv::sentence\n  \
    hitbench data audit --sim sims.npy --protocol msrvtt-1ka --json"
)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    inputs: InputArgs,
    /// Captions in the order of the texts: one a line, or FILE.csv::COLUMN. A column text_id beside it joins them
    /// with
    /// --text-ids by id; alone, a column video_id says which captions are of one video.
    #[arg(long, value_name = "FILE")]
    captions: Option<Location>,
    /// Least cosine of embeddings that are near-duplicates, above 0 and at most 1; default 0.999.
    #[arg(long, value_name = "COSINE", value_parser = cosine, conflicts_with = "sim", requires = "text")]
    near: Option<f64>,
    /// Print one JSON object (schema hitbench.audit/1).
    #[arg(long)]
    pub(super) json: bool,
}

fn cosine(text: &str) -> Result<f64, String> {
    let value = text.parse().ok();
    value
        .filter(|cosine| *cosine > 0.0 && *cosine <= 1.0)
        .ok_or_else(|| "expected a number above 0 and at most 1".to_owned())
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] with exit code 2 for inputs that cannot be audited, 74 when standard output cannot be written.
pub(super) fn run(args: &AuditArgs) -> Result<(), Failure> {
    let found = audit(args.request()?)?;
    let mut out = super::console::stdout();
    if args.json {
        serde_json::to_writer(&mut out, &found).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    write!(out, "{}", text(&found))?;
    Ok(())
}

impl AuditArgs {
    /// Reads everything that the arguments name.
    fn request(&self) -> Result<AuditRequest, AuditError> {
        Ok(AuditRequest {
            protocol: self.inputs.protocol()?,
            given: self.inputs.given()?,
            names: self.inputs.names()?,
            captions: self
                .captions
                .as_ref()
                .map(CaptionTable::read)
                .transpose()
                .map_err(EvalError::from)?,
            near: self.near.unwrap_or(NEAR),
        })
    }
}
