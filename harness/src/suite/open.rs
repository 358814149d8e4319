//! What all kinds of suites have in common: the file as a tree, its format, its kind, its name, its exclusions.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::cross::{Configuration, SuiteCell, overlaps};
use super::de::read;
use super::error::{Problem, SuiteError};
use super::locate::{misfit, parser_problem, parser_span};
use super::source::{Origin, Sources};
use super::tree::{Entry, Node, Value};
use super::vocabulary::Vocabulary;
use super::wire::{FORMAT, Kind, WireExclude};

/// A suite file that is a suite of this format and of a known kind; nothing else is checked.
pub(crate) struct Opened {
    /// The file as a tree.
    pub(crate) root: Node,
    /// The file and the `--set` arguments.
    pub(crate) sources: Sources,
    /// The keys of its kind.
    pub(crate) words: &'static Vocabulary,
}

impl Opened {
    /// Reads a suite file.
    pub(crate) fn read(path: &Path, sets: &[String]) -> Result<Self, SuiteError> {
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
    pub(crate) fn parse(file: &str, text: &str, sets: &[String]) -> Result<Self, SuiteError> {
        let sources = Sources {
            file: file.to_owned(),
            text: Arc::from(text),
            sets: sets.iter().map(|set| Arc::from(set.as_str())).collect(),
        };
        let root = Node::from_yaml(text).map_err(|error| {
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
        // Without a kind, the keys of an ablation are as good as any until its absence is told.
        let kind = match root.entry("kind") {
            Some(entry) => read::<Kind>(&entry.node, "kind")
                .map_err(|mismatch| misfit(mismatch, Some(&root), &sources))?,
            None => Kind::Ablation,
        };
        Ok(Self {
            root,
            sources,
            words: Vocabulary::of(kind),
        })
    }

    /// Moves the configuration keys out of the suite, which then holds the others only; refuses unknown keys.
    pub(crate) fn take_config(&mut self) -> Result<Node, SuiteError> {
        let mut entries = Vec::new();
        for key in self.words.in_file {
            entries.extend(self.root.take(key));
        }
        let unknown = self
            .root
            .entries()
            .unwrap_or_default()
            .iter()
            .find(|entry| !self.words.header.contains(&entry.key.as_str()));
        match unknown {
            Some(entry) => Err(SuiteError::new(
                self.words.refuse(&entry.key),
                self.sources.place(entry.key_origin),
            )),
            None => Ok(Node {
                value: Value::Map(entries),
                origin: self.root.origin,
            }),
        }
    }

    /// A path that is meant from the suite's folder, as one from here.
    pub(crate) fn beside(&self, path: &Path) -> PathBuf {
        let folder = Path::new(&self.sources.file).parent();
        folder.map_or(path.to_owned(), |folder| without_detours(&folder.join(path)))
    }

    /// Refuses a value of a header key.
    pub(crate) fn refuse<T>(&self, path: &str, value: String, allowed: &str) -> Result<T, SuiteError> {
        let origin = self.root.get(path).map_or(Origin::Default, |node| node.origin);
        let problem = Problem::Impossible {
            path: path.to_owned(),
            value,
            from: String::new(),
            allowed: allowed.to_owned(),
            cell: String::new(),
            about: super::schema::about(path),
        };
        Err(SuiteError::new(problem, self.sources.place(origin)))
    }

    /// Checks the suite's name.
    pub(crate) fn check_name(&self, name: &str) -> Result<(), SuiteError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('-') {
            let allowed = "lower-case letters, digits and `-`, no `-` first";
            return self.refuse("name", format!("`{name}`"), allowed);
        }
        Ok(())
    }

    /// Checks that a cell is left, and that values in `exclude` are ones that a cell could have. Notes exclusions
    /// that took no cell.
    pub(crate) fn check_excludes<C: Configuration>(
        &self,
        rules: &[WireExclude],
        hits: &[usize],
        cells: &[SuiteCell<C>],
    ) -> Result<Vec<String>, SuiteError> {
        let exclude = self.root.entry("exclude");
        if cells.is_empty() {
            let problem = Problem::Conflict {
                message: "every cell is excluded".to_owned(),
                hint: "narrow `exclude`".to_owned(),
            };
            let origin = exclude.map_or(Origin::Default, |entry| entry.key_origin);
            return Err(SuiteError::new(problem, self.sources.place(origin)));
        }
        let nodes = match exclude.map(|entry| &entry.node.value) {
            Some(Value::List(nodes)) => nodes.as_slice(),
            _ => &[],
        };
        for when in nodes
            .iter()
            .filter_map(|rule| rule.entry("when")?.node.entries())
            .flatten()
        {
            self.check_when(cells, when)?;
        }
        let idle = rules.iter().zip(hits).filter(|(_, hits)| **hits == 0);
        let note = |(rule, _): (&WireExclude, _)| {
            format!("exclusion `{}` matches no cell", Json::Object(rule.when.clone()))
        };
        Ok(idle.map(note).collect())
    }

    /// Checks that a path of `when` exists and that its value has the path's type.
    fn check_when<C: Configuration>(&self, cells: &[SuiteCell<C>], when: &Entry) -> Result<(), SuiteError> {
        let with_path = cells.iter().find(|cell| cell.tree.get(&when.key).is_some());
        let Some(mut tree) = with_path.map(|cell| cell.tree.clone()) else {
            let problem = Problem::UnknownPath {
                path: when.key.clone(),
                known: self.words.known_paths(),
            };
            return Err(SuiteError::new(problem, self.sources.place(when.key_origin)));
        };
        if let Some(node) = tree.get_mut(&when.key) {
            *node = when.node.clone();
        }
        match C::read(&tree) {
            // Other settings need not fit the value.
            Err(mismatch) if overlaps(&mismatch.path, &when.key) => {
                Err(misfit(mismatch, None, &self.sources))
            }
            _ => Ok(()),
        }
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

/// `a/b/../c` as `a/c`, as people and other tools write it.
fn without_detours(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        match (part, short.components().next_back()) {
            (Component::ParentDir, Some(Component::Normal(_))) => {
                short.pop();
            }
            (Component::CurDir, _) => {}
            _ => short.push(part),
        }
    }
    short
}
