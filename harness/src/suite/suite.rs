//! A suite that trains and evaluates: resolved and checked. Whoever holds a [`Suite`] need not check anything again.

use std::path::PathBuf;

use hitbench_models::ConfigError;
use hitbench_reports::record::headline_cutoff;
use serde_json::{Value as Json, json};

use super::cross::{Axis, Crossing, ExcludedCell, SuiteCell, cross};
use super::de::read;
use super::error::{Problem, SuiteError};
use super::expect::{Expectation, metric_names};
use super::locate::{impossible, misfit};
use super::open::Opened;
use super::reference::{reference_cell, reference_values};
use super::source::{Origin, Sources};
use super::tree::{Node, join};
use super::wire::{FORMAT, Kind, WireSuite};
use crate::metric::{Direction, Recall};

/// A checked suite of kind `ablation`.
#[derive(Debug)]
pub struct Suite {
    /// Name in lower-case letters, digits and `-`.
    pub name: String,
    /// Raised whenever a reported number could move.
    pub version: u32,
    /// What the suite is for.
    pub about: String,
    /// The axes, `--set` applied.
    pub axes: Vec<Axis>,
    /// All combinations of axis values that are not excluded; the last axis varies fastest. At least one.
    pub cells: Vec<SuiteCell>,
    /// The excluded combinations.
    pub excluded: Vec<ExcludedCell>,
    /// Index in `cells` of the cell that differences are taken to.
    pub reference: Option<usize>,
    /// What differences to it are taken in; at least one.
    pub differences: Vec<Recall>,
    /// Seeds of the replicates; at least one, all different.
    pub seeds: Vec<u64>,
    /// Where metrics must lie.
    pub expect: Vec<Expectation>,
    /// Policy file that runs are gated under.
    pub gate: Option<PathBuf>,
    /// What is allowed but probably not meant, in sentences for `plan`.
    pub notes: Vec<String>,
    sources: Sources,
}

impl Suite {
    /// Resolves and checks an opened suite.
    pub(super) fn resolve(mut opened: Opened) -> Result<Self, SuiteError> {
        let set_layers = super::set::apply(&mut opened.root, opened.words, &opened.sources)?;
        let config = opened.take_config()?;
        let Opened { root, sources, .. } = &opened;
        let wire: WireSuite = read(root, "").map_err(|mismatch| misfit(mismatch, Some(root), sources))?;
        opened.check_name(&wire.name)?;
        check_seeds(&wire, &opened)?;

        let crossing = Crossing {
            suite: &config,
            first: None,
            axes: root.entry("axes").map(|entry| &entry.node),
            replicates: "seeds",
            sets: &set_layers,
            exclude: &wire.exclude,
            sources,
        };
        let crossed = cross(&crossing)?;
        let mut notes = opened.check_excludes(&wire.exclude, &crossed.exclude_hits, &crossed.cells)?;
        let expect = read_expectations(root, &crossed.cells, sources)?;
        let reference = match reference_values(root, &crossed.axes, sources, &mut notes)? {
            Some(values) => Some(reference_cell(root, &values, &crossed.cells, sources)?),
            None => None,
        };
        let differences = read_differences(&wire.differences, &crossed.cells, &opened)?;
        if reference.is_none() && !wire.differences.is_empty() {
            notes.push("`differences` without a `reference`: there is nothing to take them to".to_owned());
        }
        Ok(Self {
            name: wire.name,
            version: wire.version,
            about: wire.about,
            axes: crossed.axes,
            cells: crossed.cells,
            excluded: crossed.excluded,
            reference,
            differences,
            seeds: wire.seeds,
            expect,
            gate: wire.gate.map(|gate| opened.beside(&gate)),
            notes,
            sources: opened.sources,
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
            "kind": Kind::Ablation,
            "axes": axes,
            "reference": self.reference.map(|index| values(&self.cells[index].axis_values)),
            "differences": self.differences.iter().map(Recall::to_string).collect::<Vec<_>>(),
            "seeds": self.seeds,
            "expect": expect,
            "cells": cells,
            "excluded": excluded,
        })
    }

    /// An error about a value of a cell that only shows when data are read, such as an empty split; it has the
    /// value's place, as errors of the suite itself have, or where nobody wrote the value that of the data.
    pub fn error_at(&self, cell: &SuiteCell, path: &str, value: &str, allowed: &str) -> SuiteError {
        let error = ConfigError {
            path: path.to_owned(),
            value: value.to_owned(),
            allowed: allowed.to_owned(),
        };
        impossible(error, &cell.tree, &cell.axis_values, &self.sources, Some("data"))
    }
}

fn check_seeds(wire: &WireSuite, opened: &Opened) -> Result<(), SuiteError> {
    if wire.seeds.is_empty() {
        return opened.refuse("seeds", "[]".to_owned(), "at least one seed");
    }
    for (index, seed) in wire.seeds.iter().enumerate() {
        if wire.seeds[..index].contains(seed) {
            return opened.refuse(&format!("seeds.{index}"), seed.to_string(), "seeds that differ");
        }
    }
    Ok(())
}

/// The metrics of `differences`, each one that every cell reports.
fn read_differences(
    named: &[String],
    cells: &[SuiteCell],
    opened: &Opened,
) -> Result<Vec<Recall>, SuiteError> {
    let cutoffs = |cell: &SuiteCell| cell.config.eval.recall_at.clone();
    if named.is_empty() {
        let k = headline_cutoff(cells.iter().flat_map(cutoffs));
        let direction = Direction::T2v;
        return Ok(k.map(|k| Recall { direction, k }).into_iter().collect());
    }
    let mut known = cells.first().map(cutoffs).unwrap_or_default();
    known.retain(|k| cells.iter().all(|cell| cell.config.eval.recall_at.contains(k)));
    let known = Direction::ALL
        .into_iter()
        .flat_map(|direction| known.iter().map(move |&k| Recall { direction, k }));
    let known: Vec<Recall> = known.collect();
    let mut found = Vec::with_capacity(named.len());
    for (index, name) in named.iter().enumerate() {
        let path = join("differences", &index.to_string());
        let Some(metric) = known.iter().find(|metric| metric.to_string() == *name) else {
            let origin = opened.root.get(&path).map_or(Origin::Default, |node| node.origin);
            let problem = Problem::UnknownValue {
                path,
                value: name.clone(),
                known: known.iter().map(Recall::to_string).collect(),
            };
            return Err(SuiteError::new(problem, opened.sources.place(origin)));
        };
        if found.contains(metric) {
            return opened.refuse(&path, format!("`{name}`"), "metrics that differ");
        }
        found.push(*metric);
    }
    Ok(found)
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
