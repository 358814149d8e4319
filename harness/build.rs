//! Tells the program which revision it is built from, and gives it its run path to libtorch.

#[path = "../xtask/build/run_path.rs"]
mod run_path;

use std::path::Path;
use std::process::Command;

/// What the program is made of; a change elsewhere in the tree is none of the program.
const INPUTS: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "harness/Cargo.toml",
    "harness/build.rs",
    "harness/src",
    "kernels",
    "models",
    "reports",
];

fn main() {
    run_path::emit();
    let revision = git(&["rev-parse", "HEAD"]);
    if let Some(revision) = &revision {
        println!("cargo::rustc-env=HITBENCH_REVISION={revision}");
        let mut status = vec!["status", "--porcelain", "--"];
        status.extend(INPUTS);
        // Where git cannot tell, the tree counts as changed: the build id then is a hash of the program.
        let dirty = git(&status).is_none_or(|changes| !changes.is_empty());
        println!("cargo::rustc-env=HITBENCH_DIRTY={dirty}");
    }
    for input in INPUTS {
        println!("cargo::rerun-if-changed=../{input}");
    }
    // This log grows with every commit, checkout and rebase, unlike `HEAD`, which names the same branch throughout.
    if let Some(log) =
        git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new("..").join(log).exists())
    {
        println!("cargo::rerun-if-changed={}", Path::new("..").join(log).display());
    }
}

/// What git prints in the workspace, `None` where there is no git or no repository.
fn git(arguments: &[&str]) -> Option<String> {
    // Without optional locks: a build must not get in the way of the user's own git commands.
    let output = Command::new("git")
        .arg("--no-optional-locks")
        .args(arguments)
        .current_dir("..")
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
