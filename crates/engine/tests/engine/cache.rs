//! The response cache's table and what workers see of it. http-server-api §8.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_engine::{
    CacheKey, CacheReplica, CacheState, CacheStore, Candidate, FlushPattern, KeyedPath, NoRoom,
    PortKey, Wanted, admits_coding,
};
use tidegate_httpapi::{
    CacheLimits, CachePolicy, FieldSpan, Fields, KnownField, Registration, RequestQueueId,
    UrlPrefix,
};

use crate::random::{Random, for_seeds};

/// A store of texts, and time that the test moves.
struct Rig {
    store: CacheStore<String>,
    registration: Arc<Registration>,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        Self::with_limits(&CacheLimits::default())
    }

    fn with_limits(limits: &CacheLimits) -> Self {
        let prefix = UrlPrefix::parse("http://+:80/").unwrap();
        Self {
            store: CacheStore::new(limits, RandomState::new()),
            registration: Arc::new(Registration { prefix, context: 0 }),
            now: Instant::now(),
        }
    }

    fn wanted<'a>(&'a self, path: &'a str) -> Wanted<'a> {
        Wanted {
            port: PortKey::Tcp(80),
            registration: &self.registration,
            queue: RequestQueueId(1),
            host: b"h",
            path: KeyedPath::Cooked(path),
            query: None,
        }
    }

    fn hash(&self, path: &str) -> u64 {
        self.wanted(path).hash(self.store.build())
    }

    fn put_with(
        &mut self,
        path: &str,
        text: &str,
        policy: CachePolicy,
        began: CacheState,
    ) -> Result<(), NoRoom> {
        let wanted = self.wanted(path);
        let candidate = Candidate {
            hash: wanted.hash(self.store.build()),
            key: CacheKey::of(&wanted),
            response: text.to_owned(),
            response_bytes: text.len(),
            policy,
            began,
        };
        self.store.insert(candidate, self.now)
    }

    fn put(&mut self, path: &str, text: &str) -> Result<(), NoRoom> {
        let began = self.store.state();
        self.put_with(path, text, CachePolicy::UserInvalidates, began)
    }

    fn put_for(&mut self, path: &str, seconds: u64) {
        let policy = CachePolicy::TimeToLive(Duration::from_secs(seconds));
        let began = self.store.state();
        self.put_with(path, path, policy, began).unwrap();
    }

    /// What a worker would be served that knows only its replica.
    fn served(&self, replica: &CacheReplica<String>, path: &str) -> Option<String> {
        let entry = replica.at(replica.find(self.hash(path))?)?;
        let is_right = entry.key.is_of(&self.wanted(path)) && entry.is_fresh(self.now);
        is_right.then(|| entry.response.clone())
    }

    fn stored(&self, path: &str) -> Option<String> {
        let entry = self.store.find(&self.wanted(path))?;
        entry.is_fresh(self.now).then(|| entry.response.clone())
    }
}

#[test]
fn what_is_stored_is_served_until_it_is_replaced_or_flushed() {
    let mut rig = Rig::new();
    let mut replica = CacheReplica::default();
    assert!(!rig.store.state().is_occupied() && replica.is_empty());
    rig.put("/a", "first").unwrap();
    assert!(rig.store.state().is_occupied());
    assert_eq!(rig.served(&replica, "/a"), None);
    replica.update(&rig.store);
    assert_eq!(rig.served(&replica, "/a").as_deref(), Some("first"));
    // The last writer wins; who has not heard of it serves neither.
    rig.put("/a", "second").unwrap();
    assert_eq!(rig.served(&replica, "/a"), None);
    replica.update(&rig.store);
    assert_eq!(rig.served(&replica, "/a").as_deref(), Some("second"));
    assert_eq!(
        rig.store.flush(FlushPattern::url(None, None, "/a", None)),
        1
    );
    assert_eq!(rig.served(&replica, "/a"), None);
    assert!(!rig.store.state().is_occupied());
    replica.update(&rig.store);
    assert!(replica.is_empty());
    let totals = rig.store.totals();
    assert_eq!((totals.cached, totals.added, totals.flushed), (0, 2, 1));
}

#[test]
fn a_time_to_live_ends() {
    let mut rig = Rig::new();
    rig.put_for("/a", 10);
    rig.now += Duration::from_millis(9_999);
    assert!(rig.stored("/a").is_some());
    let left = rig.store.entries().next().unwrap().time_left(rig.now);
    assert_eq!(left, Some(Duration::from_millis(1)));
    rig.now += Duration::from_millis(1);
    assert_eq!(rig.stored("/a"), None);
    // One so long that it cannot be told.
    let began = rig.store.state();
    let policy = CachePolicy::TimeToLive(Duration::MAX);
    rig.put_with("/b", "b", policy, began).unwrap();
    rig.now += Duration::from_secs(60 * 60 * 24 * 365);
    assert!(rig.stored("/b").is_some());
}

#[test]
fn the_scavenger_drops_what_nobody_asks_for() {
    let mut rig = Rig::new();
    let mut replica = CacheReplica::default();
    for path in ["/asked", "/idle", "/old"] {
        let seconds = if path == "/old" { 100 } else { 1000 };
        rig.put_for(path, seconds);
    }
    rig.put("/kept", "kept").unwrap();
    replica.update(&rig.store);
    rig.now += Duration::from_secs(60);
    replica.count_hit(replica.find(rig.hash("/asked")).unwrap());
    replica.hand_on_hits(rig.now, |_, hits| assert_eq!(hits, 1));
    rig.store.scavenge(rig.now + Duration::from_secs(39));
    assert_eq!(rig.store.totals().cached, 4);
    rig.now += Duration::from_secs(60);
    rig.store.scavenge(rig.now);
    assert!(rig.stored("/asked").is_some() && rig.stored("/kept").is_some());
    assert_eq!(rig.store.totals().cached, 2);
    assert_eq!(rig.store.totals().scavenged, 2);
    rig.now += Duration::from_secs(1_000_000);
    rig.store.scavenge(rig.now);
    assert_eq!(rig.store.totals().cached, 1);
    assert!(rig.stored("/kept").is_some());
}

#[test]
fn an_answer_that_was_being_made_while_it_was_flushed_is_not_stored() {
    let mut rig = Rig::new();
    let policy = CachePolicy::UserInvalidates;
    let began = rig.store.state();
    // Nothing is there to be flushed, and yet the flush counts.
    assert_eq!(rig.store.flush(FlushPattern::tree(None, None, "/a/")), 0);
    let stored = rig.put_with("/a/b", "old", policy, began);
    assert_eq!(stored, Err(NoRoom::Flushed));
    assert_eq!(rig.put_with("/b", "b", policy, began), Ok(()));
    let began = rig.store.state();
    assert_eq!(rig.put_with("/a/b", "new", policy, began), Ok(()));
}

#[test]
fn what_has_lost_its_owner_goes() {
    let mut rig = Rig::new();
    rig.put("/a", "a").unwrap();
    let former = Arc::clone(&rig.registration);
    rig.registration = Arc::new(Registration {
        prefix: former.prefix.clone(),
        context: 0,
    });
    // The same prefix, registered anew: routing leads to another registration.
    assert_eq!(rig.stored("/a"), None);
    rig.put("/a", "new").unwrap();
    let queue = RequestQueueId(1);
    let now = Arc::clone(&rig.registration);
    rig.store.retain(|key| key.is_owned_by(&now, queue));
    assert_eq!(rig.store.totals().cached, 1);
    assert_eq!(rig.stored("/a").as_deref(), Some("new"));
    rig.store
        .retain(|key| key.is_owned_by(&now, RequestQueueId(2)));
    assert_eq!(rig.store.totals().cached, 0);
    assert_eq!(rig.store.totals().flushed, 2);
}

fn small() -> CacheLimits {
    let mut limits = CacheLimits::default();
    limits.total_bytes_max = 1 << 20;
    limits
}

#[test]
fn memory_is_bounded_and_what_is_asked_for_stays() {
    let limits = small();
    let mut rig = Rig::with_limits(&limits);
    let mut replica = CacheReplica::default();
    let text = "x".repeat(10_000);
    rig.put("/hot", &text).unwrap();
    for number in 0..2_000 {
        rig.now += Duration::from_millis(10);
        rig.put(&format!("/{number}"), &text).unwrap();
        replica.update(&rig.store);
        replica.count_hit(replica.find(rig.hash("/hot")).unwrap());
        replica.hand_on_hits(rig.now, |_, _| {});
        assert!(rig.store.totals().bytes <= limits.total_bytes_max);
    }
    let totals = rig.store.totals();
    assert!(totals.cached > 60 && totals.evicted > 1_800, "{totals:?}");
    assert_eq!(totals.added, totals.cached + totals.evicted);
    assert_eq!(rig.store.find(&rig.wanted("/hot")).unwrap().hits(), 2_000);
}

#[test]
fn what_workers_still_hold_counts() {
    let limits = small();
    let mut rig = Rig::with_limits(&limits);
    let mut replica = CacheReplica::default();
    let text = "x".repeat(100_000);
    let mut refused = 0;
    for number in 0..100 {
        let stored = rig.put(&format!("/{number}"), &text);
        assert!(rig.store.totals().bytes <= limits.total_bytes_max);
        match stored {
            // Nobody has let go what was evicted: there is no room until they do.
            Err(NoRoom::Undropped) => {
                refused += 1;
                replica.update(&rig.store);
                assert_eq!(rig.put(&format!("/{number}"), &text), Ok(()));
            }
            stored => assert_eq!(stored, Ok(())),
        }
        if number < 3 {
            replica.update(&rig.store);
        }
    }
    assert!(refused > 0);
    assert_eq!(rig.put("/all", &"x".repeat(1 << 20)), Err(NoRoom::TooLarge));
    drop(replica);
    rig.store.flush(FlushPattern::all(None));
    assert_eq!(rig.store.totals().bytes, 0);
}

#[test]
fn replacing_for_ever_leaves_nothing_behind() {
    let mut rig = Rig::with_limits(&small());
    for number in 0..100_000 {
        rig.put("/a", if number % 2 == 0 { "even" } else { "odd" })
            .unwrap();
    }
    assert_eq!(rig.store.totals().cached, 1);
    assert_eq!(rig.store.totals().evicted, 0);
}

/// A store and several workers beside a list: nobody is served what is not in it, and who is up to date
/// has all that is.
#[test]
fn workers_serve_what_is_stored() {
    for_seeds(60, |random| {
        let mut rig = Rig::new();
        let mut replicas: Vec<CacheReplica<String>> =
            (0..3).map(|_| CacheReplica::default()).collect();
        let mut model: Vec<Option<(String, Option<Instant>)>> = vec![None; PATHS];
        for step in 0..3_000 {
            walk(&mut rig, &mut model, random, step);
            let replica = random.below(replicas.len());
            if random.below(8) == 0 {
                let before = rig.store.state();
                assert!(random.below(2) == 0 || rig.put("/", "other").is_ok());
                replicas[replica].update(&rig.store);
                // Nor is it behind of what was earlier.
                assert!(!replicas[replica].is_behind(before));
                assert!(!replicas[replica].is_behind(rig.store.state()));
                check(&rig, &model, &replicas[replica], true);
            } else {
                check(&rig, &model, &replicas[replica], false);
            }
        }
    });
}

const PATHS: usize = 12;

fn path(index: usize) -> String {
    format!("/{}/{}", index % 3, index)
}

fn walk(
    rig: &mut Rig,
    model: &mut [Option<(String, Option<Instant>)>],
    random: &mut Random,
    step: usize,
) {
    let index = random.below(PATHS);
    match random.below(12) {
        0..=5 => {
            let text = step.to_string();
            rig.put(&path(index), &text).unwrap();
            model[index] = Some((text, None));
        }
        6..=7 => {
            let seconds = 1 + random.below(20) as u64;
            rig.put_for(&path(index), seconds);
            let expires = rig.now + Duration::from_secs(seconds);
            model[index] = Some((path(index), Some(expires)));
        }
        8 => {
            rig.store
                .flush(FlushPattern::url(None, None, &path(index), None));
            model[index] = None;
        }
        9 => {
            let tree = random.below(3);
            rig.store
                .flush(FlushPattern::tree(None, None, &format!("/{tree}/")));
            let below = |(index, place): (usize, &mut Option<_>)| {
                if index % 3 == tree {
                    *place = None;
                }
            };
            model.iter_mut().enumerate().for_each(below);
        }
        10 => rig.now += Duration::from_millis(random.below(3_000) as u64),
        _ => rig.store.scavenge(rig.now),
    }
}

fn check(
    rig: &Rig,
    model: &[Option<(String, Option<Instant>)>],
    replica: &CacheReplica<String>,
    is_up_to_date: bool,
) {
    for (index, place) in model.iter().enumerate() {
        let fresh = place
            .as_ref()
            .filter(|(_, expires)| expires.is_none_or(|expires| rig.now < expires))
            .map(|(text, _)| text.clone());
        // Whoever was not asked for in so long has gone before its time: never in so short a walk.
        let served = rig.served(replica, &path(index));
        if is_up_to_date || served.is_some() {
            assert_eq!(served, fresh, "{index}");
        }
    }
}

/// Whatever a peer sends is read: nothing of it is a panic, or takes long.
#[test]
fn odd_fields_and_paths_are_read() {
    let alphabet = b"a,;=q01.* %2Ff/\\?gzip-x\t\xFF";
    for_seeds(40, |random| {
        let mut bytes = b"accept-encoding".to_vec();
        let length = random.below(300);
        bytes.extend((0..length).map(|_| *random.pick(alphabet)));
        let line = FieldSpan {
            name_start: 0,
            value_start: 15,
            value_len: length as u32,
            name_len: 15,
            known: KnownField::Other,
        };
        let spans = [line];
        let fields = Fields::new(&bytes, &spans);
        let stored: Vec<u8> = (0..random.below(20))
            .map(|_| *random.pick(alphabet))
            .collect();
        admits_coding(&fields, Some(&stored));
        admits_coding(&fields, None);
        let cooked = String::from_utf8_lossy(&stored).into_owned();
        let keyed = KeyedPath::of(&bytes[15..], &cooked);
        assert_eq!(keyed.cooked(), cooked);
    });
}
