//! Reads typed values from a [`Node`] tree; a mismatch knows its path and origin.

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value as Json;

use super::source::Origin;
use super::tree::{Entry, Node, Value, join};

/// A value that does not fit its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mismatch {
    /// Dotted path of the value, or of the key.
    pub(crate) path: String,
    /// Origin of the value, or of the key.
    pub(crate) origin: Origin,
    /// What is wrong.
    pub(crate) what: Box<What>,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// Another type was expected.
    Type { expected: String, found: String },
    /// The type fits but the value is outside its range.
    Range { expected: String, found: String },
    /// A name that is not one of the known ones.
    Variant { found: String, known: Vec<String> },
    /// A key that is not one of the known ones.
    Key { known: Vec<String> },
    /// A required key is missing from the mapping at the path.
    Missing { key: String },
    /// Anything else that a type's own reader says.
    Other(String),
}

/// Reads a `T` from the tree at `path` (for messages only).
pub(crate) fn read<T: DeserializeOwned>(node: &Node, path: &str) -> Result<T, Mismatch> {
    T::deserialize(NodeReader { node }).map_err(|error| error.place(path, node.origin))
}

/// A [`Mismatch`] on its way up: the path is built from the inside out.
#[derive(Debug)]
struct Rising {
    what: What,
    path: String,
    origin: Option<Origin>,
}

impl Rising {
    fn new(what: What) -> Self {
        Self {
            what,
            path: String::new(),
            origin: None,
        }
    }

    fn under(mut self, key: &str, origin: Origin) -> Self {
        self.path = if self.path.is_empty() {
            key.to_owned()
        } else {
            join(key, &self.path)
        };
        self.origin.get_or_insert(origin);
        self
    }

    fn place(self, path: &str, origin: Origin) -> Mismatch {
        Mismatch {
            path: join(path, &self.path),
            origin: self.origin.unwrap_or(origin),
            what: Box::new(self.what),
        }
    }
}

impl fmt::Display for Rising {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for Rising {}

impl serde::de::Error for Rising {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(What::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(What::Type {
            expected: expectation(&expected.to_string()),
            found: describe(found),
        })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(What::Range {
            expected: expectation(&expected.to_string()),
            found: bare(found),
        })
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::Variant {
            found: found.to_owned(),
            known: names(known),
        })
    }

    fn unknown_field(_found: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::Key { known: names(known) })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(What::Missing { key: key.to_owned() })
    }
}

fn names(known: &[&str]) -> Vec<String> {
    known.iter().map(|&name| name.to_owned()).collect()
}

/// Turns what serde expects (Rust type names) into words for a suite's author.
fn expectation(expected: &str) -> String {
    match expected {
        "usize" | "u64" => "a whole number of at least 0".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "f64" => "a number".to_owned(),
        "path string" | "a string" => "text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a map".to_owned(),
        other if other.starts_with("struct ") => "a map of settings".to_owned(),
        other => other.to_owned(),
    }
}

fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("text `{text}`"),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Bool(value) => format!("`{value}`"),
        other => format!("the number {}", bare(other)),
    }
}

fn bare(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(text) => format!("`{text}`"),
        other => other.to_string(),
    }
}

struct NodeReader<'a> {
    node: &'a Node,
}

impl NodeReader<'_> {
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.node.value {
            Value::Scalar(Json::Bool(value)) => Unexpected::Bool(*value),
            Value::Scalar(Json::String(text)) => Unexpected::Str(text),
            Value::Scalar(Json::Number(number)) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => Unexpected::Unsigned(value),
                (None, Some(value)) => Unexpected::Signed(value),
                (None, None) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::Scalar(_) => Unexpected::Unit,
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
        }
    }
}

impl<'de> Deserializer<'de> for NodeReader<'_> {
    type Error = Rising;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rising> {
        match &self.node.value {
            Value::Scalar(_) => match self.unexpected() {
                Unexpected::Bool(value) => visitor.visit_bool(value),
                Unexpected::Str(text) => visitor.visit_str(text),
                Unexpected::Unsigned(value) => visitor.visit_u64(value),
                Unexpected::Signed(value) => visitor.visit_i64(value),
                Unexpected::Float(value) => visitor.visit_f64(value),
                _ => visitor.visit_unit(),
            },
            Value::List(items) => visitor.visit_seq(ListReader {
                items: items.iter().enumerate(),
            }),
            Value::Map(entries) => visitor.visit_map(MapReader {
                entries: entries.iter(),
                current: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rising> {
        match &self.node.value {
            Value::Scalar(Json::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Rising> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Rising> {
        match &self.node.value {
            Value::Scalar(Json::String(name)) => visitor.visit_enum(EnumReader { name, payload: None }),
            Value::Map(entries) if entries.len() == 1 => visitor.visit_enum(EnumReader {
                name: &entries[0].key,
                payload: Some(&entries[0]),
            }),
            _ => {
                let known: Vec<String> = variants.iter().map(|name| format!("`{name}`")).collect();
                let expected = format!("one of {}", known.join(", "));
                Err(Rising::new(What::Type {
                    expected,
                    found: describe(self.unexpected()),
                }))
            }
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

struct ListReader<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> SeqAccess<'de> for ListReader<'_> {
    type Error = Rising;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Rising> {
        let Some((index, node)) = self.items.next() else {
            return Ok(None);
        };
        seed.deserialize(NodeReader { node })
            .map(Some)
            .map_err(|error| error.under(&index.to_string(), node.origin))
    }
}

struct MapReader<'a> {
    entries: std::slice::Iter<'a, Entry>,
    current: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for MapReader<'_> {
    type Error = Rising;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Rising> {
        let Some(entry) = self.entries.next() else {
            return Ok(None);
        };
        self.current = Some(entry);
        let key = serde::de::value::StrDeserializer::<Rising>::new(&entry.key);
        seed.deserialize(key)
            .map(Some)
            .map_err(|error| error.under(&entry.key, entry.key_origin))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Rising> {
        let entry = self
            .current
            .take()
            .ok_or_else(|| Rising::custom("value asked for before its key"))?;
        seed.deserialize(NodeReader { node: &entry.node })
            .map_err(|error| error.under(&entry.key, entry.node.origin))
    }
}

struct EnumReader<'a> {
    name: &'a str,
    payload: Option<&'a Entry>,
}

impl<'a, 'de> EnumAccess<'de> for EnumReader<'a> {
    type Error = Rising;
    type Variant = PayloadReader<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), Rising> {
        let name = serde::de::value::StrDeserializer::<Rising>::new(self.name);
        let variant = seed.deserialize(name).map_err(|error| match self.payload {
            Some(entry) => error.under(self.name, entry.key_origin),
            None => error,
        })?;
        Ok((
            variant,
            PayloadReader {
                payload: self.payload,
            },
        ))
    }
}

struct PayloadReader<'a> {
    payload: Option<&'a Entry>,
}

impl<'de> VariantAccess<'de> for PayloadReader<'_> {
    type Error = Rising;

    fn unit_variant(self) -> Result<(), Rising> {
        match self.payload {
            None => Ok(()),
            Some(entry) => {
                let what = What::Type {
                    expected: "a name alone".to_owned(),
                    found: "a map".to_owned(),
                };
                Err(Rising::new(what).under(&entry.key, entry.key_origin))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Rising> {
        match self.payload {
            Some(entry) => seed
                .deserialize(NodeReader { node: &entry.node })
                .map_err(|error| error.under(&entry.key, entry.node.origin)),
            None => {
                let expected = "a map with the settings under this name".to_owned();
                Err(Rising::new(What::Type {
                    expected,
                    found: "the name alone".to_owned(),
                }))
            }
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Rising> {
        Err(Rising::invalid_type(Unexpected::TupleVariant, &visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Rising> {
        Err(Rising::invalid_type(Unexpected::StructVariant, &visitor))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        count: usize,
        rate: f64,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        names: Vec<String>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Plain,
        Sized(usize),
    }

    fn sample(text: &str) -> Result<Sample, (String, u64, u64, What)> {
        let node = Node::from_yaml(text).expect("valid YAML");
        read(&node, "top").map_err(|mismatch| match mismatch.origin {
            Origin::File(span) => (mismatch.path, span.line, span.column, *mismatch.what),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn values_are_read_as_their_types() {
        let read = sample("{count: 3, rate: 2, kind: {sized: 4}, names: [a, b]}");
        let names = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(
            read,
            Ok(Sample {
                count: 3,
                rate: 2.0,
                kind: Some(Kind::Sized(4)),
                names
            })
        );
        assert_eq!(
            sample("{count: 3, rate: 2.5, kind: plain}").map(|s| s.kind),
            Ok(Some(Kind::Plain))
        );
    }

    #[test]
    fn mismatches_know_path_and_position() {
        let check = |text, path: &str, line, column, what| {
            assert_eq!(sample(text), Err((path.to_owned(), line, column, what)), "{text}");
        };
        let number = "a whole number of at least 0".to_owned();
        let found = "text `many`".to_owned();
        check(
            "count: many",
            "top.count",
            1,
            8,
            What::Type {
                expected: number.clone(),
                found,
            },
        );
        let found = "-1".to_owned();
        check(
            "count: -1",
            "top.count",
            1,
            8,
            What::Range {
                expected: number.clone(),
                found,
            },
        );
        check(
            "count: 1",
            "top",
            1,
            1,
            What::Missing {
                key: "rate".to_owned(),
            },
        );
        let known = ["count", "rate", "kind", "names"].map(str::to_owned).to_vec();
        check("count: 1\nrat: 2", "top.rat", 2, 1, What::Key { known });
        let text = What::Type {
            expected: "text".to_owned(),
            found: "the number 7".to_owned(),
        };
        check("{count: 1, rate: 2, names: [a, 7]}", "top.names.1", 1, 32, text);
        let known = ["plain", "sized"].map(str::to_owned).to_vec();
        check(
            "{count: 1, rate: 2, kind: plan}",
            "top.kind",
            1,
            27,
            What::Variant {
                found: "plan".to_owned(),
                known,
            },
        );
        let what = What::Type {
            expected: number,
            found: "nothing".to_owned(),
        };
        check(
            "{count: 1, rate: 2, kind: {sized: }}",
            "top.kind.sized",
            1,
            33,
            what,
        );
    }
}
