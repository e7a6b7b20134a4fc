//! The keys that a schema knows, table by table.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A table of the settings file.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The names that lead to it; none for what is above all tables.
    names: Vec<String>,
    /// Whether there may be several, each with two brackets.
    is_repeated: bool,
    pub(super) meaning: String,
    /// In alphabetical order.
    pub(super) keys: Vec<Key>,
    /// The table that has the same keys, if one was before.
    pub(super) same_as: Option<String>,
}

/// A key that has a value.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    /// Where its value's schema is.
    pub(super) pointer: String,
    /// What its value may be.
    pub(super) kind: String,
    /// The largest that a whole number's kind can hold.
    pub(super) number_max: Option<u64>,
    pub(super) range: Option<(u64, u64)>,
    pub(super) default: Option<String>,
    pub(super) meaning: String,
    /// The words that it may be, with their meanings.
    pub(super) words: Vec<(String, String)>,
    /// Whether it has to be there.
    pub(super) is_required: bool,
}

impl Table {
    /// All tables of a schema, from the outermost inwards.
    pub(super) fn all(schema: &Value) -> Vec<Self> {
        let mut walk = Walk {
            schema,
            tables: Vec::new(),
            seen: BTreeMap::new(),
        };
        let outermost = Self {
            names: Vec::new(),
            is_repeated: false,
            meaning: meaning(schema),
            keys: Vec::new(),
            same_as: None,
        };
        walk.table(outermost, "");
        walk.tables
    }

    /// Its whole name; empty for what is above all tables.
    pub(super) fn path(&self) -> String {
        self.names.join(".")
    }

    /// Whether it is in no other.
    pub(super) fn is_outer(&self) -> bool {
        self.names.len() == 1
    }

    /// How its first line looks in a file.
    pub(super) fn header(&self) -> String {
        match self.is_repeated {
            true => format!("[[{}]]", self.path()),
            false => format!("[{}]", self.path()),
        }
    }

    /// The whole name of one of its keys.
    pub(super) fn key_path(&self, key: &Key) -> String {
        match self.names.is_empty() {
            true => key.name.clone(),
            false => format!("{}.{}", self.path(), key.name),
        }
    }
}

struct Walk<'a> {
    schema: &'a Value,
    tables: Vec<Table>,
    /// Where the table of each struct was first.
    seen: BTreeMap<String, String>,
}

/// What a value may be.
#[derive(Default)]
struct Kind {
    /// In words; the last may be a table.
    texts: Vec<String>,
    number_max: Option<u64>,
    words: Vec<(String, String)>,
    /// Where the table's schema is, and whether it is one of a list.
    table: Option<(String, bool)>,
}

impl Walk<'_> {
    /// Adds the table whose schema is at `pointer`, and those in it.
    fn table(&mut self, mut table: Table, pointer: &str) {
        let Some(schema) = self.schema.pointer(pointer) else {
            return;
        };
        let empty = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let required = |name: &str| {
            let names = schema["required"].as_array();
            names.is_some_and(|names| names.iter().any(|found| found == name))
        };
        let mut names: Vec<_> = properties.keys().collect();
        names.sort();
        let mut inner = Vec::new();
        for name in names {
            let property = &properties[name];
            let pointer = format!("{pointer}/properties/{name}");
            let mut kind = self.kind(&pointer);
            if let Some((pointer, is_repeated)) = kind.table.take() {
                inner.push((name.clone(), meaning(property), pointer, is_repeated));
                // A table, and nothing else that it might be.
                if kind.texts.is_empty() {
                    continue;
                }
                kind.texts.push(match is_repeated {
                    true => "a list of tables, or of both".to_owned(),
                    false => "a table".to_owned(),
                });
            }
            let number = |name| property[name].as_u64();
            table.keys.push(Key {
                name: name.clone(),
                kind: kind.texts.join(", or "),
                number_max: kind.number_max,
                range: kind
                    .number_max
                    .and(number("minimum").zip(number("maximum"))),
                default: default(&property["default"]),
                meaning: meaning(property),
                words: kind.words,
                is_required: required(name),
                pointer,
            });
        }
        let names = table.names.clone();
        self.tables.push(table);
        for (name, meaning_of_key, pointer, is_repeated) in inner {
            let mut names = names.clone();
            names.push(name);
            let of_struct = self
                .schema
                .pointer(&pointer)
                .map(meaning)
                .unwrap_or_default();
            let mut table = Table {
                names,
                is_repeated,
                meaning: if of_struct.starts_with(meaning_of_key.trim_end_matches('.')) {
                    of_struct
                } else {
                    format!("{meaning_of_key}\n\n{of_struct}").trim().to_owned()
                },
                keys: Vec::new(),
                same_as: None,
            };
            match self.seen.get(&pointer) {
                Some(before) => {
                    table.same_as = Some(before.clone());
                }
                None => {
                    self.seen.insert(pointer.clone(), table.path());
                }
            }
            self.table(table, &pointer);
        }
    }

    /// What the value whose schema is at `pointer` may be.
    fn kind(&self, pointer: &str) -> Kind {
        let mut kind = Kind::default();
        let Some(schema) = self.schema.pointer(pointer) else {
            return kind;
        };
        if let Some(target) = schema["$ref"].as_str() {
            return match target {
                "#/$defs/Duration" => Kind::of("seconds"),
                target => self.kind(target.trim_start_matches('#')),
            };
        }
        for of in ["anyOf", "oneOf"] {
            for index in 0..schema[of].as_array().map_or(0, Vec::len) {
                kind.or(self.kind(&format!("{pointer}/{of}/{index}")));
            }
        }
        if let Some(word) = schema["const"].as_str() {
            kind.words.push((word.to_owned(), meaning(schema)));
        }
        let words = schema["enum"].as_array().into_iter().flatten();
        let words = words.filter_map(|word| Some((word.as_str()?.to_owned(), String::new())));
        kind.words.extend(words);
        if !kind.words.is_empty() || !kind.texts.is_empty() || kind.table.is_some() {
            if !kind.words.is_empty() && kind.texts.is_empty() {
                kind.texts.push("a word".to_owned());
            }
            return kind;
        }
        kind.or(match type_of(schema) {
            "integer" => Kind {
                number_max: number_max(schema),
                ..Kind::of("a whole number")
            },
            "number" => Kind::of("a number"),
            "boolean" => Kind::of("true or false"),
            "string" => Kind::of("a text"),
            "array" => self.list(pointer),
            "object" if schema["properties"].is_object() => Kind {
                table: Some((pointer.to_owned(), false)),
                ..Kind::default()
            },
            "object" => Kind::of("a table of texts, by names of your own"),
            _ => Kind::default(),
        });
        kind
    }

    fn list(&self, pointer: &str) -> Kind {
        let element = self.kind(&format!("{pointer}/items"));
        let texts = element.texts.iter();
        Kind {
            texts: texts
                .map(|text| format!("a list of {}", plural(text)))
                .collect(),
            number_max: None,
            words: element.words,
            table: element.table.map(|(pointer, _)| (pointer, true)),
        }
    }
}

impl Kind {
    fn of(text: &str) -> Self {
        Self {
            texts: vec![text.to_owned()],
            ..Self::default()
        }
    }

    fn or(&mut self, other: Self) {
        for text in other.texts {
            if !self.texts.contains(&text) {
                self.texts.push(text);
            }
        }
        self.number_max = self.number_max.or(other.number_max);
        self.words.extend(other.words);
        self.table = self.table.take().or(other.table);
    }
}

fn plural(text: &str) -> String {
    match text.strip_prefix("a ") {
        Some(one) => format!("{one}s"),
        None => text.to_owned(),
    }
}

/// The one type that it names besides null.
fn type_of(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(name) => name,
        Value::Array(names) => {
            let mut names = names.iter().filter_map(Value::as_str);
            names.find(|name| *name != "null").unwrap_or_default()
        }
        _ => "",
    }
}

/// What the kind of number can hold, and TOML can say.
fn number_max(schema: &Value) -> Option<u64> {
    match schema["format"].as_str()? {
        "uint8" => Some(u8::MAX.into()),
        "uint16" => Some(u16::MAX.into()),
        "uint32" => Some(u32::MAX.into()),
        "uint64" | "uint" => Some(i64::MAX as u64),
        _ => None,
    }
}

/// The default as a file would say it; `None` for what means nothing by itself.
fn default(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(values) if values.is_empty() => None,
        value => Some(value.to_string()),
    }
}

/// The documentation of a field or struct.
fn meaning(schema: &Value) -> String {
    for_users(schema["description"].as_str().unwrap_or_default())
}

/// Documentation of the code as somebody with a settings file needs it.
pub(super) fn for_users(text: &str) -> String {
    // What follows is for who writes Rust.
    let end = text.find("```").into_iter().chain(text.find("\n# ")).min();
    // In a file there is no `None`: a key is left out.
    unlinked(text[..end.unwrap_or(text.len())].trim())
        .replace("Default `None`: ", "Without it: ")
        .replace("Default `None`", "Default none")
}

/// The text without links into the documentation of the code.
fn unlinked(text: &str) -> String {
    let mut made = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        let (before, from) = rest.split_at(start);
        made += before;
        let in_code = made.matches('`').count() % 2 == 1;
        let end = from.find(']').filter(|_| !in_code);
        let Some(end) = end else {
            made.push('[');
            rest = &from[1..];
            continue;
        };
        let (label, after) = (&from[1..end], &from[end + 1..]);
        let target = after
            .strip_prefix('(')
            .and_then(|after| after.split_once(')'));
        match target {
            Some((target, after)) if !target.starts_with("http") => {
                made += label;
                rest = after;
            }
            None if label.starts_with('`') => {
                made += label;
                rest = after;
            }
            _ => {
                made.push('[');
                rest = &from[1..];
            }
        }
    }
    made + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_into_the_code_become_their_words() {
        let text = "See [`Server::check`](crate::Server::check), [paths](Self::paths) and [`Io`]; \
                    a list: `[\"a\"]`; [RFC](https://example.com).";
        assert_eq!(
            unlinked(text),
            "See `Server::check`, paths and `Io`; a list: `[\"a\"]`; [RFC](https://example.com)."
        );
    }
}
