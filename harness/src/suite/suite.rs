//! A suite that trains and evaluates: resolved and checked. Whoever holds a [`Suite`] need not check anything again.

use std::path::PathBuf;

use hitbench_models::ConfigError;
use serde_json::{Value as Json, json};

use super::cross::{Axis, Crossing, ExcludedCell, SuiteCell, cross};
use super::de::read;
use super::error::{Problem, SuiteError};
use super::expect::{Expectation, metric_names};
use super::locate::{impossible, misfit};
use super::open::Opened;
use super::reference::{reference_cell, reference_values};
use super::source::Sources;
use super::tree::{Node, join};
use super::wire::{FORMAT, Kind, WireSuite};

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
        Ok(Self {
            name: wire.name,
            version: wire.version,
            about: wire.about,
            axes: crossed.axes,
            cells: crossed.cells,
            excluded: crossed.excluded,
            reference,
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
