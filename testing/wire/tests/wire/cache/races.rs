//! Many at once: nobody gets another URL's copy, nor one from before a flush that has returned; and memory
//! stays within its bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tidegate_driver::Io;
use tidegate_httpapi::{Backend, Body, CacheFlush, CachePolicy, CacheUrl, OperatingMode};
use tidegate_wire::{Http2, Server, on_both_loops, on_both_loops_in_both_modes, until};

use super::{get, making, text, typed};

on_both_loops_in_both_modes!(nobody_gets_what_is_another_s_or_was_flushed);

on_both_loops!(
    memory_stays_within_its_bound,
    what_is_asked_for_once_does_not_drive_out_the_rest,
);

const URLS: usize = 6;
const ROUNDS: usize = 150;

fn nobody_gets_what_is_another_s_or_was_flushed(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    // What the application knows, and up to where flushes have returned.
    let current: Arc<Vec<AtomicU64>> = Arc::new((0..URLS).map(|_| AtomicU64::new(0)).collect());
    let flushed: Vec<AtomicU64> = (0..URLS).map(|_| AtomicU64::new(0)).collect();
    let known = Arc::clone(&current);
    let (application, _) = making(move |_, head| {
        let path = head.cooked_path;
        let Ok(url) = path[1..].parse::<usize>() else {
            return (typed(200), Body::Static(b"not stored"));
        };
        let version = known[url].load(Ordering::SeqCst);
        // Lengths differ, so that a part of one would be seen in another.
        let padding = "x".repeat(url * 700);
        text(
            CachePolicy::UserInvalidates,
            format!("{path} {version} {padding}"),
        )
    });
    server.serve_in(mode, "localhost/", application);
    let check = |url: usize, at_least: u64, content: &str| {
        let (path, rest) = content.split_once(' ').unwrap();
        let (version, padding) = rest.split_once(' ').unwrap();
        assert_eq!(
            (path, padding.len()),
            (format!("/{url}").as_str(), url * 700)
        );
        let version: u64 = version.parse().unwrap();
        assert!(
            version >= at_least,
            "{version} of {url} after {at_least} was flushed"
        );
    };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|reader| {
                let (server, flushed, check) = (&server, &flushed, &check);
                scope.spawn(move || {
                    let mut client = server.client();
                    let mut peer = Http2::connect(server);
                    for round in 0..ROUNDS {
                        let url = (round * 7 + reader) % URLS;
                        let at_least = flushed[url].load(Ordering::SeqCst);
                        let response = get(&mut client, &format!("/{url}"), &[]);
                        check(url, at_least, response.text());
                        if round % 5 == 0 {
                            let at_least = flushed[url].load(Ordering::SeqCst);
                            let answer = peer.get(&format!("/{url}"));
                            check(url, at_least, answer.text());
                            assert_eq!(get(&mut client, "/none", &[]).text(), "not stored");
                        }
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (server, current, flushed, is_over) = (&server, &current, &flushed, &is_over);
                scope.spawn(move || {
                    let mut round = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        // Each writes its own, so that versions are in order.
                        let url = (round * 2 + writer) % URLS;
                        let version = current[url].fetch_add(1, Ordering::SeqCst) + 1;
                        let flush = match round % 10 {
                            0 => CacheFlush::All,
                            1 => CacheFlush::Tree(CacheUrl::parse("/").unwrap()),
                            _ => CacheFlush::Url(CacheUrl::parse(&format!("/{url}")).unwrap()),
                        };
                        server.backend.flush_cache(None, &flush).unwrap();
                        flushed[url].store(version, Ordering::SeqCst);
                        round += 1;
                        std::thread::yield_now();
                    }
                })
            })
            .collect();
        let read: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        read.into_iter().for_each(|reader| reader.unwrap());
    });
    let counters = server.backend.cache_counters();
    assert!(counters.added > 0, "{counters:?}");
}

fn memory_stays_within_its_bound(io: Io) {
    let server = Server::start_with(io, |settings| settings.cache.total_bytes_max = 1 << 20);
    let (application, _) =
        making(|call, _| text(CachePolicy::UserInvalidates, format!("{call:>50000}")));
    server.serve("localhost/", application);
    let mut clients: Vec<_> = (0..4).map(|_| server.client()).collect();
    let counters = || server.backend.cache_counters();
    for number in 0..400 {
        let client = &mut clients[number % 4];
        assert_eq!(
            get(client, &format!("/?{number}"), &[]).content.len(),
            50_000
        );
        let bytes = counters().bytes;
        assert!(bytes <= 1 << 20, "{bytes}");
    }
    let last = counters();
    assert!(last.cached >= 10 && last.evicted >= 200, "{last:?}");
    // What is too large for all is sent all the same.
    server.backend.flush_cache(None, &CacheFlush::All).unwrap();
    until("memory is given back", || counters().bytes == 0);
}

fn what_is_asked_for_once_does_not_drive_out_the_rest(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.cache.total_bytes_max = 1 << 20;
        settings.io_threads = Some(1);
    });
    let (application, _) =
        making(|call, _| text(CachePolicy::UserInvalidates, format!("{call:>10000}")));
    server.serve("localhost/", application);
    let mut client = server.client();
    let first = get(&mut client, "/asked", &[]).content;
    for number in 0..500 {
        get(&mut client, &format!("/?{number}"), &[]);
        assert!(get(&mut client, "/asked", &[]).content == first, "{number}");
    }
    assert!(server.backend.cache_counters().evicted > 300);
}
