//! Answers requests for what is in a static site.
//!
//! The usual one, for a file that is kept in memory, copies prepared fields and shares the content.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;

use tidegate_httpapi::{Body, Exchange, FieldBlock, FilePart, RequestHead, ResponseHead, Version};
use tidegate_os::Opened;
use tidegate_proto::conditional::Preconditions;
use tidegate_proto::http1::error_page;

use super::choose::{Chosen, choose};
use super::coding::ContentCoding;
use super::compress::{self, Effort, KEPT_BYTES_MAX};
use super::resource::{Representation, Resource, SHORT_BYTES_MAX, read_unchanged, read_whole};
use super::{CHECK_EVERY_MS, Found, Site, listing};
use crate::component::Shared;
use crate::event::{ExceptionCause, RequestIds};
use crate::http::body_of_reader;
use crate::http::range::{Plan, cut_body, plan};
use crate::place::rest_of;

impl Site {
    /// Answers a request, or gives it back if it is one for the application's events.
    pub(crate) fn serve<'e>(
        &self,
        shared: &Arc<Shared>,
        exchange: Exchange<'e>,
    ) -> Option<Exchange<'e>> {
        let head = exchange.head();
        if !matches!(head.method(), "GET" | "HEAD") {
            return self.other_method(exchange);
        }
        match self.find(self.rest(head)) {
            Ok(Found::File(resource, file)) => {
                // The file may have been replaced since it was found. What is found now is open.
                let again = self.send(shared, exchange, &resource, file)?;
                self.serve_anew(shared, again)
            }
            found => self.other(shared, exchange, found),
        }
    }

    /// Answers with what is found on the disk, whatever is kept.
    #[cold]
    fn serve_anew<'e>(&self, shared: &Arc<Shared>, exchange: Exchange<'e>) -> Option<Exchange<'e>> {
        match self.load(self.key(exchange.head()), self.now()) {
            Ok(Found::File(resource, file)) => {
                let left = self.send(shared, exchange, &resource, file)?;
                // A coding that is gone while this is looked at: the next request finds what there is.
                let gone = io::ErrorKind::NotFound.into();
                self.other(shared, left, Err(gone))
            }
            found => self.other(shared, exchange, found),
        }
    }

    /// What follows the site's path in the request's.
    fn rest<'a>(&self, head: &RequestHead<'a>) -> &'a str {
        let rest = rest_of(head.cooked_path.as_bytes(), &self.path);
        let length = rest.map_or(0, <[u8]>::len);
        &head.cooked_path[head.cooked_path.len() - length..]
    }

    /// The path in the site's folder.
    fn key<'a>(&self, head: &RequestHead<'a>) -> &'a str {
        self.rest(head).strip_prefix('/').unwrap_or_default()
    }

    /// Sends a file, of which `opened` is open already if it is to be sent as it is. Gives the exchange back
    /// if the file is not the one that was found any more.
    fn send<'e>(
        &self,
        shared: &Arc<Shared>,
        mut exchange: Exchange<'e>,
        resource: &Arc<Resource>,
        opened: Option<File>,
    ) -> Option<Exchange<'e>> {
        let memory = exchange.spare_memory();
        let request = exchange.head();
        let preconditions = Preconditions::of(&request.fields);
        let identity = &resource.identity;
        let chosen = match choose(resource, request, &preconditions) {
            Chosen::There(representation) => representation,
            Chosen::Made(coding) if identity.state.length > KEPT_BYTES_MAX => {
                return self.send_compressing(shared, exchange, resource, opened, coding);
            }
            Chosen::Made(coding) => match resource.made(coding) {
                Some(made) => made.unwrap_or(identity),
                // While somebody makes it, the file as it is does as well. Made for one answer alone it
                // would cost more than it saves.
                None if resource.is_begun(coding) => identity,
                None if !self.memory.keeps(self.key(request), resource) => identity,
                None if !exchange.may_block() => {
                    exchange.move_to_handler_thread();
                    return None;
                }
                None => {
                    let key = self.key(request);
                    let made = self.make(key, resource, opened.as_ref(), coding);
                    made.unwrap_or(identity)
                }
            },
        };
        let mut head = ResponseHead::new(200);
        head.fields = FieldBlock::with_memory(memory);
        head.fields.extend(&chosen.fields);
        let plan = match preconditions.is_empty() {
            true => Plan::Whole,
            false => plan(request, &mut head, Some(chosen.length())),
        };
        let content = match (chosen.short_content(), &plan) {
            (_, Plan::Nothing) => Body::Empty,
            (Some(content), _) => Body::Shared(content.clone()),
            (None, _) => {
                let opened = opened.filter(|_| std::ptr::eq(chosen, identity));
                let found = (&**resource, chosen, opened);
                match self.long_content(&exchange, found, &plan) {
                    Some(content) => content,
                    None => return Some(exchange),
                }
            }
        };
        let content = cut_body(content, &plan).unwrap_or_default();
        exchange.respond(head, content);
        None
    }

    /// The content of a representation that is long, in memory or in the file. `None` if the file is not the
    /// one that was found any more.
    fn long_content(
        &self,
        exchange: &Exchange<'_>,
        (resource, representation, opened): (&Resource, &Representation, Option<File>),
        plan: &Plan,
    ) -> Option<Body> {
        let state = &representation.state;
        let sent = match plan {
            Plan::Whole => state.length,
            Plan::Part(range) => range.length(),
            Plan::Parts(multipart) => multipart.length(),
            Plan::Nothing => 0,
        };
        // Much that goes out as it is costs less to send from the file, and the rest from memory.
        let place = representation.long.as_ref().filter(|_| {
            sent <= SHORT_BYTES_MAX as u64
                || exchange.head().version() >= Version::Http2
                || exchange.tls().is_some()
        });
        if let Some(content) = place.and_then(|place| place.get()) {
            return Some(Body::Shared(content));
        }
        let file = self.file_of(resource, representation, opened)?;
        let now = self.now();
        // What was changed just now may be being changed: the file is sent as it is then.
        if let Some(place) = place
            && resource.is_used()
            && resource.is_settled()
        {
            let may_block = exchange.may_block();
            let read = || read_unchanged(&file, state, may_block);
            let length = state.length as usize;
            if let Some(content) = self.long_contents.keep(place, length, now, read) {
                return Some(Body::Shared(content));
            }
        }
        let is_in_memory = resource.is_used() && representation.is_in_memory(&file, now);
        let part = FilePart::new(file, 0, state.length);
        let part = match is_in_memory {
            true => part.found_in_memory(),
            false => part,
        };
        Some(Body::Pieces(vec![part.into()]))
    }

    /// Makes the file's representation in a coding, and keeps it. `None` when the file as it is has to do.
    fn make<'r>(
        &self,
        key: &str,
        resource: &'r Arc<Resource>,
        opened: Option<&File>,
        coding: ContentCoding,
    ) -> Option<&'r Representation> {
        let identity = &resource.identity;
        let content = match (identity.content(), opened) {
            (Some(content), _) => content,
            (None, Some(file)) => read_whole(file, &identity.state)?,
            (None, None) => read_whole(&*self.file_of(resource, identity, None)?, &identity.state)?,
        };
        let made = resource.make(coding, &content)?;
        self.memory.recount(key, resource);
        Some(made)
    }

    /// Sends a long file that is compressed on its way; as it is, when too many are. Gives the exchange back
    /// as [`send`](Self::send) does.
    fn send_compressing<'e>(
        &self,
        shared: &Arc<Shared>,
        exchange: Exchange<'e>,
        resource: &Resource,
        opened: Option<File>,
        coding: ContentCoding,
    ) -> Option<Exchange<'e>> {
        let identity = &resource.identity;
        let request = exchange.head();
        let mut head = ResponseHead::new(200);
        let Some(slot) = self.slots.take() else {
            let Some(file) = self.file_of(resource, identity, opened) else {
                return Some(exchange);
            };
            head.fields.extend(&identity.fields);
            let content = whole_file(file, identity.state.length);
            let plan = plan(request, &mut head, content.length());
            let content = cut_body(content, &plan).unwrap_or_default();
            exchange.respond(head, content);
            return None;
        };
        // It is read from its beginning on: nobody else's.
        let Some(file) = opened.or_else(|| self.open_again(identity)) else {
            return Some(exchange);
        };
        head.fields = resource.made_fields(coding);
        // Ranges there are none of; what is left are conditions, which leave all of the content or nothing.
        let plan = plan(request, &mut head, None);
        let file = file.take(identity.state.length);
        let compressed = compress::reader(coding, slot.hold(file), Effort::Low);
        let content =
            compressed.and_then(|reader| body_of_reader(reader, shared, RequestIds::of(request)));
        match content {
            Ok(content) => exchange.respond(head, cut_body(content, &plan).unwrap_or_default()),
            Err(error) => failed(shared, exchange, error),
        }
        None
    }

    /// The file of a representation, if it is still in that state: what was `found`, what is open, or
    /// opened again.
    fn file_of(
        &self,
        resource: &Resource,
        representation: &Representation,
        found: Option<File>,
    ) -> Option<Arc<File>> {
        representation.file(found).or_else(|| {
            let opened = self.open_again(representation)?;
            let file = representation.share(opened);
            if resource.is_used() {
                self.open_files.keep(&file, self.now(), CHECK_EVERY_MS);
            }
            Some(file)
        })
    }

    /// Opens the file of a representation, if it is still in that state.
    fn open_again(&self, representation: &Representation) -> Option<File> {
        match self.folder(self.now()).open_file(&representation.path) {
            Ok(Opened::File(file, state)) if state == representation.state => Some(file),
            _ => None,
        }
    }

    /// Answers where there is no file to send.
    #[cold]
    fn other<'e>(
        &self,
        shared: &Arc<Shared>,
        exchange: Exchange<'e>,
        found: io::Result<Found>,
    ) -> Option<Exchange<'e>> {
        match found {
            Ok(Found::Folder) => redirect(exchange),
            Ok(Found::Listing) => self.list(shared, exchange),
            Ok(Found::Forbidden) => refuse(exchange, 403, "The file may not be read."),
            Ok(Found::Missing | Found::File(..)) => {
                if self.settings.fallthrough {
                    return Some(exchange);
                }
                refuse(exchange, 404, "There is no such file here.");
            }
            Err(error) => failed(shared, exchange, error),
        }
        None
    }

    fn list(&self, shared: &Arc<Shared>, exchange: Exchange<'_>) {
        // It asks the system about every entry.
        if !exchange.may_block() {
            return exchange.move_to_handler_thread();
        }
        let head = exchange.head();
        let within = self.key(head).trim_end_matches('/');
        let folder = self.folder(self.now());
        match listing::page(&folder, within, head.cooked_path, self.settings.hidden) {
            Ok(page) => {
                let mut head = ResponseHead::new(200);
                head.fields = page_fields();
                exchange.respond(head, Body::Owned(page.into_bytes()));
            }
            Err(error) => failed(shared, exchange, error),
        }
    }

    /// Answers a method that files do not have. RFC 9110 §9.3.7, §15.5.6.
    #[cold]
    fn other_method<'e>(&self, exchange: Exchange<'e>) -> Option<Exchange<'e>> {
        if self.settings.fallthrough {
            return Some(exchange);
        }
        let (mut head, page) = match exchange.head().method() {
            "OPTIONS" => (ResponseHead::new(204), Vec::new()),
            _ => error_page(405, "", "Files are read with GET and HEAD."),
        };
        set(&mut head.fields, "Allow", "GET, HEAD, OPTIONS");
        exchange.respond(head, Body::Owned(page));
        None
    }
}

fn whole_file(file: Arc<File>, length: u64) -> Body {
    Body::Pieces(vec![FilePart::new(file, 0, length).into()])
}

/// Sends the client to the folder's path with a slash behind it, which names in its files are relative to.
fn redirect(exchange: Exchange<'_>) {
    let request = exchange.head();
    // The path that routing went by begins with one slash, never two, so that no host can stand in it.
    let mut location = crate::path::escaped(request.cooked_path.as_bytes());
    location.push(b'/');
    if let Some(query) = request.query() {
        location.push(b'?');
        location.extend_from_slice(query);
    }
    let (mut head, page) = error_page(301, "", "The folder's path ends with a slash.");
    if head.fields.set_static("Location", &location).is_err() {
        return refuse(exchange, 404, "There is no such file here.");
    }
    exchange.respond(head, Body::Owned(page));
}

fn refuse(exchange: Exchange<'_>, status: u16, detail: &str) {
    let (head, page) = error_page(status, "", detail);
    exchange.respond(head, Body::Owned(page));
}

/// Answers when the system cannot open what is there.
fn failed(shared: &Arc<Shared>, exchange: Exchange<'_>, error: io::Error) {
    let ids = RequestIds::of(exchange.head());
    shared
        .events()
        .exception(Some(ids), ExceptionCause::Files(error));
    refuse(exchange, 500, "The file cannot be opened.");
}

/// What a list is sent with.
fn page_fields() -> FieldBlock {
    let mut fields = FieldBlock::new();
    set(&mut fields, "Content-Type", "text/html; charset=utf-8");
    set(&mut fields, "Cache-Control", "no-cache");
    // Names of files are not ours: whatever they are, the page does nothing.
    set(&mut fields, "Content-Security-Policy", listing::POLICY);
    set(&mut fields, "X-Content-Type-Options", "nosniff");
    fields
}

fn set(fields: &mut FieldBlock, name: &'static str, value: &'static str) {
    let result = fields.set_static(name, value);
    debug_assert!(result.is_ok(), "{name} is a constant");
}
