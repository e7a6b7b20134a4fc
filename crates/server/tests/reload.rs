//! Settings that are put into effect while the server runs: on real ports, on each event loop the system
//! offers, in both operating modes.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use client::setting::{in_each_setting, start, stop};
use client::{Client, free_port};
use tidegate::{Binding, CachePolicy, Error, FilesSettings, Server, Settings};

/// A folder with a file `a.txt` that says this.
fn folder(says: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), says).unwrap();
    folder
}

/// The server's settings with this one site.
fn with_site(server: &Server, path: &str, root: &Path) -> Settings {
    let mut settings = server.settings();
    let mut site = FilesSettings::new(root);
    site.path = path.to_owned();
    settings.files = vec![site];
    settings
}

#[test]
fn a_connection_goes_on_with_what_is_served_now() {
    let (before, after) = (folder("before"), folder("after"));
    in_each_setting(|builder, port| {
        let server = start(builder.files("/", before.path()));
        let mut client = Client::connect(port);
        assert_eq!(client.get("/a.txt").text(), "before");
        server
            .reload(with_site(&server, "/", after.path()))
            .unwrap();
        assert_eq!(client.get("/a.txt").text(), "after");
        server
            .reload(with_site(&server, "/b", after.path()))
            .unwrap();
        assert_eq!(client.get("/a.txt").status, 404);
        assert_eq!(client.get("/b/a.txt").text(), "after");
        assert_eq!(server.settings().files[0].path, "/b");
        drop(client);
        stop(server);
    });
}

#[test]
fn a_request_in_progress_ends_as_it_has_begun() {
    let after = folder("after");
    in_each_setting(|builder, port| {
        let (called, is_called) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let may_go_on = Mutex::new(may_go_on);
        let server = start(builder.on_http_request(move |_, response| {
            called.send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
            response.text("the handler");
        }));
        let mut slow = Client::connect(port);
        slow.send("GET", "/a.txt", &[], "");
        is_called.recv().unwrap();
        server
            .reload(with_site(&server, "/", after.path()))
            .unwrap();
        go_on.send(()).unwrap();
        assert_eq!(slow.receive().text(), "the handler");
        assert_eq!(slow.get("/a.txt").text(), "after");
        drop(slow);
        stop(server);
    });
}

#[test]
fn what_is_refused_changes_nothing() {
    let before = folder("before");
    in_each_setting(|builder, port| {
        let server = start(builder.files("/", before.path()));
        let mut client = Client::connect(port);
        let was = server.settings();

        let missing = with_site(&server, "/", Path::new("no/such/folder"));
        assert!(matches!(server.reload(missing), Err(Error::Files(_))));

        let mut driver = server.settings();
        driver.listen_backlog += 1;
        driver.files.clear();
        let refused = server.reload(driver).unwrap_err();
        assert!(
            matches!(&refused, Error::NeedsStart(names) if names[..] == ["listen_backlog"]),
            "{refused:?}"
        );

        let mut taken = with_site(&server, "/b", before.path());
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port_taken = other.local_addr().unwrap().port();
        taken
            .bindings
            .push(Binding::new("127.0.0.1", port_taken, "/").unwrap());
        assert!(matches!(server.reload(taken), Err(Error::AddressInUse(_))));

        let mut out_of_range = server.settings();
        out_of_range.fine_tune.queue_length = 0;
        assert!(matches!(
            server.reload(out_of_range),
            Err(Error::Setting(_))
        ));

        assert_eq!(server.settings(), was);
        assert_eq!(client.get("/a.txt").text(), "before");
        drop(client);
        stop(server);
    });
}

#[test]
fn a_server_that_does_not_run_has_nothing_to_reload() {
    let server = Server::builder().build().unwrap();
    let settings = server.settings();
    assert!(matches!(server.reload(settings), Err(Error::NotStarted)));
}

#[test]
fn limits_act_at_once() {
    in_each_setting(|builder, port| {
        let server = start(builder.on_http_request(|request, response| {
            let length = request.content()?.len();
            response.text(length.to_string());
            Ok(())
        }));
        let mut settings = server.settings();
        settings.max_request_body_size = 10;
        server.reload(settings.clone()).unwrap();
        let mut client = Client::connect(port);
        let answer = client.request("POST", "/", &[], "longer than ten");
        assert_eq!(answer.status, 413);
        drop(client);
        settings.max_request_body_size = 100;
        server.reload(settings).unwrap();
        let mut client = Client::connect(port);
        let answer = client.request("POST", "/", &[], "longer than ten");
        assert_eq!(answer.text(), "15");
        drop(client);
        stop(server);
    });
}

#[test]
fn cached_responses_are_made_anew() {
    in_each_setting(|builder, port| {
        let made = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&made);
        let server = start(builder.on_http_request(move |_, response| {
            counted.fetch_add(1, Ordering::Relaxed);
            response.cache(CachePolicy::UserInvalidates).text("kept");
        }));
        let mut client = Client::connect(port);
        for _ in 0..3 {
            assert_eq!(client.get("/").text(), "kept");
        }
        assert_eq!(made.load(Ordering::Relaxed), 1);
        server.reload(server.settings()).unwrap();
        assert_eq!(client.get("/").text(), "kept");
        assert_eq!(made.load(Ordering::Relaxed), 2);
        drop(client);
        stop(server);
    });
}

/// Clients ask all the time, on kept connections and new ones; every answer is one that was served.
#[test]
fn no_request_is_lost_under_load() {
    let folders = [folder("one"), folder("two")];
    in_each_setting(|builder, port| {
        let server = start(builder.files("/", folders[0].path()));
        let ends = AtomicBool::new(false);
        let asked = AtomicU64::new(0);
        thread::scope(|scope| {
            for client in 0..4 {
                let (ends, asked) = (&ends, &asked);
                scope.spawn(move || {
                    let mut kept = Client::connect(port);
                    while !ends.load(Ordering::Relaxed) {
                        let answer = match client % 2 {
                            0 => kept.get("/a.txt"),
                            _ => Client::connect(port).get("/a.txt"),
                        };
                        assert_eq!(answer.status, 200);
                        assert!(matches!(answer.text(), "one" | "two"));
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for round in 0..20 {
                // Each finds requests in progress.
                let enough = asked.load(Ordering::Relaxed) + 20;
                while asked.load(Ordering::Relaxed) < enough {
                    thread::sleep(Duration::from_millis(1));
                }
                let mut settings = with_site(&server, "/", folders[round % 2].path());
                if round % 3 == 0 {
                    let more = Binding::new("127.0.0.1", free_port(), "/").unwrap();
                    settings.bindings.push(more);
                }
                server.reload(settings).unwrap();
            }
            ends.store(true, Ordering::Relaxed);
        });
        stop(server);
    });
}
