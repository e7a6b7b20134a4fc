//! Long contents of files of which parts are asked for again and again, or which are sent encrypted or framed,
//! kept in memory up to so many bytes.
//!
//! They are apart from what `memory` keeps, so that one of them never pushes out hundreds of short files.
//! Counted is what there is, not what is kept: a content that made room counts for as long as it is being
//! sent to somebody, so that slow clients cannot make memory grow.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use bytes::Bytes;

use super::resource::SHORT_BYTES_MAX;

/// The long contents of a site.
pub(super) struct LongContents {
    bytes_max: usize,
    /// What all of them take, with what is about to be read.
    bytes: Arc<AtomicUsize>,
    /// Guards whose places have one, those first that will make room first. Held for changing that only;
    /// a place's own lock may be taken with it.
    kept: Mutex<VecDeque<Weak<LongContent>>>,
    /// From when on contents may make room for others again.
    change_at: AtomicU64,
}

/// A place for a long content, empty at first.
#[derive(Default)]
pub(super) struct LongContent {
    /// Guards the content, held for reading and replacing it only.
    content: RwLock<Option<Bytes>>,
    /// Asked for since room was last needed.
    is_used: AtomicBool,
}

impl LongContents {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: Arc::default(),
            kept: Mutex::default(),
            change_at: AtomicU64::new(0),
        }
    }

    /// Reads a content of this length into its place, and keeps it, if there is room or can be made; gives
    /// what is there then. `now` is in milliseconds.
    pub(super) fn keep(
        &self,
        place: &Arc<LongContent>,
        length: usize,
        now: u64,
        read: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Bytes> {
        let room = self
            .take_room(length)
            .or_else(|| self.make_room(length, now))?;
        let content = Bytes::from_owner(Counted {
            content: read()?,
            _room: room,
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut there = place.write();
        if let Some(there) = &*there {
            // Somebody else was faster.
            return Some(there.clone());
        }
        *there = Some(content.clone());
        drop(there);
        // Of places that are no more, as of files that were changed, nobody has told.
        if kept.len() >= self.bytes_max / SHORT_BYTES_MAX {
            kept.retain(|place| place.strong_count() > 0);
        }
        kept.push_back(Arc::downgrade(place));
        Some(content)
    }

    /// Takes room, if there is some.
    fn take_room(&self, bytes: usize) -> Option<Room> {
        let take = |taken: usize| {
            let taken = taken.checked_add(bytes)?;
            (taken <= self.bytes_max).then_some(taken)
        };
        self.bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .ok()?;
        Some(Room {
            bytes,
            all: Arc::clone(&self.bytes),
        })
    }

    /// Has contents that have not been asked for since this was last done make room. `None` when that is
    /// not enough.
    ///
    /// Once in a while only: where all are asked for alike, each would make room for the next, and be read
    /// again soon.
    #[cold]
    fn make_room(&self, bytes: usize, now: u64) -> Option<Room> {
        if bytes > self.bytes_max || now < self.change_at.load(Ordering::Relaxed) {
            return None;
        }
        self.change_at
            .store(now + CHANGE_EVERY_MS, Ordering::Relaxed);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Who was asked for is let pass.
        for _ in 0..kept.len() {
            let Some(place) = kept.pop_front().and_then(|place| place.upgrade()) else {
                continue;
            };
            if place.is_used.swap(false, Ordering::Relaxed) {
                kept.push_back(Arc::downgrade(&place));
                continue;
            }
            *place.write() = None;
            if let Some(room) = self.take_room(bytes) {
                return Some(room);
            }
        }
        self.take_room(bytes)
    }
}

impl LongContent {
    /// The content, if it is there.
    #[inline]
    pub(super) fn get(&self) -> Option<Bytes> {
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        let content = content.clone()?;
        // Written once only, so that the threads that read it can all keep it.
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
        Some(content)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Option<Bytes>> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room that a content takes, until it is dropped.
struct Room {
    bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A content that counts for as long as anybody has a part of it.
struct Counted {
    content: Vec<u8>,
    _room: Room,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

/// How often contents make room for others.
const CHANGE_EVERY_MS: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 100_000;

    fn places(count: usize) -> Vec<Arc<LongContent>> {
        (0..count).map(|_| Arc::default()).collect()
    }

    fn keep(contents: &LongContents, place: &Arc<LongContent>, now: u64) -> Option<Bytes> {
        contents.keep(place, LENGTH, now, || Some(vec![b'a'; LENGTH]))
    }

    fn there(places: &[Arc<LongContent>]) -> Vec<usize> {
        let is_there = |index: &usize| places[*index].content.read().unwrap().is_some();
        (0..places.len()).filter(is_there).collect()
    }

    fn bytes(contents: &LongContents) -> usize {
        contents.bytes.load(Ordering::Relaxed)
    }

    #[test]
    fn what_was_not_asked_for_makes_room() {
        let contents = LongContents::new(3 * LENGTH + 10);
        let places = places(6);
        for place in &places[..3] {
            assert!(keep(&contents, place, 0).is_some());
        }
        assert_eq!(places[0].get().unwrap(), vec![b'a'; LENGTH]);
        assert!(keep(&contents, &places[3], 0).is_some());
        assert_eq!(there(&places), [0, 2, 3]);
        // Not again at once, however often it is asked for.
        assert!(keep(&contents, &places[4], CHANGE_EVERY_MS - 1).is_none());
        assert!(keep(&contents, &places[4], CHANGE_EVERY_MS).is_some());
        assert_eq!(there(&places), [0, 3, 4]);
        // Who is asked for all the time stays.
        for index in [0, 3, 4] {
            places[index].get().unwrap();
        }
        assert!(keep(&contents, &places[5], 2 * CHANGE_EVERY_MS).is_none());
        places[0].get().unwrap();
        assert!(keep(&contents, &places[5], 3 * CHANGE_EVERY_MS).is_some());
        assert!(there(&places).contains(&0));
        assert_eq!(bytes(&contents), 3 * LENGTH);
    }

    #[test]
    fn what_is_being_sent_counts_though_nobody_keeps_it() {
        let contents = LongContents::new(LENGTH);
        let places = places(2);
        let sent = keep(&contents, &places[0], 0).unwrap().slice(7..9);
        assert!(keep(&contents, &places[1], 0).is_none());
        assert!(there(&places).is_empty());
        assert_eq!(bytes(&contents), LENGTH);
        drop(sent);
        assert_eq!(bytes(&contents), 0);
        assert!(keep(&contents, &places[1], 0).is_some());
    }

    #[test]
    fn what_cannot_be_read_takes_no_room() {
        let contents = LongContents::new(LENGTH);
        let places = places(1);
        assert!(contents.keep(&places[0], LENGTH, 0, || None).is_none());
        let too_long = contents.keep(&places[0], LENGTH + 1, 0, || panic!("nobody can keep it"));
        assert!(too_long.is_none());
        assert_eq!((bytes(&contents), there(&places)), (0, vec![]));
    }

    #[test]
    fn places_that_are_no_more_are_forgotten() {
        let contents = LongContents::new(10 * LENGTH);
        for _ in 0..1000 {
            keep(&contents, &Arc::default(), 0).unwrap();
            assert!(contents.kept.lock().unwrap().len() <= 10 * LENGTH / SHORT_BYTES_MAX + 1);
        }
        assert_eq!(bytes(&contents), 0);
    }

    #[test]
    fn a_content_is_kept_once() {
        let contents = LongContents::new(10 * LENGTH);
        let place = Arc::default();
        let first = keep(&contents, &place, 0).unwrap();
        let second = keep(&contents, &place, 0).unwrap();
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert_eq!(bytes(&contents), LENGTH);
        assert_eq!(contents.kept.lock().unwrap().len(), 1);
    }
}
