//! Where a value comes from: a position in the suite file, a `--set` argument, or a default.

use std::fmt;
use std::sync::Arc;

use hitbench_models::config::Preset;

/// A stretch of a text, with the line and column that people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Bytes before it.
    pub offset: usize,
    /// Bytes in it; 0 where only its start is known.
    pub len: usize,
    /// Line, counted from 1.
    pub line: u64,
    /// Column in characters, counted from 1.
    pub column: u64,
}

impl From<serde_yaml::Location> for Span {
    fn from(location: serde_yaml::Location) -> Self {
        let span = location.span();
        Self {
            offset: span.byte_offset().unwrap_or_default() as usize,
            len: span.byte_len().unwrap_or_default() as usize,
            line: location.line(),
            column: location.column(),
        }
    }
}

/// Which layer a value was taken from; later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The program's default.
    Default,
    /// A default of `model.preset`.
    Preset(Preset),
    /// The suite file, axes included.
    File(Span),
    /// A `--set` argument: its index on the command line and where in it.
    Set(usize, Span),
}

impl Origin {
    /// Whether a user wrote the value, in the suite or on the command line.
    pub fn is_written(self) -> bool {
        matches!(self, Self::File(_) | Self::Set(..))
    }
}

/// The texts that a suite was read from.
#[derive(Debug)]
pub struct Sources {
    /// Name of the suite file as given.
    pub file: String,
    /// Its text.
    pub text: Arc<str>,
    /// The `--set` arguments, `path=value`.
    pub sets: Vec<Arc<str>>,
}

impl Sources {
    /// Resolves an origin to a place that can be printed and quoted.
    pub fn place(&self, origin: Origin) -> Place {
        match origin {
            Origin::Default | Origin::Preset(_) => Place {
                name: self.file.clone(),
                text: Arc::clone(&self.text),
                span: None,
                set: false,
            },
            Origin::File(span) => Place {
                name: self.file.clone(),
                text: Arc::clone(&self.text),
                span: Some(span),
                set: false,
            },
            Origin::Set(index, span) => {
                let text = Arc::clone(&self.sets[index]);
                let path = text.split_once('=').map_or(&*text, |(path, _)| path);
                Place {
                    name: format!("--set {path}"),
                    text,
                    span: Some(span),
                    set: true,
                }
            }
        }
    }

    /// Says in words where a value comes from, for messages about two values that disagree.
    pub fn describe(&self, origin: Origin) -> String {
        match origin {
            Origin::Default => "default".to_owned(),
            Origin::Preset(Preset::Tiny) => "from preset `tiny`".to_owned(),
            Origin::Preset(Preset::Paper) => "from preset `paper`".to_owned(),
            Origin::File(_) | Origin::Set(..) => format!("at {}", self.place(origin)),
        }
    }
}

/// A place in a named text. Displays as `FILE:LINE:COLUMN`, `FILE` or `--set PATH`.
#[derive(Debug, Clone)]
pub struct Place {
    /// File name, or `--set PATH`.
    pub name: String,
    /// The text itself, for quoting.
    pub text: Arc<str>,
    /// Position in the text, where one is known.
    pub span: Option<Span>,
    /// Whether this is a `--set` argument.
    pub set: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.span {
            Some(span) if !self.set => write!(f, "{}:{}:{}", self.name, span.line, span.column),
            _ => f.write_str(&self.name),
        }
    }
}
