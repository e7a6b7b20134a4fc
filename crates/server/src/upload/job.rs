//! One upload, from its request's head to its answer.
//!
//! Runs on the async runtime; whatever may block, the application above all, is called on the runtime's
//! threads for such work.

use std::sync::Arc;

use tidegate_httpapi::{BodyReader, Deferred};
use tidegate_proto::form_data::Boundary;

use super::answer::{self, Refusal};
use super::form_reader::FileHead;
use super::in_progress::Upload;
use super::place::UploadPlace;
use super::receive::{Failure, Incoming, Received, Receiver};
use super::settings::ExistingFiles;
use super::store::store;
use super::uploads::BeforeUpload;
use crate::component::{Delivery, Shared};
use crate::event::{Events, ExceptionCause, RequestIds};
use crate::http::{ContentLimits, Detached, Request};

/// How an upload's content is taken.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// A form, part by part.
    Form(Boundary),
    /// As one file.
    Whole(FileHead),
}

/// Who answers in the end.
pub(super) enum Goal {
    /// The handler of requests; content shorter than this in memory is for it alone.
    Handler { min_size: u64 },
    /// The place; for a `PUT`, with its name.
    Place(Arc<UploadPlace>, Option<Box<str>>),
}

/// What is to be done with an upload.
pub(super) struct Job {
    pub(super) shared: Arc<Shared>,
    pub(super) limits: ContentLimits,
    pub(super) receiver: Arc<Receiver>,
    pub(super) way: Way,
    pub(super) existing: ExistingFiles,
    pub(super) goal: Goal,
    /// Held as long as there are temporary files.
    pub(super) upload: Upload,
}

impl Job {
    /// Has it done.
    pub(super) fn start(self, deferred: Deferred) {
        let (detached, mut body) = Detached::new(deferred);
        body.limit(self.receiver.content_bytes_max);
        let shared = Arc::clone(&self.shared);
        match shared.runtime().handle() {
            Ok(runtime) => {
                runtime.spawn(self.run(detached, body));
            }
            Err(error) => {
                let cause = ExceptionCause::Runtime(error);
                shared.events().exception(Some(detached.ids()), cause);
            }
        }
    }

    async fn run(self, detached: Detached, body: BodyReader) {
        let ids = detached.ids();
        let shared = Arc::clone(&self.shared);
        let asked = call(&shared, ids, move || self.ask(detached)).await;
        let Some(Some((job, detached))) = asked else {
            return;
        };
        let mut content = Incoming::new(body);
        if let Goal::Handler { min_size } = job.goal
            && min_size > 0
        {
            match content.shorter_than(min_size).await {
                Ok(None) => {}
                Ok(Some(short)) => {
                    let work = move || job.deliver_short(detached, BodyReader::whole(short));
                    call(&shared, ids, work).await;
                    return;
                }
                Err(error) => {
                    let received = Received::default();
                    let work = move || job.fail(detached, received, error.into(), true);
                    call(&shared, ids, work).await;
                    return;
                }
            }
        }
        let mut received = Received::default();
        let result = match job.way.clone() {
            Way::Form(boundary) => received.form(&mut content, boundary, &job.receiver).await,
            Way::Whole(head) => received.whole(&mut content, head, &job.receiver).await,
        };
        // What is left of the content nobody reads.
        let ends = !content.is_end();
        drop(content);
        let work = move || match result {
            Ok(()) => job.end(detached, received),
            Err(failure) => job.fail(detached, received, failure, ends),
        };
        call(&shared, ids, work).await;
    }

    /// Asks whether the content is to be read at all. The request has been answered when it is not.
    fn ask(self, detached: Detached) -> Option<(Self, Detached)> {
        let head = detached.as_head();
        let request = Request::detached(&head, &detached, &self.limits);
        let refusal = match &self.goal {
            Goal::Place(place, Some(name)) => place.objection(&detached.as_head(), name),
            _ => None,
        };
        let refusal = refusal.or_else(|| ask(self.shared.events(), &request));
        drop(request);
        match refusal {
            None => Some((self, detached)),
            Some(refusal) => {
                let (head, content) = refusal.response(&detached.as_head(), true);
                detached.answer(head, content);
                None
            }
        }
    }

    /// Hands short content to the handler of requests, as if it had stayed in memory.
    fn deliver_short(self, mut detached: Detached, content: BodyReader) {
        detached.put_back(content);
        drop(self.upload);
        let delivery = Delivery {
            shared: &self.shared,
            limits: &self.limits,
            uploads: None,
        };
        detached.deliver(delivery);
    }

    /// Answers for an upload that came to nothing; `ends` is as in [`Refusal::response`].
    fn fail(self, detached: Detached, received: Received, failure: Failure, ends: bool) {
        // Whoever is told of the failure finds no files any more.
        drop(received);
        drop(self.upload);
        let refusal = answer::failed(&self.shared, &detached, failure);
        let (head, content) = refusal.response(&detached.as_head(), ends);
        detached.answer(head, content);
    }

    /// Stores what has arrived, and has it answered.
    fn end(self, detached: Detached, received: Received) {
        // Whoever was faster may have put a file there meanwhile. What happens between this and the name that
        // the file gets, another of the same instant may still miss.
        if let Goal::Place(place, Some(name)) = &self.goal
            && let Some(refusal) = place.objection(&detached.as_head(), name)
        {
            drop(received);
            drop(self.upload);
            let (head, content) = refusal.response(&detached.as_head(), false);
            return detached.answer(head, content);
        }
        let head = detached.as_head();
        let request = Request::detached(&head, &detached, &self.limits);
        let events = self.shared.events();
        let stored = store(
            events,
            &request,
            received.parts,
            &self.receiver,
            self.existing,
        );
        drop(request);
        drop(self.upload);
        match (stored, self.goal) {
            (Ok(uploads), Goal::Handler { .. }) => {
                let delivery = Delivery {
                    shared: &self.shared,
                    limits: &self.limits,
                    uploads: Some(uploads),
                };
                detached.deliver(delivery);
            }
            (Ok(uploads), Goal::Place(place, put)) => {
                let has_replaced = uploads.files().iter().any(|file| file.has_replaced());
                let (mut head, content) = match put.is_some() && has_replaced {
                    true => answer::replaced(),
                    false => answer::stored(&detached.as_head(), &place, &uploads),
                };
                if put.is_some() {
                    answer::tag(&mut head, &uploads);
                }
                detached.answer(head, content);
            }
            (Err(failure), _) => {
                let refusal = answer::failed(&self.shared, &detached, failure);
                let (head, content) = refusal.response(&detached.as_head(), false);
                detached.answer(head, content);
            }
        }
    }
}

/// Asks the application whether an upload's content is to be read.
pub(super) fn ask(events: &dyn Events, request: &Request<'_>) -> Option<Refusal> {
    match events.on_http_upload_before_create_post_stream(request) {
        BeforeUpload::Accept => None,
        BeforeUpload::Refuse(status @ 400..=599) => Some(Refusal::new(status, "")),
        BeforeUpload::Refuse(_) => Some(Refusal::new(403, "")),
    }
}

/// Calls the application where it may block. `None` when it panicked, of which it is told.
async fn call<T: Send + 'static>(
    shared: &Arc<Shared>,
    ids: RequestIds,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) => {
            if error.is_panic() {
                shared.events().panicked(Some(ids), &*error.into_panic());
            }
            None
        }
    }
}
