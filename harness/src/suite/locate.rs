//! Turns what is wrong with a tree into errors with a place.

use std::str::FromStr;

use hitbench_kernels::KernelId;
use hitbench_models::ConfigError;
use serde_json::Value as Json;

use super::cross::{AxisValue, describe, overlaps};
use super::de::{Mismatch, What};
use super::error::{Problem, SuiteError};
use super::schema::about;
use super::source::{Origin, Sources, Span};
use super::tree::{Node, join};
use crate::measure::OPPONENTS;

/// What the YAML parser says, without the position, which our own errors carry.
pub(crate) fn parser_problem(error: &serde_yaml::Error) -> Problem {
    match error.without_snippet() {
        serde_yaml::Error::DuplicateMappingKey { key, .. } => {
            let message = match key {
                Some(key) => format!("key `{key}` stands twice"),
                None => "a key stands twice".to_owned(),
            };
            Problem::Syntax {
                message,
                hint: "keep one of the two",
            }
        }
        other => {
            let formatter = serde_yaml::UserMessageFormatter;
            let message = serde_yaml::MessageFormatter::format_message(&formatter, other).into_owned();
            Problem::Syntax {
                message,
                hint: "look for a missing bracket, quote or colon at or above this place",
            }
        }
    }
}

/// Where in `text` a parser error is; syntax errors know line and column only.
pub(crate) fn parser_span(error: &serde_yaml::Error, text: &str) -> Option<Span> {
    let location = error.location()?;
    let mut span = Span::from(location);
    if location.span().byte_offset().is_none() {
        let line = usize::try_from(span.line).ok()?.checked_sub(1)?;
        let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        let in_line = text.split_inclusive('\n').nth(line).unwrap_or_default();
        let column = usize::try_from(span.column).ok()?.saturating_sub(1);
        let offset = in_line
            .char_indices()
            .nth(column)
            .map_or(in_line.trim_end().len(), |(offset, _)| offset);
        span.offset = before + offset;
    }
    Some(span)
}

/// A value that does not fit its type, or an unknown or missing key; `tree` is the one it was read from, if whole.
pub(crate) fn misfit(mismatch: Mismatch, tree: Option<&Node>, sources: &Sources) -> SuiteError {
    let Mismatch { path, origin, what } = mismatch;
    let place = sources.place(origin);
    let problem = match *what {
        What::Type { expected, found } if found == "nothing" && !origin.is_written() => {
            return missing(path, &expected, tree, sources);
        }
        What::Type { expected, found } => {
            let about = about(&path);
            Problem::WrongType {
                path,
                expected,
                found,
                about,
            }
        }
        What::Range { expected, found } => {
            let about = about(&path);
            let (from, cell) = (String::new(), String::new());
            Problem::Impossible {
                path,
                value: found,
                from,
                allowed: expected,
                cell,
                about,
            }
        }
        What::Variant { found, known } => Problem::UnknownValue {
            path,
            value: found,
            known,
        },
        What::Key { known } => {
            let key = path.rsplit('.').next().unwrap_or(&path).to_owned();
            Problem::UnknownKey { path, key, known }
        }
        What::Missing { key } => {
            let path = join(&path, &key);
            Problem::Missing {
                example: example(&path),
                path,
            }
        }
        What::Other(message) => Problem::Conflict {
            message,
            hint: format!("see `{path}` in suites/FORMAT.md"),
        },
    };
    SuiteError::new(problem, place)
}

/// A required setting that no layer gives.
fn missing(path: String, expected: &str, tree: Option<&Node>, sources: &Sources) -> SuiteError {
    let key = path.rsplit('.').next().unwrap_or(&path);
    let example = if ["data", "operation", "kernel"].contains(&&*path) {
        example(&path)
    } else {
        format!("{key}: {expected}")
    };
    // Its place is the innermost map around it that somebody wrote.
    let around = path.rmatch_indices('.').map(|(dot, _)| &path[..dot]);
    let written = |outer: &str| {
        tree?
            .get(outer)
            .map(|node| node.origin)
            .filter(|origin| origin.is_written())
    };
    let origin = around
        .into_iter()
        .find_map(written)
        .or(tree.map(|tree| tree.origin))
        .unwrap_or(Origin::Default);
    SuiteError::new(Problem::Missing { path, example }, sources.place(origin))
}

/// What to write for a required key of a suite.
fn example(path: &str) -> String {
    let value = match path {
        "format" | "version" => "1",
        "kind" => "ablation",
        "data" => "{synthetic: {}}",
        "shapes" => "[{queries: 1000, gallery: 1000, dim: 512}]",
        "operation" => "rank_counts",
        "kernel" => "cpu/auto/f16",
        _ => "...",
    };
    format!("{}: {value}", path.rsplit('.').next().unwrap_or(path))
}

/// An impossible value of a resolved cell. Its place is the value itself if somebody wrote it, else a written
/// value that the error names beside it, else the section `beside`.
pub(crate) fn impossible(
    error: ConfigError,
    tree: &Node,
    axis_values: &[AxisValue],
    sources: &Sources,
    beside: Option<&str>,
) -> SuiteError {
    let ConfigError { path, value, allowed } = error;
    let (allowed, names) = full_paths(&allowed, &path, tree);
    // A shape is marked itself; beside that it would only be repeated.
    let involved = |axis: &&AxisValue| {
        axis.path != "shape"
            && std::iter::once(&path)
                .chain(&names)
                .any(|name| overlaps(&axis.path, name))
    };
    let cell = describe(&axis_values.iter().filter(involved).cloned().collect::<Vec<_>>());
    let named: Vec<(&str, Origin, Json)> = names
        .iter()
        .filter_map(|name| {
            tree.get(name)
                .map(|node| (name.as_str(), node.origin, node.to_json()))
        })
        .filter(|(_, origin, _)| origin.is_written())
        .collect();
    let own = tree.get(&path).map_or(Origin::Default, |node| node.origin);
    let section = beside.and_then(|path| tree.get(path)).map(|node| node.origin);
    let other = named.first().map(|(_, origin, _)| *origin).or(section);
    let (place, from) = if own.is_written() {
        (sources.place(own), String::new())
    } else {
        let origin = other.filter(|origin| origin.is_written()).unwrap_or(own);
        (sources.place(origin), format!("({})", sources.describe(own)))
    };
    let known: Vec<String> = match &*path {
        // A kernel that exists, but not here or not on this device, is no unknown one.
        "eval.kernel" if KernelId::from_str(&value).is_ok() => Vec::new(),
        "eval.kernel" => KernelId::all().map(|id| id.to_string()).collect(),
        "kernel" if KernelId::from_str(&value).is_ok() || OPPONENTS.contains(&&*value) => Vec::new(),
        "kernel" => KernelId::all()
            .map(|id| id.to_string())
            .chain(OPPONENTS.map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    let related: Vec<_> = named
        .iter()
        .filter(|(_, origin, _)| sources.place(*origin).span != place.span)
        .map(|(name, origin, json)| (sources.place(*origin), format!("`{name}` is {json}")))
        .collect();
    let problem = if known.is_empty() {
        let about = about(&path);
        Problem::Impossible {
            path,
            value,
            from,
            allowed,
            cell,
            about,
        }
    } else {
        Problem::UnknownValue { path, value, known }
    };
    related
        .into_iter()
        .fold(SuiteError::new(problem, place), |error, (place, label)| {
            error.and_at(place, label)
        })
}

/// Makes the settings that a text names in backticks full paths, and lists them. A name is looked up in the section
/// of `path` first, then in each one around it; what names no setting stays as it is.
fn full_paths(text: &str, path: &str, tree: &Node) -> (String, Vec<String>) {
    let mut names = Vec::new();
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index > 0 {
            out.push('`');
        }
        let around = path.rmatch_indices('.').map(|(dot, _)| &path[..dot]).chain([""]);
        let found = around
            .map(|section| join(section, part))
            .find(|full| tree.get(full).is_some());
        match found.filter(|_| index % 2 == 1) {
            Some(full) => {
                out.push_str(&full);
                names.push(full);
            }
            None => out.push_str(part),
        }
    }
    (out, names)
}
