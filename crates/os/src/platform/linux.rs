//! Linux.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use rustix::net::RecvFlags;
use socket2::{SockRef, Socket};

use crate::owner::ProcessName;

/// Whether the system shares new connections out among the listeners on one port, so that each
/// worker may have a listener of its own. Where it does not, workers share one:
/// [`Listener::try_clone`](crate::Listener::try_clone).
pub const REUSE_PORT_BALANCES: bool = true;

/// A server that restarts may bind while connections of the old one are in TIME-WAIT.
pub(crate) const REUSE_ADDRESS: bool = true;

/// Accepted sockets have the listener's TCP_NODELAY.
pub(crate) const NO_DELAY_IS_INHERITED: bool = true;

/// A read that leaves room in the buffer has taken everything: the next bytes raise a new event.
pub(crate) const READ_UNTIL_WOULD_BLOCK: bool = false;

/// A broken connection is an error of the send, not a signal to the process.
pub(crate) const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;

/// A send takes what the socket has room for, whether the socket blocks or not.
pub(crate) const DONT_WAIT: i32 = libc::MSG_DONTWAIT;

/// The code for a file that ended too early, for which systems have none of their own.
pub(crate) const FILE_ENDED: i32 = libc::ENODATA;

/// Accepting failed because of the one connection it was to take (gone, or forbidden by a firewall),
/// so that the next may succeed. Source: accept(2), "Error handling".
pub(crate) const ACCEPT_TRANSIENT: &[i32] = &[
    libc::ECONNABORTED,
    libc::EINTR,
    libc::EPERM,
    libc::EPROTO,
    libc::ENETDOWN,
    libc::ENOPROTOOPT,
    libc::EHOSTDOWN,
    libc::ENONET,
    libc::EHOSTUNREACH,
    libc::EOPNOTSUPP,
    libc::ENETUNREACH,
];

/// What there is too little of at the moment.
pub(crate) const SHORTAGES: &[i32] = &[libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];

/// Descriptors that are received are no started program's.
pub(crate) const RECEIVES_CLOSED_ON_EXEC: RecvFlags = RecvFlags::CMSG_CLOEXEC;

pub(crate) const PRIVILEGED_PORT_HELP: &str = "use a port above 1023, give the program the \
    capability (`setcap cap_net_bind_service=+ep FILE`), or lower \
    `net.ipv4.ip_unprivileged_port_start`";

pub(crate) fn set_reuse_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// Bytes given to a socket that the peer's system has not acknowledged; 0 where that is not known.
pub(crate) fn unacknowledged(socket: &SockRef<'_>) -> u64 {
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as the socket is borrowed, and SIOCOUTQ, which has TIOCOUTQ's number,
    // writes one `int` to where the pointer points.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    match outcome {
        0 => u64::try_from(count).unwrap_or(0),
        _ => 0,
    }
}

/// The process that listens on the port, if `/proc` shows it to us.
pub(crate) fn tcp_owner(address: SocketAddr) -> Option<ProcessName> {
    let mut inodes = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        inodes.extend(
            text.lines()
                .skip(1)
                .filter_map(|line| listening_inode(line, address)),
        );
    }
    process_with_socket(&inodes)
}

/// The process that listens on the socket file.
pub(crate) fn unix_owner(path: &Path) -> Option<ProcessName> {
    let text = fs::read_to_string("/proc/net/unix").ok()?;
    // Columns: number, references, protocol, flags, type, state, inode, path.
    let inodes = text
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_ascii_whitespace();
            let inode = columns.nth(6)?.parse().ok()?;
            (Path::new(columns.next()?) == path).then_some(inode)
        })
        .collect();
    process_with_socket(&inodes)
}

fn listening_inode(line: &str, wanted: SocketAddr) -> Option<u64> {
    // Columns: number, local address, remote address, state, queues, timer, retransmits, user,
    // timeout, inode.
    let mut columns = line.split_ascii_whitespace().skip(1);
    let (ip, port) = columns.next()?.split_once(':')?;
    let state = columns.nth(1)?;
    let inode = columns.nth(5)?.parse().ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip = parse_ip(ip)?;
    let same_place = ip == wanted.ip() || ip.is_unspecified() || wanted.ip().is_unspecified();
    (state == "0A" && port == wanted.port() && same_place).then_some(inode)
}

/// Each group of eight digits is a word of the address in the machine's byte order.
fn parse_ip(digits: &str) -> Option<IpAddr> {
    let word = |place: usize| {
        let text = digits.get(place * 8..place * 8 + 8)?;
        Some(u32::from_str_radix(text, 16).ok()?.to_ne_bytes())
    };
    if digits.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let mut octets = [0; 16];
    for (place, chunk) in octets.chunks_exact_mut(4).enumerate() {
        chunk.copy_from_slice(&word(place)?);
    }
    Some(Ipv6Addr::from(octets).into())
}

fn process_with_socket(inodes: &HashSet<u64>) -> Option<ProcessName> {
    if inodes.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let Some(id) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // Processes of others do not show their descriptors.
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let owns = descriptors.flatten().any(|descriptor| {
            fs::read_link(descriptor.path())
                .ok()
                .and_then(|target| {
                    let inode = target
                        .to_str()?
                        .strip_prefix("socket:[")?
                        .strip_suffix(']')?;
                    inode.parse().ok()
                })
                .is_some_and(|inode: u64| inodes.contains(&inode))
        });
        if owns {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(ProcessName {
                id,
                name: name.trim_end().to_owned(),
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_line_matches_its_port_and_address_only() {
        let line = " 0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 \
                    0 0 4711 1 0 100 0 0 10 0";
        let inode = |address: &str| listening_inode(line, address.parse().unwrap());
        if cfg!(target_endian = "little") {
            assert_eq!(inode("127.0.0.1:8080"), Some(4711));
            assert_eq!(inode("0.0.0.0:8080"), Some(4711));
            assert_eq!(inode("127.0.0.2:8080"), None);
            assert_eq!(inode("127.0.0.1:8081"), None);
        }
        let established = line.replace(" 0A ", " 01 ");
        assert_eq!(
            listening_inode(&established, "127.0.0.1:8080".parse().unwrap()),
            None
        );
    }
}
