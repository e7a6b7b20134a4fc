//! A table of small states, one for each key, that never grows past its bound.
//!
//! What a peer can choose (its address, the user it claims to be) must not decide how much memory is used, nor
//! how long a look-up takes. So keys are hashed with a secret seed, each key has its place in one of two small
//! buckets, and when both are full the state that is closest to being fresh is forgotten: whoever has used up
//! most stays known. A stranger is never refused for lack of room. The table is cut into shards, each behind a
//! lock of its own, so that workers seldom meet. What the states mean is the users' matter.

use std::hash::Hasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use siphasher::sip::SipHasher13;

/// A moment: nanoseconds since the Unix epoch.
///
/// Whoever gives it takes the wall clock once and then goes by a clock that never goes back.
pub type Nanoseconds = u64;

/// Nanoseconds of a second.
pub const SECOND: Nanoseconds = 1_000_000_000;

/// What keys are hashed with. Secret, since who knows it can find keys that share a place.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Seed(pub [u64; 2]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Seed(secret)")
    }
}

/// A key of the table: the hash of what it stands for. Never zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key(u64);

impl Key {
    /// The key for `parts`, one after the other, of the kind `kind`.
    ///
    /// Parts cannot run into each other: their lengths are hashed as well.
    pub fn new(seed: Seed, kind: u32, parts: &[&[u8]]) -> Self {
        let mut hasher = SipHasher13::new_with_keys(seed.0[0], seed.0[1]);
        hasher.write_u32(kind);
        for part in parts {
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        Self(hasher.finish().max(1))
    }

    /// The key for a text, beside others that have another `kind`: all bits of a key, such as that of a rule.
    #[inline]
    pub fn of_text(seed: Seed, kind: Self, text: &str) -> Self {
        let mut hasher = SipHasher13::new_with_keys(seed.0[0], seed.0[1]);
        hasher.write(&kind.0.to_le_bytes());
        hasher.write(text.as_bytes());
        Self(hasher.finish().max(1))
    }

    /// The key for a network, beside others that have another `kind`: all bits of a key, such as that of a rule.
    #[inline]
    pub fn of_network(seed: Seed, kind: Self, network: Network) -> Self {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&kind.0.to_le_bytes());
        bytes[8..].copy_from_slice(&network.to_bytes());
        Self(
            SipHasher13::new_with_keys(seed.0[0], seed.0[1])
                .hash(&bytes)
                .max(1),
        )
    }

    /// The key of another state of the same, which can be [changed together](Table::with) with this one's. Of
    /// `index` 0 it is this key.
    #[inline]
    pub fn sibling(self, index: u32) -> Self {
        let apart = u64::from(index).wrapping_mul(MIX) & !(SHARDS as u64 - 1);
        match self.0 ^ apart {
            0 => Self(MIX),
            bits => Self(bits),
        }
    }

    /// All its bits, which are as good as random.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// Keys that are changed together are in the same shard.
    fn shard(self) -> usize {
        self.0 as usize % SHARDS
    }
}

/// Whom an address is counted with: an IPv4 address alone, an IPv6 address with the others of its network.
///
/// A subscriber is given a whole IPv6 network and could else take a new address for each request.
/// An IPv4 address that is written as an IPv6 one counts as the IPv4 address.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Network(u128);

impl Network {
    /// The network of an address, with `v6_bits` common bits for IPv6, 128 at most.
    #[inline]
    pub fn of(address: IpAddr, v6_bits: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => {
                let host_bits = 128 - u32::from(v6_bits.min(128));
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                Self(address.to_bits() & mask)
            }
        }
    }

    /// Its first address, an IPv4 address as an IPv6 one, in network order.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        Ipv6Addr::from_bits(self.0).to_canonical()
    }
}

/// The state of one key, and when it is no different from that of a key never seen.
///
/// What the first three mean is up to the kind of key; all zero is the state of a key never seen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cell {
    /// A moment.
    pub at: Nanoseconds,
    /// A number.
    pub count: u32,
    /// A number before that.
    pub previous: u32,
    /// Until when all is refused: seconds since the Unix epoch.
    pub until: u32,
    /// From when on this state may be forgotten: seconds since the Unix epoch.
    pub fresh_at: u32,
}

impl Cell {
    fn pack(self) -> [u64; 3] {
        [
            self.at,
            u64::from(self.count) | u64::from(self.previous) << 32,
            u64::from(self.until) | u64::from(self.fresh_at) << 32,
        ]
    }

    fn unpack([at, counts, times]: [u64; 3]) -> Self {
        Self {
            at,
            count: counts as u32,
            previous: (counts >> 32) as u32,
            until: times as u32,
            fresh_at: (times >> 32) as u32,
        }
    }
}

/// States by key, a bounded number of them.
pub struct Table {
    shards: Box<[Shard]>,
    seed: Seed,
}

/// Alone on its cache lines, so that workers at different shards do not disturb each other.
#[repr(align(128))]
struct Shard(
    /// Guards the shard's states. Nothing else is locked, called or waited for while it is held.
    Mutex<Slots>,
);

/// Buckets of eight hashes and then their eight states. Zero is an empty place, which stays one until it is used.
struct Slots {
    words: Vec<u64>,
    /// Where the first bucket begins, so that each begins with a cache line.
    start: usize,
    buckets: usize,
}

/// Where a key is: the words of its hash and of its state.
#[derive(Clone, Copy)]
struct Place {
    hash: usize,
    cell: usize,
}

const BUCKET: usize = 8;
const BUCKET_WORDS: usize = 4 * BUCKET;
const SHARDS: usize = 64;
/// Odd, with bits set all over: what is multiplied by it differs in its high bits.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// Least number of keys a table can be made for.
pub const KEYS_MIN: usize = BUCKET * SHARDS;

/// Bytes that a key takes.
pub const KEY_BYTES: usize = size_of::<u64>() + size_of::<[u64; 3]>();

impl Table {
    /// A table for `keys_max` keys, [`KEYS_MIN`] at least, rounded down to whole buckets.
    ///
    /// Takes [`KEY_BYTES`] for each; systems that give memory when it is first written to give it then.
    pub fn new(keys_max: usize, seed: Seed) -> Self {
        let buckets = (keys_max / KEYS_MIN).max(1);
        let shard = |_| Shard(Mutex::new(Slots::new(buckets)));
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            seed,
        }
    }

    /// What keys are hashed with.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// Most keys it holds.
    pub fn capacity(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().buckets * BUCKET)
            .sum()
    }

    /// How many keys it holds, those included whose state has become fresh.
    pub fn len(&self) -> usize {
        let held = |shard: &Shard| {
            let slots = shard.lock();
            slots
                .places()
                .filter(|place| slots.words[place.hash] != 0)
                .count()
        };
        self.shards.iter().map(held).sum()
    }

    /// Whether it holds no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `change` with the states of `keys`, which are changed together.
    ///
    /// All must be [siblings](Key::sibling). A state that is left fresh at `now` takes no place.
    #[inline]
    pub fn with<const COUNT: usize, Answer>(
        &self,
        keys: [Key; COUNT],
        now: Nanoseconds,
        change: impl FnOnce(&mut [Cell; COUNT]) -> Answer,
    ) -> Answer {
        const { assert!(COUNT > 0) };
        debug_assert!(keys.iter().all(|key| key.shard() == keys[0].shard()));
        let shard = &self.shards[keys[0].shard()];
        let now = (now / SECOND) as u32;
        let mut slots = shard.lock();
        let places = keys.map(|key| slots.find(key));
        let mut cells = places.map(|place| match place {
            Some(place) => slots.cell(place),
            None => Cell::default(),
        });
        let before = cells;
        let answer = change(&mut cells);
        for index in 0..COUNT {
            if cells[index] == before[index] {
                continue;
            }
            let place = match places[index] {
                Some(place) if slots.words[place.hash] == keys[index].0 => place,
                _ if cells[index].fresh_at <= now => continue,
                _ => slots.make_room(keys[index], now),
            };
            slots.put(place, keys[index], cells[index].pack());
        }
        answer
    }

    /// The state of a key; all zero for one never seen.
    pub fn peek(&self, key: Key) -> Cell {
        let slots = self.shards[key.shard()].lock();
        match slots.find(key) {
            Some(place) => slots.cell(place),
            None => Cell::default(),
        }
    }

    /// Calls `visit` with each key's bits and its state, where that is not fresh at `now`. Locks one shard at a
    /// time, and none while it calls.
    ///
    /// # Errors
    ///
    /// The first that `visit` returns; nothing is visited after it.
    pub fn visit<Error>(
        &self,
        now: Nanoseconds,
        mut visit: impl FnMut(u64, [u64; 3]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let now = (now / SECOND) as u32;
        let mut kept = Vec::new();
        for shard in &self.shards {
            {
                let slots = shard.lock();
                let held = slots
                    .places()
                    .map(|place| (slots.words[place.hash], slots.packed(place)));
                let is_kept = |cell: [u64; 3]| Cell::unpack(cell).fresh_at > now;
                kept.extend(held.filter(|(hash, cell)| *hash != 0 && is_kept(*cell)));
            }
            for (hash, cell) in kept.drain(..) {
                visit(hash, cell)?;
            }
        }
        Ok(())
    }

    /// Puts a state back that [`visit`](Self::visit) told of.
    pub fn restore(&self, bits: u64, cell: [u64; 3], now: Nanoseconds) {
        let (key, now) = (Key(bits), (now / SECOND) as u32);
        if bits == 0 || Cell::unpack(cell).fresh_at <= now {
            return;
        }
        let mut slots = self.shards[key.shard()].lock();
        let place = match slots.find(key) {
            Some(place) => place,
            None => slots.make_room(key, now),
        };
        slots.put(place, key, cell);
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Table").finish_non_exhaustive()
    }
}

impl Shard {
    fn lock(&self) -> std::sync::MutexGuard<'_, Slots> {
        // Each change of a state is whole at any moment, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn new(buckets: usize) -> Self {
        // Zeroed as one, systems give such memory when it is first written to.
        let words = vec![0_u64; (buckets + 1) * BUCKET_WORDS];
        // Where alignment cannot be told, buckets are cut by cache lines, and slower.
        let start = words.as_ptr().align_offset(64).min(BUCKET_WORDS);
        Self {
            words,
            start,
            buckets,
        }
    }

    /// The places of a bucket.
    fn bucket(&self, bucket: usize) -> impl Iterator<Item = Place> + use<> {
        let start = self.start + bucket * BUCKET_WORDS;
        (0..BUCKET).map(move |index| Place {
            hash: start + index,
            cell: start + BUCKET + 3 * index,
        })
    }

    fn places(&self) -> impl Iterator<Item = Place> + use<'_> {
        (0..self.buckets).flat_map(|bucket| self.bucket(bucket))
    }

    /// The two buckets that a key may be in. Of its bits the lowest chose the shard.
    fn homes(&self, key: Key) -> [usize; 2] {
        let scale = |bits: u64| ((bits as u32 as u64 * self.buckets as u64) >> 32) as usize;
        let other = key.0.wrapping_mul(MIX);
        [scale(key.0 >> 32), scale(other >> 32)]
    }

    #[inline]
    fn find(&self, key: Key) -> Option<Place> {
        let [first, second] = self.homes(key);
        for place in self.bucket(first) {
            match self.words[place.hash] {
                hash if hash == key.0 => return Some(place),
                // The second bucket is used when the first is full, and it has never been.
                0 => return None,
                _ => {}
            }
        }
        self.bucket(second)
            .find(|place| self.words[place.hash] == key.0)
    }

    fn packed(&self, place: Place) -> [u64; 3] {
        let cell = self.words[place.cell..].first_chunk();
        *cell.expect("a place has a whole state")
    }

    fn cell(&self, place: Place) -> Cell {
        Cell::unpack(self.packed(place))
    }

    fn put(&mut self, place: Place, key: Key, cell: [u64; 3]) {
        self.words[place.hash] = key.0;
        self.words[place.cell..place.cell + 3].copy_from_slice(&cell);
    }

    /// A place for a key that has none: an empty one, or that of the state which is fresh first.
    fn make_room(&self, key: Key, now: u32) -> Place {
        let homes = self.homes(key);
        let mut best: Option<(u32, Place)> = None;
        for place in homes.into_iter().flat_map(|home| self.bucket(home)) {
            if self.words[place.hash] == 0 {
                return place;
            }
            let fresh_at = self.cell(place).fresh_at;
            if fresh_at <= now {
                return place;
            }
            if best.is_none_or(|(first, _)| fresh_at < first) {
                best = Some((fresh_at, place));
            }
        }
        best.expect("buckets have places").1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Seed = Seed([1, 2]);

    fn key(number: u64) -> Key {
        Key::new(SEED, 0, &[&number.to_le_bytes()])
    }

    fn touch(table: &Table, number: u64, fresh_at: u32) {
        table.with([key(number)], SECOND, |[cell]| {
            cell.count += 1;
            cell.fresh_at = fresh_at;
        });
    }

    #[test]
    fn a_key_takes_32_bytes() {
        assert_eq!(KEY_BYTES, 32);
    }

    #[test]
    fn a_table_is_nearly_full_before_anything_is_forgotten() {
        let table = Table::new(100_000, SEED);
        let count = table.capacity() * 3 / 4;
        for number in 0..count as u64 {
            touch(&table, number, 100);
        }
        assert!(table.len() > count * 98 / 100, "{} of {count}", table.len());
    }

    #[test]
    fn the_state_closest_to_fresh_is_forgotten_and_others_stay() {
        let table = Table::new(10_000, SEED);
        for number in 0..1_000 {
            touch(&table, number, 1_000_000);
        }
        for number in 1_000..1_000_000 {
            touch(&table, number, 100);
        }
        assert!(table.len() <= table.capacity());
        let known = (0..1_000).filter(|number| table.peek(key(*number)).count == 1);
        assert_eq!(known.count(), 1_000);
    }

    #[test]
    fn a_fresh_state_takes_no_place_and_gives_its_place_up() {
        let table = Table::new(KEYS_MIN, SEED);
        touch(&table, 1, 1);
        assert!(table.is_empty());
        for number in 0..100_000 {
            touch(&table, number, 2);
        }
        let full = table.len();
        table.with([key(200_000)], 3 * SECOND, |[cell]| {
            cell.fresh_at = 4;
        });
        assert_eq!(table.len(), full);
        assert_eq!(table.peek(key(200_000)).fresh_at, 4);
    }

    #[test]
    fn parts_of_a_key_do_not_run_into_each_other() {
        assert_ne!(
            Key::new(SEED, 0, &[b"ab", b"c"]),
            Key::new(SEED, 0, &[b"a", b"bc"])
        );
        assert_ne!(Key::new(SEED, 0, &[b"a"]), Key::new(SEED, 1, &[b"a"]));
        assert_ne!(
            Key::new(SEED, 0, &[b"a"]),
            Key::new(Seed([2, 2]), 0, &[b"a"])
        );
    }

    #[test]
    fn addresses_of_a_network_count_as_one() {
        let of = |text: &str| Network::of(text.parse().unwrap(), 64);
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("192.0.2.1").address().to_string(), "192.0.2.1");
        assert_eq!(
            Network::of("2001:db8::1".parse().unwrap(), 0)
                .address()
                .to_string(),
            "::"
        );
    }
}
