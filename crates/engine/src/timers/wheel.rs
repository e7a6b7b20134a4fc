//! A hashed timing wheel: one entry for each connection, coarse ticks, all steps in constant time.
//!
//! It is lazy. A connection that is busy moves its deadline all the time; its entry stays where it is.
//! When the entry falls due, the owner is asked for the true deadline and inserts it again if that is
//! still to come. Only a deadline that comes *before* the entry moves it ([`TimerWheel::hasten`]).
//! Entries are handed out one by one, so that the owner can stop after as many as fit into one turn
//! of its loop: 100,000 that fall due together make no burst.
//! Source: G. Varghese, T. Lauck, "Hashed and Hierarchical Timing Wheels", 1987, scheme 6.

/// Names an entry until it falls due or is removed; forget it then, it will name another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimerId(u32);

/// Entries with a key and a tick at which they fall due.
///
/// Ticks are the owner's: 100 to 250 ms each is meant. An entry never falls due early; it is found by
/// the first [`poll`](Self::poll) at its tick or later.
#[derive(Debug)]
pub struct TimerWheel<K> {
    entries: Vec<Entry<K>>,
    /// First of the unused entries, linked by `next`.
    unused: u32,
    /// First entry of each slot. An entry is in the slot of its tick, modulo the number of slots.
    slots: Box<[u32; SLOTS]>,
    /// Which slots are not empty.
    occupied: [u64; SLOTS / 64],
    count: usize,
    /// The last tick given to `poll`.
    now: u32,
    /// The tick whose slot is being looked through.
    at: u32,
    /// The entry to look at next in it; `NONE` when it is through.
    scan: u32,
}

#[derive(Debug)]
struct Entry<K> {
    key: K,
    due: u32,
    /// `NONE` while the entry is not used.
    slot: u32,
    previous: u32,
    next: u32,
}

impl<K: Copy> TimerWheel<K> {
    /// An empty wheel at tick `now`.
    pub fn new(now: u32) -> Self {
        Self {
            entries: Vec::new(),
            unused: NONE,
            slots: Box::new([NONE; SLOTS]),
            occupied: [0; SLOTS / 64],
            count: 0,
            now,
            at: now,
            scan: NONE,
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds an entry. One that is due already falls due at the next tick.
    pub fn insert(&mut self, key: K, due: u32) -> TimerId {
        let entry = Entry {
            key,
            due,
            slot: 0,
            previous: NONE,
            next: NONE,
        };
        let id = match self.unused {
            NONE => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
            id => {
                self.unused = self.entries[id as usize].next;
                self.entries[id as usize] = entry;
                id
            }
        };
        self.count += 1;
        self.link(id);
        TimerId(id)
    }

    /// Moves an entry to the front if it would fall due after `due`; leaves it if before.
    pub fn hasten(&mut self, id: TimerId, due: u32) {
        let entry = &self.entries[id.0 as usize];
        if entry.slot != NONE && entry.due > due {
            self.unlink(id.0);
            self.entries[id.0 as usize].due = due;
            self.link(id.0);
        }
    }

    /// Removes an entry.
    pub fn remove(&mut self, id: TimerId) {
        if self.entries[id.0 as usize].slot != NONE {
            self.unlink(id.0);
            self.free(id.0);
        }
    }

    /// Removes one entry that is due and gives its key back; `None` when none is due any more.
    pub fn poll(&mut self, now: u32) -> Option<K> {
        self.now = self.now.max(now);
        // After a long sleep one round finds all there is.
        self.at = self.at.max(self.now.saturating_sub(SLOTS as u32));
        loop {
            while self.scan != NONE {
                let id = self.scan;
                let Entry { key, due, next, .. } = self.entries[id as usize];
                self.scan = next;
                if due <= self.now {
                    self.unlink(id);
                    self.free(id);
                    return Some(key);
                }
            }
            match self.next_occupied() {
                Some(tick) if tick <= self.now => self.at = tick,
                _ => {
                    self.at = self.now;
                    return None;
                }
            }
            self.scan = self.slots[self.at as usize % SLOTS];
        }
    }

    /// The earliest tick at which [`poll`](Self::poll) may find something; `None` when empty.
    ///
    /// An idle owner may sleep until then. An entry further away than the wheel is round may wake it
    /// in vain, once in a round.
    pub fn next_due(&self) -> Option<u32> {
        match self.scan {
            NONE => self.next_occupied(),
            _ => Some(self.at),
        }
    }

    /// The first tick after `at` whose slot is not empty.
    fn next_occupied(&self) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        let first = self.at.wrapping_add(1) as usize % SLOTS;
        let word = |index: usize| self.occupied[index % self.occupied.len()];
        // The first word is looked at twice: from `first` upwards now, below it at the end.
        let mut bits = word(first / 64) & (u64::MAX << (first % 64));
        for step in 0..=self.occupied.len() {
            if bits != 0 {
                let slot = (first / 64 + step) * 64 + bits.trailing_zeros() as usize;
                return Some(self.at.saturating_add(1 + (slot - first) as u32));
            }
            bits = word(first / 64 + step + 1);
        }
        None
    }

    fn link(&mut self, id: u32) {
        let due = self.entries[id as usize].due;
        // Not into a slot that has been looked through: it would be found a whole round late.
        let slot = due.max(self.now.saturating_add(1)) as usize % SLOTS;
        let head = self.slots[slot];
        let entry = &mut self.entries[id as usize];
        entry.slot = slot as u32;
        entry.previous = NONE;
        entry.next = head;
        if head != NONE {
            self.entries[head as usize].previous = id;
        }
        self.slots[slot] = id;
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    fn unlink(&mut self, id: u32) {
        let Entry {
            slot,
            previous,
            next,
            ..
        } = self.entries[id as usize];
        if self.scan == id {
            self.scan = next;
        }
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        if previous != NONE {
            self.entries[previous as usize].next = next;
            return;
        }
        self.slots[slot as usize] = next;
        if next == NONE {
            self.occupied[slot as usize / 64] &= !(1 << (slot % 64));
        }
    }

    fn free(&mut self, id: u32) {
        let entry = &mut self.entries[id as usize];
        entry.slot = NONE;
        entry.next = self.unused;
        self.unused = id;
        self.count -= 1;
    }
}

/// At 100 ms a tick the wheel is round after 204 s: longer than the default timers.
const SLOTS: usize = 2048;
const NONE: u32 = u32::MAX;
const _: () = assert!(SLOTS.is_multiple_of(64));
