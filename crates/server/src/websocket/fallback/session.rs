//! Which connections there are, by their secrets, and the order of a client's requests.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_httpapi::OpaqueKey;

/// 128 bits from the system's randomness: who has them speaks for the client.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(super) struct Secret(pub(super) [u8; 16]);

impl Secret {
    /// As it is told: hexadecimal digits, small letters.
    pub(super) fn told(&self) -> String {
        let mut told = String::with_capacity(32);
        for byte in self.0 {
            // A string takes everything.
            let _ = write!(told, "{byte:02x}");
        }
        told
    }

    /// Reads what was told, in that one spelling.
    pub(super) fn parse(told: &[u8]) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut secret = [0; 16];
        if told.len() != 2 * secret.len() {
            return None;
        }
        for (byte, pair) in secret.iter_mut().zip(told.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(secret))
    }
}

/// What requests know of a connection.
pub(super) struct Session {
    pub(super) key: OpaqueKey,
    pub(super) secret: Secret,
    /// Where it was opened.
    path: Box<str>,
    /// Held for a moment.
    order: Mutex<Order>,
}

#[derive(Default)]
struct Order {
    /// The last number that was taken.
    taken: u64,
    /// The next is being taken.
    is_busy: bool,
}

/// What may be done with a request.
pub(super) enum Begun {
    /// It is the next.
    Next(Turn),
    /// It has been taken before.
    Repeated,
    /// Another is being taken.
    Busy,
    /// It is not the next, which is this one.
    OutOfOrder(u64),
}

/// A request that is being taken. Dropped, it was not.
pub(super) struct Turn {
    session: Arc<Session>,
    number: u64,
}

impl Session {
    pub(super) fn begin(self: &Arc<Self>, number: u64) -> Begun {
        let mut order = self.lock();
        let next = order.taken.saturating_add(1);
        if number == 0 || number > next {
            Begun::OutOfOrder(next)
        } else if number < next {
            Begun::Repeated
        } else if mem::replace(&mut order.is_busy, true) {
            Begun::Busy
        } else {
            Begun::Next(Turn {
                session: Arc::clone(self),
                number,
            })
        }
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// All of it was taken.
    pub(super) fn done(self) {
        self.session.lock().taken = self.number;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.session.lock().is_busy = false;
    }
}

/// All sessions of a server.
#[derive(Default)]
pub(super) struct Sessions(
    /// Held for a moment.
    Mutex<Table>,
);

#[derive(Default)]
struct Table {
    /// The standard library's hash has a secret of its own: how long a search takes tells nothing of how much of
    /// a guess was right.
    by_secret: HashMap<Secret, Arc<Session>>,
    /// Of each place that was ever taken.
    generations: Vec<u32>,
    free: Vec<u32>,
}

impl Sessions {
    pub(super) fn open(&self, secret: Secret, path: &str) -> Arc<Session> {
        let mut table = self.lock();
        let index = table.free.pop().unwrap_or_else(|| {
            table.generations.push(0);
            table.generations.len() as u32 - 1
        });
        let generation = &mut table.generations[index as usize];
        *generation = generation.wrapping_add(1);
        let key = OpaqueKey {
            index,
            generation: *generation,
        };
        let session = Arc::new(Session {
            key,
            secret,
            path: path.into(),
            order: Mutex::default(),
        });
        table.by_secret.insert(secret, Arc::clone(&session));
        session
    }

    /// The session with this secret, if it was opened at this path.
    pub(super) fn find(&self, secret: &Secret, path: &str) -> Option<Arc<Session>> {
        let table = self.lock();
        let found = table.by_secret.get(secret);
        found.filter(|session| &*session.path == path).cloned()
    }

    /// Ends a session, once.
    pub(super) fn remove(&self, session: &Session) {
        let mut table = self.lock();
        if table.by_secret.remove(&session.secret).is_some() {
            table.free.push(session.key.index);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_one_spelling() {
        let secret = Secret(std::array::from_fn(|index| index as u8 * 17));
        let told = secret.told();
        assert_eq!(told, "00112233445566778899aabbccddeeff");
        assert!(Secret::parse(told.as_bytes()) == Some(secret));
        let (long, upper) = (format!("{told}0"), told.to_uppercase());
        for wrong in [
            "",
            &told[1..],
            &long,
            &upper,
            &told.replace('0', " "),
            &told.replace("00", "é"),
        ] {
            assert!(Secret::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn requests_are_taken_in_order() {
        let sessions = Sessions::default();
        let session = sessions.open(Secret([1; 16]), "/ws");
        assert!(matches!(session.begin(0), Begun::OutOfOrder(1)));
        assert!(matches!(session.begin(2), Begun::OutOfOrder(1)));
        let Begun::Next(turn) = session.begin(1) else {
            panic!("it is the next")
        };
        assert!(matches!(session.begin(1), Begun::Busy));
        assert!(matches!(session.begin(2), Begun::OutOfOrder(1)));
        // One that came to nothing is to come again.
        drop(turn);
        let Begun::Next(turn) = session.begin(1) else {
            panic!("it is the next again")
        };
        turn.done();
        assert!(matches!(session.begin(1), Begun::Repeated));
        assert!(matches!(session.begin(u64::MAX), Begun::OutOfOrder(2)));
        assert!(matches!(session.begin(2), Begun::Next(_)));
    }

    #[test]
    fn places_are_used_again_under_another_name() {
        let sessions = Sessions::default();
        let first = sessions.open(Secret([1; 16]), "/a");
        let second = sessions.open(Secret([2; 16]), "/b");
        assert_eq!((first.key.index, second.key.index), (0, 1));
        assert!(sessions.find(&Secret([1; 16]), "/b").is_none());
        assert!(sessions.find(&Secret([1; 16]), "/a").is_some());
        sessions.remove(&first);
        sessions.remove(&first);
        assert!(sessions.find(&Secret([1; 16]), "/a").is_none());
        let third = sessions.open(Secret([3; 16]), "/a");
        assert_eq!(third.key.index, 0);
        assert_ne!(third.key, first.key);
        assert_eq!(sessions.open(Secret([4; 16]), "/a").key.index, 2);
    }
}
