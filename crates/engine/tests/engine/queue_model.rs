//! Random traffic through a request queue beside a list.

use std::time::{Duration, Instant};

use tidegate_engine::{Admitted, RequestQueue, Unavailable};
use tidegate_httpapi::{EnabledState, OperatingMode, QueueProperties};

use crate::random::{Random, for_seeds};

struct Model {
    waiting: Vec<(u64, Option<Instant>)>,
    length: usize,
    enabled: bool,
    closed: bool,
    inside: u32,
    places: u32,
}

impl Model {
    fn refusal(&self) -> Option<Unavailable> {
        match (self.closed, self.enabled) {
            (true, _) => Some(Unavailable::AppShutdown),
            (_, false) => Some(Unavailable::Disabled),
            _ => None,
        }
    }

    fn enqueue(&mut self, request: u64, expires: Option<Instant>) -> Option<Unavailable> {
        if let Some(cause) = self.refusal() {
            return Some(cause);
        }
        if self.waiting.len() >= self.length {
            return Some(Unavailable::QueueFull);
        }
        self.waiting.push((request, expires));
        None
    }

    fn take(&mut self) -> Option<u64> {
        if self.waiting.is_empty() || self.inside == self.places {
            return None;
        }
        self.inside += 1;
        Some(self.waiting.remove(0).0)
    }
}

fn properties(model: &Model) -> QueueProperties {
    let mut properties = QueueProperties::default();
    properties.queue_length = model.length as u32;
    properties.operating_mode = OperatingMode::HighPerf;
    properties.thread_pool_size = model.places;
    properties.accepts_per_worker = 1;
    properties.state = match model.enabled {
        true => EnabledState::Enabled,
        false => EnabledState::Disabled,
    };
    properties
}

fn step(
    queue: &mut RequestQueue<u64>,
    model: &mut Model,
    random: &mut Random,
    request: u64,
    now: Instant,
) {
    let timeout = (random.below(3) > 0).then(|| Duration::from_millis(random.below(50) as u64));
    let expires = timeout.map(|timeout| now + timeout);
    match random.below(40) {
        0..=9 => {
            let direct = model.refusal().is_none()
                && model.waiting.is_empty()
                && model.inside < model.places;
            let wanted = match direct {
                true => {
                    model.inside += 1;
                    Ok(Admitted::Dispatch(request))
                }
                false => match model.enqueue(request, expires) {
                    None => Ok(Admitted::Queued),
                    Some(cause) => Err((request, cause)),
                },
            };
            assert_eq!(queue.admit(request, now, timeout), wanted);
        }
        10..=17 => {
            let wanted = model.enqueue(request, expires);
            let got = queue.enqueue(request, now, timeout).err();
            assert_eq!(got, wanted.map(|cause| (request, cause)));
        }
        18..=23 => assert_eq!(queue.take(), model.take()),
        24..=31 if model.inside > 0 => {
            model.inside -= 1;
            assert_eq!(queue.finish(), model.take());
        }
        32 => {
            let wanted = model.refusal().is_none()
                && model.waiting.is_empty()
                && model.inside < model.places;
            model.inside += u32::from(wanted);
            assert_eq!(queue.acquire(), wanted);
        }
        33..=35 => {
            let is_over = |expires: Option<Instant>| expires.is_some_and(|expires| expires <= now);
            let all = std::mem::take(&mut model.waiting);
            let (expired, left): (Vec<_>, _) = all.into_iter().partition(|(_, at)| is_over(*at));
            model.waiting = left;
            let expired: Vec<u64> = expired.into_iter().map(|(request, _)| request).collect();
            assert_eq!(queue.expire(now), expired);
        }
        36 if !model.waiting.is_empty() => {
            let (gone, _) = model.waiting.remove(random.below(model.waiting.len()));
            assert_eq!(queue.withdraw(|&request| request == gone), Some(gone));
        }
        37 | 38 => {
            model.length = 1 + random.below(8);
            model.enabled = random.below(4) > 0;
            queue.set_properties(&properties(model));
        }
        39 if random.below(20) == 0 => {
            model.closed = true;
            let waiting: Vec<_> = model
                .waiting
                .drain(..)
                .map(|(request, _)| request)
                .collect();
            assert_eq!(queue.close(), waiting);
        }
        _ => {}
    }
}

#[test]
fn random_traffic_goes_as_the_list_says() {
    let start = Instant::now();
    for_seeds(500, |random| {
        let mut model = Model {
            waiting: Vec::new(),
            length: 1 + random.below(8),
            enabled: true,
            closed: false,
            inside: 0,
            places: 1 + random.below(4) as u32,
        };
        let mut queue = RequestQueue::new(&properties(&model));
        let mut now = start;
        for request in 0..300 {
            now += Duration::from_millis(random.below(4) as u64);
            step(&mut queue, &mut model, random, request, now);
            assert_eq!(queue.len(), model.waiting.len());
            assert_eq!(queue.with_application(), model.inside);
            assert!(queue.with_application() <= model.places);
            let earliest = model.waiting.iter().filter_map(|(_, at)| *at).min();
            if let Some(earliest) = earliest {
                assert!(queue.next_expiry().is_some_and(|expiry| expiry <= earliest));
            }
        }
    });
}
