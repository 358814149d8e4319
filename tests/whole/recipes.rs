//! The recipes of `docs/ci.md`: every command of them runs, and gives the verdict of an unchanged program.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use hitbench_tests::{hitbench, workspace_root};

use crate::diff::ranked;
use crate::files::{Folder, npy};

/// The fenced blocks of a language in a Markdown file.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let parts = text.split(&fence).skip(1);
    parts
        .map(|part| part.split("```").next().expect("the rest").to_owned())
        .collect()
}

/// The commands of hitbench in a block: lines that go on after `\` or, in YAML, are indented more, are one command.
fn commands(block: &str) -> Vec<Vec<String>> {
    let mut commands: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for line in block.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        let words = line.trim_start_matches("- run: ");
        let is_command = words
            .split(' ')
            .next()
            .is_some_and(|first| first.rsplit('/').next() == Some("hitbench"));
        if is_command {
            commands.push((indent, words.trim_end_matches('\\').to_owned()));
        } else if let Some((of, command)) = commands.last_mut()
            && (goes_on || (line.starts_with("--") && indent == *of))
        {
            command.push(' ');
            command.push_str(line.trim_end_matches('\\'));
        }
        goes_on = line.ends_with('\\');
    }
    let split = |command: String| {
        // The only quotes are those around reasons.
        let parts = command.split('"').enumerate();
        let words = parts.flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
            _ => vec![part.to_owned()],
        });
        words.skip(1).collect()
    };
    commands.into_iter().map(|(_, command)| split(command)).collect()
}

/// Runs a command of a recipe in `folder`; builds are this one.
fn run_in(folder: &Path, command: &[String]) {
    let this = hitbench(["--version"]).get_program().to_owned();
    let words = command.iter().map(|word| match word.as_str() {
        "old/bin/hitbench" | "new/bin/hitbench" => this.clone(),
        word => word.into(),
    });
    let summary = folder.join("summary.md");
    let output = hitbench(words)
        .current_dir(folder)
        .env("GITHUB_STEP_SUMMARY", &summary)
        .output()
        .expect("hitbench starts");
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert_eq!(output.status.code(), Some(0), "{command:?}\n{out}\n{err}");
}

#[test]
fn every_command_of_the_recipes_runs() {
    let text = fs::read_to_string(workspace_root().join("docs/ci.md")).expect("the page");
    let folder = Folder::new();
    let here = folder.path("");
    symlink(workspace_root().join("suites"), folder.path("suites")).expect("a link");
    folder.write("sims.npy", npy([60, 60], &ranked(|query| query % 7)));
    let shell: Vec<_> = blocks(&text, "sh")
        .iter()
        .flat_map(|block| commands(block))
        .collect();
    assert_eq!(shell.len(), 10, "{shell:?}");
    for command in &shell {
        run_in(&here, command);
    }
    let workflows = blocks(&text, "yaml");
    let steps: Vec<_> = workflows.iter().flat_map(|block| commands(block)).collect();
    assert_eq!(steps.len(), 3, "{steps:?}");
    for command in steps {
        // The run of the shell recipe is already there.
        if command[0] != "run" {
            run_in(&here, &command);
        }
    }
    for export in ["gate.xml", "gate.sarif", "summary.md"] {
        assert!(folder.path(export).exists(), "no {export}");
    }
}
