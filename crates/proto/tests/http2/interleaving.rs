//! Many streams at once, both ways, against a simple model of windows.
//!
//! What was sent is never more than the windows allowed; when they open everything is sent at last; nobody of
//! equal rights starves; and the client always gets to send what our windows promise.

use std::collections::BTreeMap;

use tidegate_httpapi::Http2Limits;
use tidegate_proto::http2::{CONNECTION_WINDOW_BYTES, StreamKey};

use crate::support::{
    Client, DATA, END_STREAM, GET, HEADERS, Numbers, POST, RST_STREAM, SETTINGS, Told, WINDOW,
    WINDOW_UPDATE, with,
};

/// One stream, as both ends see it.
struct Model {
    key: StreamKey,
    /// What is still to be answered. `None`: it has ended.
    to_send: Option<usize>,
    /// What arrived of it.
    arrived: usize,
    has_arrived: bool,
    length: usize,
    /// The client's window for what we send, which only the model knows.
    send_window: i64,
    /// What is still to be uploaded. `None`: it has ended.
    to_upload: Option<usize>,
    /// What was uploaded and not read.
    unread: usize,
    receive_window: i64,
}

/// Everything at random.
struct World {
    client: Client,
    numbers: Numbers,
    streams: BTreeMap<u32, Model>,
    next: u32,
    initial_window: i64,
    send_window: i64,
    receive_window: i64,
    finished: usize,
    reset: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut limits = Http2Limits::default();
        limits.window_updates_per_minute_max = 1_000_000;
        limits.client_resets_per_minute_max = 65_535;
        limits.settings_per_minute_max = 1_000_000;
        Self {
            client: Client::with(&limits),
            numbers: Numbers(seed),
            streams: BTreeMap::new(),
            next: 1,
            initial_window: 65_535,
            send_window: 65_535,
            receive_window: i64::from(CONNECTION_WINDOW_BYTES),
            finished: 0,
            reset: 0,
        }
    }

    fn any(&mut self) -> Option<u32> {
        let index = self.numbers.below(self.streams.len());
        self.streams.keys().nth(index).copied()
    }

    fn open(&mut self) {
        if self.streams.len() >= 100 {
            return;
        }
        let id = self.next;
        self.next += 2 + 2 * self.numbers.below(2) as u32;
        let urgency = ["u=3", "u=1, i", "i", "u=7", ""][self.numbers.below(5)];
        let is_upload = self.numbers.below(3) == 0;
        let key = match is_upload {
            true => self
                .client
                .request(id, 0, &with(&POST, &[("priority", urgency)])),
            false => self
                .client
                .request(id, END_STREAM, &with(&GET, &[("priority", urgency)])),
        };
        let length = [0, 1, 500, 16_384, 16_385, 200_000][self.numbers.below(6)];
        self.client.answer(key, None);
        self.client.connection.want_send(key);
        let model = Model {
            key,
            to_send: Some(length),
            arrived: 0,
            has_arrived: false,
            length,
            send_window: self.initial_window,
            to_upload: is_upload.then_some(self.numbers.below(100_000)),
            unread: 0,
            receive_window: WINDOW.into(),
        };
        self.streams.insert(id, model);
        self.take_sent();
    }

    /// Writes frames as a driver does.
    fn write(&mut self, frames: usize) {
        for _ in 0..frames {
            let Some(key) = self.client.connection.next_to_send() else {
                break;
            };
            let model = &mut self
                .streams
                .get_mut(&key.id)
                .expect("a stream that is open");
            let left = model.to_send.expect("a stream that has content");
            // A source may have less now.
            let available = match self.numbers.below(4) {
                0 => left.min(1 + self.numbers.below(5_000)),
                _ => left,
            };
            let len = self.client.write(key, available, available == left);
            let len = len.expect("a stream that may send");
            model.to_send = (len < left).then_some(left - len);
            if len < left {
                self.client.connection.want_send(key);
            }
        }
        self.take_sent();
    }

    /// The client looks at what was sent.
    fn take_sent(&mut self) {
        for frame in self.client.sent() {
            let model = self.streams.get_mut(&frame.stream);
            match (frame.kind, model) {
                (DATA, Some(model)) => {
                    let len = frame.payload.len();
                    model.send_window -= len as i64;
                    self.send_window -= len as i64;
                    assert!(len == 0 || (model.send_window >= 0 && self.send_window >= 0));
                    model.arrived += len;
                    model.has_arrived = frame.flags & END_STREAM != 0;
                }
                (WINDOW_UPDATE, Some(model)) => model.receive_window += i64::from(frame.number(0)),
                (WINDOW_UPDATE, None) => {
                    assert_eq!(frame.stream, 0);
                    self.receive_window += i64::from(frame.number(0));
                }
                (HEADERS, Some(_)) | (SETTINGS | RST_STREAM, _) => {}
                (kind, _) => panic!("frame {kind} on {}", frame.stream),
            }
        }
    }

    fn upload(&mut self, id: u32) {
        let model = self.streams.get_mut(&id).expect("a stream");
        let Some(left) = model.to_upload else {
            return;
        };
        let room = model.receive_window.min(self.receive_window).max(0) as usize;
        let len = left.min(room).min(1 + self.numbers.below(16_384));
        if len == 0 && left != 0 {
            assert!(model.unread > 0, "nothing is held, and nothing may come");
            return;
        }
        model.receive_window -= len as i64;
        self.receive_window -= len as i64;
        model.unread += len;
        let flags = if len == left { END_STREAM } else { 0 };
        model.to_upload = (len != left).then_some(left - len);
        let told = self.client.send_frame(DATA, flags, id, &vec![b'u'; len]);
        assert!(matches!(&told[..], [Told::Data(key, content, ended)]
            if *key == model.key && content.len() == len && *ended == (flags != 0)));
        self.take_sent();
    }

    fn read(&mut self, id: u32) {
        let model = self.streams.get_mut(&id).expect("a stream");
        let len = match self.numbers.below(2) {
            0 => model.unread,
            _ => self.numbers.below(model.unread + 1),
        };
        model.unread -= len;
        let key = model.key;
        self.client
            .connection
            .consumed(key, len, &mut self.client.out);
        self.take_sent();
    }

    fn widen(&mut self, id: u32, increment: u32) {
        let window = match self.streams.get_mut(&id) {
            Some(model) => &mut model.send_window,
            None => &mut self.send_window,
        };
        *window += i64::from(increment);
        let told = self.client.window_update(id, increment);
        assert!(told.iter().all(|told| *told == Told::Writable));
    }

    fn change_initial_window(&mut self) {
        let window = [0, 1, 1_000, 65_535, 300_000][self.numbers.below(5)];
        for model in self.streams.values_mut() {
            model.send_window += window - self.initial_window;
        }
        self.initial_window = window;
        self.client.settings(&[(4, window as u32)]);
    }

    fn reset(&mut self, id: u32) {
        let model = self.streams.remove(&id).expect("a stream");
        let told = self.client.reset(id);
        let both_ended = model.to_send.is_none() && model.to_upload.is_none();
        assert_eq!(told.is_empty(), both_ended);
        self.client.release(model.key);
        self.client.out.clear();
        self.reset += 1;
    }

    /// Lets go of streams that have ended both ways.
    fn finish(&mut self) {
        let ended: Vec<u32> = self
            .streams
            .iter()
            .filter(|(_, model)| model.has_arrived && model.to_upload.is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            let model = self.streams.remove(&id).expect("a stream");
            assert_eq!(model.arrived, model.length);
            self.client.release(model.key);
            assert_eq!(self.client.sent(), []);
            self.finished += 1;
        }
    }

    fn step(&mut self) {
        let id = self.any();
        match (self.numbers.below(20), id) {
            (0..=3, _) | (_, None) => self.open(),
            (4..=8, _) => {
                let frames = 1 + self.numbers.below(5);
                self.write(frames);
            }
            (9..=11, Some(id)) => self.upload(id),
            (12 | 13, Some(id)) => self.read(id),
            (14 | 15, Some(id)) => {
                let increment = 1 + self.numbers.below(40_000) as u32;
                self.widen(id, increment);
            }
            (16 | 17, _) => {
                let increment = 1 + self.numbers.below(200_000) as u32;
                self.widen(0, increment);
            }
            (18, _) if self.numbers.below(4) == 0 => self.change_initial_window(),
            (19, Some(id)) if self.numbers.below(4) == 0 => self.reset(id),
            _ => self.finish(),
        }
        for model in self.streams.values() {
            if model.to_send.is_some() {
                let window = model.send_window.min(self.send_window).max(0);
                let known = self.client.connection.send_window(model.key);
                assert_eq!(known as i64, window);
            }
        }
    }

    /// All windows open: everything comes to its end.
    fn drain(&mut self) {
        let mut rounds = 0;
        while !self.streams.is_empty() {
            rounds += 1;
            assert!(rounds < 1_000, "{} streams do not end", self.streams.len());
            if self.send_window < 1_000_000 {
                self.widen(0, 1_000_000);
            }
            let ids: Vec<u32> = self.streams.keys().copied().collect();
            for id in ids {
                if self.streams[&id].send_window < 200_000 {
                    self.widen(id, 200_000);
                }
                self.upload(id);
                let model = self.streams.get_mut(&id).expect("a stream");
                let unread = std::mem::take(&mut model.unread);
                let key = model.key;
                self.client
                    .connection
                    .consumed(key, unread, &mut self.client.out);
                self.take_sent();
            }
            self.write(500);
            self.finish();
        }
        assert_eq!(self.client.connection.next_to_send(), None);
        assert_eq!(self.client.connection.streams(), 0);
        // Nothing of the connection's window was lost.
        assert!(self.receive_window > i64::from(CONNECTION_WINDOW_BYTES) / 2);
    }
}

#[test]
fn windows_are_kept_to_and_everything_is_sent() {
    let mut finished = 0;
    for seed in 1..=20_u64 {
        let mut world = World::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for _ in 0..1_000 {
            world.step();
        }
        world.drain();
        assert!(world.reset > 0);
        finished += world.finished;
    }
    assert!(finished > 500, "{finished}");
}

#[test]
fn nobody_of_equal_rights_starves() {
    let mut limits = Http2Limits::default();
    limits.concurrent_streams_max = 300;
    let mut client = Client::with(&limits);
    client.settings(&[(4, 0x7FFF_FFFF)]);
    client.window_update(0, 0x7FFF_0000 - 65_535);
    let mut sent: BTreeMap<u32, usize> = BTreeMap::new();
    for id in (1..600).step_by(2) {
        let key = client.request(id, END_STREAM, &with(&GET, &[("priority", "i")]));
        client.answer(key, None);
        client.connection.want_send(key);
        sent.insert(id, 0);
    }
    client.out.clear();
    for turn in 0..3_000 {
        let key = client.connection.next_to_send().expect("somebody");
        *sent.get_mut(&key.id).expect("a stream") += client.write(key, 100, false).expect("room");
        client.connection.want_send(key);
        let (least, most) = (sent.values().min(), sent.values().max());
        assert!(most.expect("one") - least.expect("one") <= 100, "{turn}");
    }
    assert!(sent.values().all(|bytes| *bytes == 1_000));
}
