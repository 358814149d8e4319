//! The schema and the table of keys agree with what is read.

use super::*;
use crate::suite::layer::all_paths;

#[test]
fn the_keys_are_those_that_are_read() {
    let mut documented: Vec<String> = keys(Kind::Ablation).iter().map(|key| key.path.clone()).collect();
    let mut read: Vec<String> = Vocabulary::of(Kind::Ablation)
        .header
        .iter()
        .map(|&key| key.to_owned())
        .chain(all_paths())
        .collect();
    documented.sort();
    read.retain(|path| path != "data");
    read.sort();
    assert_eq!(documented, read);
}

#[test]
fn every_key_has_a_meaning_and_a_type() {
    for key in [Kind::Ablation, Kind::Throughput].into_iter().flat_map(keys) {
        assert!(
            !key.about.is_empty() && !key.kind.is_empty() && key.kind != "any",
            "{key:?}"
        );
    }
}

#[test]
fn every_reference_of_the_schema_resolves() {
    fn walk(json: &Json, out: &mut Vec<String>) {
        match json {
            Json::Object(map) => {
                out.extend(map.get("$ref").and_then(Json::as_str).map(str::to_owned));
                map.values().for_each(|value| walk(value, out));
            }
            Json::Array(items) => items.iter().for_each(|item| walk(item, out)),
            _ => {}
        }
    }
    let mut references = Vec::new();
    walk(json_schema(), &mut references);
    assert!(references.len() > 100);
    for reference in references {
        assert!(
            json_schema().pointer(reference.trim_start_matches('#')).is_some(),
            "{reference}"
        );
    }
}
