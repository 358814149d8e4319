//! `hitbench`: hands over to the command line and prints what it could not do.
#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use hitbench::cmd::Cli;
use hitbench::cmd::failure::Failure;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    log_to_standard_error();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no errors.
        Err(error) if error.use_stderr() && std::env::args_os().any(|word| word == "--json") => {
            let failure = Failure::usage(&error);
            let _ = writeln!(std::io::stderr(), "{}", failure.to_json());
            return failure.code.into();
        }
        Err(error) => error.exit(),
    };
    match cli.run() {
        Ok(code) => code.into(),
        Err(failure) => {
            let text = if cli.json() {
                failure.to_json()
            } else {
                failure.to_text()
            };
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
            failure.code.into()
        }
    }
}

/// Warnings, or what `RUST_LOG` asks for.
fn log_to_standard_error() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr)
        .init();
}
