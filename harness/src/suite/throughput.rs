//! A suite that measures kernels: resolved and checked.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::cross::{Axis, AxisValue, Crossing, ExcludedCell, SuiteCell, cross};
use super::de::read;
use super::error::SuiteError;
use super::kernel_cell::KernelCell;
use super::locate::misfit;
use super::open::Opened;
use super::reference::reference_values;
use super::tree::Value;
use super::wire::{FORMAT, Kind, WireThroughput};

/// A checked suite of kind `throughput`.
#[derive(Debug)]
pub struct ThroughputSuite {
    /// Name in lower-case letters, digits and `-`.
    pub name: String,
    /// Raised whenever a reported number could move.
    pub version: u32,
    /// What the suite is for.
    pub about: String,
    /// The axes, `--set` applied; `shape`, the list of shapes, is the first.
    pub axes: Vec<Axis>,
    /// All combinations of shapes and axis values that are not excluded; the last axis varies fastest. At least one.
    pub cells: Vec<SuiteCell<KernelCell>>,
    /// The excluded combinations.
    pub excluded: Vec<ExcludedCell>,
    /// Axis values of the cells that ratios are taken to; cells are compared that differ in nothing else.
    pub reference: Option<Vec<AxisValue>>,
    /// Policy file that runs are gated under.
    pub gate: Option<PathBuf>,
    /// What is allowed but probably not meant, in sentences for `plan`.
    pub notes: Vec<String>,
}

impl ThroughputSuite {
    /// Resolves and checks an opened suite.
    pub(super) fn resolve(mut opened: Opened) -> Result<Self, SuiteError> {
        let set_layers = super::set::apply(&mut opened.root, opened.words, &opened.sources)?;
        let config = opened.take_config()?;
        let Opened { root, sources, .. } = &opened;
        let wire: WireThroughput =
            read(root, "").map_err(|mismatch| misfit(mismatch, Some(root), sources))?;
        opened.check_name(&wire.name)?;
        if wire.shapes.is_empty() {
            return opened.refuse("shapes", "[]".to_owned(), "at least one shape");
        }
        let first = root.entry("shapes").and_then(|entry| match &entry.node.value {
            Value::List(shapes) => Some(("shape", entry.key_origin, shapes.as_slice())),
            _ => None,
        });
        let crossing = Crossing {
            suite: &config,
            first,
            axes: root.entry("axes").map(|entry| &entry.node),
            replicates: "measure.processes",
            sets: &set_layers,
            exclude: &wire.exclude,
            sources,
        };
        let crossed = cross(&crossing)?;
        let mut notes = opened.check_excludes(&wire.exclude, &crossed.exclude_hits, &crossed.cells)?;
        let reference = reference_values(root, &crossed.axes, sources, &mut notes)?;
        Ok(Self {
            name: wire.name,
            version: wire.version,
            about: wire.about,
            axes: crossed.axes,
            cells: crossed.cells,
            excluded: crossed.excluded,
            reference,
            gate: wire.gate.map(|gate| opened.beside(&gate)),
            notes,
        })
    }

    /// The suite as resolved: everything that decides what it measures, every default filled in.
    pub fn to_json(&self) -> Json {
        let values = |axes: &[AxisValue]| -> Json {
            let pairs = axes.iter().map(|axis| (axis.path.clone(), axis.value.clone()));
            Json::Object(pairs.collect())
        };
        let axes: serde_json::Map<String, Json> = self
            .axes
            .iter()
            .map(|axis| (axis.path.clone(), Json::Array(axis.values.clone())))
            .collect();
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
        json!({
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "about": self.about,
            "kind": Kind::Throughput,
            "axes": axes,
            "reference": self.reference.as_deref().map(values),
            "cells": cells,
            "excluded": excluded,
        })
    }
}
