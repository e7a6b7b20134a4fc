//! Which of a worker's connections may send next, and how much.
//!
//! Those that have to wait stand in a line, one for each URL group; each gets a little when it comes to the
//! front and goes to the end if it has more. Who comes later waits behind them, so that a large download takes
//! turns with small answers. Lines take turns too.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{GroupBandwidth, SessionBandwidth, Share, slice_bytes};

/// A worker's lines, with its shares of the limits.
#[derive(Debug)]
pub struct Shaper<K> {
    lines: Vec<Line<K>>,
    sessions: Vec<SessionShare>,
    /// Which line is looked at first.
    first: usize,
    /// Whose turn it is.
    turn: Option<K>,
    /// Those that wait for a moment.
    sleepers: BinaryHeap<Reverse<Sleeper<K>>>,
}

#[derive(Debug)]
struct Line<K> {
    group: Arc<GroupBandwidth>,
    share: Share,
    waiting: VecDeque<K>,
}

#[derive(Debug)]
struct SessionShare {
    session: Arc<SessionBandwidth>,
    share: Share,
    /// In lines of its groups.
    waiting: usize,
}

#[derive(Debug)]
struct Sleeper<K> {
    until: Duration,
    key: K,
    sleep: Sleep,
}

/// What somebody waits for until a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sleep {
    /// To send.
    Send,
    /// To be received from.
    Receive,
}

impl<K> Default for Shaper<K> {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            sessions: Vec::new(),
            first: 0,
            turn: None,
            sleepers: BinaryHeap::new(),
        }
    }
}

impl<K: Copy + PartialEq> Shaper<K> {
    /// How many bytes a connection may send now, without waiting for it.
    pub fn available(&mut self, key: K, group: &Arc<GroupBandwidth>, now: Duration) -> u64 {
        if !group.limits_send() {
            return u64::MAX;
        }
        let is_its_turn = self.turn == Some(key);
        let line = self.line(group);
        let session = self.session(&group.session);
        let (line, session) = (&mut self.lines[line], &mut self.sessions[session]);
        // Behind those who came before, also where it is the session that they wait for.
        let others =
            session.waiting > 0 && (!line.waiting.is_empty() || session.session.send.is_limited());
        if others && !is_its_turn {
            return 0;
        }
        match line.available(session, now) {
            Ok(available) => available.min(group.quantum() as u64),
            Err(_) => 0,
        }
    }

    /// A connection sends so many bytes.
    pub fn take(&mut self, key: K, group: &Arc<GroupBandwidth>, bytes: u64) {
        if self.turn == Some(key) {
            self.turn = None;
        }
        if group.limits_send() {
            let (line, session) = (self.line(group), self.session(&group.session));
            self.lines[line].share.take(bytes);
            self.sessions[session].share.take(bytes);
        }
    }

    /// A connection waits until it may send. It must not wait already.
    pub fn wait(&mut self, key: K, group: &Arc<GroupBandwidth>) {
        if self.turn == Some(key) {
            self.turn = None;
        }
        let (line, session) = (self.line(group), self.session(&group.session));
        self.lines[line].waiting.push_back(key);
        self.sessions[session].waiting += 1;
    }

    /// The next of those that wait and may send now: it is its turn, until the next is asked for.
    pub fn next_ready(&mut self, now: Duration) -> Option<K> {
        self.turn = None;
        for step in 0..self.lines.len() {
            let index = (self.first + step) % self.lines.len();
            if self.lines[index].waiting.is_empty() {
                continue;
            }
            let group = Arc::clone(&self.lines[index].group);
            let session = self.session(&group.session);
            let (line, session) = (&mut self.lines[index], &mut self.sessions[session]);
            if line.available(session, now).is_ok()
                && let Some(key) = line.waiting.pop_front()
            {
                session.waiting -= 1;
                self.first = (index + 1) % self.lines.len();
                self.turn = Some(key);
                return Some(key);
            }
        }
        None
    }

    /// A connection is to be woken at this moment.
    pub fn sleep(&mut self, key: K, until: Duration, sleep: Sleep) {
        self.sleepers.push(Reverse(Sleeper { until, key, sleep }));
    }

    /// The next of those whose moment has come.
    pub fn next_woken(&mut self, now: Duration) -> Option<(K, Sleep)> {
        let first = self.sleepers.peek()?;
        if first.0.until > now {
            return None;
        }
        let Reverse(sleeper) = self.sleepers.pop()?;
        Some((sleeper.key, sleeper.sleep))
    }

    /// Rates have changed: who sleeps is woken to look again, and what nobody waits in is forgotten.
    pub fn reconsider(&mut self) {
        let sleepers = std::mem::take(&mut self.sleepers).into_vec().into_iter();
        self.sleepers = sleepers
            .map(|Reverse(sleeper)| {
                Reverse(Sleeper {
                    until: Duration::ZERO,
                    ..sleeper
                })
            })
            .collect();
        self.lines.retain(|line| !line.waiting.is_empty());
        self.sessions.retain(|session| session.waiting > 0);
        self.first = 0;
    }

    /// When somebody may go on; `None`: nobody waits.
    pub fn due(&mut self, now: Duration) -> Option<Duration> {
        let mut due = self.sleepers.peek().map(|sleeper| sleeper.0.until);
        for index in 0..self.lines.len() {
            if self.lines[index].waiting.is_empty() {
                continue;
            }
            let group = Arc::clone(&self.lines[index].group);
            let session = self.session(&group.session);
            let at = match self.lines[index].available(&mut self.sessions[session], now) {
                Ok(_) => now,
                Err(at) => at,
            };
            due = Some(due.map_or(at, |due| due.min(at)));
        }
        due
    }

    /// Whether nobody waits.
    pub fn is_idle(&self) -> bool {
        self.sleepers.is_empty() && self.lines.iter().all(|line| line.waiting.is_empty())
    }

    fn line(&mut self, group: &Arc<GroupBandwidth>) -> usize {
        let known = self
            .lines
            .iter()
            .position(|line| Arc::ptr_eq(&line.group, group));
        known.unwrap_or_else(|| {
            self.lines.push(Line {
                group: Arc::clone(group),
                share: Share::default(),
                waiting: VecDeque::new(),
            });
            self.lines.len() - 1
        })
    }

    fn session(&mut self, session: &Arc<SessionBandwidth>) -> usize {
        let known = self
            .sessions
            .iter()
            .position(|known| Arc::ptr_eq(&known.session, session));
        known.unwrap_or_else(|| {
            self.sessions.push(SessionShare {
                session: Arc::clone(session),
                share: Share::default(),
                waiting: 0,
            });
            self.sessions.len() - 1
        })
    }
}

impl<K> Line<K> {
    /// What both limits give.
    fn available(&mut self, session: &mut SessionShare, now: Duration) -> Result<u64, Duration> {
        let waiting = self.waiting.len();
        let of_group = self.share.available(&self.group.send, waiting, now)?;
        let limit = &session.session.send;
        let of_session = session.share.available(limit, session.waiting, now)?;
        Ok(of_group.min(of_session))
    }
}

impl GroupBandwidth {
    /// What a connection sends at most when it is its turn, while what is sent is limited. Bytes.
    ///
    /// Little at low rates, so that what has to go out beside content, as pings of HTTP/2, does not wait long
    /// behind it.
    pub fn quantum(&self) -> usize {
        slice_bytes(self.send.rate().min(self.session.send.rate())) as usize
    }
}

impl<K> PartialEq for Sleeper<K> {
    fn eq(&self, other: &Self) -> bool {
        self.until == other.until
    }
}

impl<K> Eq for Sleeper<K> {}

impl<K> PartialOrd for Sleeper<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Sleeper<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.until.cmp(&other.until)
    }
}
