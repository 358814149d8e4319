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

/// The ids in a text of one a line.
pub(crate) fn read_lines(location: &Location, text: &str) -> Result<Vec<String>, FormatError> {
    let text = text.trim_end();
    refuse_table(location, text)?;
    let lines = text.lines().zip(1..).map(|(line, number)| match line.trim() {
        "" => Err(line_error(location, number, "expected an id, found a blank line")),
        id => Ok(id.to_owned()),
    });
    lines.collect()
}

/// All lines, blank ones included, of a text of one caption a line.
pub(crate) fn read_free_lines(location: &Location, text: &str) -> Result<Vec<String>, FormatError> {
    refuse_table(location, text)?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Refuses a table where lines are read: which of its columns is meant?
fn refuse_table(location: &Location, text: &str) -> Result<(), FormatError> {
    let first = text.lines().next().unwrap_or_default();
    match delimiter_of(first).filter(|_| is_table(&location.path)) {
        None => Ok(()),
        Some(delimiter) => Err(FormatError::Column {
            location: location.clone(),
            known: first
                .split(delimiter)
                .map(|name| name.trim().to_owned())
                .collect(),
        }),
    }
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

/// A table below its header.
struct Table<'a> {
    location: &'a Location,
    header: csv::StringRecord,
    reader: csv::Reader<&'a [u8]>,
}

impl<'a> Table<'a> {
    fn open(location: &'a Location, text: &'a str) -> Result<Self, FormatError> {
        let header = text.lines().next().unwrap_or_default();
        let delimiter = delimiter_of(header).unwrap_or(',');
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter as u8)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| torn(location, &error))?.clone();
        Ok(Self {
            location,
            header,
            reader,
        })
    }

    fn find(&self, column: &str) -> Option<usize> {
        self.header.iter().position(|name| name == column)
    }

    fn place(&self, column: &str) -> Result<usize, FormatError> {
        self.find(column).ok_or_else(|| FormatError::Column {
            location: Location {
                path: self.location.path.clone(),
                member: Some(column.to_owned()),
            },
            known: self.header.iter().map(str::to_owned).collect(),
        })
    }

    /// The rows, each with the line that it is on.
    fn rows(self) -> impl Iterator<Item = Result<(u64, csv::StringRecord), FormatError>> {
        let location = self.location;
        self.reader.into_records().map(move |record| {
            let record = record.map_err(|error| torn(location, &error))?;
            Ok((record.position().map_or(1, csv::Position::line), record))
        })
    }
}

fn torn(location: &Location, error: &csv::Error) -> FormatError {
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
}

/// The id in a row; `column` is the name of the one at `place`.
fn id_at(
    location: &Location,
    (line, record): &(u64, csv::StringRecord),
    (place, column): (usize, &str),
) -> Result<String, FormatError> {
    match record.get(place).unwrap_or_default() {
        "" => {
            let problem = format!("expected an id in column `{column}`, found nothing");
            Err(line_error(location, *line, problem))
        }
        id => Ok(id.to_owned()),
    }
}

/// The ids in some columns, row by row.
pub(crate) fn read_columns<const N: usize>(
    location: &Location,
    text: &str,
    columns: [&str; N],
) -> Result<Vec<[String; N]>, FormatError> {
    let table = Table::open(location, text)?;
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = table.place(column)?;
    }
    let mut rows = Vec::new();
    for row in table.rows() {
        let row = row?;
        let mut ids = [const { String::new() }; N];
        for (id, cell) in ids.iter_mut().zip(places.into_iter().zip(columns)) {
            *id = id_at(location, &row, cell)?;
        }
        rows.push(ids);
    }
    Ok(rows)
}

/// A column of values, and columns of ids beside it.
pub(crate) struct FreeColumn<const N: usize> {
    /// The values, row by row; any may be empty.
    pub(crate) values: Vec<String>,
    /// Ids, row by row, of the columns that there are.
    pub(crate) beside: [Option<Vec<String>>; N],
}

/// The values of `column`, empty ones included, and the ids in those of the columns `beside` that there are.
pub(crate) fn read_free_column<const N: usize>(
    location: &Location,
    text: &str,
    column: &str,
    beside: [&str; N],
) -> Result<FreeColumn<N>, FormatError> {
    let table = Table::open(location, text)?;
    let place = table.place(column)?;
    let places = beside.map(|column| Some((table.find(column)?, column)));
    let mut values = Vec::new();
    let mut found = places.map(|place| place.map(|_| Vec::new()));
    for row in table.rows() {
        let row = row?;
        for (ids, cell) in found.iter_mut().flatten().zip(places.into_iter().flatten()) {
            ids.push(id_at(location, &row, cell)?);
        }
        values.push(row.1.get(place).unwrap_or_default().to_owned());
    }
    Ok(FreeColumn {
        values,
        beside: found,
    })
}
