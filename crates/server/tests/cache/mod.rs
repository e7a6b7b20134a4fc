//! Responses that the component has the driver keep.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tidegate::{CachePolicy, CacheSettings, CorsSettings, Error, FlushScope, Server};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};

/// Counts the calls of a handler.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicU32>);

impl Calls {
    fn add(&self) -> String {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        format!("call {number}")
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_response_is_kept_until_it_is_flushed() {
    in_each_setting(|builder, port| {
        let calls = Calls::default();
        let counted = calls.clone();
        let builder = builder.on_http_request(move |request, response| {
            if request.document() != "/none" {
                response.cache(CachePolicy::UserInvalidates);
            }
            response.text(counted.add());
        });
        let server = start(builder);
        let mut client = Client::connect(port);
        assert_eq!(client.get("/none").text(), "call 1");
        assert_eq!(client.get("/none").text(), "call 2");
        for _ in 0..5 {
            let answer = client.get("/a");
            assert_eq!(answer.text(), "call 3");
            let content_type = Some("text/plain; charset=utf-8");
            assert_eq!(answer.field("Content-Type"), content_type);
        }
        let part = client.request("GET", "/a", &["Range: bytes=0-3"], "");
        assert_eq!((part.status, part.text()), (206, "call"));
        assert_eq!(client.get("/a/b?c").text(), "call 4");
        assert_eq!(client.request("POST", "/a", &[], "").text(), "call 5");
        assert_eq!(calls.count(), 5);
        until("hits are counted", || server.cache_counters().hits == 5);
        let state = server.cache_state();
        let urls: Vec<_> = state.iter().map(|response| &*response.url).collect();
        let site = format!("http://127.0.0.1:{port}");
        assert_eq!(urls, [format!("{site}/a"), format!("{site}/a/b?c")]);
        assert_eq!((state[0].hits, state[0].content_bytes), (5, 6));
        assert!(server.flush_cache("/a?b", FlushScope::Tree).is_err());
        assert!(server.flush_cache("a", FlushScope::Url).is_err());
        assert_eq!(server.flush_cache("/a/", FlushScope::Url).unwrap(), 0);
        let url = format!("{site}/a");
        assert_eq!(server.flush_cache(&url, FlushScope::Url).unwrap(), 1);
        assert_eq!(client.get("/a").text(), "call 6");
        assert_eq!(server.flush_cache("/a", FlushScope::Tree).unwrap(), 2);
        assert_eq!(client.get("/a").text(), "call 7");
        assert_eq!(server.flush_whole_cache().unwrap(), 1);
        assert_eq!(server.cache_state(), []);
        drop(client);
        // What was kept is not there any more after a stop.
        let handle = server.clone();
        stop(server);
        assert!(matches!(handle.flush_whole_cache(), Err(Error::NotStarted)));
        assert_eq!(handle.cache_state(), []);
    });
}

#[test]
fn handlers_that_answer_later_may_have_a_response_kept() {
    in_each_setting(|builder, port| {
        let calls = Calls::default();
        let counted = calls.clone();
        let builder = builder.on_http_request_async(move |request, mut response| {
            let text = counted.add();
            async move {
                tokio::task::yield_now().await;
                if request.document() == "/stream" {
                    response
                        .content_type("text/plain")
                        .reader(std::io::Cursor::new(text));
                } else {
                    response.text(text);
                }
                response.cache(CachePolicy::TimeToLive(Duration::from_secs(1000)));
                response
            }
        });
        let server = start(builder);
        let mut client = Client::connect(port);
        for _ in 0..4 {
            assert_eq!(client.get("/").text(), "call 1");
        }
        // What comes piece by piece is not.
        assert_eq!(client.get("/stream").text(), "call 2");
        assert_eq!(client.get("/stream").text(), "call 3");
        let state = server.cache_state();
        assert!(state[0].time_left.unwrap() > Duration::from_secs(900));
        drop(client);
        stop(server);
    });
}

#[test]
fn a_handler_flushes_what_it_changes() {
    in_each_setting(|builder, port| {
        let handle: Arc<OnceLock<Server>> = Arc::default();
        let (own, value) = (Arc::clone(&handle), Calls::default());
        let builder = builder.on_http_request(move |request, response| {
            if request.method() == "POST" {
                value.add();
                let flushed = own.get().unwrap().flush_cache("/value", FlushScope::Url);
                return response.text(flushed.unwrap().to_string());
            }
            response.cache(CachePolicy::UserInvalidates);
            response.text(value.count().to_string());
        });
        let server = start(builder);
        handle.set(server.clone()).unwrap();
        let mut client = Client::connect(port);
        for round in 0..20 {
            let expected = round.to_string();
            assert_eq!(client.get("/value").text(), expected);
            assert_eq!(client.get("/value").text(), expected);
            assert_eq!(client.request("POST", "/value", &[], "").text(), "1");
        }
        drop(client);
        stop(server);
    });
}

#[test]
fn the_settings_bound_what_is_kept() {
    in_each_setting(|builder, port| {
        let mut cache = CacheSettings::default();
        cache.max_response_bytes = 4_096;
        let calls = Calls::default();
        let builder = builder
            .cache(cache)
            .on_http_request(move |request, response| {
                let number = calls.add();
                let query = String::from_utf8_lossy(request.query().unwrap());
                let length: usize = query.parse().unwrap();
                response.cache(CachePolicy::UserInvalidates);
                response.text(format!("{number:>length$}"));
            });
        let server = start(builder);
        let mut client = Client::connect(port);
        let mut is_kept = |length: u32| {
            let target = format!("/?{length}");
            client.get(&target).content == client.get(&target).content
        };
        assert!(is_kept(4_096) && !is_kept(4_097));
        drop(client);
        stop(server);
    });
}

#[test]
fn what_only_some_origins_may_read_is_not_kept() {
    in_each_setting(|builder, port| {
        let policy = |path: &str, origins: &str| CorsSettings {
            path: path.to_owned(),
            origins: origins.parse().unwrap(),
            ..CorsSettings::default()
        };
        let calls = Calls::default();
        let builder = builder
            .cors(policy("/some", "https://a.example, https://b.example"))
            .cors(policy("/all", "*"))
            .on_http_request(move |_, response| {
                response.cache(CachePolicy::UserInvalidates);
                response.text(calls.add());
            });
        let server = start(builder);
        let mut client = Client::connect(port);
        let mut ask = |path: &str, origin: &str| {
            let line = format!("Origin: {origin}");
            let answer = client.request("GET", path, &[&line], "");
            let allowed = answer.field("Access-Control-Allow-Origin");
            (answer.text().to_owned(), allowed.map(str::to_owned))
        };
        for (call, origin) in [("1", "https://a.example"), ("2", "https://b.example")] {
            let answer = ask("/some", origin);
            assert_eq!(answer, (format!("call {call}"), Some(origin.to_owned())));
        }
        assert_eq!(
            ask("/some", "https://c.example"),
            ("call 3".to_owned(), None)
        );
        for origin in ["https://a.example", "https://b.example"] {
            let answer = ("call 4".to_owned(), Some("*".to_owned()));
            assert_eq!(ask("/all", origin), answer);
        }
        drop(client);
        stop(server);
    });
}
