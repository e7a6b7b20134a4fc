//! Asks the component which keys there are and what their values may be.
//!
//! It is asked with small files of one key: what it answers to one that cannot be, names what can.

use std::ops::RangeInclusive;

use tidegate::Settings;

use super::place::Place;

/// The key that was probably meant, with its table: the nearest in `table`, else one of just that name,
/// or the nearest, elsewhere.
pub(super) fn meant(key: &str, table: &str) -> Option<(String, String)> {
    let here = keys(table);
    if let Some(found) = nearest(key, here.iter()) {
        return Some((found.clone(), table.to_owned()));
    }
    let tables = tables();
    let candidates = tables
        .iter()
        .filter(|(of, _)| of != table)
        .flat_map(|(of, keys)| keys.iter().map(move |found| (found, of)));
    candidates
        .map(|(found, of)| (distance(key, found), found, of))
        .filter(|(distance, ..)| *distance <= distance_max(key))
        .min_by_key(|(distance, ..)| *distance)
        .map(|(_, found, of)| (found.clone(), of.clone()))
}

/// The nearest of `candidates`, if it is near enough to be a slip.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a String>,
) -> Option<&'a String> {
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= distance_max(word))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What a value that was refused may be, for a person. `kind` is what the reader expected.
pub(super) fn allowed(place: &Place, kind: &str) -> String {
    let kind_max = match kind {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" => return "a whole number, at least 0".to_owned(),
        "a boolean" => return "true or false".to_owned(),
        "a sequence" => {
            let name = place.key();
            return format!("a list, of which each table begins with [[{name}]]");
        }
        kind if kind.starts_with("struct ") => return "a table".to_owned(),
        kind => return kind.to_owned(),
    };
    let range = range(&place.table(), place.name(), kind_max);
    let (first, last) = range.map_or((0, kind_max), |range| range.into_inner());
    format!("{first} to {last}")
}

/// The range of a whole number, of which `max` is the largest that its kind can hold.
pub(super) fn range(table: &str, name: &str, max: u64) -> Option<RangeInclusive<u64>> {
    let texts = [0, max].into_iter().flat_map(|number| {
        let headers = headers(table).into_iter();
        headers.map(move |header| format!("{header}{name} = {number}"))
    });
    texts.into_iter().find_map(|text| {
        let settings: Settings = toml::from_str(&text).ok()?;
        let error = settings.check().err()?;
        (error.name.rsplit('.').next() == Some(name)).then_some(error.range)
    })
}

/// All keys, by their whole names, tables among them.
pub(super) fn all() -> Vec<String> {
    let whole = |table: &str, key: String| match table {
        "" => key,
        table => format!("{table}.{key}"),
    };
    let tables = tables().into_iter();
    tables
        .flat_map(|(table, keys)| keys.into_iter().map(move |key| whole(&table, key)))
        .collect()
}

/// The words between backticks after `expected`.
pub(super) fn words(message: &str) -> Vec<String> {
    let expected = message.rsplit(", expected ").next().unwrap_or_default();
    let quoted = expected.split('`').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

/// All tables, from the outermost inwards, each with its keys.
fn tables() -> Vec<(String, Vec<String>)> {
    let mut tables = vec![(String::new(), keys(""))];
    let mut index = 0;
    while let Some((table, keys_of_table)) = tables.get(index) {
        let inner = keys_of_table.iter().map(|key| match &**table {
            "" => key.clone(),
            table => format!("{table}.{key}"),
        });
        let inner = inner.map(|name| {
            let keys = keys(&name);
            (name, keys)
        });
        // What has no keys is no table.
        let inner: Vec<_> = inner.filter(|(_, keys)| !keys.is_empty()).collect();
        tables.extend(inner);
        index += 1;
    }
    tables
}

/// The keys of a table; of the outermost one when `table` is empty.
fn keys(table: &str) -> Vec<String> {
    let mut answers = headers(table).into_iter().map(|header| keys_under(&header));
    answers.find(|keys| !keys.is_empty()).unwrap_or_default()
}

/// The keys that may stand under these lines; none where there is no such table.
fn keys_under(header: &str) -> Vec<String> {
    match toml::from_str::<Settings>(&format!("{header}\"?\" = 0")) {
        Err(error) if error.message().starts_with("unknown field `?`") => words(error.message()),
        _ => Vec::new(),
    }
}

/// A table's header, as it stands in a file: with two brackets where there may be several of its name.
pub(super) fn header(table: &str) -> String {
    let (single, repeated) = (format!("[{table}]"), format!("[[{table}]]"));
    // A table that holds a table alone can be read as a list of that as well.
    let has_keys = |header: &str| !keys_under(&format!("{header}\n")).is_empty();
    match has_keys(&repeated) && !has_keys(&single) {
        true => repeated,
        false => single,
    }
}

/// The lines above a key of a table, as they may be: a table, one of several, or a table in one of several.
fn headers(table: &str) -> Vec<String> {
    if table.is_empty() {
        return vec![String::new()];
    }
    let outer = table.split('.').next().unwrap_or_default();
    vec![
        format!("[{table}]\n"),
        format!("[[{table}]]\n"),
        format!("[[{outer}]]\n[{table}]\n"),
    ]
}

fn distance(word: &str, other: &str) -> usize {
    strsim::damerau_levenshtein(&word.replace('-', "_").to_lowercase(), other)
}

fn distance_max(word: &str) -> usize {
    (word.chars().count() / 3).max(1)
}
