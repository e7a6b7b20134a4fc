//! How a response with a file ends when it cannot go on, on HTTP/1.

use std::sync::Arc;

use tidegate_driver::Io;
use tidegate_httpapi::Backend;
use tidegate_wire::{
    Client, content, file, label, let_go, on_both_loops, parts_of, sparse_file, until,
};

use super::{Reached, get};

on_both_loops!(
    a_file_that_is_too_short_ends_the_connection,
    a_file_cut_while_it_is_sent_ends_the_connection,
    a_file_that_cannot_be_read_ends_the_connection,
    a_client_that_takes_too_slowly_is_dropped,
    a_client_that_leaves_has_the_file_let_go,
    a_client_that_resets_has_the_file_let_go,
    a_stop_has_files_let_go,
);

/// Far more than the systems of both ends hold.
const LARGE: usize = 64 << 20;

/// The connection ends, with nothing but the beginning of what was asked for, and the log says why.
fn is_cut(reached: &Reached, client: &mut Client, content: &[u8], reason: &str) -> usize {
    let mut received = 0;
    // Without close_notify, since it is reset.
    while let Ok(bytes) = client.receive() {
        let expected = content.get(received..received + bytes.len());
        assert!(expected == Some(&bytes[..]), "other bytes at {received}");
        received += bytes.len();
    }
    let line = reached.server.errors.of_client(client.port());
    assert_eq!((line.status.as_str(), line.reason.as_str()), ("-", reason));
    received
}

fn a_file_that_is_too_short_ends_the_connection(io: Io) {
    let content = content(200_000);
    let file = file(&content);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        // All of it is missing, the last of much, the last of little.
        for (offset, length) in [
            (200_000, 1),
            (1 << 40, 50_000),
            (0, 200_001),
            (199_000, 1_001),
        ] {
            let mut client = reached.client();
            client.send(get(&format!("/{offset}/{length}")));
            // A reset may take the head along.
            let mut all = Vec::new();
            while let Ok(bytes) = client.receive() {
                all.extend(bytes);
            }
            if let Some(head) = all.windows(4).position(|end| end == b"\r\n\r\n") {
                let received = &all[head + 4..];
                let rest = content.get(offset..).unwrap_or_default();
                assert!(rest.starts_with(received));
            }
            let line = reached.server.errors.of_client(client.port());
            assert_eq!(
                (line.status.as_str(), line.reason.as_str()),
                ("-", "Internal")
            );
        }
        let_go(&file, 2);
    }
}

fn a_file_cut_while_it_is_sent_ends_the_connection(io: Io) {
    let content = content(LARGE);
    for reached in Reached::both(io) {
        let file = file(&content);
        reached.server.serve("localhost/", parts_of(&file));
        let mut client = reached.narrow();
        client.send(get(&format!("/0/{LARGE}")));
        client.response_head();
        // On a page's bound, so that nothing of what the system has is made anew.
        file.set_len(LARGE as u64 / 2).unwrap();
        let received = is_cut(&reached, &mut client, &content, "Internal");
        assert!(received <= LARGE / 2);
        let_go(&file, 2);
    }
}

fn a_file_that_cannot_be_read_ends_the_connection(io: Io) {
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&path, vec![0; 100_000]).unwrap();
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    let file = Arc::new(file);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        for length in [1, 100_000] {
            let mut client = reached.client();
            client.send(get(&format!("/0/{length}")));
            let line = reached.server.errors.of_client(client.port());
            assert_eq!(
                (line.status.as_str(), line.reason.as_str()),
                ("-", "Internal")
            );
        }
        let_go(&file, 2);
    }
}

fn a_client_that_takes_too_slowly_is_dropped(io: Io) {
    let file = sparse_file(LARGE as u64);
    for reached in Reached::both(io) {
        let place = reached.server.serve("localhost/", parts_of(&file));
        reached.server.set_group(&place, |group| {
            group.timeouts.min_send_rate = Some(Some(u32::MAX));
        });
        let mut client = reached.narrow();
        client.send(get(&format!("/0/{LARGE}")));
        let line = reached.server.errors.of_client(client.port());
        assert_eq!(
            (line.status.as_str(), line.reason.as_str()),
            ("-", "Timer_MinBytesPerSecond")
        );
        let_go(&file, 2);
    }
}

fn a_client_that_leaves_has_the_file_let_go(io: Io) {
    let file = sparse_file(LARGE as u64);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        for takes_some in [false, true] {
            let mut client = reached.narrow();
            client.send(get(&format!("/0/{LARGE}")));
            if takes_some {
                client.response_head();
                client.take(100_000);
            } else {
                until("the file is sent", || Arc::strong_count(&file) > 2);
            }
            drop(client);
            let_go(&file, 2);
        }
    }
}

fn a_client_that_resets_has_the_file_let_go(io: Io) {
    let file = sparse_file(LARGE as u64);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        reached.server.serve("localhost/small/", label("small"));
        let mut client = reached.narrow();
        client.send(get(&format!("/0/{LARGE}")));
        client.response_head();
        let port = client.port();
        client.reset();
        let line = reached.server.errors.of_client(port);
        assert_eq!(line.reason, "Connection_Dropped");
        let_go(&file, 2);
        assert_eq!(reached.client().ask(get("/small/")).text(), "small");
    }
}

fn a_stop_has_files_let_go(io: Io) {
    let file = sparse_file(LARGE as u64);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        let mut client = reached.narrow();
        client.send(get(&format!("/0/{LARGE}")));
        client.response_head();
        reached.server.backend.stop(std::time::Duration::ZERO);
        drop(reached);
        let_go(&file, 1);
        assert!(client.end().rest.len() < LARGE);
    }
}
