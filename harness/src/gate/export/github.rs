//! GitHub: a summary of the job in Markdown, annotations at the policy's lines, both within GitHub's limits.

use std::fmt::Write;

use super::super::judge::GateVerdict;
use super::super::report::{GateReport, RowReport};
use super::severity::Severity;

/// Most bytes of a step's summary; a larger one is not shown at all.
pub const SUMMARY_LIMIT: usize = 1 << 20;
/// Most annotations of a kind that a step shows.
const MOST_ANNOTATIONS: usize = 10;
/// Room for the line that says what was left out.
const LAST_LINE: usize = 200;

/// The gate as Markdown, worst rows first, in at most `limit` bytes: rows that do not fit are counted in the last line. Empty
/// where there is no room for any.
pub fn summary(report: &GateReport, limit: usize) -> String {
    let verdict = match report.code {
        0 => "passed",
        _ => "failed",
    };
    let mut text = format!(
        "### Gate of {}, version {}: {verdict}\n\n{}. Baseline {}, run {}.\n\n| verdict | row | what was compared |\n\
         |---|---|---|\n",
        cell(&report.suite.name),
        report.suite.version,
        report.tally(),
        code(&report.baseline.build_id),
        code(&report.run.build_id),
    );
    let mut rows: Vec<&RowReport> = report.rows.iter().collect();
    rows.sort_by_key(|row| {
        GateVerdict::ALL
            .iter()
            .position(|verdict| *verdict == row.verdict)
    });
    for (index, row) in rows.iter().enumerate() {
        let line = format!(
            "| {} | {} | {} |\n",
            row.verdict.name(),
            cell(&row.id),
            cell(&row.sentence)
        );
        if text.len() + line.len() + LAST_LINE > limit {
            if text.len() + LAST_LINE > limit {
                return String::new();
            }
            let _ = writeln!(
                text,
                "\nToo long for a summary: {} rows more are left out.",
                rows.len() - index
            );
            return text;
        }
        text.push_str(&line);
    }
    for warning in &report.warnings {
        let line = format!("\n> {}\n", cell(warning));
        if text.len() + line.len() <= limit {
            text.push_str(&line);
        }
    }
    text
}

/// Text in a cell of a table: nothing in it is markup, and it stays on its line.
fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => escaped.push(' '),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '@' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A word in code font; it holds no backtick.
fn code(text: &str) -> String {
    format!("`{}`", text.replace(['`', '\n', '\r', '|'], " "))
}

/// Workflow commands, a line each: at most ten errors and ten warnings, the worst first; where there are more of a kind,
/// its tenth says how many.
pub fn annotations(report: &GateReport) -> String {
    let worst = report.worst_first();
    let mut text = String::new();
    for (severity, command) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
        let rows: Vec<&RowReport> = worst
            .iter()
            .filter(|(own, _)| *own == severity)
            .map(|(_, row)| *row)
            .collect();
        let shown = match rows.len() {
            n if n <= MOST_ANNOTATIONS => n,
            _ => MOST_ANNOTATIONS - 1,
        };
        for row in &rows[..shown] {
            let title = format!("{} {}", row.id, row.verdict.name());
            annotate(&mut text, command, report, row.line, &title, &row.sentence);
        }
        if let Some(next) = rows.get(shown) {
            let more = format!("and {} more, see the summary or the log", rows.len() - shown);
            annotate(&mut text, command, report, next.line, "more rows", &more);
        }
    }
    text
}

fn annotate(text: &mut String, command: &str, report: &GateReport, line: u64, title: &str, message: &str) {
    let file = property(&report.policy.file);
    let _ = writeln!(
        text,
        "::{command} file={file},line={line},title={}::{}",
        property(title),
        data(message)
    );
}

/// Escapes the message of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
