//! `hitbench protocols`: the named protocols with their counts and rules.

use std::io::{self, Write};

use clap::Args;
use comfy_table::{CellAlignment, ContentArrangement, Table, TableStyle};
use serde::Serialize;

use crate::metric::{PROTOCOLS, Protocol, word};

/// Lists the protocols that `eval` and suites know: counts, rules, source.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hitbench protocols --json")]
pub struct ProtocolsArgs {
    /// Prints one JSON object (schema hitbench.protocols/1).
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct WireProtocols {
    schema: &'static str,
    protocols: Vec<WireProtocol>,
}

#[derive(Serialize)]
struct WireProtocol {
    id: &'static str,
    about: &'static str,
    /// Null accepts any number.
    n_captions: Option<usize>,
    n_videos: Option<usize>,
    ties: String,
    caption_rule: String,
    median: String,
    recall_at: [u64; 4],
    source: Option<&'static str>,
}

impl From<&Protocol> for WireProtocol {
    fn from(protocol: &Protocol) -> Self {
        Self {
            id: protocol.id,
            about: protocol.about,
            n_captions: protocol.sizes.map(|sizes| sizes.n_captions),
            n_videos: protocol.sizes.map(|sizes| sizes.n_videos),
            ties: word(&protocol.ties),
            caption_rule: word(&protocol.captions),
            median: word(&protocol.median),
            recall_at: protocol.recall_at,
            source: (!protocol.source.is_empty()).then_some(protocol.source),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &ProtocolsArgs) -> io::Result<()> {
    let protocols: Vec<WireProtocol> = PROTOCOLS.iter().map(WireProtocol::from).collect();
    let mut out = super::console::stdout();
    if args.json {
        let wire = WireProtocols {
            schema: "hitbench.protocols/1",
            protocols,
        };
        serde_json::to_writer(&mut out, &wire)?;
        return writeln!(out);
    }
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "protocol",
            "captions",
            "videos",
            "ties",
            "caption rule",
            "test set and source",
        ]);
    for protocol in &protocols {
        let count = |n: Option<usize>| n.map_or("any".to_owned(), |n| n.to_string());
        let source = protocol
            .source
            .map_or(String::new(), |source| format!(" ({source})"));
        table.add_row([
            protocol.id.to_owned(),
            count(protocol.n_captions),
            count(protocol.n_videos),
            protocol.ties.clone(),
            protocol.caption_rule.clone(),
            format!("{}{source}", protocol.about),
        ]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if matches!(index, 1 | 2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    writeln!(out, "{}", table.trim_fmt())
}
