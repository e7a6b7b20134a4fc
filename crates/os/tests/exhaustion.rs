//! What a loop does when descriptors run out, and whether it gives all of them back.
//!
//! One test, in a program of its own: the descriptors counted are those of the whole process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use std::fs;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use rig::*;
use tidegate_os::*;

#[test]
fn descriptors_run_out_and_come_back() {
    a_low_limit_is_raised();
    all_of_it::<PollLoop>();
    if uring_available().is_ok() {
        all_of_it::<UringLoop>();
    }
}

fn a_low_limit_is_raised() {
    let limit = Limit::set(1);
    let open = || fs::File::open("/dev/null");
    let few: Vec<_> = (0..10).map(|_| open()).collect();
    assert!(few.iter().any(Result::is_err));
    drop(few);
    raise_open_files_max().unwrap();
    let many: Vec<_> = (0..10).map(|_| open()).collect();
    assert!(many.iter().all(Result::is_ok));
    drop(limit);
}

fn all_of_it<L: EventLoop>() {
    // The first loop of a process opens what stays open.
    drop(Rig::<L>::new());
    let before = open_descriptors();
    thousand_connections_leave_none::<L>();
    assert_eq!(open_descriptors(), before);
    dropping_a_busy_loop_leaves_none::<L>();
    assert_eq!(open_descriptors(), before);
    accepting_goes_on_when_a_connection_closes::<L>();
    accepting_goes_on_after_a_pause::<L>();
    stopping_without_descriptors_loses_nobody::<L>();
    assert_eq!(open_descriptors(), before);
}

fn thousand_connections_leave_none<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (_, address) = rig.listen();
    let before = open_descriptors();
    for round in 0..20 {
        let pairs: Vec<_> = (0..50).map(|_| rig.connect(address)).collect();
        for (place, (client, key)) in pairs.into_iter().enumerate() {
            write(&client, b"x");
            match (round + place) % 6 {
                // Closed while it receives; after the peer; by reset; while it sends; paused.
                0 => rig.operations().close(key),
                1 => {
                    drop(client);
                    rig.until("the end", |rig| rig.peer_closed(key));
                    rig.operations().close(key);
                }
                2 => rig.operations().reset(key),
                3 => {
                    assert!(
                        rig.operations()
                            .send(key, vec![0; 8 << 20].into())
                            .is_none()
                    );
                    rig.turn(Duration::ZERO);
                    rig.operations().close(key);
                }
                4 => {
                    rig.operations().pause_receive(key);
                    rig.operations().close(key);
                }
                _ => {
                    rig.operations().shutdown_send(key);
                    rig.turn(Duration::ZERO);
                    rig.operations().close(key);
                }
            }
        }
    }
    assert_eq!(rig.operations().connection_count(), 0);
    rig.until("all to be closed", |_| open_descriptors() == before);
}

fn dropping_a_busy_loop_leaves_none<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (_, address) = rig.listen();
    let pairs: Vec<_> = (0..50).map(|_| rig.connect(address)).collect();
    for (place, (client, key)) in pairs.iter().enumerate() {
        match place % 4 {
            0 => assert!(
                rig.operations()
                    .send(*key, vec![0; 8 << 20].into())
                    .is_none()
            ),
            1 => rig.operations().pause_receive(*key),
            2 => write(client, b"never taken"),
            _ => rig.operations().close(*key),
        }
    }
    // Connections that wait to be accepted, too.
    let _more: Vec<_> = (0..10).map(|_| client(address)).collect();
}

fn accepting_goes_on_when_a_connection_closes<L: EventLoop>() {
    let (mut rig, _, _clients, limit) = crowded::<L>(2, 1);
    rig.until("the failure", |rig| failures(rig) > 0);
    assert_eq!(rig.accepted().len(), 1);
    let first = rig.accepted()[0];
    rig.operations().close(first);
    rig.until("the second", |rig| rig.accepted().len() == 2);
    drop(limit);
}

fn accepting_goes_on_after_a_pause<L: EventLoop>() {
    let (mut rig, _, _clients, limit) = crowded::<L>(5, 0);
    rig.until("the failure", |rig| failures(rig) > 0);
    rig.until("another", |rig| failures(rig) > 1);
    drop(limit);
    rig.until("all", |rig| rig.accepted().len() == 5);
    // Each failure was followed by a pause: the loop did not spin.
    assert!(failures(&rig) < 100, "{}", failures(&rig));
}

fn stopping_without_descriptors_loses_nobody<L: EventLoop>() {
    let (mut rig, listener, _clients, limit) = crowded::<L>(5, 2);
    rig.until("the failure", |rig| failures(rig) > 0);
    rig.operations().stop_listening(listener);
    rig.until("another failure", |rig| failures(rig) > 1);
    assert_eq!(rig.operations().listener_count(), 1);
    drop(limit);
    rig.until("the stop", |rig| rig.operations().listener_count() == 0);
    assert_eq!(rig.accepted().len(), 5);
}

/// A loop whose listener has `waiting` connections to accept, and descriptors for `room` of them.
///
/// The limit comes before the loop begins to accept: io_uring goes by the one it found then.
fn crowded<L: EventLoop>(
    waiting: usize,
    room: u64,
) -> (Rig<L>, ListenerKey, Vec<TcpStream>, Limit) {
    let mut rig = Rig::<L>::new();
    let listener = bind_local();
    let address = tcp_address(&listener);
    let clients = (0..waiting).map(|_| client(address)).collect();
    let limit = Limit::set(room);
    let listener = rig.operations().listen(listener).unwrap();
    (rig, listener, clients, limit)
}

fn failures<L: EventLoop>(rig: &Rig<L>) -> usize {
    let failed =
        |seen: &&Seen| matches!(seen, Seen::AcceptFailed(error) if error.code == libc::EMFILE);
    rig.seen.iter().filter(failed).count()
}

fn open_descriptors() -> u64 {
    // The folder itself is open while it is read.
    fs::read_dir("/proc/self/fd").unwrap().count() as u64 - 1
}

/// A limit on descriptors, until dropped.
struct Limit(libc::rlimit);

impl Limit {
    /// Room for so many more: they get the lowest numbers free, which must be below the limit.
    /// There are no holes between the numbers in use.
    fn set(room: u64) -> Self {
        let next = fs::File::open("/dev/null").unwrap();
        let lowest_free = u64::try_from(next.as_raw_fd()).unwrap();
        drop(next);
        let mut before = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the structure is written during the call.
        let code = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut before) };
        assert_eq!(code, 0);
        set_limit(&libc::rlimit {
            rlim_cur: lowest_free + room,
            ..before
        });
        Self(before)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        set_limit(&self.0);
    }
}

fn set_limit(limit: &libc::rlimit) {
    // SAFETY: the structure is read during the call.
    let code = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) };
    assert_eq!(code, 0);
}
