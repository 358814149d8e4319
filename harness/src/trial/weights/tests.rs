//! The small BERT of the goldens in every form, and weights that do not belong to a model or vocabulary.

use std::fs;

use super::*;
use crate::suite::{AnySuite, Suite};

fn golden(file: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/goldens/bert");
    Path::new(folder).join(file)
}

/// A cell whose text tower is that of the goldens; `more` changes it.
fn cell(more: &[&str]) -> CellConfig {
    let text = "{format: 1, name: a, version: 1, about: a, kind: ablation, data: {synthetic: {}}, \
         model: {max_text_tokens: 12, text: {layers: 3, hidden: 16, heads: 2, ffn: 32, max_positions: 12}}}";
    let sets: Vec<String> = more.iter().map(|&set| set.to_owned()).collect();
    let Ok(AnySuite::Ablation(suite)) = AnySuite::parse("a.yaml", text, &sets) else {
        panic!("the suite is right");
    };
    let Suite { cells, .. } = suite;
    cells[0].config.clone()
}

fn check(more: &[&str], weights: &Path, tokens: usize) -> Result<(), String> {
    check_bert(&cell(more), weights, b"", tokens).map_err(|error| error.to_string())
}

#[test]
fn every_form_has_the_same_tensors() {
    let read_all = |file: &str| read(&golden(file), |_| true).unwrap().tensors;
    let by_name = |file: &str| -> BTreeMap<String, (Vec<usize>, Option<Vec<f32>>)> {
        let tensors = read_all(file).into_iter();
        tensors
            .map(|tensor| (tensor.name, (tensor.shape, tensor.values)))
            .collect()
    };
    let safetensors = by_name("model.safetensors");
    assert_eq!(safetensors, by_name("pytorch_model.bin"));
    let half = by_name("zip.bin");
    assert!(half.keys().eq(safetensors.keys()) && half != safetensors);
    let words = &safetensors["bert.embeddings.word_embeddings.weight"];
    assert_eq!(
        (&words.0[..], words.1.as_ref().map(Vec::len)),
        (&[40, 16][..], Some(640))
    );
}

#[test]
fn weights_of_another_model_or_vocabulary_are_named() {
    let folder = golden("");
    assert_eq!(check(&[], &folder, 40), Ok(()));
    assert_eq!(check(&[], &golden("pytorch_model.bin"), 40), Ok(()));
    let ends = |found: Result<(), String>, end: &str| {
        let message = found.expect_err(end);
        assert!(message.ends_with(end), "{message}");
    };
    ends(
        check(&["model.text.heads=4"], &folder, 40),
        "the number of heads is 2 in `config.json` and 4 in the suite (`model.text.heads`)"
            .split_once("config.json")
            .unwrap()
            .1,
    );
    ends(
        check(&["model.text.layers=2"], &folder, 40),
        "and 2 in the suite (`model.text.layers`)",
    );
    ends(
        check(&[], &folder, 41),
        "has rows for 40 tokens and the vocabulary has 41: give the vocab.txt that was published with these weights",
    );
    // Without a description the matrix itself tells.
    let alone = tempfile::tempdir().unwrap();
    fs::copy(golden("zip.bin"), alone.path().join("pytorch_model.bin")).unwrap();
    assert_eq!(check(&[], alone.path(), 40), Ok(()));
    ends(
        check(&["model.text.hidden=32"], alone.path(), 40),
        "and 32 in the suite (`model.text.hidden`)",
    );
    fs::write(alone.path().join("config.json"), r#"{"hidden_size": 16}"#).unwrap();
    ends(check(&[], alone.path(), 40), "is no description of a BERT model");
    let empty = tempfile::tempdir().unwrap();
    ends(
        check(&[], empty.path(), 40),
        "has neither model.safetensors nor pytorch_model.bin",
    );
    fs::write(empty.path().join("model.safetensors"), b"torn").unwrap();
    ends(check(&[], empty.path(), 40), "is no whole safetensors file");
    ends(
        check(&[], &golden("views.bin"), 40),
        "found none that ends in `embeddings.word_embeddings.weight`",
    );
}

#[test]
fn the_well_known_vocabularies_are_told_by_their_bytes() {
    let (Some(uncased), Some(cased)) = (
        hitbench_tests::test_data("swift-transformers/Tests/TokenizersTests/Resources/bert-vocab.txt"),
        hitbench_tests::test_data("morpheus/models/data/bert-base-cased-vocab.txt"),
    ) else {
        return;
    };
    let (uncased, cased) = (fs::read(uncased).unwrap(), fs::read(cased).unwrap());
    assert_eq!(lacks_capitals(&uncased, false), Some("bert-base-uncased"));
    assert_eq!(lacks_capitals(&uncased, true), None);
    // MMT lower-cases text for the cased vocabulary: odd, and not wrong.
    assert_eq!(
        (lacks_capitals(&cased, false), lacks_capitals(&cased, true)),
        (None, None)
    );
    let error = check_bert(&cell(&[]), &golden(""), &cased, 28_996).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the vocabulary of bert-base-cased has 28996"),
        "{error}"
    );
}

#[test]
fn what_a_cell_begins_with_is_read() {
    let folder = golden("");
    let weights = format!(
        "text={{vocab: {}, weights: {}}}",
        golden("vocab.txt").display(),
        folder.display()
    );
    let found = initial_weights(&cell(&[&weights])).unwrap();
    let n_tensors = found.text.as_ref().map(|text| text.tensors.len());
    assert_eq!(
        (found.model, n_tensors),
        (
            None,
            Some(read(&golden("zip.bin"), |_| true).unwrap().tensors.len())
        )
    );
    let none = tempfile::tempdir().unwrap();
    let from = format!("train.init_from={}", none.path().display());
    let error = initial_weights(&cell(&[&from])).unwrap_err();
    assert!(
        error.to_string().ends_with("has neither query.safetensors"),
        "{error}"
    );
}
