//! What a suite may say: its JSON Schema, its table of keys, and the meaning of each, all from the doc comments
//! and the defaults of the configuration types.

use std::sync::LazyLock;

use hitbench_models::config::Preset;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json, json};

use super::config::CellConfig;
use super::expect::metric_names;
use super::kernel_schema;
use super::layer::{DATA_SOURCES, data_defaults, preset_defaults};
use super::tree::join;
use super::vocabulary::Vocabulary;
use super::wire::{Kind, WireSuite, WireThroughput, default_seeds};

/// One key of a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Dotted path.
    pub path: String,
    /// Type in words, or the values there are.
    pub kind: String,
    /// Default as JSON, one a preset where they differ; `required` where there is none.
    pub default: String,
    /// What it means.
    pub about: String,
}

/// Schema and keys, made once.
struct Spec {
    schema: Json,
    ablation: Vec<Key>,
    throughput: Vec<Key>,
}

static SPEC: LazyLock<Spec> = LazyLock::new(Spec::new);

/// The JSON Schema (draft 2020-12) of a suite file.
pub fn json_schema() -> &'static Json {
    &SPEC.schema
}

/// Every key of a kind of suite, leaves only, in the order of the schema.
pub fn keys(kind: Kind) -> &'static [Key] {
    match kind {
        Kind::Ablation => &SPEC.ablation,
        Kind::Throughput => &SPEC.throughput,
    }
}

/// The tables of keys as Markdown, for `suites/FORMAT.md`.
pub fn key_table() -> String {
    let tables = [Kind::Ablation, Kind::Throughput].map(|kind| {
        let rows = keys(kind).iter().map(|key| {
            let [path, kind, default, about] = [&key.path, &key.kind, &key.default, &key.about]
                .map(|text| text.replace('|', "\\|").replace('\n', " "));
            format!("| `{path}` | {kind} | {default} | {about} |\n")
        });
        let head = "| key | type | default | meaning |\n| --- | --- | --- | --- |\n";
        format!(
            "### `kind: {}`\n\n{head}{}",
            kind.name(),
            rows.collect::<String>()
        )
    });
    tables.join("\n")
}

/// What a key means; empty for a path that is none.
pub(crate) fn about(path: &str) -> String {
    let mut keys = SPEC.ablation.iter().chain(&SPEC.throughput);
    let key = keys.find(|key| key.path == path);
    key.map(|key| key.about.clone()).unwrap_or_default()
}

/// Every configuration path of a throughput suite.
pub(super) fn kernel_paths() -> Vec<String> {
    let header = Vocabulary::of(Kind::Throughput).header;
    let keys = SPEC.throughput.iter().map(|key| &key.path);
    keys.filter(|path| !header.contains(&path.as_str()))
        .cloned()
        .collect()
}

impl Spec {
    fn new() -> Self {
        let config = plain_schema::<CellConfig>();
        let mut properties = Map::new();
        let mut keys = Vec::new();
        header_keys::<WireSuite>(Kind::Ablation, &mut properties, &mut keys);
        let tiny = all_defaults(Preset::Tiny);
        let paper = all_defaults(Preset::Paper);
        let mut pointers = Vec::new();
        for (name, schema) in config["properties"].as_object().into_iter().flatten() {
            let mut schema = schema.clone();
            tidy(&mut schema, name, &tiny);
            collect(
                &schema,
                name,
                &format!("#/properties/{name}"),
                &tiny,
                &paper,
                &mut keys,
                &mut pointers,
            );
            properties.insert(name.clone(), schema);
        }
        let mut kernel_properties = Map::new();
        let mut kernel_keys = Vec::new();
        header_keys::<WireThroughput>(Kind::Throughput, &mut kernel_properties, &mut kernel_keys);
        let kernel_pointers = kernel_schema::add_config(&mut kernel_properties, &mut kernel_keys);
        let by_kind = kernel_schema::by_kind(&pointers, &kernel_pointers);
        for (name, schema) in kernel_properties {
            if !properties.contains_key(&name) {
                properties.insert(name, schema);
            }
        }
        pointers.extend(kernel_pointers);
        close_maps(&mut properties, &pointers);
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "hitbench suite, format 1",
            "type": "object",
            "required": ["format", "name", "version", "about", "kind"],
            "properties": properties,
            "additionalProperties": false,
            "allOf": [by_kind],
        });
        Self {
            schema,
            ablation: keys,
            throughput: kernel_keys,
        }
    }
}

/// Describes the keys of a kind that are not configuration.
fn header_keys<T: JsonSchema>(kind: Kind, properties: &mut Map<String, Json>, keys: &mut Vec<Key>) {
    let header = plain_schema::<T>();
    for &name in Vocabulary::of(kind).header {
        let mut schema = header["properties"][name].clone();
        tidy(&mut schema, "", &Json::Null);
        let default = header_default(name);
        let shown = default
            .as_ref()
            .map_or("required".to_owned(), |json| format!("`{json}`"));
        let about = text_of(&schema);
        let kind = match name {
            "reference" | "axes" | "expect" => "map".to_owned(),
            _ => kind_of(&schema),
        };
        keys.push(Key {
            path: name.to_owned(),
            kind,
            default: shown,
            about,
        });
        properties.insert(name.to_owned(), schema);
    }
}

/// Default of a key that is not configuration; `None` where it is required.
fn header_default(name: &str) -> Option<Json> {
    match name {
        "axes" | "reference" | "expect" => Some(json!({})),
        "exclude" | "differences" => Some(json!([])),
        "seeds" => Some(json!(default_seeds())),
        "gate" => Some(Json::Null),
        _ => None,
    }
}

/// Defaults of all keys at once, every data source beside the others.
fn all_defaults(preset: Preset) -> Json {
    let mut defaults = preset_defaults(preset);
    let sources = DATA_SOURCES.map(|source| (source.to_owned(), data_defaults(source).unwrap_or_default()));
    defaults["data"] = Json::Object(sources.into_iter().collect());
    defaults
}

/// The schema of a type with everything in place, no references.
pub(super) fn plain_schema<T: JsonSchema>() -> Json {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

fn at<'a>(defaults: &'a Json, path: &str) -> &'a Json {
    path.split('.')
        .try_fold(defaults, |json, key| json.get(key))
        .unwrap_or(&Json::Null)
}

/// Adds defaults, requires only what has none, and removes the marks of Rust from the texts.
pub(super) fn tidy(schema: &mut Json, path: &str, defaults: &Json) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Json::String(text)) = object.get_mut("description") {
        *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ");
    }
    // Rust's integer widths are no limits that a suite's author should know.
    object.remove("format");
    let default = at(defaults, path).clone();
    let is_leaf = !object.contains_key("properties") && !object.contains_key("oneOf");
    if (is_leaf || default.is_string()) && !default.is_null() {
        object.insert("default".to_owned(), default.clone());
    }
    let is_section = default.is_object();
    if let Some(Json::Object(properties)) = object.get_mut("properties") {
        for (name, property) in properties.iter_mut() {
            tidy(property, &join(path, name), defaults);
        }
        if is_section && path != "data" {
            let required: Vec<Json> = properties
                .keys()
                .filter(|name| requires(&default, path, name))
                .map(|name| json!(name))
                .collect();
            object.insert("required".to_owned(), Json::Array(required));
        }
    }
    for alternatives in ["oneOf", "anyOf"] {
        for alternative in object
            .get_mut(alternatives)
            .and_then(Json::as_array_mut)
            .into_iter()
            .flatten()
        {
            tidy(alternative, path, defaults);
        }
    }
    if let Some(items) = object.get_mut("items") {
        tidy(items, "", &Json::Null);
    }
}

/// Whether a key of a section must be given: null stands for "no default" in data sources only.
fn requires(section: &Json, path: &str, name: &str) -> bool {
    path.starts_with("data.") && section[name].is_null()
}

/// Lists the leaves under a section, and where each path's schema is.
fn collect(
    schema: &Json,
    path: &str,
    pointer: &str,
    tiny: &Json,
    paper: &Json,
    keys: &mut Vec<Key>,
    pointers: &mut Vec<(String, String)>,
) {
    pointers.push((path.to_owned(), pointer.to_owned()));
    let mut sections = vec![(schema, pointer.to_owned())];
    for (index, one) in schema["oneOf"].as_array().into_iter().flatten().enumerate() {
        sections.push((one, format!("{pointer}/oneOf/{index}")));
    }
    let mut is_leaf = true;
    for (section, pointer) in sections {
        for (name, property) in section["properties"].as_object().into_iter().flatten() {
            is_leaf = false;
            let (path, pointer) = (join(path, name), format!("{pointer}/properties/{name}"));
            collect(property, &path, &pointer, tiny, paper, keys, pointers);
        }
    }
    if is_leaf {
        let default = match (at(tiny, path), at(paper, path)) {
            (Json::Null, _) if path.starts_with("data.") => "required".to_owned(),
            (tiny, paper) if tiny == paper || path == "model.preset" => format!("`{tiny}`"),
            (tiny, paper) => format!("tiny `{tiny}`, paper `{paper}`"),
        };
        keys.push(Key {
            path: path.to_owned(),
            kind: kind_of(schema),
            default,
            about: text_of(schema),
        });
    }
}

pub(super) fn text_of(schema: &Json) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

/// The type in words, or the names there are.
pub(super) fn kind_of(schema: &Json) -> String {
    let quoted = |names: Vec<&Json>| {
        let names: Vec<String> = names
            .iter()
            .filter_map(|name| Some(format!("`{}`", name.as_str()?)))
            .collect();
        names.join(", ")
    };
    if let Some(names) = schema["enum"].as_array() {
        return quoted(names.iter().collect());
    }
    if let Some(alternatives) = schema["oneOf"].as_array() {
        return quoted(
            alternatives
                .iter()
                .map(|one| one.get("const").unwrap_or(&one["enum"][0]))
                .collect(),
        );
    }
    let named = |name: &str| match name {
        "integer" => "whole number".to_owned(),
        "string" => "text".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => format!("list of {}s", kind_of(&schema["items"])),
        "object" => "map".to_owned(),
        "null" => "null".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Json::String(name) => named(name),
        Json::Array(names) => {
            let names: Vec<String> = names.iter().filter_map(Json::as_str).map(named).collect();
            names.join(" or ")
        }
        _ => "any".to_owned(),
    }
}

/// Says which paths `axes`, `reference` and `exclude.when` may have, and which metrics `expect` and `differences`.
fn close_maps(properties: &mut Map<String, Json>, pointers: &[(String, String)]) {
    let by_path = |wrap: &dyn Fn(Json) -> Json| -> Json {
        pointers
            .iter()
            .map(|(path, pointer)| (path.clone(), wrap(json!({"$ref": pointer}))))
            .collect()
    };
    let list = |items: Json| json!({"type": "array", "items": items, "minItems": 1, "uniqueItems": true});
    let one = |item: Json| item;
    let metrics = metric_names(&[]);
    let metric = metrics.join("|").replace('.', "\\.");
    let pattern = format!("^({metric}|(t2v|v2t)\\.(r_at|recall_at)\\.[0-9]+)$");
    let number_or_pair = json!({"anyOf": [
        {"type": "number"},
        {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    ]});
    let mut close = |name: &str, key: &str, value: Json| {
        let schema = &mut properties[name];
        schema[key] = value;
        schema["additionalProperties"] = json!(false);
    };
    close("axes", "properties", by_path(&list));
    close("reference", "properties", by_path(&one));
    close("expect", "patternProperties", json!({ pattern: number_or_pair }));
    properties["differences"]["items"]["pattern"] = json!(r"^(t2v|v2t)\.r_at\.[1-9][0-9]*$");
    properties["differences"]["uniqueItems"] = json!(true);
    let when = &mut properties["exclude"]["items"]["properties"]["when"];
    when["properties"] = by_path(&one);
    when["additionalProperties"] = json!(false);
}

#[cfg(test)]
mod tests;
