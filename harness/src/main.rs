//! `hitbench`: hands over to the command line and prints what it could not do.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use hitbench::cmd::Cli;
use hitbench::cmd::failure::Failure;

fn main() -> ExitCode {
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
