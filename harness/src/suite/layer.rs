//! Lays the layers of a configuration over each other: defaults, preset, suite, axis, `--set`.

use hitbench_models::config::Preset;
use hitbench_models::{HitConfig, MomentumConfig, TextConfig};
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::config::{EvalConfig, TrainConfig};
use super::de::{Mismatch, What, read};
use super::source::Origin;
use super::tree::{Entry, Node, Value, join};
use super::vocabulary::Vocabulary;
use super::wire::Kind;
use crate::data::config::{SyntheticConfig, TwoAnnotatorsConfig};
use crate::metric::protocol::{PROTOCOLS, Protocol};

/// The sections and settings of a cell, in the order in which they are printed.
pub(crate) const CONFIG_KEYS: [&str; 8] = [
    "device", "protocol", "data", "text", "model", "train", "momentum", "eval",
];

/// The data sources by name.
pub(crate) const DATA_SOURCES: [&str; 10] = [
    "synthetic",
    "msrvtt",
    "activitynet",
    "lsmdc",
    "msvd",
    "didemo",
    "vatex",
    "youcook2",
    "two_annotators",
    "folder",
];

/// Resolves layers, weakest first, to one tree with every default filled in.
///
/// A required setting that no layer has is null with origin [`Origin::Default`]; types are not checked here.
pub(crate) fn resolve(layers: &[&Node]) -> Result<Node, Mismatch> {
    let preset = match layers.iter().rev().find_map(|layer| layer.get("model.preset")) {
        Some(node) => read::<Preset>(node, "model.preset")?,
        None => Preset::Tiny,
    };
    let protocol = match layers.iter().rev().find_map(|layer| layer.get("protocol")) {
        Some(node) => find_protocol(node)?,
        None => Protocol::CUSTOM,
    };
    let mut tree = defaults(preset, protocol);
    for layer in layers {
        overlay(&mut tree, layer, "").map_err(|mismatch| widen(mismatch, Vocabulary::of(Kind::Ablation)))?;
    }
    follow_depth(&mut tree);
    Ok(tree)
}

fn find_protocol(node: &Node) -> Result<Protocol, Mismatch> {
    let id: String = read(node, "protocol")?;
    Protocol::find(&id).map_err(|_| {
        let known = PROTOCOLS.iter().map(|protocol| protocol.id.to_owned()).collect();
        Mismatch {
            path: "protocol".to_owned(),
            origin: node.origin,
            what: Box::new(What::Variant { found: id, known }),
        }
    })
}

/// The tree below all layers; `data` is null, as a suite must name its source.
fn defaults(preset: Preset, protocol: Protocol) -> Node {
    let section = |key: &str, json, origin| Entry {
        key: key.to_owned(),
        key_origin: origin,
        node: Node::from_json(json, origin),
    };
    let entries = CONFIG_KEYS
        .into_iter()
        .map(|key| match key {
            "device" => section(key, json!("cpu"), Origin::Default),
            "protocol" => section(key, json!("custom"), Origin::Default),
            "text" => section(key, to_json(&TextConfig::default()), Origin::Default),
            "model" => section(key, to_json(&HitConfig::preset(preset)), Origin::Preset(preset)),
            "train" => section(key, to_json(&TrainConfig::default()), Origin::Default),
            "momentum" => section(key, to_json(&MomentumConfig::default()), Origin::Default),
            "eval" => section(key, to_json(&EvalConfig::of(protocol)), Origin::Default),
            _ => section(key, Json::Null, Origin::Default),
        })
        .collect();
    Node {
        value: Value::Map(entries),
        origin: Origin::Default,
    }
}

/// Defaults of all sections but `data`.
pub(crate) fn preset_defaults(preset: Preset) -> Json {
    defaults(preset, Protocol::CUSTOM).to_json()
}

/// Defaults of a data source; null marks what a suite must give.
pub(crate) fn data_defaults(source: &str) -> Option<Json> {
    match source {
        "synthetic" => Some(to_json(&SyntheticConfig::default())),
        "two_annotators" => Some(to_json(&TwoAnnotatorsConfig::default())),
        "msrvtt" => Some(published("1k-a")),
        "activitynet" => Some(published("val_1")),
        "lsmdc" => Some(published("public-1000")),
        "msvd" | "didemo" => Some(published("official")),
        "vatex" => Some(published("hgr")),
        "youcook2" => Some(published("val")),
        "folder" => Some(json!({"path": null})),
        _ => None,
    }
}

/// Defaults of a published data set whose usual split is `split`.
fn published(split: &str) -> Json {
    json!({"annotations": null, "features": null, "split": split, "experts": [], "dtype": "f32"})
}

/// Every configuration path there is, those of all data sources included.
pub(crate) fn all_paths() -> Vec<String> {
    let mut paths = defaults(Preset::Tiny, Protocol::CUSTOM).leaf_paths();
    for source in DATA_SOURCES {
        let defaults = data_defaults(source).unwrap_or_default();
        let leaves = Node::from_json(defaults, Origin::Default).leaf_paths();
        paths.extend(leaves.into_iter().map(|leaf| format!("data.{source}.{leaf}")));
    }
    paths
}

fn to_json(config: &impl Serialize) -> Json {
    serde_json::to_value(config).expect("configurations are plain data with string keys")
}

/// A key that no section bears could have been meant for any path there is.
pub(super) fn widen(mut mismatch: Mismatch, words: &Vocabulary) -> Mismatch {
    if let What::Key { known } = &mut *mismatch.what
        && !mismatch.path.contains('.')
    {
        *known = words.known_paths();
    }
    mismatch
}

/// Writes `over` into `base`, which has every key there is.
pub(super) fn overlay(base: &mut Node, over: &Node, path: &str) -> Result<(), Mismatch> {
    if path == "data" {
        choose_source(base, over)?;
    }
    let (Value::Map(base_entries), Value::Map(over_entries)) = (&mut base.value, &over.value) else {
        if matches!(base.value, Value::Map(_)) {
            let expected = "a map of settings".to_owned();
            let found = format!("`{}`", over.shown());
            return Err(Mismatch {
                path: path.to_owned(),
                origin: over.origin,
                what: Box::new(What::Type { expected, found }),
            });
        }
        *base = over.clone();
        return Ok(());
    };
    if !base.origin.is_written() {
        base.origin = over.origin;
    }
    for entry in over_entries {
        let path = join(path, &entry.key);
        match base_entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => {
                known.key_origin = entry.key_origin;
                overlay(&mut known.node, &entry.node, &path)?;
            }
            None => {
                let known = base_entries.iter().map(|known| known.key.clone()).collect();
                return Err(Mismatch {
                    path,
                    origin: entry.key_origin,
                    what: Box::new(What::Key { known }),
                });
            }
        }
    }
    Ok(())
}

/// Prepares `data` for an overlay: a layer that names another source replaces the source of weaker layers.
fn choose_source(base: &mut Node, over: &Node) -> Result<(), Mismatch> {
    let refuse = |origin, what| {
        Err(Mismatch {
            path: "data".to_owned(),
            origin,
            what: Box::new(what),
        })
    };
    let Some(entries) = over.entries() else {
        let expected = format!(
            "a map with one of {}",
            DATA_SOURCES.map(|name| format!("`{name}`")).join(", ")
        );
        let found = format!("`{}`", over.shown());
        return refuse(over.origin, What::Type { expected, found });
    };
    match entries {
        [entry] if base.entry(&entry.key).is_some() => Ok(()),
        [entry] => {
            let Some(defaults) = data_defaults(&entry.key) else {
                let known = DATA_SOURCES.map(str::to_owned).to_vec();
                let path = join("data", &entry.key);
                return Err(Mismatch {
                    path,
                    origin: entry.key_origin,
                    what: Box::new(What::Key { known }),
                });
            };
            let node = Node::from_json(json!({ (&entry.key): defaults }), Origin::Default);
            base.value = node.value;
            Ok(())
        }
        [] => refuse(over.origin, What::Other("`data` names no source".to_owned())),
        [first, second, ..] => {
            let message = format!("`data` names two sources, `{}` and `{}`", first.key, second.key);
            refuse(second.key_origin, What::Other(message))
        }
    }
}

/// A semantic tap that nobody wrote is the last layer, also where a suite sets the depth.
fn follow_depth(tree: &mut Node) {
    for tower in ["video", "text"] {
        let Some(layers) = tree.get(&format!("model.{tower}.layers")).cloned() else {
            continue;
        };
        let tap = format!("model.{tower}.semantic_tap");
        if let Some(node) = tree.get_mut(&tap)
            && !node.origin.is_written()
        {
            node.value = layers.value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(texts: &[&str]) -> Result<Node, Mismatch> {
        let nodes: Vec<Node> = texts
            .iter()
            .map(|text| Node::from_yaml(text).expect("valid YAML"))
            .collect();
        resolve(&nodes.iter().collect::<Vec<_>>())
    }

    fn value(tree: &Node, path: &str) -> Json {
        tree.get(path).unwrap_or_else(|| panic!("{path}")).to_json()
    }

    #[test]
    fn later_layers_win_and_each_value_knows_its_layer() {
        let tree = layers(&[
            "{data: {synthetic: {videos: 50}}, model: {preset: paper, embed_dim: 64}, train: {lr: 0.5}}",
            "model: {embed_dim: 32}",
            "train: {lr: 0.25}",
        ])
        .expect("layers fit");
        assert_eq!(value(&tree, "model.embed_dim"), json!(32));
        assert_eq!(value(&tree, "train.lr"), json!(0.25));
        assert_eq!(value(&tree, "model.text.layers"), json!(12));
        assert_eq!(value(&tree, "data.synthetic.videos"), json!(50));
        let origin = |path| tree.get(path).map(|node| node.origin);
        assert_eq!(origin("model.text.layers"), Some(Origin::Preset(Preset::Paper)));
        assert_eq!(origin("train.steps"), Some(Origin::Default));
        assert!(origin("data.synthetic.videos").is_some_and(Origin::is_written));
        assert_eq!(origin("data.synthetic.captions"), Some(Origin::Default));
    }

    #[test]
    fn another_data_source_replaces_the_first() {
        let tree =
            layers(&["data: {synthetic: {videos: 50}}", "data: {folder: {path: here}}"]).expect("layers fit");
        assert_eq!(value(&tree, "data"), json!({"folder": {"path": "here"}}));
        let tree =
            layers(&["data: {synthetic: {videos: 50}}", "data: {synthetic: {seed: 1}}"]).expect("layers fit");
        assert_eq!(value(&tree, "data.synthetic.videos"), json!(50));
        let two = layers(&["data: {synthetic: {}, folder: {}}"]).expect_err("two sources");
        assert!(matches!(*two.what, What::Other(_)));
    }

    #[test]
    fn semantic_tap_follows_the_depth_unless_written() {
        let tree =
            layers(&["model: {video: {layers: 6}, text: {layers: 6, semantic_tap: 5}}"]).expect("layers fit");
        assert_eq!(value(&tree, "model.video.semantic_tap"), json!(6));
        assert_eq!(value(&tree, "model.text.semantic_tap"), json!(5));
    }

    #[test]
    fn unknown_keys_name_their_siblings() {
        let error = layers(&["momentum: {quelen: 3}"]).expect_err("unknown key");
        assert_eq!(error.path, "momentum.quelen");
        let What::Key { known } = *error.what else {
            panic!("{:?}", error.what)
        };
        assert!(known.contains(&"queue_len".to_owned()));
    }
}
