//! Program, machine and command line.

use std::path::Path;

use super::text::{escaped, line, plural, section};
use crate::record::{MachineRecord, RunRecord};

pub(crate) fn machine(out: &mut String, run: &RunRecord) {
    section(out, "Machine and build");
    let tool = &run.tool;
    let revision = match (&tool.git_revision, tool.dirty) {
        (Some(revision), false) => format!("git revision `{revision}`"),
        (Some(revision), true) => format!("git revision `{revision}` **with uncommitted changes**"),
        (None, _) => "git revision unknown".to_owned(),
    };
    line(
        out,
        &format!(
            "- hitbench {}, {revision}, build `{}`",
            tool.version, tool.build_id
        ),
    );
    for (library, version) in &tool.libraries {
        line(out, &format!("- {library} {version}"));
    }
    for fact in machine_facts(&run.machine) {
        line(out, &format!("- {}", escaped(&fact)));
    }
    line(out, "");
}

fn machine_facts(machine: &MachineRecord) -> Vec<String> {
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let model = machine.cpu_model.as_deref().unwrap_or("model unknown");
    let mut cpu = format!(
        "Processor: {model}, {} ({})",
        plural(machine.cores as usize, "core"),
        machine.arch
    );
    if let Some(hz) = machine.cpu_clock_hz {
        cpu += &format!(", {:.2} GHz as found", hz as f64 / 1e9);
    }
    if let Some(governor) = &machine.cpu_governor {
        cpu += &format!(", governor {governor}");
    }
    let mut facts = vec![cpu];
    if !machine.cpu_features.is_empty() {
        facts.push(format!("Instruction sets: {}", machine.cpu_features.join(", ")));
    }
    facts.extend(
        machine
            .memory_bytes
            .map(|bytes| format!("Memory: {}", gib(bytes))),
    );
    for gpu in &machine.gpus {
        let mut text = format!("GPU: {}", gpu.name);
        text += &gpu
            .memory_bytes
            .map(|bytes| format!(", {}", gib(bytes)))
            .unwrap_or_default();
        text += &gpu
            .driver
            .as_ref()
            .map(|driver| format!(", driver {driver}"))
            .unwrap_or_default();
        text += &gpu
            .compute_capability
            .as_ref()
            .map(|sm| format!(", compute capability {sm}"))
            .unwrap_or_default();
        text += &gpu
            .clock_hz
            .map(|hz| format!(", {:.2} GHz as found", hz as f64 / 1e9))
            .unwrap_or_default();
        facts.push(text);
    }
    facts.push(format!("System: {}", machine.os));
    facts
}

/// The command line, and which `records` the numbers follow from.
pub(crate) fn reproduce(out: &mut String, run: &RunRecord, records: &str) {
    section(out, "How to reproduce");
    if let Some(revision) = &run.tool.git_revision {
        line(out, &format!("At revision `{revision}`:\n"));
    }
    let words: Vec<String> = run.command.iter().map(|word| without_folders(word)).collect();
    line(
        out,
        &format!(
            "```sh\n{}\n```\n",
            words
                .iter()
                .map(|word| shell_word(word))
                .collect::<Vec<_>>()
                .join(" ")
        ),
    );
    if words != run.command {
        line(
            out,
            "Absolute paths, which exist on one machine only, are cut to their last part.\n",
        );
    }
    line(out, records);
}

/// A word of a command line, an absolute path in it (`PATH` or `KEY=PATH`) cut to its last part.
pub(super) fn without_folders(word: &str) -> String {
    let (key, value) = word.split_at(word.find('=').map_or(0, |at| at + 1));
    let path = Path::new(value);
    match path.file_name().filter(|_| path.is_absolute()) {
        Some(name) => format!("{key}{}", name.to_string_lossy()),
        None => word.to_owned(),
    }
}

/// Quotes a word of a command line where a shell would take it apart.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
