//! Replays the corpus of the fuzz targets: every file gives values or an error that helps, never a panic.

use std::fs;
use std::path::PathBuf;

#[path = "../../fuzz/src/readers.rs"]
mod readers;

use readers::READERS;

/// Longest file of the corpus, in bytes.
const LONGEST: usize = 8192;

fn corpus() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fuzz", "corpus"].iter().collect()
}

/// What reading a file came to, one line an attempt, without the name of the temporary file.
fn told(outcome: &Result<f64, String>) -> String {
    match outcome {
        Ok(sum) => format!("read, sum {sum:?}"),
        Err(message) => {
            let start = message.find('`').map_or(0, |quote| quote + 1);
            let folder = message[start..]
                .find("/input")
                .map_or("", |end| &message[start..start + end]);
            message.replace(folder, "")
        }
    }
}

#[test]
fn every_file_of_the_corpus_gives_its_values_or_its_error() {
    for reader in &READERS {
        let mut files: Vec<PathBuf> = fs::read_dir(corpus().join(reader.name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let mut lines = Vec::new();
        for file in files {
            let bytes = fs::read(&file).unwrap();
            assert!(bytes.len() <= LONGEST);
            let name = file.file_name().unwrap().to_string_lossy();
            let outcomes = readers::run(reader.name, &bytes);
            lines.extend(
                outcomes
                    .iter()
                    .map(|outcome| format!("{name}: {}", told(outcome))),
            );
        }
        insta::assert_snapshot!(format!("corpus_{}", reader.name), lines.join("\n"));
    }
}

#[test]
fn every_folder_of_the_corpus_has_a_reader_and_a_target() {
    let mut folders: Vec<String> = fs::read_dir(corpus())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let mut names = READERS.map(|reader| reader.name);
    names.sort_unstable();
    assert_eq!(folders, names);
    for name in names {
        let target = corpus().join(format!("../fuzz_targets/{name}.rs"));
        let text = fs::read_to_string(target).unwrap();
        assert!(text.contains(&format!("run(\"{name}\", bytes)")), "{name}");
    }
}
