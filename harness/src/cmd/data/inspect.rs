//! `hitbench data inspect`: what a data set holds, and what is missing in it.

use std::io::{self, Write};

use comfy_table::CellAlignment;
use serde::Serialize;

use super::print;
use super::source::ReadArgs;
use crate::cmd::console::table;
use crate::cmd::failure::Failure;
use crate::data::summary::{ExpertSummary, Range, SplitSummary, Summary};

/// Reads a data set, checks every value, and says what it holds: sizes, lengths, experts, times, duplicates, gaps.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hitbench data inspect my-data\n  hitbench data inspect suites/real/lsmdc.yaml --json"
)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    read: ReadArgs,
    /// Print one JSON object (schema hitbench.data/1).
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct View<'a> {
    schema: &'static str,
    source: &'a str,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// Runs the command.
///
/// # Errors
/// Those of the data.
pub(super) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let config = args.read.source.config()?;
    let data = args.read.load(&config)?;
    say(args.read.source.name(), &Summary::of(&data), args.json)
}

/// Prints what a data set holds.
///
/// # Errors
/// Exit code 74 when it cannot be written.
pub(super) fn say(source: &str, summary: &Summary, json: bool) -> Result<(), Failure> {
    let view = View {
        schema: "hitbench.data/1",
        source,
        summary,
    };
    print(&view, json, |out| write(out, source, summary))
}

fn write(out: &mut dyn Write, source: &str, summary: &Summary) -> io::Result<()> {
    writeln!(out, "{source}: {}\n{}\n", summary.name, summary.about)?;
    writeln!(out, "{}\n", splits(&summary.splits))?;
    if !summary.experts.is_empty() {
        writeln!(out, "{}\n", experts(&summary.experts))?;
    }
    for (count, what) in &summary.gaps {
        writeln!(out, "{count} {what}")?;
    }
    writeln!(out, "content hash {}", summary.content_hash)
}

pub(super) fn splits(splits: &[SplitSummary]) -> String {
    let header = [
        "split",
        "videos",
        "captions",
        "a video",
        "words",
        "distinct",
        "shared",
        "duplicate videos",
    ];
    let mut table = table(header, CellAlignment::Right);
    for split in splits {
        table.add_row([
            split.name.to_owned(),
            split.n_videos.to_string(),
            split.n_captions.to_string(),
            shown(split.captions),
            shown(split.words),
            split.n_distinct_captions.to_string(),
            split.n_shared_captions.to_string(),
            split.n_duplicate_videos.to_string(),
        ]);
    }
    table.trim_fmt()
}

fn experts(experts: &[ExpertSummary]) -> String {
    let header = ["expert", "dim", "rows", "a video", "seconds", "videos without"];
    let mut table = table(header, CellAlignment::Right);
    for expert in experts {
        table.add_row([
            expert.name.clone(),
            expert.dim.to_string(),
            expert.n_rows.to_string(),
            shown(expert.rows),
            expert
                .times_s
                .map_or("-".to_owned(), |[first, last]| format!("{first} to {last}")),
            expert.videos_without.to_string(),
        ]);
    }
    table.trim_fmt()
}

/// Smallest, middle and largest, or one number where they are the same.
fn shown(range: Option<Range>) -> String {
    match range {
        None => "-".to_owned(),
        Some(Range { min, max, .. }) if min == max => min.to_string(),
        Some(Range { min, median, max }) => format!("{min} / {median} / {max}"),
    }
}
