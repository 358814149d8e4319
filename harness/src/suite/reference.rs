//! What `reference` names: one cell of an ablation, or the cells of a throughput suite that ratios are taken to.

use super::cross::{Axis, AxisValue, SuiteCell, describe, same};
use super::error::{Problem, SuiteError};
use super::source::{Origin, Sources};
use super::tree::{Node, join};

/// The axis values that `reference` names. An axis that `--set` has cut down to other values leaves no reference, which
/// is noted.
pub(super) fn reference_values(
    root: &Node,
    axes: &[Axis],
    sources: &Sources,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<AxisValue>>, SuiteError> {
    let entries = root
        .entry("reference")
        .and_then(|reference| reference.node.entries())
        .unwrap_or_default();
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
    let value = |entry: &super::tree::Entry| AxisValue {
        path: entry.key.clone(),
        value: entry.node.to_json(),
    };
    Ok(Some(entries.iter().map(value).collect()))
}

/// The one cell that `reference` names.
pub(super) fn reference_cell(
    root: &Node,
    values: &[AxisValue],
    cells: &[SuiteCell],
    sources: &Sources,
) -> Result<usize, SuiteError> {
    let has = |cell: &SuiteCell, wanted: &AxisValue| {
        cell.axis_values
            .iter()
            .any(|axis| axis.path == wanted.path && same(&axis.value, &wanted.value))
    };
    let named = |cell: &SuiteCell| values.iter().all(|wanted| has(cell, wanted));
    let mut matching = cells.iter().enumerate().filter(|(_, cell)| named(cell));
    let conflict = |message: &str, hint: String| {
        let problem = Problem::Conflict {
            message: message.to_owned(),
            hint,
        };
        let origin = root
            .entry("reference")
            .map_or(Origin::Default, |entry| entry.key_origin);
        Err(SuiteError::new(problem, sources.place(origin)))
    };
    match (matching.next(), matching.next()) {
        (Some((index, _)), None) => Ok(index),
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
