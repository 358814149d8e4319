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

#[test]
fn every_file_of_the_corpus_gives_values_or_an_error_that_helps() {
    for reader in &READERS {
        let (mut n_read, mut n_refused) = (0, 0);
        for entry in fs::read_dir(corpus().join(reader.name)).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            assert!(bytes.len() <= LONGEST);
            for outcome in readers::run(reader.name, &bytes) {
                match outcome {
                    Ok(_) => n_read += 1,
                    Err(_) => n_refused += 1,
                }
            }
        }
        assert!(
            n_read > 0 && n_refused > 0,
            "{}: {n_read} read, {n_refused} refused",
            reader.name
        );
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
