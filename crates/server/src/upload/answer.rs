//! What the peer of an upload is answered: by a place that takes files in, and when an upload failed.

use std::fmt::Write;
use std::path::{Component, Path};
use std::sync::Arc;

use serde::Serialize;
use tidegate_httpapi::{Body, FieldBlock, RequestHead, ResponseHead, Version};

use super::place::{UploadPlace, etag_at};
use super::receive::Failure;
use super::uploads::Uploads;
use crate::component::Shared;
use crate::event::ExceptionCause;
use crate::http::Detached;
use crate::path::escaped;

/// A refusal with a line of text for a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) text: String,
    /// Methods that are allowed, where this one is not.
    pub(super) allow: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            allow: None,
        }
    }

    pub(super) fn method(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(405, format!("only {allow} is answered here"))
        }
    }

    /// Content longer than allowed.
    pub(super) fn too_large(limit: u64) -> Self {
        Self::new(413, format!("the content is longer than {limit} bytes"))
    }

    /// The response. `ends` says that content may still come, which nobody wants: of HTTP/1 the connection
    /// ends then, lest all of it be received for nothing.
    pub(super) fn response(self, request: &RequestHead<'_>, ends: bool) -> (ResponseHead, Body) {
        let mut head = ResponseHead::new(self.status);
        head.close = ends && request.version() < Version::Http2;
        if let Some(allow) = self.allow {
            set(&mut head.fields, "Allow", allow);
        }
        if self.text.is_empty() {
            return (head, Body::Empty);
        }
        set(
            &mut head.fields,
            "Content-Type",
            "text/plain; charset=utf-8",
        );
        (head, Body::Owned(format!("{}\n", self.text).into_bytes()))
    }
}

/// Tells of a failed upload, by whose fault it is. Gives what the peer is answered.
pub(super) fn failed(shared: &Arc<Shared>, detached: &Detached, failure: Failure) -> Refusal {
    let (ids, events) = (detached.ids(), shared.events());
    match failure {
        Failure::Content(error) => {
            let text = match error.is_peer_fault() {
                true => error.to_string(),
                false => String::new(),
            };
            Refusal::new(events.handler_failed(ids, error.into()), text)
        }
        Failure::Upload(error) => {
            let status = error.status();
            events.exception(Some(ids), ExceptionCause::Upload(error));
            let text = match status {
                507 => "there is no room for the file",
                _ => "",
            };
            Refusal::new(status, text)
        }
        Failure::Exists => Refusal::new(409, "there is a file of this name already"),
    }
}

/// Answers an upload to a place: where its files are.
pub(super) fn stored(
    request: &RequestHead<'_>,
    place: &UploadPlace,
    uploads: &Uploads,
) -> (ResponseHead, Body) {
    let directory = place.receiver.directory.path();
    let files: Vec<_> = uploads
        .files()
        .iter()
        .map(|file| StoredFile {
            name: file.file_name(),
            size: file.size(),
            location: location(
                place.path(),
                file.path().and_then(|path| below(path, directory)),
            ),
        })
        .collect();
    let Some(first) = files.first() else {
        return Refusal::new(400, "the form has no file").response(request, false);
    };
    let mut head = ResponseHead::new(201);
    if let Some(location) = &first.location {
        set(&mut head.fields, "Location", location);
    }
    set(&mut head.fields, "Vary", "Accept");
    set(&mut head.fields, "X-Content-Type-Options", "nosniff");
    let content = match wants_page(request) {
        true => {
            set(&mut head.fields, "Content-Type", "text/html; charset=utf-8");
            set(
                &mut head.fields,
                "Content-Security-Policy",
                "default-src 'none'",
            );
            page(&files)
        }
        false => {
            set(&mut head.fields, "Content-Type", "application/json");
            json(&files)
        }
    };
    (head, Body::Owned(content.into_bytes()))
}

/// Answers a `PUT` that replaced what was there. RFC 9110 §9.3.4.
pub(super) fn replaced() -> (ResponseHead, Body) {
    (ResponseHead::new(204), Body::Empty)
}

/// Tells the tag of a file that was put, with which the next `PUT` can ask for this state. RFC 9110 §9.3.4 allows
/// it since the file is kept as it came.
pub(super) fn tag(head: &mut ResponseHead, uploads: &Uploads) {
    let path = uploads.files().first().and_then(|file| file.path());
    if let Some(tag) = path.and_then(etag_at) {
        set(&mut head.fields, "ETag", &tag);
    }
}

/// A file, as the answer tells it.
#[derive(Serialize)]
struct StoredFile<'a> {
    name: &'a str,
    size: u64,
    /// `None` when the application put it elsewhere than under the place's directory.
    location: Option<String>,
}

/// The path of a file under a directory, as a URL's path has it.
fn below(path: &Path, directory: &Path) -> Option<String> {
    let names = path.strip_prefix(directory).ok()?.components();
    let names = names.map(|name| match name {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    Some(names.collect::<Option<Vec<_>>>()?.join("/"))
}

/// The reference of a file at a place.
fn location(place: &str, below: Option<String>) -> Option<String> {
    let path = escaped(format!("{place}/{}", below?).as_bytes());
    Some(path.into_iter().map(char::from).collect())
}

/// Whether the client is a person's, who wants to read. What it prefers is not weighed: programs do not ask
/// for pages.
fn wants_page(request: &RequestHead<'_>) -> bool {
    let accepted = request.field("Accept");
    accepted.is_some_and(|accepted| {
        accepted
            .split(|&byte| matches!(byte, b',' | b';'))
            .any(|range| range.trim_ascii().eq_ignore_ascii_case(b"text/html"))
    })
}

fn json(files: &[StoredFile<'_>]) -> String {
    #[derive(Serialize)]
    struct Answer<'a> {
        files: &'a [StoredFile<'a>],
    }
    // Text and numbers can always be written.
    let json = serde_json::to_string(&Answer { files }).unwrap_or_default();
    json + "\n"
}

fn page(files: &[StoredFile<'_>]) -> String {
    let mut page = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Received</title>\n\
         <h1>Received</h1>\n<ul>\n",
    );
    for file in files {
        let (name, size) = (Html(file.name), file.size);
        // Writing to a string does not fail.
        let _ = match &file.location {
            Some(location) => {
                let location = Html(location);
                writeln!(
                    page,
                    "<li><a href=\"{location}\">{name}</a>, {size} bytes</li>"
                )
            }
            None => writeln!(page, "<li>{name}, {size} bytes</li>"),
        };
    }
    page.push_str("</ul>\n");
    page
}

/// Text in a page.
struct Html<'a>(&'a str);

impl std::fmt::Display for Html<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                '\'' => formatter.write_str("&#39;")?,
                _ => formatter.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// Sets a field whose value is fit to be sent.
fn set(fields: &mut FieldBlock, name: &str, value: &str) {
    let _ = fields.set(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> StoredFile<'_> {
        StoredFile {
            name,
            size: 5,
            location: location("/my drop", Some(name.to_owned())),
        }
    }

    #[test]
    fn a_file_is_told_where_it_is_under_the_place_and_nowhere_else() {
        let below = |path: &str| below(Path::new(path), Path::new("/var/drop"));
        assert_eq!(below("/var/drop/a"), Some("a".to_owned()));
        assert_eq!(below("/var/drop/a/b c"), Some("a/b c".to_owned()));
        assert_eq!(below("/var/dropped/a"), None);
        assert_eq!(below("/var/drop/../a"), None);
        assert_eq!(location("/drop", None), None);
    }

    #[test]
    fn names_are_written_so_that_they_stay_names() {
        let files = [file("a b.txt"), file("<é & 'x'>%2F.txt")];
        assert_eq!(
            json(&files),
            "{\"files\":[{\"name\":\"a b.txt\",\"size\":5,\"location\":\"/my%20drop/a%20b.txt\"},\
             {\"name\":\"<é & 'x'>%2F.txt\",\"size\":5,\
             \"location\":\"/my%20drop/%3C%C3%A9%20&%20'x'%3E%252F.txt\"}]}\n"
        );
        let page = page(&files);
        assert!(
            page.contains("<a href=\"/my%20drop/%3C%C3%A9%20&amp;%20&#39;x&#39;%3E%252F.txt\">&lt;é &amp; &#39;x&#39;&gt;%2F.txt</a>"),
            "{page}"
        );
    }
}
