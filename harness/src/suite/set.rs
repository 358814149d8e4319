//! `--set PATH=VALUE`: overrides of single values from the command line.

use std::sync::Arc;

use super::error::{Problem, SuiteError};
use super::locate::{parser_problem, parser_span};
use super::source::{Origin, Sources, Span};
use super::tree::{Entry, Node, Value};
use super::vocabulary::Vocabulary;

/// A `--set` argument, parsed.
#[derive(Debug)]
struct Setting {
    path: String,
    key_origin: Origin,
    node: Node,
}

/// Applies the `--set` arguments of `sources`: axes and keys that are not configuration change in `root`, the rest
/// is returned as one layer each.
pub(crate) fn apply(root: &mut Node, words: &Vocabulary, sources: &Sources) -> Result<Vec<Node>, SuiteError> {
    let mut layers = Vec::new();
    for index in 0..sources.sets.len() {
        let Setting {
            path,
            key_origin,
            node,
        } = parse(index, sources)?;
        let (head, rest) = path.split_once('.').unwrap_or((&path, ""));
        let is_axis = root
            .entry("axes")
            .is_some_and(|axes| axes.node.entry(&path).is_some());
        if is_axis {
            put_below(
                root,
                "axes",
                Entry {
                    key: path,
                    key_origin,
                    node,
                },
            );
        } else if words.config.contains(&head) {
            refuse_covering_an_axis(root, &path, key_origin, sources)?;
            layers.push(Node::nest(&path, key_origin, node));
        } else if path == "kind" {
            let problem = Problem::Conflict {
                message: "`kind` cannot be set: it decides which settings there are".to_owned(),
                hint: "write another suite".to_owned(),
            };
            return Err(SuiteError::new(problem, sources.place(key_origin)));
        } else if words.header.contains(&head) && rest.is_empty() {
            root.put(Entry {
                key: path,
                key_origin,
                node,
            });
        } else if words.maps.contains(&head) {
            put_below(
                root,
                head,
                Entry {
                    key: rest.to_owned(),
                    key_origin,
                    node,
                },
            );
        } else {
            let problem = match words.refuse(&path) {
                Problem::UnknownKey { path, known, .. } => Problem::UnknownPath { path, known },
                other => other,
            };
            return Err(SuiteError::new(problem, sources.place(key_origin)));
        }
    }
    Ok(layers)
}

/// Puts an entry into the map `section` of the suite, which is made if absent.
fn put_below(root: &mut Node, section: &str, entry: Entry) {
    if root.entry(section).is_none() {
        let node = Node {
            value: Value::Map(Vec::new()),
            origin: entry.key_origin,
        };
        root.put(Entry {
            key: section.to_owned(),
            key_origin: entry.key_origin,
            node,
        });
    }
    if let Some(node) = root.get_mut(section) {
        node.put(entry);
    }
}

/// A map set over an axis below it would leave cells that differ in name only.
fn refuse_covering_an_axis(
    root: &Node,
    path: &str,
    origin: Origin,
    sources: &Sources,
) -> Result<(), SuiteError> {
    let axes = root
        .entry("axes")
        .and_then(|axes| axes.node.entries())
        .unwrap_or_default();
    let below = |axis: &&Entry| {
        axis.key
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    match axes.iter().find(below) {
        None => Ok(()),
        Some(axis) => {
            let axis = &axis.key;
            let problem = Problem::Conflict {
                message: format!("`{path}` covers the axis `{axis}`"),
                hint: format!("set its values one by one; `--set {axis}=[VALUE, ...]` replaces the axis"),
            };
            Err(SuiteError::new(problem, sources.place(origin)))
        }
    }
}

fn parse(index: usize, sources: &Sources) -> Result<Setting, SuiteError> {
    let argument: Arc<str> = Arc::clone(&sources.sets[index]);
    let at = |offset: usize, len: usize| {
        let column = argument.get(..offset).map_or(0, |before| before.chars().count()) as u64 + 1;
        Origin::Set(
            index,
            Span {
                offset,
                len,
                line: 1,
                column,
            },
        )
    };
    let bad = || {
        let problem = Problem::BadSet {
            argument: argument.to_string(),
        };
        SuiteError::new(problem, sources.place(at(0, argument.len())))
    };
    let (path, value) = argument.split_once('=').ok_or_else(bad)?;
    if path.split('.').any(|part| part.trim() != part || part.is_empty()) {
        return Err(bad());
    }
    let start = path.len() + 1;
    let mut node = Node::from_yaml(value).map_err(|error| {
        let offset = parser_span(&error, value).map_or(0, |span| span.offset);
        SuiteError::new(parser_problem(&error), sources.place(at(start + offset, 0)))
    })?;
    node.map_origins(&|origin| match origin {
        Origin::File(span) => at(start + span.offset, span.len),
        other => other,
    });
    Ok(Setting {
        path: path.to_owned(),
        key_origin: at(0, path.len()),
        node,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::data::DataConfig;
    use crate::suite::{Suite, SuiteError};

    fn suite(sets: &[&str]) -> Result<Suite, SuiteError> {
        let text = "
format: 1
name: sample
version: 1
about: A sample.
kind: ablation
data: {synthetic: {videos: 300}}
model: {hierarchy: feature}
axes: {momentum.queue_len: [0, 256, 512], model.hierarchy: [semantic, both]}
reference: {momentum.queue_len: 0, model.hierarchy: semantic}
";
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        Suite::parse("sample.yaml", text, &sets)
    }

    fn valid(sets: &[&str]) -> Suite {
        suite(sets).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_list_replaces_an_axis() {
        let suite = valid(&["momentum.queue_len=[0, 1024]"]);
        assert_eq!(suite.axes[0].values, [json!(0), json!(1024)]);
        assert_eq!(suite.cells.len(), 4);
        assert_eq!(suite.reference, Some(0));
        assert!(suite.notes.is_empty());
    }

    #[test]
    fn a_reference_outside_the_new_axis_is_noted() {
        let suite = valid(&["momentum.queue_len=[256]"]);
        assert_eq!(suite.reference, None);
        assert_eq!(
            suite.notes,
            ["no reference: `momentum.queue_len` is never 0 with --set momentum.queue_len"]
        );
        let suite = valid(&["momentum.queue_len=[256]", "reference.momentum.queue_len=256"]);
        assert_eq!(suite.reference, Some(0));
    }

    #[test]
    fn axes_seeds_and_expectations_can_be_added() {
        let more = [
            "axes.train.lr=[0.1, 0.2]",
            "reference.train.lr=0.2",
            "seeds=[3, 4]",
            "expect.t2v.r_at.10=[0.5, 1]",
        ];
        let suite = valid(&more);
        assert_eq!((suite.cells.len(), &*suite.seeds), (12, &[3, 4][..]));
        assert_eq!((suite.expect[0].low, suite.expect[0].high), (0.5, 1.0));
        assert_eq!(suite.reference, Some(1));
    }

    #[test]
    fn differences_are_in_the_headline_unless_named() {
        let names = |sets: &[&str]| -> Vec<String> {
            let differences = valid(sets).differences;
            differences.iter().map(ToString::to_string).collect()
        };
        assert_eq!(names(&[]), ["t2v.r_at.10"]);
        assert_eq!(names(&["eval.recall_at=[1, 5]"]), ["t2v.r_at.5"]);
        let named = "differences=[v2t.r_at.1, t2v.r_at.5]";
        assert_eq!(names(&[named]), ["v2t.r_at.1", "t2v.r_at.5"]);
        let suite = valid(&[named, "momentum.queue_len=[256]"]);
        let note = "`differences` without a `reference`: there is nothing to take them to";
        assert!(suite.notes.iter().any(|found| found == note), "{:?}", suite.notes);
    }

    #[test]
    fn a_value_wins_over_suite_and_preset() {
        let suite = valid(&["train.lr=0.5", "model.preset=paper", "model.text.layers=6"]);
        for cell in &suite.cells {
            assert_eq!(cell.config.train.lr, 0.5);
            assert_eq!(
                (cell.config.model.video.hidden, cell.config.model.text.hidden),
                (512, 768)
            );
            assert_eq!(
                (cell.config.model.text.layers, cell.config.model.text.semantic_tap),
                (6, 6)
            );
        }
    }

    #[test]
    fn another_data_source_replaces_the_first() {
        let suite = valid(&["data.folder.path=some/where"]);
        assert!(
            matches!(&suite.cells[0].config.data, DataConfig::Folder(folder) if folder.path.ends_with("where"))
        );
    }

    #[test]
    fn a_map_over_an_axis_is_refused() {
        let error = suite(&["momentum={queue_len: 0}"]).expect_err("the axis lies below");
        assert_eq!(
            error.to_string(),
            "--set momentum: `momentum` covers the axis `momentum.queue_len`"
        );
    }
}
