//! One thread of a backend with upgraded connections or streams: what it hands to the application's lane,
//! and what comes back.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate_httpapi::*;
use tidegate_proto::websocket::{
    DecodeContext, Decoder, FrameHead, Opcode as Kind, Received, Role,
};

use super::backend::{TestBackend, local, peer};

/// The thread.
pub(super) struct TestLane {
    lane: Box<dyn OpaqueLane>,
    streams: Streams,
    woken: Arc<Woken>,
    jobs: Arc<Jobs>,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl WakeLane for Woken {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Jobs(Mutex<Vec<Job>>);

impl Jobs {
    /// Does what there is to do, and what that leads to.
    fn run_all(&self) {
        loop {
            let jobs = mem::take(&mut *self.0.lock().unwrap());
            if jobs.is_empty() {
                return;
            }
            jobs.into_iter().for_each(|job| job());
        }
    }
}

impl RunOnHandlerThread for Jobs {
    fn run(&self, job: Job) {
        self.0.lock().unwrap().push(job);
    }
}

#[derive(Default)]
struct Streams(Vec<Stream>);

/// An upgraded connection, or a stream of one.
struct Stream {
    key: OpaqueKey,
    output: Vec<u8>,
    has_ended: bool,
}

impl TestLane {
    /// One whose handlers run on handler threads, as in Classic mode, or on it.
    pub(super) fn new(backend: &TestBackend, may_call_inline: bool) -> Self {
        let (woken, jobs) = (Arc::new(Woken::default()), Arc::new(Jobs::default()));
        let host = LaneHost {
            waker: LaneWaker::new(Arc::clone(&woken) as _),
            threads: HandlerThreads::new(Arc::clone(&jobs) as _),
            may_call_inline,
        };
        Self {
            lane: backend.application().open_lane(host),
            streams: Streams::default(),
            woken,
            jobs,
        }
    }

    /// Opens the next one. Gives its place.
    pub(super) fn open(&mut self, opening: Opening) -> usize {
        let index = self.streams.0.len();
        self.streams.0.push(Stream {
            key: OpaqueKey {
                index: index as u32,
                generation: 1,
            },
            output: Vec::new(),
            has_ended: false,
        });
        self.lane.opened(&mut self.streams.0[index], opening);
        self.settle();
        index
    }

    /// The client says a frame.
    pub(super) fn say(&mut self, index: usize, opcode: Kind, payload: &[u8]) {
        let mut bytes = Vec::new();
        let head = FrameHead {
            mask: Some([1, 2, 3, 4]),
            ..FrameHead::new(opcode)
        };
        head.encode_frame(&mut bytes, payload);
        self.lane.received(&mut self.streams.0[index], &mut bytes);
        self.settle();
    }

    /// The client ends its side (END_STREAM).
    pub(super) fn end(&mut self, index: usize) {
        self.lane.peer_ended(&mut self.streams.0[index]);
        self.settle();
    }

    /// The client resets the stream.
    pub(super) fn reset(&mut self, index: usize) {
        self.lane
            .closed(self.streams.0[index].key, OpaqueEnd::Failed);
        self.settle();
    }

    /// The queue is closed: the lane goes, and handler threads do what is left to do.
    pub(super) fn close(self) {
        let Self { lane, jobs, .. } = self;
        drop(lane);
        jobs.run_all();
    }

    /// Lets the lane and handler threads do all they have to do.
    pub(super) fn settle(&mut self) {
        loop {
            self.jobs.run_all();
            if !self.woken.0.swap(false, Ordering::Relaxed) {
                return;
            }
            self.lane.woken(&mut self.streams);
        }
    }

    /// What the client has heard since it was last asked: texts, and the codes of close frames.
    pub(super) fn heard(&mut self, index: usize) -> Vec<String> {
        let mut bytes = mem::take(&mut self.streams.0[index].output);
        let mut piece = &mut bytes[..];
        let mut decoder = Decoder::new(Role::Client);
        let mut context = DecodeContext::default();
        let mut heard = Vec::new();
        while let Some(received) = decoder.next(&mut piece, &mut context).unwrap() {
            heard.push(match received {
                Received::Text(text) => text.to_owned(),
                Received::Close(frame) => format!("close {}", frame.code.unwrap_or_default()),
                other => format!("{other:?}"),
            });
        }
        heard
    }

    /// Whether the lane has ended it.
    pub(super) fn has_ended(&self, index: usize) -> bool {
        self.streams.0[index].has_ended
    }
}

impl OpaqueConnections for Streams {
    fn with(&mut self, key: OpaqueKey, act: &mut dyn FnMut(&mut dyn OpaqueConnection)) -> bool {
        let mut streams = self.0.iter_mut();
        let found = streams.find(|stream| stream.key == key && !stream.has_ended);
        found.map(|stream| act(stream)).is_some()
    }
}

impl OpaqueConnection for Stream {
    fn key(&self) -> OpaqueKey {
        self.key
    }

    fn id(&self) -> ConnectionId {
        ConnectionId(1)
    }

    fn peer(&self) -> PeerAddress {
        peer()
    }

    fn local(&self) -> PeerAddress {
        local()
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    fn append(&mut self, bytes: Bytes) {
        self.output.extend_from_slice(&bytes);
    }

    fn unsent(&self) -> usize {
        0
    }

    fn bytes_sent(&self) -> u64 {
        0
    }

    fn notify_sent(&mut self) {}

    fn pause_receive(&mut self) {}

    fn resume_receive(&mut self) {}

    fn set_due(&mut self, _: Option<Duration>) {}

    fn end(&mut self) {
        self.has_ended = true;
    }

    fn reset(&mut self) {
        self.has_ended = true;
    }
}
