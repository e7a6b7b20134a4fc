//! How the reference looks.

use std::fmt::{self, Write as _};

use super::key::{Key, Table};
use crate::settings_file;

/// All of it, as `reference.md` of the guide has it.
pub(super) fn all(tables: &[Table]) -> String {
    let mut page = String::from(INTRODUCTION);
    let outer = tables.iter().filter(|table| table.is_outer());
    let links = outer.map(|table| format!("[`{}`](#{})", table.header(), table.path()));
    page += &format!("Tables: {}.\n\n", links.collect::<Vec<_>>().join(",\n"));
    for table in tables {
        page += &section(table);
    }
    page
}

const INTRODUCTION: &str = "\
# Every key of the settings file

Made from the code by `tidegate reference`; `tidegate reference timeouts` prints a part of it, and
`tidegate reference --json-schema` what editors complete and check by. A time is a number of seconds, whole or with a
fraction; a path is meant from where the program was started. An unknown key is an error that names the nearest one.

";

/// What is told of one key or table, by its whole name, or its last part where that is the only one.
pub(super) fn part(tables: &[Table], name: &str) -> Result<String, Unknown> {
    let name = name.trim_matches(['[', ']']);
    let ends = |path: &str| path == name || path.ends_with(&format!(".{name}"));
    let is_table = |table: &&Table| !table.path().is_empty() && ends(&table.path());
    let exact = tables
        .iter()
        .find(|table| is_table(table) && table.path() == name);
    if let Some(table) = exact {
        let within = format!("{name}.");
        let inner = tables
            .iter()
            .filter(|table| table.path().starts_with(&within));
        return Ok(std::iter::once(table).chain(inner).map(section).collect());
    }
    let mut found: Vec<String> = tables.iter().filter(is_table).map(section).collect();
    for table in tables {
        let keys = table.keys.iter().filter(|key| ends(&table.key_path(key)));
        let keys: Vec<_> = keys.map(|key| entry(table, key)).collect();
        match keys
            .iter()
            .find(|_| tables.iter().any(|table| table.path() == name))
        {
            Some(_) => {}
            None => found.extend(keys),
        }
    }
    match found.is_empty() {
        false => Ok(found.concat()),
        true => Err(Unknown {
            name: name.to_owned(),
            meant: settings_file::nearest_key(name),
        }),
    }
}

/// There is no such key.
#[derive(Debug)]
pub(super) struct Unknown {
    name: String,
    meant: Option<String>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "there is no key `{}`", self.name)?;
        match &self.meant {
            Some(meant) => write!(formatter, "; did you mean `{meant}`?"),
            None => Ok(()),
        }
    }
}

fn section(table: &Table) -> String {
    let mut text = match table.path().is_empty() {
        true => "## Above all tables\n\n".to_owned(),
        false => format!("## `{}`\n\n", table.header()),
    };
    if !table.meaning.is_empty() && !table.path().is_empty() {
        text += &format!("{}\n\n", table.meaning);
    }
    match &table.same_as {
        Some(other) => text += &format!("Its keys are those of `{other}`.\n\n"),
        None => text.extend(table.keys.iter().map(|key| entry(table, key))),
    }
    text
}

fn entry(table: &Table, key: &Key) -> String {
    let mut text = format!("### `{}`\n\n", table.key_path(key));
    let mut kind = key.kind.clone();
    if let Some((first, last)) = key.range {
        kind += &format!(", {first} to {last}");
    }
    if key.is_required {
        kind += "; has to be there";
    }
    if let Some(default) = &key.default {
        kind += &format!("; default `{default}`");
    }
    let mut letters = kind.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let kind: String = first.chain(letters).collect();
    // A text grows, and nothing of it fails.
    let _ = write!(text, "*{kind}.*\n\n");
    if !key.meaning.is_empty() {
        let _ = write!(text, "{}\n\n", key.meaning);
    }
    if key.words.iter().all(|(_, meaning)| meaning.is_empty()) {
        let words: Vec<_> = key
            .words
            .iter()
            .map(|(word, _)| format!("`{word}`"))
            .collect();
        if !words.is_empty() {
            let _ = write!(text, "One of {}.\n\n", words.join(", "));
        }
        return text;
    }
    for (word, meaning) in &key.words {
        let meaning = meaning.replace("\n\n", " ").replace('\n', " ");
        let _ = writeln!(text, "- `{word}`: {meaning}");
    }
    text.push('\n');
    text
}
