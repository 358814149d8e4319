//! `hitbench data check`: can a data set be read to the last value, and is its test split the one that its name stands for?

use std::io::{self, Write};

use serde::Serialize;

use super::source::ReadArgs;
use super::{inspect, print};
use crate::cmd::failure::Failure;
use crate::data::{DataError, Split, Summary};
use crate::exit_code::ExitCode;
use crate::metric::Protocol;

/// Reads a data set to the last value and holds the counts of its test split against its protocol; exit code 1 when they
/// differ, or when an expert has features on no video of the train or test split.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hitbench data check suites/real/msrvtt-1ka.yaml\n  \
                        hitbench data check suites/real/activitynet.yaml --captions-only"
)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    read: ReadArgs,
    /// Print one JSON object (schema hitbench.data-check/1).
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct View<'a> {
    schema: &'static str,
    source: &'a str,
    /// Protocols whose test set it should be.
    protocols: &'a [&'static str],
    /// The one that it is; null when it is none of them.
    protocol: Option<&'static str>,
    /// How it differs from the first one, or what else makes the data unfit to train and test with.
    problem: Option<String>,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// Runs the command.
///
/// # Errors
/// Those of the data.
pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let config = args.read.source.config()?;
    let data = args.read.load(&config)?;
    let (n_captions, n_videos) = (data.split_captions(Split::Test).len(), data.splits.test.len());
    let checks = config.protocols().iter().map(|&id| {
        let checked = Protocol::find(id).and_then(|protocol| protocol.check(n_captions, Some(n_videos)));
        (id, checked)
    });
    let checks: Vec<_> = checks.collect();
    let protocol = checks
        .iter()
        .find(|(_, checked)| checked.is_ok())
        .map(|&(id, _)| id);
    let wrong_counts = match (protocol, checks.into_iter().next()) {
        (None, Some((_, Err(error)))) => Some(error.to_string()),
        _ => None,
    };
    let useless_expert = data.check_experts(&[Split::Train, Split::Test]).err();
    let useless_expert = useless_expert.map(|error| format!("{error}: {}", DataError::USELESS_EXPERT));
    let problems: Vec<String> = wrong_counts.into_iter().chain(useless_expert).collect();
    let problem = (!problems.is_empty()).then(|| problems.join("; "));
    let summary = Summary::of(&data);
    let view = View {
        schema: "hitbench.data-check/1",
        source: args.read.source.name(),
        protocols: config.protocols(),
        protocol,
        problem,
        summary: &summary,
    };
    print(&view, args.json, |out| write(out, &view))?;
    Ok(match view.problem {
        None => ExitCode::Fine,
        Some(_) => ExitCode::CheckFailed,
    })
}

fn write(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let Summary {
        about, splits, gaps, ..
    } = view.summary;
    writeln!(out, "{about}\n\n{}\n", inspect::splits(splits))?;
    for (count, what) in gaps {
        writeln!(out, "{count} {what}")?;
    }
    match (view.protocol, &view.problem) {
        (_, Some(problem)) => writeln!(out, "failed: {problem}"),
        (Some(protocol), None) => writeln!(out, "ok: the test set of protocol `{protocol}`"),
        (None, None) => writeln!(
            out,
            "ok: everything can be read; no protocol stands for this test set"
        ),
    }
}
