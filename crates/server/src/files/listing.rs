//! A page that lists what is in a folder. Nothing on it runs, whatever the names are.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::io;
use std::time::SystemTime;

use tidegate_os::{EntryKind, FileState, Folder};

use crate::http::http_date;
use crate::path::escaped;

/// What a browser may do with the page: show it, with the style in it.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

struct Entry {
    name: String,
    /// `None` is a folder.
    file: Option<FileState>,
}

/// Lists the folder at `within`, which was asked for by the path `shown`.
pub(super) fn page(
    folder: &Folder,
    within: &str,
    shown: &str,
    with_hidden: bool,
) -> io::Result<String> {
    let mut names = folder.names(within, ENTRIES_MAX + 1)?;
    let is_cut = names.len() > ENTRIES_MAX;
    names.truncate(ENTRIES_MAX);
    names.retain(|name| with_hidden || !name.starts_with('.'));
    let mut entries: Vec<Entry> = names
        .into_iter()
        .filter_map(|name| {
            let path = match within {
                "" => name.clone(),
                within => format!("{within}/{name}"),
            };
            // What would not be served, such as a link that leads out, is not shown.
            match folder.look(&path).ok()? {
                EntryKind::File(state) => Some(Entry {
                    name,
                    file: Some(state),
                }),
                EntryKind::Folder => Some(Entry { name, file: None }),
                EntryKind::Other => None,
            }
        })
        .collect();
    entries.sort_by(in_order);
    Ok(write(&entries, shown, !within.is_empty(), is_cut))
}

/// Folders first, then by name without regard to letter case.
fn in_order(left: &Entry, right: &Entry) -> Ordering {
    let key = |entry: &Entry| (entry.file.is_some(), entry.name.to_lowercase());
    key(left)
        .cmp(&key(right))
        .then_with(|| left.name.cmp(&right.name))
}

fn write(entries: &[Entry], shown: &str, has_parent: bool, is_cut: bool) -> String {
    let title = text(shown);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n<table>\n"
    );
    if has_parent {
        page.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in entries {
        let slash = if entry.file.is_some() { "" } else { "/" };
        // With a dot segment before it, no name is taken for a scheme.
        let link = escaped(entry.name.as_bytes());
        let link = text(&String::from_utf8_lossy(&link));
        let name = text(&entry.name);
        let (size, time) = match &entry.file {
            Some(state) => (size(state.length), date(state.modified)),
            None => (String::new(), String::new()),
        };
        // Writing to a text does not fail.
        let _ = writeln!(
            page,
            "<tr><td><a href=\"./{link}{slash}\">{name}{slash}</a></td><td>{size}</td><td>{time}</td></tr>"
        );
    }
    page.push_str("</table>\n");
    if is_cut {
        let _ = writeln!(page, "<p>The first {ENTRIES_MAX} of more.</p>");
    }
    page.push_str("</body></html>\n");
    page
}

/// With what HTML would read as markup escaped, in attributes too.
fn text(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for character in plain.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut amount, mut unit) = (bytes as f64, 0);
    while amount >= 1024.0 && unit < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit - 1])
}

const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];

fn date(time: SystemTime) -> String {
    http_date(time)
}

const STYLE: &str = "body{font:1em/1.5 system-ui,sans-serif;margin:2em;color-scheme:light dark}\
    td{padding:0 1.5em 0 0}td+td{text-align:right;font-variant-numeric:tabular-nums}";

/// Most entries that are listed: each is asked about, and a page of more is read by nobody.
const ENTRIES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, length: u64) -> Entry {
        let state = FileState {
            length,
            modified: SystemTime::UNIX_EPOCH,
            number: 1,
        };
        Entry {
            name: name.to_owned(),
            file: Some(state),
        }
    }

    #[test]
    fn names_are_escaped_in_text_and_in_links() {
        let entries = [
            file("<script>alert('1')</script>.txt", 1),
            file("javascript:alert(1)", 1),
            file("\" onclick=\"x", 1),
            file("50% & more?#.txt", 1),
            file("ä//", 1),
        ];
        let page = write(&entries, "/<b>/", true, true);
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        for expected in [
            "href=\"./%3Cscript%3Ealert(&#39;1&#39;)%3C/script%3E.txt\"",
            "href=\"./javascript:alert(1)\"",
            "href=\"./%22%20onclick=%22x\"",
            "href=\"./50%25%20&amp;%20more%3F%23.txt\"",
            "href=\"./%C3%A4//\"",
            "&quot; onclick=&quot;x</a>",
            "<title>/&lt;b&gt;/</title>",
            "href=\"../\"",
            "of more",
        ] {
            assert!(page.contains(expected), "{expected} in {page}");
        }
    }

    #[test]
    fn folders_come_first() {
        let mut entries = [
            file("b", 1),
            file("A", 1),
            Entry {
                name: "z".to_owned(),
                file: None,
            },
        ];
        entries.sort_by(in_order);
        let names: Vec<_> = entries.iter().map(|entry| &*entry.name).collect();
        assert_eq!(names, ["z", "A", "b"]);
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
