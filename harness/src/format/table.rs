//! Text files: one value a line, or a table with a header.

use std::fs;
use std::path::Path;

use super::error::FormatError;
use super::location::Location;

/// The file as text, without a byte order mark.
pub(crate) fn read_text(location: &Location) -> Result<String, FormatError> {
    let path = &location.path;
    let bytes = fs::read(path).map_err(|source| FormatError::Read {
        path: path.clone(),
        source,
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        line_error(location, 1 + count_lines(before), "expected UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

fn line_error(location: &Location, line: u64, problem: impl Into<String>) -> FormatError {
    FormatError::Line {
        location: location.clone(),
        line,
        problem: problem.into(),
    }
}

pub(crate) fn read_lines(location: &Location, text: &str) -> Result<Vec<String>, FormatError> {
    let text = text.trim_end();
    let first = text.lines().next().unwrap_or_default();
    if let Some(delimiter) = delimiter_of(first).filter(|_| is_table(&location.path)) {
        return Err(FormatError::Column {
            location: location.clone(),
            known: first
                .split(delimiter)
                .map(|name| name.trim().to_owned())
                .collect(),
        });
    }
    let lines = text.lines().zip(1..).map(|(line, number)| match line.trim() {
        "" => Err(line_error(location, number, "expected an id, found a blank line")),
        id => Ok(id.to_owned()),
    });
    lines.collect()
}

fn is_table(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["csv", "tsv"].contains(&extension.to_lowercase().as_str()))
}

/// What separates the columns of a header: the most frequent of comma, semicolon and tab.
fn delimiter_of(header: &str) -> Option<char> {
    let count = |delimiter: char| header.matches(delimiter).count();
    let best = [',', ';', '\t']
        .into_iter()
        .rev()
        .max_by_key(|&delimiter| count(delimiter))?;
    (count(best) > 0).then_some(best)
}

/// The values of some columns, row by row.
pub(crate) fn read_columns<const N: usize>(
    location: &Location,
    text: &str,
    columns: [&str; N],
) -> Result<Vec<[String; N]>, FormatError> {
    let header = text.lines().next().unwrap_or_default();
    let delimiter = delimiter_of(header).unwrap_or(',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter as u8)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let torn = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        let problem = match error.kind() {
            csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => {
                format!("expected {expected_len} values, found {len}")
            }
            _ => error.to_string(),
        };
        line_error(location, line, problem)
    };
    let header = reader.headers().map_err(torn)?.clone();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = header
            .iter()
            .position(|name| name == column)
            .ok_or_else(|| FormatError::Column {
                location: Location {
                    path: location.path.clone(),
                    member: Some(column.to_owned()),
                },
                known: header.iter().map(str::to_owned).collect(),
            })?;
    }
    let mut rows = Vec::new();
    for record in reader.into_records() {
        let record = record.map_err(torn)?;
        let row = places.map(|place| record.get(place).unwrap_or_default().to_owned());
        if let Some(empty) = row.iter().position(String::is_empty) {
            let line = record.position().map_or(1, csv::Position::line);
            let problem = format!("expected an id in column `{}`, found nothing", columns[empty]);
            return Err(line_error(location, line, problem));
        }
        rows.push(row);
    }
    Ok(rows)
}
