//! Flushes, and what is told of the cache. Case C17.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_driver::Io;
use tidegate_httpapi::{Backend, CacheFlush, CachePolicy, CacheUrl, OperatingMode, RequestQueueId};
use tidegate_wire::{Server, held, on_both_loops, on_both_loops_in_both_modes, until};

use super::{for_seconds, get, making, numbering, request, text};

on_both_loops!(
    c17_a_tree_goes_by_segments,
    one_url_goes_with_its_query,
    everything_goes,
    only_the_owner_flushes_what_is_his,
    what_is_no_url_is_refused,
    what_is_stored_is_told,
);

on_both_loops_in_both_modes!(
    what_was_being_made_is_not_stored,
    who_asks_after_a_flush_gets_what_is_new,
);

fn url(url: &str) -> CacheUrl {
    CacheUrl::parse(url).unwrap()
}

/// Has these paths of `localhost` stored.
fn store(server: &Server, paths: &[&str]) {
    let mut client = server.client();
    for path in paths {
        get(&mut client, path, &[]);
    }
}

/// The paths that are stored.
fn stored(server: &Server) -> Vec<String> {
    let responses = server.backend.cached_responses();
    let path = |url: &str| {
        url[url.find("//").unwrap() + 2..]
            .split_once('/')
            .unwrap()
            .1
            .to_owned()
    };
    responses
        .iter()
        .map(|response| path(&response.url))
        .collect()
}

fn c17_a_tree_goes_by_segments(io: Io) {
    let server = Server::start(io);
    let (application, calls) = numbering(CachePolicy::UserInvalidates);
    server.serve("localhost/", application);
    let paths = ["/a", "/a/", "/a/b", "/a/b?c", "/ab", "/A/d", "/b"];
    store(&server, &paths);
    let flush = CacheFlush::Tree(url(&format!("http://localhost:{}/a/", server.port)));
    assert_eq!(server.backend.flush_cache(None, &flush).unwrap(), 5);
    assert_eq!(stored(&server), ["ab", "b"]);
    assert_eq!(calls.count(), 7);
    store(&server, &paths);
    assert_eq!(calls.count(), 12);
    // The path alone means it at any host; its last slash does not count.
    assert_eq!(
        server
            .backend
            .flush_cache(None, &CacheFlush::Tree(url("/a")))
            .unwrap(),
        5
    );
    let elsewhere = CacheFlush::Tree(url(&format!("http://other:{}/", server.port)));
    assert_eq!(server.backend.flush_cache(None, &elsewhere).unwrap(), 0);
    assert_eq!(
        server
            .backend
            .flush_cache(None, &CacheFlush::Tree(url("/")))
            .unwrap(),
        2
    );
}

fn one_url_goes_with_its_query(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", numbering(CachePolicy::UserInvalidates).0);
    store(&server, &["/a", "/a?x", "/a/b", "/%C3%A4%20"]);
    let flushed = |target: &str| {
        let flush = CacheFlush::Url(url(target));
        server.backend.flush_cache(None, &flush).unwrap()
    };
    assert_eq!(flushed("/a?y"), 0);
    assert_eq!(flushed("/a?x"), 1);
    assert_eq!(flushed("/c/../a"), 1);
    assert_eq!(flushed("/a"), 0);
    // As people write it.
    assert_eq!(flushed("/ä "), 1);
    assert_eq!(stored(&server), ["a/b"]);
}

fn everything_goes(io: Io) {
    let server = Server::start(io);
    let (application, calls) = numbering(CachePolicy::UserInvalidates);
    server.serve("localhost/", application);
    assert_eq!(
        server.backend.flush_cache(None, &CacheFlush::All).unwrap(),
        0
    );
    store(&server, &["/a", "/b", "/a"]);
    assert_eq!(
        server.backend.flush_cache(None, &CacheFlush::All).unwrap(),
        2
    );
    assert_eq!(server.backend.cached_responses(), []);
    let counters = server.backend.cache_counters();
    assert_eq!((counters.cached, counters.flushed), (0, 2));
    // Those who have served it let it go.
    until("memory is given back", || {
        server.backend.cache_counters().bytes == 0
    });
    store(&server, &["/a"]);
    assert_eq!(calls.count(), 3);
}

fn only_the_owner_flushes_what_is_his(io: Io) {
    let server = Server::start(io);
    let own = server.serve("localhost/own/", numbering(CachePolicy::UserInvalidates).0);
    let other = server.serve("localhost/", numbering(CachePolicy::UserInvalidates).0);
    store(&server, &["/own/a", "/a"]);
    let all = CacheFlush::Tree(url("/"));
    assert_eq!(
        server
            .backend
            .flush_cache(Some(RequestQueueId(9_999)), &all)
            .unwrap(),
        0
    );
    assert_eq!(
        server.backend.flush_cache(Some(own.queue), &all).unwrap(),
        1
    );
    assert_eq!(stored(&server), ["a"]);
    assert_eq!(
        server
            .backend
            .flush_cache(Some(other.queue), &CacheFlush::All)
            .unwrap(),
        1
    );
    assert_eq!(stored(&server), [] as [String; 0]);
}

fn what_is_no_url_is_refused(io: Io) {
    let server = Server::start(io);
    for wrong in ["/%00", "/%zz"] {
        let flush = CacheFlush::Url(url(wrong));
        assert!(server.backend.flush_cache(None, &flush).is_err(), "{wrong}");
    }
    // A tree has no query.
    let flush = CacheFlush::Tree(url("/a?b"));
    assert!(server.backend.flush_cache(None, &flush).is_err());
}

fn what_is_stored_is_told(io: Io) {
    let server = Server::start(io);
    let (application, _) = making(|_, head| {
        let policy = match head.cooked_path {
            "/a" => for_seconds(1000),
            _ => CachePolicy::UserInvalidates,
        };
        let (mut answer, body) = text(policy, "12345");
        answer
            .fields
            .append("Content-Encoding", "identity")
            .unwrap();
        (answer, body)
    });
    let place = server.serve("+/", application);
    for _ in 0..3 {
        server.get("Some.Host:1", "/a");
    }
    server.get("localhost", "/b?c");
    until("hits are counted", || {
        server.backend.cache_counters().hits == 2
    });
    let responses = server.backend.cached_responses();
    let of = |host: &str, rest: &str| format!("http://{host}:{}/{rest}", server.port);
    let [b, a] = &responses[..] else {
        panic!("{responses:?}");
    };
    assert_eq!(
        (&a.url, &b.url),
        (&of("some.host", "a"), &of("localhost", "b?c"))
    );
    assert_eq!((a.policy, a.hits, a.status), (for_seconds(1000), 2, 200));
    let left = a.time_left.unwrap();
    assert!(left <= Duration::from_secs(1000) && left > Duration::from_secs(900));
    assert_eq!((b.time_left, b.hits), (None, 0));
    assert_eq!(a.content_type, "text/plain");
    assert_eq!(a.content_encoding.as_deref(), Some("identity"));
    assert_eq!(
        (a.queue, a.content_bytes, a.force_disconnect),
        (place.queue, 5, false)
    );
    let head = server
        .get("localhost", "/b?c")
        .head
        .replace("Connection: close\r\n", "");
    assert_eq!(b.head_bytes, head.len() + 28);
    assert!(a.created.elapsed().unwrap() < Duration::from_secs(100));
    let counters = || server.backend.cache_counters();
    until("hits are counted", || {
        counters().queue_hits == [(place.queue, 3)]
    });
    // Only one request asked in vain while there was anything.
    assert_eq!((counters().added, counters().misses), (2, 1));
}

fn what_was_being_made_is_not_stored(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, held) = held();
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    for (flush, is_stored) in [
        (CacheFlush::All, false),
        (CacheFlush::Url(url("/a")), false),
        (CacheFlush::Tree(url("/b")), true),
    ] {
        client.send(request("GET", "/a", &[]));
        let deferred = held.next();
        server.backend.flush_cache(None, &flush).unwrap();
        let (head, body) = text(CachePolicy::UserInvalidates, "old");
        deferred.responder.respond(head, body);
        assert_eq!(client.response().text(), "old");
        let cached = server.backend.cache_counters().cached;
        assert_eq!(cached, u64::from(is_stored), "{flush:?}");
    }
}

fn who_asks_after_a_flush_gets_what_is_new(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let current = Arc::new(Mutex::new(0));
    let read = Arc::clone(&current);
    let (application, _) = making(move |_, _| {
        text(
            CachePolicy::UserInvalidates,
            read.lock().unwrap().to_string(),
        )
    });
    server.serve_in(mode, "localhost/", application);
    let mut clients: Vec<_> = (0..6).map(|_| server.client()).collect();
    for number in 0..40 {
        *current.lock().unwrap() = number;
        server
            .backend
            .flush_cache(None, &CacheFlush::Url(url("/")))
            .unwrap();
        for client in &mut clients {
            assert_eq!(get(client, "/", &[]).text(), number.to_string());
        }
    }
}
