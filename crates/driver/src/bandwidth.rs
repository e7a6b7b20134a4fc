//! Limits on bandwidth, where bytes go out and come in.
//!
//! A worker has a shaper while any limit is set. A connection that may not send now is held: it is not driven
//! until the shaper comes to it. One that has received more than it may is not received from for a while.
//! The rules are the engine's. Without a shaper, all that is left is to see that there is none.

use std::rc::Rc;
use std::time::Duration;

use tidegate_engine::{ResponseFlow, Shaper, Sleep};
use tidegate_httpapi::{FlowRate, ResponseHead};
use tidegate_os::{ConnectionKey, Operations};

use crate::connection::{Connection, Receive};
use crate::core::Core;
use crate::pieces::SENT_MIN;
use crate::view::View;

/// Why a connection is held, if it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Held(u8);

impl Held {
    /// It stands in a line to send.
    const LINE: u8 = 1;
    /// Its response has a rate of its own.
    const FLOW: u8 = 2;
    /// It is not received from.
    const RECEIVE: u8 = 4;

    /// Whether it is not held at all.
    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether it may not send.
    #[inline]
    pub(crate) fn sends_later(self) -> bool {
        self.0 & (Self::LINE | Self::FLOW) != 0
    }

    /// Whether it is not received from.
    #[inline]
    pub(crate) fn receives_later(self) -> bool {
        self.0 & Self::RECEIVE != 0
    }

    fn clear(&mut self, reason: u8) -> bool {
        let was = self.0 & reason != 0;
        self.0 &= !reason;
        was
    }
}

/// Keeps an HTTP/1 response to its flow rate.
pub(crate) struct ConnectionFlow {
    /// The number of its request.
    request: u64,
    flow: ResponseFlow,
    /// The rate is the response's own.
    _paced: Option<Paced>,
}

/// A response with a rate of its own, on this worker: there is a shaper as long as there are such, though the
/// namespace sets no limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paced(Rc<()>);

impl Paced {
    /// Whether there is any.
    pub(crate) fn is_any(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }
}

/// A response's own flow rate.
#[inline]
pub(crate) fn own_rate(head: &ResponseHead) -> Option<FlowRate> {
    head.extras.as_ref().and_then(|extras| extras.flow_rate)
}

impl Core {
    /// Limits have changed. Whoever was held by those before looks again.
    pub(crate) fn set_limits(&mut self, are_there: bool) {
        if are_there && self.shaper.is_none() {
            self.shaper = Some(Box::default());
        }
        if let Some(shaper) = &mut self.shaper {
            shaper.reconsider();
        }
    }

    /// The present response of an HTTP/1 connection has a rate of its own.
    pub(crate) fn begin_flow(&mut self, conn: &mut Connection, rate: FlowRate) {
        conn.flow = Some(Box::new(ConnectionFlow {
            request: conn.request,
            flow: ResponseFlow::begin(rate, self.shaped_now()),
            _paced: Some(self.begin_paced()),
        }));
    }

    /// A response with a rate of its own begins.
    pub(crate) fn begin_paced(&mut self) -> Paced {
        self.shaper.get_or_insert_default();
        self.paced.clone()
    }

    /// The time, as limits count it: the same for all workers.
    pub(crate) fn shaped_now(&self) -> Duration {
        self.clock
            .now()
            .saturating_duration_since(self.shared.began)
    }

    /// How many bytes of a file may be sent at a time; 0: it is to be read, not worth a send of its own.
    #[inline]
    pub(crate) fn file_max(&mut self, conn: &mut Connection) -> u64 {
        match self.shaper {
            None => u64::MAX,
            Some(_) => match self.may_send(conn, u64::MAX) {
                Ok(max) if max >= SENT_MIN => max,
                _ => 0,
            },
        }
    }

    /// How many bytes of the output may be sent now; 0: none, and the connection is held.
    #[inline]
    pub(crate) fn claim(&mut self, conn: &mut Connection) -> usize {
        match self.shaper {
            None => usize::MAX,
            Some(_) => self.claim_limited(conn),
        }
    }

    #[inline(never)]
    fn claim_limited(&mut self, conn: &mut Connection) -> usize {
        let wanted = conn.output.len();
        if wanted == 0 {
            // What TLS has to say for itself.
            return usize::MAX;
        }
        let may = self.may_send(conn, wanted as u64);
        let (Some(shaper), Some(group)) = (&mut self.shaper, &conn.group) else {
            return usize::MAX;
        };
        match may {
            Ok(0) => {
                shaper.wait(conn.key, &group.bandwidth);
                conn.held.0 |= Held::LINE;
                0
            }
            Ok(max) => {
                let count = wanted.min(usize::try_from(max).unwrap_or(usize::MAX));
                self.count_shaped(conn, count as u64);
                count
            }
            Err(until) => {
                shaper.sleep(conn.key, until, Sleep::Send);
                conn.held.0 |= Held::FLOW;
                0
            }
        }
    }

    /// How many of `wanted` bytes may be sent: 0 when others come first, an error when its response has to wait.
    fn may_send(&mut self, conn: &mut Connection, wanted: u64) -> Result<u64, Duration> {
        let now = self.shaped_now();
        let (Some(shaper), Some(group)) = (&mut self.shaper, &conn.group) else {
            return Ok(u64::MAX);
        };
        // Each of HTTP/2's streams is kept to it, see `http2/send.rs`.
        if !matches!(conn.receive, Receive::Http2(_))
            && conn
                .flow
                .as_ref()
                .is_none_or(|flow| flow.request != conn.request)
        {
            conn.flow = group.flow_rate.map(|rate| {
                Box::new(ConnectionFlow {
                    request: conn.request,
                    flow: ResponseFlow::begin(rate, now),
                    _paced: None,
                })
            });
        }
        let of_response = match &mut conn.flow {
            Some(flow) => flow.flow.available(wanted, now)?,
            None => u64::MAX,
        };
        let of_all = shaper.available(conn.key, &group.bandwidth, now);
        Ok(of_all.min(of_response))
    }

    /// So many bytes are sent.
    pub(crate) fn count_shaped(&mut self, conn: &mut Connection, bytes: u64) {
        let now = self.shaped_now();
        if let (Some(shaper), Some(group)) = (&mut self.shaper, &conn.group) {
            shaper.take(conn.key, &group.bandwidth, bytes);
            if let Some(flow) = &mut conn.flow {
                flow.flow.take(bytes, now);
            }
        }
    }

    /// Bytes have been received: if they are more than may be, the next wait for a while.
    #[inline(never)]
    pub(crate) fn charge_received<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        bytes: usize,
    ) {
        let now = self.shaped_now();
        let (Some(shaper), Some(group)) = (&mut self.shaper, &conn.group) else {
            return;
        };
        let receive = &group.bandwidth.session.receive;
        if !receive.is_limited() {
            return;
        }
        let until = receive.charge(bytes as u64, now);
        // The timer of a head goes on, lest a peer prolong it: its rest is let in.
        let is_in_head = matches!(conn.receive, Receive::Head) && !conn.input.is_empty();
        if until <= now || is_in_head || conn.held.receives_later() {
            return;
        }
        shaper.sleep(conn.key, until, Sleep::Receive);
        conn.held.0 |= Held::RECEIVE;
        if !conn.receive_paused {
            operations.pause_receive(conn.key);
        }
    }

    /// It is a connection's turn to send.
    pub(crate) fn let_send<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
    ) {
        if conn.held.clear(Held::LINE) {
            self.go_on(view, operations, conn);
        }
    }

    /// The moment has come that a connection was waiting for.
    pub(crate) fn wake_shaped<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        sleep: Sleep,
    ) {
        match sleep {
            Sleep::Receive => {
                if conn.held.clear(Held::RECEIVE) && !conn.receive_paused {
                    operations.resume_receive(conn.key);
                }
            }
            Sleep::Send => {
                conn.held.clear(Held::FLOW);
                self.wake_flows(conn);
                self.go_on(view, operations, conn);
            }
        }
    }

    /// How long a frame of a stream may be, and how many bytes of them may wait in the output: little while
    /// what is sent is limited, so that what is to be said beside content does not wait long behind it.
    #[inline]
    pub(crate) fn frame_max(&self, conn: &Connection) -> usize {
        match (&self.shaper, &conn.group) {
            (Some(_), Some(group)) if group.bandwidth.limits_send() => group.bandwidth.quantum(),
            _ => usize::MAX,
        }
    }
}

/// The connections of a worker that wait for a limit.
pub(crate) type WorkerShaper = Shaper<ConnectionKey>;
