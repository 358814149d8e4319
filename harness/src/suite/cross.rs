//! Crosses the axes of a suite into resolved cells.

use hitbench_models::ConfigError;
use hitbench_reports::record::AxisValues;
use serde::Serialize;
use serde_json::Value as Json;

use super::config::CellConfig;
use super::de::{Mismatch, read};
use super::error::{Problem, SuiteError};
use super::locate::{impossible, misfit};
use super::source::{Origin, Sources};
use super::tree::{Node, Value};
use super::wire::WireExclude;

/// What one kind of suite makes of a combination of axis values.
pub(crate) trait Configuration: Serialize + Sized {
    /// Lays layers over each other, weakest first, defaults below all.
    fn resolve(layers: &[&Node]) -> Result<Node, Mismatch>;

    /// Reads a resolved tree.
    fn read(tree: &Node) -> Result<Self, Mismatch>;

    /// Checks values, and values against each other.
    fn validate(&self) -> Result<(), ConfigError>;
}

impl Configuration for CellConfig {
    fn resolve(layers: &[&Node]) -> Result<Node, Mismatch> {
        super::layer::resolve(layers)
    }

    fn read(tree: &Node) -> Result<Self, Mismatch> {
        read(tree, "")
    }

    fn validate(&self) -> Result<(), ConfigError> {
        Self::validate(self)
    }
}

/// An axis: a configuration path and its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Dotted configuration path.
    pub path: String,
    /// The values, in the order of the suite; at least one, all different.
    pub values: Vec<Json>,
}

/// One axis's value in a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct AxisValue {
    /// Dotted configuration path of the axis.
    pub path: String,
    /// The value as written.
    pub value: Json,
}

/// Axis values as records keep them.
pub(crate) fn axis_values(values: &[AxisValue]) -> AxisValues {
    values
        .iter()
        .map(|axis| (axis.path.clone(), axis.value.clone()))
        .collect()
}

impl AxisValue {
    /// The value as names show it: text bare with `/` as `.`, everything else as compact JSON.
    pub fn label(&self) -> String {
        match &self.value {
            Json::String(text) => text.replace('/', "."),
            other => other.to_string().replace('/', "."),
        }
    }
}

/// A combination of axis values, resolved and checked.
#[derive(Debug, Clone)]
pub struct SuiteCell<C = CellConfig> {
    /// The cell's value on each axis, in the order of the axes.
    pub axis_values: Vec<AxisValue>,
    /// Its complete configuration.
    pub config: C,
    /// The tree that the configuration was read from, for the places of its values.
    pub(crate) tree: Node,
}

/// A combination that the suite excludes.
#[derive(Debug, Clone, PartialEq)]
pub struct ExcludedCell {
    /// Its value on each axis.
    pub axis_values: Vec<AxisValue>,
    /// The suite's reason.
    pub reason: String,
}

/// Axis values in words: `path=value` joined by commas.
pub fn describe(axis_values: &[AxisValue]) -> String {
    let parts: Vec<String> = axis_values
        .iter()
        .map(|axis| format!("{}={}", axis.path, axis.label()))
        .collect();
    parts.join(", ")
}

/// What [`cross`] works on.
pub(crate) struct Crossing<'a> {
    /// The suite's configuration keys.
    pub(crate) suite: &'a Node,
    /// An axis that comes before all others and may have axes inside it: its path, place and values.
    pub(crate) first: Option<(&'static str, Origin, &'a [Node])>,
    /// The map `axes`, if any.
    pub(crate) axes: Option<&'a Node>,
    /// The setting that makes replicates, for hints.
    pub(crate) replicates: &'static str,
    /// One layer a `--set` of configuration.
    pub(crate) sets: &'a [Node],
    /// Cells to leave out.
    pub(crate) exclude: &'a [WireExclude],
    /// For places.
    pub(crate) sources: &'a Sources,
}

/// What came of [`cross`].
pub(crate) struct Crossed<C> {
    /// The axes.
    pub(crate) axes: Vec<Axis>,
    /// All cells that are not excluded; the last axis varies fastest.
    pub(crate) cells: Vec<SuiteCell<C>>,
    /// The excluded ones.
    pub(crate) excluded: Vec<ExcludedCell>,
    /// For each exclusion how many cells it took.
    pub(crate) exclude_hits: Vec<usize>,
}

/// One axis as nodes.
struct AxisNode<'a> {
    path: &'a str,
    origin: Origin,
    values: &'a [Node],
}

/// Crosses all axes, resolves and checks every combination.
pub(crate) fn cross<C: Configuration>(crossing: &Crossing<'_>) -> Result<Crossed<C>, SuiteError> {
    let mut axes = axis_nodes(crossing)?;
    if let Some((path, origin, values)) = crossing.first {
        check_values(path, values, origin, crossing)?;
        axes.insert(0, AxisNode { path, origin, values });
    }
    let n_cells: usize = axes.iter().map(|axis| axis.values.len()).product();
    let mut crossed = Crossed {
        axes: Vec::new(),
        cells: Vec::new(),
        excluded: Vec::new(),
        exclude_hits: vec![0; crossing.exclude.len()],
    };
    for axis in &axes {
        let values = axis.values.iter().map(Node::to_json).collect();
        crossed.axes.push(Axis {
            path: axis.path.to_owned(),
            values,
        });
    }
    for index in 0..n_cells {
        let chosen = choose(&axes, index);
        let axis_values: Vec<AxisValue> = chosen
            .iter()
            .map(|(axis, node)| AxisValue {
                path: axis.path.to_owned(),
                value: node.to_json(),
            })
            .collect();
        let axis_layers: Vec<Node> = chosen
            .iter()
            .map(|(axis, node)| Node::nest(axis.path, axis.origin, (*node).clone()))
            .collect();
        let layers: Vec<&Node> = std::iter::once(crossing.suite)
            .chain(&axis_layers)
            .chain(crossing.sets)
            .collect();
        let tree = C::resolve(&layers).map_err(|mismatch| misfit(mismatch, None, crossing.sources))?;
        let config = C::read(&tree).map_err(|mismatch| misfit(mismatch, Some(&tree), crossing.sources))?;
        let json = serde_json::to_value(&config).expect("configurations are plain data with string keys");
        if let Some(rule) = crossing
            .exclude
            .iter()
            .position(|rule| rule.when.iter().all(|when| holds(&json, when)))
        {
            crossed.exclude_hits[rule] += 1;
            let reason = crossing.exclude[rule].reason.clone();
            crossed.excluded.push(ExcludedCell { axis_values, reason });
            continue;
        }
        config
            .validate()
            .map_err(|error| impossible(error, &tree, &axis_values, crossing.sources, None))?;
        crossed.cells.push(SuiteCell {
            axis_values,
            config,
            tree,
        });
    }
    Ok(crossed)
}

/// The value of each axis in combination `index`; the last axis varies fastest.
fn choose<'a>(axes: &'a [AxisNode<'a>], mut index: usize) -> Vec<(&'a AxisNode<'a>, &'a Node)> {
    let mut chosen: Vec<_> = axes
        .iter()
        .rev()
        .map(|axis| {
            let node = &axis.values[index % axis.values.len()];
            index /= axis.values.len();
            (axis, node)
        })
        .collect();
    chosen.reverse();
    chosen
}

/// Checks the axes themselves: lists, not empty, no value twice, no axis inside another.
fn axis_nodes<'a>(crossing: &Crossing<'a>) -> Result<Vec<AxisNode<'a>>, SuiteError> {
    let sources = crossing.sources;
    let mut axes: Vec<AxisNode<'a>> = Vec::new();
    for entry in crossing.axes.and_then(Node::entries).unwrap_or_default() {
        let path = entry.key.as_str();
        let Value::List(values) = &entry.node.value else {
            let expected = "a list of values, as this is an axis".to_owned();
            let found = format!("`{}`", entry.node.shown());
            let about = "an axis has one cell a value; for one value write a list of one".to_owned();
            let problem = Problem::WrongType {
                path: path.to_owned(),
                expected,
                found,
                about,
            };
            return Err(SuiteError::new(problem, sources.place(entry.node.origin)));
        };
        check_values(path, values, entry.node.origin, crossing)?;
        if let Some(outer) = axes.iter().find(|other| overlaps(other.path, path)) {
            let message = format!("axes `{}` and `{path}` overlap", outer.path);
            return conflict(
                message,
                "an axis may not lie inside another",
                entry.key_origin,
                sources,
            );
        }
        refuse_other_source(crossing, path, entry.key_origin)?;
        axes.push(AxisNode {
            path,
            origin: entry.key_origin,
            values,
        });
    }
    Ok(axes)
}

/// Checks the values of an axis: at least one, none twice.
fn check_values(
    path: &str,
    values: &[Node],
    origin: Origin,
    crossing: &Crossing<'_>,
) -> Result<(), SuiteError> {
    let sources = crossing.sources;
    if values.is_empty() {
        let message = format!("axis `{path}` has no values");
        return conflict(
            message,
            "give it at least one value, or remove it",
            origin,
            sources,
        );
    }
    for (index, value) in values.iter().enumerate() {
        let json = value.to_json();
        if values[..index]
            .iter()
            .any(|earlier| same(&earlier.to_json(), &json))
        {
            let message = format!("axis `{path}` has `{}` twice", value.shown());
            let hint = format!("remove one; replicates are made by `{}`", crossing.replicates);
            return conflict(message, &hint, value.origin, sources);
        }
    }
    Ok(())
}

fn conflict<T>(message: String, hint: &str, origin: Origin, sources: &Sources) -> Result<T, SuiteError> {
    let problem = Problem::Conflict {
        message,
        hint: hint.to_owned(),
    };
    Err(SuiteError::new(problem, sources.place(origin)))
}

/// Whether one dotted path is the other or lies inside it.
pub(crate) fn overlaps(one: &str, other: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    one == other || inside(one, other) || inside(other, one)
}

/// An axis below a data source must be of the source that the suite names: it cannot choose another.
fn refuse_other_source(crossing: &Crossing<'_>, path: &str, origin: Origin) -> Result<(), SuiteError> {
    let Some(wanted) = path.strip_prefix("data.").and_then(|rest| rest.split('.').next()) else {
        return Ok(());
    };
    let layers = crossing.sets.iter().rev().chain([crossing.suite]);
    let named = layers
        .filter_map(|layer| layer.entry("data"))
        .find_map(|data| data.node.entries()?.first());
    match named {
        Some(source) if source.key != wanted => {
            let problem = Problem::Conflict {
                message: format!("axis `{path}` is of another source than `data.{}`", source.key),
                hint: "sweep settings of the source that `data` names, or make `data` itself the axis"
                    .to_owned(),
            };
            Err(SuiteError::new(problem, crossing.sources.place(origin)))
        }
        _ => Ok(()),
    }
}

/// Whether a resolved configuration has a value at a dotted path.
fn holds(config: &Json, (path, wanted): (&String, &Json)) -> bool {
    let found = path.split('.').try_fold(config, |json, key| json.get(key));
    found.is_some_and(|found| same(found, wanted))
}

/// Equality of values as a suite's author means it: 1 and 1.0 are equal.
pub(crate) fn same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => one == other,
    }
}
