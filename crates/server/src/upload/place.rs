//! A place that takes files in without code: `POST` of forms to its path, `PUT` of files to names under it.
//!
//! Which requests these are, and what is refused before anything is read. Sources: RFC 9110 §9.3.3, §9.3.4,
//! §13; RFC 4918 §9.7.1 for what `PUT` may make.

use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use tidegate_httpapi::{KnownField, RequestHead};
use tidegate_os::EntryKind;
use tidegate_proto::conditional::{Outcome, Preconditions, Validators};
use tidegate_proto::form_data::Boundary;

use super::answer::Refusal;
use super::form_reader::FileHead;
use super::job::Way;
use super::name;
use super::receive::Receiver;
use super::settings::ExistingFiles;
use crate::http::etag;
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

    /// What speaks against a `PUT` as things stand. Asked before its content is read, and again when all of it is
    /// there. May block.
    pub(super) fn objection(&self, head: &RequestHead<'_>, name: &str) -> Option<Refusal> {
        // Something that cannot be looked at is found out about when it comes to storing.
        let there = tidegate_os::look(&self.receiver.directory.path().join(name)).ok();
        if !holds(head, there) {
            return Some(Refusal::new(412, "the file is not as the request asks"));
        }
        let may_be_replaced = there? != EntryKind::Folder && self.overwrite;
        (!may_be_replaced).then(|| Refusal::new(409, "there is a file of this name already"))
    }
}

/// The entity tag of the file at a path, the same that a static site has for it.
pub(super) fn etag_at(path: &Path) -> Option<String> {
    match tidegate_os::look(path) {
        Ok(EntryKind::File(state)) => Some(etag(&state, "")),
        _ => None,
    }
}

/// Whether the conditions of a `PUT` hold for what is there.
fn holds(head: &RequestHead<'_>, there: Option<EntryKind>) -> bool {
    let Some(there) = there else {
        // RFC 9110 §13.1.1: nothing is not even `*`; it meets all other conditions.
        return head.field("If-Match").is_none();
    };
    // What is no file has neither, and is none of those that a condition names.
    let state = match there {
        EntryKind::File(state) => Some(state),
        EntryKind::Folder | EntryKind::Other => None,
    };
    let tag = state.map(|state| etag(&state, ""));
    let since_epoch = state.and_then(|state| state.modified.duration_since(UNIX_EPOCH).ok());
    let validators = Validators {
        etag: tag.as_deref().map(str::as_bytes),
        last_modified: since_epoch.map(|since| since.as_secs()),
        // Ranges alone go by it.
        now: 0,
    };
    Preconditions::of(&head.fields).evaluate("PUT", &validators) == Outcome::Proceed
}
