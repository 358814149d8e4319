//! `compare.md`: the machines, the statements, the tables, the plots.

use super::accuracy::accuracy_grid;
use super::machines::machines_grid;
use super::record::CompareRecord;
use super::table::{legend, statements};
use super::throughput::{means_grid, throughput_grids};
use crate::markdown::{Embedded, embed, escaped, grid_md, line, section};

/// The comparison as Markdown, without plots.
pub fn compare_md(record: &CompareRecord) -> String {
    with_plots(record, &[])
}

/// The comparison as Markdown, with plots that lie in `plots/`.
pub(super) fn with_plots(record: &CompareRecord, plots: &[Embedded]) -> String {
    let mut out = String::new();
    let suite = &record.suite;
    let labels: Vec<&str> = record
        .columns
        .iter()
        .map(|column| column.label.as_str())
        .collect();
    line(
        &mut out,
        &format!("# {} (suite version {})\n", suite.name, suite.version),
    );
    let text = format!(
        "{} side by side; {} is the reference.",
        labels.join(", "),
        record.reference_label()
    );
    line(&mut out, &format!("{}\n", escaped(&text)));
    section(&mut out, "What it says");
    for text in statements(record) {
        line(&mut out, &format!("- {}", escaped(&text)));
    }
    line(&mut out, "");
    section(&mut out, "Machines and builds");
    grid_md(&mut out, &machines_grid(record));
    let (grids, means, recalls) = (
        throughput_grids(record),
        means_grid(record),
        accuracy_grid(record),
    );
    if !grids.is_empty() {
        section(&mut out, "Throughput");
        for grid in means.iter().chain(&grids) {
            grid_md(&mut out, grid);
        }
    }
    if let Some(grid) = &recalls {
        section(&mut out, "Accuracy");
        if let Some(protocol) = &record.protocol {
            let text = format!(
                "Protocol {}, ties: {}, captions: {}, median: {}.",
                protocol.protocol, protocol.ties, protocol.captions, protocol.median
            );
            line(&mut out, &format!("{}\n", escaped(&text)));
        }
        grid_md(&mut out, grid);
    }
    for text in legend(record) {
        line(&mut out, &format!("{}\n", escaped(&text)));
    }
    if !record.remarks.is_empty() {
        section(&mut out, "Remarks");
        for remark in &record.remarks {
            line(&mut out, &format!("- {}", escaped(remark)));
        }
        line(&mut out, "");
    }
    embed(&mut out, plots);
    out
}
