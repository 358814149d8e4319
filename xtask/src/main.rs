//! Set-up and the README's commands: `cargo xtask setup|demo|test|gate|deep|install`.
#![forbid(unsafe_code)]

use std::error::Error as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use xtask::{Error, commands, deep, gate, setup};

/// Set-up of libtorch and the README's commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Fetch libtorch and NVRTC into the cache folder and link libtorch, so that `cargo build --features torch` works.
    Setup {
        /// Fetch the CUDA side of libtorch too: 2.4 GB to fetch, 3 GB unpacked.
        #[arg(long)]
        cuda: bool,
    },
    /// Set up, run `suites/quickstart.yaml`, print its table and where the report lies.
    Demo,
    /// Set up, run all tests, with and without libtorch.
    Test,
    /// Gate this checkout: the smoke suite against its baseline, the kernels against the reference, this build against
    /// itself.
    Gate,
    /// Check the kernels under Miri and, where qemu-aarch64 is installed, on NEON: some minutes.
    Deep,
    /// Set up, install `hitbench` with libtorch into a folder's `bin`.
    Install {
        /// The folder, such as `/usr/local`.
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            match error {
                Error::Failed { code, .. } => ExitCode::from(code),
                _ => ExitCode::from(2),
            }
        }
    }
}

fn run(task: Task) -> Result<(), Error> {
    let root = commands::workspace_root();
    match task {
        Task::Setup { cuda } => setup::setup(&root, cuda).map(|_| ()),
        Task::Demo => commands::demo(&root),
        Task::Test => commands::test(&root),
        Task::Gate => gate::gate(&root),
        Task::Deep => deep::deep(&root),
        Task::Install { root: prefix } => commands::install(&root, &prefix),
    }
}
