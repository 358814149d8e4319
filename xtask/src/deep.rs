//! `cargo xtask deep`: checks that take minutes. Miri interprets the scalar paths of the kernels and the bookkeeping
//! of tiles; an emulator runs the conformance tests on NEON; the readers of files are fuzzed.

use std::env::consts::{ARCH, OS};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::commands::target_folder;
use crate::error::Error;
use crate::tools::{call, runs};

/// rayon's threads outlive `main`, and crossbeam, on which rayon stands, follows tree borrows but not stacked ones.
const MIRIFLAGS: &str =
    "-Zmiri-ignore-leaks -Zmiri-tree-borrows -Zmiri-permissive-provenance -Zmiri-num-cpus=2";

/// Linked with what comes with it and Rust's own linker, so that no cross compiler is needed.
const AARCH64: &str = "aarch64-unknown-linux-musl";

/// Emulators, as distributions name them.
const EMULATORS: [&str; 2] = ["qemu-aarch64", "qemu-aarch64-static"];

/// Where the fuzz targets lie.
const FUZZ: &str = "harness/fuzz";

/// How long each target runs.
const FUZZ_SECONDS: &str = "60";

/// An archive without members.
const EMPTY_ARCHIVE: &[u8] = b"!<arch>\n";

/// Runs all of it; what this machine lacks is said and skipped, but for Miri, which is installed.
///
/// # Errors
/// [`Error::MissingTool`] without rustup, [`Error::Failed`] when a check fails, and what starting commands and
/// writing into the target folder can meet.
pub fn deep(root: &Path) -> Result<(), Error> {
    miri(root)?;
    fuzz(root)?;
    neon(root)
}

/// Fuzzes every reader. What is new stays out of the checkout; the files that made a reader fail are in `artifacts/`.
fn fuzz(root: &Path) -> Result<(), Error> {
    let cargo_fuzz = || {
        let mut command = Command::new("rustup");
        command
            .current_dir(root)
            .args(["run", "nightly", "cargo", "fuzz"]);
        command
    };
    if !runs(cargo_fuzz().arg("--version")) {
        eprintln!("skipped: fuzzing of readers: `cargo install cargo-fuzz` installs what it needs");
        return Ok(());
    }
    // The same versions of everything as in the workspace, of which the targets are no member.
    let lock = root.join(FUZZ).join("Cargo.lock");
    fs::copy(root.join("Cargo.lock"), &lock).map_err(Error::io("write", &lock))?;
    let corpus = root.join(FUZZ).join("corpus");
    for entry in fs::read_dir(&corpus).map_err(Error::io("read", &corpus))? {
        let seeds = entry.map_err(Error::io("read", &corpus))?.path();
        let target = seeds.file_name().unwrap_or(seeds.as_os_str());
        let found = target_folder(root).join("fuzz").join(target);
        fs::create_dir_all(&found).map_err(Error::io("create", &found))?;
        let mut command = cargo_fuzz();
        command.args(["run", "--fuzz-dir", FUZZ]).arg(target);
        command.args([&found, &seeds]).arg("--");
        call(command.arg(format!("-max_total_time={FUZZ_SECONDS}")))?;
    }
    Ok(())
}

fn miri(root: &Path) -> Result<(), Error> {
    if !runs(Command::new("rustup").arg("--version")) {
        return Err(Error::MissingTool {
            what: "rustup",
            tried: "rustup".to_owned(),
            remedy: "Miri comes with a nightly tool chain, which it installs",
        });
    }
    let nightly = || {
        let mut command = Command::new("rustup");
        command
            .current_dir(root)
            .args(["run", "nightly", "cargo", "miri"]);
        command
    };
    if !runs(nightly().arg("--version")) {
        call(Command::new("rustup").args(["toolchain", "install", "nightly", "--profile", "minimal"]))?;
        let components = ["component", "add", "--toolchain", "nightly", "miri", "rust-src"];
        call(Command::new("rustup").args(components))?;
    }
    call(
        nightly()
            .env("MIRIFLAGS", MIRIFLAGS)
            .args(["test", "--package", "hitbench-kernels", "--test", "conformance"])
            .args(["--", "small::"]),
    )
}

fn neon(root: &Path) -> Result<(), Error> {
    if let Some(reason) = no_emulation(OS, ARCH) {
        eprintln!("skipped: NEON under emulation: {reason}");
        return Ok(());
    }
    let Some(emulator) = EMULATORS
        .iter()
        .find(|name| runs(Command::new(name).arg("--version")))
    else {
        eprintln!(
            "skipped: NEON under emulation: none of {} is installed",
            EMULATORS.join(", ")
        );
        return Ok(());
    };
    call(Command::new("rustup").args(["target", "add", AARCH64]))?;
    let libraries = target_folder(root).join("deep");
    provide_libdl(&libraries)?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(["test", "--target", AARCH64]);
    for setting in target_settings(emulator, &libraries) {
        command.args(["--config", &setting]);
    }
    // criterion's helper in C is compiled, but not linked into this test: any compiler will do.
    let of_target = |name: &str| format!("{name}_{}", AARCH64.replace('-', "_"));
    command.env(of_target("CC"), "cc").env(of_target("AR"), "ar");
    command.args(["--package", "hitbench-kernels", "--test", "conformance", "--"]);
    // The same as natively, and slow.
    call(command.args(["--skip", "suite::reference", "--skip", "suite::scalar"]))
}

/// Why NEON is not emulated on a machine of this kind.
fn no_emulation(os: &str, arch: &str) -> Option<String> {
    if arch == "aarch64" {
        Some("this machine has it, `cargo xtask test` runs it".to_owned())
    } else if os == "linux" {
        None
    } else {
        Some(format!(
            "the emulator of user programs is for Linux, this is {os}"
        ))
    }
}

/// Cargo's configuration for the target: Rust's linker, the emulator, a place for libraries.
fn target_settings(emulator: &str, libraries: &Path) -> [String; 3] {
    // A literal string of TOML: backslashes and quotes stay as they are, and no path here holds `'''`.
    let flag = format!("'''-Lnative={}'''", libraries.display());
    [
        ("linker", "'rust-lld'".to_owned()),
        ("runner", format!("'{emulator}'")),
        ("rustflags", format!("[{flag}]")),
    ]
    .map(|(key, value)| format!("target.{AARCH64}.{key}={value}"))
}

/// musl's `libdl` is empty, all is in its `libc`; Rust's copy of musl comes without it.
fn provide_libdl(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let file = folder.join("libdl.a");
    fs::write(&file, EMPTY_ARCHIVE).map_err(Error::io("write", &file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_linux_on_another_processor_emulates() {
        assert_eq!(no_emulation("linux", "x86_64"), None);
        assert!(no_emulation("linux", "aarch64").is_some());
        assert!(no_emulation("macos", "x86_64").is_some_and(|reason| reason.contains("macos")));
    }

    #[test]
    fn the_target_is_set_up_for_folders_of_any_name() {
        let settings = target_settings("qemu-aarch64", Path::new("/a b/it's"));
        assert_eq!(
            settings[2],
            "target.aarch64-unknown-linux-musl.rustflags=['''-Lnative=/a b/it's''']"
        );
        assert_eq!(
            settings[1],
            "target.aarch64-unknown-linux-musl.runner='qemu-aarch64'"
        );
    }
}
