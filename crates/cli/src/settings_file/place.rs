//! Finds the key that a place in a settings file belongs to, and the place of a key.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key of a settings file, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The names from the outermost table to the key.
    path: Vec<String>,
    /// Where its name is.
    name: Range<usize>,
    /// Where its value is.
    pub(super) value: Range<usize>,
}

impl Place {
    /// The innermost key whose name or value is at `offset`.
    pub(super) fn at(text: &str, offset: usize) -> Option<Self> {
        let holds = |range: &Range<usize>| range.contains(&offset) || range.start == offset;
        let mut places = all(text);
        places.retain(|place| holds(&place.name) || holds(&place.value));
        places.into_iter().max_by_key(|place| place.path.len())
    }

    /// The key with a name as settings' checks tell it: with or without its table.
    pub(super) fn named(text: &str, name: &str) -> Option<Self> {
        all(text).into_iter().find(|place| {
            let key = place.key();
            let outer = key.strip_suffix(name);
            outer.is_some_and(|outer| outer.is_empty() || outer.ends_with('.'))
        })
    }

    /// The whole key.
    pub(super) fn key(&self) -> String {
        self.path.join(".")
    }

    /// Its last name.
    pub(super) fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// The table it is in; empty for the outermost.
    pub(super) fn table(&self) -> String {
        self.path[..self.path.len().saturating_sub(1)].join(".")
    }
}

/// All keys of the file; none when it is no TOML.
fn all(text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    if let Ok(document) = DeTable::parse(text) {
        collect(document.get_ref(), &mut Vec::new(), &mut places);
    }
    places
}

fn collect(table: &DeTable<'_>, path: &mut Vec<String>, places: &mut Vec<Place>) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        places.push(Place {
            path: path.clone(),
            name: key.span(),
            value: value.span(),
        });
        descend(value, path, places);
        path.pop();
    }
}

fn descend(value: &Spanned<DeValue<'_>>, path: &mut Vec<String>, places: &mut Vec<Place>) {
    match value.get_ref() {
        DeValue::Table(table) => collect(table, path, places),
        DeValue::Array(array) => {
            for element in array.iter() {
                descend(element, path, places);
            }
        }
        _ => {}
    }
}
