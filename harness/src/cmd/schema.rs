//! `hitbench schema`: what suites and policies may say, for editors and for people.

use std::io::{self, Write};

use super::console::stdout;
use crate::gate::policy_schema;
use crate::suite::schema::{json_schema, key_table};

/// Prints the JSON Schema of suite or policy files, or the table of their keys.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  hitbench schema suite > suite.schema.json\n\nAn editor with a YAML language server \
    checks a suite that starts with\n  # yaml-language-server: $schema=PATH/suite.schema.json"
)]
pub struct SchemaArgs {
    /// What to print.
    #[arg(value_enum)]
    pub what: SchemaKind,
}

/// What `hitbench schema` prints.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum SchemaKind {
    /// JSON Schema (draft 2020-12) of a suite file.
    Suite,
    /// JSON Schema (draft 2020-12) of a gate's policy file.
    Policy,
    /// Markdown table of all keys of a suite: type, default, meaning.
    Keys,
}

/// Runs the command.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &SchemaArgs) -> io::Result<()> {
    let mut out = stdout();
    match args.what {
        SchemaKind::Suite => {
            serde_json::to_writer_pretty(&mut out, json_schema())?;
            writeln!(out)
        }
        SchemaKind::Policy => {
            serde_json::to_writer_pretty(&mut out, &policy_schema())?;
            writeln!(out)
        }
        SchemaKind::Keys => write!(out, "{}", key_table()),
    }
}
