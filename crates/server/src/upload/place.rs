//! A place that takes files in without code: `POST` of forms to its path, `PUT` of files to names under it.
//!
//! Which requests these are, and what is refused before anything is read. Sources: RFC 9110 §9.3.3, §9.3.4,
//! §13; RFC 4918 §9.7.1 for what `PUT` may make.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tidegate_httpapi::{KnownField, RequestHead};
use tidegate_proto::form_data::Boundary;

use super::answer::Refusal;
use super::form_reader::FileHead;
use super::job::Way;
use super::name;
use super::receive::Receiver;
use super::settings::ExistingFiles;
use crate::place::rest_of;

/// A place.
#[derive(Debug)]
pub(crate) struct UploadPlace {
    /// Without a slash at its end; empty is all paths.
    pub(super) path: Box<str>,
    pub(super) overwrite: bool,
    pub(super) receiver: Arc<Receiver>,
}

/// What a request wants of a place.
pub(super) struct Wanted {
    pub(super) way: Way,
    /// The name that a `PUT` gives; a form's files come with theirs.
    pub(super) put: Option<Box<str>>,
}

impl UploadPlace {
    /// Without a slash at its end; empty is all paths.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether a request is one for this place: others with its path are not.
    pub(super) fn concerns(&self, head: &RequestHead<'_>) -> bool {
        matches!(head.method(), "POST" | "PUT")
            && rest_of(head.cooked_path.as_bytes(), &self.path).is_some()
    }

    /// What a request wants.
    pub(super) fn wanted(&self, head: &RequestHead<'_>) -> Result<Wanted, Refusal> {
        // The place begins at a character's border, as its path does.
        let rest = head.cooked_path.get(self.path.len()..).unwrap_or_default();
        let name = rest.strip_prefix('/').unwrap_or_default();
        // RFC 9110 §15.5.16: what was compressed on its way would be kept as if it were the file.
        let coding = head.field("Content-Encoding");
        if coding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
            return Err(Refusal::new(
                415,
                "files are taken as they are, without a coding",
            ));
        }
        match (head.method(), name) {
            ("POST", "") => self.form(head),
            ("POST", _) => Err(Refusal::method("PUT")),
            (_, "") => Err(Refusal::method("POST")),
            _ => self.put(head, name),
        }
    }

    fn form(&self, head: &RequestHead<'_>) -> Result<Wanted, Refusal> {
        let content_type = head.fields.known(KnownField::ContentType);
        match content_type.and_then(Boundary::of_content_type) {
            Some(Ok(boundary)) => Ok(Wanted {
                way: Way::Form(boundary),
                put: None,
            }),
            Some(Err(error)) => Err(Refusal::new(400, error.to_string())),
            None => Err(Refusal::new(
                415,
                "send a form with files (multipart/form-data), or PUT a file to a name here",
            )),
        }
    }

    fn put(&self, head: &RequestHead<'_>, name: &str) -> Result<Wanted, Refusal> {
        // RFC 9110 §14.5: a part of a file, sent to who does not know of parts, must not replace the whole.
        if head.field("Content-Range").is_some() {
            return Err(Refusal::new(400, "parts of files are not taken"));
        }
        if name.contains('/') {
            return Err(Refusal::new(409, "there are no directories here"));
        }
        if !name::is_safe(name) || super::directory::is_reserved(name) {
            return Err(Refusal::new(400, "a file cannot have this name"));
        }
        let content_type = head.fields.known(KnownField::ContentType);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into();
        Ok(Wanted {
            way: Way::Whole(FileHead {
                field: None,
                sent_name: name.into(),
                content_type: content_type.map(text),
            }),
            put: Some(name.into()),
        })
    }

    pub(super) fn existing(&self, wanted: &Wanted) -> ExistingFiles {
        match (self.overwrite, &wanted.put) {
            (true, _) => ExistingFiles::Replace,
            (false, None) => ExistingFiles::FreeName,
            (false, Some(_)) => ExistingFiles::Refuse,
        }
    }

    /// What speaks against a `PUT` before its content has been read. May block.
    pub(super) fn objection(&self, head: &RequestHead<'_>, name: &str) -> Option<Refusal> {
        let target = self.receiver.directory.path().join(name);
        let there = there(&target);
        if !holds(head, there.as_ref()) {
            return Some(Refusal::new(412, "the file is not as the request asks"));
        }
        let there = there?;
        let may_be_replaced = self.overwrite && !there.is_dir();
        (!may_be_replaced).then(|| Refusal::new(409, "there is a file of this name already"))
    }
}

/// What is there. Something that cannot be looked at is found out about when it comes to storing.
fn there(target: &Path) -> Option<Metadata> {
    fs::symlink_metadata(target).ok()
}

/// Whether the conditions of a `PUT` hold, in the order of RFC 9110 §13.2.2.
///
/// Files here have no entity tags. A condition on one is taken not to hold, and so nothing is changed that
/// should not be.
fn holds(head: &RequestHead<'_>, there: Option<&Metadata>) -> bool {
    if let Some(tags) = head.field("If-Match") {
        if there.is_none() || tags.trim_ascii() != b"*" {
            return false;
        }
    } else if let Some(time) = head.field("If-Unmodified-Since")
        && let Some(time) = date(&time)
        && there.is_some_and(|there| is_modified_since(there, time).unwrap_or(true))
    {
        return false;
    }
    head.field("If-None-Match").is_none() || there.is_none()
}

fn date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

/// Dates of HTTP have whole seconds.
fn is_modified_since(there: &Metadata, time: SystemTime) -> io::Result<bool> {
    Ok(there.modified()? >= time + Duration::from_secs(1))
}
