//! The schema of a settings file: which keys there are, of which kind, with which defaults, and what they mean.
//!
//! It is made from the structs that a file fills, and their documentation.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Settings;

impl Settings {
    /// The JSON Schema (2020-12) of a settings file, for editors and whoever else wants to know its keys.
    ///
    /// Descriptions are the documentation of the fields, as Markdown.
    pub fn json_schema() -> Value {
        let generator = SchemaSettings::draft2020_12().into_generator();
        let mut schema = generator.into_root_schema_for::<Self>().to_value();
        if let Some(time) = schema.pointer_mut("/$defs/Duration") {
            *time = json!({
                "description": "A number of seconds, whole or with a fraction.",
                "type": "number",
                "minimum": 0
            });
        }
        tell_seconds(&mut schema);
        schema
    }
}

/// Makes defaults that are times what a file has: numbers of seconds.
fn tell_seconds(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(tell_seconds),
        Value::Object(object) => match seconds(object) {
            Some(seconds) => *value = seconds,
            None => object.values_mut().for_each(tell_seconds),
        },
        _ => {}
    }
}

/// The number of seconds that a time is, as serde has one.
fn seconds(object: &Map<String, Value>) -> Option<Value> {
    let (seconds, nanos) = (
        object.get("secs")?.as_u64()?,
        object.get("nanos")?.as_u64()?,
    );
    if object.len() != 2 {
        return None;
    }
    Some(match nanos {
        0 => seconds.into(),
        _ => (seconds as f64 + nanos as f64 / 1e9).into(),
    })
}

/// A switch, or more than that.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum SwitchOr<T> {
    Switch(bool),
    More(T),
}

/// A text, or more than that.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum TextOr<T> {
    Text(String),
    More(T),
}
