//! What tests share: the program, its folders, small suites, and data sets in the layouts of their publishers.
#![forbid(unsafe_code)]

pub mod files;
pub mod layouts;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The root of the workspace.
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("`tests` lies in the workspace")
        .to_owned()
}

/// A file or folder of the real test data: below the folder that `HITBENCH_TEST_DATA` names, or `../shared/data`
/// beside the checkout. `None`, and a line that says so, where it is absent: the project carries none of it.
///
/// # Panics
/// When it is absent and `HITBENCH_REQUIRE_TEST_DATA` is set: then nothing may be skipped.
pub fn test_data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HITBENCH_TEST_DATA").map(PathBuf::from);
    let found = root
        .unwrap_or_else(|| workspace_root().join("../shared/data"))
        .join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(
        std::env::var_os("HITBENCH_REQUIRE_TEST_DATA").is_none(),
        "no `{}`",
        found.display()
    );
    println!("skipped: no `{}`", found.display());
    None
}

/// The program under test, built with this crate's features and brought up to date first.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "-p", "hitbench", "--message-format", "json", "--quiet"])
            .current_dir(workspace_root());
        if cfg!(feature = "torch") {
            build.args(["--features", "torch"]);
        }
        let output = build.stderr(Stdio::inherit()).output().expect("cargo runs");
        assert!(output.status.success(), "hitbench does not build");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|message| message["target"]["name"] == "hitbench")
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .expect("cargo names the program that it built")
    })
}

/// `hitbench` with arguments, run from the workspace's root.
pub fn hitbench<I: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(program());
    command
        .args(args)
        .current_dir(workspace_root())
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command
}

/// What a finished program said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `hitbench` to its end.
pub fn run<I: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = I>) -> Said {
    said(&mut hitbench(args))
}

/// Runs a command to its end.
pub fn said(command: &mut Command) -> Said {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("hitbench starts");
    let text = |bytes| String::from_utf8(bytes).expect("hitbench prints UTF-8");
    Said {
        code: status.code(),
        out: text(stdout),
        err: text(stderr),
    }
}

/// Sends a signal, `INT` or `TERM`, to a process, or to the whole group of a negative id.
///
/// # Panics
/// When there is no such process.
pub fn signal(name: &str, id: i64) {
    let mut kill = Command::new("kill");
    let sent = kill.args(["-s", name, "--", &id.to_string()]).status();
    assert!(sent.expect("kill runs").success(), "no process {id}");
}

/// A suite that trains in seconds, with two cells of a queue and without; `more` adds or overrides nothing but
/// adds keys.
pub fn small_suite(folder: &Path, more: &str) -> PathBuf {
    let text = format!(
        "format: 1\n\
         name: small\n\
         version: 1\n\
         about: A suite of the tests.\n\
         kind: ablation\n\
         data: {{synthetic: {{videos: 160, captions: 1, test_videos: 40, seed: 3}}}}\n\
         text: {{vocab_size: 400}}\n\
         model:\n\
         \x20 embed_dim: 32\n\
         \x20 video: {{layers: 2, hidden: 32, heads: 2, ffn: 64}}\n\
         \x20 text: {{layers: 2, hidden: 32, heads: 2, ffn: 64}}\n\
         \x20 video_input: {{max_expert_tokens: 3}}\n\
         eval: {{resamples: 200}}\n\
         {more}\n"
    );
    let path = folder.join("small.yaml");
    std::fs::write(&path, text).expect("the test's folder is writable");
    path
}
