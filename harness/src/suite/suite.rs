//! A suite: read, resolved, checked. Whoever holds a [`Suite`] need not check anything again.

use std::path::Path;
use std::sync::Arc;

use hitbench_models::ConfigError;
use serde_json::{Value as Json, json};

use super::cross::{Axis, Crossing, ExcludedCell, SuiteCell, cross, describe, same};
use super::de::read;
use super::error::{Problem, SuiteError};
use super::expect::{Expectation, metric_names};
use super::layer::CONFIG_KEYS;
use super::locate::{impossible, misfit, parser_problem, parser_span};
use super::source::{Origin, Sources};
use super::tree::{Entry, Node, Value, join};
use super::wire::{FORMAT, HEADER_KEYS, Kind, WireSuite};

/// A checked suite.
#[derive(Debug)]
pub struct Suite {
    /// Name in lower-case letters, digits and `-`.
    pub name: String,
    /// Raised whenever a reported number could move.
    pub version: u32,
    /// What the suite is for.
    pub about: String,
    /// What it does with its cells.
    pub kind: Kind,
    /// The axes, `--set` applied.
    pub axes: Vec<Axis>,
    /// All combinations of axis values that are not excluded; the last axis varies fastest. At least one.
    pub cells: Vec<SuiteCell>,
    /// The excluded combinations.
    pub excluded: Vec<ExcludedCell>,
    /// Index in `cells` of the cell that differences are taken to.
    pub reference: Option<usize>,
    /// Seeds of the replicates; at least one, all different.
    pub seeds: Vec<u64>,
    /// Where metrics must lie.
    pub expect: Vec<Expectation>,
    /// What is allowed but probably not meant, in sentences for `plan`.
    pub notes: Vec<String>,
    sources: Sources,
}

impl Suite {
    /// Reads a suite file and lays the `--set` arguments (`PATH=VALUE`) over it.
    ///
    /// # Errors
    /// [`SuiteError`] with the place of the first thing that is wrong.
    pub fn load(path: &Path, sets: &[String]) -> Result<Self, SuiteError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&file, &text, sets),
            Err(error) => {
                let sources = Sources {
                    file,
                    text: Arc::from(""),
                    sets: Vec::new(),
                };
                Err(SuiteError::new(
                    Problem::Read(error),
                    sources.place(Origin::Default),
                ))
            }
        }
    }

    /// Reads a suite from text; `file` names it in errors.
    ///
    /// # Errors
    /// [`SuiteError`] with the place of the first thing that is wrong.
    pub fn parse(file: &str, text: &str, sets: &[String]) -> Result<Self, SuiteError> {
        let sources = Sources {
            file: file.to_owned(),
            text: Arc::from(text),
            sets: sets.iter().map(|set| Arc::from(set.as_str())).collect(),
        };
        let mut root = Node::from_yaml(text).map_err(|error| {
            let origin = parser_span(&error, text).map_or(Origin::Default, Origin::File);
            SuiteError::new(parser_problem(&error), sources.place(origin))
        })?;
        if root.entries().is_none() {
            let (expected, found) = ("a map of keys".to_owned(), format!("`{}`", root.shown()));
            let about = "a suite; suites/FORMAT.md describes it".to_owned();
            let problem = Problem::WrongType {
                path: "suite".to_owned(),
                expected,
                found,
                about,
            };
            return Err(SuiteError::new(problem, sources.place(root.origin)));
        }
        check_format(&root, &sources)?;
        let set_layers = super::set::apply(&mut root, &sources)?;
        let config = take_config(&mut root, &sources)?;
        let wire: WireSuite = read(&root, "").map_err(|mismatch| misfit(mismatch, Some(&root), &sources))?;
        check_header(&wire, &root, &sources)?;

        let axes = root.entry("axes").map(|entry| &entry.node);
        let crossing = Crossing {
            suite: &config,
            axes,
            sets: &set_layers,
            exclude: &wire.exclude,
            sources: &sources,
        };
        let crossed = cross(&crossing)?;
        let Some(first) = crossed.cells.first() else {
            let message = "every cell is excluded".to_owned();
            let origin = root
                .entry("exclude")
                .map_or(Origin::Default, |entry| entry.key_origin);
            let problem = Problem::Conflict {
                message,
                hint: "narrow `exclude`".to_owned(),
            };
            return Err(SuiteError::new(problem, sources.place(origin)));
        };

        let mut notes = Vec::new();
        check_excludes(&root, first, &sources)?;
        for (rule, hits) in wire.exclude.iter().zip(&crossed.exclude_hits) {
            if *hits == 0 {
                notes.push(format!(
                    "exclusion `{}` matches no cell",
                    Json::Object(rule.when.clone())
                ));
            }
        }
        let expect = read_expectations(&root, &crossed.cells, &sources)?;
        let reference = find_reference(&root, &crossed.axes, &crossed.cells, &sources, &mut notes)?;
        Ok(Self {
            name: wire.name,
            version: wire.version,
            about: wire.about,
            kind: wire.kind,
            axes: crossed.axes,
            cells: crossed.cells,
            excluded: crossed.excluded,
            reference,
            seeds: wire.seeds,
            expect,
            notes,
            sources,
        })
    }

    /// The suite as resolved: everything that decides what it computes, every default filled in.
    pub fn to_json(&self) -> Json {
        let values = |axes: &[super::AxisValue]| -> Json {
            Json::Object(
                axes.iter()
                    .map(|axis| (axis.path.clone(), axis.value.clone()))
                    .collect(),
            )
        };
        let cells: Vec<Json> = self
            .cells
            .iter()
            .map(|cell| json!({"axes": values(&cell.axis_values), "config": cell.config}))
            .collect();
        let excluded: Vec<Json> = self
            .excluded
            .iter()
            .map(|cell| json!({"axes": values(&cell.axis_values), "reason": cell.reason}))
            .collect();
        let axes: serde_json::Map<String, Json> = self
            .axes
            .iter()
            .map(|axis| (axis.path.clone(), Json::Array(axis.values.clone())))
            .collect();
        let expect: serde_json::Map<String, Json> = self
            .expect
            .iter()
            .map(|expected| (expected.metric.clone(), expected.to_json()))
            .collect();
        json!({
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "about": self.about,
            "kind": self.kind,
            "axes": axes,
            "reference": self.reference.map(|index| values(&self.cells[index].axis_values)),
            "seeds": self.seeds,
            "expect": expect,
            "cells": cells,
            "excluded": excluded,
        })
    }

    /// An error about a value of a cell that only shows when data are read, such as an empty split; it has the
    /// value's place, as errors of the suite itself have.
    pub fn error_at(&self, cell: &SuiteCell, path: &str, value: &str, allowed: &str) -> SuiteError {
        let error = ConfigError {
            path: path.to_owned(),
            value: value.to_owned(),
            allowed: allowed.to_owned(),
        };
        impossible(error, &cell.tree, &cell.axis_values, &self.sources)
    }
}

/// Moves the configuration keys out of the suite, which then holds the others only; refuses unknown keys.
fn take_config(root: &mut Node, sources: &Sources) -> Result<Node, SuiteError> {
    let mut entries = Vec::new();
    for key in CONFIG_KEYS {
        entries.extend(root.take(key));
    }
    let unknown = root
        .entries()
        .unwrap_or_default()
        .iter()
        .find(|entry| !HEADER_KEYS.contains(&entry.key.as_str()));
    match unknown {
        Some(entry) => {
            let (key, known) = (entry.key.clone(), super::layer::known_paths());
            let problem = Problem::UnknownKey {
                path: key.clone(),
                key,
                known,
            };
            Err(SuiteError::new(problem, sources.place(entry.key_origin)))
        }
        None => Ok(Node {
            value: Value::Map(entries),
            origin: root.origin,
        }),
    }
}

/// A file of another format is refused before its keys are looked at, as they may mean something else.
fn check_format(root: &Node, sources: &Sources) -> Result<(), SuiteError> {
    match root.entry("format") {
        Some(entry)
            if entry
                .node
                .to_json()
                .as_u64()
                .is_some_and(|format| format != u64::from(FORMAT)) =>
        {
            let problem = Problem::Impossible {
                path: entry.key.clone(),
                value: entry.node.to_json().to_string(),
                from: String::new(),
                allowed: format!("{FORMAT}, the format that this program reads"),
                cell: String::new(),
                about: "files of later formats need a later version of hitbench".to_owned(),
            };
            Err(SuiteError::new(problem, sources.place(entry.node.origin)))
        }
        _ => Ok(()),
    }
}

fn check_header(wire: &WireSuite, root: &Node, sources: &Sources) -> Result<(), SuiteError> {
    let refuse = |path: &str, value: String, allowed: &str| {
        let origin = root.get(path).map_or(Origin::Default, |node| node.origin);
        let problem = Problem::Impossible {
            path: path.to_owned(),
            value,
            from: String::new(),
            allowed: allowed.to_owned(),
            cell: String::new(),
            about: super::schema::about(path),
        };
        Err(SuiteError::new(problem, sources.place(origin)))
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if wire.name.is_empty() || !wire.name.chars().all(plain) || wire.name.starts_with('-') {
        return refuse(
            "name",
            format!("`{}`", wire.name),
            "lower-case letters, digits and `-`, no `-` first",
        );
    }
    if wire.seeds.is_empty() {
        return refuse("seeds", "[]".to_owned(), "at least one seed");
    }
    for (index, seed) in wire.seeds.iter().enumerate() {
        if wire.seeds[..index].contains(seed) {
            return refuse(&format!("seeds.{index}"), seed.to_string(), "seeds that differ");
        }
    }
    Ok(())
}

/// Values in `exclude` must be ones that a cell could have.
fn check_excludes(root: &Node, cell: &SuiteCell, sources: &Sources) -> Result<(), SuiteError> {
    let rules = match root.entry("exclude").map(|entry| &entry.node.value) {
        Some(Value::List(rules)) => rules.as_slice(),
        _ => &[],
    };
    for when in rules
        .iter()
        .filter_map(|rule| rule.entry("when")?.node.entries())
        .flatten()
    {
        fits(cell, when, sources)?;
    }
    Ok(())
}

/// Checks that a path of `when` exists and that its value has the path's type.
fn fits(cell: &SuiteCell, when: &Entry, sources: &Sources) -> Result<(), SuiteError> {
    let mut tree = cell.tree.clone();
    match tree.get_mut(&when.key) {
        Some(node) => *node = when.node.clone(),
        None => {
            let problem = Problem::UnknownPath {
                path: when.key.clone(),
                known: super::layer::known_paths(),
            };
            return Err(SuiteError::new(problem, sources.place(when.key_origin)));
        }
    }
    read::<super::CellConfig>(&tree, "")
        .map(drop)
        .map_err(|mismatch| misfit(mismatch, None, sources))
}

fn read_expectations(
    root: &Node,
    cells: &[SuiteCell],
    sources: &Sources,
) -> Result<Vec<Expectation>, SuiteError> {
    let entries = root
        .entry("expect")
        .and_then(|entry| entry.node.entries())
        .unwrap_or_default();
    let mut expectations = Vec::new();
    for entry in entries {
        for cell in cells {
            let known = metric_names(&cell.config.eval.recall_at);
            if !known.contains(&entry.key) {
                let (path, key) = (join("expect", &entry.key), entry.key.clone());
                let problem = Problem::UnknownKey { path, key, known };
                return Err(SuiteError::new(problem, sources.place(entry.key_origin)));
            }
        }
        let expectation = Expectation::new(&entry.key, &entry.node.to_json()).map_err(|form| {
            let found = format!("`{}`", entry.node.shown());
            let path = join("expect", &entry.key);
            let about = "a metric's value, or the interval it must lie in".to_owned();
            let problem = Problem::WrongType {
                path,
                expected: form.to_owned(),
                found,
                about,
            };
            SuiteError::new(problem, sources.place(entry.node.origin))
        })?;
        expectations.push(expectation);
    }
    Ok(expectations)
}

/// The cell that `reference` names by its axis values. An axis that `--set` has cut down to other values leaves no
/// reference, which is noted.
fn find_reference(
    root: &Node,
    axes: &[Axis],
    cells: &[SuiteCell],
    sources: &Sources,
    notes: &mut Vec<String>,
) -> Result<Option<usize>, SuiteError> {
    let Some(reference) = root.entry("reference") else {
        return Ok(None);
    };
    let entries = reference.node.entries().unwrap_or_default();
    if entries.is_empty() {
        return Ok(None);
    }
    for entry in entries {
        let place = sources.place(entry.key_origin);
        let Some(axis) = axes.iter().find(|axis| axis.path == entry.key) else {
            let known = axes.iter().map(|axis| axis.path.clone()).collect();
            let (path, key) = (join("reference", &entry.key), entry.key.clone());
            let problem = Problem::UnknownKey { path, key, known };
            return Err(SuiteError::new(problem, place));
        };
        let value = entry.node.to_json();
        if axis.values.iter().any(|known| same(known, &value)) {
            continue;
        }
        let axis_origin = root
            .entry("axes")
            .and_then(|axes| axes.node.entry(&entry.key))
            .map(|axis| axis.key_origin);
        if matches!(axis_origin, Some(Origin::Set(..))) && !matches!(entry.node.origin, Origin::Set(..)) {
            notes.push(format!(
                "no reference: `{}` is never {value} with --set {}",
                entry.key, entry.key
            ));
            return Ok(None);
        }
        let known = axis
            .values
            .iter()
            .map(|value| Node::from_json(value.clone(), Origin::Default).shown())
            .collect();
        let problem = Problem::UnknownValue {
            path: join("reference", &entry.key),
            value: entry.node.shown(),
            known,
        };
        return Err(SuiteError::new(problem, sources.place(entry.node.origin)));
    }
    let named = |cell: &&SuiteCell| {
        entries.iter().all(|entry| {
            let value = entry.node.to_json();
            cell.axis_values
                .iter()
                .any(|axis| axis.path == entry.key && same(&axis.value, &value))
        })
    };
    let mut matching = cells.iter().enumerate().filter(|(_, cell)| named(cell));
    let conflict = |message: &str, hint: String| {
        let problem = Problem::Conflict {
            message: message.to_owned(),
            hint,
        };
        Err(SuiteError::new(problem, sources.place(reference.key_origin)))
    };
    match (matching.next(), matching.next()) {
        (Some((index, _)), None) => Ok(Some(index)),
        (None, _) => conflict(
            "`reference` names an excluded cell",
            "choose a cell that is run".to_owned(),
        ),
        (Some((one, _)), Some((two, _))) => {
            let cells = [one, two].map(|index| describe(&cells[index].axis_values));
            conflict(
                "`reference` names several cells",
                format!("among them {} and {}", cells[0], cells[1]),
            )
        }
    }
}
