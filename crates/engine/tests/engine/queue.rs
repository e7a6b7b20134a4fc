//! The request queue: http-server-api §4, cases Q01, Q03, Q17, Q20; design, operating modes.

use std::time::{Duration, Instant};

use tidegate_engine::{Admitted, Refusal, RequestQueue, Unavailable};
use tidegate_httpapi::{EnabledState, OperatingMode, QueueProperties, Verbosity503};

fn of_length(queue_length: u32) -> QueueProperties {
    let mut properties = QueueProperties::default();
    properties.queue_length = queue_length;
    properties
}

fn high_perf(queue_length: u32, places: u32) -> RequestQueue<u32> {
    let mut properties = of_length(queue_length);
    properties.operating_mode = OperatingMode::HighPerf;
    properties.thread_pool_size = places;
    properties.accepts_per_worker = 1;
    RequestQueue::new(&properties)
}

fn enqueue(queue: &mut RequestQueue<u32>, request: u32) -> Result<(), (u32, Unavailable)> {
    queue.enqueue(request, Instant::now(), None)
}

fn admit(queue: &mut RequestQueue<u32>, request: u32) -> Result<Admitted<u32>, (u32, Unavailable)> {
    queue.admit(request, Instant::now(), None)
}

#[test]
fn q01_queue_of_two_refuses_the_third() {
    let mut queue = RequestQueue::new(&of_length(2));
    enqueue(&mut queue, 1).unwrap();
    enqueue(&mut queue, 2).unwrap();
    for request in [3, 4] {
        let refused = enqueue(&mut queue, request).unwrap_err();
        assert_eq!(refused, (request, Unavailable::QueueFull));
    }
    let cause = Unavailable::QueueFull;
    assert_eq!(cause.log_reason(), "QueueFull");
    let page = Refusal::Page {
        reason_phrase: "Service Unavailable",
    };
    assert_eq!(cause.answer(Verbosity503::Limited), page);
    assert_eq!(cause.answer(Verbosity503::Basic), Refusal::Reset);
    assert_eq!(
        (queue.take(), queue.take(), queue.take()),
        (Some(1), Some(2), None)
    );
    enqueue(&mut queue, 5).unwrap();
}

#[test]
fn q03_lowering_the_length_evicts_nobody() {
    let mut queue = RequestQueue::new(&of_length(1000));
    for request in 0..5 {
        enqueue(&mut queue, request).unwrap();
    }
    queue.set_properties(&of_length(2));
    assert_eq!(enqueue(&mut queue, 5), Err((5, Unavailable::QueueFull)));
    for request in 0..5 {
        assert_eq!(queue.take(), Some(request));
    }
    queue.set_properties(&of_length(1));
    enqueue(&mut queue, 6).unwrap();
    assert!(enqueue(&mut queue, 7).is_err());
    queue.set_properties(&of_length(2));
    enqueue(&mut queue, 7).unwrap();
}

#[test]
fn q17_inactive_queue_refuses_new_requests_and_keeps_the_old() {
    let mut queue = RequestQueue::new(&of_length(10));
    enqueue(&mut queue, 1).unwrap();
    let mut properties = of_length(10);
    properties.state = EnabledState::Disabled;
    queue.set_properties(&properties);
    assert_eq!(enqueue(&mut queue, 2), Err((2, Unavailable::Disabled)));
    assert_eq!(admit(&mut queue, 2), Err((2, Unavailable::Disabled)));
    assert_eq!(queue.take(), Some(1));
    assert!(!queue.acquire());
    queue.set_properties(&of_length(10));
    assert!(queue.acquire());
}

#[test]
fn closed_queue_gives_back_who_waits() {
    let mut queue = high_perf(10, 1);
    assert_eq!(admit(&mut queue, 1), Ok(Admitted::Dispatch(1)));
    assert_eq!(admit(&mut queue, 2), Ok(Admitted::Queued));
    assert_eq!(admit(&mut queue, 3), Ok(Admitted::Queued));
    assert_eq!(queue.close(), [2, 3]);
    assert_eq!(admit(&mut queue, 4), Err((4, Unavailable::AppShutdown)));
    assert_eq!(queue.finish(), None);
    assert_eq!(queue.with_application(), 0);
    queue.set_properties(&of_length(10));
    assert!(!queue.acquire());
    assert_eq!(queue.next_expiry(), None);
}

#[test]
fn requests_beyond_the_places_wait_and_then_are_refused() {
    let mut queue = high_perf(2, 3);
    for request in 0..3 {
        assert_eq!(admit(&mut queue, request), Ok(Admitted::Dispatch(request)));
    }
    assert_eq!(admit(&mut queue, 3), Ok(Admitted::Queued));
    assert_eq!(admit(&mut queue, 4), Ok(Admitted::Queued));
    assert_eq!(admit(&mut queue, 5), Err((5, Unavailable::QueueFull)));
    assert!(!queue.acquire());
    assert_eq!(queue.finish(), Some(3));
    assert_eq!((queue.with_application(), queue.len()), (3, 1));
    assert_eq!(queue.finish(), Some(4));
    assert_eq!(queue.finish(), None);
    assert_eq!((queue.with_application(), queue.len()), (2, 0));
    assert_eq!(admit(&mut queue, 6), Ok(Admitted::Dispatch(6)));
}

#[test]
fn nobody_overtakes_those_who_wait() {
    let mut queue = high_perf(10, 2);
    enqueue(&mut queue, 1).unwrap();
    assert_eq!(admit(&mut queue, 2), Ok(Admitted::Queued));
    assert!(!queue.acquire());
    assert_eq!(queue.take(), Some(1));
    assert_eq!(queue.take(), Some(2));
    assert_eq!(queue.take(), None);
}

#[test]
fn place_taken_for_a_batch_counts() {
    let mut queue = high_perf(10, 1);
    assert!(queue.acquire());
    assert_eq!(admit(&mut queue, 1), Ok(Admitted::Queued));
    assert!(!queue.acquire());
    assert_eq!(queue.finish(), Some(1));
    assert_eq!(queue.with_application(), 1);
}

#[test]
fn classic_is_limited_by_its_handler_threads_alone() {
    let mut queue = RequestQueue::new(&of_length(1000));
    for request in 0..1000 {
        enqueue(&mut queue, request).unwrap();
    }
    for request in 0..1000 {
        assert_eq!(queue.take(), Some(request));
    }
    assert_eq!(queue.with_application(), 1000);
}

#[test]
fn q20_request_that_waits_too_long_expires() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut queue = RequestQueue::new(&of_length(10));
    queue.enqueue(1, start, Some(3 * second)).unwrap();
    queue.enqueue(2, start, None).unwrap();
    queue.enqueue(3, start, Some(second)).unwrap();
    queue.enqueue(4, start + second, Some(second)).unwrap();
    queue.enqueue(5, start, Some(Duration::MAX)).unwrap();
    assert_eq!(queue.next_expiry(), Some(start + second));
    assert!(queue.expire(start + second / 2).is_empty());
    assert_eq!(queue.expire(start + second), [3]);
    assert_eq!(queue.next_expiry(), Some(start + 2 * second));
    assert_eq!(queue.expire(start + 10 * second), [1, 4]);
    assert_eq!(queue.next_expiry(), None);
    assert_eq!((queue.take(), queue.take()), (Some(2), Some(5)));
}

#[test]
fn withdrawn_request_makes_room() {
    let mut queue = RequestQueue::new(&of_length(3));
    for request in 1..=3 {
        enqueue(&mut queue, request).unwrap();
    }
    assert_eq!(queue.withdraw(|&request| request == 2), Some(2));
    assert_eq!(queue.withdraw(|&request| request == 2), None);
    enqueue(&mut queue, 4).unwrap();
    assert_eq!(
        (queue.take(), queue.take(), queue.take()),
        (Some(1), Some(3), Some(4))
    );
    assert!(queue.is_empty());
}
