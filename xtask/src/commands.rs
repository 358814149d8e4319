//! The README's commands: set up, then call cargo.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::setup::{LINK, setup};
use crate::tools::{call, runs};

/// Members that have the feature `torch`.
const TORCH_MEMBERS: [&str; 4] = [
    "hitbench-kernels",
    "hitbench-models",
    "hitbench",
    "hitbench-tests",
];

/// The workspace's folder.
pub fn workspace_root() -> PathBuf {
    // cargo tells at run time; the place at build time serves a binary that is called directly.
    let member = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let member = member.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    member.parent().map(Path::to_owned).unwrap_or(member)
}

/// Sets up, builds with libtorch and runs the quickstart suite, which prints its table and its folder.
///
/// # Errors
/// Any [`Error`]; [`Error::Failed`] carries the program's own exit code.
pub fn demo(root: &Path) -> Result<(), Error> {
    let libtorch = setup(root, false)?;
    call(
        cargo(root, &libtorch)
            .args([
                "run",
                "--release",
                "--package",
                "hitbench",
                "--features",
                "torch",
                "--",
            ])
            .args(["run", "suites/quickstart.yaml"]),
    )
}

/// Sets up and runs all tests: the examples in the docs, the default build's, the benchmarks, those with libtorch.
///
/// # Errors
/// Any [`Error`].
pub fn test(root: &Path) -> Result<(), Error> {
    let libtorch = setup(root, false)?;
    let nextest = runs(Command::new("cargo").args(["nextest", "--version"]));
    let tests = || {
        let mut command = cargo(root, &libtorch);
        // Several tests share the cores: libtorch's threads must not spin while they wait for each other.
        command.env("OMP_WAIT_POLICY", "passive");
        if nextest {
            command.args(["nextest", "run", "--no-fail-fast", "--no-tests=pass"]);
        } else {
            command.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
        }
        command
    };
    call(cargo(root, &libtorch).args(["test", "--doc", "--workspace"]))?;
    call(tests().arg("--workspace"))?;
    // Every benchmark once, at a small shape: it must run, and what it times must be right.
    let benches = ["test", "--package", "hitbench-kernels", "--bench", "operations"];
    call(cargo(root, &libtorch).args(benches))?;
    call(cargo(root, &libtorch).args(benches).args(["--features", "torch"]))?;
    let members = TORCH_MEMBERS.iter().flat_map(|member| ["--package", member]);
    let mut with_torch = tests();
    if nextest {
        with_torch.args(["--profile", "torch"]);
    }
    call(with_torch.args(members).args(["--features", "torch"]))
}

/// Sets up, installs the program with libtorch under `prefix`, and links libtorch beside it.
///
/// # Errors
/// Any [`Error`].
pub fn install(root: &Path, prefix: &Path) -> Result<(), Error> {
    // cargo is called in the workspace, the user may stand elsewhere.
    let prefix = &std::path::absolute(prefix).map_err(Error::io("find", prefix))?;
    let libtorch = setup(root, false)?;
    call(
        cargo(root, &libtorch)
            .args([
                "install",
                "--locked",
                "--path",
                "harness",
                "--features",
                "torch",
                "--root",
            ])
            .arg(prefix),
    )?;
    // The program's run path begins with `$ORIGIN/libtorch/lib`.
    let link = prefix.join("bin/libtorch");
    match fs::remove_file(&link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("replace", &link)(error));
        }
        _ => {}
    }
    symlink(&libtorch, &link).map_err(Error::io("create", &link))?;
    eprintln!("xtask: installed {}", prefix.join("bin/hitbench").display());
    Ok(())
}

/// Where cargo builds.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    // A relative one is meant from where cargo was called.
    let own = std::env::var_os("CARGO_TARGET_DIR").and_then(|folder| std::path::absolute(folder).ok());
    own.unwrap_or_else(|| root.join("target"))
}

/// cargo in the workspace, with the `LIBTORCH` that a plain cargo command sees too: another value would compile
/// the binding to libtorch again.
pub(crate) fn cargo(root: &Path, libtorch: &Path) -> Command {
    let link = root.join(LINK);
    let own = std::env::var_os("LIBTORCH").is_some_and(|value| Path::new(&value) == libtorch);
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root)
        .env("LIBTORCH", if own { libtorch } else { &link });
    command
}
