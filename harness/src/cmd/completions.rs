//! `hitbench completions`: what a shell needs to complete the command line.

use std::io::{self, Write};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use super::Cli;

/// Prints a script that completes commands, options and their values in a shell.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hitbench completions bash > ~/.local/share/bash-completion/completions/hitbench\n  \
    hitbench completions zsh > ~/.zfunc/_hitbench          # a folder of $fpath\n  \
    hitbench completions fish > ~/.config/fish/completions/hitbench.fish"
)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &CompletionsArgs) -> io::Result<()> {
    let whole = Cli::command();
    // Some generators would offer hidden commands.
    let shown = whole.get_subcommands().filter(|command| !command.is_hide_set());
    let mut command = Command::new("hitbench")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(shown.cloned());
    // The generator panics where it cannot write: not into memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "hitbench", &mut script);
    super::console::stdout().write_all(&script)
}
