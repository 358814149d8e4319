//! Rules of ARCHITECTURE.md and the house that a machine can hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hitbench_tests::workspace_root;

/// Every file that version control tracks, relative to the root.
fn tracked_files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(workspace_root())
        .output()
        .expect("git lists the files of its checkout");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
    let files: Vec<PathBuf> = names.split_terminator('\0').map(PathBuf::from).collect();
    assert!(files.len() > 50, "only {} files listed", files.len());
    files
}

fn rust_files_below(folder: &str) -> Vec<(PathBuf, String)> {
    tracked_files()
        .into_iter()
        .filter(|file| file.starts_with(folder) && file.extension().is_some_and(|e| e == "rs"))
        .filter_map(|file| {
            fs::read_to_string(workspace_root().join(&file))
                .ok()
                .map(|text| (file, text))
        })
        .collect()
}

/// The members that each member depends on, tests and build scripts left out.
fn member_dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(workspace_root())
        .output()
        .expect("cargo describes the workspace");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages
        .iter()
        .map(|package| {
            let uses = package["dependencies"]
                .as_array()
                .expect("a list of dependencies")
                .iter()
                .filter(|dependency| dependency["kind"].is_null() && !dependency["path"].is_null())
                .map(|dependency| dependency["name"].as_str().expect("a name").to_owned())
                .collect();
            (package["name"].as_str().expect("a name").to_owned(), uses)
        })
        .collect()
}

#[test]
fn members_depend_only_downwards() {
    let uses = member_dependencies();
    assert_eq!(uses["hitbench-kernels"], Vec::<String>::new());
    assert_eq!(uses["hitbench-reports"], Vec::<String>::new());
    assert_eq!(uses["hitbench-models"], ["hitbench-kernels"]);
    assert_eq!(
        uses["hitbench"],
        ["hitbench-kernels", "hitbench-models", "hitbench-reports"]
    );
    assert_eq!(uses["xtask"], Vec::<String>::new());
}

#[test]
fn unsafe_code_stays_where_it_is_proven() {
    let allowed = |file: &Path| {
        let text = file.to_string_lossy().replace('\\', "/");
        ["kernels/src/map.rs", "tests/memory/counting.rs"].contains(&text.as_str())
            || ["kernels/src/cpu/", "kernels/src/cuda/", "kernels/src/libtorch/"]
                .iter()
                .any(|folder| text.starts_with(folder))
    };
    for (file, text) in ["kernels", "tests/memory"].into_iter().flat_map(rust_files_below) {
        let uses = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl")
        });
        assert!(
            !uses || allowed(&file),
            "{} may not hold unsafe code",
            file.display()
        );
    }
    for root in [
        "harness/src/lib.rs",
        "harness/src/main.rs",
        "models/src/lib.rs",
        "reports/src/lib.rs",
        "tests/src/lib.rs",
        "tests/whole/main.rs",
    ] {
        let text = fs::read_to_string(workspace_root().join(root)).expect("the crate root is there");
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "{root} must forbid unsafe code"
        );
    }
}

#[test]
fn only_the_adapter_names_libtorch_in_the_harness() {
    for (file, text) in rust_files_below("harness/src") {
        let names_binding = text.match_indices("tch::").any(|(at, _)| {
            let before = text[..at].chars().next_back();
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
        });
        let named = names_binding || text.contains("hitbench_models::trainer");
        assert!(
            !named || file == Path::new("harness/src/trial/hit.rs"),
            "{} names libtorch or the trainer; only harness/src/trial/hit.rs may",
            file.display()
        );
    }
}

#[test]
fn metrics_and_reports_read_no_clock_and_metrics_no_files() {
    for (file, text) in rust_files_below("reports/src")
        .into_iter()
        .chain(rust_files_below("harness/src/metric"))
    {
        for clock in ["Instant::now", "SystemTime::now"] {
            assert!(!text.contains(clock), "{} reads a clock", file.display());
        }
    }
    for (file, text) in rust_files_below("harness/src/metric") {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let tests_only = file.components().any(|part| part.as_os_str() == "tests")
            || file
                .file_stem()
                .is_some_and(|stem| stem.to_string_lossy().contains("test"));
        assert!(
            tests_only || !code.contains("std::fs"),
            "{} touches files",
            file.display()
        );
    }
}

#[test]
fn suites_hold_no_code() {
    for file in tracked_files()
        .into_iter()
        .filter(|file| file.starts_with("suites"))
    {
        let kind = file
            .extension()
            .map(|e| e.to_string_lossy().into_owned())
            .unwrap_or_default();
        let is_baseline = file.starts_with("suites/gates") && kind == "json";
        assert!(
            ["yaml", "md"].contains(&kind.as_str()) || is_baseline,
            "{} is neither a suite nor a text, nor made for a gate",
            file.display()
        );
    }
}

#[test]
fn no_file_names_a_machine_path_or_a_registry_host() {
    // Put together here so that this file does not name them either.
    let forbidden: Vec<String> = ["/ro", "/wo"]
        .iter()
        .zip(["ot/", "rk/"])
        .map(|(head, tail)| format!("{head}{tail}"))
        .chain(
            ["pypi.", "crates."]
                .iter()
                .zip(["org", "io"])
                .map(|(head, tail)| format!("{head}{tail}")),
        )
        .collect();
    for file in tracked_files()
        .into_iter()
        .filter(|file| file != Path::new("Cargo.lock"))
    {
        let Ok(text) = fs::read_to_string(workspace_root().join(&file)) else {
            continue;
        };
        for word in &forbidden {
            assert!(
                !text.contains(word.as_str()),
                "{} contains `{word}`",
                file.display()
            );
        }
    }
}

#[test]
fn module_files_only_re_export() {
    for folder in ["harness/src", "kernels/src", "models/src", "reports/src"] {
        for (file, text) in rust_files_below(folder) {
            if file.file_name().is_some_and(|name| name == "mod.rs") {
                let has_logic = text
                    .lines()
                    .any(|line| line.trim_start().starts_with("fn ") || line.contains(" fn "));
                let is_entry = file == Path::new("harness/src/cmd/mod.rs");
                assert!(
                    !has_logic || is_entry,
                    "{} holds logic; give it a file with a name",
                    file.display()
                );
            }
        }
    }
}
