//! Sends of files.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidegate_os::*;

use crate::rig::*;

pub(crate) fn file_follows_the_buffer<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let content = pattern(10 << 20);
    let buffer = SendBuffer {
        head: b"head".to_vec(),
        tail: vec![Bytes::new(), Bytes::from_static(b"tail")],
    };
    let reader = read_to_end(client);
    let returned = send_file(&mut rig, key, buffer, whole(&file(&content)));
    assert_eq!(
        (&returned.head[..], &returned.tail[1][..]),
        (&b"head"[..], &b"tail"[..])
    );
    let bytes = 8 + content.len() as u64;
    assert_eq!(rig.operations().bytes_sent(key), bytes);
    assert_eq!(rig.operations().unsent(key), 0);
    // What comes next is as ever.
    rig.send_all(key, b"next".to_vec().into());
    rig.operations().shutdown_send(key);
    let received = reader.join().unwrap().unwrap();
    assert!(received == [b"headtail", &content[..], b"next"].concat());
}

pub(crate) fn parts_of_a_file_are_sent<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let content = pattern(100_000);
    let file = file(&content);
    let parts = [
        (0, 1),
        (0, 100_000),
        (99_999, 1),
        (4_096, 4_096),
        (4_095, 4_098),
        (70_000, 29_000),
        (1, 0),
        (100_000, 0),
    ];
    for (offset, length) in parts {
        for head in [&b""[..], b"head"] {
            let range = FileRange {
                file: Arc::clone(&file),
                offset,
                length,
            };
            send_file(&mut rig, key, head.to_vec().into(), range);
            let part = &content[offset as usize..(offset + length) as usize];
            assert!(read(&client, head.len() + part.len()) == [head, part].concat());
        }
    }
    assert_eq!(Arc::strong_count(&file), 1);
}

pub(crate) fn file_to_a_slow_reader_goes_on_and_shows_progress<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let content = pattern(BIG);
    let file = file(&content);
    let buffer: SendBuffer = b"head".to_vec().into();
    assert!(
        rig.operations()
            .send_file(key, buffer, whole(&file))
            .is_none()
    );
    assert_eq!(rig.operations().unsent(key), 4 + BIG);
    rig.until("progress", |rig| rig.operations().bytes_sent(key) > 0);
    rig.settle();
    let given = rig.operations().bytes_sent(key);
    assert!(given < BIG as u64);
    assert_eq!(rig.operations().unsent(key) as u64, 4 + BIG as u64 - given);
    assert_eq!(rig.sent(key), 0);
    // A wait for room does no work.
    assert_eq!(rig.turn(MOMENT), 0);
    let reader = read_to_end(client);
    rig.until("the whole", |rig| rig.sent(key) == 1);
    assert_eq!(rig.operations().unsent(key), 0);
    rig.operations().close(key);
    rig.settle();
    let received = reader.join().unwrap().unwrap();
    assert!(received[..4] == *b"head" && received[4..] == content);
    rig.seen.clear();
    assert_eq!(Arc::strong_count(&file), 1);
}

pub(crate) fn bytes_are_received_while_a_file_is_sent<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let buffer = SendBuffer::default();
    let range = whole(&file(&pattern(BIG)));
    assert!(rig.operations().send_file(key, buffer, range).is_none());
    rig.settle();
    let bytes = pattern(200_000);
    write(&client, &bytes[..100_000]);
    rig.await_received(key, &bytes[..100_000]);
    let mut writer = client.try_clone().unwrap();
    let rest = bytes[100_000..].to_vec();
    let reader = read_to_end(client);
    writer.write_all(&rest).unwrap();
    rig.until("the whole", |rig| rig.sent(key) == 1);
    rig.await_received(key, &bytes);
    rig.operations().shutdown_send(key);
    assert!(reader.join().unwrap().unwrap() == pattern(BIG));
}

pub(crate) fn files_share_a_turn<L: EventLoop>() {
    const EACH: u64 = 1 << 20;
    let mut rig = Rig::<L>::new();
    let (_, address) = rig.listen();
    let content = pattern(EACH as usize);
    let file = file(&content);
    let mut downloads = Vec::new();
    for _ in 0..8 {
        let (client, key) = rig.connect(address);
        downloads.push((read_to_end(client), key));
    }
    let (modest, modest_key) = rig.connect(address);
    for (_, key) in &downloads {
        let range = whole(&file);
        let sent = rig
            .operations()
            .send_file(*key, SendBuffer::default(), range);
        assert!(sent.is_none());
    }
    write(&modest, b"me too");
    let given = |rig: &mut Rig<L>| -> u64 {
        let keys = downloads.iter().map(|(_, key)| *key);
        keys.map(|key| rig.operations().bytes_sent(key)).sum()
    };
    let mut before = 0;
    while given(&mut rig) < 8 * EACH {
        rig.turn(Duration::from_millis(100));
        let now = given(&mut rig);
        assert!(now - before <= 2 * EACH, "{} in one turn", now - before);
        before = now;
    }
    rig.until("the ends", |rig| {
        downloads.iter().all(|(_, key)| rig.sent(*key) == 1)
    });
    rig.await_received(modest_key, b"me too");
    for (reader, key) in downloads {
        rig.operations().close(key);
        rig.settle();
        assert!(reader.join().unwrap().unwrap() == content);
    }
}

pub(crate) fn file_that_ends_early_fails_its_send<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let content = pattern(300_000);
    let file = file(&content);
    let range = FileRange {
        length: 300_001,
        ..whole(&file)
    };
    let reader = read_to_end(client);
    let error = fail(&mut rig, key, range);
    assert!(error.is_of_file(), "{error}");
    rig.operations().close(key);
    rig.settle();
    // What there was has been sent, and nothing in place of the rest.
    assert!(reader.join().unwrap().unwrap() == content);
}

pub(crate) fn file_cut_while_it_is_sent_fails_its_send<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let content = pattern(BIG);
    let file = file(&content);
    let sent = rig
        .operations()
        .send_file(key, SendBuffer::default(), whole(&file));
    assert!(sent.is_none());
    rig.settle();
    // Between what the system has and the end, on a page's bound.
    file.set_len(BIG as u64 - (1 << 20)).unwrap();
    let reader = read_to_end(client);
    rig.until("the failure", |rig| rig.sent(key) == 1);
    let Some(Seen::Sent(_, _, Err(error))) = rig.seen.pop() else {
        panic!("{:?}", rig.seen);
    };
    assert!(error.is_of_file(), "{error}");
    rig.operations().reset(key);
    rig.settle();
    match reader.join().unwrap() {
        Ok(received) => assert!(received.len() < BIG && content.starts_with(&received)),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert_eq!(Arc::strong_count(&file), 1);
}

pub(crate) fn file_that_cannot_be_read_fails_its_send<L: EventLoop>() {
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&path, b"secret").unwrap();
    let file = File::options().append(true).open(&path).unwrap();
    let mut rig = Rig::<L>::new();
    let (_client, key) = rig.pair();
    let error = fail(&mut rig, key, whole(&Arc::new(file)));
    assert!(error.is_of_file(), "{error}");
    // The connection is not broken by it.
    rig.send_all(key, b"still here".to_vec().into());
}

pub(crate) fn peer_that_resets_fails_the_send_of_a_file<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let file = file(&pattern(BIG));
    let sent = rig
        .operations()
        .send_file(key, SendBuffer::default(), whole(&file));
    assert!(sent.is_none());
    rig.settle();
    read(&client, 1_000);
    socket2::SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    rig.until("both ends", |rig| {
        rig.sent(key) == 1 && rig.failed(key).is_some()
    });
    let failed = |seen: &Seen| matches!(seen, Seen::Sent(_, _, Err(error)) if !error.is_of_file());
    assert!(rig.seen.iter().any(failed), "{:?}", rig.seen);
    assert_eq!(Arc::strong_count(&file), 1);
    rig.operations().close(key);
    rig.settle();
}

pub(crate) fn close_while_a_file_is_sent_gives_no_event<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (_, address) = rig.listen();
    let file = file(&pattern(BIG));
    // Before the first step, while it waits for room, and after each other end of it.
    for settles in [false, true] {
        for resets in [false, true] {
            let (mut client, key) = rig.connect(address);
            let sent = rig
                .operations()
                .send_file(key, b"head".to_vec().into(), whole(&file));
            assert!(sent.is_none());
            if settles {
                rig.settle();
            }
            match resets {
                true => rig.operations().reset(key),
                false => rig.operations().close(key),
            }
            assert_eq!(rig.operations().connection_count(), 0);
            assert_eq!(Arc::strong_count(&file), 1);
            assert_eq!(rig.operations().unsent(key), 0);
            let returned = rig
                .operations()
                .send_file(key, b"stray".to_vec().into(), whole(&file));
            assert_eq!(returned.unwrap().head, b"stray");
            rig.settle();
            assert_eq!(rig.sent(key), 0);
            let mut received = Vec::new();
            let end = client.read_to_end(&mut received);
            assert!(end.is_err() || received.len() < BIG);
        }
    }
}

pub(crate) fn shutdown_follows_a_file<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let content = pattern(BIG);
    let range = whole(&file(&content));
    let sent = rig
        .operations()
        .send_file(key, b"head".to_vec().into(), range);
    assert!(sent.is_none());
    rig.operations().shutdown_send(key);
    let reader = read_to_end(client);
    rig.until("the whole", |rig| rig.sent(key) == 1);
    let received = reader.join().unwrap().unwrap();
    assert!(received[..4] == *b"head" && received[4..] == content);
}

#[cfg(not(unix))]
pub(crate) fn file_goes_over_a_unix_socket<L: EventLoop>() {}

#[cfg(unix)]
pub(crate) fn file_goes_over_a_unix_socket<L: EventLoop>() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let address = ListenAddress::Unix(path.clone());
    let listener = Listener::bind(&address, &ListenOptions::default()).unwrap();
    let mut rig = Rig::<L>::new();
    rig.operations().listen(listener).unwrap();
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    rig.until("accept", |rig| rig.accepted().len() == 1);
    let key = rig.accepted()[0];
    let content = pattern(3 << 20);
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        received
    });
    send_file(
        &mut rig,
        key,
        b"head".to_vec().into(),
        whole(&file(&content)),
    );
    rig.operations().shutdown_send(key);
    let received = reader.join().unwrap();
    assert!(received == [b"head", &content[..]].concat());
}

pub(crate) fn dropped_loop_lets_files_go<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (_, address) = rig.listen();
    let file = file(&pattern(BIG));
    let mut clients = Vec::new();
    for _ in 0..3 {
        let (client, key) = rig.connect(address);
        let sent = rig
            .operations()
            .send_file(key, SendBuffer::default(), whole(&file));
        assert!(sent.is_none());
        rig.settle();
        clients.push(client);
    }
    drop(rig);
    assert_eq!(Arc::strong_count(&file), 1);
    for client in clients {
        let received = read_to_end(client).join().unwrap().unwrap_or_default();
        assert!(received.len() < BIG);
    }
}

/// A file without a name.
fn file(content: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    Arc::new(file)
}

fn whole(file: &Arc<File>) -> FileRange {
    FileRange {
        file: Arc::clone(file),
        offset: 0,
        length: file.metadata().unwrap().len(),
    }
}

/// Sends and waits until it is done; gives the buffer back.
fn send_file<L: EventLoop>(
    rig: &mut Rig<L>,
    to: ConnectionKey,
    buffer: SendBuffer,
    range: FileRange,
) -> SendBuffer {
    match rig.operations().send_file(to, buffer, range) {
        None => rig.await_sent(to),
        Some(_) => panic!("the connection is closed"),
    }
}

/// Sends and waits until that has failed.
fn fail<L: EventLoop>(rig: &mut Rig<L>, to: ConnectionKey, range: FileRange) -> SystemError {
    let sent = rig.operations().send_file(to, SendBuffer::default(), range);
    assert!(sent.is_none());
    rig.until("the failure", |rig| rig.sent(to) == 1);
    match rig.seen.pop() {
        Some(Seen::Sent(_, _, Err(error))) => error,
        other => panic!("{other:?}"),
    }
}
