//! Which requests are uploads, and where they go.
//!
//! Called with each request on the thread that read it, so it only looks at the head.

use std::cmp::Reverse;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use tidegate_httpapi::{ContentFraming, Exchange, KnownField, RequestHead};
use tidegate_proto::form_data::{Boundary, FormDataError};

use super::answer::Refusal;
use super::directory::SaveDirectory;
use super::error::UploadSetupError;
use super::form_reader::FileHead;
use super::in_progress::InProgress;
use super::job::{Goal, Job, Way, ask};
use super::place::UploadPlace;
use super::receive::Receiver;
use super::settings::{ExistingFiles, HttpUploadFiles, StreamType, UploadSettings};
use crate::component::Shared;
use crate::event::{Events, RequestIds};
use crate::http::{ContentError, ContentLimits, Request};
use crate::place;
use crate::settings::Settings;

/// Takes uploads in, for one started server.
pub(crate) struct Intake {
    files: Option<Files>,
    /// Whether the application wants to be asked about forms that stay in memory.
    asks: bool,
    /// The longest path first.
    places: Vec<Arc<UploadPlace>>,
    limits: ContentLimits,
    in_progress: Arc<InProgress>,
}

/// Uploads that go to disk and then to the handler of requests.
struct Files {
    receiver: Arc<Receiver>,
    min_size: u64,
    remove_boundaries: bool,
    plain_bodies: bool,
}

/// What an upload is by its content type.
enum Kind {
    Form(Result<Boundary, FormDataError>),
    Plain,
}

impl Intake {
    /// Opens the directories that the settings name.
    pub(crate) fn open(
        settings: &Settings,
        events: &dyn Events,
        limits: ContentLimits,
    ) -> Result<Self, UploadSetupError> {
        let files = &settings.http_upload_files;
        let mut places = Vec::with_capacity(settings.upload.len());
        for upload in &settings.upload {
            places.push(Arc::new(open_place(upload, limits.bytes_max)?));
        }
        places.sort_by_key(|place: &Arc<UploadPlace>| Reverse(place.path.len()));
        if let Some(twice) = same_path(&places) {
            return Err(UploadSetupError::SamePath(twice.into()));
        }
        let files = match files.stream_type {
            StreamType::Memory => None,
            StreamType::File => Some(Files::open(files, limits.bytes_max)?),
        };
        let receivers = files.iter().map(|files| &files.receiver);
        let receivers = receivers.chain(places.iter().map(|place| &place.receiver));
        let directories = receivers.map(|receiver| Arc::clone(&receiver.directory));
        Ok(Self {
            in_progress: Arc::new(InProgress::new(directories.collect())),
            files,
            asks: events.watches_uploads(),
            places,
            limits,
        })
    }

    pub(crate) fn in_progress(&self) -> &Arc<InProgress> {
        &self.in_progress
    }

    /// The place that a request is for, unless what is served elsewhere has a longer path.
    #[inline]
    pub(crate) fn place(
        &self,
        head: &RequestHead<'_>,
        elsewhere: Option<&str>,
    ) -> Option<&Arc<UploadPlace>> {
        if self.places.is_empty() {
            return None;
        }
        let place = self.places.iter().find(|place| place.concerns(head))?;
        (elsewhere.map_or(0, str::len) <= place.path.len()).then_some(place)
    }

    /// Takes an upload to a place in.
    pub(crate) fn take_to_place(
        &self,
        shared: &Arc<Shared>,
        place: &Arc<UploadPlace>,
        exchange: Exchange<'_>,
    ) {
        let head = exchange.head();
        let receiver = &place.receiver;
        match within(head, receiver).and_then(|()| place.wanted(head)) {
            Ok(wanted) => {
                let job = Job {
                    shared: Arc::clone(shared),
                    limits: self.limits,
                    receiver: Arc::clone(receiver),
                    existing: place.existing(&wanted),
                    way: wanted.way,
                    goal: Goal::Place(Arc::clone(place), wanted.put),
                    upload: self.in_progress.begin(),
                };
                job.start(exchange.defer());
            }
            Err(refusal) => refuse(exchange, refusal),
        }
    }

    /// Whether no request is an upload.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.leaves_content()
    }

    #[inline]
    fn leaves_content(&self) -> bool {
        self.files.is_none() && !self.asks
    }

    /// Takes a request in if it is an upload. It is given back if it is none, or one that stays in memory.
    #[inline]
    pub(crate) fn take<'a>(
        &self,
        shared: &Arc<Shared>,
        exchange: Exchange<'a>,
    ) -> Option<Exchange<'a>> {
        if self.leaves_content() || exchange.head().framing == ContentFraming::None {
            return Some(exchange);
        }
        self.take_content(shared, exchange)
    }

    fn take_content<'a>(
        &self,
        shared: &Arc<Shared>,
        exchange: Exchange<'a>,
    ) -> Option<Exchange<'a>> {
        let head = exchange.head();
        let Some(kind) = self.kind(head) else {
            return Some(exchange);
        };
        let length = length(head);
        let files = self.files.as_ref();
        let files = files.filter(|files| length.is_none_or(|length| length >= files.min_size));
        let Some(files) = files else {
            return self.ask(shared, exchange);
        };
        if let Err(refusal) = within(head, &files.receiver) {
            refuse(exchange, refusal);
            return None;
        }
        let way = match kind {
            Kind::Form(Ok(boundary)) if files.remove_boundaries => Way::Form(boundary),
            Kind::Form(Err(error)) if files.remove_boundaries => {
                let ids = RequestIds::of(head);
                let text = error.to_string();
                let error = ContentError::from(error);
                let status = shared.events().handler_failed(ids, error.into());
                refuse(exchange, Refusal::new(status, text));
                return None;
            }
            Kind::Form(_) => Way::Whole(whole(head, FORM_NAME)),
            Kind::Plain => Way::Whole(whole(head, last_segment(head.cooked_path))),
        };
        let job = Job {
            shared: Arc::clone(shared),
            limits: self.limits,
            receiver: Arc::clone(&files.receiver),
            existing: files.receiver.existing,
            way,
            goal: Goal::Handler {
                min_size: files.min_size,
            },
            upload: self.in_progress.begin(),
        };
        job.start(exchange.defer());
        None
    }

    /// What a request uploads; `None` when it is no upload.
    fn kind(&self, head: &RequestHead<'_>) -> Option<Kind> {
        let content_type = head.fields.known(KnownField::ContentType);
        if let Some(boundary) = content_type.and_then(Boundary::of_content_type) {
            return Some(Kind::Form(boundary));
        }
        let takes_plain = self.files.as_ref().is_some_and(|files| files.plain_bodies);
        let is_plain = takes_plain
            && matches!(head.method(), "PUT" | "POST")
            && !content_type.is_some_and(is_simple_form);
        is_plain.then_some(Kind::Plain)
    }

    /// Asks the application about an upload that stays in memory, where it may block.
    fn ask<'a>(&self, shared: &Arc<Shared>, exchange: Exchange<'a>) -> Option<Exchange<'a>> {
        if !self.asks {
            return Some(exchange);
        }
        if !exchange.may_block() {
            exchange.move_to_handler_thread();
            return None;
        }
        let request = Request::without_content(&exchange, &self.limits);
        let ids = RequestIds {
            connection: request.connection_id(),
            request: request.request_id(),
        };
        let events = shared.events();
        let asked = catch_unwind(AssertUnwindSafe(|| ask(events, &request)));
        drop(request);
        match asked {
            Ok(None) => Some(exchange),
            Ok(Some(refusal)) => {
                refuse(exchange, refusal);
                None
            }
            // The exchange is dropped, which sends 500.
            Err(payload) => {
                events.panicked(Some(ids), &*payload);
                None
            }
        }
    }
}

impl Files {
    fn open(settings: &HttpUploadFiles, server_max: u64) -> Result<Self, UploadSetupError> {
        if settings.save_directory.as_os_str().is_empty() {
            return Err(UploadSetupError::NoSaveDirectory);
        }
        let receiver = Receiver {
            directory: open(&settings.save_directory)?,
            existing: settings.existing_files,
            content_bytes_max: content_bytes_max(settings.max_request_body_size, server_max),
            limits: settings.limits,
        };
        Ok(Self {
            receiver: Arc::new(receiver),
            min_size: settings.min_size,
            remove_boundaries: settings.remove_boundaries,
            plain_bodies: settings.plain_bodies,
        })
    }
}

fn open_place(settings: &UploadSettings, server_max: u64) -> Result<UploadPlace, UploadSetupError> {
    Ok(UploadPlace {
        path: place::path(&settings.path),
        overwrite: settings.overwrite,
        receiver: Arc::new(Receiver {
            directory: open(&settings.directory)?,
            existing: ExistingFiles::FreeName,
            content_bytes_max: content_bytes_max(settings.max_request_body_size, server_max),
            limits: settings.limits,
        }),
    })
}

fn open(path: &Path) -> Result<Arc<SaveDirectory>, UploadSetupError> {
    match SaveDirectory::open(path) {
        Ok(directory) => Ok(Arc::new(directory)),
        Err(source) => Err(UploadSetupError::Directory {
            path: path.to_owned(),
            source: Arc::new(source),
        }),
    }
}

fn same_path(places: &[Arc<UploadPlace>]) -> Option<&str> {
    let paths = places.iter().map(|place| &*place.path);
    paths
        .clone()
        .enumerate()
        .find(|(index, path)| paths.clone().take(*index).any(|earlier| earlier == *path))
        .map(|(_, path)| path)
}

/// The longest content of an upload.
fn content_bytes_max(own: Option<u64>, server_max: u64) -> u64 {
    match own {
        None => server_max,
        Some(0) => u64::MAX,
        Some(bytes) => bytes,
    }
}

/// The length of content, when it is known.
fn length(head: &RequestHead<'_>) -> Option<u64> {
    match head.framing {
        ContentFraming::None => Some(0),
        ContentFraming::Length(length) => Some(length),
        ContentFraming::Chunked => None,
    }
}

/// Whether content whose length is known is not too long.
fn within(head: &RequestHead<'_>, receiver: &Receiver) -> Result<(), Refusal> {
    let limit = receiver.content_bytes_max;
    match length(head) {
        Some(length) if length > limit => Err(Refusal::too_large(limit)),
        _ => Ok(()),
    }
}

/// Answers before anything of the content has been read.
fn refuse(exchange: Exchange<'_>, refusal: Refusal) {
    // Content that has come whole is in nobody's way.
    let ends = exchange.content().is_none();
    let (head, content) = refusal.response(exchange.head(), ends);
    exchange.respond(head, content);
}

fn is_simple_form(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|&byte| byte == b';').next();
    media_type
        .unwrap_or_default()
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// A whole content as one file.
fn whole(head: &RequestHead<'_>, name: &str) -> FileHead {
    let content_type = head.fields.known(KnownField::ContentType);
    FileHead {
        field: None,
        sent_name: name.into(),
        content_type: content_type.map(|value| String::from_utf8_lossy(value).into()),
    }
}

fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The name of a file that is a whole form, before it is made one that nobody has.
const FORM_NAME: &str = "form.multipart";

impl ContentLimits {
    /// Those of the settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            bytes_max: settings.content_bytes_max().unwrap_or(u64::MAX),
            uploads: settings.http_upload_files.limits,
        }
    }
}
