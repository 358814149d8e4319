//! Runs and relevance judgements as TREC has them: `qid Q0 docid rank score tag` and `qid 0 docid rel`.
//!
//! As in trec_eval 10, fields are separated by blanks or tabs, lines that begin with `#` are comments, blank lines do
//! not count, and the second field of both forms and the `rank` of a run are not looked at: scores alone give the order.

use super::error::FormatError;
use super::lines::{Interner, Lines};
use super::location::Location;

/// The items that a system retrieved for some queries, with their scores. One file may go through the queries in
/// turns.
#[derive(Debug, Clone, PartialEq)]
pub struct TrecRun {
    /// Where it comes from.
    pub location: Location,
    /// Ids of the queries, in the order of their first lines.
    pub queries: Vec<String>,
    /// Ids of the items (`docid`), in the order of their first lines.
    pub items: Vec<String>,
    /// A list for every query.
    pub lists: Vec<TrecEntries<f64>>,
}

/// Which items are relevant to which query.
#[derive(Debug, Clone, PartialEq)]
pub struct Qrels {
    /// Where they come from.
    pub location: Location,
    /// Ids of the queries, in the order of their first lines.
    pub queries: Vec<String>,
    /// Ids of the items, in the order of their first lines.
    pub items: Vec<String>,
    /// The judgements for every query: above 0 is relevant.
    pub judgements: Vec<TrecEntries<i64>>,
}

/// The lines of one query, in file order.
#[derive(Debug, Clone, PartialEq)]
pub struct TrecEntries<T> {
    /// Places in the list of all items, each at most once.
    pub items: Vec<u32>,
    /// Score or relevance of each.
    pub values: Vec<T>,
}

impl TrecRun {
    /// Reads a run. Scores may have any form that Rust reads as f64.
    ///
    /// # Errors
    /// [`FormatError::Read`]; [`FormatError::Line`] for a line of another form, a score that is NaN or infinite, an
    /// item that a query has twice, and a file without entries.
    pub fn read(location: &Location) -> Result<Self, FormatError> {
        let form = "qid Q0 docid rank score tag";
        let read = Grouped::read(location, form, |[query, _, item, _, score, _]| {
            let value = score.parse::<f64>().ok().filter(|score| score.is_finite());
            let value = value.ok_or_else(|| format!("expected a finite score, found `{score}`"))?;
            Ok((query, item, value))
        })?;
        Ok(Self {
            location: location.clone(),
            queries: read.queries,
            items: read.items,
            lists: read.entries,
        })
    }
}

impl Qrels {
    /// Reads relevance judgements.
    ///
    /// # Errors
    /// [`FormatError::Read`]; [`FormatError::Line`] for a line of another form, a relevance that is no integer, an
    /// item that is judged twice for a query, and a file without entries.
    pub fn read(location: &Location) -> Result<Self, FormatError> {
        let read = Grouped::read(location, "qid 0 docid rel", |[query, _, item, relevance]| {
            let value = relevance.parse::<i64>();
            let value = value.map_err(|_| format!("expected an integer relevance, found `{relevance}`"))?;
            Ok((query, item, value))
        })?;
        Ok(Self {
            location: location.clone(),
            queries: read.queries,
            items: read.items,
            judgements: read.entries,
        })
    }
}

/// A whole file, its lines sorted into queries.
struct Grouped<T> {
    queries: Vec<String>,
    items: Vec<String>,
    entries: Vec<TrecEntries<T>>,
}

/// The entries of one query and the lines that they came from.
struct Group<T> {
    entries: TrecEntries<T>,
    /// Where consecutive lines begin: the place of an entry and its line.
    runs: Vec<(usize, u64)>,
}

impl<T> Group<T> {
    fn add(&mut self, item: u32, value: T, line: u64) {
        let place = self.entries.items.len();
        if self
            .runs
            .last()
            .is_none_or(|&(start, first)| first + (place - start) as u64 != line)
        {
            self.runs.push((place, line));
        }
        self.entries.items.push(item);
        self.entries.values.push(value);
    }

    fn line(&self, place: usize) -> u64 {
        let after = self.runs.partition_point(|&(start, _)| start <= place);
        let (start, first) = self.runs[after - 1];
        first + (place - start) as u64
    }

    /// The lines of the first entry whose item an earlier entry has: of the earlier one and of itself. `seen` has for
    /// every item the last query, from 1, that had it.
    fn repeated(&self, query: u32, seen: &mut [u32]) -> Option<[u64; 2]> {
        let items = &self.entries.items;
        let again = items
            .iter()
            .position(|&item| std::mem::replace(&mut seen[item as usize], query) == query)?;
        let first = items.iter().position(|&item| item == items[again])?;
        Some([self.line(first), self.line(again)])
    }
}

impl<T> Grouped<T> {
    /// Reads lines of `N` fields; `parse` gives query, item and value of one, or what is wrong with it.
    fn read<const N: usize>(
        location: &Location,
        form: &str,
        parse: impl for<'a> Fn([&'a str; N]) -> Result<(&'a str, &'a str, T), String>,
    ) -> Result<Self, FormatError> {
        let mut lines = Lines::open(location)?;
        let (mut queries, mut items) = (Interner::default(), Interner::default());
        let mut groups: Vec<Group<T>> = Vec::new();
        while lines.advance()? {
            let text = lines.text();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let fields: [&str; N] = fields(text).map_err(|found| {
                lines.error(format!("expected the {N} fields of `{form}`, found {found}"))
            })?;
            let (query, item, value) = parse(fields).map_err(|problem| lines.error(problem))?;
            let full = || lines.error(format!("expected at most {} ids", u32::MAX));
            let query = queries.number(query).ok_or_else(full)? as usize;
            let item = items.number(item).ok_or_else(full)?;
            if query == groups.len() {
                groups.push(Group {
                    entries: TrecEntries {
                        items: Vec::new(),
                        values: Vec::new(),
                    },
                    runs: Vec::new(),
                });
            }
            groups[query].add(item, value, lines.number());
        }
        if groups.is_empty() {
            return Err(lines.error(format!(
                "expected a line of the form `{form}`, found the end of the file"
            )));
        }
        let (queries, items) = (queries.into_names(), items.into_names());
        let mut seen = vec![0; items.len()];
        for (number, group) in (1..).zip(&groups) {
            if let Some([first, line]) = group.repeated(number, &mut seen) {
                let query = &queries[number as usize - 1];
                return Err(FormatError::Line {
                    location: location.clone(),
                    line,
                    problem: format!(
                        "expected each item once a query, found one of `{query}` as on line {first}"
                    ),
                });
            }
        }
        Ok(Self {
            queries,
            items,
            entries: groups.into_iter().map(|group| group.entries).collect(),
        })
    }
}

/// The fields of a line.
///
/// # Errors
/// How many there are, when that is not `N`.
fn fields<const N: usize>(text: &str) -> Result<[&str; N], usize> {
    let mut fields = [""; N];
    let mut found = 0;
    for field in text.split_ascii_whitespace() {
        if let Some(place) = fields.get_mut(found) {
            *place = field;
        }
        found += 1;
    }
    if found == N { Ok(fields) } else { Err(found) }
}

#[cfg(test)]
mod tests;
