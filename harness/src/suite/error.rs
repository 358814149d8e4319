//! Errors of suites: typed, each with its place in the file or on the command line, a quotation and a hint.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, SourceCode};

use super::source::Place;

/// What is wrong with a suite.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file could not be read.
    #[error("cannot read the file")]
    Read(#[source] std::io::Error),
    /// Not YAML, or a key stands twice.
    #[error("not valid YAML: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
        /// What to do.
        hint: &'static str,
    },
    /// A key that means nothing.
    #[error("unknown key `{path}`")]
    UnknownKey {
        /// Dotted path of the key.
        path: String,
        /// The key alone.
        key: String,
        /// Keys that may stand there.
        known: Vec<String>,
    },
    /// A key that only suites of another kind have.
    #[error("suites of kind `{kind}` have no `{path}`")]
    NotOfKind {
        /// Dotted path of the key.
        path: String,
        /// The kind of this suite.
        kind: &'static str,
        /// What to do.
        hint: String,
    },
    /// A required key is absent.
    #[error("`{path}` is missing")]
    Missing {
        /// Dotted path of the key.
        path: String,
        /// What to write.
        example: String,
    },
    /// A value of another type.
    #[error("wrong type for `{path}`: expected {expected}, found {found}")]
    WrongType {
        /// Dotted path of the value.
        path: String,
        /// The type in words.
        expected: String,
        /// What came instead.
        found: String,
        /// What the setting means; may be empty.
        about: String,
    },
    /// A name that is not one of the known ones.
    #[error("unknown value `{value}` for `{path}`")]
    UnknownValue {
        /// Dotted path of the value.
        path: String,
        /// The value.
        value: String,
        /// Values that may stand there.
        known: Vec<String>,
    },
    /// A value of the right type that cannot be.
    #[error(
        "impossible value for `{path}`: {value}{}; allowed: {allowed}{}",
        note(from),
        in_cell(cell)
    )]
    Impossible {
        /// Dotted path of the value.
        path: String,
        /// The value.
        value: String,
        /// Where the value comes from if nobody wrote it, such as `from preset tiny`; else empty.
        from: String,
        /// What may stand there.
        allowed: String,
        /// Axis values that bring it about; may be empty.
        cell: String,
        /// What the setting means; may be empty.
        about: String,
    },
    /// A dotted path that names no setting.
    #[error("`{path}` names no setting")]
    UnknownPath {
        /// The path.
        path: String,
        /// All paths that could be meant.
        known: Vec<String>,
    },
    /// A `--set` argument without path or `=`.
    #[error("`{argument}` is not of the form PATH=VALUE")]
    BadSet {
        /// The argument.
        argument: String,
    },
    /// Parts of a suite that contradict each other.
    #[error("{message}")]
    Conflict {
        /// What contradicts what.
        message: String,
        /// What to do.
        hint: String,
    },
}

fn note(from: &str) -> String {
    if from.is_empty() {
        String::new()
    } else {
        format!(" {from}")
    }
}

fn in_cell(cell: &str) -> String {
    if cell.is_empty() {
        String::new()
    } else {
        format!("; in cell {cell}")
    }
}

impl Problem {
    /// A stable word for machines.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Read(_) => "suite-unreadable",
            Self::Syntax { .. } => "suite-syntax",
            Self::UnknownKey { .. } | Self::NotOfKind { .. } => "unknown-key",
            Self::Missing { .. } => "missing-key",
            Self::WrongType { .. } => "wrong-type",
            Self::UnknownValue { .. } => "unknown-value",
            Self::Impossible { .. } => "impossible-value",
            Self::UnknownPath { .. } => "unknown-path",
            Self::BadSet { .. } => "bad-set",
            Self::Conflict { .. } => "suite-conflict",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read(_) => Some("check the path; suites of this project lie in `suites/`".to_owned()),
            Self::Syntax { hint, .. } => Some((*hint).to_owned()),
            Self::UnknownKey { key, known, .. } => Some(did_you_mean(key, known, "keys here")),
            Self::Missing { example, .. } => Some(format!("add `{example}`")),
            Self::WrongType {
                path,
                expected,
                found,
                ..
            } if expected == "text" && found.starts_with("the number") => {
                let number = found.trim_start_matches("the number ");
                Some(format!("write it in quotes: `{path}: \"{number}\"`"))
            }
            Self::WrongType { path, found, .. } if found == "a list" => Some(format!(
                "to sweep over several values make `{path}` an axis: `axes: {{{path}: [...]}}`"
            )),
            Self::WrongType { path, about, .. } => meaning(path, about),
            Self::UnknownValue { value, known, .. } => Some(did_you_mean(value, known, "values")),
            Self::Impossible { path, from, .. } if !from.is_empty() => Some(format!(
                "set `{path}` as well: its value {from} does not fit what is set here"
            )),
            Self::Impossible { path, about, .. } => meaning(path, about),
            Self::UnknownPath { path, known } => Some(did_you_mean(path, known, "paths")),
            Self::BadSet { .. } => Some("for example `--set momentum.queue_len=[0, 256]`".to_owned()),
            Self::Conflict { hint, .. } | Self::NotOfKind { hint, .. } => Some(hint.clone()),
        }
    }

    /// Words at the marked place.
    fn label(&self) -> &'static str {
        match self {
            Self::Read(_) | Self::Syntax { .. } => "here",
            Self::UnknownKey { .. } | Self::NotOfKind { .. } => "no such key",
            Self::Missing { .. } => "missing in this map",
            Self::WrongType { .. } => "wrong type",
            Self::UnknownValue { .. } => "no such value",
            Self::Impossible { from, .. } if !from.is_empty() => "set here",
            Self::Impossible { .. } => "impossible",
            Self::UnknownPath { .. } => "no such path",
            Self::BadSet { .. } => "no `=` with a path before it",
            Self::Conflict { .. } => "here",
        }
    }
}

fn meaning(path: &str, about: &str) -> Option<String> {
    (!about.is_empty()).then(|| format!("`{path}`: {about}"))
}

/// Names the nearest known word if one is near, and lists all if they are few. A word without dots is compared
/// with the last part of a dotted one too.
fn did_you_mean(word: &str, known: &[String], what: &str) -> String {
    let likeness = |candidate: &str| {
        let last = candidate.rsplit('.').next().unwrap_or(candidate);
        let whole = strsim::normalized_damerau_levenshtein(word, candidate);
        if word.contains('.') {
            whole
        } else {
            whole.max(strsim::normalized_damerau_levenshtein(word, last))
        }
    };
    let nearest = known
        .iter()
        .map(|candidate| (likeness(candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity >= 0.5);
    let listed = (known.len() <= 12).then(|| format!("{what}: {}", quote_all(known)));
    match (nearest, listed) {
        (Some((_, nearest)), Some(listed)) => format!("did you mean `{nearest}`? {listed}"),
        (Some((_, nearest)), None) => format!("did you mean `{nearest}`?"),
        (None, Some(listed)) => listed,
        (None, None) => "`hitbench schema suite` prints all of them".to_owned(),
    }
}

fn quote_all(known: &[String]) -> String {
    let quoted: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// A [`Problem`] and where it is. Displays as `FILE:LINE:COLUMN: what` or `--set PATH: what`; as a
/// [`Diagnostic`] it also quotes the place and gives a hint.
#[derive(Debug)]
pub struct SuiteError(Box<Located>);

#[derive(Debug)]
struct Located {
    problem: Problem,
    place: Place,
    related: Vec<(Place, String)>,
}

impl SuiteError {
    /// A problem at a place.
    pub(crate) fn new(problem: Problem, place: Place) -> Self {
        Self(Box::new(Located {
            problem,
            place,
            related: Vec::new(),
        }))
    }

    /// Marks a second place, if it lies in the same text.
    pub(crate) fn and_at(mut self, place: Place, label: String) -> Self {
        self.0.related.push((place, label));
        self
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Line and column in the file, both counted from 1; `None` for a `--set` value or when no place is known.
    pub fn position(&self) -> Option<(u64, u64)> {
        let place = &self.0.place;
        if place.set {
            None
        } else {
            place.span.map(|span| (span.line, span.column))
        }
    }
}

impl fmt::Display for SuiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.place, self.0.problem)
    }
}

impl std::error::Error for SuiteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.problem)
    }
}

impl Diagnostic for SuiteError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let hint = self.0.problem.hint()?;
        Some(Box::new(hint))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0
            .place
            .span
            .is_some()
            .then_some(&self.0.place.text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = &self.0.place;
        let span = place.span?;
        let mark = |span: super::source::Span| {
            let end = (span.offset + span.len).min(place.text.len());
            let stretch = place.text.get(span.offset..end).unwrap_or_default();
            // A block map or list would be marked down to its last line; its first line is enough.
            (
                span.offset,
                stretch.lines().next().map_or(0, |line| line.trim_end().len()),
            )
        };
        let main = LabeledSpan::new_primary_with_span(Some(self.0.problem.label().to_owned()), mark(span));
        let related = self.0.related.iter().filter_map(move |(other, label)| {
            let span = other.span.filter(|_| other.name == place.name)?;
            Some(LabeledSpan::new_with_span(Some(label.clone()), mark(span)))
        });
        Some(Box::new(std::iter::once(main).chain(related)))
    }
}
