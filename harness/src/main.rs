//! `hitbench`: hands over to the command line and prints what it could not do.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use hitbench::cmd::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
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
