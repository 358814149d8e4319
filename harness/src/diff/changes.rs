//! All queries whose counts differ, as CSV.

use std::io::{self, Write};

use hitbench_reports::record::Direction;
use serde::Serialize;

use super::captions::Captions;
use super::evaluate::{Diff, caption};

/// A line of the file; its fields name the columns.
#[derive(Serialize)]
struct Change<'a> {
    direction: Direction,
    query_id: &'a str,
    true_id_a: &'a str,
    true_id_b: &'a str,
    rank_a: f64,
    rank_b: f64,
    greater_a: u64,
    equal_a: u64,
    own_equal_a: u64,
    greater_b: u64,
    equal_b: u64,
    own_equal_b: u64,
    /// Empty where there is none.
    caption: Option<String>,
}

/// Writes a line for every changed query, in the order of the first evaluation, below a header.
///
/// # Errors
/// When the file takes no bytes.
pub fn write_changes(diff: &Diff, captions: Option<&Captions>, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(out);
    writer.write_record([
        "direction",
        "query_id",
        "true_id_a",
        "true_id_b",
        "rank_a",
        "rank_b",
        "greater_a",
        "equal_a",
        "own_equal_a",
        "greater_b",
        "equal_b",
        "own_equal_b",
        "caption",
    ])?;
    for paired in &diff.paired {
        for query in paired.queries.iter().filter(|query| query.changed()) {
            writer.serialize(Change {
                direction: paired.direction,
                query_id: &query.query_id,
                true_id_a: &query.true_id_a,
                true_id_b: &query.true_id_b,
                rank_a: diff.rules.ties.rank(&query.a),
                rank_b: diff.rules.ties.rank(&query.b),
                greater_a: query.a.greater,
                equal_a: query.a.equal,
                own_equal_a: query.a.own_equal,
                greater_b: query.b.greater,
                equal_b: query.b.equal,
                own_equal_b: query.b.own_equal,
                caption: caption(query, paired.direction, &diff.rules, captions),
            })?;
        }
    }
    writer.flush()
}
