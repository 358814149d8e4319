//! The keys that each kind of suite has.

use super::error::Problem;
use super::wire::Kind;
use super::{layer, schema};

/// The keys of one kind of suite.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// The kind.
    pub(crate) kind: Kind,
    /// Keys that are not configuration, in the order in which they are usually written.
    pub(crate) header: &'static [&'static str],
    /// Sections and settings of a cell, in the order in which they are printed.
    pub(crate) config: &'static [&'static str],
    /// Which of them a file may have by itself; an axis and `--set` may name all.
    pub(crate) in_file: &'static [&'static str],
    /// Header keys whose maps `--set KEY.NAME` adds to.
    pub(crate) maps: &'static [&'static str],
    leaves: fn() -> Vec<String>,
}

static ABLATION: Vocabulary = Vocabulary {
    kind: Kind::Ablation,
    header: &[
        "format",
        "name",
        "version",
        "about",
        "kind",
        "axes",
        "reference",
        "differences",
        "seeds",
        "exclude",
        "expect",
        "gate",
    ],
    config: &layer::CONFIG_KEYS,
    in_file: &layer::CONFIG_KEYS,
    maps: &["axes", "reference", "expect"],
    leaves: layer::all_paths,
};

static THROUGHPUT: Vocabulary = Vocabulary {
    kind: Kind::Throughput,
    header: &[
        "format",
        "name",
        "version",
        "about",
        "kind",
        "shapes",
        "axes",
        "reference",
        "exclude",
        "gate",
    ],
    config: &["device", "operation", "shape", "kernel", "measure"],
    in_file: &["device", "operation", "kernel", "measure"],
    maps: &["axes", "reference"],
    leaves: schema::kernel_paths,
};

impl Vocabulary {
    /// The keys of `kind`.
    pub(crate) fn of(kind: Kind) -> &'static Self {
        match kind {
            Kind::Ablation => &ABLATION,
            Kind::Throughput => &THROUGHPUT,
        }
    }

    /// Every dotted path that a suite may have, sections and keys beside the configuration included.
    pub(crate) fn known_paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self
            .header
            .iter()
            .chain(self.config)
            .map(|&key| key.to_owned())
            .collect();
        paths.extend((self.leaves)());
        paths
    }

    /// What is wrong with a key that no suite of this kind has.
    pub(crate) fn refuse(&self, key: &str) -> Problem {
        let other = match self.kind {
            Kind::Ablation => &THROUGHPUT,
            Kind::Throughput => &ABLATION,
        };
        let head = key.split('.').next().unwrap_or(key);
        if !self.in_file.contains(&head) && (other.header.contains(&head) || other.in_file.contains(&head)) {
            let hint = match head {
                "seeds" => {
                    "inputs have a fixed seed; `measure.processes` says how often all is measured".to_owned()
                }
                "expect" => "every kernel is verified before it is timed".to_owned(),
                _ => format!("`{head}` belongs to suites of kind `{}`", other.kind.name()),
            };
            return Problem::NotOfKind {
                path: key.to_owned(),
                kind: self.kind.name(),
                hint,
            };
        }
        Problem::UnknownKey {
            path: key.to_owned(),
            key: key.to_owned(),
            known: self.known_paths(),
        }
    }
}
