//! YAML as a tree in which every key and value knows its origin.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_yaml::Spanned;

use super::source::{Origin, Span};

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// The value.
    pub(crate) value: Value,
    /// Its layer and position.
    pub(crate) origin: Origin,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Null, a boolean, a number or a string; never an array or object.
    Scalar(Json),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in file order, keys unique.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) key_origin: Origin,
    /// Its value.
    pub(crate) node: Node,
}

impl Node {
    /// Parses one YAML document. Duplicate keys, YAML 1.1 booleans as booleans, and non-finite numbers are refused.
    pub(crate) fn from_yaml(text: &str) -> Result<Self, serde_yaml::Error> {
        serde_yaml::from_str_with_options(
            text,
            serde_yaml::options! { strict_booleans: true, with_snippet: false },
        )
    }

    /// The tree of a JSON value, all of one origin.
    pub(crate) fn from_json(json: Json, origin: Origin) -> Self {
        let value = match json {
            Json::Array(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| Self::from_json(item, origin))
                    .collect(),
            ),
            Json::Object(map) => {
                let entry = |(key, value)| Entry {
                    key,
                    key_origin: origin,
                    node: Self::from_json(value, origin),
                };
                Value::Map(map.into_iter().map(entry).collect())
            }
            scalar => Value::Scalar(scalar),
        };
        Self { value, origin }
    }

    /// The value without origins.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar(scalar) => scalar.clone(),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => Json::Object(
                entries
                    .iter()
                    .map(|e| (e.key.clone(), e.node.to_json()))
                    .collect(),
            ),
        }
    }

    /// The value as messages show it: text bare, everything else as JSON.
    pub(crate) fn shown(&self) -> String {
        match &self.value {
            Value::Scalar(Json::String(text)) => text.clone(),
            _ => self.to_json().to_string(),
        }
    }

    /// A mapping with one key, nested along a dotted path.
    pub(crate) fn nest(path: &str, key_origin: Origin, node: Self) -> Self {
        path.rsplit('.').fold(node, |node, key| {
            let entry = Entry {
                key: key.to_owned(),
                key_origin,
                node,
            };
            Self {
                origin: entry.node.origin,
                value: Value::Map(vec![entry]),
            }
        })
    }

    /// Applies `f` to every origin of the tree.
    pub(crate) fn map_origins(&mut self, f: &impl Fn(Origin) -> Origin) {
        self.origin = f(self.origin);
        match &mut self.value {
            Value::Scalar(_) => {}
            Value::List(items) => items.iter_mut().for_each(|item| item.map_origins(f)),
            Value::Map(entries) => {
                for entry in entries {
                    entry.key_origin = f(entry.key_origin);
                    entry.node.map_origins(f);
                }
            }
        }
    }

    /// The entries of a mapping.
    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entry of a key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    /// The value at a dotted path; a list index is written as a number.
    pub(crate) fn get(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, key| match &node.value {
            Value::Map(_) => node.entry(key).map(|entry| &entry.node),
            Value::List(items) => items.get(key.parse::<usize>().ok()?),
            Value::Scalar(_) => None,
        })
    }

    /// The value at a dotted path of keys, for writing.
    pub(crate) fn get_mut(&mut self, path: &str) -> Option<&mut Self> {
        path.split('.').try_fold(self, |node, key| match &mut node.value {
            Value::Map(entries) => entries
                .iter_mut()
                .find(|entry| entry.key == key)
                .map(|entry| &mut entry.node),
            _ => None,
        })
    }

    /// Replaces or adds a key of this mapping; on anything else does nothing.
    pub(crate) fn put(&mut self, new: Entry) {
        if let Value::Map(entries) = &mut self.value {
            match entries.iter_mut().find(|entry| entry.key == new.key) {
                Some(old) => *old = new,
                None => entries.push(new),
            }
        }
    }

    /// Removes a key of this mapping and returns it.
    pub(crate) fn take(&mut self, key: &str) -> Option<Entry> {
        let Value::Map(entries) = &mut self.value else {
            return None;
        };
        let index = entries.iter().position(|entry| entry.key == key)?;
        Some(entries.remove(index))
    }

    /// Dotted paths of all leaves; lists are leaves.
    pub(crate) fn leaf_paths(&self) -> Vec<String> {
        fn walk(node: &Node, prefix: &str, out: &mut Vec<String>) {
            match node.entries() {
                Some(entries) => {
                    for entry in entries {
                        walk(&entry.node, &join(prefix, &entry.key), out);
                    }
                }
                None => out.push(prefix.to_owned()),
            }
        }
        let mut out = Vec::new();
        walk(self, "", &mut out);
        out
    }
}

/// Joins two parts of a dotted path, either of which may be empty.
pub(crate) fn join(prefix: &str, key: &str) -> String {
    match (prefix, key) {
        ("", key) => key.to_owned(),
        (prefix, "") => prefix.to_owned(),
        (prefix, key) => format!("{prefix}.{key}"),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            value: spanned.value,
            origin: Origin::File(Span::from(spanned.referenced)),
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Scalar(Json::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Scalar(Json::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = serde_json::Number::from_f64(value).ok_or_else(|| E::custom("number is not finite"))?;
        Ok(Value::Scalar(Json::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Scalar(Json::String(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key_origin = Origin::File(Span::from(key.referenced));
            entries.push(Entry {
                key: key.value,
                key_origin,
                node: map.next_value()?,
            });
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_value_has_its_position() {
        let text = "a:\n  b: [1, two, 3.5]\n  'c d': {e: -4, f: ~, g: yes, h: true}\n";
        let node = Node::from_yaml(text).expect("valid");
        let spans = |origin| match origin {
            Origin::File(span) => (span.line, span.column, &text[span.offset..span.offset + span.len]),
            other => panic!("{other:?}"),
        };
        let a = node.entry("a").expect("a");
        assert_eq!(spans(a.key_origin), (1, 1, "a"));
        let b = a.node.entry("b").expect("b");
        assert_eq!(spans(b.key_origin), (2, 3, "b"));
        assert_eq!(spans(node.get("a.b.1").expect("two").origin), (2, 10, "two"));
        assert_eq!(spans(node.get("a.c d.e").expect("e").origin), (3, 14, "-4"));
        assert_eq!(
            node.to_json(),
            serde_json::json!({"a": {"b": [1, "two", 3.5], "c d": {"e": -4, "f": null, "g": "yes", "h": true}}})
        );
        assert_eq!(
            node.leaf_paths(),
            ["a.b", "a.c d.e", "a.c d.f", "a.c d.g", "a.c d.h"]
        );
    }

    #[test]
    fn duplicate_keys_and_non_finite_numbers_are_refused() {
        let duplicate = Node::from_yaml("a: 1\nb: 2\na: 3\n").expect_err("duplicate");
        assert_eq!(
            duplicate.location().map(|at| (at.line(), at.column())),
            Some((3, 1))
        );
        assert!(Node::from_yaml("a: .nan\n").is_err());
    }
}
