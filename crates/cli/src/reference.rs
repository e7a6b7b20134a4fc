//! `tidegate reference`: every key of the settings file.
//!
//! What is told comes from the component: kinds, defaults and meanings from its schema, ranges by asking it
//! (`settings_file::range`). How it looks is in `page`.

mod key;
mod page;

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use tidegate::Settings;

use self::key::Table;
use crate::console::{print, say};
use crate::settings_file;

/// Prints what every key of the settings file means.
///
/// As Markdown, with kinds, ranges and defaults. With a key or a table, such as `timeouts` or
/// `fine_tune.queue_length`, only that.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The key or the table; without one, all
    #[arg(value_name = "KEY", conflicts_with = "json_schema")]
    key: Option<String>,

    /// Print the file's JSON Schema instead, which editors complete and check by
    #[arg(long)]
    json_schema: bool,
}

/// Does what the command line asks for.
pub(crate) fn run(options: &Options) -> ExitCode {
    let schema = schema();
    if options.json_schema {
        print(format_args!("{schema:#}"));
        return ExitCode::SUCCESS;
    }
    let tables = Table::all(&schema);
    let Some(key) = &options.key else {
        print(format_args!("{}", page::all(&tables).trim_end()));
        return ExitCode::SUCCESS;
    };
    match page::part(&tables, key) {
        Ok(part) => {
            print(format_args!("{}", part.trim_end()));
            ExitCode::SUCCESS
        }
        Err(unknown) => {
            say(format_args!("error: {unknown}"));
            ExitCode::from(2)
        }
    }
}

/// The component's schema, with the ranges of its numbers.
fn schema() -> Value {
    let mut schema = Settings::json_schema();
    for table in Table::all(&schema) {
        for key in &table.keys {
            let range = key
                .number_max
                .and_then(|max| settings_file::range(&table.path(), &key.name, max));
            let Some(range) = range else { continue };
            if let Some(place) = schema.pointer_mut(&key.pointer) {
                place["minimum"] = json!(range.start());
                place["maximum"] = json!(range.end());
            }
        }
    }
    tell_users(&mut schema);
    schema
}

/// Leaves of all documentation what somebody with a settings file needs.
fn tell_users(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(tell_users),
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(text) if name == "description" => *text = key::for_users(text),
                    value => tell_users(value),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
