//! How a result of `eval` or `merge` is printed: as a table, for papers, for machines.

use std::io::{self, Write};

use clap::{Args, ValueEnum};

use crate::eval::{EvalReport, View, latex, markdown, table};

/// How the result is drawn on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns, for a console.
    Table,
    /// A table as GitHub renders it.
    Markdown,
    /// A tabular with the rules of booktabs.
    Latex,
}

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// How the result is printed.
    #[arg(long, value_name = "FORMAT", default_value = "table", conflicts_with = "json")]
    format: Format,
    /// Prints one JSON object (schema hitbench.eval/1; hitbench.eval-shard/1 of a shard).
    #[arg(long)]
    pub(super) json: bool,
}

impl ShowArgs {
    /// Prints a result in the form asked for.
    pub(super) fn print<'a>(&self, found: impl Into<View<'a>>) -> io::Result<()> {
        let mut out = super::console::stdout();
        if self.json {
            serde_json::to_writer(&mut out, &EvalReport::from(found.into())).map_err(io::Error::from)?;
            return writeln!(out);
        }
        let text = match self.format {
            Format::Table => table(found),
            Format::Markdown => markdown(found),
            Format::Latex => latex(found),
        };
        write!(out, "{text}")
    }

    /// Whether lines for a person may follow the result.
    pub(super) fn for_people(&self) -> bool {
        !self.json && self.format == Format::Table
    }
}
