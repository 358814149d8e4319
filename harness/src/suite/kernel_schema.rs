//! Schema and keys of the configuration of throughput suites, from the doc comments of its types.

use serde_json::{Map, Value as Json, json};

use super::kernel_cell::{
    EmaUpdateShape, EnqueueShape, InfoNceShape, MeasureConfig, Operation, RankCountsShape, TopKShape,
    TrainStepShape,
};
use super::kernel_layer::{defaults, shape_defaults};
use super::schema::{Key, kind_of, plain_schema, text_of, tidy};
use super::tree::join;
use super::vocabulary::Vocabulary;
use super::wire::Kind;

/// Adds the configuration to `properties` and `keys`; gives every path with the place of its schema.
pub(super) fn add_config(properties: &mut Map<String, Json>, keys: &mut Vec<Key>) -> Vec<(String, String)> {
    let defaults = defaults();
    let mut operation = plain_schema::<Operation>();
    let text = "What is measured, of shapes that do not say so themselves.";
    operation["description"] = json!(text);
    let device =
        json!({"type": "string", "description": "Where kernels run: `cpu` or `cuda:0`, the first GPU."});
    let text = "Kernel id such as `cpu/auto/f16`, or the opponent `gemm/f32`, the plain product of `rank_counts` and \
                `top_k`.";
    let kernel = json!({"type": "string", "description": text});
    let mut measure = plain_schema::<MeasureConfig>();
    measure["description"] = json!("How kernels are measured.");
    let mut pointers = Vec::new();
    for (name, mut schema) in [
        ("device", device),
        ("operation", operation.clone()),
        ("kernel", kernel),
    ] {
        tidy(&mut schema, name, &defaults);
        keys.push(key(name, &schema, shown(&defaults[name])));
        pointers.push((name.to_owned(), format!("#/properties/{name}")));
        properties.insert(name.to_owned(), schema);
    }
    let shape = shape_schema(&operation);
    for (name, schema) in shape["properties"].as_object().into_iter().flatten() {
        let path = join("shape", name);
        if name != "operation" {
            keys.push(key(&path, schema, shown(&shape_defaults()[name])));
        }
        pointers.push((path, format!("#/properties/shapes/items/properties/{name}")));
    }
    properties["shapes"]["items"] = shape;
    tidy(&mut measure, "measure", &defaults);
    for (name, schema) in measure["properties"].as_object().into_iter().flatten() {
        let path = join("measure", name);
        keys.push(key(&path, schema, shown(&defaults["measure"][name])));
        pointers.push((path, format!("#/properties/measure/properties/{name}")));
    }
    pointers.push(("measure".to_owned(), "#/properties/measure".to_owned()));
    properties.insert("measure".to_owned(), measure);
    pointers
}

fn key(path: &str, schema: &Json, default: String) -> Key {
    Key {
        path: path.to_owned(),
        kind: kind_of(schema),
        default,
        about: text_of(schema),
    }
}

fn shown(default: &Json) -> String {
    if default.is_null() {
        "required".to_owned()
    } else {
        format!("`{default}`")
    }
}

/// A shape: the sizes of all operations, each once, and the operation.
fn shape_schema(operation: &Json) -> Json {
    let mut properties = Map::from_iter([("operation".to_owned(), operation.clone())]);
    let shapes = [
        plain_schema::<RankCountsShape>(),
        plain_schema::<TopKShape>(),
        plain_schema::<InfoNceShape>(),
        plain_schema::<EmaUpdateShape>(),
        plain_schema::<EnqueueShape>(),
        plain_schema::<TrainStepShape>(),
    ];
    for (name, schema) in shapes
        .iter()
        .filter_map(|shape| shape["properties"].as_object())
        .flatten()
    {
        if !properties.contains_key(name) {
            let mut schema = schema.clone();
            tidy(&mut schema, name, &shape_defaults());
            properties.insert(name.clone(), schema);
        }
    }
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// What the kind of a suite decides: which keys it must have, may not have, and which paths its maps may name.
pub(super) fn by_kind(ablation: &[(String, String)], throughput: &[(String, String)]) -> Json {
    let rules = |kind: Kind, other: Kind, required: &str, pointers: &[(String, String)]| {
        let (own, other) = (Vocabulary::of(kind), Vocabulary::of(other));
        let has = |key: &&&str| !own.header.contains(key) && !own.in_file.contains(key);
        let mut properties: Map<String, Json> = other
            .header
            .iter()
            .chain(other.in_file)
            .filter(has)
            .map(|key| ((*key).to_owned(), json!(false)))
            .collect();
        let paths: Vec<&String> = pointers.iter().map(|(path, _)| path).collect();
        for key in ["axes", "reference"] {
            properties.insert(key.to_owned(), json!({"propertyNames": {"enum": paths}}));
        }
        json!({"required": [required], "properties": properties})
    };
    json!({
        "if": {"properties": {"kind": {"const": "throughput"}}, "required": ["kind"]},
        "then": rules(Kind::Throughput, Kind::Ablation, "shapes", throughput),
        "else": rules(Kind::Ablation, Kind::Throughput, "data", ablation),
    })
}
