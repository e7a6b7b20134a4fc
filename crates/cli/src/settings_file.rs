//! Reads a settings file into the component's [`Settings`], and says what is wrong with one.
//!
//! Which keys there are, of which kind and in which range, is the component's to know: it is asked,
//! and no list of them is kept here. The messages are this file's matter; finding the place is in
//! `place`, asking in `known`.

mod known;
mod place;

use std::fmt;
use std::io;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use tidegate::Settings;

use self::known::nearest;
use self::place::Place;

/// Reads the settings of a file.
///
/// # Errors
///
/// The file cannot be read, or what is in it may not be. The user's fault.
pub(crate) fn read(path: &Path) -> Result<Settings, FileError> {
    let error = |fault| FileError {
        path: path.to_path_buf(),
        fault: Box::new(fault),
    };
    let text = std::fs::read_to_string(path).map_err(|source| error(FileFault::Read(source)))?;
    parse(&text).map_err(|(at, problem)| {
        let line = at.map(|at| Line::of(&text, at));
        error(FileFault::Content { line, problem })
    })
}

/// The range of the whole number that a key has, of which `max` is the largest that its kind can hold.
pub(crate) fn range(table: &str, name: &str, max: u64) -> Option<RangeInclusive<u64>> {
    known::range(table, name, max)
}

/// All keys that there are, by their whole names.
pub(crate) fn keys() -> Vec<String> {
    known::all()
}

/// The key that was probably meant, by its whole name.
pub(crate) fn nearest_key(name: &str) -> Option<String> {
    let keys = keys();
    nearest(name, keys.iter()).cloned().or_else(|| {
        let last = name.rsplit('.').next()?;
        let of_last = |key: &&String| key.rsplit('.').next() == Some(last);
        let names: Vec<_> = keys
            .iter()
            .filter_map(|key| key.rsplit('.').next())
            .collect();
        let lasts: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let meant = nearest(last, lasts.iter())?;
        let by_name = |key: &&String| key.rsplit('.').next() == Some(meant);
        keys.iter()
            .find(of_last)
            .or_else(|| keys.iter().find(by_name))
            .cloned()
    })
}

/// Why a settings file cannot be used.
#[derive(Debug)]
pub(crate) struct FileError {
    path: PathBuf,
    fault: Box<FileFault>,
}

#[derive(Debug)]
enum FileFault {
    Read(io::Error),
    Content {
        line: Option<Line>,
        problem: Problem,
    },
}

/// What is wrong with a file's content.
#[derive(Debug)]
enum Problem {
    /// It is no TOML.
    Syntax(String),
    /// There is no such key.
    UnknownKey {
        key: String,
        table: String,
        /// A key that there is, with its table.
        meant: Option<(String, String)>,
    },
    /// The value is none that the key may have.
    Value {
        key: String,
        fault: String,
        allowed: Option<String>,
    },
}

/// A line of the file, and which part of it is meant.
#[derive(Debug)]
struct Line {
    /// From 1.
    number: usize,
    text: String,
    /// In characters.
    column: usize,
    width: usize,
}

type Fault = (Option<Range<usize>>, Problem);

fn parse(text: &str) -> Result<Settings, Fault> {
    let settings: Settings = toml::from_str(text).map_err(|error| explain(text, &error))?;
    match settings.check() {
        Ok(()) => Ok(settings),
        Err(error) => {
            let place = Place::named(text, error.name);
            let problem = Problem::Value {
                key: place.as_ref().map_or(error.name.to_owned(), Place::key),
                fault: format!("is {}", error.value),
                allowed: Some(format!("{} to {}", error.range.start(), error.range.end())),
            };
            Err((place.map(|place| place.value), problem))
        }
    }
}

/// What the reader's error means. It tells keys and kinds in its text only.
fn explain(text: &str, error: &toml::de::Error) -> Fault {
    let message = error.message();
    let Some(place) = error.span().and_then(|span| Place::at(text, span.start)) else {
        return (error.span(), Problem::Syntax(message.to_owned()));
    };
    let span = error.span();
    let table = place.table();
    if message.starts_with("unknown field `") {
        let key = place.name().to_owned();
        let meant = known::meant(&key, &table);
        return (span, Problem::UnknownKey { key, table, meant });
    }
    let (fault, allowed) = match message.split_once(", expected ") {
        Some((fault, _)) if fault.starts_with("unknown variant `") => {
            let given = fault.trim_start_matches("unknown variant ");
            let words = known::words(message);
            let given_word = given.trim_matches('`');
            let allowed = match nearest(given_word, words.iter()) {
                Some(word) => format!("{}; did you mean `{word}`?", words.join(", ")),
                None => words.join(", "),
            };
            (format!("is {given}"), Some(allowed))
        }
        Some((fault, kind)) => {
            let given = fault.rsplit_once(": ").map_or(fault, |(_, given)| given);
            let allowed = known::allowed(&place, kind);
            (format!("is {given}"), Some(allowed))
        }
        None => (message.to_owned(), None),
    };
    let key = place.key();
    (
        span,
        Problem::Value {
            key,
            fault,
            allowed,
        },
    )
}

impl Line {
    fn of(text: &str, at: Range<usize>) -> Self {
        let start = text[..at.start].rfind('\n').map_or(0, |index| index + 1);
        let rest = &text[start..];
        let line = rest.lines().next().unwrap_or_default();
        let end = at
            .end
            .clamp(at.start, start + line.len().max(at.start - start));
        Self {
            number: text[..start].matches('\n').count() + 1,
            text: line.to_owned(),
            column: text[start..at.start].chars().count(),
            width: text[at.start..end].chars().count().max(1),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let (line, problem) = match &*self.fault {
            FileFault::Read(_) => return write!(formatter, "cannot read the settings file {path}"),
            FileFault::Content { line, problem } => (line, problem),
        };
        write!(formatter, "{path}")?;
        if let Some(line) = line {
            write!(formatter, ", line {}", line.number)?;
        }
        write!(formatter, ": {problem}")?;
        let Some(line) = line else {
            return Ok(());
        };
        let number = line.number;
        let (gutter, column, width) = (number.to_string().len(), line.column, line.width);
        write!(formatter, "\n  {number} | {}", line.text)?;
        write!(
            formatter,
            "\n  {:gutter$} | {:column$}{:^<width$}",
            "", "", ""
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(message) => formatter.write_str(message),
            Self::UnknownKey { key, table, meant } => {
                write!(formatter, "unknown key `{key}`")?;
                if !table.is_empty() {
                    write!(formatter, " in {}", known::header(table))?;
                }
                match meant {
                    Some((meant, of)) if of == table => {
                        write!(formatter, "; did you mean `{meant}`?")
                    }
                    Some((meant, of)) if of.is_empty() => {
                        write!(formatter, "; did you mean `{meant}`, above all tables?")
                    }
                    Some((meant, of)) => {
                        let header = known::header(of);
                        write!(formatter, "; did you mean `{meant}` in {header}?")
                    }
                    None => Ok(()),
                }
            }
            Self::Value {
                key,
                fault,
                allowed,
            } => {
                match fault.strip_prefix("is ") {
                    Some(_) => write!(formatter, "`{key}` {fault}")?,
                    None => write!(formatter, "`{key}`: {fault}")?,
                }
                match allowed {
                    Some(allowed) => write!(formatter, "; allowed: {allowed}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.fault {
            FileFault::Read(error) => Some(error),
            FileFault::Content { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
